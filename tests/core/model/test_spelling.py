"""One security, one identity, whatever it is called."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.currency import as_currency
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight, underlying_of
from apex_cli.core.model.money import Price
from apex_cli.core.model.spelling import (
    Hints,
    SpellingError,
    as_ticker,
    canonical,
    canonical_ticker,
    names_key,
    of_key,
    respelled_key,
    same_security,
)
from apex_cli.core.model.ticker import Ticker

D = Decimal
NO = Hints()


LEAST_THOUSANDTHS = 100_000
"""Strikes that are thousandths even without zeros before them: no contract has one of 100,000 dollars."""


def words(text: str) -> list[str]:
    return text.split()


CLASSES = words("BRK.A BRK.B BF.A BF.B HEI.A LEN.B MOG.A MOG.B CWEN.A GEF.B CRD.A CRD.B RUSHA.X UHAL.B AKO.B STZ.B")
PREFERRED = ["BAC.PRK", "WFC.PRL", "JPM.PRC"]
TICKERS = words("AAPL MSFT GOOGL F T KO SPY QQQ A V BTC ETH SOL EUR USD ALL")
PAIRS = words(
    "EUR.USD USD.JPY GBP.USD USD.CHF AUD.USD USD.CAD NZD.USD EUR.GBP EUR.JPY GBP.JPY USD.MXN USD.SEK EUR.CHF "
)
COINS = words(
    "BTC-USD ETH-USD SOL-USD XRP-USD DOGE-USD LTC-USD BCH-USD ADA-USD ETH-BTC BTC-EUR BTC-USDT SHIB-USD LINK-USDC "
)
FOREIGN = [
    ("SAP", "EUR"),
    ("VOD", "GBP"),
    ("NESN", "CHF"),
    ("7203", "JPY"),
    ("SHOP", "CAD"),
    ("BHP", "AUD"),
    ("700", "HKD"),
]
OPTIONS = [
    ("AAPL", "2026-12-18", "C", "200"),
    ("AAPL", "2026-12-18", "P", "200"),
    ("SPY", "2026-03-20", "P", "452.5"),
    ("F", "2027-01-15", "C", "9.5"),
    ("BRK.B", "2026-06-19", "C", "400"),
    ("TSLA", "2026-11-27", "C", "1000"),
    ("NVDA", "2028-01-21", "P", "0.5"),
]
NO_CONTRACTS = [
    "AAPL 200C 12/18",
    "AAPL 12/18 200c",
    "AAPL DEC2026 200 C",
    "AAPL 12-18-2026 C 200",
]
"""Options in spellings that leave something open, or that nobody is known to use: never shares of a class."""

SUFFIXES = words("PR PRA PRACL PRAWI PRACV PRAWD WD WS WSA CL ACL EC PP CV CVCL ACV RT U WI RTWI PRWI AWI WSWI TEST")
"""Of NYSE and its siblings. Source: http://www.nasdaqtrader.com/Trader.aspx?id=CQSSymbolConvention, column CMS."""

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


def spellings_of_option(root: str, day: str, right: str, strike: str) -> list[str]:
    year, month, date = day.split("-")
    word, name, compact = {"C": "CALL", "P": "PUT"}[right], MONTHS[int(month) - 1], root.replace(".", "")
    eight = f"{int(D(strike) * 1000):08d}"
    return [
        f"{compact:<6}{year[2:]}{month}{date}{right}{eight}",
        f"{compact}{year[2:]}{month}{date}{right}{eight}",
        f"O:{compact}{year[2:]}{month}{date}{right}{eight}",
        f".{compact}{year[2:]}{month}{date}{right}{strike}",
        f"{root} {day} {strike} {right}",
        f"{root} {day} {right}{strike}",
        f"{root} {year}{month}{date} {strike} {word}",
        f"{root} {month}/{date}/{year} {strike} {right}",
        f"{root} {date}{name}{year[2:]} {strike} {right}",
        f"{root} {name.title()}{date}'{year[2:]} {strike} {word}",
        f"{root} {name} {date} '{year[2:]} {strike} {word.title()}",
        f"{root.replace('.', ' ')} {day} {strike} {right}",
        f"{root}@options {day} {right}{strike}",
        f"{word} {root} {month}/{date}/{year[2:]} {strike}",
        f"{compact:-<6}{year[2:]}{month}{date}{right}{eight}",
        f"{compact}_{month}{date}{year[2:]}{right}{strike}",
        f"{compact}{date}{name.title()}{year[2:]}{right}{D(strike):.2f}",
        f"US.{compact}{year[2:]}{month}{date}{right}{int(eight)}",
        f"{root} {date}-{name}-{year} {strike} {word}",
        f"{root} {name.title()}-{date}-{year} {strike} {word}",
        f"{root} {strike}{right} {month}/{date}/{year}",
        f"{root} ${strike} {word.title()} {month}/{date}/{year[2:]}",
        f"{root} {word.title()} {strike} {year}-{month}-{date}",
        *([f"{compact}{year[2:]}{month}{date}{right}{int(eight)}"] if int(eight) >= LEAST_THOUSANDTHS else []),
    ]


