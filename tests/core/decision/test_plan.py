from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.checks import PRE_TRADE_CHECKS
from apex_cli.core.decision.plan import decide, probe_entry
from apex_cli.core.model.currency import CurrencyLimits, Rate
from apex_cli.core.model.decision import DecisionKind, Snapshot, TradingMode
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.limits import CommissionPlan, Limits
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.money import Quantity, Usd
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.signal import SignalType

D = Decimal


def test_what_passes_waits_for_a_person_unless_reported_otherwise(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(), Limits())
    assert decision.kind is DecisionKind.QUEUE
    assert [reason.code for reason in decision.reasons] == ["approval_required"]
    assert decision.sized is not None
    assert (decision.sized.quantity, decision.reward_risk, decision.entry_price) == (3, 2, 50)


def test_auto_mode_executes_what_scores_high_enough(build: Any) -> None:
    decision = decide(build.opportunity(score="0.8"), build.snapshot(), build.limits(auto=True, auto_min_score="0.8"))
    assert (decision.kind, decision.reasons) == (DecisionKind.EXECUTE, ())


def test_auto_mode_asks_about_a_lower_score(build: Any) -> None:
    decision = decide(build.opportunity(score="0.7"), build.snapshot(), build.limits(auto=True, auto_min_score="0.75"))
    (reason,) = decision.reasons
    assert (decision.kind, reason.code) == (DecisionKind.QUEUE, "score_below_auto")
    assert (reason.limit, reason.value) == ("at least 0.75", "0.70")


def test_a_failed_check_refuses_whatever_the_mode(build: Any) -> None:
    decision = decide(build.opportunity(confidence=None), build.snapshot(), build.limits(auto=True))
    assert decision.kind is DecisionKind.REFUSE


def test_a_broken_cap_is_a_warning_of_the_decision(build: Any) -> None:
    opportunity = build.opportunity(entry="700", stop="690", targets=("740",))
    decision = decide(opportunity, build.snapshot(quote="700"), build.limits(auto=True))
    assert decision.kind is DecisionKind.EXECUTE
    assert [warning.code for warning in decision.warnings] == ["cap_capital_exceeded"]


def test_a_persons_quantity_replaces_the_size(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(), Limits(), quantity=Quantity(D(4)))
    assert decision.kind is DecisionKind.QUEUE
    assert decision.sized is not None
    assert (decision.sized.quantity, decision.sized.notional, decision.sized.risk_amount) == (4, 200, 8)
    assert [warning.code for warning in decision.warnings] == ["cap_capital_exceeded"]


@pytest.mark.parametrize(("quantity", "code"), [("0", "quantity_not_positive"), ("1.5", "quantity_off_step")])
def test_a_quantity_that_cannot_be_traded_is_refused(build: Any, quantity: str, code: str) -> None:
    decision = decide(build.opportunity(), build.snapshot(), Limits(), quantity=Quantity(D(quantity)))
    assert (decision.kind, [reason.code for reason in decision.reasons]) == (DecisionKind.REFUSE, [code])


def test_reward_counts_the_quantity_that_aims_at_each_target(build: Any) -> None:
    targets = ("60", "52")
    three = decide(build.opportunity(targets=targets), build.snapshot(), Limits())
    assert three.reward_risk is not None
    assert abs(three.reward_risk - (D(52 * 2 + 60) / 3 - 50) / 2) < D("1e-20")
    one = decide(build.opportunity(targets=targets), build.snapshot(), Limits(), quantity=Quantity(D(1)))
    assert (one.kind, one.reward_risk) == (DecisionKind.REFUSE, 1)
    short = build.opportunity(targets=("40", "48"), stop="52", signal_type=SignalType.SHORT)
    assert decide(short, build.snapshot(), Limits(), quantity=Quantity(D(1))).reward_risk == 1


def test_an_unsized_signal_still_reports_its_reward(build: Any) -> None:
    opportunity = build.opportunity(entry="700", stop="690", targets=("740", "760"))
    decision = decide(opportunity, build.snapshot(quote="700"), build.limits(enforce_caps=True))
    assert (decision.sized, decision.reward_risk) == (None, 5)


