"""What events of all calendars have in common: their days and moments, and whose they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR, NEW_YORK, ONE_DAY
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.spelling import canonical_ticker

ALL = frozenset({"", "*", "all"})
LONGEST = 200
"""Characters of a name."""


def checked(event: CalendarEvent) -> CalendarEvent:
    """Return *event* if it ends no earlier than it begins.

    Raises:
        ValueError: it does.
    """
    if event.ends_at < event.starts_at or (event.is_whole_day and event.ends_at == event.starts_at):
        raise ValueError("it ends before it begins")
    return event


def symbol_of(text: str) -> str:
    """Return the security that *text* names in its canonical spelling; empty for all of them."""
    return "" if text.lower() in ALL else canonical_ticker(text)


def known(day: date) -> date:
    """Return *day*.

    Raises:
        ValueError: its year is that of a mistake.
    """
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"{day} is no likely date")
    return day


def aware(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return *moment* in UTC, where it names no zone as one of *zone*."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def whole_days(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the midnights, in New York, before *first* and after *last*."""
    return _midnight(first), _midnight(last + ONE_DAY)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
