"""Time and memory that one call of somebody's code may take.

A stretch of code that does not await is ended by an alarm, wherever it is: in a loop, in a sleep, in a blocking call.
Code that awaits is driven step by step in a task of its own, and abandoned when its time is over, whatever it catches.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal as process_signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

if sys.platform != "win32":
    import resource

T = TypeVar("T")

AGAIN_S = 0.5
"""How soon code that caught the end of its time is ended again."""

DEFAULT_TIME_S = 30.0
_PAGE = 4096


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

    async def run(self, start: Callable[[], Awaitable[T]]) -> T:
        """Return what the awaitable of *start* comes to.

        Raises:
            LeftOutError: it took too long or too much.
            Exception: what it raised; ``SystemExit`` as a RuntimeError.
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
        """Return what *work* comes to.

        Raises:
            LeftOutError: it took too long or too much.
            Exception: what it raised; ``SystemExit`` as a RuntimeError.
        """
        with self._told(), self.bounded(self.time_s):
            return work()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what ends the block into what a caller handles."""
        try:
            yield
        except OverrunError:
            raise self._too_long() from None
        except MemoryError:
            raise LeftOutError("it takes more memory than a step may") from None
        except SystemExit as error:
            raise RuntimeError(f"it tried to end apex (SystemExit: {error})") from None

    def _too_long(self) -> LeftOutError:
        return LeftOutError(f"it did not answer within {self.time_s:g} s")

    @contextmanager
    def bounded(self, left_s: float) -> Iterator[None]:
        """Bound the block, which does not await: OverrunError after *left_s* seconds, MemoryError beyond the memory.

        The time is kept by an alarm, which only the main thread of a process has. Blocks inside each other are
        bounded by the outer one.
        """
        if self._is_running or not _has_alarm():
            yield
            return
        before = process_signal.signal(process_signal.SIGALRM, self._ring)
        self._is_running = True
        process_signal.setitimer(process_signal.ITIMER_REAL, max(left_s, 0.001), AGAIN_S)
        try:
            with _bounded_memory(self._memory):
                yield
        finally:
            self._is_running = False
            process_signal.setitimer(process_signal.ITIMER_REAL, 0)
            process_signal.signal(process_signal.SIGALRM, before or process_signal.SIG_DFL)

    def _ring(self, *_: object) -> None:
        if self._is_running:
            raise OverrunError


def _has_alarm() -> bool:
    return hasattr(process_signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def _bounded_memory(extra: int | None) -> Iterator[None]:
    """Let the process grow by no more than *extra* bytes meanwhile, where the system can be asked for that."""
    if extra is None or sys.platform != "linux":
        yield
        return
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the system, each step pays
        size = int(file.read().split()[0]) * _PAGE
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = [size + extra, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Unlimited(Limits):
    """No limits: for our own code on bars in memory, which neither waits nor grows, and is called very often."""

    def __init__(self) -> None:
        """Set none."""
        super().__init__(DEFAULT_TIME_S)

    async def run(self, start: Callable[[], Awaitable[T]]) -> T:
        """Return what the awaitable of *start* comes to."""
        return await start()

    def call(self, work: Callable[[], T]) -> T:
        """Return what *work* comes to."""
        return work()


class _Driven:
    """Drives an awaitable step by step: each stretch between two waits is bounded, and it can be abandoned."""

    def __init__(self, start: Callable[[], Awaitable[T]], limits: Limits) -> None:
        self._start = start
        self._limits = limits
        self._deadline = time.monotonic() + limits.time_s
        self._is_abandoned = False
        self._steps: Any = None

    async def result(self) -> Any:  # noqa: ANN401 - whatever the step returns
        with self._limits._told():  # noqa: SLF001 - its other half
            return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._steps = self._bounded(lambda: self._start().__await__())
        error: BaseException | None = None
        while True:
            thrown, error = error, None
            try:
                wanted = self._bounded(partial(steps.send, None) if thrown is None else partial(steps.throw, thrown))
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
