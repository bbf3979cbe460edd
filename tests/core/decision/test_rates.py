from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.rates import Rates
from apex_cli.core.model.currency import CurrencyLimits
from apex_cli.core.model.instrument import Instrument, make_instrument
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Price

D = Decimal
NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
SAP = replace(make_instrument("SAP"), currency="EUR")


class Pairs:
    """Prices of some pairs, each of an hour ago, and what was asked for."""

    def __init__(self, age: timedelta = timedelta(hours=1), **prices: str) -> None:
        self.age = age
        self.prices = {name.replace("_", "."): Price(D(value)) for name, value in prices.items()}
        self.asked: list[str] = []

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        self.asked += [instrument.symbol for instrument in instruments]

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        price = self.prices.get(instrument.symbol.replace("-", "."))
        return None if price is None else Quote(price=price, at=at - self.age, source="bars")


def value_of(rates: Rates, currency: str) -> tuple[str, str] | None:
    found = rates.of(currency, NOW)
    return None if found is None else (f"{found.value.normalize():f}", found.source)


def test_the_broker_goes_before_a_pair_and_a_pair_before_the_configuration() -> None:
    limits = CurrencyLimits(rates={"EUR": D("1.3"), "chf": D("1.4")})
    pairs = Pairs(EUR_USD="1.2", USD_JPY="160", BTC_USD="40000")
    rates = Rates(limits, prices=pairs, reported=lambda: {"EUR": D("1.1")})
    assert value_of(rates, "EUR") == ("1.1", "broker")
    assert value_of(rates, "JPY") == ("0.00625", "USD.JPY bars")
    assert value_of(rates, "BTC") == ("40000", "BTC-USD bars")
    assert value_of(rates, "CHF") == ("1.4", "configuration")
    assert value_of(rates, "SEK") is None
    assert value_of(Rates(limits, prices=pairs), "EUR") == ("1.2", "EUR.USD bars")


def test_an_old_rate_waits_behind_a_young_one_and_is_still_the_newest_without_one() -> None:
    pairs = Pairs(age=timedelta(days=30), EUR_USD="1.2")
    assert value_of(Rates(CurrencyLimits(rates={"EUR": D("1.3")}), prices=pairs), "EUR") == ("1.3", "configuration")
    dated = CurrencyLimits(rates={"EUR": D("1.3")}, rates_as_of=date(2026, 1, 1))
    assert value_of(Rates(dated, prices=pairs), "EUR") == ("1.2", "EUR.USD bars")


@pytest.mark.parametrize(("base", "value"), [("USD", "0.0125"), ("GBP", "0.01")])
def test_pence_are_hundredths_of_pounds(base: str, value: str) -> None:
    rates = Rates(CurrencyLimits(base=base), prices=Pairs(GBP_USD="1.25"))
    found = rates.of("GBX", NOW)
    assert found is not None
    assert (found.value, found.currency, found.base) == (D(value), "GBX", base)
    assert Rates(CurrencyLimits()).of("GBX", NOW) is None


def test_only_what_the_broker_does_not_report_is_asked_for() -> None:
    pairs = Pairs()
    rates = Rates(CurrencyLimits(), prices=pairs, reported=lambda: {"CHF": D(1)})
    wanted = (SAP, replace(SAP, currency="CHF"), replace(SAP, currency="GBX"), make_instrument("AAPL"))
    asyncio.run(rates.refresh(wanted))
    assert sorted(pairs.asked) == ["EUR.USD", "GBP.USD"]
    asyncio.run(Rates(CurrencyLimits()).refresh(wanted))


def test_what_is_priced_in_the_account_s_currency_has_no_rate() -> None:
    rates = Rates(CurrencyLimits(base="EUR"), prices=Pairs(EUR_USD="1.25"))
    assert rates.rate(SAP, D(100), NOW) is None
    dollars = rates.rate(make_instrument("AAPL"), D(100), NOW)
    assert dollars is not None
    assert (dollars.value, dollars.source) == (D("0.8"), "EUR.USD bars")
