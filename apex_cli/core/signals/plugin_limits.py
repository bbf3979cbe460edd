"""Limits of time and memory for one call of foreign code.

A stretch of code that does not await is ended by an alarm, wherever it is: in a loop, in a sleep, in a blocking call.
Code that awaits is driven step by step in a task of its own, and abandoned when its time is over, whatever it catches.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import signal as process_signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import getcontext, setcontext
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TextIO, TypeVar, cast

from apex_cli.core.model.wording import visible

if sys.platform != "win32":
    import resource

T = TypeVar("T")

AGAIN_S = 0.5
"""How soon code that caught the end of its time is ended again."""

DEFAULT_TIME_S = 30.0
MOST_SAID = 20_000
"""Characters that steps and scanners may print in one run."""

MOST_RECURSION = 20_000
MOST_TOLD = 500
"""Characters of the text of an error that are shown."""

_PAGE = 4096
OUTPUT, ERRORS = 1, 2


class OverrunError(BaseException):
    """The time is over. No ``Exception``, so that a handler for those does not keep it."""


class LeftOutError(Exception):
    """A step ran out of its time or memory: it is not asked again. The text says why."""


class Limits:
    """How long one call of a step may take, and how much memory it may add."""

    def __init__(self, time_s: float, memory_mb: int | None = None) -> None:
        """Keep the limits; None as memory sets none."""
        self.time_s = time_s
        self._memory = None if memory_mb is None else memory_mb << 20
        self._is_running = False
        self.said = Said()

    async def run(self, start: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the awaitable of *start*.

        Raises:
            LeftOutError: it took too long or too much.
            Exception: what it raised; what is none, such as ``SystemExit`` or a cancellation, as a RuntimeError.
        """
        driven = _Driven(start, self)
        task = asyncio.ensure_future(driven.result())
        try:
            done, _ = await asyncio.wait({task}, timeout=self.time_s)
        except BaseException:
            driven.abandon(task)
            raise
        if done:
            result: T = task.result()
            return result
        driven.abandon(task)
        raise self._too_long()

    def call(self, work: Callable[[], T]) -> T:
        """Return the result of *work*.

        Raises:
            LeftOutError: it took too long or too much.
            Exception: what it raised; what is none, such as ``SystemExit`` or a cancellation, as a RuntimeError.
        """
        with self._translated(), self.bounded(self.time_s):
            return _kept(work)

    def call_each(self, works: Iterable[Callable[[], T]]) -> list[T | Exception]:
        """Return the result of each of *works*, or what it raised; each has the whole time.

        Cheaper than a ``call`` for each. After one that takes too long or too much, which gives a ``LeftOutError``,
        the others are not begun.
        """
        found: list[T | Exception] = []
        bound = self.bounded(self.time_s)
        try:
            with self._translated(), bound:
                for work in works:
                    if isinstance(bound, _Bound):
                        bound.again()
                    found.append(_attempted(work))
        except LeftOutError as error:
            found.append(error)
        return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what ends the block into what a caller handles."""
        try:
            yield
        except OverrunError:
            raise self._too_long() from None
        except MemoryError:
            raise LeftOutError("it takes more memory than a step may") from None

    def _too_long(self) -> LeftOutError:
        return LeftOutError(f"it did not answer within {self.time_s:g} s")

    def bounded(self, left_s: float) -> AbstractContextManager[None]:
        """Bound the block, which does not await: OverrunError after *left_s* seconds, MemoryError beyond the memory.

        The time is kept by an alarm, which only the main thread of a process has. Blocks inside each other are
        bounded by the outer one. What the block prints goes to standard error, as much of it as may be read, also what
        programs that it starts print. It cannot end the process, and how it rounds decimals is its own matter.
        """
        if self._is_running or not _has_alarm():
            return nullcontext()
        return _Bound(self, left_s)


class _Bound:
    """The bounds around one stretch of a step's code.

    A class, whose code and nothing else runs between the step's and its end: the alarm spares it, see ``_ring``.
    """

    __slots__ = (
        "_before",
        "_decimals",
        "_exit",
        "_left_s",
        "_limits",
        "_memory",
        "_output",
        "_recursion",
        "_set_recursion",
        "_streams",
    )

    def __init__(self, limits: Limits, left_s: float) -> None:
        self._limits = limits
        self._left_s = left_s

    def __enter__(self) -> None:
        limits = self._limits
        self._streams, self._exit = (sys.stdout, sys.stderr), os._exit
        self._recursion, self._set_recursion = sys.getrecursionlimit(), sys.setrecursionlimit
        self._before = process_signal.signal(process_signal.SIGALRM, self._ring)
        self._memory = None
        self._decimals = getcontext()
        setcontext(self._decimals.copy())
        self._output = _output_aside()
        limits._is_running = True  # noqa: SLF001 - its other half
        try:
            self._memory = _lower_memory(limits._memory)  # noqa: SLF001 - its other half
            sys.stdout = sys.stderr = limits.said.on(self._streams[1])
            os._exit = partial(_no_exit, os.getpid(), self._exit)
            sys.setrecursionlimit = partial(_set_recursion, self._set_recursion)
            self.again()
        except BaseException:
            self.__exit__()
            raise

    def again(self) -> None:
        """Give what follows the whole time."""
        process_signal.setitimer(process_signal.ITIMER_REAL, max(self._left_s, 0.001), AGAIN_S)

    def __exit__(self, *_: object) -> None:
        process_signal.setitimer(process_signal.ITIMER_REAL, 0)
        self._limits._is_running = False  # noqa: SLF001 - its other half
        process_signal.signal(process_signal.SIGALRM, self._before or process_signal.SIG_DFL)
        sys.stdout, sys.stderr = self._streams
        os._exit = self._exit
        setcontext(self._decimals)
        if self._output is not None:
            os.dup2(self._output, OUTPUT)
            os.close(self._output)
        if self._memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, self._memory)
        sys.setrecursionlimit = self._set_recursion
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)

    def _ring(self, _: int, frame: FrameType | None) -> None:
        """End the step, unless it has come to its end: code that goes through many frames on its way out takes time."""
        if self._limits._is_running and (frame is None or frame.f_globals is not globals()):  # noqa: SLF001
            raise OverrunError


class Said(io.TextIOBase):
    """What steps print, on standard error: the results on standard output stay whole, and nobody drowns."""

    def __init__(self) -> None:
        """Start with room for ``MOST_SAID`` characters."""
        self._stream: TextIO | None = None
        self._left = MOST_SAID

    def on(self, stream: TextIO | None) -> TextIO:
        """Return this, to write to *stream* from now on."""
        self._stream = stream
        return cast("TextIO", self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return that of the stream behind."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        """Write *text*, as long as there is room, without control characters."""
        if self._stream is None or self._left <= 0:
            return len(text)
        taken = text[: self._left]
        self._left -= len(taken)
        self._stream.write(visible(taken, keep="\n\t"))
        if self._left <= 0:
            self._stream.write(f"\nWhat steps print beyond {MOST_SAID:,} characters is left out.\n")
        return len(text)


def _no_exit(process: int, leave: Callable[[int], NoReturn], status: int = 0) -> NoReturn:
    """Stand in for ``os._exit`` in a step: a child of its own may end so, the process of the run may not.

    Threads are not steps: those of ours that end a process which hangs must be able to.
    """
    if os.getpid() != process or threading.current_thread() is not threading.main_thread():
        leave(status)
    raise SystemExit(status)


def _set_recursion(set_limit: Callable[[int], None], limit: int) -> None:
    """Stand in for ``sys.setrecursionlimit``: a fall without end would take minutes to come back from."""
    set_limit(min(limit, MOST_RECURSION))


def _attempted(work: Callable[[], T]) -> T | Exception:
    """Return the result of *work*, or what it raised; what ends its time or memory passes through."""
    try:
        return _kept(work)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - it may be anybody's code
        return error


def _kept(work: Callable[[], T]) -> T:
    """Return the result of *work*: what it raises beyond its time and Ctrl-C is an ``Exception``."""
    try:
        return work()
    except (Exception, OverrunError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - it may be anybody's code
        raise RuntimeError(f"it tried to end apex ({described(error)})") from None


def _ends_it(thrown: BaseException | None) -> bool:
    """Return whether *thrown* ends the task of a step from outside: the step may pass that on."""
    if isinstance(thrown, asyncio.CancelledError):  # also thrown where what it waits for was cancelled
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(thrown, GeneratorExit)


def described(error: BaseException) -> str:
    """Return the kind and the text of what somebody's code raised; its text may fail, too, or be long.

    >>> described(ValueError("no such column"))
    'ValueError: no such column'
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it may be anybody's code
        text = ""
    text = text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _has_alarm() -> bool:
    return hasattr(process_signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _output_aside() -> int | None:
    """Point the descriptor of standard output at standard error; return where it pointed, None where it stays.

    A terminal shows both anyway.
    """
    if os.isatty(OUTPUT):
        return None
    try:
        before = os.dup(OUTPUT)
        os.dup2(ERRORS, OUTPUT)
    except OSError:  # one of them is closed
        return None
    return before


def _lower_memory(extra: int | None) -> tuple[int, int] | None:
    """Let the process grow by no more than *extra* bytes, where the system can be asked for that.

    Returns:
        The limits before; None where they stay.
    """
    if extra is None or sys.platform != "linux":
        return None
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the system, each step pays
        size = int(file.read().split()[0]) * _PAGE
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = [size + extra, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(most), hard))
    return soft, hard