def every_security() -> list[tuple[str, list[tuple[str, Hints]]]]:
    """Return each security's key with its spellings."""
    found: list[tuple[str, list[tuple[str, Hints]]]] = []
    found.extend((name, [(name.replace(".", mark), NO) for mark in "./- "]) for name in (*CLASSES, *PREFERRED))
    found.extend((name, [(name, NO), (name.lower(), NO), (f" {name} ", NO)]) for name in TICKERS)
    for name in PAIRS:
        marks = [(name.replace(".", mark), NO) for mark in (".", "/", "-", "", " ")]
        hinted = [(text, Hints(market_type=MarketType.FOREX)) for text, _ in marks]
        found.append((f"{name}@forex", [*marks, *hinted, (f"{name.replace('.', '')}=X", NO), (f"{name}@forex", NO)]))
    for name in COINS:
        marks = [(name.replace("-", mark), NO) for mark in ("-", "/", ".", "")]
        hinted = [(text, Hints(market_type=MarketType.CRYPTO)) for text, _ in marks]
        found.append((f"{name}@crypto", [*marks, *hinted, (f"{name.lower()}@crypto", NO)]))
    for name, currency in FOREIGN:
        found.append((f"{name}@{currency}", [(name, Hints(currency=currency)), (f"{name}@{currency}", NO)]))
    for root, day, right, strike in OPTIONS:
        terms = Hints(expiry=day, strike=Price(D(strike)), right=OptionRight(right))
        typed = msgspec.structs.replace(terms, market_type=MarketType.OPTIONS)
        texts = [(text, NO) for text in spellings_of_option(root, day, right, strike)]
        found.append((f"{root}@options {day} {right}{strike}", [*texts, (root, terms), (root, typed)]))
    return found


SECURITIES = every_security()


def test_the_list_is_long() -> None:
    assert len({key for key, _ in SECURITIES}) == len(SECURITIES) >= 60


@pytest.mark.parametrize(("key", "spellings"), SECURITIES, ids=[key for key, _ in SECURITIES])
def test_every_spelling_is_one_security(key: str, spellings: list[tuple[str, Hints]]) -> None:
    assert {text: canonical(text, hints).key for text, hints in spellings} == {text: key for text, _ in spellings}


@pytest.mark.parametrize("key", [key for key, _ in SECURITIES])
def test_the_key_names_the_security_again_and_a_stored_row_keeps_it(key: str) -> None:
    security = canonical(key)
    assert security.key == key
    assert msgspec.json.decode(msgspec.json.encode(security), type=Instrument) == security
    assert respelled_key(key) == key
    assert same_security(key, security)
    assert names_key(key.lower(), key)


@given(st.text(max_size=60))
def test_any_text_is_a_security_of_its_own_key_or_refused(text: str) -> None:
    with suppress(SpellingError):
        found = canonical(text)
        assert canonical(found.key).key == found.key


@given(st.sampled_from([key for key, _ in SECURITIES]), st.sampled_from([key for key, _ in SECURITIES]))
def test_two_securities_are_never_mistaken(one: str, other: str) -> None:
    assert (canonical(one) == canonical(other)) is (one == other)


