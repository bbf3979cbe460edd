"""What every cycle keeps in order: the session, waiting approvals, prices of what is held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.gathering import Gatherer
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import ApprovalStatus
from apex_cli.core.ports import StateStore
from apex_cli.core.recording import end_approval
from apex_cli.core.rules.approvals import is_expired
from apex_cli.core.rules.calendar import session_date
from apex_cli.core.rules.retention import prune
from apex_cli.core.snapshots import session_counters
from apex_cli.core.state import State


def keep_house(store: StateStore, gatherer: Gatherer, account: AccountSnapshot, now: datetime) -> None:
    """Do everything below that is due in one commit; without anything due in none."""
    state = store.view()
    due, fresh = _due(state, now), _fresh_quotes(state, gatherer, now)
    is_higher = account.equity > state.counters.peak_equity
    if not (due or fresh or is_higher or _is_new_session(state, now)):
        return
    with store.transaction() as tx:
        _start_session(tx, account, now)
        _lift_peak(tx, account)
        _expire(tx, due, now)
        _take_over(tx, fresh)


def roll_session(store: StateStore, account: AccountSnapshot, now: datetime) -> bool:
    """Start a new session's counters when its date is new; return True when it was.

    Rows that the hot tables need no longer leave them; the journal has them.
    """
    if not _is_new_session(store.view(), now):
        return False
    with store.transaction() as tx:
        return _start_session(tx, account, now)


def raise_peak(store: StateStore, account: AccountSnapshot) -> None:
    """Lift the high-water mark of equity that the drawdown is measured from."""
    if account.equity > store.view().counters.peak_equity:
        with store.transaction() as tx:
            _lift_peak(tx, account)


def expire_approvals(store: StateStore, now: datetime) -> tuple[str, ...]:
    """Expire what waited too long; return the approval ids."""
    due = _due(store.view(), now)
    if due:
        with store.transaction() as tx:
            _expire(tx, due, now)
    return due


def _is_new_session(state: State, now: datetime) -> bool:
    return state.counters.session_date != session_date(now).isoformat()


def _start_session(tx: State, account: AccountSnapshot, now: datetime) -> bool:
    if not _is_new_session(tx, now):
        return False
    today = session_date(now)
    tx.counters = session_counters(tx.counters, account, today)
    prune(tx, today)
    tx.emit("session_started", now, today.isoformat(), tx.counters)
    return True


def _lift_peak(tx: State, account: AccountSnapshot) -> None:
    if account.equity > tx.counters.peak_equity:
        tx.counters = replace(tx.counters, peak_equity=Usd(account.equity))


def _due(state: State, now: datetime) -> tuple[str, ...]:
    return tuple(a.approval_id for a in state.approvals.values() if is_expired(a, now))


def _expire(tx: State, due: Iterable[str], now: datetime) -> None:
    for approval_id in due:
        approval = tx.approvals.get(approval_id)
        if approval is not None and is_expired(approval, now):
            end_approval(tx, approval, ApprovalStatus.EXPIRED, now, reason="Nobody answered in time.")


def _fresh_quotes(state: State, gatherer: Gatherer, now: datetime) -> dict[str, Quote]:
    """Return newer prices of what is held."""
    fresh = {}
    for key, row in state.positions.items():
        quote = gatherer.quote(row.position.instrument, now)
        if quote is not None and quote.price != row.current_price and quote.at >= row.priced_at:
            fresh[key] = quote
    return fresh


def _take_over(tx: State, fresh: Mapping[str, Quote]) -> None:
    for key, quote in fresh.items():
        row = tx.positions.get(key)
        if row is not None:
            tx.positions[key] = replace(row, current_price=quote.price, priced_at=quote.at)
