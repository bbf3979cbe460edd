"""Moves the stops of a position to where a person wants them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.execution.close_terms import find_position
from apex_cli.core.execution.guard import Guard
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.request import StopRequest, StopsMoved
from apex_cli.core.ports import Clock, PriceOf, StateStore
from apex_cli.core.positions.managed_by import gain_of, is_tighter
from apex_cli.core.positions.protection import is_unsure, orders_of, tightest
from apex_cli.core.state.events.management_events import StopMove, StopMoved

BY_HAND = "hand"
"""Why a stop was moved: a person wanted it there."""


class StopMover:
    """Changes working stops while the guard leaves them alone."""

    def __init__(
        self,
        *,
        orders: Orders,
        guard: Guard,
        store: StateStore,
        clock: Clock,
        price_of: PriceOf,
    ) -> None:
        """Keep the parts; a stop that *price_of* has passed already is refused."""
        self._orders = orders
        self._guard = guard
        self._store = store
        self._clock = clock
        self._price_of = price_of

    async def move(self, request: StopRequest) -> StopsMoved:
        """Move every stop of a position to one price, and return where they stand.

        Raises:
            NothingToDo: nothing is held, or they stand there already.
            RefusedError: no stop works, the price has passed the new one, more would be lost, or the broker refused.
            OutcomeUnknownError: an order's fate is unknown, or the broker did not confirm in time.
            BrokerError: the broker cannot be reached; nothing was changed.
            BusyError: the position is being closed.
        """
        self._orders.sync()
        state = self._store.view()
        row = find_position(state, request.symbol)
        position, key = row.position, row.position.instrument.key
        price = await self._price_of(position.instrument) or row.current_price
        stops = movable_stops(position, orders_of(state, key))
        to = wanted_stop(position, request, stops, price)
        await self._orders.require_ready(stop.order.client_order_id for stop in stops)
        with self._guard.hands_off(key):
            failure = await self._orders.change(moved(position, stop.order, to) for stop in stops)
            names = [self._orders.replacement_of(stop.order.client_order_id) for stop in stops]
            await self._orders.settle(lambda state: all(_stands(state.orders.get(name), to) for name in names))
        state = self._store.view()
        lacking = [name for name in names if not _stands(state.orders.get(name), to)]
        if lacking:
            why = failure.message if failure else next(filter(None, map(self._orders.refusal_of, lacking)), "")
            raise _not_moved(key, to, why)
        self._note(position, stops, names, to, price)
        return StopsMoved(
            symbol=key,
            from_price=tightest(position, [stop.order.stop_price for stop in stops if stop.order.stop_price]),
            to_price=to,
            quantity=Quantity(sum((stop.open_quantity for stop in stops), ZERO)),
        )

    def _note(
        self, position: Position, stops: Sequence[OrderRecord], names: Sequence[str], to: Price, price: Price
    ) -> None:
        bracket: BracketRecord | None = self._store.view().brackets.get(position.bracket_id)
        with self._store.transaction() as tx:
            for stop, name in zip(stops, names, strict=True):
                move = StopMove(
                    client_order_id=name,
                    symbol=position.instrument.key,
                    why=BY_HAND,
                    from_price=stop.order.stop_price or to,
                    to_price=to,
                    price=price,
                    r_multiple=gain_of(position, bracket, price).r_multiple if bracket else Decimal(0),
                )
                subject = bracket.signal_id if bracket else ""
                tx.emit(StopMoved(at=self._clock.now(), subject=subject, data=move))


def movable_stops(position: Position, records: Iterable[OrderRecord]) -> tuple[OrderRecord, ...]:
    """Return the working stops of *position*.

    Raises:
        OutcomeUnknownError: the fate of one of its orders is unknown.
        RefusedError: it has no stop that works, or one that follows the price by itself.
    """
    records, key = tuple(records), position.instrument.key
    unsure = next((record.order.client_order_id for record in records if is_unsure(record)), "")
    if unsure:
        hint = "Look at apex orders; apex run --once asks the broker again."
        raise OutcomeUnknownError("order_unknown", f"{key}: the outcome of {unsure} is unknown.", hint=hint)
    side = position.side.closed_by
    working = (r for r in records if r.status is OrderStatus.WORKING and r.order.side is side)
    stops = tuple(r for r in working if r.order.order_type.is_stop and r.order.stop_price is not None)
    if not stops:
        hint = "apex reconcile --repair puts a stop back."
        raise RefusedError("no_stop", f"{key} has no working stop to move.", hint=hint)
    if any(stop.order.order_type.row.trails for stop in stops):
        hint = "Close a part of the position instead."
        raise RefusedError("stop_trails", f"The stop of {key} follows the price at the broker already.", hint=hint)
    return stops


def wanted_stop(position: Position, request: StopRequest, stops: Sequence[OrderRecord], price: Price) -> Price:
    """Return the trigger that *request* asks for, on the grid of ticks.

    Raises:
        NothingToDo: the stops stand there already.
        RefusedError: *price* has passed it, or more would be lost and nobody confirmed that.
    """
    key, level = position.instrument.key, request.stop_price or position.entry_price
    to = on_tick(level, position.instrument, position.side.closed_by)
    if to <= ZERO or (price - to) * position.side.sign <= ZERO:
        hint = "Name a stop that the price has not reached, or close the position."
        raise RefusedError("stop_passed", f"{key} is at {price}; a stop at {to} would close it at once.", hint=hint)
    stands = [stop.order.stop_price for stop in stops if stop.order.stop_price is not None]
    if all(each == to for each in stands):
        raise NothingToDo("stop_there", f"The stop of {key} stands at {to} already.")
    if not request.widens and any(is_tighter(position, each, to) for each in stands):
        found = ", ".join(map(str, dict.fromkeys(stands)))
        hint = "Confirm that more may be lost (apex move-stop --wider), or name a stop nearer to the price."
        raise RefusedError("stop_widens", f"{key}: a stop at {to} risks more than the one at {found}.", hint=hint)
    return to


def moved(position: Position, stop: Order, to: Price) -> Order:
    """Return *stop* with its trigger at *to*; a limit moves along."""
    if stop.limit_price is None or stop.stop_price is None:
        return replace(stop, stop_price=to)
    limit = on_tick(Price(stop.limit_price + to - stop.stop_price), position.instrument, position.side.closed_by)
    return replace(stop, stop_price=to, limit_price=limit)


def _stands(record: OrderRecord | None, to: Price) -> bool:
    return record is not None and record.status is OrderStatus.WORKING and record.order.stop_price == to


def _not_moved(key: str, to: Price, why: str) -> RefusedError | OutcomeUnknownError:
    hint = "Look at apex orders, then try again."
    if why:
        return RefusedError("stop_not_moved", f"{key}: the broker did not move the stop to {to}: {why}", hint=hint)
    return OutcomeUnknownError("stop_unconfirmed", f"{key}: the broker did not confirm a stop at {to}.", hint=hint)
