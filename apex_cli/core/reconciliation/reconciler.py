"""Reconciler: asks the broker for its books, compares, corrects what needs no person, and locks the rest.

A comparison goes in rounds: look, correct facts (fills, states, terms), look again, cancel what should not be there,
look again, then let the guard trim exits and put stops back. What differs is on disk, with its lock, before anything
is corrected: a process that dies in between leaves a locked security, and the next one continues.

A difference counts when two answers in a row show it: events that arrive while the broker answers are no difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from msgspec.structs import replace

from apex_cli.core.day_trades.count import FILL_SESSIONS
from apex_cli.core.errors import BrokerError, OutcomeUnknownError
from apex_cli.core.execution.executor import TradeExecutor
from apex_cli.core.execution.order_manager import POLL_INTERVAL_S, Orders
from apex_cli.core.execution.upkeep import settle_account
from apex_cli.core.market.calendar import previous_sessions, session_date, session_start
from apex_cli.core.model.broker_events import BrokerEvent, BrokerOrder, BrokerSnapshot
from apex_cli.core.model.execution import SEC_TYPE_OF_MARKET, Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import underlying_of
from apex_cli.core.model.limits import ReconcileLimits
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.position import signed
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import (
    AUTOMATIC,
    Break,
    BreakCode,
    BreakStatus,
    CorrectionKind,
    Ignored,
    Lock,
    Reconciliation,
)
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.ports import Broker, Clock, PriceOf, StateStore
from apex_cli.core.positions.booking import put_order
from apex_cli.core.positions.protection import is_unsure
from apex_cli.core.reconciliation.breaks import account_mark, find_breaks, foreign_of, locks_for
from apex_cli.core.reconciliation.resting_elsewhere import resting_elsewhere
from apex_cli.core.state.events.book_events import BreakFound, Reconciled
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State, Table

MOST_ROUNDS = 6
"""A correction that does not hold is not tried for ever."""

ASK_AGAIN = timedelta(seconds=30)
"""How soon a loop asks again after an incomplete answer."""

FACTS = frozenset(
    {
        CorrectionKind.ADOPT_FILL,
        CorrectionKind.ADOPT_STATE,
        CorrectionKind.ADOPT_TERMS,
        CorrectionKind.ADOPT_ORDER,
        CorrectionKind.RECORD_FILL,
        CorrectionKind.RESOLVE,
        CorrectionKind.SETTLE,
    }
)
"""What the broker reported, taken over in one commit."""

TOLD_AT_ONCE = frozenset({CorrectionKind.ADOPT_FILL, CorrectionKind.RECORD_FILL})
"""What one answer proves: an execution happened."""

Row = TypeVar("Row", Lock, Ignored)


class Reconciler:
    """Keeps our books and the broker's together."""

    def __init__(
        self,
        *,
        executor: TradeExecutor,
        orders: Orders,
        broker: Broker,
        store: StateStore,
        clock: Clock,
        limits: ReconcileLimits,
        wall: Clock,
        pause_s: float = POLL_INTERVAL_S,
        price_of: PriceOf | None,
    ) -> None:
        """Keep the parts; how often to compare, by the *wall* clock; *pause_s* between two looks."""
        self._executor = executor
        self._orders = orders
        self._broker = broker
        self._store = store
        self._clock = clock
        self._limits = limits
        self._wall = wall
        self._pause_s = pause_s
        self._price_of = price_of
        self._next_at: datetime | None = None
        self._working: tuple[BrokerOrder, ...] = ()
        """Orders of everybody that worked at the broker at the last comparison."""

        self._seen = (-1, 0)
        """Connections and outside fills at the last comparison; the books are compared again when one of them rises."""

    async def tend(self, now: datetime) -> bool:
        """Compare when it is due, or after a new connection; True when something was corrected."""
        del now  # people wait by the wall clock, however fast simulated time goes
        is_due = self._next_at is None or self._wall.now() >= self._next_at
        is_same = (self._broker.connections, self._orders.outside_fills) == self._seen
        if not is_due and is_same:
            return False
        found = await self.reconcile(repair=self._limits.auto_repair)
        return any(each.status is BreakStatus.REPAIRED for each in found.breaks)

    def resting_elsewhere(self, state: State, symbols: Sequence[str]) -> Mapping[str, tuple[Reason, ...]]:
        """Return, by symbol, warnings of orders of other hands that a close of *symbols* leaves working."""
        return resting_elsewhere(state, self._working, symbols)

    async def reconcile(self, *, repair: bool) -> Reconciliation:
        """Compare, with *repair* correct what needs no person, and keep what was found.

        Raises:
            BrokerError: the broker cannot be asked; nothing changed.
        """
        self._seen = (self._broker.connections, self._orders.outside_fills)
        before = self._store.view().reconciliation
        reported, breaks = await self._look()
        seen = {each.identity: each for each in breaks}
        tried: set[tuple[str, str, str]] = set()
        for _ in range(MOST_ROUNDS if repair else 0):
            due = [each for each in breaks if _is_due(each) and each.identity not in tried]
            if not due:
                break
            self._keep(reported, breaks, is_final=False)
            tried.update(each.identity for each in await self._correct(reported, due))
            reported, breaks = await self._look()
            seen = {each.identity: each for each in breaks} | seen
        left = {each.identity for each in breaks}
        gone = [replace(each, status=BreakStatus.REPAIRED) for name, each in seen.items() if name not in left]
        wait = timedelta(minutes=self._limits.interval_minutes) if reported.is_complete else ASK_AGAIN
        self._next_at = self._wall.now() + wait
        if reported.is_complete:
            self._take_names(reported)
        if reported.is_complete and not breaks:
            await self._settle_account(reported)
        return self._keep(reported, (*breaks, *gone), before=before)

    async def withdraw(self, key: str) -> None:
        """Cancel every order of *key* that may still fill, and wait for the broker's word.

        Raises:
            BrokerError: the broker cannot be reached.
            OutcomeUnknownError: it did not confirm every cancel.
        """
        names = [r.order.client_order_id for r in self._store.view().orders.open() if r.order.instrument.key == key]
        failure = await self._orders.cancel(names)
        if not await self._orders.settle(lambda state: all(state.orders[name].status.is_final for name in names)):
            raise failure or OutcomeUnknownError(
                "orders_unconfirmed",
                f"{key}: the broker did not confirm that the orders of before are cancelled; nothing was changed.",
                hint="Look at apex orders, then try again.",
            )

    async def place(self, orders: tuple[Order, ...], subject: str) -> None:
        """Write *orders* as intents, send them together, and wait until the broker has them or refuses."""
        names = [order.client_order_id for order in orders]
        with self._store.transaction() as tx:
            self._orders.intend(tx, orders, self._clock.now(), subject=subject)
        if await self._orders.send(orders):
            await self._orders.settle(lambda state: not any(is_unsure(state.orders[name]) for name in names))

    def _take_names(self, reported: BrokerSnapshot) -> None:
        """Let what is held go by the ticker that the broker lists it under now, too."""
        now = self._clock.now()
        names = {holding.instrument.key: holding.instrument for holding in reported.holdings}
        rows = self._store.view().positions
        changed = [
            key for key, each in names.items() if key in rows and rows[key].position.instrument.called != each.called
        ]
        if not changed:
            return
        with self._store.transaction() as tx:
            for key in changed:
                row: PositionRecord | None = tx.positions.get(key)
                if row is None:
                    continue
                called = names[key].called
                instrument = replace(row.position.instrument, called=called)
                tx.positions[key] = replace(row, position=replace(row.position, instrument=instrument))
                if called:
                    message = f"{key} is called {called} at the broker now. The position answers to both names."
                    alarm = Alarm(code="ticker_renamed", message=message)
                    tx.emit(AlarmRaised(at=now, subject=key, data=alarm))

    async def _settle_account(self, reported: BrokerSnapshot) -> None:
        """Recognise money that was paid in or taken out, now that every execution is known."""
        with suppress(BrokerError):
            account = await self._broker.account()
            settle_account(
                self._store,
                account,
                [fill.filled_at for fill in (*reported.fills, *reported.foreign_fills)],
                self._clock.now(),
            )

    async def _look(self) -> tuple[BrokerSnapshot, tuple[Break, ...]]:
        """Return the broker's answer and what differs; what a second answer does not repeat is left out."""
        reported, breaks = await self._ask()
        if all(each.correction.kind in TOLD_AT_ONCE or each.status is BreakStatus.IGNORED for each in breaks):
            return reported, breaks
        known = {each.identity for each in breaks}
        await asyncio.sleep(self._pause_s)
        reported, breaks = await self._ask()
        return reported, tuple(
            each for each in breaks if each.identity in known or each.correction.kind in TOLD_AT_ONCE
        )

    async def _ask(self) -> tuple[BrokerSnapshot, tuple[Break, ...]]:
        reported = await self._broker.snapshot()
        self._working = reported.working
        self._orders.sync()
        now = self._clock.now()
        prices = await self._underlyings(reported)
        breaks = find_breaks(self._store.view(), reported, now, oldest=_oldest_counted(now), underlyings=prices)
        breaks = tuple(each for each in breaks if not self._is_too_early(each))
        if not self._limits.require_complete:
            breaks = tuple(each for each in breaks if each.code is not BreakCode.ANSWER_INCOMPLETE)
        return reported, breaks

    async def _underlyings(self, reported: BrokerSnapshot) -> dict[str, Price]:
        """Ask for the prices of what options are about that the broker does not hold as we do."""
        positions = [row.position for row in self._store.view().positions.values()]
        gone = [
            underlying_of(each.instrument)
            for each in positions
            if each.instrument.expiry is not None and signed(each) != reported.positions.get(each.instrument.key, ZERO)
        ]
        found: dict[str, Price] = {}
        for instrument in {each.key: each for each in gone if reported.is_complete}.values():
            price = await self._price_of(instrument) if self._price_of is not None else None
            if price is not None:
                found[instrument.key] = price
        return found

    def _is_too_early(self, each: Break) -> bool:
        """Return whether an order that the broker does not know may still turn up there."""
        return each.code is BreakCode.ORDER_GONE and self._orders.may_turn_up(each.subject)

    # ------------------------------------------------------------ corrections

    async def _correct(self, reported: BrokerSnapshot, due: Sequence[Break]) -> Sequence[Break]:
        """Do the first kind of correction that is due: facts, then cancels, then what the guard does; return which."""
        facts = [each for each in due if each.correction.kind in FACTS]
        cancels = [each for each in due if each.correction.kind is CorrectionKind.CANCEL]
        if facts:
            self._take_over(reported, facts)
        elif cancels:
            await self._cancel(cancels)
        else:
            await self._executor.protect()
        return facts or cancels or due

    async def _cancel(self, breaks: Sequence[Break]) -> None:
        """Cancel what should not be there; what our books lack they know first, so that its end is heard."""
        records = [each.correction.record for each in breaks if each.correction.record is not None]
        if records:
            with self._store.transaction() as tx:
                for record in records:
                    _put_terms(tx, record, self._clock.now())
            await self._broker.snapshot()
        await self._orders.cancel(dict.fromkeys(each.correction.client_order_id for each in breaks))
        self._orders.sync()

    def _take_over(self, reported: BrokerSnapshot, breaks: Sequence[Break]) -> None:
        """Bring our books in line with what the broker reported, in one commit."""
        events: list[BrokerEvent] = [each.correction.fill for each in breaks if _is_ours(each) and each.correction.fill]
        events += [each.correction.update for each in breaks if each.correction.update is not None]
        records = [each.correction.record for each in breaks if each.correction.record is not None]
        outside = [each.correction.fill for each in breaks if each.correction.kind is CorrectionKind.RECORD_FILL]
        now = self._clock.now()

        def also(tx: State) -> None:
            for record in records:
                _put_terms(tx, record, now)
            if outside:
                _count_foreign(tx, reported, [fill for fill in outside if fill is not None], now)

        self._orders.take_over(events, also)

    # ------------------------------------------------------------------ books

    def _keep(
        self,
        reported: BrokerSnapshot,
        breaks: Sequence[Break],
        *,
        is_final: bool = True,
        before: Reconciliation | None = None,
    ) -> Reconciliation:
        """Persist locks and findings; emit events only for findings that *before* did not contain."""
        state, now = self._store.view(), self._clock.now()
        last = state.reconciliation
        is_other = any(each.code is BreakCode.ACCOUNT_DIFFERS for each in breaks)
        mark = "" if is_other else account_mark(reported.account_id)
        shown = {each.key for each in breaks if each.status is BreakStatus.IGNORED}
        is_proved = reported.is_complete and not is_other
        found = Reconciliation(
            at=now,
            is_complete=reported.is_complete,
            is_final=is_final,
            account_mark=mark or (last.account_mark if last else ""),
            breaks=tuple(breaks),
            locks=tuple(locks_for(breaks, state.locks.values(), now, is_complete=is_proved).values()),
            ignored=tuple(row for row in state.ignored.values() if not is_proved or row.key in shown),
        )
        if self._is_news(last, found):
            with self._store.transaction() as tx:
                restore_reconciliation(tx, found)
                if is_final:
                    _emit_findings(tx, before if before and before.is_final else None, found)
        return found

    def _is_news(self, last: Reconciliation | None, found: Reconciliation) -> bool:
        """Return whether *found* is worth a commit: it says something new, or the last one is old."""
        if last is None or replace(last, at=found.at) != found:
            return True
        return found.at - last.at >= timedelta(minutes=self._limits.interval_minutes)


