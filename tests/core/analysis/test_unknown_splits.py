from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.analysis.unknown_splits import WHOLE, far_opens, ratio_of, unknown_split
from apex_cli.core.market.calendar import next_session, session_bounds, session_end, session_start
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price

D = Decimal
DAYS = 30
AT = 25


def history(prices: list[D], volumes: list[D]) -> list[Bar]:
    """Return daily bars that open at the price and close there."""
    bars = []
    day = date(2024, 1, 1)
    for price, volume in zip(prices, volumes, strict=True):
        day = next_session(day)
        start, end = session_bounds(day) or (session_start(day), session_end(day))
        value = Price(price)
        bars.append(
            Bar(symbol="A", start=start, end=end, open=value, high=value, low=value, close=value, volume=volume)
        )
    return bars


def found(bars: list[Bar], market: list[D] | None = None) -> tuple[int, str] | None:
    split = unknown_split(bars, far_opens(bars), lambda _: market or [])
    return None if split is None else (split[0], split[1].ratio)


def split_history(factor: D, drift: D, value: D) -> list[Bar]:
    """Return bars whose prices are divided by *factor* at ``AT``; the session there trades *value* times the usual."""
    after = D(100) / factor * (1 + drift)
    prices = [D(100)] * AT + [after] * (DAYS - AT)
    volumes = [D(1000)] * AT + [D(1000) * 100 * value / after] * (DAYS - AT)
    return history(prices, volumes)


FACTORS = st.sampled_from([*WHOLE, *(1 / n for n in WHOLE)])
DRIFTS = st.decimals("-0.03", "0.03", places=3)


@given(FACTORS, DRIFTS, st.decimals("0.2", "3.9", places=1))
def test_a_jump_of_a_whole_ratio_at_usual_value_is_a_split(factor: D, drift: D, value: D) -> None:
    bars = split_history(factor, drift, value)
    place, ratio = found(bars) or (0, "")
    assert place == AT
    assert ratio == ratio_of(D(100), bars[AT].open)


@given(FACTORS, DRIFTS, st.decimals("4.1", "50", places=1))
def test_a_session_that_trades_many_times_the_usual_value_had_news(factor: D, drift: D, value: D) -> None:
    assert found(split_history(factor, drift, value)) is None


@given(FACTORS, DRIFTS)
def test_a_jump_of_the_whole_market_is_no_split(factor: D, drift: D) -> None:
    bars = split_history(factor, drift, D(1))
    move = bars[AT].open / bars[AT - 1].close
    assert found(bars, [move] * 3) is None
    assert found(bars, [move] * 2) is not None, "two symbols are no market"
    assert found(bars, [D(1)] * 30) is not None


@given(FACTORS, DRIFTS)
def test_prices_that_are_adjusted_for_it_show_none(factor: D, drift: D) -> None:
    bars = split_history(factor, drift, D(1))
    adjusted = [
        replace(bar, **{name: Price(getattr(bar, name) / factor) for name in ("open", "high", "low", "close")})
        for bar in bars[:AT]
    ]
    assert found([*adjusted, *bars[AT:]]) is None


@given(st.decimals("0.05", "20", places=2), st.lists(st.decimals("0.85", "1.15", places=2), min_size=5, max_size=DAYS))
def test_days_of_less_than_fifteen_percent_are_never_one(price: D, moves: list[D]) -> None:
    prices = [price]
    for move in moves:
        prices.append(max(prices[-1] * move, D("0.01")))
    assert found(history(prices, [D(0)] * len(prices))) is None


@pytest.mark.parametrize("after", ["58", "71", "140", "170", "46", "230"])
def test_a_jump_between_two_ratios_is_no_split(after: str) -> None:
    assert found(history([D(100)] * AT + [D(after)] * 5, [D(1000)] * DAYS)) is None


def test_a_bad_price_that_is_gone_by_the_close_is_no_split() -> None:
    bars = history([D(100)] * DAYS, [D(1000)] * DAYS)
    bars[AT] = replace(bars[AT], open=Price(D(50)), low=Price(D(50)))
    assert found(bars) is None
