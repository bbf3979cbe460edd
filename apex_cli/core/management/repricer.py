"""Repricer: limit entries that rest follow the price, within bounds, and are never there twice.

The steps, each on disk before the next: the new price is noted; the resting entries are cancelled; the broker confirms
the cancels, and reports in one complete answer what they have filled; what is left is decided again; its orders are
written down; they leave. Whatever is killed in between, the next look continues from what is on disk, and all entries
of the bracket together never ask for more than was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.errors import BusyError
from apex_cli.core.execution.guard import Guard
from apex_cli.core.execution.order_manager import SOUND, Orders
from apex_cli.core.management.attempts import Attempts
from apex_cli.core.management.price_steps import (
    allowed_rest,
    filled_quantity,
    fresh_entries,
    lost_price,
    next_price,
    repriced_bracket,
    unsent_quantity,
)
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import BracketRecord, RestingEntry
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.positions.protection import is_unsure
from apex_cli.core.state.events.management_events import PriceStep, RefusedStep, Repriced, RepriceRefused


class Repricer:
    """A chore of the loop: resting limit entries follow the price."""

    def __init__(
        self, *, orders: Orders, guard: Guard, gatherer: Gatherer, store: StateStore, clock: Clock, limits: Limits
    ) -> None:
        """Re-price entries within *limits*, on what *gatherer* knows."""
        self._orders = orders
        self._guard = guard
        self._gatherer = gatherer
        self._store = store
        self._limits = limits
        self._attempts = Attempts(store, clock)
        self._refused: dict[str, tuple[str, ...]] = {}
        """Codes of the last refusal by bracket: the same is reported once a run."""

    async def tend(self, now: datetime) -> bool:
        """Re-price what has rested long enough; True when something changed."""
        changed = False
        for entry in list(self._store.view().resting.values()):
            if self._attempts.may(entry.bracket_id, now):
                changed = await self._tend_one(entry, now) or changed
        return changed

    async def _tend_one(self, entry: RestingEntry, now: datetime) -> bool:
        bracket: BracketRecord | None = self._store.view().brackets.get(entry.bracket_id)
        records = self._entries(entry)
        if any(map(is_unsure, self._known(entry).values())):
            return False
        reprice = self._limits.execution.reprice
        wanted = entry.next_price or lost_price(entry, records, reprice)
        is_over = all(record.status.is_final for record in records)
        if bracket is None or (is_over and wanted is None):
            self._forget(entry)
            return False
        quote = self._gatherer.quote(bracket.instrument, now)
        price = wanted or next_price(entry, reprice, quote.price if quote else None, now)
        if price is None:
            return False
        try:
            with self._guard.hands_off(bracket.instrument.key):
                return await self._reprice(entry, bracket, price, now)
        except BusyError:
            return False

    async def _reprice(self, entry: RestingEntry, bracket: BracketRecord, price: Price, now: datetime) -> bool:
        """Cancel what rests, and send what is left of it at *price*."""
        if any(record.is_open for record in self._entries(entry)):
            allowed = await self._allowed(entry, bracket, price)
            if isinstance(allowed, tuple):
                self._refuse(replace(entry, next_price=None), price, allowed, now, is_over=False)
                return False
            entry = self._note_price(entry, price)
            if not await self._cancelled(entry, bracket):
                return True
        if not (await self._orders.confirm()).is_complete or any(map(is_unsure, self._known(entry).values())):
            self._attempts.put_off(entry.bracket_id)
            return True
        if not unsent_quantity(bracket, self._known(entry).values()):
            self._forget(entry)
            return True
        allowed = await self._allowed(entry, bracket, price)
        if isinstance(allowed, tuple):
            self._refuse(entry, price, allowed, now, is_over=True)
            return True
        await self._send(entry, bracket, price, allowed, now)
        return True

    async def _allowed(
        self, entry: RestingEntry, bracket: BracketRecord, price: Price
    ) -> Quantity | tuple[Reason, ...]:
        """Return how much may be sent at *price* by everything known now, or why nothing may."""
        orders = self._known(entry).values()
        filled = filled_quantity(bracket, orders)
        resting = sum(record.open_quantity for record in self._entries(entry))
        rest = Quantity(unsent_quantity(bracket, orders) + resting)
        snapshot = await self._gatherer.snapshot(self._store.view(), entry.opportunity, quantity=rest)
        return allowed_rest(entry, snapshot, self._limits, price, filled, rest)

    async def _cancelled(self, entry: RestingEntry, bracket: BracketRecord) -> bool:
        """Cancel the resting entries; False, with an alarm, when the broker does not confirm it."""
        names = [record.order.client_order_id for record in self._entries(entry) if record.is_open]
        failure = await self._orders.cancel(names)
        if failure is None and await self._orders.settle(
            lambda state: all(state.orders[name].status.is_final for name in names)
        ):
            return True
        why = failure.message if failure else "the broker did not confirm it."
        message = f"{bracket.instrument.key}: the entry {', '.join(names)} could not be cancelled to re-price it: {why}"
        self._attempts.failed(entry.bracket_id, code="reprice_failed", message=message, subject=bracket.signal_id)
        return False

    async def _send(
        self, entry: RestingEntry, bracket: BracketRecord, price: Price, quantity: Quantity, now: datetime
    ) -> None:
        """Write the fresh entries down together with where the re-pricing stands, and send them."""
        with self._store.transaction() as tx:
            if entry.bracket_id not in tx.resting:
                return
            known = {n: r for n, r in tx.orders.items() if r.order.bracket_id == bracket.bracket_id}
            most = Quantity(min(quantity, unsent_quantity(bracket, known.values())))
            fractions = entry.opportunity.signal.target_fractions
            orders = fresh_entries(bracket, known, entry.entries, price=price, quantity=most, fractions=fractions)
            if not orders:
                del tx.resting[entry.bracket_id]
                return
            planned = repriced_bracket(bracket, known.values(), price, most)
            tx.brackets[bracket.bracket_id] = planned
            tx.resting[entry.bracket_id] = replace(
                entry,
                entries=tuple(o.client_order_id for o in orders if o.parent_id is None),
                price=price,
                since=now,
                times=entry.times + 1,
                next_price=None,
            )
            step = _step(entry, planned, price, most, filled_quantity(bracket, known.values()))
            tx.emit(Repriced(at=now, subject=bracket.signal_id, data=step))
            self._orders.intend(tx, orders, now, subject=bracket.signal_id)
        await self._deliver(planned, orders)

    async def _deliver(self, bracket: BracketRecord, orders: Sequence[Order]) -> None:
        await self._orders.send_all(orders)
        if any(record.status not in SOUND for record in self._orders.records(orders)):
            self._orders.conclude(bracket)
            self._attempts.put_off(bracket.bracket_id)

    # What is known and noted

    def _known(self, entry: RestingEntry) -> dict[str, OrderRecord]:
        orders = self._store.view().orders
        return {name: r for name, r in orders.items() if r.order.bracket_id == entry.bracket_id}

    def _entries(self, entry: RestingEntry) -> list[OrderRecord]:
        orders = self._store.view().orders
        return [orders[name] for name in entry.entries if name in orders]

    def _note_price(self, entry: RestingEntry, price: Price) -> RestingEntry:
        """Put on disk that the entries are about to be cancelled, and what for."""
        noted = replace(entry, next_price=price)
        with self._store.transaction() as tx:
            tx.resting[entry.bracket_id] = noted
        return noted

    def _forget(self, entry: RestingEntry) -> None:
        with self._store.transaction() as tx:
            tx.resting.pop(entry.bracket_id, None)

    def _refuse(
        self, entry: RestingEntry, price: Price, reasons: tuple[Reason, ...], now: datetime, *, is_over: bool
    ) -> None:
        """Leave a resting entry where it is; give the rest of a cancelled one up."""
        self._attempts.put_off(entry.bracket_id)
        codes = tuple(reason.code for reason in reasons)
        signal = entry.opportunity.signal
        refused = RefusedStep(
            symbol=signal.instrument.key, from_price=entry.price, to_price=price, is_over=is_over, reasons=reasons
        )
        with self._store.transaction() as tx:
            if is_over:
                tx.resting.pop(entry.bracket_id, None)
            elif entry.bracket_id in tx.resting:
                tx.resting[entry.bracket_id] = entry
            if is_over or self._refused.get(entry.bracket_id) != codes:
                tx.emit(RepriceRefused(at=now, subject=signal.signal_id, data=refused))
        self._refused[entry.bracket_id] = codes


def _step(entry: RestingEntry, bracket: BracketRecord, price: Price, quantity: Quantity, filled: Quantity) -> PriceStep:
    return PriceStep(
        symbol=bracket.instrument.key,
        from_price=entry.price,
        to_price=price,
        times=entry.times + 1,
        filled=filled,
        quantity=quantity,
        cancelled=entry.entries,
        bracket=bracket,
    )
