from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.sizing import size_as_given
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Sized
from apex_cli.presenters.size import bound_words


@pytest.mark.parametrize(("quantity", "words"), [(3, "limited by the capital cap"), (4, "above the capital cap")])
def test_a_size_of_ones_own_above_the_cap_says_so(quantity: int, words: str) -> None:
    sized = size_as_given(
        instrument=Instrument(symbol="AAPL"),
        entry=Price(Decimal(50)),
        stop=Price(Decimal(48)),
        risk=replace(RiskLimits(), capital=Decimal(3000)),
        quantity=Quantity(Decimal(quantity)),
    )
    assert isinstance(sized, Sized)
    assert bound_words(sized) == words