@pytest.mark.parametrize(
    ("text", "hints", "field"),
    [
        ("FOO/USD", NO, "market_type"),
        ("FOOBARUSD", NO, "market_type"),
        ("EUR/USD", Hints(market_type=MarketType.EQUITY), "market_type"),
        ("EUR/USD", Hints(market_type=MarketType.CRYPTO), "market_type"),
        ("BTC/USD", Hints(market_type=MarketType.FOREX), "market_type"),
        ("EUR.EUR", Hints(market_type=MarketType.FOREX), "symbol"),
        ("EUR.USD", Hints(currency="JPY"), "currency"),
        ("VOD@GBP", Hints(currency="GBX"), "currency"),
        ("SAP@USD", Hints(currency="EUR"), "currency"),
        ("AAPL  261218C00200000", Hints(right=OptionRight.PUT), "right"),
        ("AAPL  261218C00200000", Hints(strike=Price(D(210))), "strike"),
        ("AAPL  261218C00200000", Hints(expiry="2026-12-19"), "expiry"),
        ("AAPL  261218C00200000", Hints(market_type=MarketType.EQUITY), "market_type"),
        ("AAPL  261331C00200000", NO, "expiry"),
        ("AAPL  261218C00000000", NO, "strike"),
        ("AAPL", Hints(market_type=MarketType.OPTIONS, expiry="2026-12-18"), "strike"),
        ("AAPL", Hints(market_type=MarketType.OPTIONS, strike=Price(D(1)), right=OptionRight.PUT), "expiry"),
        ("", NO, "symbol"),
        ("A" * 21, NO, "symbol"),
        ("Ä", NO, "symbol"),
        ("AAPL@", NO, "symbol"),
        ("-", NO, "symbol"),
    ],
)
def test_what_is_no_security_is_refused_with_the_field_that_decides(text: str, hints: Hints, field: str) -> None:
    with pytest.raises(SpellingError) as caught:
        canonical(text, hints)
    assert caught.value.field == field


def test_a_class_of_options_and_an_odd_size_are_other_contracts() -> None:
    terms = {
        "market_type": MarketType.OPTIONS,
        "expiry": "2026-12-18",
        "strike": Price(D(5000)),
        "right": OptionRight.CALL,
    }
    plain = canonical("SPX", Hints(**terms))
    weekly = canonical("SPX", Hints(trading_class="SPXW", **terms))
    small = canonical("SPX", Hints(multiplier=D(10), **terms))
    assert weekly == canonical("SPXW  261218C05000000") == canonical("SPX@options 2026-12-18 C5000 (SPXW)")
    assert small == canonical("SPX@options 2026-12-18 C5000 x10")
    assert len({plain.key, weekly.key, small.key}) == 3
    assert canonical("BRK.B", Hints(trading_class="BRKB", **terms)).trading_class == ""


def test_a_listing_in_dollars_abroad_is_another_security() -> None:
    assert canonical("WEAT", Hints(exchange="NYSE")) == canonical("WEAT", Hints(exchange="ARCA")) == canonical("WEAT")
    abroad = canonical("WEAT", Hints(exchange="LSEETF"))
    assert abroad.key == "WEAT@LSEETF"
    assert canonical("WEAT@LSEETF") == abroad


def test_an_option_without_a_contract_is_marked_and_calls_and_puts_are_apart() -> None:
    call = canonical("AAPL", Hints(market_type=MarketType.OPTIONS, right=OptionRight.CALL))
    put = canonical("AAPL", Hints(market_type=MarketType.OPTIONS, right=OptionRight.PUT))
    assert call.is_unspecified
    assert (call.key, put.key) == ("AAPL@options unspecified C", "AAPL@options unspecified P")


def test_what_a_person_types_names_what_is_held() -> None:
    option = canonical("AAPL  261218C00200000")
    assert same_security("aapl", option)
    assert same_security("AAPL 2026-12-18 200 C", option)
    assert not same_security("AAPL 2026-12-18 210 C", option)
    assert same_security("SAP", canonical("SAP@EUR"))
    assert not names_key("SAP", "SAP@EUR")


