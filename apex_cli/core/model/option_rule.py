"""An option chosen by rule: the wanted terms, and the contracts that a broker lists."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from apex_cli.core.model.base import Range, Spelling, Value
from apex_cli.core.model.instrument import CONTRACT_SIZE, Instrument
from apex_cli.core.model.money import Price

_DAYS = r"(?P<least>\d{1,4})(?: ?- ?(?P<most>\d{1,4}))?"


def read_days(text: str) -> tuple[int, int]:
    """Return the fewest and the most days that ``30-45`` or ``30`` names.

    Raises:
        ValueError: it names none, or the first is the larger one.

    >>> read_days("30-45"), read_days("7")
    ((30, 45), (7, 7))
    """
    found = re.fullmatch(_DAYS, text)
    if found is None:
        raise ValueError(text)
    least = int(found["least"])
    most = int(found["most"] or least)
    if most < least:
        raise ValueError(text)
    return least, most


def _days(text: str) -> str:
    read_days(text)
    return text


Days = Annotated[str, Spelling(_days, "days to expiry such as 30-45, or 30", is_free=True)]
Delta = Annotated[Decimal, Range(0, 1, above=True)]


class OptionRule(Value, frozen=True, kw_only=True):
    """Section ``option``: which contract a word such as LONG_CALL means that names none."""

    dte: Days = "30-45"
    """Calendar days to expiry; of several expiries the one nearest to the middle."""

    delta: Delta | None = None
    """Delta, without its sign, that the strike should have: 0.40; null: the strike nearest to the price."""

    @property
    def days(self) -> tuple[int, int]:
        """The fewest and the most days to expiry."""
        return read_days(self.dte)

    def __str__(self) -> str:
        """Return the rule in words."""
        return f"{self.dte} days, " + ("nearest strike" if self.delta is None else f"delta {self.delta}")


class OptionChain(Value, frozen=True, kw_only=True):
    """The options that are listed on one underlying; not every strike is there for every expiry."""

    underlying: Instrument
    expiries: tuple[str, ...]
    """YYYY-MM-DD, rising."""

    strikes: tuple[Price, ...]
    """Rising."""

    trading_class: str = ""
    multiplier: Decimal = CONTRACT_SIZE


LEAST_RETURNS = 5
"""Daily returns below which no volatility is taken from them."""


class OptionModel(Value, frozen=True, kw_only=True):
    """Section ``options``: how options without bars of their own are priced: by Black and Scholes, as theoretical."""

    volatility: Annotated[Decimal, Range(0, 10, above=True)] | None = None
    """Volatility of every underlying a year: 0.3 is 30 %; null: that of its last daily closes."""

    history_days: Annotated[int, Range(LEAST_RETURNS, 1000)] = 30
    """How many daily returns the volatility is taken from."""

    rate: Annotated[Decimal, Range(-1, 1)] = Decimal(0)
    """Interest a year, continuously compounded: 0.04 is 4 %."""
