"""The housekeeping of a cycle: the session, waiting approvals, prices of positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.decision.approval import is_expired
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.decision.record import end_approval
from apex_cli.core.market.calendar import session_date
from apex_cli.core.market.option_value import THEORETICAL
from apex_cli.core.model.account import AccountSnapshot, CashFlow
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.money import ZERO, Price, Usd
from apex_cli.core.model.records import AccountRecord, ApprovalStatus, EquityPoint
from apex_cli.core.ports import StateStore
from apex_cli.core.positions.cash_flows import paid, suspected_flow, with_flow, with_marks
from apex_cli.core.positions.retention import prune
from apex_cli.core.state.events.account_events import CashMoved, MarksReset, SessionStarted
from apex_cli.core.state.tables import State

CURVE_STEP_S = 300
"""Seconds between two points of a session's equity curve: 192 in the longest session."""


def keep_house(store: StateStore, gatherer: Gatherer, account: AccountSnapshot, now: datetime) -> None:
    """Do everything below that is due in one commit; without anything due in none."""
    state, session = store.view(), session_date(now)
    due, fresh = _due(state, now), _fresh_prices(state, gatherer, now)
    if not (due or fresh or _is_new(state, session)) and _is_known(state, account, session.isoformat()):
        return
    with store.transaction() as tx:
        _start_session(tx, account, session, now)
        _put_account(tx, account, session)
        _expire(tx, due, now)
        _take_over(tx, fresh)


def roll_session(store: StateStore, account: AccountSnapshot, now: datetime) -> bool:
    """Start a new session's counters when its date is new; return True when it was.

    Rows that the hot tables need no longer leave them; the journal has them.
    """
    session = session_date(now)
    if not _is_new(store.view(), session):
        return False
    with store.transaction() as tx:
        return _start_session(tx, account, session, now)


def settle_account(
    store: StateStore, account: AccountSnapshot, traded_at: Iterable[datetime], now: datetime
) -> CashFlow | None:
    """Remember what the account is worth, and return the deposit or withdrawal that it shows.

    To be called when the books agree with the broker's, and *traded_at* are the times of all executions it knows.
    """
    state = store.view()
    known = state.account
    if known is None:
        return None
    flow = suspected_flow(known.account, account, traded_at=traded_at, held=_held(state))
    if flow is None and not _is_pending(state, account):
        return None
    with store.transaction() as tx:
        if flow is not None:
            move_cash(tx, flow, now)
        tx.account = replace(known, account=account)
    return flow


def move_cash(tx: State, flow: CashFlow, now: datetime) -> None:
    """Let the day's first value and the highest one move with money that was paid in or taken out."""
    tx.counters = with_flow(tx.counters, flow)
    tx.emit(CashMoved(at=now, subject=tx.counters.session_date, data=flow))


def reset_marks(store: StateStore, account: AccountSnapshot, reason: str, now: datetime) -> CashFlow:
    """Take what the account is worth now for its highest value and for the day's first; return what that changed."""
    session = session_date(now)
    with store.transaction() as tx:
        _start_session(tx, account, session, now)
        change = CashFlow(
            amount=Usd(ZERO), equity_before=tx.counters.peak_equity, equity_after=account.equity, reason=reason
        )
        tx.counters = with_marks(tx.counters, account.equity)
        tx.emit(MarksReset(at=now, subject=tx.counters.session_date, data=change))
        _put_account(tx, account, session)
    return change


def _held(state: State) -> Usd:
    return Usd(
        sum(
            (
                row.worth(row.position.quantity * row.current_price * row.position.instrument.multiplier)
                for row in state.positions.values()
            ),
            ZERO,
        )
    )


def _is_pending(state: State, account: AccountSnapshot) -> bool:
    """Return whether cash changed as money that was moved would change it, which the broker's executions must prove."""
    known = state.account
    if known is None or paid(known.account, account) is None:
        return False
    traded_at = [fill.filled_at for fill in state.fills.values()]
    return suspected_flow(known.account, account, traded_at=traded_at, held=_held(state)) is not None