@pytest.mark.parametrize(
    ("held", "names", "others"),
    [
        ("SAP@EUR", ["SAP", "sap@eur", "SAP.DE", "SAP GY", "XETR:SAP"], ["SAP@USD", "SAP@CHF", "SAP US", "SAP.SW"]),
        ("VOD@GBX", ["VOD", "VOD.L", "VOD LN", "LSE:VOD"], ["VOD@GBP", "VOD@USD", "VOD US", "VOD.AS"]),
        ("AAPL", ["AAPL@USD", "AAPL US", "NASDAQ:AAPL"], ["AAPL@EUR", "AAPL.DE", "AAPL@ID7"]),
        ("VOD", ["VOD", "VOD US"], ["VOD.L", "VOD LN", "VOD@GBX"]),
        ("WEAT@ID2", ["WEAT", "WEAT@ID2"], ["WEAT@ID3", "WEAT@LSEETF", "WEAT@EUR"]),
        ("SAP@options 2026-12-18 C100 EUR", ["SAP", "SAP@EUR", "SAP.DE", "SAP 2026-12-18 100 C"], ["SAP@USD"]),
        ("EUR.USD@forex", ["EURUSD", "EUR/USD"], ["EUR.GBP", "EUR@USD"]),
    ],
)
def test_a_name_with_a_currency_names_nothing_in_another_one(held: str, names: list[str], others: list[str]) -> None:
    security = canonical(held)
    assert [text for text in names if not same_security(text, security)] == []
    assert [text for text in others if same_security(text, security)] == []


def test_a_renamed_security_answers_to_its_new_name_in_its_currency() -> None:
    renamed = replace(canonical("FB@EUR"), called="META")
    assert all(same_security(text, renamed) for text in ("META", "META@EUR", "FB"))
    assert not same_security("META@USD", renamed)


def test_a_row_of_an_older_version_is_respelled() -> None:
    old = msgspec.json.decode(b'{"symbol": "BRK B"}', type=Instrument)
    assert old.key == "BRK.B"
    pair = msgspec.json.decode(b'{"symbol": "BTC/USD", "market_type": "crypto"}', type=Instrument)
    assert pair.key == "BTC-USD@crypto"
    assert respelled_key("AAPL@options ? C?") == "AAPL@options unspecified C"
    assert respelled_key("EURUSD") == "EURUSD"
    assert canonical_ticker("nothing at all, really") == "NOTHING AT ALL, REALLY"


@pytest.mark.parametrize(
    ("text", "price", "tick"),
    [
        ("F", "12", "0.01"),
        ("F", "1", "0.01"),
        ("F", "0.9999", "0.0001"),
        ("BTC-USD", "60000", "0.01"),
        ("XRP-USD", "0.5", "0.0001"),
        ("SHIB-USD", "0.00001234", "0.00000001"),
        ("ETH-BTC", "0.034", "0.00001"),
        ("EUR.USD", "1.1", "0.00001"),
        ("USD.JPY", "150", "0.001"),
        ("AAPL 2026-12-18 200 C", "2.5", "0.01"),
    ],
)
def test_a_price_step_holds_where_the_price_is(text: str, price: str, tick: str) -> None:
    assert canonical(text).tick_at(D(price)) == D(tick)


@pytest.mark.parametrize("market", list(MarketType))
@pytest.mark.parametrize(
    "name", ["BRK B", "BRK/B", "BRK-B", "EURUSD", "EUR/USD", "BTC/USD", "BTCUSDT", "BTC", "EUR", "F"]
)
def test_a_key_of_an_older_version_is_that_of_its_row(name: str, market: MarketType) -> None:
    row = msgspec.json.decode(msgspec.json.encode({"symbol": name, "market_type": market}), type=Instrument)
    old = name if market is MarketType.EQUITY else f"{name}@{market}"
    if market is MarketType.FOREX and name not in {"EURUSD", "EUR/USD", "EUR"}:
        return
    if market is MarketType.CRYPTO and name not in {"BTC/USD", "BTCUSDT", "BTC"}:
        return
    if market is MarketType.EQUITY and "USD" in name:
        assert respelled_key(old) == old
        return
    assert respelled_key(old) == row.key


