from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.ticks import levels_on_ticks, to_tick
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.side import OrderSide

D = Decimal
CENT = D("0.01")


def test_purchases_round_down_and_sales_up() -> None:
    assert to_tick(Price(D("48.004")), CENT, OrderSide.BUY) == D("48.00")
    assert to_tick(Price(D("48.004")), CENT, OrderSide.SELL) == D("48.01")
    assert to_tick(Price(D("48.01")), CENT, OrderSide.SELL) == D("48.01")


@given(st.sampled_from(OrderSide), st.tuples(*[st.decimals("1", "100", places=4).map(Price)] * 3))
def test_rounding_never_widens_the_risk_nor_narrows_the_reward(
    side: OrderSide, levels: tuple[Price, Price, Price]
) -> None:
    entry, stop, target = levels
    new_entry, new_stop, (new_target,) = levels_on_ticks(entry, stop, (target,), make_instrument("X"), side)
    assert (new_entry - new_stop) * side.sign <= (entry - stop) * side.sign
    assert (new_target - new_entry) * side.sign >= (target - entry) * side.sign
    assert all(level % CENT == 0 for level in (new_entry, new_stop, new_target))
