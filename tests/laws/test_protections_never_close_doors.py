"""Law: what protects refuses openings only; nothing of it keeps a position from being closed or protected."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from apex_cli.core.errors import RefusedError
from apex_cli.core.model.protections import (
    BetaLimits,
    CooldownLimits,
    CorrelationLimits,
    CostLimits,
    LockRule,
    LockScope,
    Protections,
    SectorLimits,
    SizingLimits,
    StrategyBudgets,
    TradeLock,
)
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.signal_events import Decided
from kit.decisions import decide_again
from kit.rig import Prices, Rig, auto, make_signal, manual

LEAST = Decimal("0.000001")
STRICT = Protections(
    cooldown=CooldownLimits(after_stop="5 sessions"),
    max_weekly_loss_pct=LEAST,
    max_monthly_loss_pct=LEAST,
    budget=StrategyBudgets(max_open_risk_pct=LEAST, max_positions=1),
    sectors=SectorLimits(max_open_risk_pct=LEAST, max_positions=1),
    correlation=CorrelationLimits(max_open_risk_pct=LEAST),
    beta=BetaLimits(max_exposure=LEAST),
    sizing=SizingLimits(volatility_target=LEAST, kelly_fraction=LEAST),
    costs=CostLimits(min_net_reward_risk=Decimal(1000), min_net_expectancy_r=Decimal(100)),
)
"""Every protection, as strict as it can be set."""


STRICT_LOCKS = Protections(cooldown=CooldownLimits(after_stop="5 sessions"))


def locked(rig: Rig) -> None:
    """Lock everything for a week."""
    now = rig.clock.now()
    with rig.store.transaction() as tx:
        for rule in LockRule:
            for scope, subject in (
                (LockScope.SYMBOL, "AAPL"),
                (LockScope.STRATEGY, "breakout"),
                (LockScope.ACCOUNT, "*"),
            ):
                lock = TradeLock(
                    lock_id=f"{rule}-{scope}",
                    rule=rule,
                    scope=scope,
                    subject=subject,
                    since=now,
                    until=now + timedelta(days=7),
                    trades=("t",),
                    limit="none",
                    value="all",
                )
                tx.trade_locks[lock.lock_id] = lock


@pytest.fixture
def rig() -> Rig:
    """A position that was opened before anything was protected."""
    rig = Rig(limits=auto(), prices=Prices())
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    rig.price("50")
    rig.cycle()
    assert rig.at_venue()["AAPL"] > 0
    rig.limits = auto(protections=STRICT)
    rig._build()
    locked(rig)
    return rig


def test_a_person_closes(rig: Rig) -> None:
    rig.close("AAPL")
    rig.price("50")
    rig.cycle()
    assert not rig.state.positions
    assert not rig.at_venue().get("AAPL")


def test_a_stop_closes(rig: Rig) -> None:
    rig.price("47")
    rig.cycle()
    assert not rig.state.positions
    assert [trip.exit_reason for trip in rig.state.round_trips.values()] == ["stop"]


def test_protection_is_put_back(rig: Rig) -> None:
    (stop,) = [name for name in rig.resting_at_venue() if "-S" in name]
    rig.run(rig.broker.cancel(stop))
    rig.cycle()
    rig.cycle()
    assert rig.unprotected() == 0


def test_and_nothing_is_opened(rig: Rig) -> None:
    (report,) = rig.feed(make_signal("MSFT", now=rig.clock.now()))
    codes = {reason.code for reason in report.reasons}
    assert codes >= set(LockRule)
    assert codes >= {
        "strategy_risk",
        "sector_risk",
        "correlated_risk",
        "beta_exposure",
        "net_reward_risk",
        "volatility",
    }


def test_an_approval_that_waited_is_looked_at_with_what_is_locked_by_then() -> None:
    rig = Rig(limits=manual(protections=STRICT_LOCKS), prices=Prices())
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    (approval,) = rig.desk.pending()
    locked(rig)
    with pytest.raises(RefusedError) as error:
        rig.run(rig.desk.approve(approval))
    assert error.value.code == "cooldown"
    assert rig.desk.pending() == (approval,)
    assert error.value.details["reasons"][0]["lifts_at"] == rig.clock.now() + timedelta(days=7)


@pytest.mark.parametrize("protections", [STRICT, STRICT_LOCKS])
def test_the_inputs_of_the_journal_give_its_decision_again(protections: Protections) -> None:
    rig = Rig(limits=auto(protections=protections), prices=Prices())
    locked(rig)
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    (row,) = rig.events("decided")
    event = read_event(row)
    assert isinstance(event, Decided)
    assert decide_again(event.data) == event.data.decision
    assert len(event.data.decision.reasons) >= len(LockRule)