@pytest.mark.parametrize(
    ("text", "hints", "key"),
    [
        ("NASDAQ:AAPL", NO, "AAPL"),
        ("nyse:brk.b", NO, "BRK.B"),
        ("AAPL.US", NO, "AAPL"),
        ("AAPL.OQ", NO, "AAPL"),
        ("BRK.B.N", NO, "BRK.B"),
        ("$AAPL", NO, "AAPL"),
        ("AAPL US", Hints(market_type=MarketType.EQUITY), "AAPL"),
        ("SAP.DE", NO, "SAP@EUR"),
        ("SAP.DE", Hints(currency="EUR"), "SAP@EUR"),
        ("XETR:SAP", NO, "SAP@EUR"),
        ("7203.T", NO, "7203@JPY"),
        *((name, NO, "700@HKD") for name in ("0700.HK", "00700.HK", "HKG:0700", "700 HK", "0700@HKD", "HKEX:700")),
        ("0700", Hints(currency="HKD"), "700@HKD"),
        *((name, NO, "005930@KRW") for name in ("005930.KS", "KRX:005930", "005930 KS", "005930 KS Equity")),
        ("000001.SZ", NO, "000001@CNH"),
        ("0050.TW", NO, "0050@TWD"),
        ("NSE:INFY", NO, "INFY@INR"),
        ("INFY.NS", NO, "INFY@INR"),
        ("RY CN Equity", NO, "RY@CAD"),
        *((name, NO, "IBM") for name in ("IBM UN Equity", "IBM UN EQUITY", "IBM UW", "IBM Equity", "IBM US")),
        ("IBM UN", NO, "IBM.U"),
        ("BRK/B UN Equity", NO, "BRK.B"),
        *((name, NO, "VOLV.B@SEK") for name in ("OMXSTO:VOLV_B", "VOLV-B.ST")),
        ("TSE:7203", NO, "7203@JPY"),
        ("TSE:RY", NO, "RY@CAD"),
        ("ERICB SS Equity", NO, "ERICB@SEK"),
        *((name, NO, "EUR.USD@forex") for name in ("EURUSD.FX", "EUR/USD.FX", "EURUSD.FOREX", "EURUSD Curncy")),
        ("EURUSD.FX", Hints(market_type=MarketType.FOREX), "EUR.USD@forex"),
        ("BTC-USD.CC", NO, "BTC-USD@crypto"),
        ("ABC.FX", NO, "ABC.FX"),
        *((name, NO, "BAC.PRL") for name in ("BACpL", "BAC^L", "BAC/PL", "BAC-PL", "BAC PRL", "BAC.PR.L")),
        *((name, NO, "BACPL") for name in ("BACPL", "bacpl", "BacpL")),
        ("VOD@GBp", NO, "VOD@GBX"),
        ("NPN@ZAc", NO, "NPN@ZAC"),
        ("VOD.L", Hints(currency="GBX"), "VOD@GBX"),
        ("VOD LN", Hints(currency="GBP"), "VOD@GBP"),
        ("CSPX.L", Hints(currency="USD", exchange="LSEETF"), "CSPX@LSEETF"),
        ("BINANCE:BTCUSDT", NO, "BTC-USDT@crypto"),
        ("X:BTCUSD", NO, "BTC-USD@crypto"),
        ("OANDA:EUR_USD", NO, "EUR.USD@forex"),
        ("C:EURUSD", NO, "EUR.USD@forex"),
        ("JPY=X", NO, "USD.JPY@forex"),
        ("BAC.PR.L", NO, "BAC.PRL"),
        ("BRK.A", NO, "BRK.A"),
        ("AAPL US Equity", NO, "AAPL"),
        ("BRK/B US Equity", NO, "BRK.B"),
        ("AAPL-US", NO, "AAPL"),
        ("BRK.B-US", NO, "BRK.B"),
        ("ABC.T", NO, "ABC.T"),
        ("VOD@GBX", NO, "VOD@GBX"),
        ("1COV", Hints(currency="EUR"), "1COV@EUR"),
        ("ABZ6", Hints(currency="EUR"), "ABZ6@EUR"),
    ],
)
def test_marks_of_vendors_say_where_a_security_is_listed(text: str, hints: Hints, key: str) -> None:
    assert canonical(text, hints).key == key


def test_every_suffix_of_the_exchanges_stands_behind_a_ticker() -> None:
    assert {name: canonical(f"XYZ {name}").key for name in SUFFIXES} == {name: f"XYZ.{name}" for name in SUFFIXES}


