from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.checks import PRE_TRADE_CHECKS
from apex_cli.core.decision.plan import decide, explain_checks
from apex_cli.core.model.calendar_event import Blackout, CalendarEvent
from apex_cli.core.model.decision import DecisionKind, Mark, ProtectionInputs, TradeRecord
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.limits import CommissionPlan, Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.protections import (
    NO_PROTECTIONS,
    CooldownLimits,
    CostLimits,
    LockRule,
    LockScope,
    Protections,
    SizingLimits,
    StrategyBudget,
    StrategyBudgets,
    TradeLock,
)
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Binding

D = Decimal
UNTIL = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)


def limits_of(protections: Protections, **sections: Any) -> Limits:
    """Return limits that execute without asking."""
    return Limits(execution=ExecutionLimits(auto_execute=True), protections=protections, **sections)


COOLDOWN = limits_of(Protections(cooldown=CooldownLimits(after_stop="2 sessions")))


def a_lock(subject: str = "AAPL", **changes: Any) -> TradeLock:
    values: dict[str, Any] = {
        "lock_id": "0a1b2c3d4e",
        "rule": LockRule.COOLDOWN,
        "scope": LockScope.SYMBOL,
        "subject": subject,
        "since": datetime(2026, 3, 2, 15, 0, tzinfo=UTC),
        "until": UNTIL,
        "trades": ("t1",),
        "limit": "no stop within 2 sessions",
        "value": "a stop at -1.00 R",
    }
    return TradeLock(**{**values, **changes})


def test_without_protections_and_locks_the_checks_are_those_of_before(build: Any) -> None:
    checks = decide(build.opportunity(), build.snapshot(), Limits()).checks
    assert [check.code for check in checks] == [check.__name__ for check in PRE_TRADE_CHECKS]
    assert Limits().protections is NO_PROTECTIONS


def test_a_lock_refuses_with_limit_found_and_when_it_lifts(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(a_lock(),)), COOLDOWN)
    assert decision.kind is DecisionKind.REFUSE
    (reason,) = decision.reasons
    assert (reason.code, reason.limit, reason.value) == ("cooldown", "no stop within 2 sessions", "a stop at -1.00 R")
    assert reason.lifts_at == UNTIL
    assert "AAPL is locked" in reason.message
    assert "2026-03-04 09:30 ET" in reason.message


def test_a_lock_holds_although_its_protection_is_off(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(a_lock(),)), Limits())
    assert [reason.code for reason in decision.reasons] == ["cooldown"]


@pytest.mark.parametrize("lock", [a_lock("MSFT"), a_lock("pullback", scope=LockScope.STRATEGY)])
def test_a_lock_of_something_else_refuses_nothing(build: Any, lock: TradeLock) -> None:
    snapshot = build.snapshot(trade_locks=(lock,))
    assert decide(build.opportunity(), snapshot, COOLDOWN).kind is not DecisionKind.REFUSE


def test_of_several_locks_the_one_that_ends_last_is_reported(build: Any) -> None:
    later = a_lock(lock_id="ffffffffff", until=UNTIL.replace(day=6))
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(later, a_lock())), COOLDOWN)
    assert [reason.lifts_at for reason in decision.reasons] == [later.until]


def test_a_configured_protection_that_passes_shows_its_limit_when_described(build: Any) -> None:
    *_, cooldown = explain_checks(build.opportunity(), build.snapshot(), COOLDOWN)
    assert (cooldown.code, cooldown.passed, cooldown.limit) == ("cooldown", True, "no stop within 2 sessions")


NOVEMBER = Mark(since="2026-11-02", equity=Usd(D(3200)))
MONDAY = Mark(since="2026-11-23", equity=Usd(D(3100)))


@pytest.mark.parametrize(
    ("limit", "code", "mark", "opens"),
    [
        ("max_weekly_loss_pct", "weekly_loss", MONDAY, "2026-11-30 09:30 ET"),
        ("max_monthly_loss_pct", "monthly_loss", NOVEMBER, "2026-12-01 09:30 ET"),
    ],
)
def test_a_loss_of_week_or_month_refuses_until_the_next_one_opens(
    build: Any, limit: str, code: str, mark: Mark, opens: str
) -> None:
    inputs = ProtectionInputs(week=MONDAY, month=NOVEMBER)
    lost = mark.equity - 3000
    just = (lost / mark.equity).quantize(D("0.0001"))
    for part, is_refused in ((just - D("0.0001"), True), (just + D("0.0001"), False)):
        limits = limits_of(Protections(**{limit: part}))
        failed = build.failures(build.opportunity(), build.snapshot(protections=inputs), limits)
        assert list(failed) == ([code] if is_refused else [])
        if is_refused:
            assert opens in failed[code].message
            assert mark.since in failed[code].message


