"""Lengths of time as a configuration names them: sessions, hours of the market, hours and minutes of the clock."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Annotated

from apex_cli.core.model.base import Spelling, Value

MOST = 10_000
"""The largest number that a duration takes."""


class DurationUnit(StrEnum):
    """What a duration counts."""

    SESSIONS = "sessions"
    """Trading sessions, the running one included; in markets that are open around the clock 24 hours each."""

    MARKET_HOURS = "market hours"
    """Hours in which the market is open."""

    HOURS = "hours"
    """Hours of the clock."""

    MINUTES = "minutes"
    """Minutes of the clock."""


class Duration(Value, frozen=True, kw_only=True):
    """A number of units."""

    number: int
    unit: DurationUnit

    def __str__(self) -> str:
        """Return it as a configuration spells it."""
        return f"{self.number} {self.unit.removesuffix('s') if self.number == 1 else self.unit}"


_FORM = r"(?P<number>\d+)\s*(?P<unit>sessions?|market hours?|hours?|h|minutes?|m)"
_BY_LETTER = {"s": DurationUnit.SESSIONS, "h": DurationUnit.HOURS}


@cache
def read_duration(text: str) -> Duration:
    """Return what *text* names.

    Raises:
        ValueError: it names none.

    >>> str(read_duration("2 sessions")), str(read_duration("1 Market hour")), str(read_duration("6h"))
    ('2 sessions', '1 market hour', '6 hours')
    """
    found = re.fullmatch(_FORM, " ".join(text.lower().split()), re.ASCII)
    number = int(found["number"]) if found else 0
    if found is None or not 0 < number <= MOST:
        raise ValueError(f"{text!r} is no duration")
    unit = found["unit"]
    if unit.startswith("m"):
        kind = DurationUnit.MARKET_HOURS if unit.startswith("market") else DurationUnit.MINUTES
    else:
        kind = _BY_LETTER[unit[0]]
    return Duration(number=number, unit=kind)


def _spelled(text: str) -> str:
    return str(read_duration(text))


DurationText = Annotated[
    str, Spelling(_spelled, "a duration such as 2 sessions, 4 market hours, 6 hours or 90 minutes", is_free=True)
]
"""A duration as it stands in the configuration."""
