from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.brackets import build_bracket
from apex_cli.core.decision.plan import decide
from apex_cli.core.learning.audit import MOST_SESSIONS
from apex_cli.core.learning.learners import experience_of, roll_back
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, AuditSums, LearningState, Weights, WeightsVersion
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import ScoreComponent, SignalFamily
from apex_cli.core.positions.lessons import (
    MOST_LESSONS,
    drop_lesson,
    entry_conditions,
    fraction_in,
    keep_lesson,
    number_in,
    prediction_in,
    prune_lessons,
)
from apex_cli.core.positions.retention import MOST_VERSIONS, prune
from apex_cli.core.state.tables import State

D = Decimal


def opportunity(build: Any, **changes: Any) -> Any:
    metadata = {
        "technical_composite": 0.82,
        "technical_trend": 1.4,
        "technical_momentum": None,
        "predictor_direction": 1,
        "predictor_probability": 0.66,
    }
    part = ScoreComponent(name="timing", weight=D("0.2"), value=D("0.9"))
    return replace(build.opportunity(metadata=metadata), breakdown=(part,), weights_version=4, **changes)


def opened(build: Any) -> State:
    state, found = State(), opportunity(build)
    decision = decide(found, build.snapshot(), build.limits())
    bracket, _ = build_bracket(decision, found, bracket_id="b1", entry_order=EntryOrder.MARKET, now=build.now)
    state.brackets["b1"] = bracket
    return state


def closed(build: Any, pnl: str = "12", **changes: Any) -> RoundTrip:
    trip = RoundTrip(
        round_trip_id="r1",
        bracket_id="b1",
        strategy="breakout",
        instrument=make_instrument("AAPL"),
        side=PositionSide.LONG,
        quantity=Quantity(D(3)),
        entry_price=Price(D(50)),
        exit_price=Price(D(54)),
        entry_time=build.now,
        exit_time=build.now + timedelta(hours=1),
        pnl=Usd(D(pnl)),
        pnl_pct=D(8),
        commission=Usd(D(2)),
        initial_risk=Usd(D(6)),
    )
    return replace(trip, **changes)


def test_a_bracket_carries_what_the_decision_saw(build: Any) -> None:
    bracket = opened(build).brackets["b1"]
    assert bracket.conditions == EntryConditions(
        score=D("0.8"),
        weights_version=4,
        parts={"timing": D("0.9")},
        traits={"technical_composite": D("0.8200"), "technical_trend": D("1.0000")},
        predictor_direction=1,
        predictor_probability=D("0.6600"),
        market_view=1,
        seen_at=build.now - timedelta(minutes=1),
    )


def test_a_closed_trade_is_a_lesson_in_r_after_costs(build: Any) -> None:
    state = opened(build)
    keep_lesson(state, closed(build), 17)
    lesson = state.lessons["r1"]
    assert (lesson.seq, lesson.r, lesson.is_win, lesson.strategy) == (17, D("1.6667"), True, "breakout")
    assert lesson.conditions == state.brackets["b1"].conditions


def test_a_corrected_trade_corrects_its_lesson_and_keeps_its_number(build: Any) -> None:
    state = opened(build)
    keep_lesson(state, closed(build), 17)
    keep_lesson(state, closed(build, pnl="-4"), 30)
    assert [(lesson.seq, lesson.r, lesson.is_win) for lesson in state.lessons.values()] == [(17, D("-1.0000"), False)]


def test_the_same_news_twice_changes_nothing(build: Any) -> None:
    state = opened(build)
    keep_lesson(state, closed(build), 17)
    state.settle()
    keep_lesson(state, closed(build), 18)
    assert not any(table.changed for table in state.tables())


def test_a_voided_trade_is_no_lesson_any_more(build: Any) -> None:
    state = opened(build)
    keep_lesson(state, closed(build), 17)
    drop_lesson(state, "r1")
    drop_lesson(state, "never there")
    assert not state.lessons


@pytest.mark.parametrize("changes", [{"bracket_id": "gone"}, {"initial_risk": None}, {"initial_risk": Usd(D(0))}])
def test_a_trade_without_a_plan_or_a_risk_teaches_nothing(build: Any, changes: dict[str, Any]) -> None:
    state = opened(build)
    keep_lesson(state, closed(build, **changes), 17)
    assert not state.lessons