@pytest.mark.parametrize(
    ("text", "hints", "field", "words"),
    [
        ("VOD.L", NO, "currency", "say currency: GBP or GBX"),
        ("NPN.JO", NO, "currency", "say currency: ZAR or ZAC"),
        ("VOD LN 12/18/26 C200 Equity", NO, "currency", "say currency: GBP or GBX"),
        ("BHP XX 12/18/26 C50 Equity", NO, "symbol", "XX is no country"),
        ("EURUSD.FX", Hints(market_type=MarketType.EQUITY), "symbol", "looks like EUR.USD"),
        *((name, NO, "symbol", "looks like EUR.USD") for name in ("EURUSD.m", "EURUSD.pro", "EURUSD BGN Curncy")),
        *((name, NO, "symbol", "looks like EUR.USD") for name in ("EURUSD.", "EURUSDm", "EURUSDpro")),
        ("BTCUSDT.P", NO, "symbol", "looks like BTC-USDT"),
        ("BTCUSDTPERP", NO, "symbol", "a future"),
        ("IBM XX Equity", NO, "symbol", "XX is no country"),
        *((name, NO, "symbol", "an index or a future") for name in ("TVC:GOLD", "CME_MINI:ES1!", "INDEX:SPX")),
        ("SAP.DE", Hints(currency="USD"), "currency", "quoted in EUR, not in USD"),
        ("NPN.JO", Hints(currency="GBX"), "currency", "quoted in ZAR or ZAC, not in GBX"),
        ("VOD.L", Hints(currency="USD"), "currency", "quoted in GBP or GBX, not in USD"),
        ("NASDAQ:AAPL", Hints(market_type=MarketType.FOREX), "market_type", "contradicts market_type forex"),
        ("BINANCE:BTCUSD", Hints(market_type=MarketType.EQUITY), "market_type", "contradicts market_type equity"),
        *((name, NO, "symbol", "a future") for name in ("ESZ6", "/ES", "ES=F", "ES1!", "BTC-PERP", "ETHUSD-PERP")),
        ("BTC-PERP", Hints(market_type=MarketType.CRYPTO), "symbol", "a future"),
        ("^GSPC", NO, "symbol", "is no ticker"),
        ("AAPL_261218C200", NO, "expiry", "names no day as its expiry"),
        ("US5949181045", NO, "symbol", "is an ISIN"),
        ("NASDAQ:", NO, "symbol", "is no ticker"),
        *((name, NO, "symbol", "is spelled AAPL 2026-12-18 200 C") for name in NO_CONTRACTS),
        *((name, NO, "symbol", "is no share class$") for name in ("US.AAPL", "AAPL-daily", "BRK B Corp")),
    ],
)
def test_what_a_mark_leaves_open_or_denies_is_refused(text: str, hints: Hints, field: str, words: str) -> None:
    with pytest.raises(SpellingError, match=words) as caught:
        canonical(text, hints)
    assert caught.value.field == field


def test_a_key_of_an_older_version_keeps_what_looks_like_a_vendor_s_mark() -> None:
    assert respelled_key("SAP.DE") == "SAP.DE"
    assert of_key("SAP.DE").key == "SAP@EUR"
    assert of_key("no security").key == "NO.SECURITY"
    assert not same_security("FOO/USD", canonical("AAPL"))
    assert not names_key("FOO/USD", "AAPL")


def test_a_currency_is_one_that_is_known() -> None:
    assert as_currency("eur") == "EUR"
    with pytest.raises(ValueError, match="no currency"):
        as_currency("XYZ")


def test_a_step_of_one_s_own_holds_at_every_price() -> None:
    odd = msgspec.structs.replace(canonical("AAPL"), tick_size=D("0.05"))
    assert odd.tick_at(D("0.5")) == D("0.05")


@pytest.mark.parametrize(
    ("text", "hints", "field"),
    [
        ("BTCX.USD", Hints(market_type=MarketType.FOREX), "symbol"),
        ("BTC-USD@crypto", Hints(market_type=MarketType.EQUITY), "market_type"),
        ("AAPL@options unspecified C", Hints(right=OptionRight.PUT), "right"),
    ],
)
def test_a_name_that_contradicts_what_is_known_is_refused(text: str, hints: Hints, field: str) -> None:
    with pytest.raises(SpellingError) as caught:
        canonical(text, hints)
    assert caught.value.field == field


