"""Active stop management of a position: trailing, break-even, time exits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.market.calendar import NEW_YORK, market_status, session_bounds, session_date
from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.management import ManagementPlan
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.wording import price
from apex_cli.core.positions.holding import expiry_deadline, flat_from, holding_deadline

TRADE_BY_NIGHT = frozenset({MarketType.CRYPTO, MarketType.FOREX})


class Gain(Value, frozen=True, kw_only=True):
    """How far a position has come at one price."""

    price: Price
    distance: Decimal
    """Profit of one unit in price: negative is a loss."""

    unit: Decimal
    """1 R in price: from the planned entry to the first stop."""

    @property
    def r_multiple(self) -> Decimal:
        """Profit in R."""
        return self.distance / self.unit


def gain_of(position: Position, bracket: BracketRecord, price: Price) -> Gain:
    """Return what *position* has gained at *price*.

    distance = (price - entry price) * sign; 1 R = |planned entry - first stop|.
    """
    return Gain(
        price=price,
        distance=(price - position.entry_price) * position.side.sign,
        unit=bracket.price_risk,
    )


def is_tighter(position: Position, trigger: Price, other: Price) -> bool:
    """Return whether a stop at *trigger* is nearer to the price than one at *other*."""
    return (trigger - other) * position.side.sign > ZERO


class ManagedBy(Value, frozen=True, kw_only=True):
    """What will move the stop of a position, or close it."""

    trail_amount: Price | None = None
    """Distance of a trailing stop that works."""

    trails_from: Price | None = None
    """Price at which one begins, while none works."""

    is_stop_at_entry: bool = False
    """True when every working stop is at the entry price or better."""

    breakeven_from: Price | None = None
    """Price at which the stop goes to the entry price, while it does not stand there."""

    held_until: datetime | None = None
    """When it has been held long enough."""

    closed_before_expiry: datetime | None = None
    """From when on an option is closed before it expires."""

    flat_at: datetime | None = None
    """When it is closed before the close of the running, or next, session."""

    @property
    def words(self) -> tuple[str, ...]:
        """Each of these in a few words, New York time."""
        reported = (
            None if self.trail_amount is None else f"trail {price(self.trail_amount)}",
            None if self.trails_from is None else f"trail from {price(self.trails_from)}",
            "stop at entry" if self.is_stop_at_entry else None,
            None if self.breakeven_from is None else f"break-even from {price(self.breakeven_from)}",
            None if self.held_until is None else f"until {_in_new_york(self.held_until)}",
            None
            if self.closed_before_expiry is None
            else f"out {_in_new_york(self.closed_before_expiry)} before expiry",
            None if self.flat_at is None else f"flat {self.flat_at.astimezone(NEW_YORK):%H:%M}",
        )
        return tuple(word for word in reported if word is not None)


def _in_new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%a %m-%d %H:%M}"


def managed_by(
    position: Position,
    bracket: BracketRecord | None,
    orders: Iterable[OrderRecord],
    plan: ManagementPlan,
    now: datetime,
) -> ManagedBy:
    """Return what looks after *position* by *plan*, and what stands already.

    *orders* are all of the instrument. Without the plan that it was opened by nothing but its stops is known.
    """
    stops = [
        r.order
        for r in orders
        if r.status is OrderStatus.WORKING and r.order.order_type.is_stop and r.order.role is not OrderRole.ENTRY
    ]
    amounts = [stop.trail_amount for stop in stops if stop.order_type.row.trails and stop.trail_amount]
    triggers = [stop.stop_price for stop in stops if stop.stop_price is not None]
    at_entry = bool(triggers) and not any(is_tighter(position, position.entry_price, price) for price in triggers)
    known = ManagedBy(trail_amount=max(amounts, default=None), is_stop_at_entry=at_entry)
    return known if bracket is None else _with_plan(known, position, bracket, plan, now)


def _with_plan(
    known: ManagedBy, position: Position, bracket: BracketRecord, plan: ManagementPlan, now: datetime
) -> ManagedBy:
    """Return *known* with what the plan still has to do."""
    side = bracket.side.opposite
    sign, unit = position.side.sign, gain_of(position, bracket, position.entry_price).unit

    def price_at(r_multiple: Decimal | None) -> Price | None:
        if r_multiple is None:
            return None
        return on_tick(Price(position.entry_price + sign * unit * r_multiple), position.instrument, side)

    trails = known.trail_amount is not None
    return ManagedBy(
        trail_amount=known.trail_amount,
        trails_from=None if trails else price_at(plan.trailing.activate_at_r),
        is_stop_at_entry=known.is_stop_at_entry,
        breakeven_from=None if known.is_stop_at_entry else price_at(plan.breakeven_at_r),
        held_until=holding_deadline(position, plan.max_holding),
        closed_before_expiry=expiry_deadline(position.instrument, plan.options),
        flat_at=_flat_at(position, plan, now),
    )


def _flat_at(position: Position, plan: ManagementPlan, now: datetime) -> datetime | None:
    market_type = position.instrument.market_type
    running = flat_from(market_status(market_type, now), plan)
    bounds = session_bounds(session_date(now))
    if running is not None or plan.flat_at_close is None or bounds is None or market_type in TRADE_BY_NIGHT:
        return running
    return bounds[1] - timedelta(minutes=plan.flat_at_close)
