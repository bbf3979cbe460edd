"""Hours in which nothing is sent: the gateway or the broker restarts, and what was written vanishes unanswered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from apex_cli.core.model.base import Value

LOCAL: Final = "local"
_FORM = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)@([A-Za-z_+/0-9-]+)")


class QuietHours(Value, frozen=True, kw_only=True):
    """One window, every day; it may span midnight."""

    start: time
    end: time
    zone: str
    """A time zone's name, or ``local`` for the zone of this computer."""

    def covers(self, now: datetime) -> bool:
        """Return whether *now*, aware, lies in [start, end)."""
        local = now.astimezone(None if self.zone == LOCAL else ZoneInfo(self.zone)).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def __str__(self) -> str:
        """Say it in words."""
        place = "of this computer" if self.zone == LOCAL else self.zone
        return f"{self.start:%H:%M} to {self.end:%H:%M} {place}"


def parse_quiet_hours(text: str) -> QuietHours:
    """Return the window that *text* names.

    >>> str(parse_quiet_hours("23:45-00:45@America/New_York"))
    '23:45 to 00:45 America/New_York'

    Raises:
        ValueError: it is no window.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("it is no window of hours")
    start = time(int(found[1]), int(found[2]))
    end = time(int(found[3]), int(found[4]))
    zone = found[5]
    if zone != LOCAL:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone} is no time zone") from None
    return QuietHours(start=start, end=end, zone=zone)


def quiet_now(windows: Iterable[QuietHours], now: datetime) -> QuietHours | None:
    """Return the window that *now* lies in, if any."""
    return next((window for window in windows if window.covers(now)), None)
