"""Runs one apex command line, and ends it at a chosen moment: killed, out of power, or out of disk space.

``CRASH_AT`` says when and how, as ``HOW:POINT:NUMBER``: at the NUMBER-th passage of POINT (``any`` counts all).

- ``kill``: SIGKILL, as ``kill -9`` does it.
- ``power``: what no sync has made safe is taken back in part, then SIGKILL; what comes next is another boot.
- ``full``: this one operation finds no space on the disk.
- ``fullest``: this one and all after it find no space.

Points are those of ``atomic_file`` (open, write, sync, replace, sync_folder, truncate, link, remove, lock), ``half``
(a write that is cut off in the middle), ``before-`` and ``after-`` submit, cancel, modify and exchange of the broker,
and ``move``, before and after a signal file leaves the inbox. ``CRASH_LOG`` names a file for the point it happened at,
or for the number of passages when it did not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, NoReturn

from crash_disk import Disk, WatchedOs

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.files.signals.inbox import Folder
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.state import storage
from apex_cli.core.adapters.state.write_ahead_log import boot_id
from apex_cli.core.coordinator import coordinator, service

TOGETHER = "together"
"""A file of this name in the current folder: also a few requests are written down together."""

DISK_POINTS = frozenset({"open", "write", "sync", "replace", "sync_folder", "truncate", "link", "remove"})

EARLY = 2
"""Every so many plans begin the log of the state at once: few commands commit often."""


class Plan(NamedTuple):
    """When and how a process ends."""

    how: str = "none"
    point: str = "any"
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read ``HOW:POINT:NUMBER``; nothing happens without it."""
        if not text:
            return cls()
        how, point, number = text.split(":")
        return cls(how, point, int(number))

    def __str__(self) -> str:
        """Write it as ``parse`` reads it."""
        return f"{self.how}:{self.point}:{self.number}" if self.how != "none" else ""


class Faults:
    """Counts passages and strikes at the planned one."""

    def __init__(self, plan: Plan, log: Path | None) -> None:
        """Strike as *plan* says, and report *log*."""
        self._plan = plan
        self._log = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.disk = Disk(Random(plan.number)) if plan.how == "power" else None
        self.passages = 0
        self.has_struck = False
        self._matching = 0

    def at(self, point: str, where: str, *, cut_off: Callable[[], object] = lambda: None) -> None:
        """Pass *point*; *cut_off* does the first part of what is interrupted there."""
        self.passages += 1
        if not self._is_due(point):
            return
        self.has_struck = True
        self.tell(f"{point} {where}")
        if self._plan.how.startswith("full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        cut_off()
        self._end()

    def _is_due(self, point: str) -> bool:
        how, wanted, number = self._plan
        if how == "none" or wanted not in {"any", point} or (how.startswith("full") and point not in DISK_POINTS):
            return False
        self._matching += 1
        return self._matching == number or (self._matching > number and how == "fullest")

    def _end(self) -> NoReturn:
        if self.disk is not None:
            self.disk.lose_power()
            for log in Path.cwd().rglob("state.wal"):
                log.write_bytes(log.read_bytes().replace(boot_id().encode(), b"another-boot", 1))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def tell(self, text: str) -> None:
        """Leave a line for the parent."""
        if self._log is not None:
            os.ftruncate(self._log, 0)
            os.pwrite(self._log, text.encode() + b"\n", 0)


def kind_of(path: Path) -> str:
    """Return which file *path* is, without numbers."""
    name = path.name
    if "simulated_broker" in name:
        return "books"
    if "backup" in path.parts:
        return "backup"
    if "jsonl" in name:
        return "journal"
    if "state.wal" in name:
        return "log"
    return "state" if "state.json" in name else name if name.endswith(".lock") else f"{name}/"


def install(faults: Faults) -> None:
    """Put *faults* into every write of the state and every request to the broker, in this process only."""
    atomic_file._fault = lambda point, path: faults.at(point, kind_of(path))

    def before_write(descriptor: int, data: bytes) -> None:
        where = kind_of(Path(f"/proc/self/fd/{descriptor}").readlink())
        faults.at("half", where, cut_off=lambda: os.write(descriptor, data[: len(data) // 2]))

    watched = WatchedOs(faults.disk, before_write)
    atomic_file.os = watched
    for name in ("submit", "cancel", "modify", "exchange"):
        setattr(SimulatedBroker, name, _around(faults, name, getattr(SimulatedBroker, name)))
    move = Folder.move

    def moved(folder: Folder, name: str, target: Folder, new_name: str) -> None:
        faults.at("move", "before")
        move(folder, name, target, new_name)
        faults.at("move", "after")

    Folder.move = moved  # type: ignore[method-assign]


def _around(faults: Faults, name: str, request: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def asked(broker: SimulatedBroker, *arguments: Any) -> None:
        faults.at(f"before-{name}", "broker")
        await request(broker, *arguments)
        faults.at(f"after-{name}", "broker")

    return asked


def _hurry() -> None:
    """Wait for nobody: an answer that the disk swallowed never comes."""
    sleep = asyncio.sleep
    asyncio.sleep = lambda *_: sleep(0)


def main(arguments: list[str], plan: Plan, log: Path | None) -> int:
    """Run one command line under *plan* and return its exit status."""
    from apex_cli.cli import run

    faults = Faults(plan, log)
    install(faults)
    if Path(TOGETHER).exists():
        coordinator.SMALL_BATCH = service.SMALL_BATCH = 0
    if plan.number % EARLY:
        storage.WHOLE_FIRST = 1
    if plan.how.startswith("full"):
        _hurry()
    status = run(arguments)
    if not faults.has_struck:
        faults.tell(f"passed {faults.passages}")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status


if __name__ == "__main__":
    log_path = os.environ.pop("CRASH_LOG", "")
    sys.exit(main(sys.argv[1:], Plan.parse(os.environ.pop("CRASH_AT", "")), Path(log_path) if log_path else None))
