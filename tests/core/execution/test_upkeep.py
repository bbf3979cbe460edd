from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.execution import upkeep
from apex_cli.core.execution.upkeep import keep_account, keep_house, roll_session
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import ApprovalStatus
from apex_cli.core.ports import StateStore
from apex_cli.core.state.tables import State
from kit import START, MemoryStore
from kit.rig import Prices, Rig, make_signal, manual

D = Decimal


def expire_approvals(store: StateStore, now: datetime) -> tuple[str, ...]:
    """Expire what waited too long, as every cycle does; return the approval ids."""
    due = upkeep._due(store.view(), now)
    with store.transaction() as tx:
        upkeep._expire(tx, due, now)
    return due


class Slow:
    """A store whose reader still sees what was there before another process committed."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self._old = inner.view().committed()

    def view(self) -> State:
        return self._old

    def transaction(self) -> AbstractContextManager[State]:
        return self._inner.transaction()


def account(equity: str, prior: str | None = None) -> AccountSnapshot:
    return AccountSnapshot(
        equity=Usd(D(equity)),
        cash=Usd(Decimal(3000)),
        buying_power=Usd(D(equity)),
        taken_at=START,
        prior_close_equity=None if prior is None else Usd(D(prior)),
    )


def test_a_session_is_started_once_by_whoever_comes_first() -> None:
    store = MemoryStore()
    late = Slow(store)
    assert roll_session(store, account("3000"), START)
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, entries_today=3)
    assert not roll_session(late, account("2900"), START)
    counters = store.view().counters
    assert (counters.entries_today, counters.session_start_equity) == (3, 3000)
    assert len([e for e in store.events if e.kind == "session_started"]) == 1


def test_a_session_opens_with_the_prior_close_where_the_broker_reports_it() -> None:
    store = MemoryStore()
    roll_session(store, account("3100", prior="3000"), START)
    assert store.view().counters.session_start_equity == 3000


def test_the_peak_only_rises() -> None:
    store = MemoryStore()
    for equity in ("3000", "3200", "3100"):
        keep_account(store, account(equity), START)
    assert store.view().counters.peak_equity == 3200


def test_the_account_is_kept_only_when_it_changed() -> None:
    store = MemoryStore()
    keep_account(store, account("3000"), START)
    generation = store.generation
    keep_account(store, replace(account("3000"), taken_at=START + timedelta(seconds=1)), START)
    assert store.generation == generation
    keep_account(store, account("2990"), START)
    assert store.generation == generation + 1
    assert store.view().account.account.equity == 2990


def test_the_curve_of_a_session_has_one_point_for_five_minutes() -> None:
    store = MemoryStore()
    for minutes, equity in ((0, "3000"), (1, "3001"), (6, "3002"), (7, "3003"), (60 * 24, "3004")):
        at = START + timedelta(minutes=minutes)
        keep_account(store, replace(account(equity), taken_at=at), at)
        if minutes == 7:
            assert [point.equity for point in store.view().account.curve] == [3001, 3003]
    assert [point.equity for point in store.view().account.curve] == [3004]


def test_an_answer_that_came_first_is_not_expired_over() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now()))
    late = Slow(rig.store)
    rig.desk.reject(*rig.desk.pending())
    assert len(expire_approvals(late, rig.clock.advance(minutes=31))) == 1
    (approval,) = rig.state.approvals.values()
    assert approval.status is ApprovalStatus.REJECTED


def test_a_round_of_housekeeping_is_one_commit_and_none_when_nothing_is_due() -> None:
    rig = Rig(limits=manual(), prices=Prices())
    rig.feed(make_signal(now=rig.clock.now()))
    rig.clock.advance(minutes=60 * 24)
    before = rig.store.generation
    keep_house(rig.store, rig.gatherer, account("5000"), rig.clock.now())
    assert rig.store.generation == before + 1
    state = rig.state
    assert state.counters.peak_equity == 5000
    assert state.counters.session_date == "2026-03-03"
    assert [approval.status for approval in state.approvals.values()] == [ApprovalStatus.EXPIRED]
    keep_house(rig.store, rig.gatherer, account("5000"), rig.clock.now())
    assert rig.store.generation == before + 1
