"""The time and new identities, as the machine gives them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MOST_BEHIND = timedelta(minutes=2)
"""How far the machine's clock may be behind what the state has seen before that is reported."""

_TICK = timedelta(microseconds=1)
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's digits of base 32."""

_RANDOM_BITS = 80


def _read_utc() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock


class SystemClock:
    """Aware UTC that never goes back, neither within a process nor behind what the state has seen.

    It follows the machine's wall clock, so time spent asleep counts. Behind *floor*, or after the machine's clock
    was set back, time all but stands still, a microsecond a question, until the wall clock has caught up.
    """

    __slots__ = ("_last", "_read", "floor")

    def __init__(self, read: Callable[[], datetime] = _read_utc, *, floor: datetime | None = None) -> None:
        """Take the time from *read*, aware UTC, but none before *floor*: the latest time that is on record."""
        self._read = read
        self._last = self.floor = floor or datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time; never one that was reported before."""
        now = self._read()
        if now < self._last:
            now = self._last + _TICK
        self._last = now
        return now

    def wall(self) -> datetime:
        """Return what the machine's clock says, right or wrong."""
        return self._read()

    def behind(self) -> timedelta:
        """Return how far the machine's clock is behind the latest time on record; zero or less when it is not."""
        return self.floor - self._read()


class UlidIds:
    """ULIDs that rise strictly within the process, even when the clock stands still or goes back."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        """Start with no id given out."""
        self._last = 0

    def new(self) -> str:
        """Return a 26-character id that sorts after every one before it.

        48 bits of milliseconds and 80 random ones, five bits a letter.

        Source:
            github.com/ulid/spec, monotonicity: the random part is raised by one.
        """
        fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        self._last = max(fresh, self._last + 1)
        return "".join(_LETTERS[self._last >> shift & 31] for shift in range(125, -1, -5))
