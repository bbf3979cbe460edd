from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.sizing import no_rate, size_as_given, size_position, smallest_quantity
from apex_cli.core.model.currency import CurrencyLimits, Rate, own_rate
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Binding, Sized

D = Decimal
STOCK = make_instrument("AAPL")


def price(text: str | int) -> Price:
    return Price(D(text))


def size(
    entry: str,
    stop: str,
    *,
    market: MarketType = MarketType.EQUITY,
    quantity: str | None = None,
    risk: RiskLimits | None = None,
) -> Sized | Reason:
    instrument, limits = make_instrument("X", market), risk or RiskLimits()
    if quantity is None:
        return size_position(instrument=instrument, entry=price(entry), stop=price(stop), risk=limits)
    reported = Quantity(D(quantity))
    return size_as_given(instrument=instrument, entry=price(entry), stop=price(stop), risk=limits, quantity=reported)


def sized(result: Sized | Reason) -> Sized:
    assert isinstance(result, Sized), result
    return result


def refused(result: Sized | Reason) -> Reason:
    assert isinstance(result, Reason), result
    return result


def test_the_smaller_of_both_caps_decides() -> None:
    got = sized(size("50", "48"))
    assert (got.quantity, got.quantity_by_risk, got.quantity_by_capital) == (3, 15, 3)
    assert got.binding is Binding.CAPITAL
    assert (got.notional, got.risk_amount, got.risk_per_unit, got.warnings) == (150, 6, 2, ())


def test_the_risk_budget_decides_when_the_stop_is_wide() -> None:
    got = sized(size("50", "30", risk=RiskLimits(max_position_pct=D("0.5"))))
    assert (got.quantity, got.binding) == (1, Binding.RISK)


def test_capital_is_named_when_both_caps_agree() -> None:
    got = sized(size("50", "40", risk=RiskLimits(max_risk_pct=D("0.01"), max_position_pct=D("0.05"))))
    assert (got.quantity_by_risk, got.quantity_by_capital, got.binding) == (3, 3, Binding.CAPITAL)


def test_a_short_is_sized_like_a_long() -> None:
    assert sized(size("50", "52")).quantity == 3


def test_decimal_prices_lose_no_share_to_rounding() -> None:
    risk = RiskLimits(capital=Usd(D(25000)), max_position_pct=D(2))
    assert sized(size("10.3", "10.2", risk=risk)).quantity_by_risk == 2500


def test_the_smallest_quantity_warns_of_the_capital_cap_it_breaks() -> None:
    got = sized(size("700", "690"))
    assert (got.quantity, got.binding, got.quantity_by_capital) == (1, Binding.MINIMUM, 0)
    (warning,) = got.warnings
    assert (warning.code, warning.limit, warning.value) == ("cap_capital_exceeded", "150.00 USD", "700.00 USD")
    assert warning.message == "The value of 1 share, 700.00 USD, is above the cap of 150.00 USD (5 % of 3,000.00 USD)."


def test_the_smallest_quantity_warns_of_each_cap_it_breaks() -> None:
    got = sized(size("700", "600"))
    assert [w.code for w in got.warnings] == ["cap_risk_exceeded", "cap_capital_exceeded"]
    assert (got.warnings[0].limit, got.warnings[0].value) == ("30.00 USD", "100.00 USD")


def test_enforced_caps_refuse_the_smallest_quantity() -> None:
    got = refused(size("700", "690", risk=RiskLimits(enforce_caps=True)))
    assert (got.code, got.limit, got.value) == ("size_below_minimum", "1 share", "0 shares")
    assert "700.00 USD" in got.message


def test_a_larger_minimum_counts_in_whole_units() -> None:
    risk = RiskLimits(min_quantity=Quantity(D("4.5")))
    assert smallest_quantity(STOCK, risk) == 5
    assert sized(size("50", "48", risk=risk)).quantity == 5


def test_options_count_the_multiplier() -> None:
    got = sized(size("1.20", "1.00", market=MarketType.OPTIONS))
    assert (got.quantity, got.risk_per_unit, got.notional) == (1, 20, 120)


def test_crypto_is_cut_to_its_step_whatever_the_minimum() -> None:
    got = sized(size("60000", "57000", market=MarketType.CRYPTO))
    assert (got.quantity, got.binding) == (D("0.0025"), Binding.CAPITAL)
    smallest = sized(size("2000000", "1000000", market=MarketType.CRYPTO))
    assert (smallest.quantity, smallest.binding) == (D("0.0001"), Binding.MINIMUM)


