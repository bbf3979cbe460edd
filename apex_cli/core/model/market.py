"""Bars and quotes: prices, each with its time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Price


class Bar(Value, frozen=True, kw_only=True):
    """One OHLCV bar of one symbol, valid over [start, end)."""

    symbol: str
    start: datetime
    """Aware UTC; a daily bar starts at its session's open."""

    end: datetime
    """Aware UTC; a daily bar ends at its session's close."""

    open: Price
    high: Price
    low: Price
    close: Price
    volume: Decimal = Decimal(0)


def bars_between(bars: Sequence[Bar], after: datetime | None, until: datetime | None) -> Sequence[Bar]:
    """Return those of *bars*, oldest first, with ``after < bar.end <= until``; None bounds nothing."""
    first = bisect_right(bars, after, key=attrgetter("end")) if after is not None else 0
    last = bisect_right(bars, until, key=attrgetter("end")) if until is not None else len(bars)
    return bars[first:last]


class Quote(Value, frozen=True, kw_only=True):
    """The latest known price of one instrument."""

    price: Price
    at: datetime
    """When the price was true, aware UTC."""

    source: str
    """Where it came from: ``bars``, ``signal``, ``last``, ``midpoint``, ``delayed``."""

    bid: Price | None = None
    ask: Price | None = None
    """Best prices at the same moment, where the source has them; the spread cost is computed from them."""

    is_halted: bool | None = None
    """True: trading in it is halted now; None: not reported."""

    shortable: Decimal | None = None
    """Units that the broker can borrow to sell short; None: not reported, or plenty."""


class MarketStatus(Value, frozen=True, kw_only=True):
    """Whether one market trades at one moment."""

    is_open: bool
    session_date: str
    """New York session date, YYYY-MM-DD, that orders sent now belong to."""

    opens_at: datetime | None = None
    """Next opening when closed, aware UTC."""

    closes_at: datetime | None = None
    """End of the running session when open, aware UTC; None when it never closes."""

    why: str = ""
    """A word for people: ``weekend``, ``Thanksgiving``, ``before 09:30``."""

    is_certain: bool = True
    """False where special closures are not known: the session follows the rule of regular hours alone."""


class ReplayFill(StrEnum):
    """Which price an order of a replay meets first."""

    NEXT_OPEN = "next_open"
    CLOSE = "close"