class Unlimited(Limits):
    """No limits: for our own code on bars in memory, which neither waits nor grows, and is called very often."""

    def __init__(self) -> None:
        """Set none."""
        super().__init__(DEFAULT_TIME_S)

    async def run(self, start: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the awaitable of *start*."""
        return await start()

    def call(self, work: Callable[[], T]) -> T:
        """Return the result of *work*."""
        return work()

    def call_each(self, works: Iterable[Callable[[], T]]) -> list[T | Exception]:
        """Return the result of each of *works*, or what it raised."""
        return [_attempted(work) for work in works]


class _Driven:
    """Drives an awaitable step by step: each stretch between two waits is bounded, and it can be abandoned."""

    def __init__(self, start: Callable[[], Awaitable[T]], limits: Limits) -> None:
        self._start = start
        self._limits = limits
        self._deadline = time.monotonic() + limits.time_s
        self._is_abandoned = False
        self._steps: Any = None

    async def result(self) -> Any:  # noqa: ANN401 - whatever the step returns
        with self._limits._translated():  # noqa: SLF001 - its other half
            return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._steps = self._bounded(lambda: self._start().__await__())
        error: BaseException | None = None
        while True:
            thrown, error = error, None
            step = partial(steps.send, None) if thrown is None else partial(steps.throw, thrown)
            try:
                wanted = self._bounded(step if _ends_it(thrown) else partial(_kept, step))
            except StopIteration as end:
                return end.value
            try:
                yield wanted
            except BaseException as raised:
                if self._is_abandoned:
                    raise
                error = raised

    def _bounded(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - a step or what it waits for
        with self._limits.bounded(self._deadline - time.monotonic()):
            return work()

    def abandon(self, task: asyncio.Future[Any]) -> None:
        """End it without asking: what it waits for never comes back to it.

        It is kept for ever: a coroutine that is cleared up runs once more, and may do so without end.
        """
        self._is_abandoned = True
        task.cancel()
        if self._steps is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._steps))