def test_forex_is_cut_to_whole_lots() -> None:
    risk = RiskLimits(capital=Usd(D(30000)), max_position_pct=D(1))
    assert sized(size("1.10", "1.09", market=MarketType.FOREX, risk=risk)).quantity == 27000
    assert sized(size("1.10", "1.09", market=MarketType.FOREX)).quantity == 1000


def test_a_stop_at_the_entry_is_refused() -> None:
    got = refused(size("50", "50.00"))
    assert (got.code, got.limit, got.value) == ("stop_equals_entry", "not 50", "50")


@pytest.mark.parametrize(("entry", "stop"), [("0", "1"), ("50", "-1"), ("-2", "-1")])
def test_prices_must_be_positive(entry: str, stop: str) -> None:
    assert refused(size(entry, stop)).code == "price_not_positive"
    assert refused(size(entry, stop, quantity="1")).code == "price_not_positive"


def test_a_persons_quantity_is_taken_with_its_numbers() -> None:
    got = sized(size("50", "48", quantity="2"))
    assert (got.quantity, got.notional, got.risk_amount, got.warnings) == (2, 100, 4, ())
    assert (got.quantity_by_risk, got.quantity_by_capital, got.binding) == (15, 3, Binding.CAPITAL)


def test_a_persons_quantity_warns_where_it_breaks_a_cap() -> None:
    assert [w.code for w in sized(size("50", "48", quantity="4")).warnings] == ["cap_capital_exceeded"]
    wide = RiskLimits(max_position_pct=D(2))
    broken = sized(size("50", "48", quantity="16", risk=wide))
    assert [w.code for w in broken.warnings] == ["cap_risk_exceeded"]
    assert broken.binding is Binding.RISK


def test_enforced_caps_hold_for_a_person_too() -> None:
    assert refused(size("50", "48", quantity="4", risk=RiskLimits(enforce_caps=True))).code == "cap_capital_exceeded"
    assert sized(size("50", "48", quantity="3", risk=RiskLimits(enforce_caps=True))).quantity == 3


@pytest.mark.parametrize(
    ("quantity", "code"),
    [("0", "quantity_not_positive"), ("-1", "quantity_not_positive"), ("1.5", "quantity_off_step")],
)
def test_a_persons_quantity_must_be_tradable(quantity: str, code: str) -> None:
    got = refused(size("50", "48", quantity=quantity))
    assert (got.code, got.value) == (code, quantity)


prices = st.decimals("0.01", "5000", places=4).map(Price)
limits = st.builds(
    RiskLimits,
    capital=st.decimals("100", "1000000", places=2).map(Usd),
    max_risk_pct=st.decimals("0.001", "0.1", places=3),
    max_position_pct=st.decimals("0.01", "1", places=2),
    enforce_caps=st.booleans(),
)


@given(st.sampled_from(MarketType), prices, prices, limits)
def test_loss_and_value_stay_within_the_caps_unless_the_warnings_say_so(
    market: MarketType, entry: Price, stop: Price, risk: RiskLimits
) -> None:
    instrument = make_instrument("X", market)
    got = size_position(instrument=instrument, entry=entry, stop=stop, risk=risk)
    if isinstance(got, Reason):
        assert got.code == "stop_equals_entry" if entry == stop else risk.enforce_caps
        return
    warned = {warning.code for warning in got.warnings}
    assert (got.risk_amount > risk.capital * risk.max_risk_pct) == ("cap_risk_exceeded" in warned)
    assert (got.notional > risk.capital * risk.max_position_pct) == ("cap_capital_exceeded" in warned)
    assert bool(warned) == (got.binding is Binding.MINIMUM)
    assert got.quantity > 0
    assert got.quantity % instrument.quantity_step == 0
    if not warned:
        one_more = replace(got, quantity=got.quantity + instrument.quantity_step).quantity * instrument.multiplier
        assert (
            one_more * abs(entry - stop) > risk.capital * risk.max_risk_pct
            or one_more * entry > risk.capital * risk.max_position_pct
        )


