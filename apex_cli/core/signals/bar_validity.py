"""The validity of a signal that was found at the end of a bar."""

from __future__ import annotations

from datetime import datetime, timedelta

from apex_cli.core.market.calendar import next_session, session_bounds, session_date

LONG_BAR = timedelta(hours=4)


def valid_until(end: datetime, step: timedelta) -> datetime:
    """Return when a signal seen at *end* expires: after three bars, or at the close of the session after a daily bar.

    *step* is the shortest time between two of the last bars: a night or a weekend makes them no longer.
    """
    if step < LONG_BAR:
        return end + 3 * step
    bounds = session_bounds(next_session(session_date(end - timedelta(seconds=1))))
    return bounds[1] if bounds else end + timedelta(days=1)
