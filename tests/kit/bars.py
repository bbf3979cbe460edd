"""Bars that anyone may import for tests and measurements: random walks, and a source that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from apex_cli.core.analysis.frame import Frame
from apex_cli.core.market.calendar import session_bounds
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price

FIRST_DAY = date(2024, 1, 2)
CENT = Decimal("0.01")


def wander(seed: int, bars: int = 260, *, step: float = 0.02, drift: float = 0.0) -> Frame:
    """Return a random walk of daily bars: prices from 100 on, volumes around a million."""
    dice = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(dice.normal(drift, step, bars)))
    opening = close * np.exp(dice.normal(0, step / 2, bars))
    reach = np.abs(dice.normal(0, step / 2, (2, bars)))
    return Frame(
        symbol="WALK",
        ends=np.arange(bars, dtype=np.int64) * 86_400,
        open=opening,
        high=np.maximum(opening, close) * (1 + reach[0]),
        low=np.minimum(opening, close) * (1 - reach[1]),
        close=close,
        volume=np.exp(dice.normal(13.8, 0.4, bars)),
    )


def sessions(count: int, first: date = FIRST_DAY) -> list[tuple[datetime, datetime]]:
    """Return open and close of *count* NYSE sessions from *first* on."""
    found: list[tuple[datetime, datetime]] = []
    day = first
    while len(found) < count:
        if bounds := session_bounds(day):
            found.append(bounds)
        day += timedelta(days=1)
    return found


def bars_of(frame: Frame, symbol: str = "WALK", first: date = FIRST_DAY) -> list[Bar]:
    """Return *frame* as daily bars of real sessions, in cents."""
    rows = zip(frame.open, frame.high, frame.low, frame.close, frame.volume, strict=True)
    return [
        Bar(symbol=symbol, start=start, end=end, **_prices(row[:4]), volume=Decimal(int(row[4])))
        for (start, end), row in zip(sessions(len(frame), first), rows, strict=True)
    ]


def _prices(row: Iterable[float]) -> dict[str, Price]:
    prices = [Decimal(str(value)).quantize(CENT) for value in row]
    prices[1], prices[2] = max(prices), min(prices)
    return dict(zip(("open", "high", "low", "close"), map(Price, prices), strict=True))


class ListBars:
    """A ``BarSource`` of lists, and how often each symbol was asked for."""

    def __init__(self, bars: dict[str, Sequence[Bar]]) -> None:
        """Hold *bars* by symbol, oldest first."""
        self.by_symbol = bars
        self.asked: list[str] = []

    def symbols(self) -> Sequence[str]:
        """Return the symbols, in alphabetical order."""
        return sorted(self.by_symbol)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``."""
        self.asked.append(symbol)
        return [
            bar
            for bar in self.by_symbol.get(symbol, ())
            if (after is None or bar.end > after) and (until is None or bar.end <= until)
        ]
