"""A clock that follows the bars: for demos and replay."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import LAST_SECOND


class BarClock:
    """Reports one second before the end of the last played bar, so that its session still runs."""

    def __init__(self, as_of: datetime) -> None:
        """Start as if the last bar had ended at *as_of*, aware UTC.

        Raises:
            InputError: *as_of* is naive.
        """
        if as_of.tzinfo is None:
            raise InputError(
                "naive_time", f"bar clock: {as_of.isoformat()} has no time zone", hint="give an aware UTC time"
            )
        self._as_of = as_of

    @property
    def as_of(self) -> datetime:
        """End of the last played bar."""
        return self._as_of

    def advance(self, as_of: datetime) -> None:
        """Move to the end of a later bar; an earlier one changes nothing."""
        self._as_of = max(self._as_of, as_of)

    def now(self) -> datetime:
        """Return the time for decisions, aware UTC."""
        return self._as_of - LAST_SECOND
