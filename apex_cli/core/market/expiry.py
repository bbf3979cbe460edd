"""Whether an option contract still lives: until the close of its last session, in New York."""

from __future__ import annotations

from datetime import date, datetime

from apex_cli.core.market.calendar import NEW_YORK, session_bounds
from apex_cli.core.model.instrument import Instrument


def has_expired(instrument: Instrument, now: datetime) -> bool:
    """Return whether *instrument* is an option whose last session is over at *now*; an unspecified one never is."""
    if instrument.expiry is None:
        return False
    day = date.fromisoformat(instrument.expiry)
    today = now.astimezone(NEW_YORK).date()
    if day != today:
        return day < today
    bounds = session_bounds(day)
    return bounds is None or now >= bounds[1]
