from __future__ import annotations

from decimal import Decimal

import pytest

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.wording import decimals, money, percent, plain, units

D = Decimal


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("0.0100", "0.01"), ("100", "100"), ("-2.50", "-2.5"), ("1E-5", "0.00001")]
)
def test_plain_numbers_have_no_exponent_and_no_trailing_zeros(value: str, text: str) -> None:
    assert plain(D(value)) == text


def test_decimals_are_at_least_two_and_at_most_four() -> None:
    assert [decimals(D(v)) for v in ("2", "1.4", "1.23456")] == ["2.00", "1.40", "1.2346"]
    assert decimals(D(10), least=0) == "10"


def test_amounts_carry_their_unit() -> None:
    assert money(D("1500")) == "1500.00 USD"
    assert percent(D("0.025")) == "2.5 %"
    assert units(D(1), MarketType.OPTIONS) == "1 contract"
    assert units(D("0.25"), MarketType.CRYPTO) == "0.25 units"
