"""Group commit: signals that arrive while a file is being synced go into the next file together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from apex_cli.core.adapters.state.intake_files import Intake, Taken
from apex_cli.core.errors import StateError

MOST_TOGETHER = 500
"""Rows of one file: fewer than the bus of a run takes at once. A crash between two files of one request leaves the
first behind; nobody was answered, and the sender's next attempt knows them."""

INTAKE_FULL = "intake_full"

COUNT_EACH_S = 0.5
"""How often what waits for a run is counted, at most."""


class _Waiting(NamedTuple):
    rows: Sequence[Taken]
    done: asyncio.Future[None]


class GroupCommit:
    """Keeps rows in the intake; belongs to one event loop."""

    def __init__(self, intake: Intake, *, most: int, on_commit: Callable[[int], None]) -> None:
        """Write nothing yet, and never more when *most* rows wait; *on_commit* hears how many went into each file."""
        self._intake = intake
        self._most = most
        self._counted = 0
        self._counted_at = float("-inf")
        self._on_commit = on_commit
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")

    @property
    def has_room(self) -> bool:
        """Whether there is room for what nobody was promised: half of it is left to signals."""
        return self._counted < self._most // 2

    def keep(self, rows: Sequence[Taken]) -> asyncio.Future[None]:
        """Begin to keep *rows*; the future is done once they survive a loss of power.

        It ends with a ``StateError`` when they could not be written, or too many wait; then none of them is there.
        Who waits for it shields it: others may wait for the same.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Waiting(rows, done))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return done

    async def _work(self) -> None:
        while self._waiting:
            group = self._next_group()
            rows = [row for each in group for row in each.rows]
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._keep, rows)
            except StateError as error:
                _end(group, error)
            except BaseException as error:
                _end(group, StateError("intake_failed", f"The signals could not be kept: {type(error).__name__}."))
                raise
            else:
                self._on_commit(len(rows))
                _end(group)

    def _keep(self, rows: Sequence[Taken]) -> None:
        now = time.monotonic()
        if now - self._counted_at >= COUNT_EACH_S:
            self._counted, self._counted_at = self._intake.count(), now
        if self._counted + len(rows) > self._most:
            raise StateError(INTAKE_FULL, f"{self._counted} signals wait for a run, {self._most} are the most.")
        for first in range(0, len(rows), MOST_TOGETHER):
            self._intake.keep(rows[first : first + MOST_TOGETHER])
        self._counted += len(rows)

    def _next_group(self) -> list[_Waiting]:
        size = count = 0
        for each in self._waiting:
            if count and size + len(each.rows) > MOST_TOGETHER:
                break
            size, count = size + len(each.rows), count + 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def close(self) -> None:
        """Write what waits, then end."""
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)
        self._disk.shutdown()


def _end(group: Sequence[_Waiting], error: StateError | None = None) -> None:
    for each in group:
        if each.done.done():
            continue
        if error is None:
            each.done.set_result(None)
        else:
            each.done.set_exception(error)
            each.done.exception()  # whoever asked may be gone
