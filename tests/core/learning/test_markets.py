from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.learning.markets import HIGHEST, LOWEST, STEP, step_by_trades, step_when_idle
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_MARKETS
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.position import PositionSide
from kit import START

D = Decimal
EQUITY = MarketType.EQUITY
WEIGHT = st.decimals(LOWEST, HIGHEST, places=4, allow_nan=False, allow_infinity=False)
HALF_A_PLACE = D("0.00005")


def closed(r: Decimal) -> Lesson:
    return Lesson(
        round_trip_id="t", seq=1, side=PositionSide.LONG, closed_at=START, r=r, conditions=EntryConditions(score=D(0))
    )


@given(
    weight=WEIGHT,
    results=st.lists(st.decimals(-5, 5, places=2, allow_nan=False, allow_infinity=False), min_size=10, max_size=30),
)
def test_a_step_is_five_percent_and_never_leaves_the_bounds(weight: Decimal, results: list[Decimal]) -> None:
    step = step_by_trades(EQUITY, weight, [closed(r) for r in results])
    assert step is not None
    assert LOWEST <= step.weight <= HIGHEST
    assert abs(step.weight - weight) <= weight * STEP + HALF_A_PLACE


@pytest.mark.parametrize(
    ("r", "after"), [("1", "0.7350"), ("-1", "0.6650"), ("0.05", "0.7000"), ("-0.05", "0.7000"), ("0.06", "0.7350")]
)
def test_ten_trades_move_it_by_their_mean(r: str, after: str) -> None:
    step = step_by_trades(EQUITY, D("0.70"), [closed(D(r))] * 10)
    assert step is not None
    assert step.weight == D(after)


def test_nine_trades_move_nothing() -> None:
    assert step_by_trades(EQUITY, D("0.70"), [closed(D(1))] * 9) is None


class TestIdle:
    def step(self, weight: str, *, trade: int | None = 40, step: int = 2) -> Decimal | None:
        last_trade = None if trade is None else START - timedelta(days=trade)
        found = step_when_idle(
            EQUITY, D(weight), last_trade=last_trade, last_step=START - timedelta(days=step), now=START
        )
        return found and found.weight

    def test_after_thirty_days_it_goes_back_a_step_a_day(self) -> None:
        assert self.step("0.80") == D("0.7650")
        assert self.step("0.60") == D("0.6350")
        assert self.step("0.80", trade=30, step=1) == D("0.7650")
        assert self.step("0.80", trade=None) == D("0.7650")

    def test_it_stops_at_the_default(self) -> None:
        assert self.step("0.71") == D("0.70") == self.step("0.69")
        assert self.step("0.70") is None

    def test_before_that_nothing_moves(self) -> None:
        assert self.step("0.80", trade=29) is None
        assert self.step("0.80", step=0) is None


@given(market=st.sampled_from(list(MarketType)), weight=WEIGHT)
def test_every_market_comes_home_in_the_end(market: MarketType, weight: Decimal) -> None:
    now = START
    for _ in range(60):
        now += timedelta(days=1)
        step = step_when_idle(market, weight, last_trade=None, last_step=now - timedelta(days=1), now=now)
        if step is None:
            break
        assert abs(step.weight - DEFAULT_MARKETS[market]) < abs(weight - DEFAULT_MARKETS[market])
        weight = step.weight
    assert weight == DEFAULT_MARKETS[market]


def test_the_defaults_lie_within_the_bounds() -> None:
    assert {
        MarketType.CRYPTO: D("0.85"),
        MarketType.OPTIONS: D("0.80"),
        MarketType.EQUITY: D("0.70"),
        MarketType.FOREX: D("0.60"),
    } == DEFAULT_MARKETS
    assert all(LOWEST <= weight <= HIGHEST for weight in DEFAULT_MARKETS.values())
