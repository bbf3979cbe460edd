"""Orders, instruments, prices and account values on their way to the protocol and back: no socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.ib.account_values import AccountValues, account_snapshot
from apex_cli.core.adapters.ib.callbacks import READERS, Executed
from apex_cli.core.adapters.ib.catalog import Band, Listing, bands_of, rounded, the_one
from apex_cli.core.adapters.ib.guards import masked
from apex_cli.core.adapters.ib.numbers import to_decimal, to_price
from apex_cli.core.adapters.ib.order_terms import in_sending_order, order_fields, problem_with
from apex_cli.core.adapters.ib.refusals import Meaning, is_pattern_day_trade, meaning_of
from apex_cli.core.adapters.ib.securities import contract_fields, instrument_of
from apex_cli.core.errors import BrokerError, ConfigError, SecurityError
from apex_cli.core.market.quiet_hours import parse_quiet_hours, quiet_now
from apex_cli.core.model.account import AccountType
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import OrderType
from apex_cli.settings.load import load_settings
from kit.ib import bracket, order

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
CALL = make_instrument(
    "AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=Price(Decimal("152.5")), right=OptionRight.CALL
)
INSTRUMENTS = [
    make_instrument("AAPL"),
    make_instrument("BRK.B"),
    CALL,
    make_instrument("EUR.USD", MarketType.FOREX),
    make_instrument("BTC-USD", MarketType.CRYPTO),
]


def execution(shares: float, price: float, revision: int) -> Any:
    fields = {"execId": f"0000e1a7.01.{revision:02}", "side": "BOT", "shares": shares, "price": price}
    return SimpleNamespace(**fields, orderRef="apex-b1-E", time=NOW, permId=1, acctNumber="DU1")


def contract(**fields: Any) -> Any:
    empty: dict[str, Any] = dict.fromkeys(
        (
            "symbol",
            "secType",
            "lastTradeDateOrContractMonth",
            "right",
            "multiplier",
            "exchange",
            "localSymbol",
            "primaryExchange",
            "tradingClass",
        ),
        "",
    )
    return SimpleNamespace(**{**empty, "strike": 0.0, "currency": "USD", "conId": 1, **fields})


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.key)
def test_an_instrument_comes_back_from_its_contract(instrument: Instrument) -> None:
    assert instrument_of(contract(**contract_fields(instrument))) == replace(instrument, con_id=1)


def test_each_market_has_its_contract() -> None:
    fields = [contract_fields(instrument) for instrument in INSTRUMENTS]
    assert [(f["secType"], f["symbol"], f["exchange"]) for f in fields] == [
        ("STK", "AAPL", "SMART"),
        ("STK", "BRK B", "SMART"),
        ("OPT", "AAPL", "SMART"),
        ("CASH", "EUR", "IDEALPRO"),
        ("CRYPTO", "BTC", "PAXOS"),
    ]
    assert fields[2]["lastTradeDateOrContractMonth"] == "20261218"


@pytest.mark.parametrize("symbol", ["EURUSD", "EUR/USD", "EUR-USD", "EUR.USD"])
def test_a_currency_pair_may_be_spelled_in_several_ways(symbol: str) -> None:
    fields = contract_fields(make_instrument(symbol, MarketType.FOREX))
    assert (fields["symbol"], fields["currency"]) == ("EUR", "USD")


def test_an_option_without_strike_names_nothing() -> None:
    with pytest.raises(BrokerError, match="names no single option"):
        contract_fields(make_instrument("AAPL", MarketType.OPTIONS))


def test_what_apex_does_not_trade_cannot_be_taken_for_a_stock() -> None:
    assert instrument_of(contract(secType="FUT", symbol="ES", localSymbol="ESZ6")).key == "ESZ6.FUT"


def test_everything_is_said_on_each_order() -> None:
    stop = bracket()[1]
    assert order_fields(stop, order_id=7, account="DU1", parent_id=5, transmit=False) == {
        "orderId": 7,
        "action": "SELL",
        "totalQuantity": 10,
        "orderType": "STP",
        "tif": "GTC",
        "account": "DU1",
        "orderRef": "apex-b1-S",
        "parentId": 5,
        "transmit": False,
        "outsideRth": False,
        "ocaGroup": "g",
        "ocaType": 2,
        "auxPrice": 98.0,
    }


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        ("MARKET", {}, {"orderType": "MKT"}),
        ("LIMIT", {"limit_price": "1.5"}, {"orderType": "LMT", "lmtPrice": 1.5}),
        ("STOP", {"stop_price": "1.5"}, {"orderType": "STP", "auxPrice": 1.5}),
        (
            "STOP_LIMIT",
            {"stop_price": "1.5", "limit_price": "1.4"},
            {"orderType": "STP LMT", "auxPrice": 1.5, "lmtPrice": 1.4},
        ),
        ("TRAIL", {"trail_amount": "0.5"}, {"orderType": "TRAIL", "auxPrice": 0.5}),
        (
            "TRAIL",
            {"trail_amount": "0.5", "stop_price": "1.5"},
            {"orderType": "TRAIL", "auxPrice": 0.5, "trailStopPrice": 1.5},
        ),
        ("TRAIL", {"trail_fraction": Decimal("0.025")}, {"orderType": "TRAIL", "trailingPercent": 2.5}),
    ],
)
def test_each_kind_has_its_prices(kind: str, prices: dict[str, str], expected: dict[str, Any]) -> None:
    fields = order_fields(order("C", "SELL", kind, **prices), order_id=1, account="DU1")
    reported = {
        name: fields.get(name)
        for name in ("orderType", "lmtPrice", "auxPrice", "trailStopPrice", "trailingPercent")
        if name in fields
    }
    assert reported == expected


@pytest.mark.parametrize(
    ("kind", "prices", "is_outside", "method"),
    [
        ("LIMIT", {"limit_price": "1"}, True, None),
        ("STOP_LIMIT", {"limit_price": "1", "stop_price": "2"}, True, 2),
        ("STOP", {"stop_price": "2"}, False, 2),
        ("TRAIL", {"trail_amount": "1"}, False, 2),
        ("MARKET", {}, False, None),
        ("LIMIT_ON_CLOSE", {"limit_price": "1"}, False, None),
    ],
)
def test_outside_regular_hours_only_what_has_a_limit_may_fill_and_stops_say_what_triggers_them(
    kind: str, prices: dict[str, str], is_outside: bool, method: int | None
) -> None:
    sent = order_fields(
        order("C", "SELL", kind, **prices), order_id=1, account="DU1", outside_rth=True, trigger_method=2
    )
    assert (sent["outsideRth"], sent.get("triggerMethod")) == (is_outside, method)


def test_an_order_without_a_partner_is_in_no_group() -> None:
    assert "ocaGroup" not in order_fields(order("C", "SELL", "MARKET"), order_id=1, account="DU1")


def test_the_stop_leaves_last() -> None:
    assert [leg.client_order_id[-1] for leg in in_sending_order(bracket())] == ["E", "T", "S"]


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        ("LIMIT", {}),
        ("LIMIT", {"limit_price": "0"}),
        ("LIMIT", {"limit_price": "NaN"}),
        ("STOP", {}),
        ("STOP_LIMIT", {"stop_price": "1"}),
        ("TRAIL", {"stop_price": "1"}),
        ("TRAIL", {"trail_amount": "1", "trail_fraction": Decimal("0.1")}),
        ("TRAIL", {"trail_fraction": Decimal(1)}),
        ("MARKET", {"quantity": "-1"}),
        ("MARKET", {"client_order_id": "apex-\u00fc-E"}),
        ("MARKET", {"client_order_id": "apex-\x00-E"}),
        ("MARKET", {"client_order_id": "apex-" + "x" * 60}),
    ],
)
def test_what_cannot_be_sent_is_named(kind: str, terms: dict[str, Any]) -> None:
    assert problem_with(order("C", "SELL", kind, **terms))


@pytest.mark.parametrize("kind", [k for k in OrderType if k is not OrderType.MARKET])
def test_what_can_be_sent_is_not(kind: OrderType) -> None:
    assert not problem_with(order("C", "SELL", kind, limit_price="1", stop_price="2", trail_amount="1"))


# price steps

PENNY_BELOW_ONE = Listing(bands=bands_of([(0, 0.0001), (1, 0.01), (500, 0.05)]))


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        ("BUY", "0.98765", "0.9876"),
        ("SELL", "0.98765", "0.9877"),
        ("BUY", "10.019", "10.01"),
        ("SELL", "10.011", "10.02"),
        ("BUY", "612.34", "612.30"),
        ("SELL", "612.31", "612.35"),
        ("SELL", "10.02", "10.02"),
    ],
)
def test_the_band_of_the_orders_own_price_counts(side: str, price: str, expected: str) -> None:
    assert rounded(order("C", side, "LIMIT", limit_price=price), PENNY_BELOW_ONE).limit_price == Decimal(expected)


@given(price=st.decimals("0.0001", "2000", places=6), is_purchase=st.booleans())
def test_a_rounded_price_is_on_a_step_and_never_worse(price: Decimal, is_purchase: bool) -> None:
    side = "BUY" if is_purchase else "SELL"
    fitted = rounded(order("C", side, "LIMIT", limit_price=str(price)), PENNY_BELOW_ONE).limit_price
    assert fitted is not None
    step = PENNY_BELOW_ONE.step_at(price)
    assert fitted % step == 0
    assert abs(fitted - price) < step
    assert fitted <= price if is_purchase else fitted >= price


def test_a_trailing_distance_grows_to_a_whole_step() -> None:
    fitted = rounded(order("C", "SELL", "TRAIL", trail_amount="1.001", stop_price="600.01"), PENNY_BELOW_ONE)
    assert (fitted.trail_amount, fitted.stop_price) == (Decimal("1.05"), Decimal("600.05"))


def test_steps_that_are_none_are_left_out() -> None:
    assert bands_of([(1, 0.01), (0, 0.0), (0, 0.0001)]) == (
        Band(low=Decimal(0), step=Decimal("0.0001")),
        Band(low=Decimal(1), step=Decimal("0.01")),
    )


# numbers


def test_sentinels_are_no_numbers() -> None:
    none = [float("nan"), float("inf"), 1.7976931348623157e308, "1.7976931348623157E308", "", None, "n/a"]
    assert [to_decimal(value) for value in none] == [None] * len(none)
    assert [to_price(value) for value in (-1.0, 0.0)] == [None, None]


@given(st.decimals("-1000000000", "1000000000", places=4))
def test_a_float_of_the_protocol_is_the_number_that_was_meant(number: Decimal) -> None:
    assert to_decimal(float(number)) == number


def test_whole_numbers_have_no_exponent() -> None:
    assert str(to_decimal(1200.0)) == "1200"


# messages


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (10349, Meaning.INFO),
        (399, Meaning.INFO),
        (404, Meaning.INFO),
        (2109, Meaning.INFO),
        (2104, Meaning.INFO),
        (2110, Meaning.LINK_LOST),
        (202, Meaning.CANCELLED),
        (201, Meaning.REFUSED),
        (110, Meaning.REFUSED),
        (103, Meaning.REFUSED),
        (135, Meaning.DOUBT),
        (161, Meaning.DOUBT),
        (10147, Meaning.DOUBT),
        (10148, Meaning.DOUBT),
        (99999, Meaning.DOUBT),
        (1100, Meaning.LINK_LOST),
        (1101, Meaning.LINK_BACK_EMPTY),
        (1102, Meaning.LINK_BACK),
        (326, Meaning.CLIENT_ID_TAKEN),
        (354, Meaning.INFO),
    ],
)
def test_a_number_means_what_our_table_says(code: int, meaning: Meaning) -> None:
    assert meaning_of(code, "") is meaning


def test_a_failed_validation_may_be_a_read_only_api() -> None:
    text = "Error validating request.-'bN' : cause - The API interface is currently in Read-Only mode."
    assert meaning_of(321, text) is Meaning.READ_ONLY
    assert meaning_of(321, "Error validating request: no such thing") is Meaning.REFUSED


def test_a_pattern_day_trade_is_recognised() -> None:
    assert is_pattern_day_trade("Order rejected - reason: Potential Pattern Day Trade")
    assert not is_pattern_day_trade("Order rejected - reason: margin")


# quiet hours


@pytest.mark.parametrize(
    ("at", "is_quiet"),
    [("04:44", False), ("04:45", True), ("05:30", True), ("05:45", False)],
)
def test_a_window_may_span_midnight(at: str, is_quiet: bool) -> None:
    window = parse_quiet_hours("23:45-00:45@America/New_York")
    hour, minute = map(int, at.split(":"))
    assert window.covers(NOW.replace(hour=hour, minute=minute)) is is_quiet


def test_local_hours_are_those_of_this_computer() -> None:
    local = NOW.astimezone()
    window = parse_quiet_hours(f"{local:%H:%M}-{local + timedelta(minutes=2):%H:%M}@local")
    assert quiet_now([window], NOW) == window
    assert quiet_now([window], NOW - timedelta(minutes=3)) is None


@pytest.mark.parametrize("text", ["", "23:45", "23:45-00:45", "25:00-26:00@local", "23:45-00:45@Nowhere/Land"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_quiet_hours(text)


# account


def value(tag: str, text: str, currency: str = "USD", account: str = "DU1", model: str = "") -> Any:
    return SimpleNamespace(account=account, tag=tag, value=text, currency=currency, modelCode=model)


TOLD = (
    value("NetLiquidation", "24000.50"),
    value("TotalCashValue", "1000"),
    value("BuyingPower", "48000"),
    value("AccountType", "INDIVIDUAL", ""),
    value("SettledCash", "900"),
    value("EquityWithLoanValue", "23900"),
    value("MaintMarginReq", "500"),
    value("LookAheadExcessLiquidity", "-20"),
    value("PreviousDayEquityWithLoanValue", "23000"),
)


def snapshot(*values: Any, account_type: AccountType | None = None) -> Any:
    return account_snapshot(AccountValues(values, "DU1"), NOW, account_type=account_type, pdt_rejected=False)


def test_the_account_is_read_from_its_tags() -> None:
    account = snapshot(*TOLD, value("DayTradesRemaining", "2", ""))
    assert (account.equity, account.cash, account.buying_power) == (Decimal("24000.5"), 1000, 48000)
    assert (account.prior_close_equity, account.broker_day_trades_remaining) == (23000, 2)
    facts = account.facts
    assert (facts.settled_cash, facts.maint_margin_req, facts.look_ahead_excess_liquidity) == (900, 500, -20)
    assert facts.broker_summary_complete is True


@pytest.mark.parametrize(("text", "remaining"), [("-1", -1), ("0", 0), ("", None), ("n/a", None)])
def test_day_trades_left_may_be_unlimited_or_untold(text: str, remaining: int | None) -> None:
    assert snapshot(*TOLD, value("DayTradesRemaining", text, "")).broker_day_trades_remaining == remaining


@pytest.mark.parametrize("tag", ["NetLiquidation", "TotalCashValue", "BuyingPower"])
def test_a_part_is_never_passed_off_as_the_whole(tag: str) -> None:
    with pytest.raises(BrokerError, match=tag):
        snapshot(*(each for each in TOLD if each.tag != tag))


def test_a_summary_without_the_type_of_account_is_not_complete() -> None:
    assert snapshot(*(each for each in TOLD if each.tag != "AccountType")).facts.broker_summary_complete is False


def test_values_of_other_accounts_and_models_do_not_count() -> None:
    others = (value("NetLiquidation", "9", account="DU2"), value("NetLiquidation", "8", model="growth"))
    assert snapshot(*TOLD, *others).equity == Decimal("24000.5")


def test_a_server_that_is_being_reset_reports_nothing() -> None:
    with pytest.raises(BrokerError, match="being reset"):
        snapshot(*TOLD, value("AccountReady", "false", ""))


def test_another_currency_goes_by_the_brokers_rate() -> None:
    euros = (
        value("NetLiquidation", "800", "EUR"),
        value("TotalCashValue", "80", "EUR"),
        value("BuyingPower", "8", "EUR"),
    )
    assert snapshot(*euros, value("ExchangeRate", "0.80", "USD")).equity == 1000
    with pytest.raises(BrokerError, match="no rate for USD"):
        snapshot(*euros)


def test_the_configured_type_of_account_wins() -> None:
    assert snapshot(*TOLD).facts.account_type is None
    assert snapshot(*TOLD, value("TradingType-S", "STKCASH", "")).facts.account_type is AccountType.CASH
    assert snapshot(*TOLD, account_type=AccountType.PORTFOLIO).facts.account_type is AccountType.PORTFOLIO


@pytest.mark.parametrize(("account", "shown"), [("DU1234567", "DU*****67"), ("U7654321", "U*****21"), ("XX", "***")])
def test_account_ids_are_masked(account: str, shown: str) -> None:
    assert masked(account) == shown


def test_a_wrong_window_in_the_configuration_is_named() -> None:
    with pytest.raises(ConfigError, match=r"quiet_hours.*Nowhere/Land is no time zone"):
        load_settings(
            None, environ={"APEX_BROKER__IB__QUIET_HOURS": '["23:45-00:45@Nowhere/Land"]'}, cwd=Path("/nonexistent")
        )


def test_an_ambiguous_security_names_its_candidates_and_the_field_that_decides() -> None:
    def detail(number: int, exchange: str, currency: str) -> Any:
        return SimpleNamespace(
            contract=contract(conId=number, symbol="SAP", primaryExchange=exchange, currency=currency)
        )

    listed = [detail(77, "IBIS", "EUR"), detail(78, "NYSE", "USD")]
    with pytest.raises(SecurityError) as caught:
        the_one(make_instrument("SAP"), listed)
    assert all(word in caught.value.message for word in ("con_id 77", "currency EUR", "con_id 78", "currency USD"))
    assert "currency" in caught.value.hint
    assert the_one(make_instrument("SAP"), listed[:1]) is listed[0]
    with pytest.raises(SecurityError, match="knows no SAP"):
        the_one(make_instrument("SAP"), [])


EURO_ACCOUNT = (
    *(value(each.tag, each.value, "EUR" if each.currency else "") for each in TOLD),
    value("ExchangeRate", "1", "EUR"),
    value("ExchangeRate", "0.80", "USD"),
    value("ExchangeRate", "0.0064", "JPY"),
    value("ExchangeRate", "0", "GBP"),
    value("CashBalance", "900", "EUR"),
    value("CashBalance", "125", "USD"),
    value("CashBalance", "1000", "BASE"),
)


@pytest.mark.parametrize(
    ("currency", "equity", "rates"),
    [
        ("EUR", "24000.50", {"EUR": "1", "USD": "0.8", "JPY": "0.0064"}),
        ("USD", "30000.625", {"EUR": "1.25", "USD": "1", "JPY": "0.008"}),
    ],
)
def test_an_account_in_euros_is_counted_in_what_the_configuration_says(
    currency: str, equity: str, rates: dict[str, str]
) -> None:
    values = AccountValues(EURO_ACCOUNT, "DU1", currency)
    assert values.amount("NetLiquidation") == Decimal(equity)
    assert values.rates() == {name: Decimal(rate) for name, rate in rates.items()}
    assert values.balances() == {"EUR": 900, "USD": 125}


def test_a_currency_without_a_rate_is_no_currency_to_count_in() -> None:
    values = AccountValues(EURO_ACCOUNT, "DU1", "CHF")
    assert values.rates() == {}
    with pytest.raises(BrokerError, match="kept in EUR, and the broker reports no rate for CHF"):
        values.amount("NetLiquidation")


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), 1.7976931348623157e308, 150.5])
@pytest.mark.parametrize("kind", ["STK", "CASH", "OPT"])
def test_an_execution_that_is_taken_back_needs_no_price(kind: str, price: float) -> None:
    pair = contract(symbol="USD", secType=kind, currency="JPY")
    word = READERS["execDetails"](1, pair, execution(0, price, 2))
    assert isinstance(word, Executed)
    assert (word.fill.quantity, word.fill.price) == (0, Decimal("150.5") if price == 150.5 else 0)
    with pytest.raises(ValueError, match="says BOT"):
        READERS["execDetails"](1, pair, execution(0, price, 1))
    if kind != "OPT" and price != 150.5:
        with pytest.raises(ValueError, match="says BOT"):
            READERS["execDetails"](1, pair, execution(100, price, 2))
