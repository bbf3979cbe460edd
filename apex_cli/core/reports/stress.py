"""Stress tests of the open positions: a gap, a day of the past, and correlated moves.

A move is a part of the price of what a position follows: 0.1 is 10 % up; an option follows its underlying. Losses of
moves are counted from the latest price to the price after the move, in account currency by the latest rate. No stop
makes them smaller: a stop that the price jumps over is filled beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import combinations, pairwise
from operator import mul
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.analysis.correlation import pearson, standardised
from apex_cli.core.market.calendar import NEW_YORK, day_of_bar
from apex_cli.core.market.expiry import is_adjusted
from apex_cli.core.market.option_value import theoretical_price
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ONE, ZERO, Price, Quantity, Usd
from apex_cli.core.model.position import profit
from apex_cli.core.model.side import PositionSide

GAPS = (Decimal("0.05"), Decimal("0.10"), Decimal("0.20"))
"""Parts of the price that every position is moved against its holder."""

A_YEAR = timedelta(days=365)
MOST_DAYS_APART = 5
"""Calendar days between two closes above which the change is not that of one session: a long weekend has four."""

LEAST_DAYS = 20
"""Common sessions below which no correlation is worked out."""


class Basis(StrEnum):
    """What the cost of a move was worked out from."""

    PRICE = "price"
    """The security's own price moves."""

    MODEL = "model"
    """An option by Black and Scholes, before and after the move of its underlying, its volatility unchanged."""

    BOUND = "bound"
    """The most it can be: a long option its premium, and no option more than its underlying's move."""


class DayReturn(Value, frozen=True, kw_only=True):
    """The change of one session's close from the one before, as a part of it."""

    day: date
    change: Decimal


class Held(Value, frozen=True, kw_only=True):
    """One open position, as a move of prices meets it."""

    key: str
    instrument: Instrument
    side: PositionSide
    quantity: Quantity
    price: Price
    """Latest."""

    rate: Rate | None = None
    """What the price is in, in account currency; None where it is that."""

    stop_price: Price | None = None
    underlying: Price | None = None
    """Latest price of the underlying; None for what is no option, or where it is not known."""

    volatility: float | None = None
    """Of the underlying, a year; None where it is not known."""

    interest: float = 0.0
    """A year, for the model."""

    returns: tuple[DayReturn, ...] = ()
    """Of what it follows, oldest first."""

    @property
    def is_option(self) -> bool:
        """True for what follows an underlying."""
        return self.instrument.market_type is MarketType.OPTIONS

    @property
    def direction(self) -> int:
        """1 when it gains from a rise of what it follows, -1 when from a fall."""
        return -self.side.sign if self.instrument.right is OptionRight.PUT else self.side.sign


class MoveCost(Value, frozen=True, kw_only=True):
    """What a move would bring one position."""

    key: str
    pnl: Usd
    basis: Basis


class GapCost(Value, frozen=True, kw_only=True):
    """What it costs when every price opens a part against its holder."""

    gap: Decimal
    loss: Usd
    """From the latest prices, >= 0."""

    stops_passed: int
    """Positions whose stop lies between the latest price and the one after the gap."""

    costs: tuple[MoveCost, ...]
    """By position, the worst first."""


class DayCost(Value, frozen=True, kw_only=True):
    """What a session of the past would bring the positions of now."""

    day: date
    pnl: Usd
    costs: tuple[MoveCost, ...]
    missing: tuple[str, ...] = ()
    """Keys of positions without a change on that day: they are not in the sum."""

    sessions: int = 0
    """Days of the last year that it is the worst of."""


class Correlation(Value, frozen=True, kw_only=True):
    """How the daily changes of what two positions follow go together."""

    first: str
    second: str
    value: Decimal
    """Pearson's, -1..1, in two decimals."""

    days: int
    """Sessions that both have."""

    is_added: bool
    """True where the two tend to lose on the same days, the sides of both counted."""


def day_returns(bars: Iterable[Bar], *, until: datetime) -> tuple[DayReturn, ...]:
    """Return the changes of the daily closes in *bars*, oldest first, of the year before *until*.

    Two closes more than five days apart give none: that change is not the one of a session.
    """
    closes: dict[date, Decimal] = {day_of_bar(bar.end): bar.close for bar in bars}
    first = (until - A_YEAR).astimezone(NEW_YORK).date()
    found = (
        DayReturn(day=day, change=close / before - 1)
        for (day_before, before), (day, close) in pairwise(closes.items())
        if before > ZERO and day > first and (day - day_before).days <= MOST_DAYS_APART
    )
    return tuple(found)


def cost_of(held: Held, move: Decimal, at: datetime) -> MoveCost | None:
    """Return what *move* of what it follows brings one position; None where nothing bounds it.

    long: quantity * price * move * multiplier; short: the negative of it. An option is priced by the model before and
    after; without one a move against its holder costs at the most its premium when long, and the move of its
    underlying. The rate of *held* is known; *move* is a part of the price, above -1.
    """
    if not held.is_option:
        return _cost(held, held.price * (ONE + move), Basis.PRICE)
    change, basis = _option_change(held, move, at)
    return None if change is None else _cost(held, max(held.price + change, ZERO), basis)


