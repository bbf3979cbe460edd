from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.learning.components import noise_of
from apex_cli.core.learning.expectation import USUAL_SCORE
from apex_cli.core.learning.experience import all_experience
from apex_cli.core.learning.markets import HIGHEST, LOWEST, STEP, step_by_value, step_when_idle, values_of
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_MARKETS, DEFAULT_WEIGHTS, StrategyValue, Weights
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
from kit import START

D = Decimal
EQUITY = MarketType.EQUITY
WEIGHT = st.decimals(LOWEST, HIGHEST, places=4, allow_nan=False, allow_infinity=False)
HALF_A_PLACE = D("0.00005")


def value(mean: str = "0.1", loses: str = "0.1") -> StrategyValue:
    return StrategyValue(mean=D(mean), sd=D("0.1"), loses=D(loses), trades=10)


@given(weight=WEIGHT, fresh=st.integers(10, 30), loses=st.decimals(0, 1, places=4))
def test_a_step_is_five_percent_and_never_leaves_the_bounds(weight: Decimal, fresh: int, loses: Decimal) -> None:
    step = step_by_value(EQUITY, weight, fresh, value(loses=str(loses)))
    assert step is not None
    assert LOWEST <= step.weight <= HIGHEST
    assert abs(step.weight - weight) <= weight * STEP + HALF_A_PLACE


@pytest.mark.parametrize(
    ("loses", "after"), [("0.2", "0.7350"), ("0.21", "0.7000"), ("0.79", "0.7000"), ("0.8", "0.6650"), ("1", "0.6650")]
)
def test_four_chances_in_five_move_it(loses: str, after: str) -> None:
    step = step_by_value(EQUITY, D("0.70"), 10, value(loses=loses))
    assert step is not None
    assert step.weight == D(after)


def test_nine_trades_and_an_unknown_value_move_nothing() -> None:
    assert step_by_value(EQUITY, D("0.70"), 9, value()) is None
    assert step_by_value(EQUITY, D("0.70"), 10, None) is None


class TestValues:
    def values(self, seen: list[Lesson], base: Weights = DEFAULT_WEIGHTS) -> dict[str, StrategyValue]:
        experience = all_experience({}, seen, base, after=0)
        return values_of(base, experience, noise_of(experience), base).values

    def trades(self, lesson: Any, first: int, count: int, wins: int, **changes: Any) -> list[Lesson]:
        """*wins* of five trades bring 2 R, the others lose 1."""
        return [lesson(n, "2" if n % 5 < wins else "-1", **changes) for n in range(first, first + count)]

    def test_few_trades_move_little(self, lesson: Any) -> None:
        few, many = (self.values(self.trades(lesson, 1, count, 3))["equity/breakout"] for count in (10, 200))
        assert D(0) < few.mean < D("0.3") < many.mean < D("0.8")
        assert few.sd > many.sd
        assert (many.trades, many.followed) == (200, 0)
        assert many.loses < D("0.01")

    def test_a_strategy_is_shrunk_to_its_market_and_the_market_to_nothing(self, lesson: Any) -> None:
        found = self.values(
            [
                *self.trades(lesson, 1, 100, 3, strategy="good"),
                *self.trades(lesson, 201, 100, 1, strategy="bad"),
                *self.trades(lesson, 401, 5, 2, strategy="new"),
            ]
        )
        assert found["equity/bad"].mean < found["equity/"].mean < found["equity/good"].mean < D("0.8")
        assert abs(found["equity/new"].mean - found["equity/"].mean) < D("0.1")
        assert found["equity/bad"].loses > D("0.9")

    def test_strategies_that_do_not_differ_are_one(self, lesson: Any) -> None:
        found = self.values(
            [*self.trades(lesson, 1, 50, 2, strategy="one"), *self.trades(lesson, 101, 50, 2, strategy="two")]
        )
        assert found["equity/one"].mean == found["equity/two"].mean == found["equity/"].mean

    def test_a_market_says_nothing_of_another(self, lesson: Any) -> None:
        found = self.values(self.trades(lesson, 1, 100, 5, market_type=MarketType.CRYPTO))
        assert set(found) == {"crypto/breakout", "crypto/"}

    def test_one_wild_result_does_not_decide(self, lesson: Any) -> None:
        seen = self.trades(lesson, 1, 40, 2)
        wild, tamed = (self.values([*seen, lesson(99, r)])["equity/breakout"] for r in ("300", "10"))
        assert wild == tamed

    def test_a_followed_signal_counts_less_than_a_trade(self, lesson: Any) -> None:
        taken = self.values(self.trades(lesson, 1, 40, 3))["equity/breakout"]
        followed = self.values(self.trades(lesson, 1, 40, 3, is_followed=True))["equity/breakout"]
        assert followed.mean < taken.mean
        assert (followed.trades, followed.followed) == (0, 40)

    def test_what_came_before_a_rollback_is_the_base_that_the_rest_is_measured_from(self, lesson: Any) -> None:
        base = replace(DEFAULT_WEIGHTS, values={"equity/breakout": value("0.5"), "forex/x": value("0.3")})
        found = self.values(self.trades(lesson, 1, 10, 3), base)
        assert D("0.45") < found["equity/breakout"].mean < D("0.7")
        assert found["forex/x"] == base.values["forex/x"]

    @given(results=st.lists(st.decimals(-10, 10, places=2), min_size=1, max_size=30))
    def test_a_value_lies_between_nothing_and_what_was_found(self, results: list[Decimal]) -> None:
        rows = [
            Lesson(
                round_trip_id=str(n), seq=n, side=PositionSide.LONG, closed_at=START, r=r, strategy="s",
                conditions=EntryConditions(score=USUAL_SCORE),
            )
            for n, r in enumerate(results, start=1)
        ]  # fmt: skip
        found = self.values(rows)["equity/s"]
        mean = sum(results) / len(results)
        assert min(mean, D(0)) - D("0.001") <= found.mean <= max(mean, D(0)) + D("0.001")
        assert 0 <= found.loses <= 1


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