def _emit_findings(tx: State, before: Reconciliation | None, found: Reconciliation) -> None:
    """Emit each new difference with what became of it, an alarm for each that stays, and the result.

    Between a finding and its correction nothing is emitted: who is killed there says all of it the next time.
    """
    known = {(each.identity, each.status) for each in before.breaks} if before else set()
    for each in found.breaks:
        if (each.identity, each.status) not in known:
            tx.emit(BreakFound(at=found.at, subject=each.key, data=each))
    alarmed = {each.identity for each in before.open_breaks} if before else set()
    for each in found.breaks:
        if each.is_locking and each.identity not in alarmed:
            message = f"{each.message} Nothing is opened there until apex reconcile clears it."
            tx.emit(AlarmRaised(at=found.at, subject=each.key, data=Alarm(code=each.code, message=message)))
    tx.emit(Reconciled(at=found.at, data=found))


def restore_reconciliation(tx: State, found: Reconciliation) -> None:
    """Put what a comparison found into the tables: its locks and what is ignored are all there are."""
    tx.reconciliation = found
    _put_rows(tx.locks, found.locks)
    _put_rows(tx.ignored, found.ignored)


def _put_rows(table: Table[Row], rows: Sequence[Row]) -> None:
    """Let *table* hold *rows* and no others."""
    fresh = {row.key: row for row in rows}
    for key in [key for key in table if key not in fresh]:
        del table[key]
    for key, row in fresh.items():
        if table.get(key) != row:
            table[key] = row


