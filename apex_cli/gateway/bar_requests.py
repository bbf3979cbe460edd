"""Historical bars: which of the bars we have answer a request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apex_cli.core.model.market import Bar

UNITS = {
    "S": timedelta(seconds=1),
    "D": timedelta(days=1),
    "W": timedelta(weeks=1),
    "M": timedelta(days=31),
    "Y": timedelta(days=366),
}
SIZES = {
    "sec": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
SHORTEST_DAY = timedelta(hours=3)
"""A bar of at least this span is a daily one: half sessions have 3.5 hours."""

NEW_YORK = ZoneInfo("America/New_York")


def parse_duration(text: str) -> timedelta | None:
    """Return the span of ``5 D``, ``1 W``, ``2 M``, ``1 Y``, ``3600 S``; None for anything else.

    >>> parse_duration("5 D")
    datetime.timedelta(days=5)
    """
    count, _, unit = text.partition(" ")
    return int(count) * UNITS[unit] if count.isdigit() and unit in UNITS else None


def parse_bar_size(text: str) -> timedelta | None:
    """Return the length of ``1 day``, ``5 mins``, ``1 hour``; None for anything else."""
    count, _, unit = text.partition(" ")
    size = SIZES.get(unit.removesuffix("s"))
    return int(count) * size if count.isdigit() and size is not None else None


def parse_end(text: str, now: datetime) -> datetime | None:
    """Return the end of a request, *now* when empty; None when it cannot be read.

    >>> parse_end("20260302 16:00:00 US/Eastern", datetime(2027, 1, 1, tzinfo=UTC)).isoformat()
    '2026-03-02T21:00:00+00:00'
    """
    if not text:
        return now
    words = text.replace("-", " ").split()
    try:
        at = datetime.strptime(" ".join(words[:2]), "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - its zone follows
        is_utc = "-" in text and len(words) < 3
        zone_info = UTC if is_utc else ZoneInfo(words[2]) if words[2:] else NEW_YORK
    except (ValueError, KeyError):
        return None
    return at.replace(tzinfo=zone_info).astimezone(UTC)


def is_daily(bar: Bar) -> bool:
    """Tell whether *bar* is a daily one."""
    return bar.end - bar.start >= SHORTEST_DAY


def select(bars: Sequence[Bar], *, end: datetime, span: timedelta, size: timedelta) -> list[Bar]:
    """Return the bars of length *size* in the *span* before *end*: whole days count as sessions."""
    wants_daily = size >= UNITS["D"]
    fitting = [
        bar for bar in bars if bar.end <= end and (is_daily(bar) if wants_daily else bar.end - bar.start == size)
    ]
    if wants_daily and span < UNITS["W"]:
        return fitting[-span.days :] if span.days else []
    return [bar for bar in fitting if bar.end > end - span]
