from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.learning.components import (
    HIGHEST,
    LOWEST,
    MOST_SHIFT,
    UNIT,
    WHOLE,
    adapt,
    edges,
    should_adapt,
)
from apex_cli.core.model.learning import DEFAULT_PARTS, PART_NAMES
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.position import PositionSide
from kit import START

D = Decimal
UNITS = int(1 / UNIT)


@st.composite
def weights(draw: Any) -> dict[str, Decimal]:
    """Draw any weights a version may hold: within the bounds, in ten-thousandths, summing to 1."""
    low, high = int(LOWEST / UNIT), int(HIGHEST / UNIT)
    rest, found = WHOLE, []
    for left in range(len(PART_NAMES) - 1, -1, -1):
        least, most = max(low, rest - left * high), min(high, rest - left * low)
        found.append(draw(st.integers(least, most)))
        rest -= found[-1]
    return {name: value * UNIT for name, value in zip(PART_NAMES, found, strict=True)}


PARTS = st.fixed_dictionaries(
    {name: st.decimals(0, 1, places=4, allow_nan=False, allow_infinity=False) for name in PART_NAMES}
)


@st.composite
def lessons(draw: Any) -> list[Lesson]:
    results = draw(st.lists(st.sampled_from([D(-1), D("-0.2"), D(0), D("0.5"), D(3)]), min_size=4, max_size=30))
    results += [D(1), D(-1)]
    return [
        Lesson(
            round_trip_id=f"t{number}",
            seq=number,
            side=PositionSide.LONG,
            closed_at=START,
            r=r,
            conditions=EntryConditions(score=D("0.5"), parts=draw(PARTS)),
        )
        for number, r in enumerate(results, start=1)
    ]


@given(before=weights(), seen=lessons())
def test_weights_sum_to_one_stay_in_their_bounds_and_move_by_no_more_than_15_percent(
    before: dict[str, Decimal], seen: list[Lesson]
) -> None:
    after = adapt(before, seen)
    assert sum(after.values()) == 1
    assert tuple(after) == PART_NAMES
    for name, weight in after.items():
        assert LOWEST <= weight <= HIGHEST
        assert abs(weight - before[name]) <= before[name] * MOST_SHIFT


@given(before=weights(), seen=lessons(), times=st.integers(2, 8))
def test_that_holds_however_often_it_adapts(before: dict[str, Decimal], seen: list[Lesson], times: int) -> None:
    for _ in range(times):
        before = adapt(before, seen)
    assert sum(before.values()) == 1
    assert all(LOWEST <= weight <= HIGHEST for weight in before.values())


@given(before=weights(), seen=lessons())
def test_the_order_of_lessons_does_not_matter(before: dict[str, Decimal], seen: list[Lesson]) -> None:
    assert adapt(before, seen) == adapt(before, seen[::-1])


def test_what_reported_winners_from_losers_gains_and_what_misled_loses(lesson: Any) -> None:
    even = dict.fromkeys(PART_NAMES, D("0.5"))
    seen = [
        *(lesson(n, "2", parts={**even, "timing": D("0.9"), "liquidity": D("0.2")}) for n in range(5)),
        *(lesson(n, "-1", parts={**even, "timing": D("0.1"), "liquidity": D("0.8")}) for n in range(5)),
    ]
    assert edges(seen) == {
        "reward_risk": 0,
        "confidence": 0,
        "timing": D("0.8"),
        "liquidity": D("-0.6"),
        "diversification": 0,
    }
    after = adapt(DEFAULT_PARTS, seen)
    assert after["timing"] > D("0.22")
    assert after["liquidity"] < D("0.14")


def test_without_a_difference_nothing_moves(lesson: Any) -> None:
    assert adapt(DEFAULT_PARTS, [lesson(1, "1"), lesson(2, "-1")]) == DEFAULT_PARTS


@pytest.mark.parametrize(
    "wrong",
    [
        {**DEFAULT_PARTS, "timing": D("0.21")},
        {**DEFAULT_PARTS, "reward_risk": D("0.41"), "timing": D("0.09")},
    ],
)
def test_weights_outside_the_law_are_refused(lesson: Any, wrong: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="do not sum to 1 within"):
        adapt(wrong, [lesson(1, "1"), lesson(2, "-1")])


class TestShouldAdapt:
    def seen(self, lesson: Any, wins: int, losses: int) -> list[Lesson]:
        return [lesson(n, "1" if n < wins else "-1") for n in range(wins + losses)]

    @pytest.mark.parametrize(("wins", "losses", "due"), [(5, 15, True), (15, 5, True), (4, 16, False), (16, 4, False)])
    def test_it_takes_five_of_each(self, lesson: Any, wins: int, losses: int, due: bool) -> None:
        assert should_adapt(self.seen(lesson, wins, losses), fresh=20, last=None, now=START) is due

    def test_it_takes_twenty_new_ones(self, lesson: Any) -> None:
        seen = self.seen(lesson, 20, 20)
        assert should_adapt(seen, fresh=20, last=None, now=START)
        assert not should_adapt(seen, fresh=19, last=None, now=START)

    def test_it_takes_a_day_since_the_last_time(self, lesson: Any) -> None:
        seen = self.seen(lesson, 20, 20)
        last = START - timedelta(hours=24)
        assert should_adapt(seen, fresh=20, last=last, now=START)
        assert not should_adapt(seen, fresh=20, last=last + timedelta(seconds=1), now=START)


def test_rounding_never_adds_to_the_most_a_weight_may_lose(lesson: Any) -> None:
    before = dict(zip(PART_NAMES, map(D, ("0.0589", "0.0500", "0.1232", "0.3848", "0.3831")), strict=True))
    first = PART_NAMES[0]
    seen = [
        lesson(
            number, "1" if number % 2 else "-1", parts={**dict.fromkeys(PART_NAMES, D("0.5")), first: D(1 - number % 2)}
        )
        for number in range(1, 21)
    ]
    after = adapt(before, seen)
    assert before[first] * D("0.85") <= after[first] < before[first]
    assert sum(after.values()) == 1
