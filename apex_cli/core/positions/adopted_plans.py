"""Plans of positions that no signal opened; they hold a stop alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import NothingToDo
from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.fill import ADOPTED, Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.position import Position, risk_per_unit
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.ports import StateStore
from apex_cli.core.positions.booking import fold_in
from apex_cli.core.state.events.book_events import PositionAdopted
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State


def give_plan(
    store: StateStore,
    position: Position,
    name: str,
    now: datetime,
    *,
    stop: Price,
    rate: Rate | None,
    stop_limit_pct: Decimal | None,
) -> None:
    """Give a position without a plan one with a stop: the execution that opened it becomes its entry.

    *name* is a ULID, the plan's bracket id. *rate* is what the prices are in, None where that is the account's
    currency. *stop_limit_pct* is how far the limit of the stop lies beyond its trigger, None for a stop at market.

    Raises:
        NothingToDo: the execution that opened it is too old to be known.
    """
    instrument = position.instrument
    side = position.side.closed_by.opposite
    plan = plan_of_holding(
        name, instrument, side, position.quantity, price=position.entry_price, stop=stop, rate=rate, now=now
    )
    plan = replace(plan, stop_limit_pct=stop_limit_pct)
    with store.transaction() as tx:
        first: Fill | None = tx.fills.get(position.first_fill_key)
        if first is None:
            raise NothingToDo(
                "opening_too_old", f"{instrument.key}: the execution that opened it is too old to be given a plan."
            )
        tx.brackets[name] = plan
        tx.emit(PositionAdopted(at=now, subject=instrument.key, data=plan))
        name_fraction(tx, instrument, plan.quantity, now)
        fold_in(tx, replace(first, bracket_id=name, role=OrderRole.ENTRY), now)


def name_fraction(tx: State, instrument: Instrument, quantity: Quantity, now: datetime) -> None:
    """Raise an alarm for the part of *quantity* that no order can protect or close."""
    fraction = quantity % instrument.quantity_step
    if fraction:
        message = (
            f"{instrument.key}: {fraction} of {quantity} are less than one unit: no stop protects them, and only the "
            f"broker's own program closes them."
        )
        alarm = Alarm(code="fraction_unprotected", message=message)
        tx.emit(AlarmRaised(at=now, subject=instrument.key, data=alarm))


def plan_of_holding(
    name: str,
    instrument: Instrument,
    side: OrderSide,
    quantity: Quantity,
    *,
    price: Price,
    stop: Price,
    rate: Rate | None,
    now: datetime,
) -> BracketRecord:
    """Return the plan of a holding that was taken over: nothing but its stop."""
    stop = on_tick(stop, instrument, side.opposite)
    return BracketRecord(
        bracket_id=name,
        signal_id=f"{ADOPTED}{name}",
        strategy="adopted",
        instrument=instrument,
        side=side,
        quantity=quantity,
        entry_price=price,
        stop_price=stop,
        risk_per_unit=worth(rate, risk_per_unit(price, stop, instrument.multiplier), stop),
        rate=rate,
        created_at=now,
    )
