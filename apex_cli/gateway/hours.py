"""Trading hours as contract details tell them: NYSE sessions, half days and holidays included."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from apex_cli.core.market.calendar import CalendarEndError, session_bounds

NEW_YORK = ZoneInfo("America/New_York")
DAYS_TOLD = 6
PRE_MARKET, AFTER_HOURS = time(4), time(20)


def trading_hours(now: datetime) -> tuple[str, str]:
    """Return all and the liquid trading hours of the next days, as ``20260302:0930-20260302:1600;20260307:CLOSED``."""
    today = now.astimezone(NEW_YORK).date()
    every, liquid = [], []
    for number in range(DAYS_TOLD):
        day = today + timedelta(days=number)
        try:
            bounds = session_bounds(day)
        except CalendarEndError:
            break
        name = f"{day:%Y%m%d}"
        if bounds is None:
            every.append(f"{name}:CLOSED")
            liquid.append(f"{name}:CLOSED")
            continue
        opens, closes = (bound.astimezone(NEW_YORK) for bound in bounds)
        every.append(f"{name}:{PRE_MARKET:%H%M}-{name}:{AFTER_HOURS:%H%M}")
        liquid.append(f"{name}:{opens:%H%M}-{name}:{closes:%H%M}")
    return ";".join(every), ";".join(liquid)
