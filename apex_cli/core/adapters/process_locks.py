"""Locks between processes. The kernel frees them when the holder dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from apex_cli.core.adapters.atomic_file import (
    FILE_MODE,
    check_fault,
    ensure_private_dir,
    open_for_updating,
    open_for_writing,
    read_bytes,
    state_errors,
)
from apex_cli.core.errors import STATE_BUSY, BusyError, StateError

STATE_LOCK = "state.lock"
EXECUTOR_LOCK = "executor.lock"
PROPOSALS_LOCK = "proposals.lock"
LOCKS = (STATE_LOCK, EXECUTOR_LOCK, PROPOSALS_LOCK)
"""Names of the lock files in the state folder."""

PROBE_S = 0.05
"""Shortest wait for the executor: another process that only looks holds the lock for a moment."""

_LONGEST_HOLDER = 1 << 16
_HELD_ELSEWHERE = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})

if sys.platform == "win32":
    from filelock import FileLock, Timeout

    class _SystemLock:
        """The lock of the operating system, by a library."""

        __slots__ = ("_lock",)

        def __init__(self, path: Path) -> None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))
            self._lock = FileLock(path, mode=FILE_MODE, fallback_to_soft=False)

        def try_once(self) -> bool:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                return False
            return True

        def drop(self) -> None:
            self._lock.release(force=True)

        def close(self) -> None:
            self.drop()

else:
    import fcntl

    class _SystemLock:
        """``flock`` on a file that stays open: the library's way costs fifty times as much."""

        __slots__ = ("__weakref__", "_descriptor", "_path", "close")

        def __init__(self, path: Path) -> None:
            self._path = path
            self._open()

        def _open(self) -> None:
            self._descriptor = open_for_updating(self._path)
            self.close = weakref.finalize(self, os.close, self._descriptor)
            """Closes the file once, at the latest when nobody refers to this object any more."""

        def try_once(self) -> bool:
            """Take the lock if it is free, on the file that has the name now: somebody may have removed it."""
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _HELD_ELSEWHERE:
                    return False
                raise
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._descriptor), os.stat(self._path)):  # noqa: PTH116 - each commit pays
                    return True
            self.close()
            self._open()
            return self.try_once()

        def drop(self) -> None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)


class ProcessLock:
    """An exclusive lock on one file; the file stays, what it holds means nothing."""

    __slots__ = ("_is_held", "_lock", "_owner", "_poll_s", "path")

    def __init__(self, path: Path, *, poll_s: float = 0.01) -> None:
        """Touch nothing yet."""
        self.path = path
        self._poll_s = poll_s
        self._lock: _SystemLock | None = None
        self._owner = 0
        """Process that opened the file: one that was forked from it must not share its lock."""

        self._is_held = False

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock, in this process."""
        return self._is_held and self._owner == os.getpid()

    def take(self, wait_s: float) -> bool:
        """Wait up to *wait_s* seconds for the lock and return whether it is ours.

        Raises:
            StateError: the lock file cannot be created or opened, or its file system has no locks.
        """
        if self.is_held:
            return True
        with state_errors(self.path):
            check_fault("lock", self.path)
            lock = self._opened()
            deadline = time.monotonic() + wait_s
            while not lock.try_once():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                time.sleep(min(self._poll_s, left))
        self._is_held = True
        return True

    def _opened(self) -> _SystemLock:
        if self._lock is None or self._owner != os.getpid():
            if self._lock is not None:
                self._lock.close()
            ensure_private_dir(self.path.parent)
            self._lock, self._owner, self._is_held = _SystemLock(self.path), os.getpid(), False
        return self._lock

    def take_or_refuse(self, wait_s: float) -> None:
        """Wait up to *wait_s* seconds for the lock.

        Raises:
            BusyError: it was not free in time.
            StateError: the lock file cannot be created or opened, or its file system has no locks.
        """
        if not self.take(wait_s):
            raise BusyError(
                STATE_BUSY,
                f"another process has held {self.path} for more than {wait_s:g} s",
                hint="try again; if it lasts, look for a stopped apex process",
                details={"path": str(self.path)},
            )

    def drop(self) -> None:
        """Give the lock back; safe to call without holding it."""
        if self.is_held and self._lock is not None:
            self._lock.drop()
        self._is_held = False


class ExecutorLock:
    """The right to talk to the broker: ``executor.lock`` under the state folder, one process at a time."""

    __slots__ = ("_holder_path", "_lock")

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._lock = ProcessLock(state_dir / EXECUTOR_LOCK)
        self._holder_path = state_dir / "executor.holder"

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._lock.is_held

    def acquire(self, wait_s: float = 0) -> None:
        """Take the lock, waiting up to *wait_s* seconds; nothing happens when it is held here already.

        Raises:
            BusyError: another process holds it; the message names that process.
            StateError: the lock file cannot be created.
        """
        if self.is_held:
            return
        if not self._lock.take(max(wait_s, PROBE_S)):
            raise BusyError(
                "executor_busy",
                f"{self.holder() or 'another process'} holds the executor",
                hint="wait for it to end, or leave the work to it",
                details={"path": str(self._lock.path), "waited_s": wait_s},
            )
        self._write_holder()

    def release(self) -> None:
        """Give the lock back; safe to call without holding it."""
        if self.is_held:
            with suppress(OSError):
                self._holder_path.unlink()
            self._lock.drop()

    def is_held_elsewhere(self) -> bool:
        """Return whether another process holds the lock now; a moment later that may have changed."""
        if self.is_held or not self._lock.path.exists():
            return False
        if not self._lock.take(0):
            return True
        self._lock.drop()
        return False

    def holder(self) -> str:
        """Return the command and pid that the holder left for people; empty when it left none."""
        with suppress(StateError):
            return (read_bytes(self._holder_path, most=_LONGEST_HOLDER) or b"").decode("utf-8", "replace").strip()[:200]
        return ""

    def __enter__(self) -> Self:
        """Acquire without waiting."""
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release."""
        self.release()

    def _write_holder(self) -> None:
        """Leave a line for people; it decides nothing, so a failure is no reason to stop."""
        command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:2]])
        with suppress(OSError, StateError):
            descriptor = open_for_writing(self._holder_path, os.O_TRUNC)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{command} (pid {os.getpid()})\n")