@pytest.mark.parametrize(
    ("symbol", "market", "currency"),
    [
        ("USD.JPY", MarketType.FOREX, "JPY"),
        ("EUR.GBP", MarketType.FOREX, "GBP"),
        ("ETH-BTC", MarketType.CRYPTO, "BTC"),
        ("BTC-USDT", MarketType.CRYPTO, "USDT"),
    ],
)
def test_a_price_in_another_currency_is_not_sized_as_dollars(symbol: str, market: MarketType, currency: str) -> None:
    instrument = make_instrument(symbol, market)
    reported = Quantity(instrument.quantity_step)
    for result in (
        size_position(instrument=instrument, entry=price("1.5"), stop=price("1.4"), risk=RiskLimits()),
        size_as_given(
            instrument=instrument, entry=price("1.5"), stop=price("1.4"), risk=RiskLimits(), quantity=reported
        ),
    ):
        assert isinstance(result, Reason)
        assert (result.code, result.value) == ("no_rate", currency)


@pytest.mark.parametrize(("symbol", "market"), [("EUR.USD", MarketType.FOREX), ("BTC-USD", MarketType.CRYPTO)])
def test_a_pair_against_the_dollar_is_sized(symbol: str, market: MarketType) -> None:
    instrument = make_instrument(symbol, market)
    assert isinstance(
        size_position(instrument=instrument, entry=price("1.5"), stop=price("1.4"), risk=RiskLimits()), Sized
    )


def test_a_european_stock_is_not_sized_as_dollars() -> None:
    instrument = replace(STOCK, currency="EUR")
    result = size_position(instrument=instrument, entry=price(50), stop=price(48), risk=RiskLimits())
    assert isinstance(result, Reason)
    assert "priced in EUR" in result.message


class TestOtherCurrencies:
    """Caps are of the account's currency, prices of another."""

    SAP = replace(STOCK, symbol="SAP", currency="EUR")
    RISK = RiskLimits(capital=Usd(D(100_000)), max_position_pct=D(1))

    def test_a_rate_takes_part_in_both_caps(self) -> None:
        rate = Rate(currency="EUR", value=D("1.25"), source="broker")
        found = sized(size_position(instrument=self.SAP, entry=price(100), stop=price(96), risk=self.RISK, rate=rate))
        # By risk 4 EUR are 5 USD a share, and by capital 100 EUR are 125 USD.
        assert (found.quantity_by_risk, found.quantity_by_capital) == (200, 800)
        assert (found.notional, found.risk_amount, found.risk_per_unit) == (25_000, 1000, 5)
        assert found.rate is rate

    def test_a_pair_loses_at_its_stop_by_the_rate_that_holds_there(self) -> None:
        pair = make_instrument("USD.JPY", MarketType.FOREX)
        rate = own_rate(pair, "USD", D(150), None)
        found = sized(size_position(instrument=pair, entry=price(150), stop=price(147), risk=self.RISK, rate=rate))
        assert (found.quantity, found.risk_amount, found.notional) == (49_000, 1000, 49_000)

    def test_a_person_s_quantity_is_held_against_the_same_caps(self) -> None:
        rate = Rate(currency="EUR", value=D("1.25"), source="broker")
        quantity = Quantity(D(201))
        found = sized(
            size_as_given(
                instrument=self.SAP, entry=price(100), stop=price(96), risk=self.RISK, rate=rate, quantity=quantity
            )
        )
        assert [warning.code for warning in found.warnings] == ["cap_risk_exceeded"]

    def test_an_account_in_euros_needs_a_rate_for_dollars_and_none_for_euros(self) -> None:
        euros = CurrencyLimits(base="EUR")
        assert isinstance(
            size_position(instrument=self.SAP, entry=price(9), stop=price(8), risk=self.RISK, currency=euros), Sized
        )
        refused = size_position(instrument=STOCK, entry=price(9), stop=price(8), risk=self.RISK, currency=euros)
        assert isinstance(refused, Reason)
        assert (refused.code, refused.value) == ("no_rate", "USD")

    def test_of_pence_the_rate_of_pounds_is_asked_for(self) -> None:
        found = no_rate(replace(self.SAP, currency="GBX"), None, CurrencyLimits())
        assert found is not None
        assert "currency.rates: {GBP: ...}, or bars of GBP.USD" in found.message

    def test_the_age_of_a_rate_counts_only_where_a_moment_is_given(self) -> None:
        at = datetime(2026, 11, 18, tzinfo=UTC)
        old = Rate(currency="EUR", value=D("1.25"), source="EUR.USD bars", at=at - timedelta(hours=97))
        found = no_rate(self.SAP, old, CurrencyLimits(), at)
        assert found is not None
        assert found.code == "rate_too_old"
        for rate, moment in ((old, None), (replace(old, at=None), at), (replace(old, at=at), at)):
            assert no_rate(self.SAP, rate, CurrencyLimits(), moment) is None
