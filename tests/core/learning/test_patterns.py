from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.learning.experience import LessonFacts, numbers_of
from apex_cli.core.learning.outcomes import brier_score, model_outcomes
from apex_cli.core.learning.patterns import CLOSE, HIGHEST, LOWEST, Edge, SimilarTrades, nearest
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, StrategyValue
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
from apex_cli.core.state.tables import Table
from kit import START

D = Decimal


def conditions(trend: str = "0.5", timing: str = "0.5") -> EntryConditions:
    return EntryConditions(score=D("0.5"), parts={"timing": D(timing)}, traits={"technical_trend": D(trend)})


def edge(lessons: list[Lesson], **changes: Any) -> Edge | None:
    asked = {"strategy": "breakout", "side": PositionSide.LONG, "now": START + timedelta(days=1), **changes}
    rows = {lesson.round_trip_id: lesson for lesson in lessons}
    own = conditions()
    return SimilarTrades().edge_of(numbers_of(own.parts, own.traits), Table("lessons", Lesson, rows), **asked)


def similar(lesson: Any, count: int, r: str = "2", **changes: Any) -> list[Lesson]:
    return [lesson(n, r, **{"conditions": conditions(), **changes}) for n in range(count)]


class TestEdge:
    def test_five_similar_trades_are_listened_to_and_four_are_not(self, lesson: Any) -> None:
        assert edge(similar(lesson, 4)) is None
        found = edge(similar(lesson, 5))
        assert found is not None
        assert found.why == "5 similar trades of breakout: 5 won, +2.00 R on average"

    def test_a_trade_at_the_edge_of_likeness_hardly_counts(self, lesson: Any) -> None:
        far = conditions(trend="0.77")
        assert edge([*similar(lesson, 4), *similar(lesson, 3, conditions=far)]) is None
        assert edge(similar(lesson, 5, conditions=far)) is not None

    def test_what_noise_may_bring_is_nothing(self, lesson: Any) -> None:
        found = edge([lesson(n, "2" if n % 3 else "-1", conditions=conditions()) for n in range(6)])
        assert found is not None
        assert (found.beyond, found.expected_r, found.bonus) == (0, 0, 1)

    def test_many_that_agree_are_more_than_noise(self, lesson: Any) -> None:
        up, down = edge(similar(lesson, 40, "2")), edge(similar(lesson, 40, "-1"))
        assert up is not None
        assert down is not None
        assert D("0.5") < up.beyond < 2
        assert D(-1) < down.beyond < D("-0.3")
        assert down.bonus < 1 < up.bonus

    def test_they_are_shrunk_to_the_value_of_the_strategy(self, lesson: Any) -> None:
        value = StrategyValue(mean=D("-0.2"), sd=D("0.1"))
        weights = replace(DEFAULT_WEIGHTS, values={"equity/breakout": value})
        found = edge(similar(lesson, 6, "-0.2"), weights=weights)
        assert found is not None
        assert (found.beyond, found.expected_r, found.bonus) == (0, D("-0.2"), D("0.95"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"strategy": "pullback"},
            {"side": PositionSide.SHORT},
            {"conditions": conditions(trend="0.9")},
            {"closed_at": START - timedelta(days=90)},
        ],
    )
    def test_what_is_not_alike_or_too_old_does_not_count(self, lesson: Any, changes: dict[str, Any]) -> None:
        assert edge(similar(lesson, 9, **changes)) is None

    def test_only_the_nearest_forty_count(self, lesson: Any) -> None:
        near = similar(lesson, 40)
        far = [lesson(n, "-1", conditions=conditions(trend="0.6")) for n in range(50, 70)]
        found = edge([*far, *near])
        assert found is not None
        assert found == edge(near)


@given(
    trends=st.lists(st.decimals(0, 1, places=2, allow_nan=False, allow_infinity=False), max_size=20),
    r=st.decimals(-20, 20, places=2, allow_nan=False, allow_infinity=False),
)
def test_a_bonus_never_leaves_its_bounds(trends: list[Decimal], r: Decimal) -> None:
    lessons = [
        Lesson(
            round_trip_id=f"t{number}",
            seq=number,
            strategy="breakout",
            side=PositionSide.LONG,
            closed_at=START,
            r=r,
            conditions=conditions(trend=str(trend)),
        )
        for number, trend in enumerate(trends)
    ]
    found = edge(lessons)
    assert found is None or LOWEST <= found.bonus <= HIGHEST


def test_likeness_needs_two_numbers_that_both_have(lesson: Any) -> None:
    timing = EntryConditions(score=D(0), parts={"timing": D("0.5")})
    assert edge(similar(lesson, 5, conditions=timing)) is None
    assert edge(similar(lesson, 5, conditions=conditions("1", "1"))) is None


NUMBERS = st.dictionaries(
    st.sampled_from(["timing", "liquidity", "technical_trend"]),
    st.one_of(st.integers(4000, 6000).map(lambda units: D(units) / 10000), st.decimals(0, 1, places=9)),
)


def plain_distance(one: dict[str, Decimal], other: dict[str, Decimal]) -> Decimal | None:
    """Return the mean square difference as it is defined."""
    squares = [(value - other[name]) ** 2 for name, value in one.items() if name in other]
    return sum(squares) / D(len(squares)) if len(squares) > 1 else None


@given(own=NUMBERS, rows=st.lists(NUMBERS, max_size=60))
def test_the_nearest_are_those_of_the_smallest_mean_square_difference(
    own: dict[str, Decimal], rows: list[dict[str, Decimal]]
) -> None:
    """Whatever numbers entries have in common, and however many places they have."""
    made = [EntryConditions(score=D(0), parts=row) for row in (own, *rows)]
    facts = [
        LessonFacts(Lesson(round_trip_id="", seq=seq, side=PositionSide.LONG, closed_at=START, r=D(1), conditions=each))
        for seq, each in enumerate(made[1:])
    ]
    measured = [(plain_distance(own, row), seq) for seq, row in enumerate(rows)]
    expected = sorted((found, seq) for found, seq in measured if found is not None and found < D("0.04"))[:40]
    counts = [((1 - found / D("0.04")) * CLOSE, seq) for found, seq in expected]
    assert [(closeness, each.lesson.seq) for closeness, each in nearest(numbers_of(own, {}), facts)] == counts


class TestOutcomes:
    def predicted(self, lesson: Any, number: int, r: str, direction: int, probability: str, **changes: Any) -> Lesson:
        reported = EntryConditions(score=D("0.5"), predictor_direction=direction, predictor_probability=D(probability))
        found: Lesson = lesson(number, r, conditions=reported, **changes)
        return found

    def test_a_prediction_is_right_when_the_market_went_its_way(self, lesson: Any) -> None:
        lessons = [
            self.predicted(lesson, 4, "-1", -1, "0.8"),
            self.predicted(lesson, 1, "2", 1, "0.7"),
            self.predicted(lesson, 2, "-1", 1, "0.6"),
            self.predicted(lesson, 3, "2", -1, "0.9", side=PositionSide.SHORT),
            lesson(5),
        ]
        found = model_outcomes(lessons)
        assert [(o.round_trip_id, o.was_right) for o in found] == [
            ("trip-1", True),
            ("trip-2", False),
            ("trip-3", True),
            ("trip-4", True),
        ]
        assert brier_score(found) == (D("0.09") + D("0.36") + D("0.01") + D("0.04")) / 4

    def test_without_predictions_there_is_no_score(self, lesson: Any) -> None:
        assert brier_score(model_outcomes([lesson(1)])) is None
