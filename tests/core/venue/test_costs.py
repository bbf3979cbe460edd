from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.money import Price
from apex_cli.core.venue.costs import CostModel

D = Decimal
TICK = D("0.01")


@pytest.mark.parametrize(
    ("plan", "quantity", "price", "commission"),
    [
        ("ib_fixed", "100", "25", "1.00"),
        ("ib_fixed", "1000", "25", "5.00"),
        ("ib_fixed", "1000", "0.25", "2.50"),
        ("ib_fixed", "1", "50", "0.50"),
        ("ib_tiered", "100", "25", "0.35"),
        ("ib_tiered", "1000", "25", "3.50"),
        ("none", "1000", "25", "0"),
    ],
)
def test_charges_stocks_as_the_published_examples(plan: str, quantity: str, price: str, commission: str) -> None:
    costs = CostModel(plan=CommissionPlan(plan))
    assert costs.commission(make_instrument("F"), D(quantity), D(quantity) * D(price)) == D(commission)


@pytest.mark.parametrize(
    ("market", "quantity", "value", "commission"),
    [
        (MarketType.OPTIONS, "1", "150", "1.00"),
        (MarketType.OPTIONS, "10", "1500", "6.50"),
        (MarketType.CRYPTO, "0.1", "6000", "10.80"),
        (MarketType.CRYPTO, "0.01", "600", "1.75"),
        (MarketType.CRYPTO, "0.001", "60", "0.60"),
        (MarketType.FOREX, "20000", "22000", "2.00"),
        (MarketType.FOREX, "1000000", "1100000", "22.00"),
    ],
)
def test_charges_the_other_markets_the_same_under_both_plans(
    market: MarketType, quantity: str, value: str, commission: str
) -> None:
    for plan in (CommissionPlan.IB_FIXED, CommissionPlan.IB_TIERED):
        assert CostModel(plan=plan).commission(make_instrument("X", market), D(quantity), D(value)) == D(commission)


@given(
    plan=st.sampled_from(CommissionPlan),
    market=st.sampled_from(MarketType),
    first=st.integers(1, 5000),
    more=st.integers(1, 5000),
    price=st.integers(1, 90000),
)
def test_filling_more_never_lowers_the_commission(
    plan: CommissionPlan, market: MarketType, first: int, more: int, price: int
) -> None:
    costs = CostModel(plan=plan)
    instrument = make_instrument("X", market)
    value = D(price) / 100
    before = costs.commission(instrument, D(first), first * value)
    assert 0 <= before <= costs.commission(instrument, D(first + more), (first + more) * value)


def test_slips_against_the_order_and_onto_the_tick_grid() -> None:
    costs = CostModel(slippage_fraction=D("0.0003"), slippage_ticks=1)
    assert costs.slipped(Price(D("10.00")), TICK, is_buy=True) == D("10.02")
    assert costs.slipped(Price(D("10.00")), TICK, is_buy=False) == D("9.98")


def test_slippage_never_pushes_a_sale_to_nothing() -> None:
    assert CostModel(slippage_ticks=50).slipped(Price(D("0.10")), TICK, is_buy=False) == TICK


def test_without_slippage_the_price_stays_as_it_is() -> None:
    assert CostModel().slipped(Price(D("10.123")), TICK, is_buy=True) == D("10.123")