def keep_account(store: StateStore, account: AccountSnapshot, now: datetime) -> None:
    """Remember what the account is worth, and lift the high-water mark that the drawdown is measured from."""
    session = session_date(now)
    if not _is_known(store.view(), account, session.isoformat()):
        with store.transaction() as tx:
            _put_account(tx, account, session)


def _put_account(tx: State, account: AccountSnapshot, session: date) -> None:
    today = session.isoformat()
    if _is_known(tx, account, today) or _is_pending(tx, account):
        return
    raised = tx.counters.raised(account.equity)
    if raised != tx.counters:
        tx.counters = raised
    curve = tx.account.curve if tx.account is not None and tx.account.session_date == today else ()
    tx.account = AccountRecord(account=account, session_date=today, curve=_gone_on(curve, account))


def _is_known(state: State, account: AccountSnapshot, today: str) -> bool:
    known = state.account
    return (
        known is not None
        and known.session_date == today
        and account.equity <= state.counters.peak_equity
        and account.equity == known.account.equity
        and replace(known.account, taken_at=account.taken_at, facts=None) == replace(account, facts=None)
    )


def _gone_on(curve: tuple[EquityPoint, ...], account: AccountSnapshot) -> tuple[EquityPoint, ...]:
    """Return *curve* with the newest point, which takes the place of one of the same five minutes."""
    point = EquityPoint(at=account.taken_at, equity=account.equity)
    if curve and _step(curve[-1].at) == _step(point.at):
        curve = curve[:-1]
    return (*curve, point)


def _step(at: datetime) -> int:
    return int(at.timestamp() // CURVE_STEP_S)


def _is_new(state: State, session: date) -> bool:
    return state.counters.session_date != session.isoformat()


def _start_session(tx: State, account: AccountSnapshot, session: date, now: datetime) -> bool:
    if not _is_new(tx, session):
        return False
    tx.counters = session_counters(tx.counters, account, session)
    prune(tx, session)
    tx.emit(SessionStarted(at=now, subject=session.isoformat(), data=tx.counters))
    return True


def _due(state: State, now: datetime) -> tuple[str, ...]:
    return tuple(a.approval_id for a in state.approvals.values() if is_expired(a, now))


def _expire(tx: State, due: Iterable[str], now: datetime) -> None:
    for approval_id in due:
        approval = tx.approvals.get(approval_id)
        if approval is not None and is_expired(approval, now):
            end_approval(tx, approval, ApprovalStatus.EXPIRED, now, reason="Nobody answered in time.")


class _Priced(NamedTuple):
    """What a position is worth by now."""

    price: Price
    at: datetime
    is_theoretical: bool
    rate: Rate | None


def _fresh_prices(state: State, gatherer: Gatherer, now: datetime) -> dict[str, _Priced]:
    """Return newer prices and rates of what is held."""
    fresh, base = {}, gatherer.rates.base
    for key, row in state.positions.items():
        instrument, rate, is_fresh = row.position.instrument, row.rate, False
        price, at, is_theoretical = row.current_price, row.priced_at, row.is_theoretical
        quote = gatherer.quote(instrument, now)
        if quote is not None and quote.at >= at:
            is_made = quote.source == THEORETICAL
            is_fresh = quote.price != price or is_made is not is_theoretical
            if is_fresh:
                price, at, is_theoretical = quote.price, quote.at, is_made
        if instrument.currency != base:
            rate = gatherer.rates.rate(instrument, price, now) or row.rate
        if is_fresh or (rate is not row.rate and _value(rate) != _value(row.rate)):
            fresh[key] = _Priced(price, at, is_theoretical, rate)
    return fresh


def _value(rate: Rate | None) -> Decimal | None:
    return None if rate is None else rate.value


def _take_over(tx: State, fresh: Mapping[str, _Priced]) -> None:
    for key, found in fresh.items():
        row = tx.positions.get(key)
        if row is not None:
            tx.positions[key] = replace(
                row,
                current_price=found.price,
                priced_at=found.at,
                is_theoretical=found.is_theoretical,
                rate=found.rate,
            )
