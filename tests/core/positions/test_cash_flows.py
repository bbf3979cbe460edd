from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.adapters.state.memory_store import MemoryStore
from apex_cli.core.execution.upkeep import keep_account, reset_marks, settle_account
from apex_cli.core.model.account import AccountSnapshot, CashFlow
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import Counters
from apex_cli.core.positions.cash_flows import day_pnl, suspected_flow, with_flow

D = Decimal
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
NOTHING_HELD = Usd(D(0))


def account(cash: str, equity: str | None = None, minutes: int = 0) -> AccountSnapshot:
    worth = Usd(D(equity or cash))
    at = NOW + timedelta(minutes=minutes)
    return AccountSnapshot(equity=worth, cash=Usd(D(cash)), buying_power=worth, taken_at=at)


@pytest.mark.parametrize(
    ("after", "held", "amount"),
    [
        (account("60000", minutes=60), "0", "-40000"),
        (account("140000", minutes=60), "0", "40000"),
        (account("60000", "59900", minutes=60), "0", "-40000"),
        (account("60000", "57000", minutes=60), "0", None),
        (account("60000", "57000", minutes=60), "50000", "-40000"),
        (account("100000", "57000", minutes=60), "0", None),
        (account("60000", "100000", minutes=60), "40000", None),
        (account("99500", minutes=60), "0", None),
    ],
    ids=[
        "taken out",
        "paid in",
        "with interest",
        "more is gone than cash",
        "while the market moved",
        "a loss without cash",
        "a purchase that is not booked yet",
        "too small: a fee",
    ],
)
def test_a_change_of_cash_that_the_value_follows_is_a_flow(
    after: AccountSnapshot, held: str, amount: str | None
) -> None:
    found = suspected_flow(account("100000"), after, traded_at=(), held=Usd(D(held)))
    assert (found.amount if found else None) == (None if amount is None else D(amount))


@pytest.mark.parametrize(("minutes", "is_flow"), [(-6, True), (-4, False), (30, False), (60, False), (61, True)])
def test_any_execution_in_between_leaves_it_unrecognised(minutes: int, is_flow: bool) -> None:
    traded = [NOW + timedelta(minutes=minutes)]
    found = suspected_flow(account("100000"), account("60000", minutes=60), traded_at=traded, held=NOTHING_HELD)
    assert (found is not None) == is_flow


@pytest.mark.parametrize(
    ("amount", "start", "peak"), [("-40000", "58762.89", "64639.18"), ("40000", "141237.11", "155360.82")]
)
def test_loss_and_drawdown_stay_the_parts_that_they_were(amount: str, start: str, peak: str) -> None:
    """100,000 at the start, 110,000 at the peak, 97,000 now: 3 % and 11.8 % lost, whatever is paid in or out."""
    before = Counters(session_start_equity=Usd(D(100_000)), peak_equity=Usd(D(110_000)))
    flow = CashFlow(amount=Usd(D(amount)), equity_before=Usd(D(97_000)), equity_after=Usd(D(97_000) + D(amount)))
    after = with_flow(before, flow)
    assert (after.session_start_equity, after.peak_equity) == (D(start), D(peak))
    for mark, then in ((after.session_start_equity, D(100_000)), (after.peak_equity, D(110_000))):
        assert round((mark - flow.equity_after) / mark, 6) == round((then - 97_000) / then, 6)
    assert day_pnl(after, flow.equity_after) == -3_000


def test_an_account_that_was_empty_begins_anew() -> None:
    before = Counters(session_start_equity=Usd(D(100)), peak_equity=Usd(D(100)))
    flow = CashFlow(amount=Usd(D(500)), equity_before=Usd(D(0)), equity_after=Usd(D(500)))
    after = with_flow(before, flow)
    assert (after.session_start_equity, after.peak_equity) == (500, 500)