def gap_cost(book: Sequence[Held], gap: Decimal, at: datetime) -> GapCost:
    """Return what it costs when every position of *book* opens *gap* against its holder: longs down, shorts up."""
    costs = [(held, cost_of(held, -gap * held.direction, at)) for held in book]
    known = tuple(cost for _, cost in costs if cost is not None)
    return GapCost(
        gap=gap,
        loss=Usd(max(-sum((cost.pnl for cost in known), ZERO), ZERO)),
        stops_passed=sum(1 for held, _ in costs if _is_passed(held, gap, at)),
        costs=tuple(sorted(known, key=lambda cost: (cost.pnl, cost.key))),
    )


def worst_day(book: Sequence[Held], at: datetime) -> DayCost | None:
    """Return the session of the last year that would cost *book* most; None where no history gives one.

    A position without a change on that day is named, and is not in the sum. Options without a model are left out.
    """
    changes = {held.key: {each.day: each.change for each in held.returns} for held in book}
    days = sorted({day for found in changes.values() for day in found})
    found = [cost for day in days if (cost := _day_cost(book, changes, day, at)).costs]
    worst = min(found, key=lambda cost: (cost.pnl, cost.day), default=None)
    return None if worst is None else replace(worst, sessions=len(found))


def correlations(book: Sequence[Held]) -> tuple[Correlation, ...]:
    """Return how the daily changes of what is held go together, the strongest first; 20 common sessions are needed."""
    found = (_correlation(first, second) for first, second in combinations(map(_series, book), 2))
    known = [each for each in found if each is not None]
    return tuple(sorted(known, key=lambda each: (-abs(each.value), each.first, each.second)))


class _Series(NamedTuple):
    """The changes of one position's history."""

    held: Held
    changes: dict[date, float]
    unit: list[float] | None
    """Their distances from the mean, of length 1 together: two of the same days give the correlation by one product."""


def _series(held: Held) -> _Series:
    changes = {each.day: float(each.change) for each in held.returns}
    return _Series(held, changes, standardised(list(changes.values())))


def _cost(held: Held, price: Decimal, basis: Basis) -> MoveCost:
    gain = profit(held.side, held.price, price, held.quantity, held.instrument.multiplier)
    return MoveCost(key=held.key, pnl=worth(held.rate, gain, price or held.price), basis=basis)


def _option_change(held: Held, move: Decimal, at: datetime) -> tuple[Decimal | None, Basis]:
    """Return by how much the option's price changes when its underlying moves; None where nothing says so."""
    terms, spot = held.instrument, held.underlying
    has_terms = terms.expiry is not None and bool(terms.strike) and not is_adjusted(terms)
    if spot is not None and held.volatility is not None and has_terms:
        before, after = (
            theoretical_price(terms, Price(price), at, volatility=held.volatility, rate=held.interest)
            for price in (spot, spot * (ONE + move))
        )
        return after - before, Basis.MODEL
    if move * held.direction > ZERO:
        return None, Basis.BOUND
    if held.side is PositionSide.LONG:
        return -held.price if spot is None else -min(held.price, abs(move) * spot), Basis.BOUND
    return None if spot is None else abs(move) * spot, Basis.BOUND


def _is_passed(held: Held, gap: Decimal, at: datetime) -> bool:
    """Return whether *gap* jumps over the stop of a position."""
    cost = cost_of(held, -gap * held.direction, at)
    if held.stop_price is None or cost is None:
        return False
    at_stop = profit(held.side, held.price, held.stop_price, held.quantity, held.instrument.multiplier)
    return cost.pnl <= worth(held.rate, at_stop, held.stop_price)


def _day_cost(book: Sequence[Held], changes: dict[str, dict[date, Decimal]], day: date, at: datetime) -> DayCost:
    costs = []
    for held in book:
        change = changes[held.key].get(day)
        cost = None if change is None else cost_of(held, change, at)
        if cost is not None and cost.basis is not Basis.BOUND:
            costs.append(cost)
    known = {cost.key for cost in costs}
    return DayCost(
        day=day,
        pnl=Usd(sum((cost.pnl for cost in costs), ZERO)),
        costs=tuple(sorted(costs, key=lambda cost: (cost.pnl, cost.key))),
        missing=tuple(held.key for held in book if held.key not in known),
    )


def _correlation(one: _Series, other: _Series) -> Correlation | None:
    is_same = one.changes.keys() == other.changes.keys()
    days = one.changes.keys() if is_same else sorted(one.changes.keys() & other.changes.keys())
    if len(days) < LEAST_DAYS:
        return None
    if is_same:
        exact = None if one.unit is None or other.unit is None else sum(map(mul, one.unit, other.unit))
    else:
        exact = pearson(*([each.changes[day] for day in days] for each in (one, other)))
    if exact is None:
        return None
    value, first, second = round(Decimal(exact), 2), one.held, other.held
    is_added = value * first.direction * second.direction > 0
    return Correlation(first=first.key, second=second.key, value=value, days=len(days), is_added=is_added)