@pytest.mark.parametrize("limit", ["max_weekly_loss_pct", "max_monthly_loss_pct"])
def test_a_base_that_is_not_known_refuses(build: Any, limit: str) -> None:
    limits = limits_of(Protections(**{limit: D("0.5")}))
    (reason,) = build.failures(build.opportunity(), build.snapshot(), limits).values()
    assert "unknown" in reason.message


def budget(**values: Any) -> Limits:
    return limits_of(Protections(budget=StrategyBudgets(**values)))


def of(build: Any, key: str, strategy: str, risk: str = "10") -> Any:
    return replace(build.exposure(key, risk), strategy=strategy)


def test_a_strategy_has_a_budget_of_risk(build: Any) -> None:
    # 3 shares at a risk of 2 are 6 of 3,000.
    exposures = (of(build, "MSFT", "breakout", "20"), of(build, "IBM", "other", "500"))
    roomy = RiskLimits(max_open_risk_pct=D(1))
    for part, is_refused in (("0.0086", True), ("0.0087", False)):
        limits = replace(budget(max_open_risk_pct=D(part)), risk=roomy)
        failed = build.failures(build.opportunity(), build.snapshot(exposures=exposures), limits)
        assert ("strategy_risk" in failed) == is_refused
        if is_refused:
            assert failed["strategy_risk"].value == "26.00 USD"


def test_a_strategy_has_a_budget_of_positions(build: Any) -> None:
    exposures = (of(build, "MSFT", "breakout"), of(build, "MSFT", "breakout"), of(build, "IBM", "other"))
    for most, is_refused in ((1, True), (2, False)):
        failed = build.failures(build.opportunity(), build.snapshot(exposures=exposures), budget(max_positions=most))
        assert list(failed) == (["strategy_positions"] if is_refused else [])


def test_the_budget_of_one_strategy_leaves_the_others_theirs(build: Any) -> None:
    limits = budget(max_positions=5, strategies={"breakout": StrategyBudget(max_positions=1)})
    exposures = (of(build, "MSFT", "breakout"), of(build, "IBM", "other"))
    snapshot = build.snapshot(exposures=exposures)
    assert list(build.failures(build.opportunity(), snapshot, limits)) == ["strategy_positions"]
    assert build.failures(build.opportunity(strategy="other"), snapshot, limits) == {}


def costing(**values: Any) -> Limits:
    return limits_of(Protections(costs=CostLimits(**values)), commission=CommissionPlan.IB_FIXED)


def test_reward_risk_counts_after_costs(build: Any) -> None:
    # 3 shares, a target of 4 and a stop of 2: (12 - 2 - 0.0375) / (6 + 2 + 0.075) = 1.2337
    for least, is_refused in (("1.24", True), ("1.23", False)):
        limits = costing(min_net_reward_risk=D(least), spread_pct=D("0.0005"))
        failed = build.failures(build.opportunity(), build.snapshot(), limits)
        assert list(failed) == (["net_reward_risk"] if is_refused else [])
        if is_refused:
            assert failed["net_reward_risk"].value == "1.23 net, 2.00 gross"


def test_expectancy_counts_after_costs(build: Any) -> None:
    # Confidence 0.7: 0.7 * 2 - 0.3 = 1.10 R before; (0.7 * 9.9625 - 0.3 * 8.075) / 6 = 0.7585 R after.
    for least, is_refused in (("0.76", True), ("0.75", False)):
        limits = costing(min_net_expectancy_r=D(least), spread_pct=D("0.0005"))
        failed = build.failures(build.opportunity(), build.snapshot(), limits)
        assert list(failed) == (["net_expectancy"] if is_refused else [])
        if is_refused:
            assert failed["net_expectancy"].value == "+0.76 R net, +1.10 R gross"


@pytest.mark.parametrize("name", ["min_net_reward_risk", "min_net_expectancy_r"])
def test_costs_that_are_not_known_refuse(build: Any, name: str) -> None:
    limits = costing(**{name: D("0.1")})
    (reason,) = build.failures(build.opportunity(), build.snapshot(), limits).values()
    assert "spread_pct" in reason.message
    no_target = replace(limits, risk=RiskLimits(min_reward_risk=D(0)))
    failed = build.failures(build.opportunity(targets=()), build.snapshot(), no_target)
    assert "no target" in {reason.value for reason in failed.values()}


