from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.limits import RiskLimits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.position import PositionSide
from apex_cli.core.signals.simple_ranker import SimpleRanker
from kit import START
from kit.rig import make_signal

D = Decimal
RANKER = SimpleRanker(RiskLimits(max_positions=4))


def held(count: int, side: PositionSide = PositionSide.LONG) -> list[Exposure]:
    return [Exposure(key=f"K{n}", side=side, notional=Usd(D(100)), risk=Usd(D(1))) for n in range(count)]


def score(exposures: Any = (), **signal: Any) -> Decimal:
    return RANKER.rank(make_signal(now=START, **signal), exposures).opportunity_score


def test_a_score_is_half_reward_a_third_confidence_and_the_rest_diversification() -> None:
    found = RANKER.rank(make_signal(now=START, targets=("55",), confidence="0.8"), [])
    assert {part.name: (part.weight, part.value) for part in found.breakdown} == {
        "reward_risk": (D("0.50"), D("0.5")),
        "confidence": (D("0.35"), D("0.8")),
        "diversification": (D("0.15"), 1),
    }
    assert found.opportunity_score == D("0.25") + D("0.28") + D("0.15")


def test_more_reward_than_five_to_one_counts_as_five() -> None:
    assert score(targets=("60",)) == score(targets=("90",)) > score(targets=("59",))


def test_without_a_target_there_is_no_reward() -> None:
    assert score(targets=()) == score(targets=("40",)) < score(targets=("50.50",))


def test_what_is_held_on_the_same_side_lowers_the_score() -> None:
    assert [score(held(count)) for count in range(6)] == sorted(
        [score(held(count)) for count in range(6)], reverse=True
    )
    assert score(held(4)) == score(held(5))
    assert score(held(3, PositionSide.SHORT)) == score()
    assert score(held(2, PositionSide.SHORT), side="SHORT", stop="52", targets=("46",)) < score(
        held(2), side="SHORT", stop="52", targets=("46",)
    )


def test_without_a_confidence_it_counts_as_none() -> None:
    missing = make_signal(now=START)
    from msgspec.structs import replace

    assert RANKER.rank(replace(missing, confidence=None), []).opportunity_score == score(confidence="0")


@given(st.integers(1, 500), st.integers(-100, 3000), st.decimals(0, 1, places=3), st.integers(0, 20))
def test_a_score_lies_between_nothing_and_one(risk: int, reward: int, confidence: Decimal, count: int) -> None:
    entry = D(100)
    found = RANKER.rank(
        make_signal(
            now=START,
            entry=str(entry),
            stop=str(entry - D(risk) / 100),
            targets=(str(entry + D(reward) / 100),),
            confidence=str(confidence),
        ),
        held(count),
    )
    assert 0 <= found.opportunity_score <= 1
    assert found.opportunity_score == sum(part.weight * part.value for part in found.breakdown)
