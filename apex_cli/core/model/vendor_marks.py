"""What vendors write around a ticker to say where it is listed: ``NASDAQ:AAPL``, ``SAP.DE``, ``VOD LN``."""

from __future__ import annotations

from typing import NamedTuple

from apex_cli.core.model.instrument import HOME_CURRENCY, MarketType


class Place(NamedTuple):
    """What a mark says of a security."""

    market: MarketType = MarketType.EQUITY
    currencies: tuple[str, ...] = (HOME_CURRENCY,)
    """What prices there are in; several where the vendors differ, and the first is not taken for granted."""

    digits: bool = False
    """True where tickers are numbers: the mark means nothing behind letters."""


def _places(table: dict[str, str], place: Place | None = None) -> dict[str, Place]:
    return {
        name: place or Place(currencies=tuple(currencies.split("/")))
        for currencies, names in table.items()
        for name in names.split()
    }


def _numbered(table: dict[str, str]) -> dict[str, Place]:
    return {
        name: Place(currencies=(currency,), digits=True) for currency, names in table.items() for name in names.split()
    }


PREFIXES = {
    **_places(
        {
            "USD": "NASDAQ NYSE AMEX ARCA NYSEARCA NYSEAMERICAN NYSEMKT BATS CBOE OTC OTCMKTS PINK IEX OPRA",
            "EUR": "XETR XETRA ETR FRA FWB SWB EURONEXT EPA AMS EBR ELI MIL BME VIE OMXHEX ATHEX TRADEGATE GETTEX",
            "CHF": "SIX SWX",
            "SEK": "OMXSTO STO",
            "NOK": "OSL",
            "DKK": "OMXCOP CPH",
            "PLN": "GPW",
            "TRY": "BIST",
            "CAD": "TSX TSXV CSE NEO",
            "JPY": "TYO",
            "HKD": "HKEX HKG",
            "CNH": "SSE SZSE SHA SHE",
            "KRW": "KRX",
            "TWD": "TWSE TPEX TPE",
            "SGD": "SGX",
            "INR": "NSE BSE BOM",
            "AUD": "ASX",
            "NZD": "NZX",
            "BRL": "BMFBOVESPA BVMF",
            "MXN": "BMV",
            "GBP/GBX": "LSE LON",
            "ZAR/ZAC": "JSE",
            "ILS/ILA": "TASE TLV",
        }
    ),
    **_places(
        {"": "BINANCE BINANCEUS COINBASE KRAKEN BITSTAMP BITFINEX BYBIT OKX GEMINI KUCOIN CRYPTO X"},
        Place(MarketType.CRYPTO, ()),
    ),
    **_places({"": "FX FX_IDC OANDA FXCM FOREXCOM IDC SAXO C"}, Place(MarketType.FOREX, ())),
}
"""Before a colon, as TradingView, Google and Polygon write it."""

TSE = "TSE"
"""Tokyo for TradingView, where tickers begin with a digit, and Toronto for Google."""

UNTRADED = frozenset(
    """
    TVC INDEX INDEXSP INDEXDJX INDEXNASDAQ SP DJ CME CME_MINI CBOT CBOT_MINI COMEX COMEX_MINI NYMEX NYMEX_MINI EUREX
    ICEUS ICEEUR
    """.split()  # noqa: SIM905 - one word a place
)
"""Before a colon: indexes, futures and what is quoted by no exchange."""

SUFFIXES = {
    **_places(
        {
            "USD": "US O OQ N",
            "EUR": "DE PA AS BR LS MI MC HE VI IR BE DU HM HA MU SG",
            "CHF": "SW VX",
            "SEK": "ST",
            "NOK": "OL",
            "DKK": "CO",
            "PLN": "WA",
            "TRY": "IS",
            "CAD": "TO CN NE",
            "AUD": "AX",
            "NZD": "NZ",
            "SGD": "SI",
            "THB": "BK",
            "IDR": "JK",
            "MYR": "KL",
            "BRL": "SA",
            "MXN": "MX",
            "INR": "NS BO",
            "GBP/GBX": "L",
            "ZAR/ZAC": "JO",
            "ILS/ILA": "TA",
        }
    ),
    **_places({"": "FX FOREX"}, Place(MarketType.FOREX, ())),
    **_places({"": "CC"}, Place(MarketType.CRYPTO, ())),
    **_numbered({"JPY": "T", "HKD": "HK", "CNH": "SS SZ", "KRW": "KS KQ", "TWD": "TW TWO"}),
}
"""Behind a point, as Yahoo, Reuters and EODHD write it; a point before a share class stays one."""

COUNTRIES = {
    **_places(
        {
            "USD": "US UA UP UQ UR UV UW",
            "EUR": "GY GR FP NA IM SM BB FH AV ID",
            "CHF": "SW SE",
            "SEK": "SS",
            "NOK": "NO",
            "DKK": "DC",
            "CAD": "CN CT",
            "JPY": "JP JT",
            "HKD": "HK",
            "SGD": "SP",
            "INR": "IN",
            "AUD": "AU AT",
            "NZD": "NZ",
            "BRL": "BZ",
            "MXN": "MM",
            "GBP/GBX": "LN",
            "ZAR/ZAC": "SJ",
            "ILS/ILA": "IT",
        }
    ),
    **_places({"": "CURNCY"}, Place(MarketType.FOREX, ())),
    **_numbered({"CNH": "CH", "KRW": "KS KQ", "TWD": "TT"}),
}
"""Behind a space, as Bloomberg writes it."""

LISTED_IN = {
    name: currency
    for currency, names in {
        "EUR": "IBIS IBIS2 XETRA XETR FWB SWB SBF AEB BVME BM ENEXT.BE BVL HEX VSE",
        "CHF": "EBS VIRTX",
        "HKD": "SEHK",
        "JPY": "TSEJ",
        "CAD": "TSE VENTURE",
        "AUD": "ASX",
        "SEK": "SFB",
        "NOK": "OSE",
        "DKK": "CPH",
    }.items()
    for name in names.split()
}
"""What shares are quoted in on exchanges, by the names of Interactive Brokers, where no currency is named."""