prices = st.decimals("1", "200", places=2).map(str)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    signal_type=st.sampled_from(SignalType),
    market=st.sampled_from(MarketType),
    levels=st.tuples(prices, prices, st.lists(prices, max_size=3).map(tuple)),
    quote=st.none() | prices,
    equity=st.decimals("1000", "4000", places=2).map(str),
    mode=st.sampled_from(TradingMode),
    is_open=st.booleans(),
    enforce=st.booleans(),
    quantity=st.none() | st.decimals("-1", "20", places=1).map(Quantity),
)
def test_a_decision_is_deterministic_and_every_refusal_complete(  # noqa: PLR0917 - hypothesis passes by name
    build: Any,
    signal_type: SignalType,
    market: MarketType,
    levels: tuple[str, str, tuple[str, ...]],
    quote: str | None,
    equity: str,
    mode: TradingMode,
    is_open: bool,
    enforce: bool,
    quantity: Quantity | None,
) -> None:
    entry, stop, targets = levels

    def once() -> Any:
        opportunity = build.opportunity(signal_type=signal_type, market=market, entry=entry, stop=stop, targets=targets)
        status = MarketStatus(is_open=is_open, session_date="2026-11-24")
        snapshot = build.snapshot(quote=quote, equity=equity, trading_mode=mode, market=status)
        return decide(opportunity, snapshot, build.limits(auto=True, enforce_caps=enforce), quantity=quantity)

    decision = once()
    assert decision == once()
    failed = [check for check in decision.checks if not check.passed]
    assert [check.code for check in decision.checks] == [check.__name__ for check in PRE_TRADE_CHECKS]
    assert (decision.kind is DecisionKind.REFUSE) == bool(failed)
    for said in (*failed, *(decision.reasons if failed else ())):
        assert said.code
        assert said.limit
        assert said.value
        assert said.message.endswith(".")
    if decision.kind is DecisionKind.EXECUTE:
        budget = Limits().risk.capital * Limits().risk.max_risk_pct
        warned = {warning.code for warning in decision.warnings}
        assert decision.sized.risk_amount <= budget or "cap_risk_exceeded" in warned


class TestAMarketEntryPaysTheLatestPrice:
    def test_a_price_above_the_signals_is_what_a_purchase_is_sized_at(self, build: Any) -> None:
        limits = build.limits(max_position_pct=Decimal(1))
        decision = decide(build.opportunity(entry="50", stop="48"), build.snapshot(quote="51"), limits)
        assert decision.entry_price == 51
        assert decision.sized is not None
        assert decision.sized.quantity == 10
        assert decision.sized.risk_amount == 30

    def test_a_price_below_it_is_what_a_sale_is_sized_at(self, build: Any) -> None:
        opportunity = build.opportunity(entry="50", stop="52", targets=("44",), signal_type=SignalType.SELL)
        assert decide(opportunity, build.snapshot(quote="49"), build.limits()).entry_price == 49

    def test_a_better_price_makes_it_no_larger(self, build: Any) -> None:
        assert decide(build.opportunity(entry="50"), build.snapshot(quote="49"), build.limits()).entry_price == 50

    def test_a_limit_entry_is_sized_at_its_limit(self, build: Any) -> None:
        limits = Limits(execution=ExecutionLimits(entry_order=EntryOrder.LIMIT))
        assert decide(build.opportunity(entry="50"), build.snapshot(quote="51"), limits).entry_price == 50


def test_the_probe_is_the_entry_as_it_would_be_sized(build: Any) -> None:
    market = probe_entry(build.opportunity(), build.snapshot(quote="51"), Limits())
    assert market is not None
    assert (market.order_type, market.quantity, market.limit_price, market.reference_price) == ("MARKET", 2, None, 51)
    limits = Limits(execution=ExecutionLimits(entry_order=EntryOrder.LIMIT))
    limit = probe_entry(build.opportunity(), build.snapshot(quote="51"), limits, Quantity(D(4)))
    assert limit is not None
    assert (limit.order_type, limit.quantity, limit.limit_price) == ("LIMIT", 4, 50)


def test_without_a_size_there_is_no_probe(build: Any) -> None:
    assert probe_entry(build.opportunity(stop="50"), build.snapshot(), Limits()) is None


THREE = ("54", "56", "58")


