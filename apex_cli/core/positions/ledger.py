"""The ledger: fills fold into positions and round trips.

A holding is carried at average cost from flat to flat. A fill that goes through zero closes one holding and opens
the next; its commission is split by quantity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ONE, ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.position import Position, RoundTrip, profit, profit_pct
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide

EXIT_REASONS = {OrderRole.STOP: "stop", OrderRole.TARGET: "target", OrderRole.CLOSE: "manual"}
"""By the role of the order that closed the last unit; anything else happened ``outside``."""

NO_PLANS: Mapping[str, BracketRecord] = {}

_SIDES = {OrderSide.BUY: PositionSide.LONG, OrderSide.SELL: PositionSide.SHORT}


class Folded(Value, frozen=True, kw_only=True):
    """Position and closed trades that a list of fills of one instrument makes."""

    position: Position | None
    round_trips: tuple[RoundTrip, ...]
    """In order of their exits."""


def in_order(fills: Iterable[Fill]) -> list[Fill]:
    """Return each execution once, its newest correction, sorted by time, then key.

    Of one execution the highest revision counts, and of equal revisions the last one that knows its commission.
    """
    newest: dict[str, Fill] = {}
    for fill in fills:
        known = newest.setdefault(fill.key, fill)
        if known is not fill and supersedes(fill, known):
            newest[fill.key] = fill
    return sorted(newest.values(), key=lambda fill: (fill.filled_at, fill.key))


def supersedes(fill: Fill, known: Fill) -> bool:
    """Return whether *fill*, delivered after *known*, says more: a correction, or another commission than before."""
    if fill.revision != known.revision:
        return fill.revision > known.revision
    return fill.commission not in {ZERO, known.commission}


def fold(carried: Position | None, fills: Iterable[Fill], plans: Mapping[str, BracketRecord] = NO_PLANS) -> Folded:
    """Return what *fills* of one instrument make of the *carried* position.

    Args:
        carried: the position before the first fill; None when flat.
        fills: in any order, with any repetition and correction.
        plans: entry decisions by ``bracket_id``, for the round trips' origin and initial risk.

    Raises:
        ValueError: a fill is of another instrument.
    """
    position = carried
    round_trips: list[RoundTrip] = []
    for fill in in_order(fills):
        position, closed = apply_fill(position, fill, plans)
        round_trips.extend(closed)
    return Folded(position=position, round_trips=tuple(round_trips))


def apply_fill(
    position: Position | None, fill: Fill, plans: Mapping[str, BracketRecord] = NO_PLANS
) -> tuple[Position | None, tuple[RoundTrip, ...]]:
    """Return the position after *fill*, and the round trip, if any, that it ended by going flat or through zero.

    Fills must come in order of time, then key, each once: otherwise ``fold`` again.

    Raises:
        ValueError: *fill* is of another instrument than *position*.
    """
    side = _SIDES[fill.side]
    if not fill.quantity:  # an execution that the venue took back
        return position, ()
    if position is None:
        return _opened(fill, side, fill.quantity, fill.cost), ()
    if position.instrument != fill.instrument and position.instrument.key != fill.instrument.key:
        raise ValueError(f"fill {fill.exec_id} is of {fill.instrument.key}, the position of {position.instrument.key}")
    if position.side is side:
        return _increased(position, fill), ()
    rest = fill.quantity - position.quantity
    if rest < ZERO:
        return _reduced(position, fill), ()
    if not rest:
        return None, (_closed(position, fill, fill.quantity, fill.cost, plans),)
    closing_commission = Usd(fill.cost * position.quantity / fill.quantity)
    closed = _closed(position, fill, position.quantity, closing_commission, plans)
    return _opened(fill, side, Quantity(rest), Usd(fill.cost - closing_commission)), (closed,)


def _opened(fill: Fill, side: PositionSide, quantity: Quantity, commission: Usd) -> Position:
    return Position(
        instrument=fill.instrument,
        side=side,
        quantity=quantity,
        entry_price=fill.price,
        entry_time=fill.filled_at,
        bracket_id=fill.bracket_id if fill.role is OrderRole.ENTRY else "",
        opened_quantity=quantity,
        opened_value=fill.price * quantity,
        commission=commission,
        first_fill_key=fill.key,
        is_theoretical=fill.is_theoretical,
    )


def _increased(position: Position, fill: Fill) -> Position:
    """Return *position* with more: average cost = (held * entry + added * price) / (held + added)."""
    quantity = position.quantity + fill.quantity
    opened_value = position.opened_value + fill.price * fill.quantity
    if position.closed_quantity:
        value = position.entry_price * position.quantity + fill.price * fill.quantity
    else:
        value = opened_value
    return Position(
        instrument=position.instrument,
        side=position.side,
        quantity=Quantity(quantity),
        entry_price=Price(value / quantity),
        entry_time=position.entry_time,
        bracket_id=position.bracket_id,
        opened_quantity=Quantity(position.opened_quantity + fill.quantity),
        opened_value=opened_value,
        closed_quantity=position.closed_quantity,
        closed_value=position.closed_value,
        realized_pnl=position.realized_pnl,
        quote_pnl=position.quote_pnl,
        commission=Usd(position.commission + fill.cost),
        first_fill_key=position.first_fill_key,
        is_theoretical=position.is_theoretical or fill.is_theoretical,
    )


def _reduced(position: Position, fill: Fill) -> Position:
    """Return *position* with less; the average cost of the rest stays."""
    quantity, price, multiplier = fill.quantity, fill.price, position.instrument.multiplier
    gain = profit(position.side, position.entry_price, price, quantity, multiplier)
    return Position(
        instrument=position.instrument,
        side=position.side,
        quantity=Quantity(position.quantity - quantity),
        entry_price=position.entry_price,
        entry_time=position.entry_time,
        bracket_id=position.bracket_id,
        opened_quantity=position.opened_quantity,
        opened_value=position.opened_value,
        closed_quantity=Quantity(position.closed_quantity + quantity),
        closed_value=position.closed_value + price * quantity,
        realized_pnl=Usd(position.realized_pnl + worth(fill.rate, gain, price)),
        quote_pnl=None if fill.rate is None else _earned(position) + gain,
        commission=Usd(position.commission + fill.cost),
        first_fill_key=position.first_fill_key,
        is_theoretical=position.is_theoretical or fill.is_theoretical,
    )


def _exit_reason(fill: Fill) -> str:
    if fill.settlement is not None:
        return fill.settlement
    return EXIT_REASONS.get(fill.role, "outside") if fill.role else "outside"


def _closed(
    position: Position, fill: Fill, quantity: Quantity, commission: Usd, plans: Mapping[str, BracketRecord]
) -> RoundTrip:
    """Return the round trip whose last *quantity* units *fill* closes.

    P&L is taken from the opened and closed values: the profit over the mean prices, without their rounding.
    """
    opened, opened_value = position.opened_quantity, position.opened_value
    closed_value = position.closed_value + fill.price * quantity
    plan = plans.get(position.bracket_id)
    gain = profit(position.side, opened_value, closed_value, ONE, position.instrument.multiplier)
    return RoundTrip(
        round_trip_id=position.first_fill_key,
        bracket_id=position.bracket_id,
        signal_id=plan.signal_id if plan else "",
        strategy=plan.strategy if plan else "",
        instrument=position.instrument,
        side=position.side,
        quantity=opened,
        entry_price=Price(opened_value / opened),
        exit_price=Price(closed_value / opened),
        entry_time=position.entry_time,
        exit_time=fill.filled_at,
        pnl=gain if fill.rate is None else _in_base(position, gain, fill.rate, fill.price),
        quote_pnl=None if fill.rate is None else gain,
        rate=fill.rate,
        pnl_pct=profit_pct(position.side, opened_value, closed_value),
        commission=Usd(position.commission + commission),
        initial_risk=Usd(plan.risk_per_unit * opened) if plan else None,
        exit_reason=_exit_reason(fill),
        is_theoretical=position.is_theoretical or fill.is_theoretical,
    )


def _earned(position: Position) -> Decimal:
    """Return what was closed has earned, in the currency of the prices."""
    return position.realized_pnl if position.quote_pnl is None else position.quote_pnl


def _in_base(position: Position, gain: Usd, rate: Rate, price: Price) -> Usd:
    """Return *gain*, the profit of all units in the currency of their prices, in account currency.

    What was closed before keeps the rate of its own fills.
    """
    return Usd(position.realized_pnl + rate.worth(gain - _earned(position), price))