def test_an_expectancy_needs_a_confidence(build: Any) -> None:
    limits = replace(costing(min_net_expectancy_r=D("0.1"), spread_pct=D(0)), risk=RiskLimits(min_confidence=D(0)))
    (reason,) = build.failures(build.opportunity(confidence=None), build.snapshot(), limits).values()
    assert (reason.code, reason.value) == ("net_expectancy", "no confidence")


def a_blackout(name: str, ends_at: datetime) -> Blackout:
    event = CalendarEvent(symbol="AAPL", kind="earnings", name=name, starts_at=UNTIL, ends_at=UNTIL)
    return Blackout(event=event, begins_at=UNTIL, ends_at=ends_at)


def test_a_blackout_refuses_until_the_last_one_is_over(build: Any) -> None:
    blackouts = (a_blackout("Q3", UNTIL), a_blackout("Q4", UNTIL.replace(day=5)))
    inputs = ProtectionInputs(has_calendar=True, blackouts=blackouts)
    limits = limits_of(Protections())
    (reason,) = build.failures(build.opportunity(), build.snapshot(protections=inputs), limits).values()
    assert (reason.code, reason.value, reason.lifts_at) == ("blackout", "AAPL, earnings, Q4", UNTIL.replace(day=5))
    assert "on 2026-03-04 09:30 ET. It opens again at 2026-03-05 09:30 ET" in reason.message
    whole = replace(blackouts[1], event=replace(blackouts[1].event, is_whole_day=True))
    inputs = ProtectionInputs(has_calendar=True, blackouts=(whole,))
    (reason,) = build.failures(build.opportunity(), build.snapshot(protections=inputs), limits).values()
    assert "on 2026-03-04. It opens again" in reason.message


def test_a_calendar_that_cannot_be_used_refuses_and_one_without_events_passes(build: Any) -> None:
    trouble = ProtectionInputs(has_calendar=True, calendar_trouble="events.csv cannot be read.")
    limits = limits_of(Protections())
    (reason,) = build.failures(build.opportunity(), build.snapshot(protections=trouble), limits).values()
    assert (reason.code, reason.message) == ("blackout", "events.csv cannot be read.")
    empty = build.snapshot(protections=ProtectionInputs(has_calendar=True))
    assert build.failures(build.opportunity(), empty, limits) == {}
    *_, described = explain_checks(build.opportunity(), empty, limits)
    assert (described.code, described.limit, described.value) == ("blackout", "no blackout", "none")


def test_a_volatility_that_is_not_known_refuses(build: Any) -> None:
    limits = limits_of(Protections(sizing=SizingLimits(volatility_target=D("0.3"))))
    for inputs, words in (
        (ProtectionInputs(), "too few days"),
        (ProtectionInputs(trouble="AAPL.csv cannot be read."), "AAPL.csv cannot be read."),
    ):
        (reason,) = build.failures(build.opportunity(), build.snapshot(protections=inputs), limits).values()
        assert reason.code == "volatility"
        assert words in reason.message
    known = build.snapshot(protections=ProtectionInputs(volatility=D("0.2")))
    assert build.failures(build.opportunity(), known, limits) == {}
    *_, described = explain_checks(build.opportunity(), known, limits)
    assert (described.code, described.value) == ("volatility", "20 % a year")


def test_kelly_refuses_what_is_not_surely_a_gain_and_is_silent_under_its_count(build: Any) -> None:
    limits = limits_of(Protections(sizing=SizingLimits(kelly_fraction=D("0.25"))))
    for record, is_refused in (
        (TradeRecord(trades=30, mean=D("0.05"), mean_square=D("1.5")), True),
        (TradeRecord(trades=30, mean=D("0.5"), mean_square=D("1.5")), False),
        (None, False),
    ):
        snapshot = build.snapshot(protections=ProtectionInputs(record=record))
        failed = build.failures(build.opportunity(), snapshot, limits)
        assert list(failed) == (["kelly"] if is_refused else [])
        assert "kelly" in [check.code for check in explain_checks(build.opportunity(), snapshot, limits)]


def test_a_multiplier_is_named_as_what_binds(build: Any) -> None:
    limits = limits_of(
        Protections(sizing=SizingLimits(volatility_target=D("0.3"))), risk=RiskLimits(capital=Usd(D(100_000)))
    )
    snapshot = build.snapshot(protections=ProtectionInputs(volatility=D("0.6")), equity="100000")
    sized = decide(build.opportunity(), snapshot, limits).sized
    assert sized is not None
    assert (sized.quantity, sized.binding) == (50, Binding.VOLATILITY)  # half of 100 by capital
    assert sized.multipliers[0].why == "volatility 60 % a year, target 30 %"
