from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.learning.components import (
    HIGHEST,
    LOWEST,
    MOST_SHIFT,
    UNIT,
    WHOLE,
    adapt,
    effects_of,
    noise_of,
    should_adapt,
    slopes_of,
    wanted_weights,
)
from apex_cli.core.learning.experience import all_experience
from apex_cli.core.model.learning import DEFAULT_PARTS, DEFAULT_WEIGHTS, PART_NAMES, Estimate
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
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


def learned(before: dict[str, Decimal], seen: list[Lesson]) -> dict[str, Decimal]:
    return adapt(before, wanted_weights(effects(seen)))


def effects(seen: list[Lesson]) -> dict[str, Estimate]:
    experience = all_experience({}, seen, DEFAULT_WEIGHTS, after=0)
    return effects_of(DEFAULT_WEIGHTS, slopes_of(experience, noise_of(experience)))


@settings(max_examples=40)
@given(before=weights(), seen=lessons())
def test_weights_sum_to_one_stay_in_their_bounds_and_move_by_no_more_than_15_percent(
    before: dict[str, Decimal], seen: list[Lesson]
) -> None:
    after = learned(before, seen)
    assert sum(after.values()) == 1
    assert tuple(after) == PART_NAMES
    for name, weight in after.items():
        assert LOWEST <= weight <= HIGHEST
        assert abs(weight - before[name]) <= before[name] * MOST_SHIFT


@settings(max_examples=40)
@given(before=weights(), seen=lessons(), times=st.integers(2, 8))
def test_that_holds_however_often_it_adapts(before: dict[str, Decimal], seen: list[Lesson], times: int) -> None:
    wanted = wanted_weights(effects(seen))
    for _ in range(times):
        before = adapt(before, wanted)
    assert sum(before.values()) == 1
    assert all(LOWEST <= weight <= HIGHEST for weight in before.values())


@settings(max_examples=20)
@given(seen=lessons())
def test_the_order_of_lessons_does_not_matter(seen: list[Lesson]) -> None:
    assert effects(seen) == effects(seen[::-1])


def test_what_brings_r_gains_and_what_costs_some_loses(lesson: Any) -> None:
    even = dict.fromkeys(PART_NAMES, D("0.5"))
    seen = [
        *(lesson(n, "2", parts={**even, "timing": D("0.9"), "liquidity": D("0.4")}) for n in range(1, 31)),
        *(lesson(n, "-1", parts={**even, "timing": D("0.1"), "liquidity": D("0.5")}) for n in range(31, 61)),
    ]
    found = effects(seen)
    assert found["timing"].mean > D("0.5")
    after = adapt(DEFAULT_PARTS, wanted_weights(found))
    assert after["timing"] == DEFAULT_PARTS["timing"] * D("1.15")
    assert sum(after.values()) == 1


def test_a_component_is_compared_within_a_strategy(lesson: Any) -> None:
    """A good strategy that trades in good hours says nothing about the hours."""
    even = dict.fromkeys(PART_NAMES, D("0.5"))
    seen = [
        lesson(n, "2" if n % 2 else "-1", strategy=name, parts={**even, "timing": D(timing)})
        for first, name, timing, count in ((1, "good", "0.9", 40), (101, "bad", "0.1", 40))
        for n in range(first, first + count)
    ]
    seen += [lesson(n, "2", strategy="good", parts={**even, "timing": D("0.9")}) for n in range(201, 241)]
    assert not any(found.mean for found in effects(seen).values())


def test_noise_moves_nothing(lesson: Any) -> None:
    dice = Random(4)
    seen = [
        lesson(
            n,
            dice.choice(("2.5", "-1", "-1", "-1", "2.5", "-1", "-1")),
            parts={**{name: D(dice.randint(0, 100)) / 100 for name in PART_NAMES}, "reward_risk": D("0.5")},
        )
        for n in range(1, 401)
    ]
    assert not any(found.mean for found in effects(seen).values())
    assert learned(DEFAULT_PARTS, seen) == DEFAULT_PARTS


def test_without_a_difference_nothing_moves(lesson: Any) -> None:
    assert learned(DEFAULT_PARTS, [lesson(1, "1"), lesson(2, "-1")]) == DEFAULT_PARTS


def test_components_that_only_cost_leave_the_defaults() -> None:
    costs = {name: Estimate(mean=D(-9), sd=D(1)) for name in PART_NAMES}
    assert wanted_weights(costs) == DEFAULT_PARTS


@pytest.mark.parametrize(
    "wrong",
    [
        {**DEFAULT_PARTS, "timing": D("0.21")},
        {**DEFAULT_PARTS, "reward_risk": D("0.41"), "timing": D("0.09")},
    ],
)
def test_weights_outside_the_law_are_refused(wrong: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="do not sum to 1 within"):
        adapt(wrong, DEFAULT_PARTS)


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


def test_rounding_never_adds_to_the_most_a_weight_may_lose() -> None:
    before = dict(zip(PART_NAMES, map(D, ("0.0589", "0.0500", "0.1232", "0.3848", "0.3831")), strict=True))
    first = PART_NAMES[0]
    after = adapt(before, {**before, first: D(0), "liquidity": before["liquidity"] + before[first]})
    assert before[first] * D("0.85") <= after[first] < before[first]
    assert sum(after.values()) == 1
