"""Locks between processes. The kernel frees them when the holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from apex_cli.core.adapters.atomic_file import FILE_MODE, ensure_private_dir, state_errors
from apex_cli.core.errors import BusyError

if TYPE_CHECKING:
    from filelock import BaseFileLock

PROBE_S = 0.05
"""Shortest wait for the executor: another process that only looks holds the lock for a moment."""


class ProcessLock:
    """An exclusive lock on one file; the file stays, what it holds means nothing."""

    __slots__ = ("_lock", "_poll_s", "path")

    def __init__(self, path: Path, *, poll_s: float = 0.01) -> None:
        """Touch nothing yet."""
        self.path = path
        self._poll_s = poll_s
        self._lock: BaseFileLock | None = None

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._lock is not None and self._lock.is_locked

    def take(self, wait_s: float) -> bool:
        """Wait up to *wait_s* seconds for the lock and tell whether it is ours.

        Raises:
            StateError: the lock file cannot be created or opened.
        """
        from filelock import FileLock, Timeout

        with state_errors(self.path):
            if self._lock is None:
                ensure_private_dir(self.path.parent)
                # Asked first: to the library a file that may not be opened looks like a lock that is held.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, FILE_MODE))
                self._lock = FileLock(self.path, mode=FILE_MODE, poll_interval=self._poll_s)
            try:
                self._lock.acquire(timeout=wait_s)
            except Timeout:
                return False
        return True

    def take_or_refuse(self, wait_s: float) -> None:
        """Wait up to *wait_s* seconds for the lock.

        Raises:
            BusyError: it was not free in time.
            StateError: the lock file cannot be created or opened.
        """
        if not self.take(wait_s):
            raise BusyError(
                "state_busy",
                f"another process has held {self.path} for more than {wait_s:g} s",
                hint="try again; if it lasts, look for a stopped apex process",
                details={"path": str(self.path)},
            )

    def drop(self) -> None:
        """Give the lock back; safe to call without holding it."""
        if self._lock is not None and self._lock.is_locked:
            self._lock.release(force=True)


class ExecutorLock:
    """The right to talk to the broker: ``executor.lock`` under the state folder, one process at a time."""

    __slots__ = ("_holder_path", "_lock")

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._lock = ProcessLock(state_dir / "executor.lock")
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
        """Tell whether another process holds the lock now; a moment later that may have changed."""
        if self.is_held or not self._lock.path.exists():
            return False
        if not self._lock.take(0):
            return True
        self._lock.drop()
        return False

    def holder(self) -> str:
        """Return the command and pid that the holder left for people; empty when it left none."""
        with suppress(OSError):
            return self._holder_path.read_text(encoding="utf-8", errors="replace").strip()[:200]
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
        with suppress(OSError):
            descriptor = os.open(self._holder_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{command} (pid {os.getpid()})\n")
