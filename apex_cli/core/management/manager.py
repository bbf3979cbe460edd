"""Manager: moves the stops of open positions in the loop, by the rules of section ``management``.

Rules say what is wanted (``stops``, ``targets``); this module asks the broker for it. An order
is on disk before it leaves, a stop is cancelled only after its stand-in is confirmed, and what the broker does not
confirm is reported and asked again after a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.errors import BusyError
from apex_cli.core.execution.guard import Guard, changes_of
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.management.attempts import Attempts
from apex_cli.core.management.stops import (
    DropStop,
    EndEntries,
    MoveStop,
    StartTrail,
    StopChange,
    stop_changes,
)
from apex_cli.core.management.targets import missing_targets
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.management import ManagementLimits, ManagementPlan
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.positions.managed_by import gain_of, is_tighter
from apex_cli.core.positions.protection import ExitFacts, exit_facts, is_unsure, orders_of
from apex_cli.core.state.events.management_events import (
    EntryEnd,
    EntryEnded,
    RestoredTarget,
    StopMove,
    StopMoved,
    StopReplaced,
    StopReplacement,
    TargetRestored,
    TrailStart,
    TrailStarted,
)
from apex_cli.core.state.tables import State

MOST_ROUNDS = 4
"""Looks at one position in one cycle: the entry ends, a trailing stop begins, the old stop goes."""


class Manager:
    """A chore of the loop: trailing stops, break-even, targets that come back."""

    def __init__(
        self,
        *,
        orders: Orders,
        guard: Guard,
        gatherer: Gatherer,
        store: StateStore,
        clock: Clock,
        management: ManagementLimits,
    ) -> None:
        """Look after what is held by the rules of *management*, at the prices of *gatherer*."""
        self._orders = orders
        self._guard = guard
        self._gatherer = gatherer
        self._store = store
        self._management = management
        self._moves_stops = any(plan.moves_stops for plan in (management, *management.strategies.values()))
        self._clock = clock
        self._attempts = Attempts(store, clock)
        self._seen: State | None = None
        self._seen_changes: tuple[object, ...] = ()
        self._complete: dict[str, ExitFacts] = {}
        """By security: as it was when no target was missing."""

    async def tend(self, now: datetime) -> bool:
        """Move what is to be moved, for every position; True when something changed."""
        changed = False
        state = self._store.view()
        changes = changes_of(state)
        is_new = state is not self._seen or changes != self._seen_changes
        if not (is_new or self._moves_stops or self._attempts.has_trouble):
            return False
        if is_new:
            self._seen, self._seen_changes = state, changes
            self._complete = {key: facts for key, facts in self._complete.items() if key in state.positions}
        for key in list(state.positions):
            may_lack_target = is_new or self._attempts.has_failed(f"target {key}")
            known = self._complete.get(key)
            facts = exit_facts(self._store.view(), key, known) if may_lack_target else None
            if facts is known:
                facts = None
            if facts is not None or self._moves_stops:
                changed = await self._tend_one(key, facts, now) or changed
        return changed

    async def _tend_one(self, key: str, facts: ExitFacts | None, now: datetime) -> bool:
        """Put targets back that *facts* may lack, and move stops."""
        row, bracket = self._held(key)
        if row is None or bracket is None:
            return False
        plan = self._management.plan_for(bracket.strategy)
        has_target = facts is not None and await self._restore_targets(key, row.position, bracket, facts, now)
        return await self._manage_stops(key, plan, now) or has_target

    def _held(self, key: str) -> tuple[PositionRecord | None, BracketRecord | None]:
        state = self._store.view()
        row: PositionRecord | None = state.positions.get(key)
        bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id) if row else None
        return row, bracket

    # Targets

    async def _restore_targets(
        self, key: str, position: Position, bracket: BracketRecord, facts: ExitFacts, now: datetime
    ) -> bool:
        """Put targets back whose place a limit close took that has expired."""
        state = self._store.view()
        if not self._attempts.may(f"target {key}", now):
            return False
        targets = missing_targets(position, bracket, facts.orders)
        if not targets:
            self._complete[key] = facts
        if targets and state.trading.mode is TradingMode.HALTED:
            self._attempts.put_off(f"target {key}")
            return False
        for order in targets:
            target = RestoredTarget(
                client_order_id=order.client_order_id,
                symbol=key,
                limit_price=order.limit_price or position.entry_price,
                quantity=order.quantity,
            )
            record = await self._place(order, TargetRestored(at=now, subject=bracket.signal_id, data=target))
            if record.status is not OrderStatus.WORKING:
                message = f"{key}: the target could not be put back: {record.reason or record.status.lower()}"
                self._attempts.failed(
                    f"target {key}", code="target_not_restored", message=message, subject=bracket.signal_id
                )
        return bool(targets)

    # Stops

    async def _manage_stops(self, key: str, plan: ManagementPlan, now: datetime) -> bool:
        """Move stops and begin trailing, as long as the broker confirms what it is asked for."""
        changed = False
        if not plan.moves_stops:
            return changed
        for _ in range(MOST_ROUNDS):
            row, bracket = self._held(key)
            quote = self._gatherer.quote(row.position.instrument, now) if row else None
            if row is None or bracket is None or quote is None or not self._attempts.may(key, now):
                break
            orders = orders_of(self._store.view(), key)
            changes = stop_changes(row.position, bracket, orders, plan, quote.price)
            if not changes or not await self._change_stops(key, row.position, bracket, changes, quote.price, now):
                break
            changed = True
        return changed

    async def _change_stops(  # noqa: PLR0917 - private, called once
        self,
        key: str,
        position: Position,
        bracket: BracketRecord,
        changes: Sequence[StopChange],
        price: Price,
        now: datetime,
    ) -> bool:
        """Carry *changes* out; False when nobody may touch these exits now."""
        r_multiple = gain_of(position, bracket, price).r_multiple
        try:
            with self._guard.hands_off(key):
                for change in changes:
                    match change:
                        case MoveStop():
                            await self._move(position, bracket, change, price, r_multiple)
                        case StartTrail():
                            await self._start_trail(bracket, change, price, r_multiple, now)
                        case DropStop():
                            await self._drop(key, bracket, change)
                        case EndEntries():
                            await self._end_entries(key, bracket, change, r_multiple)
        except BusyError:
            return False
        return True

    async def _move(
        self,
        position: Position,
        bracket: BracketRecord,
        change: MoveStop,
        price: Price,
        r_multiple: Decimal,
    ) -> None:
        name, to = change.order.client_order_id, change.order.stop_price or change.from_price
        failure = await self._orders.change((change.order,))
        name = self._orders.replacement_of(name)

        def is_there(record: OrderRecord | None) -> bool:
            stands = record.order.stop_price if record is not None else None
            return stands is not None and not is_tighter(position, to, stands)

        if failure is None:
            await self._orders.settle(
                lambda state: state.orders[name].status.is_final or is_there(state.orders.get(name))
            )
        record: OrderRecord = self._store.view().orders[name]
        key = position.instrument.key
        if is_there(record):
            move = StopMove(
                client_order_id=name,
                symbol=key,
                why=change.why,
                from_price=change.from_price,
                to_price=record.order.stop_price or to,
                price=price,
                r_multiple=r_multiple,
            )
            self._attempts.note(StopMoved(at=self._clock.now(), subject=bracket.signal_id, data=move))
        elif record.is_open:
            why = failure.message if failure else record.reason or "the broker did not confirm it."
            message = f"{key}: the stop {name} could not be moved from {change.from_price} to {to}: {why}"
            self._attempts.failed(key, code="stop_not_moved", message=message, subject=bracket.signal_id)

    async def _start_trail(
        self, bracket: BracketRecord, change: StartTrail, price: Price, r_multiple: Decimal, now: datetime
    ) -> None:
        order, key = change.order, change.order.instrument.key
        trail = TrailStart(
            client_order_id=order.client_order_id,
            symbol=key,
            replaces=change.replaces,
            stop_price=order.stop_price or price,
            trail_amount=order.trail_amount or price,
            price=price,
            r_multiple=r_multiple,
        )
        record = await self._place(order, TrailStarted(at=now, subject=bracket.signal_id, data=trail))
        if record.status not in {OrderStatus.WORKING, OrderStatus.FILLED}:
            message = (
                f"{key}: the trailing stop could not be placed: {record.reason or record.status.lower()} "
                f"The stop {change.replaces} stays."
            )
            self._attempts.failed(key, code="trail_not_placed", message=message, subject=bracket.signal_id)

    async def _drop(self, key: str, bracket: BracketRecord, change: DropStop) -> None:
        name = change.client_order_id
        failure = await self._orders.cancel((name,))
        if failure is None and await self._orders.settle(lambda state: state.orders[name].status.is_final):
            gone = StopReplacement(client_order_id=name, symbol=key, replaced_by=change.replaced_by)
            self._attempts.note(StopReplaced(at=self._clock.now(), subject=bracket.signal_id, data=gone))
            return
        why = failure.message if failure else "The broker did not confirm it."
        message = f"{key}: the old stop {name} beside the trailing {change.replaced_by} could not be cancelled: {why}"
        self._attempts.failed(key, code="stop_not_cancelled", message=message, subject=bracket.signal_id)

    async def _end_entries(self, key: str, bracket: BracketRecord, change: EndEntries, r_multiple: Decimal) -> None:
        names = change.client_order_ids
        with self._store.transaction() as tx:
            tx.resting.pop(bracket.bracket_id, None)
        failure = await self._orders.cancel(names)
        if failure is None and await self._orders.settle(
            lambda state: all(state.orders[name].status.is_final for name in names)
        ):
            end = EntryEnd(client_order_ids=names, symbol=key, r_multiple=r_multiple)
            self._attempts.note(EntryEnded(at=self._clock.now(), subject=bracket.signal_id, data=end))
            return
        why = failure.message if failure else "The broker did not confirm it."
        message = f"{key}: what is left of the entry could not be cancelled before the stop is moved: {why}"
        self._attempts.failed(key, code="entry_not_cancelled", message=message, subject=bracket.signal_id)

    # Both

    async def _place(self, order: Order, event: TargetRestored | TrailStarted) -> OrderRecord:
        """Write *order* as an intent together with its *event*, send it, and return what became of it."""
        with self._store.transaction() as tx:
            tx.emit(event)
            self._orders.intend(tx, (order,), event.at, subject=event.subject)
        name = order.client_order_id
        if await self._orders.send((order,)):
            await self._orders.settle(lambda state: not is_unsure(state.orders[name]))
        return self._orders.records((order,))[0]