def _is_due(each: Break) -> bool:
    return each.status is BreakStatus.OPEN and each.correction.kind in AUTOMATIC


def _is_ours(each: Break) -> bool:
    return each.correction.kind in {CorrectionKind.ADOPT_FILL, CorrectionKind.SETTLE}


def _oldest_counted(now: datetime) -> datetime:
    return session_start(previous_sessions(session_date(now), FILL_SESSIONS - 1)[0])


def _put_terms(tx: State, record: OrderRecord, now: datetime) -> None:
    """Let an order stand as the broker has it; what was booked of it meanwhile stays."""
    known: OrderRecord | None = tx.orders.get(record.order.client_order_id)
    if known is not None:
        filled = known.filled_quantity
        is_done = filled >= record.order.quantity
        record = replace(
            record,
            filled_quantity=filled,
            average_price=known.average_price,
            status=OrderStatus.FILLED if is_done else record.status,
        )
    put_order(tx, record, now)


def _count_foreign(tx: State, reported: BrokerSnapshot, fills: Sequence[Fill], now: datetime) -> None:
    """Keep trades made outside apex for the day-trade count, each once; positions stay as they are."""
    from apex_cli.core.day_trades.imports import Report, import_executions

    rows = [_execution(fill) for fill in sorted(fills, key=lambda fill: (fill.filled_at, fill.key))]
    seen = {row.security for row in tx.history_fills.values()}
    first: dict[str, Execution] = {}
    for row in rows:
        if row.security not in seen:
            first.setdefault(row.security, row)
    held = {key: _held_before(tx, reported, row) for key, row in first.items()} if reported.is_complete else {}
    rows = [replace(row, held_before=held.get(row.security)) if row is first.get(row.security) else row for row in rows]
    import_executions(tx, Report(executions=tuple(rows), since=session_date(now)), now)


def _execution(fill: Fill) -> Execution:
    return Execution(
        exec_id=fill.exec_id,
        security=fill.instrument.key,
        sec_type=SEC_TYPE_OF_MARKET[fill.instrument.market_type],
        side=fill.side,
        quantity=fill.quantity,
        filled_at=fill.filled_at,
        order_id=fill.client_order_id,
    )


def _held_before(tx: State, reported: BrokerSnapshot, row: Execution) -> Decimal:
    """Return the signed quantity that the account held before *row*: what it holds now, less all that came since."""
    since = [*tx.fills.values(), *foreign_of(tx, reported)]
    changed = sum(
        (f.quantity * f.side.sign for f in since if f.instrument.key == row.security and f.filled_at >= row.filled_at),
        ZERO,
    )
    return reported.positions.get(row.security, ZERO) - changed
