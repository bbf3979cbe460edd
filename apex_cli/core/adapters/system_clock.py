"""The time and new identities, as the machine gives them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


def _read_utc() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock


class SystemClock:
    """Aware UTC that never goes back within a process."""

    __slots__ = ("_last", "_read")

    def __init__(self, read: Callable[[], datetime] = _read_utc) -> None:
        """Take the time from *read*, aware UTC."""
        self._read = read
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time; after the machine's clock was set back, the last value plus a microsecond."""
        now = self._read()
        if now < self._last:
            now = self._last + _TICK
        self._last = now
        return now


class UlidIds:
    """ULIDs that rise strictly within the process, even when the clock stands still or goes back."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        """Start with no id given out."""
        self._last = 0

    def new(self) -> str:
        """Return a 26-character id that sorts after every one before it.

        Source:
            github.com/ulid/spec, monotonicity: the random part is raised by one.
        """
        from ulid import ULID

        self._last = max(int(ULID()), self._last + 1)
        return str(ULID.from_int(self._last))
