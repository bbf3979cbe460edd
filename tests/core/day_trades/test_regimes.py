from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from apex_cli.core.day_trades.regimes import facts_of, gate_equity, holds_from, infer_regimes
from apex_cli.core.model.account import AccountFacts, AccountSnapshot, AccountType
from apex_cli.core.model.decision import Regime
from apex_cli.core.model.limits import DayTradeRegime
from apex_cli.core.model.money import Usd

D = Decimal
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
THRESHOLD = Usd(D(25_000))
BOTH = (Regime.CLASSIC, Regime.INTRADAY_MARGIN)


def usd(amount: int | None) -> Usd | None:
    return None if amount is None else Usd(D(amount))


def inferred(configured: DayTradeRegime = DayTradeRegime.AUTO, **reported: Any) -> tuple[Any, ...]:
    got = infer_regimes(AccountFacts(**reported), configured, THRESHOLD)
    assert got.source
    return (*got.regimes, got.is_known)


@pytest.mark.parametrize("reported", [0, 1, 2, 3])
def test_a_number_from_the_broker_means_classic_and_intraday_margin(reported: int) -> None:
    assert inferred(broker_day_trades_remaining=reported) == (*BOTH, True)
    assert inferred(broker_day_trades_remaining=reported, account_type=AccountType.PORTFOLIO) == (*BOTH, True)


def test_minus_one_from_a_small_account_means_that_the_count_is_not_enforced() -> None:
    expected = (Regime.INTRADAY_MARGIN, True)
    assert inferred(broker_day_trades_remaining=-1, net_liquidation=usd(24_999)) == expected
    assert inferred(broker_day_trades_remaining=-1, equity_now=usd(10)) == expected
    assert inferred(broker_day_trades_remaining=-1) == expected


def test_minus_one_from_a_large_account_proves_nothing_and_both_rules_pass() -> None:
    assert inferred(broker_day_trades_remaining=-1, net_liquidation=usd(25_000)) == (Regime.UNKNOWN, True)


def test_a_complete_summary_without_the_number_means_that_it_is_not_counted() -> None:
    expected = (Regime.INTRADAY_MARGIN, True)
    assert inferred(account_type=AccountType.MARGIN, net_liquidation=usd(9000)) == expected
    assert inferred(broker_summary_complete=True) == expected


@pytest.mark.parametrize(
    "reported",
    [
        {},
        {"account_type": AccountType.MARGIN},
        {"net_liquidation": usd(9000)},
        {"account_type": AccountType.MARGIN, "net_liquidation": usd(9000), "broker_summary_complete": False},
        {"equity_now": usd(30_000), "account_type": AccountType.MARGIN},
    ],
)
def test_a_thin_summary_without_the_number_leaves_the_rule_unknown(reported: dict[str, Any]) -> None:
    assert inferred(**reported) == (Regime.UNKNOWN, False)


def test_an_order_refused_as_a_pattern_day_trade_proves_the_count_whatever_the_number_says() -> None:
    assert inferred(pdt_rejected=True, broker_day_trades_remaining=-1) == (*BOTH, True)
    assert inferred(DayTradeRegime.INTRADAY_MARGIN, pdt_rejected=True) == (*BOTH, True)


def test_cash_and_portfolio_margin_accounts_have_their_own_rules() -> None:
    assert inferred(account_type=AccountType.CASH, broker_day_trades_remaining=3) == (Regime.CASH_SETTLEMENT, True)
    assert inferred(account_type=AccountType.PORTFOLIO) == (Regime.PORTFOLIO_MARGIN, True)
    assert inferred(DayTradeRegime.CLASSIC, account_type=AccountType.CASH) == (Regime.CASH_SETTLEMENT, True)


def test_a_configured_rule_holds_unless_the_broker_counts() -> None:
    assert inferred(DayTradeRegime.CLASSIC) == (Regime.CLASSIC, True)
    assert inferred(DayTradeRegime.CLASSIC, broker_day_trades_remaining=-1) == (Regime.CLASSIC, True)
    assert inferred(DayTradeRegime.INTRADAY_MARGIN) == (Regime.INTRADAY_MARGIN, True)
    assert inferred(DayTradeRegime.INTRADAY_MARGIN, broker_day_trades_remaining=2) == (*BOTH, True)
    assert inferred(DayTradeRegime.OFF, broker_day_trades_remaining=0) == (Regime.OFF, True)


def test_a_simulated_account_counts_day_trades() -> None:
    assert inferred(is_simulated=True) == (Regime.CLASSIC, True)
    assert inferred(DayTradeRegime.INTRADAY_MARGIN, is_simulated=True) == (Regime.INTRADAY_MARGIN, True)


@pytest.mark.parametrize(
    ("now", "net", "prior", "deposits", "expected"),
    [
        (25_000, None, None, 0, 25_000),
        (None, 24_000, None, 0, 24_000),
        (26_000, None, 24_000, 500, 24_500),
        (24_000, None, 26_000, -500, 24_000),
        (None, None, 26_000, 0, 26_000),
        (None, None, None, 0, None),
    ],
)
def test_the_gate_equity_is_the_lesser_of_the_adjusted_close_and_now(
    now: int | None, net: int | None, prior: int | None, deposits: int, expected: int | None
) -> None:
    facts = AccountFacts(
        equity_now=usd(now),
        net_liquidation=usd(net),
        equity_prev_close=usd(prior),
        net_deposits_since_close=Usd(D(deposits)),
    )
    assert gate_equity(facts) == expected


def test_what_the_account_reports_elsewhere_completes_its_facts() -> None:
    bare = AccountSnapshot(equity=Usd(D(9000)), cash=Usd(D(100)), buying_power=Usd(D(0)), taken_at=NOW)
    facts = facts_of(bare)
    assert (facts.equity_now, facts.net_liquidation, facts.net_cash) == (D(9000), D(9000), D(100))
    assert (facts.equity_prev_close, facts.broker_day_trades_remaining) == (None, None)
    reported = AccountFacts(
        account_type=AccountType.MARGIN,
        equity_prev_close=usd(8000),
        broker_day_trades_remaining=2,
        net_liquidation=usd(9001),
        net_cash=usd(-5),
        settled_cash=usd(7),
    )
    full = facts_of(
        AccountSnapshot(equity=Usd(D(9000)), cash=Usd(D(100)), buying_power=Usd(D(0)), taken_at=NOW, facts=reported)
    )
    assert (full.equity_prev_close, full.broker_day_trades_remaining, full.net_liquidation) == (D(8000), 2, D(9001))
    assert (full.net_cash, full.settled_cash, full.account_type) == (D(-5), D(7), AccountType.MARGIN)
    both = AccountSnapshot(
        equity=Usd(D(9000)),
        cash=Usd(D(100)),
        buying_power=Usd(D(0)),
        taken_at=NOW,
        prior_close_equity=usd(8500),
        broker_day_trades_remaining=1,
        facts=reported,
    )
    assert (facts_of(both).equity_prev_close, facts_of(both).broker_day_trades_remaining) == (D(8500), 1)


@pytest.mark.parametrize(
    ("rejected_on", "session", "holds"),
    [
        ("", "2026-11-24", False),
        ("2026-11-24", "2026-11-24", True),
        ("2026-11-18", "2026-11-24", True),
        ("2026-11-17", "2026-11-24", False),
        ("2026-11-24", "2026-12-01", True),
        ("2026-11-24", "2026-12-02", False),
    ],
)
def test_such_a_refusal_counts_for_five_sessions(rejected_on: str, session: str, *, holds: bool) -> None:
    assert holds_from(rejected_on, date.fromisoformat(session)) is holds
