"""Theoretical prices against printed examples, and what holds for every price."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.expiry import intrinsic_value, settled_at
from apex_cli.core.market.option_value import (
    delta,
    historic_volatility,
    theoretical_bar,
    theoretical_price,
    volatility_of_bars,
    years_left,
)
from apex_cli.core.model.instrument import Instrument, make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.spelling import canonical

D = Decimal


def option(right: str, strike: str = "40") -> Instrument:
    return canonical(f"XX 2026-12-18 {strike} {right}")


def before(days: float) -> Any:
    end = settled_at(option("C"))
    assert end is not None
    return end - timedelta(days=days)


@pytest.mark.parametrize(("right", "price", "moves"), [("C", "4.76", "0.78"), ("P", "0.81", "-0.22")])
def test_it_prices_as_textbooks_do(right: str, price: str, moves: str) -> None:
    """J. Hull, Options, Futures, and Other Derivatives: S 42, K 40, r 10 %, sigma 20 %, half a year."""
    terms = {"volatility": 0.2, "rate": 0.1}
    assert theoretical_price(option(right), Price(D(42)), before(182.5), **terms) == D(price)
    assert delta(option(right), Price(D(42)), before(182.5), **terms) == D(moves)


@pytest.mark.parametrize(("right", "spot", "moves"), [("C", 42, 1), ("C", 40, 0), ("P", 38, -1), ("P", 41, 0)])
def test_in_the_end_it_is_worth_what_its_exercise_brings(right: str, spot: int, moves: int) -> None:
    price = Price(D(spot))
    assert theoretical_price(option(right), price, before(0), volatility=0.2) == intrinsic_value(option(right), price)
    assert delta(option(right), price, before(-1), volatility=0.2) == moves
    assert years_left(make_instrument("XX"), before(1)) == 0


@given(st.sampled_from("CP"), st.integers(1, 400), st.integers(1, 400), st.floats(0.01, 900), st.floats(0.05, 3))
def test_no_price_is_below_its_exercise_or_above_what_it_can_bring(
    right: str, spot: int, strike: int, days: float, volatility: float
) -> None:
    instrument, price = option(right, str(strike)), Price(D(spot))
    found = theoretical_price(instrument, price, before(days), volatility=volatility)
    assert max(intrinsic_value(instrument, price), D("0.01")) <= found <= max(spot, strike)
    assert abs(delta(instrument, price, before(days), volatility=volatility)) <= 1


@pytest.mark.parametrize("right", ["C", "P"])
def test_a_bar_holds_every_price_of_the_underlying(right: str) -> None:
    prices = {
        name: Price(D(price)) for name, price in zip(("open", "high", "low", "close"), (41, 44, 38, 42), strict=True)
    }
    bar = Bar(symbol="XX", start=before(3), end=before(2.7), volume=D(7), **prices)
    made = theoretical_bar(option(right), bar, volatility=0.3)
    assert made.open == theoretical_price(option(right), prices["open"], before(3), volatility=0.3)
    assert made.close == theoretical_price(option(right), prices["close"], before(2.7), volatility=0.3)
    best, worst = ("high", "low") if right == "C" else ("low", "high")
    assert made.high == theoretical_price(option(right), prices[best], before(3), volatility=0.3)
    assert made.low == theoretical_price(option(right), prices[worst], before(2.7), volatility=0.3)
    assert (made.symbol, made.volume) == (option(right).key, 7)


def test_a_volatility_needs_returns_that_differ() -> None:
    assert historic_volatility([D(100)] * 5) is None
    assert historic_volatility([D(100)] * 50) is None
    closes = [D(100), D(101), D(100), D(101), D(100), D(101)]
    assert historic_volatility(closes) == pytest.approx(0.1731, abs=0.0001)


def test_the_volatility_of_bars_is_that_of_their_last_close_a_day() -> None:
    def bar(start: float, end: float, price: Decimal) -> Bar:
        at = Price(price)
        return Bar(symbol="XX", start=before(start), end=before(end), open=at, high=at, low=at, close=at)

    prices = [D(100), D(101), D(100), D(101), D(100), D(101)]
    days = [bar(9 - number, 8.9 - number, price) for number, price in enumerate(prices)]
    assert volatility_of_bars([bar(9.2, 9.1, D(300)), *days], 5) == historic_volatility(prices)
