"""Dates on which nothing is opened: earnings, news, ex-dividend dates, and a user's own."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value


class CalendarEvent(Value, frozen=True, kw_only=True):
    """One event of a calendar."""

    symbol: str = ""
    """Security that it is about, in its canonical spelling; empty: all of them."""

    starts_at: datetime
    """Aware UTC; of a whole day its midnight in New York."""

    ends_at: datetime
    """Aware UTC, not before *starts_at*; of a whole day the next midnight in New York."""

    is_whole_day: bool = False
    kind: str = ""
    """``earnings``, ``news``, ``ex-dividend``, or another word; empty without one."""

    name: str = ""
    """What it is called."""

    before: str | None = None
    """A duration of its own, instead of that of the configuration; None: as there."""

    after: str | None = None

    @property
    def title(self) -> str:
        """What it is, for people."""
        return ", ".join(part for part in (self.symbol, self.kind, self.name) if part) or "a blackout"


class Blackout(Value, frozen=True, kw_only=True):
    """An event whose time before and after it reaches a moment."""

    event: CalendarEvent
    begins_at: datetime
    ends_at: datetime
    """The first moment after it, aware UTC."""
