"""In the mode that protects, what was learned lowers a size or asks first, and never the opposite."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.learned import why_lowered
from apex_cli.core.decision.plan import decide, decide_at
from apex_cli.core.decision.record import record_decision
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.learning import LearningLimits, LearningMode
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.signal import Expectation, Opportunity
from apex_cli.core.model.trade_size import Binding, Sized
from apex_cli.core.state.events.signal_events import DecisionRecord
from apex_cli.core.state.tables import State
from kit import START

D = Decimal
PROTECT = LearningLimits(mode=LearningMode.PROTECT)
CHANCE = st.decimals(0, 1, places=4)


def doubted(
    build: Any, loses: str | Decimal | None, *, days: int = 30, orders: bool = True, **changes: Any
) -> Opportunity:
    expected = Expectation(
        mean=D("-0.15"),
        low=D("-0.30"),
        high=D("0"),
        default=D("0.02"),
        orders=orders,
        trades=45,
        followed=80,
        loses=None if loses is None else D(loses),
        next_look=build.now + timedelta(days=days),
    )
    found: Opportunity = replace(build.opportunity(**changes), expected=expected)
    return found


def limits(build: Any, learning: LearningLimits = PROTECT, **changes: Any) -> Limits:
    found: Limits = replace(build.limits(auto=True, **changes), learning=learning)
    return found


def test_a_strategy_that_probably_loses_asks_and_says_when_it_is_looked_at_again(build: Any) -> None:
    decision = decide(doubted(build, "0.93"), build.snapshot(), limits(build))
    assert decision.kind is DecisionKind.QUEUE
    (reason,) = decision.reasons
    assert (reason.code, reason.limit, reason.value) == ("strategy_expectancy", "below 90%", "93%")
    assert reason.lifts_at == build.now + timedelta(days=30)
    assert reason.message == (
        "breakout probably loses, with 93%, by 45 trades and 80 followed signals. It is looked at again after ten "
        "more, at the latest on 2026-12-24 10:00 ET."
    )


def test_before_it_asks_it_lowers_the_size_and_says_so(build: Any) -> None:
    full = decide(build.opportunity(), build.snapshot(), limits(build))
    lowered = decide(doubted(build, "0.80"), build.snapshot(), limits(build))
    assert full.sized is not None
    assert lowered.sized is not None
    assert lowered.kind is DecisionKind.EXECUTE
    assert lowered.sized.quantity == full.sized.quantity // 2
    assert lowered.sized.binding is Binding.LEARNING
    assert [warning.code for warning in lowered.warnings] == ["size_lowered"]
    assert "The size is lowered to 50%: breakout probably loses, with 80%" in lowered.warnings[0].message


@pytest.mark.parametrize(
    ("changes", "learning"),
    [
        ({"loses": "0.99"}, LearningLimits()),
        ({"loses": "0.99"}, LearningLimits(mode=LearningMode.REPORT)),
        ({"loses": "0.74"}, PROTECT),
        ({"loses": None}, PROTECT),
        ({"loses": "0.99", "days": 0}, PROTECT),
        ({"loses": "0.99", "orders": False}, PROTECT),
    ],
    ids=["adapt", "report", "not sure", "not known", "long ago", "switched to report"],
)
def test_otherwise_nothing_changes(build: Any, changes: dict[str, Any], learning: LearningLimits) -> None:
    found = decide(doubted(build, **changes), build.snapshot(), limits(build, learning))
    assert found == decide(build.opportunity(), build.snapshot(), limits(build, learning))
    assert why_lowered(doubted(build, **changes), learning, build.now) is None


def test_a_person_chooses_the_size_that_a_person_wants(build: Any) -> None:
    found = decide_at(
        doubted(build, "0.99"), build.snapshot(), limits(build), entry_price=D(50), quantity=Quantity(D(7))
    )
    assert found.sized is not None
    assert (found.sized.quantity, found.sized.binding) == (7, Binding.CAPITAL)


def test_one_share_stays_one_share(build: Any) -> None:
    found = decide(
        doubted(build, "0.80", entry="290", stop="240", targets=("400",)), build.snapshot(quote="290"), limits(build)
    )
    assert found.sized is not None
    assert (found.sized.quantity, found.sized.binding) == (1, Binding.MINIMUM)


def test_what_the_full_size_is_refused_for_a_smaller_one_is_refused_for(build: Any) -> None:
    tight = limits(build, max_open_risk_pct=D("0.0015"))
    full = decide(build.opportunity(), build.snapshot(), tight)
    lowered = decide(doubted(build, "0.80"), build.snapshot(), tight)
    assert full.kind is lowered.kind is DecisionKind.REFUSE
    assert full.reasons == lowered.reasons


ORDER = [DecisionKind.EXECUTE, DecisionKind.QUEUE, DecisionKind.REFUSE]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    loses=CHANCE,
    learning=st.builds(
        LearningLimits,
        mode=st.sampled_from(LearningMode),
        ask_from=st.decimals(D("0.5"), 1, places=2),
        lower_from=st.decimals(D("0.5"), 1, places=2),
        lower_to=st.decimals(D("0.01"), 1, places=2),
    ),
    entry=st.integers(20, 600),
    risk_pct=st.sampled_from([D("0.001"), D("0.01"), D("0.05")]),
    open_risk=st.sampled_from([D("0.002"), D("0.06")]),
    enforces=st.booleans(),
)
def test_no_size_is_ever_raised_and_nothing_more_is_let_through(
    *,
    build: Any,
    loses: Decimal,
    learning: LearningLimits,
    entry: int,
    risk_pct: Decimal,
    open_risk: Decimal,
    enforces: bool,
) -> None:
    chosen = limits(build, learning, max_risk_pct=risk_pct, max_open_risk_pct=open_risk, enforce_caps=enforces)
    levels = {"entry": str(entry), "stop": str(entry - 2), "targets": (str(entry + 6),)}
    plain = decide(build.opportunity(**levels), build.snapshot(quote=str(entry)), chosen)
    found = decide(doubted(build, loses, **levels), build.snapshot(quote=str(entry)), chosen)
    assert ORDER.index(found.kind) >= ORDER.index(plain.kind)
    if isinstance(plain.sized, Sized):
        assert found.sized is not None
        assert 0 < found.sized.quantity <= plain.sized.quantity
        assert found.sized.risk_amount <= plain.sized.risk_amount


def test_the_clock_of_the_snapshot_counts(build: Any) -> None:
    late = build.snapshot(taken_at=build.now + timedelta(minutes=5))
    found = doubted(build, "0.95")
    assert decide(found, late, limits(build)) == decide(found, late, limits(build))
    assert build.now > START


def test_the_journal_gives_the_decision_again(build: Any) -> None:
    """What was expected, and the limits it was held against, are part of the inputs."""
    for loses in ("0.5", "0.80", "0.95"):
        found, snapshot, chosen = doubted(build, loses), build.snapshot(), limits(build)
        state = State()
        record_decision(state, found, snapshot, chosen, decide(found, snapshot, chosen))
        (row,) = (row for row in state.outbox.values() if row.kind == "decided")
        record = msgspec.json.decode(row.data, type=DecisionRecord)
        assert record.opportunity.expected == found.expected
        assert decide(record.opportunity, record.snapshot, record.limits) == record.decision
