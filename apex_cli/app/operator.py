"""What a person may do, at the terminal, on the dashboard, on the phone and by command.

Looking connects to the broker for as long as one look takes, sends nothing and holds nothing. Acting goes to the
process that holds the executor, or takes it when it is free. Every call may block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from apex_cli.app.resources import alarms_since, badge_in, decision_time, executor_lock, open_journal, open_store
from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.errors import BrokerError, BusyError, InputError, NothingToDo, OutcomeUnknownError
from apex_cli.core.model.account import AccountBadge, AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus, TradingMode
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderRecord, OrderRole
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, TradingState
from apex_cli.core.model.request import CloseRequest, Failure, Preview, ReconcileRequest, Work, WorkDone, joined
from apex_cli.core.state.tables import State
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.compose import Parts
    from apex_cli.core.execution.answers import ApprovalDesk
    from apex_cli.core.positions.position_views import PositionView
    from apex_cli.core.reports.trade_report import TradeReport
    from apex_cli.presenters.screen.blocks import Block


class CloseTerms(NamedTuple):
    """How to close each of the positions that are named."""

    fraction: Decimal | None = None
    quantity: Decimal | None = None
    limit: Decimal | None = None
    reason: str = "manual"


class Operator:
    """Looks and acts for one person; what asks the broker raises BrokerError where it cannot be reached or read."""

    def __init__(self, settings: Settings, out: Output, *, wait_s: float) -> None:
        """Touch nothing yet. *out* hears that another process is waited for: up to *wait_s*; 0 hands nothing over."""
        self._settings = settings
        self._out = out
        self._wait_s = wait_s
        self._store = open_store(settings)

    # Looking

    def view(self) -> State:
        """Return the committed state; only for the thread that made this object."""
        return self._store.view()

    def pending(self) -> tuple[ApprovalRecord, ...]:
        """Return what waits for an answer, best score first."""
        if not any(each.status is ApprovalStatus.PENDING for each in self.view().approvals.values()):
            return ()  # whatever time it is
        return self._desk()[1].pending()

    def numbers(self) -> Mapping[str, int]:
        """Return the number that each approval may be named by."""
        from apex_cli.core.execution.answers import approval_numbers

        return approval_numbers(self.view())

    def find(self, name: str) -> ApprovalRecord:
        """Return the approval that *name* names.

        Raises:
            InputError: there is none, or several.
        """
        return self._desk()[1].find(name)

    def ids_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the ids of the approvals that *names* name now; what names none stays as it is, to be reported."""
        from contextlib import suppress

        if not names:
            return ()
        desk, found = self._desk()[1], dict(zip(names, names, strict=True))
        for name in names:
            with suppress(InputError):
                found[name] = desk.find(name).approval_id
        return tuple(found.values())

    def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""
        return self.preview_all((approval,), quantity)[0]

    def preview_all(self, approvals: Sequence[ApprovalRecord], quantity: Quantity | None = None) -> tuple[Preview, ...]:
        """Look at *approvals* over one connection."""
        from apex_cli.app.compose import looking
        from apex_cli.core.adapters import event_loop

        parts, desk = self._desk()

        async def looked() -> tuple[Preview, ...]:
            async with looking(parts):
                return tuple([await desk.preview(approval, quantity) for approval in approvals])

        return event_loop.run(looked())

    def account(self) -> tuple[State, AccountSnapshot, DayTradeStatus]:
        """Return state, account and day trades as they are now."""
        from apex_cli.app.compose import look_at_account, make_parts
        from apex_cli.core.adapters import event_loop

        parts = make_parts(self._settings, read_only=True)
        account = event_loop.run(look_at_account(parts))
        state, now = parts.store.view(), parts.clock.now()
        return state, account, parts.gatherer.day_trades(state, account, now)

    def now(self) -> datetime:
        """Return the time that decisions are made by: in a simulated market that of its latest bar."""
        return decision_time(self._settings, self.view(), self._store.clock.now())

    def badge(self) -> AccountBadge:
        """Return which account it is; only for the thread that made this object."""
        return badge_in(self._settings, self.view())

    def report(self, first: date | None = None) -> TradeReport:
        """Return what trading came to since the session *first*, or ever."""
        from apex_cli.app.report_pages import read_report
        from apex_cli.core.reports.trade_report import Span

        return read_report(self._settings, Span(first=first))

    def story(self, name: str) -> tuple[Block, ...]:
        """Return the newest story that *name* names: a signal, an order, or a symbol.

        Raises:
            NothingToDo: the journal knows nothing of it.
        """
        from apex_cli.core.reports.handles import read_story, subjects_of
        from apex_cli.presenters.explain import explain_blocks

        journal = open_journal(self._settings)
        subjects = subjects_of(journal, open_store(self._settings).view(), name)
        if not subjects:
            raise NothingToDo("unknown_id", f"The journal knows nothing of {name!r}.", hint="/explain SYMBOL")
        return explain_blocks(read_story(journal, subjects[-1]))

    def day_trades(self) -> DayTradeStatus | None:
        """Return the count as far as it is known without asking the broker."""
        from apex_cli.app.compose import make_parts

        parts = make_parts(self._settings, read_only=True)
        state = parts.store.view()
        if state.account is None:
            return None
        return parts.gatherer.day_trades(state, state.account.account, parts.clock.now())

    def closing_warnings(self, symbols: Sequence[str]) -> tuple[Reason, ...]:
        """Return what to know before *symbols* are closed: day-trading rules, and orders that rest elsewhere.

        Nothing when that is not known: a close is never held up by it.
        """
        from apex_cli.app.compose import look_at_account_and_orders, make_parts
        from apex_cli.core.adapters import event_loop
        from apex_cli.core.day_trades.counter import DayTradeCounter, closing_warnings
        from apex_cli.core.reconciliation.resting_elsewhere import resting_elsewhere

        parts = make_parts(self._settings, read_only=True)
        state = parts.store.view()
        try:
            account, working = event_loop.run(look_at_account_and_orders(parts))
            status = DayTradeCounter(self._settings.day_trades)(state, account, parts.clock.now())
        except BrokerError:
            return ()
        others = resting_elsewhere(state, working, symbols)
        return (
            *closing_warnings(state, symbols, status, account),
            *(warning for found in others.values() for warning in found),
        )

    # Acting

    def do(self, *works: Work) -> WorkDone:
        """Have *works* done and return what came of all of them.

        Raises:
            BusyError: the process that holds the executor did not begin in time; nothing was done.
            OutcomeUnknownError: it began and did not end in time, and nothing was done before.
        """
        from apex_cli.core.adapters import event_loop

        compares = not any(isinstance(work, ReconcileRequest) for work in works)  # that one compares by itself
        try:
            with executor_lock(self._settings):
                done = event_loop.run(self._do(works, compares=compares))
        except BusyError:
            if not self._wait_s:
                raise
            done = self._handed_over(works)
        if compares:
            self._out.warn(*done.alarms)
        return done

    def _handed_over(self, works: Sequence[Work]) -> WorkDone:
        """Have the holder do *works* one by one; once one is done, that the next is not is a part of the answer."""
        from apex_cli.app.handover import hand_over

        done: list[WorkDone] = []
        for work in works:
            try:
                done.append(hand_over(self._out, self._settings, work, self._wait_s))
            except (BusyError, OutcomeUnknownError) as error:
                if not done:
                    raise
                what = f"Of {len(works)} pieces of work {len(done)} were done. {error.message}"
                left = OutcomeUnknownError("work_left", what, hint=error.hint, details=error.details)
                return joined([*done, WorkDone(failures=(Failure.of(left),))])
        return joined(done)

    async def _do(self, works: Sequence[Work], *, compares: bool) -> WorkDone:
        """Do *works*, this process holding the executor."""
        from apex_cli.app.compose import connected, make_parts, make_service

        parts = make_parts(self._settings)
        newest = parts.store.view().last_seq
        async with connected(parts, compares=compares):
            done = await make_service(parts).perform(*works)
        found = alarms_since(self._settings, parts.store.view(), newest)
        return replace(done, alarms=tuple(alarm for _, alarm in found))

    def close_requests(self, symbols: Sequence[str], terms: CloseTerms = CloseTerms()) -> tuple[CloseRequest, ...]:  # noqa: B008 - a value
        """Return the requests to close *symbols*, without any of them everything that is or may be held.

        Raises:
            InputError: one of them names several positions.
            NothingToDo: one of them, or nothing at all, is held.
        """
        state = self.view()
        names = [_held_name(state, symbol) for symbol in symbols]
        names = names or [*state.positions, *_maybe_filled(state)]
        if not names:
            raise NothingToDo("no_position", "There is no open position.")
        return tuple(
            CloseRequest(
                symbol=name,
                fraction=terms.fraction,
                quantity=None if terms.quantity is None else Quantity(terms.quantity),
                limit_price=None if terms.limit is None else Price(terms.limit),
                reason=terms.reason,
            )
            for name in dict.fromkeys(names)
        )

    def position(self, name: str) -> PositionView:
        """Return the position that *name*, a symbol or the ``#`` of a list, names.

        Raises:
            InputError: it names several.
            NothingToDo: nothing of it is held.
        """
        from apex_cli.core.positions.position_views import position_views

        state = self.view()
        key = _held_name(state, name)
        view = next((view for view in position_views(state) if view.symbol == key), None)
        if view is None:
            raise NothingToDo("no_position", f"{key} is not held yet.", hint="Look at apex orders.")
        return view

    def entries(self, names: Sequence[str]) -> dict[str, str]:
        """Return the securities that *names*, of securities or handles of orders, name, each with its entries in words.

        Raises:
            NothingToDo: no entry of it works.
            InputError: it is an exit, which protects.
        """
        from apex_cli.core.reports.handles import order_of_handle

        state = self.view()
        found: dict[str, str] = {}
        for name in names:
            named = order_of_handle(state, name)
            if named is not None and named.order.role is not OrderRole.ENTRY:
                what = f"{name} is the {named.order.role.lower()} of {named.order.instrument.key}"
                hint = "apex close and apex move-stop change a position."
                raise InputError("not_an_entry", f"{what}: exits protect, and stay.", hint=hint)
            symbol = name if named is None else named.order.instrument.key
            working = [record for record in entries_of(state) if _is_named(record, symbol)]
            if not working:
                raise NothingToDo("no_entry", f"No entry in {symbol} works.", hint="apex orders lists what works.")
            for record in working:
                words = f"{record.order.side} {record.open_quantity.normalize():f} {record.order.instrument.key}"
                found[record.order.instrument.key] = words
        return found

    def set_mode(self, mode: TradingMode, reason: str) -> TradingState:
        """Halt, reduce or resume; return what held before.

        Raises:
            ApexError: it could not be written.
        """
        store = open_store(self._settings)
        return change_trading_mode(store, mode, reason, store.clock.now())

    def lift_locks(self, names: Sequence[str], reason: str, *, by: str = "terminal") -> tuple[TradeLock, ...]:
        """Lift the locks that *names* name, all or none; return them as they are then.

        Raises:
            InputError: a name is not that of a lock in force.
            ApexError: it could not be written.
        """
        from apex_cli.core.positions.trade_locks import find_locks, lift_locks

        now = self.now()
        with self._store.transaction() as tx:
            named = {lock.lock_id: lock for name in names for lock in find_locks(tx, name, now)}
            return lift_locks(tx, tuple(named.values()), by=by, why=reason, now=now)

    def _desk(self) -> tuple[Parts, ApprovalDesk]:
        """Return parts that only look, and where approvals are looked at with them."""
        from apex_cli.app.compose import make_desk, make_parts

        parts = make_parts(self._settings, read_only=True)
        return parts, make_desk(parts)