def test_a_file_whose_name_is_no_security_is_a_stock_of_that_name() -> None:
    assert of_key("FOO/USD").key == "FOO.USD"
    assert canonical("EUR/EUR", Hints(market_type=MarketType.EQUITY)).key == "EUR.EUR"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("AAPL US 12/18/26 C200 Equity", "AAPL@options 2026-12-18 C200"),
        ("AAPL UN 12/18/26 C200 Equity", "AAPL@options 2026-12-18 C200"),
        ("AAPL US 12/18/26 C200", "AAPL@options 2026-12-18 C200"),
        ("AAPL 12/18/26 C200 Equity", "AAPL@options 2026-12-18 C200"),
        ("BRK/B US 12/18/26 P400 Equity", "BRK.B@options 2026-12-18 P400"),
        ("SPX US 12/18/26 C5000 Index", "SPX@options 2026-12-18 C5000"),
        ("SPXW US 12/18/26 C5000 Index", "SPX@options 2026-12-18 C5000 (SPXW)"),
        ("SAP GY 12/18/26 C100 Equity", "SAP@options 2026-12-18 C100 EUR"),
        ("OPRA:AAPL261218C200.0", "AAPL@options 2026-12-18 C200"),
        ("AAPL 20261218 200.0 C", "AAPL@options 2026-12-18 C200"),
        ("AAPL 12/9/2026 200 C", "AAPL@options 2026-12-09 C200"),
        ("AAPL 9/12/2026 200 C", "AAPL@options 2026-12-09 C200"),
        ("AAPL 18/12/2026 200 C", "AAPL@options 2026-12-18 C200"),
        ("AAPL 10/12/2026 200 C", "AAPL@options 2026-10-12 C200"),
    ],
)
def test_an_option_is_on_its_underlying_as_vendors_spell_it(text: str, key: str) -> None:
    """Bloomberg writes the country behind the ticker, and ``Equity`` or ``Index`` at the end.

    12 September 2026 is a Saturday, on which no option expires: 9 December is meant.
    """
    assert canonical(text).key == key


def test_an_option_in_pence_is_one_where_its_currency_is_said() -> None:
    assert canonical("VOD LN 12/18/26 C200 Equity", Hints(currency="GBP")).key == "VOD@options 2026-12-18 C200 GBP"
    with pytest.raises(SpellingError, match="quoted in EUR"):
        canonical("SAP GY 12/18/26 C100 Equity", Hints(currency="USD"))


def test_an_adjusted_contract_is_one_on_the_same_underlying_of_another_class() -> None:
    adjusted = canonical("AAPL1  261218C00150000")
    assert (adjusted.symbol, adjusted.trading_class) == ("AAPL", "AAPL1")
    assert adjusted.key == "AAPL@options 2026-12-18 C150 (AAPL1)" != canonical("AAPL  261218C00150000").key


@pytest.mark.parametrize(
    ("exchange", "key"), [("IBIS", "SAP@EUR"), ("XETRA", "SAP@EUR"), ("SEHK", "SAP@HKD"), ("NYSE", "SAP"), ("", "SAP")]
)
def test_an_exchange_says_the_currency_where_nothing_else_does(exchange: str, key: str) -> None:
    assert canonical("SAP", Hints(exchange=exchange)).key == key
    assert canonical("SAP", Hints(exchange=exchange, currency="GBP")).key == "SAP@GBP"


def test_a_list_of_the_configuration_takes_every_spelling_and_no_sentence() -> None:
    assert [as_ticker(text) for text in ("BRK B", "xetr:sap")] == ["BRK.B", "SAP@EUR"]
    with pytest.raises(ValueError, match="no ticker"):
        as_ticker("hello, world")
    with pytest.raises(ValueError, match="no symbol"):
        as_ticker("ÄÖ")
    assert as_ticker("FOO/USD") == "FOO/USD"


def test_an_option_is_about_a_stock_in_its_currency() -> None:
    dollars = canonical("AAPL 2026-12-18 200 C")
    euros = canonical("SAP@options 2026-12-18 C100 EUR")
    assert (underlying_of(dollars).key, underlying_of(euros).key) == ("AAPL", "SAP@EUR")


def test_a_ticker_of_the_configuration_is_kept_in_its_canonical_spelling() -> None:
    (spelling,) = get_args(Ticker)[1:]
    assert spelling.parse("brk b") == as_ticker("BRK.B") == "BRK.B"
    with pytest.raises(ValueError, match="no symbol"):
        spelling.parse("  ")