def test_a_bracket_of_an_older_version_teaches_nothing(build: Any) -> None:
    state = opened(build)
    state.brackets["b1"] = replace(state.brackets["b1"], conditions=None)
    keep_lesson(state, closed(build), 17)
    assert not state.lessons


class TestNumbers:
    @pytest.mark.parametrize("value", [None, True, "0.5", float("nan"), float("inf")])
    def test_what_is_no_finite_number_is_none(self, value: Any) -> None:
        assert number_in({"x": value}, "x") is None
        assert fraction_in({"x": value}, "x") is None

    def test_fractions_are_clipped(self) -> None:
        assert [fraction_in({"x": value}, "x") for value in (-3, 0.25, 2)] == [0, D("0.25"), 1]
        assert number_in({"x": -3}, "x") == -3

    @pytest.mark.parametrize(
        ("direction", "probability", "found"),
        [(1, 0.7, (1, D("0.7"))), (-1.0, 0.7, (-1, D("0.7"))), (0, 0.7, None), (True, 0.7, None), (1, None, None)],
    )
    def test_a_prediction_needs_both(self, direction: Any, probability: Any, found: Any) -> None:
        assert prediction_in({"predictor_direction": direction, "predictor_probability": probability}) == found

    @given(
        metadata=st.dictionaries(
            st.sampled_from(["technical_composite", "predictor_direction", "predictor_probability"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        )
    )
    def test_no_metadata_can_break_it(self, metadata: Any) -> None:
        prediction_in(metadata)
        assert all(value is None or 0 <= value <= 1 for value in [fraction_in(metadata, "technical_composite")])


def a_lesson(build: Any, number: int, days: int, market: MarketType = MarketType.EQUITY) -> Lesson:
    return Lesson(
        round_trip_id=f"r{market}{number}",
        seq=number,
        market_type=market,
        side=PositionSide.LONG,
        closed_at=build.now - timedelta(days=days),
        r=D(1),
        conditions=EntryConditions(score=D(1)),
    )


def test_a_year_and_sixty_of_each_market_are_kept(build: Any) -> None:
    state = State()
    rows = [a_lesson(build, n, 100 - n) for n in range(MOST_LESSONS + 5)]
    rows += [a_lesson(build, 1, 366, MarketType.FOREX), a_lesson(build, 2, 367, MarketType.FOREX)]
    for row in rows:
        state.lessons[row.round_trip_id] = row
    prune_lessons(state, build.now)
    kept = [lesson.seq for lesson in state.lessons.values() if lesson.market_type is MarketType.EQUITY]
    assert kept == list(range(5, MOST_LESSONS + 5))
    assert [lesson.seq for lesson in state.lessons.values() if lesson.market_type is MarketType.FOREX] == [1]


def test_what_leaves_stays_in_the_sums_of_its_market_and_strategy(build: Any) -> None:
    state = State()
    rows = [a_lesson(build, n, 100 - n) for n in range(1, MOST_LESSONS + 6)]
    for row in rows:
        state.lessons[row.round_trip_id] = row
    before = experience_of(state)
    prune_lessons(state, build.now)
    assert state.experience["equity/"].trades == 5
    after = experience_of(state)
    assert (before["equity/"].trades, before["equity/"].newest) == (after["equity/"].trades, after["equity/"].newest)
    assert abs(before["equity/"].weight - after["equity/"].weight) < D("0.01")


def test_what_learning_added_is_kept_by_session_for_the_nightly_check(build: Any) -> None:
    state = State()
    for n in range(1, MOST_LESSONS + 4):
        row = a_lesson(build, n, 100 - n)
        conditions = EntryConditions(score=D(1), expected_r=D("0.2"), default_r=D("0.1"), seen_at=row.closed_at)
        state.lessons[row.round_trip_id] = replace(row, conditions=conditions)
    for day in range(MOST_SESSIONS):
        state.audits[(build.now - timedelta(days=900 - day)).date().isoformat()] = AuditSums(count=1)
    prune_lessons(state, build.now)
    assert len(state.audits) == MOST_SESSIONS
    newest = max(state.audits)
    assert state.audits[newest] == AuditSums(count=1, x=D("0.1"), y=D("0.9"), xx=D("0.01"), xy=D("0.09"))


def test_what_was_rolled_back_from_is_not_learned_again(build: Any) -> None:
    state = State()
    for n in range(1, MOST_LESSONS + 6):
        row = a_lesson(build, n, 100 - n)
        state.lessons[row.round_trip_id] = row
    prune_lessons(state, build.now)
    roll_back(state, 0, build.now)
    assert experience_of(state) == {}
    late = a_lesson(build, MOST_LESSONS + 9, 400)
    state.lessons[late.round_trip_id] = late
    prune_lessons(state, build.now)
    assert experience_of(state)["equity/"].trades == 1


def test_the_last_versions_and_the_one_in_force_are_kept(build: Any) -> None:
    state = State()
    for number in range(1, MOST_VERSIONS + 4):
        state.weights[str(number)] = WeightsVersion(
            version=number, made_at=build.now, weights=DEFAULT_WEIGHTS, cause="parts", why=""
        )
    state.learning = LearningState(version=2, newest=MOST_VERSIONS + 3)
    prune(state, build.now.date())
    assert list(state.weights) == ["2", *map(str, range(4, MOST_VERSIONS + 4))]


class TestLearningNeverLoosens:
    """What was learned reaches the score and nothing else of a decision."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(score=st.decimals(0, 1, places=4), plain=st.one_of(st.none(), st.decimals(0, 1, places=4)))
    def test_size_levels_and_checks_are_the_same_whatever_the_score(
        self, build: Any, score: Decimal, plain: Decimal | None
    ) -> None:
        found = opportunity(build, opportunity_score=score, plain_score=plain)
        for auto in (False, True):
            one = decide(found, build.snapshot(), build.limits(auto=auto))
            other = decide(opportunity(build), build.snapshot(), build.limits(auto=auto))
            assert (one.sized, one.checks, one.entry_price) == (other.sized, other.checks, other.entry_price)
            assert one.kind is other.kind

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        score=st.decimals(0, 1, places=4),
        plain=st.decimals(0, 1, places=4),
        least=st.decimals(0, 1, places=2),
    )
    def test_what_would_ask_without_learning_asks_with_it(
        self, build: Any, score: Decimal, plain: Decimal, least: Decimal
    ) -> None:
        limits = build.limits(auto=True, auto_min_score=str(least))
        learned = decide(opportunity(build, opportunity_score=score, plain_score=plain), build.snapshot(), limits)
        unlearned = decide(opportunity(build, opportunity_score=plain), build.snapshot(), limits)
        if unlearned.kind is DecisionKind.QUEUE:
            assert learned.kind is DecisionKind.QUEUE

    def test_a_bracket_is_the_same_whatever_was_learned(self, build: Any) -> None:
        found = opportunity(build)
        other = replace(found, opportunity_score=D("0.1"), weights_version=9)
        made = [
            build_bracket(
                decide(each, build.snapshot(), build.limits()),
                each,
                bracket_id="b1",
                entry_order=EntryOrder.MARKET,
                now=build.now,
            )
            for each in (found, other)
        ]
        assert made[0][1] == made[1][1]
        assert replace(made[0][0], conditions=None) == replace(made[1][0], conditions=None)


def test_the_family_of_a_signal_is_read_from_its_words(build: Any) -> None:
    words = {
        ("insider_buying", ""): SignalFamily.INSIDER,
        ("", "Options-Flow scanner"): SignalFamily.OPTIONS_FLOW,
        ("unusual_options", ""): SignalFamily.OPTIONS_FLOW,
        ("breakout", "scanner"): SignalFamily.NONE,
    }
    for (strategy, source), family in words.items():
        assert build.opportunity(strategy=strategy, source=source).signal.family is family


def test_default_weights_are_not_shared_between_versions() -> None:
    one, other = Weights(), Weights()
    assert one == other == DEFAULT_WEIGHTS
    assert one.parts is not other.parts


def test_conditions_of_an_unscored_opportunity_are_empty(build: Any) -> None:
    assert entry_conditions(build.opportunity()) == EntryConditions(
        score=D("0.8"), market_view=1, seen_at=build.now - timedelta(minutes=1)
    )