def half_of(approval: ApprovalRecord) -> Quantity:
    """Return half of the quantity that was asked about, on the instrument's grid, rounded down.

    Raises:
        NothingToDo: half of it is less than can be traded.
    """
    sized = approval.decision.sized
    step = approval.opportunity.signal.instrument.quantity_step
    half = Decimal(0) if sized is None else (sized.quantity / 2 / step).to_integral_value(ROUND_FLOOR) * step
    if half <= 0:
        raise NothingToDo("too_small_to_halve", "Half of it is less than can be traded. Nothing was changed.")
    return Quantity(half)


def _held_name(state: State, symbol: str) -> str:
    """Return the key of the position that *symbol* names, or of an entry that may have filled since the last look."""
    from apex_cli.core.execution.close_terms import find_position
    from apex_cli.core.model.spelling import names_key
    from apex_cli.core.positions.position_views import position_of_handle

    if symbol.isdecimal() and (numbered := position_of_handle(state.positions, f"p{symbol}")):
        return numbered
    try:
        return find_position(state, symbol).position.instrument.key
    except NothingToDo:
        if handled := position_of_handle(state.positions, symbol):
            return handled
        for key in _maybe_filled(state):
            if names_key(symbol, key) or symbol.upper() == key.partition("@")[0]:
                return key
        raise


def _is_named(record: OrderRecord, symbol: str) -> bool:
    from apex_cli.core.model.spelling import same_security

    return same_security(symbol, record.order.instrument)


def entries_of(state: State) -> list[OrderRecord]:
    """Return the entries that may still fill."""
    return [record for record in state.orders.open() if record.order.role is OrderRole.ENTRY]


def _maybe_filled(state: State) -> list[str]:
    """Return the securities with working entries: they may have filled since the last look."""
    return [record.order.instrument.key for record in entries_of(state)]


def without_unfilled(done: WorkDone) -> WorkDone:
    """Return *done* without what turned out not to be held.

    Raises:
        NothingToDo: nothing at all is held.
    """
    held = tuple(failure for failure in done.failures if failure.code != "no_position")
    if not done.results and not held:
        raise NothingToDo("no_position", "There is no open position.")
    return replace(done, failures=held)