def opened() -> MemoryStore:
    store = MemoryStore()
    keep_account(store, account("100000"), NOW)
    with store.transaction() as tx:
        tx.counters = Counters(
            session_date="2026-11-24", session_start_equity=Usd(D(100_000)), peak_equity=Usd(D(100_000))
        )
    return store


def marks(store: MemoryStore) -> tuple[Decimal, Decimal]:
    counters = store.view().counters
    return counters.session_start_equity, counters.peak_equity


@pytest.mark.parametrize(("cash", "mark"), [("60000", 60_000), ("140000", 140_000)])
def test_a_flow_waits_until_the_books_agree_and_then_moves_the_marks_once(cash: str, mark: int) -> None:
    store, later = opened(), account(cash, minutes=60)
    keep_account(store, later, later.taken_at)
    assert marks(store) == (100_000, 100_000)
    found = settle_account(store, later, (), later.taken_at)
    assert found is not None
    assert marks(store) == (mark, mark)
    assert settle_account(store, later, (), later.taken_at) is None
    keep_account(store, later, later.taken_at)
    assert marks(store) == (mark, mark)


def test_a_loss_by_somebody_elses_trades_stays_a_loss() -> None:
    store, later = opened(), account("60000", minutes=60)
    keep_account(store, later, later.taken_at)
    assert settle_account(store, later, [NOW + timedelta(minutes=30)], later.taken_at) is None
    keep_account(store, later, later.taken_at)
    assert marks(store) == (100_000, 100_000)
    kept = store.view().account
    assert kept is not None
    assert kept.account.cash == 60_000


def test_the_marks_are_reset_on_purpose_with_a_reason() -> None:
    store = opened()
    change = reset_marks(store, account("60000", minutes=60), "taken out", NOW + timedelta(minutes=60))
    assert (change.equity_before, change.equity_after, change.reason) == (100_000, 60_000, "taken out")
    assert marks(store) == (60_000, 60_000)


def rated(cash: dict[str, str], rates: dict[str, str], equity: str, minute: int = 0) -> AccountSnapshot:
    balances = {name: D(amount) for name, amount in cash.items()}
    values = {name: D(rate) for name, rate in rates.items()}
    total = sum((amount * values.get(name, D(0)) for name, amount in balances.items()), D(0))
    made = AccountSnapshot(
        equity=Usd(D(equity)), cash=Usd(total), buying_power=Usd(total), taken_at=NOW + timedelta(minutes=minute)
    )
    return replace(made, balances=balances, rates=values)


def test_what_a_rate_alone_moved_is_a_gain_or_a_loss_and_no_flow() -> None:
    # 1,000,000 USD.JPY at 150, with a debt of 150,000,000 JPY; a dollar falls to 142.5: 52,631.58 USD are lost.
    before = rated({"USD": "100000", "JPY": "-150000000"}, {"USD": "1", "JPY": "0.00666667"}, "100000")
    after = rated({"USD": "100000", "JPY": "-150000000"}, {"USD": "1", "JPY": "0.00701754"}, "47368.42", 30)
    assert suspected_flow(before, after, traded_at=(), held=Usd(D(1_000_000))) is None
    assert suspected_flow(
        replace(before, balances={}), replace(after, balances={}), traded_at=(), held=Usd(D(1_000_000))
    )


def test_euros_that_were_paid_in_count_by_the_rate_of_now() -> None:
    before = rated({"USD": "100000"}, {"USD": "1"}, "100000")
    after = rated({"USD": "100000", "EUR": "10000"}, {"USD": "1", "EUR": "1.1"}, "111000", 30)
    flow = suspected_flow(before, after, traded_at=(), held=Usd(D(0)))
    assert flow is not None
    assert flow.amount == 11_000
    unrated = replace(after, rates={"USD": D(1)})
    whole = suspected_flow(before, unrated, traded_at=(), held=Usd(D(0)))
    assert whole is not None
    assert whole.amount == 11_000