@pytest.mark.parametrize(
    ("plan", "targets", "quantity", "sums"),
    [
        (CommissionPlan.IB_FIXED, THREE, 3, [("1.50", "1.00")]),
        (CommissionPlan.IB_FIXED, THREE, 30, [("3.00", "1.00")]),
        (CommissionPlan.IB_TIERED, THREE, 3, [("1.05", "0.35")]),
        (CommissionPlan.IB_FIXED, THREE, 3000, []),
        (CommissionPlan.IB_FIXED, THREE, 1, []),
        (CommissionPlan.IB_FIXED, ("54",), 3, []),
        (CommissionPlan.NONE, THREE, 3, []),
    ],
)
def test_entry_orders_that_pay_several_minimum_commissions_are_a_warning(
    build: Any, plan: CommissionPlan, targets: tuple[str, ...], quantity: int, sums: list[tuple[str, str]]
) -> None:
    opportunity = build.opportunity(targets=targets)
    limits = Limits(commission=plan, execution=ExecutionLimits(one_entry=False))
    decision = decide(opportunity, build.snapshot(), limits, quantity=Quantity(D(quantity)))
    found = [(each.value, each.limit) for each in decision.warnings if each.code == "entry_split"]
    assert found == sums


def test_one_entry_for_all_targets_pays_one_commission(build: Any) -> None:
    decision = decide(
        build.opportunity(targets=THREE),
        build.snapshot(),
        Limits(commission=CommissionPlan.IB_FIXED),
        quantity=Quantity(D(3)),
    )
    assert "entry_split" not in {warning.code for warning in decision.warnings}


def test_what_has_no_size_has_no_commission(build: Any) -> None:
    opportunity = build.opportunity(entry="50", stop="50", targets=THREE)
    limits = Limits(commission=CommissionPlan.IB_FIXED, execution=ExecutionLimits(one_entry=False))
    decision = decide(opportunity, build.snapshot(), limits)
    assert decision.sized is None
    assert "entry_split" not in {warning.code for warning in decision.warnings}


def test_a_rate_is_part_of_the_inputs_and_the_journal_s_inputs_decide_the_same_again(build: Any) -> None:
    opportunity = build.opportunity()
    signal = opportunity.signal
    abroad = replace(signal, instrument=replace(signal.instrument, symbol="SAP", currency="EUR"))
    opportunity = replace(opportunity, signal=abroad)
    at = build.snapshot().taken_at
    rate = Rate(currency="EUR", value=D("1.5"), source="broker", at=at)
    snapshot = replace(build.snapshot(), rate=rate)
    limits = Limits(risk=RiskLimits(capital=Usd(D(30_000)), max_position_pct=D(1)))
    decision = decide(opportunity, snapshot, limits)
    assert decision.sized is not None
    assert (decision.sized.quantity, decision.sized.risk_amount, decision.sized.rate) == (100, 300, rate)
    kept = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
    assert decide(opportunity, kept, limits) == decision


@pytest.mark.parametrize(("hours", "code"), [(None, "no_rate"), (97, "rate_too_old")])
def test_without_a_rate_that_holds_nothing_is_opened(build: Any, hours: int | None, code: str) -> None:
    opportunity = build.opportunity()
    signal = opportunity.signal
    abroad = replace(signal, instrument=replace(signal.instrument, symbol="SAP", currency="EUR"))
    taken_at = build.snapshot().taken_at
    old = None
    if hours is not None:
        old = Rate(currency="EUR", value=D(1), source="EUR.USD bars", at=taken_at - timedelta(hours=hours))
    snapshot = replace(build.snapshot(), rate=old)
    decision = decide(replace(opportunity, signal=abroad), snapshot, build.limits(auto=True))
    assert (decision.kind, [reason.code for reason in decision.reasons]) == (DecisionKind.REFUSE, [code])


def test_reasons_name_the_currency_of_the_account(build: Any) -> None:
    euros = replace(
        build.limits(auto=True), currency=CurrencyLimits(base="EUR"), risk=RiskLimits(max_notional=Usd(D(1)))
    )
    rate = Rate(currency="USD", base="EUR", value=D("0.8"), source="broker")
    decision = decide(build.opportunity(), replace(build.snapshot(), rate=rate), euros)
    (reason,) = decision.reasons
    assert (reason.code, reason.limit) == ("max_notional", "at most 1.00 EUR")
