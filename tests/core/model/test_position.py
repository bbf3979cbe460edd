from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.position import profit, profit_pct, r_multiple, risk_per_unit
from apex_cli.core.model.side import PositionSide

prices = st.decimals(min_value="0.01", max_value=10_000, places=2)
quantities = st.integers(min_value=1, max_value=100_000).map(Decimal)


@pytest.mark.parametrize(
    ("side", "entry", "current", "expected"),
    [("long", 50, 52, "600"), ("long", 50, 49, "-300"), ("short", 50, 52, "-600"), ("short", 50, 49, "300")],
)
def test_three_contracts_earn_by_their_multiplier(side: str, entry: int, current: int, expected: str) -> None:
    found = profit(PositionSide(side), Decimal(entry), Decimal(current), Decimal(3), Decimal(100))
    assert found == Decimal(expected)


@given(prices, prices, quantities)
def test_values_give_the_profit_of_prices(entry: Decimal, current: Decimal, quantity: Decimal) -> None:
    for side in PositionSide:
        by_price = profit(side, entry, current, quantity, Decimal(1))
        assert profit(side, entry * quantity, current * quantity, Decimal(1), Decimal(1)) == by_price
        assert abs(profit_pct(side, entry * quantity, current * quantity) - profit_pct(side, entry, current)) < 1e-20


@given(prices, prices, quantities)
def test_a_stop_that_is_hit_loses_exactly_one_r(entry: Decimal, stop: Decimal, quantity: Decimal) -> None:
    side = PositionSide.LONG if stop < entry else PositionSide.SHORT
    risk = risk_per_unit(entry, stop, Decimal(100)) * quantity
    loss = profit(side, entry, stop, quantity, Decimal(100))
    assert r_multiple(loss, risk) == (None if entry == stop else Decimal(-1))


def test_what_cost_nothing_has_no_percentage() -> None:
    assert profit_pct(PositionSide.LONG, Decimal(0), Decimal(5)) == 0
