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


PREFIXES = {
    **_places(
        {
            "USD": "NASDAQ NYSE AMEX ARCA NYSEARCA NYSEAMERICAN NYSEMKT BATS CBOE OTC OTCMKTS PINK IEX",
            "EUR": "XETR XETRA ETR FRA EURONEXT EPA AMS EBR ELI MIL BME",
            "CHF": "SIX SWX",
            "CAD": "TSX TSXV CSE NEO",
            "JPY": "TYO",
            "HKD": "HKEX HKG",
            "AUD": "ASX",
            "GBP/GBX": "LSE LON",
        }
    ),
    **_places(
        {"": "BINANCE BINANCEUS COINBASE KRAKEN BITSTAMP BITFINEX BYBIT OKX GEMINI KUCOIN CRYPTO X"},
        Place(MarketType.CRYPTO, ()),
    ),
    **_places({"": "FX FX_IDC OANDA FXCM FOREXCOM IDC SAXO C"}, Place(MarketType.FOREX, ())),
}
"""Before a colon, as TradingView, Google and Polygon write it."""

SUFFIXES = {
    **_places(
        {
            "USD": "US O OQ N",
            "EUR": "DE PA AS BR LS MI MC HE VI IR",
            "CHF": "SW VX",
            "SEK": "ST",
            "NOK": "OL",
            "DKK": "CO",
            "PLN": "WA",
            "CAD": "TO CN NE",
            "AUD": "AX",
            "NZD": "NZ",
            "SGD": "SI",
            "BRL": "SA",
            "MXN": "MX",
            "INR": "NS BO",
            "GBP/GBX": "L",
            "ZAR/ZAC": "JO",
            "ILS/ILA": "TA",
        }
    ),
    "T": Place(currencies=("JPY",), digits=True),
    "HK": Place(currencies=("HKD",), digits=True),
    "SS": Place(currencies=("CNH",), digits=True),
    "SZ": Place(currencies=("CNH",), digits=True),
    "KS": Place(currencies=("KRW",), digits=True),
    "KQ": Place(currencies=("KRW",), digits=True),
    "TW": Place(currencies=("TWD",), digits=True),
}
"""Behind a point, as Yahoo and Reuters write it; a point before a share class stays one."""

COUNTRIES = _places(
    {
        "USD": "US",
        "EUR": "GY GR FP NA IM SM",
        "CHF": "SW",
        "JPY": "JP",
        "HKD": "HK",
        "AUD": "AU",
        "GBP/GBX": "LN",
    }
)
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
