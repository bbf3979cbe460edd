from __future__ import annotations

from decimal import Decimal

import pytest

from apex_cli.core.model.currency import Rate, own_rate, worth, worth_of_units
from apex_cli.core.model.instrument import MarketType, make_instrument

D = Decimal
EURO = Rate(currency="EUR", value=D("1.10"), source="broker")


@pytest.mark.parametrize(
    ("symbol", "market", "base", "value"),
    [
        ("USD.JPY", MarketType.FOREX, "USD", "0.00625"),
        ("EUR.USD", MarketType.FOREX, "EUR", "0.00625"),
        ("EUR.USD", MarketType.FOREX, "USD", None),
        ("EUR.GBP", MarketType.FOREX, "USD", None),
        ("BTC-USD", MarketType.CRYPTO, "EUR", None),
        ("AAPL", MarketType.EQUITY, "EUR", None),
    ],
)
def test_the_price_of_a_pair_is_the_rate_where_the_account_is_in_its_first_currency(
    symbol: str, market: MarketType, base: str, value: str | None
) -> None:
    found = own_rate(make_instrument(symbol, market), base, D(160), None)
    assert (None if found is None else found.value) == (None if value is None else D(value))


def test_a_rate_of_its_own_follows_the_price_and_another_does_not() -> None:
    yen = own_rate(make_instrument("USD.JPY", MarketType.FOREX), "USD", D(150), None)
    assert yen is not None
    assert yen.worth(D(3000), D(125)) == 24
    assert yen.at_price(D(125)).value == D("0.008")
    assert EURO.at_price(D(125)) is EURO


def test_amounts_of_the_account_s_own_currency_need_no_rate() -> None:
    assert worth(None, D(5), D(10)) == 5
    assert worth(EURO, D(5), D(10)) == D("5.50")


def test_whole_units_within_a_budget_are_counted_without_rounding() -> None:
    yen = own_rate(make_instrument("USD.JPY", MarketType.FOREX), "USD", D(147), None)
    # 1000 USD at 147 are exactly 147,000 yen: a rate of 1/147 with 28 digits would lose one of them.
    assert worth_of_units(yen, D(1000), D(3), D(147)) == 49_000
    assert worth_of_units(EURO, D(11), D(5), D(1)) == 2
    assert worth_of_units(None, D(11), D(5), D(1)) == 2


def test_a_price_of_nothing_gives_no_rate() -> None:
    yen = make_instrument("USD.JPY", MarketType.FOREX)
    assert own_rate(yen, "USD", D(0), None) is None
