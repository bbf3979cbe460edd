"""When events of a calendar keep a market from being entered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.market.durations import EXCHANGES, end_of, opening_after, start_of
from apex_cli.core.model.calendar_event import Blackout, CalendarEvent
from apex_cli.core.model.duration import Duration, DurationUnit, read_duration
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.protections import BlackoutLimits

HALF_DAY = timedelta(hours=12)
"""Back from the end of a whole day to its noon."""


def blackout_of(event: CalendarEvent, limits: BlackoutLimits, market: MarketType) -> Blackout:
    """Return from when until when *event* keeps *market* from being entered.

    Without a time before and after it, that is the event itself: its day, or its moment. A time in sessions counts
    whole ones beside that of the event: ``1 session`` before is the session before it.
    """
    window = limits.window_for(event.kind)
    before, after = event.before or window.before, event.after or window.after
    begins = event.starts_at if before is None else start_of(read_duration(before), market, event.starts_at)
    ends = event.ends_at if after is None else _end(event, read_duration(after), market)
    return Blackout(event=event, begins_at=begins, ends_at=ends)


def _end(event: CalendarEvent, after: Duration, market: MarketType) -> datetime:
    if event.is_whole_day and after.unit is DurationUnit.SESSIONS and market in EXCHANGES:
        return opening_after((event.ends_at - HALF_DAY).astimezone(NEW_YORK).date(), after.number)
    return end_of(after, market, event.ends_at, counts_own=False)


def blackouts_at(
    events: Iterable[CalendarEvent], limits: BlackoutLimits, market: MarketType, at: datetime
) -> tuple[Blackout, ...]:
    """Return the blackouts of *events* that reach *at*, the one that ends last last."""
    found = [blackout_of(event, limits, market) for event in events]
    reaching = [each for each in found if each.begins_at <= at < each.ends_at or each.begins_at == at]
    return tuple(sorted(reaching, key=lambda each: (each.ends_at, each.event.title)))
