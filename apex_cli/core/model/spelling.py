"""Every spelling of a security to its one identity: share classes, pairs, coins and option contracts."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import CURRENCIES, HUNDREDTHS, MINOR_UNITS
from apex_cli.core.model.instrument import (
    COIN_QUOTES,
    CONTRACT_SIZE,
    HOME_CURRENCY,
    PAIR_MARKS,
    Instrument,
    MarketType,
    OptionRight,
    make_instrument,
)
from apex_cli.core.model.money import Price
from apex_cli.core.model.vendor_marks import COUNTRIES, LISTED_IN, PREFIXES, TSE, UNTRADED, Place
from apex_cli.core.model.vendor_marks import SUFFIXES as PLACE_SUFFIXES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COINS = _words(
    """
    1INCH AAVE ADA ALGO APE APT ARB ATOM AVAX AXS BAT BCH BNB BONK BTC CHZ COMP CRO CRV DAI DASH DOGE DOT DYDX EGLD
    ENA ENJ EOS ETC ETH FET FIL FLOKI FTM GALA GRT HBAR HYPE ICP IMX INJ JUP KAS KSM LDO LINK LTC MANA MATIC MKR
    NEAR NEO OKB ONDO OP PAXG PEPE POL PYTH QNT RENDER RNDR RUNE SAND SEI SHIB SNX SOL STX SUI SUSHI TAO TIA TON TRX
    UNI USDC USDT VET WIF WLD XLM XMR XRP XTZ YFI ZEC ZRX
    """
)
"""Coins that make a pair by their name alone; any other needs ``market_type: crypto``."""

COIN_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
"""Other names of a coin."""

US_EXCHANGES = _words(
    """
    SMART NYSE NASDAQ ARCA AMEX BATS IEX PINK ISLAND NMS BEX XNYS XNAS ARCX XASE OTCLNKECN BZX CBOE
    """
)
"""A ticker in dollars is one security on all of them."""

FOREIGN_EXCHANGES = frozenset(
    {"LSE", "LSEETF", "IBIS", "XETRA", "FWB", "SWB", "EBS", "AEB", "SBF", "BVME", "SEHK", "TSEJ", "SGX", "TSE", "ASX"}
)
"""Exchanges abroad that count as where a security is listed, also where a signal calls them ``exchange`` only."""

CLASS_ROOTS = {
    "BRKA": "BRK.A",
    "BRKB": "BRK.B",
    "BFA": "BF.A",
    "BFB": "BF.B",
    "HEIA": "HEI.A",
    "LENB": "LEN.B",
    "MOGA": "MOG.A",
    "MOGB": "MOG.B",
    "CWENA": "CWEN.A",
    "GEFB": "GEF.B",
    "CRDA": "CRD.A",
    "CRDB": "CRD.B",
}
"""Share classes as option symbols spell them, without a mark."""

CLASS_UNDERLYINGS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "XSPW": "XSP", "DJXW": "DJX"}
"""Trading classes that stand in front of option symbols, with the index that they are options of."""

SUFFIXES = {"WT": "WS", "UN": "U"}
"""One spelling for warrants and units."""

MOST_SYMBOL = 48
"""Longest spelling of a security, in characters."""

MOST_TICKER = 20
MOST_STRIKE = 5
"""Digits of the highest strike in dollars: longer ones are thousandths, with zeros before them or without."""

_SATURDAY = 5
_MONTH = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_MONTHS = {name: number for number, name in enumerate(_MONTH.split("|"), start=1)}
_ROOT = r"(?P<root>[A-Z][A-Z0-9]{0,9}(?:[ ./-][A-Z]{1,2})?(?: [A-Z]{2})?)"
_OCC = (
    r"(?:O:|[.]|(?P<futu>US\.))?(?P<root>[A-Z][A-Z.]{0,5}?\d?)(?: *|-{1,5})(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)"
    r"(?P<right>[CP])(?P<strike>\d+(?:\.\d+)?)"
)
"""The contract in 21 characters, or compact; E*TRADE writes ``AAPL--261218C00200000``, and Futu ``US.AAPL261218C5000``
with strikes in thousandths whatever their length.

Source: https://apisb.etrade.com/docs/api/market/api-market-v1.html, osiKey; https://openapi.futunn.com, options.
"""
_STRIKE = r"\$?(?P<strike>\d+(?:\.\d+)?)"
_RIGHT = r"(?P<right>CALLS?|PUTS?|C|P)"
_DATES = (
    r"(?P<y>\d{4})-(?P<m>\d\d?)-(?P<d>\d\d?)",
    r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
    r"(?P<m>\d\d?)/(?P<d>\d\d?)/(?P<y>\d{4}|\d\d)",
    rf"(?P<d>\d\d?)[ -]?(?P<mon>{_MONTH})[ -]?'?(?P<y>\d{{4}}|\d\d)",
    rf"(?P<mon>{_MONTH}) ?(?P<d>\d\d?),? ?'(?P<y>\d\d)",
    rf"(?P<mon>{_MONTH})[ -]?(?P<d>\d\d?),?[ -](?P<y>\d{{4}}|\d\d)",
)
_JOINED = (
    r"(?P<root>[A-Z]{1,6})_(?P<m>\d\d)(?P<d>\d\d)(?P<y>\d\d)(?P<right>[CP])(?P<strike>\d+(?:\.\d+)?)",
    rf"(?P<root>[A-Z]{{1,6}})(?P<d>\d\d?)(?P<mon>{_MONTH})(?P<y>\d\d)(?P<right>[CP])(?P<strike>\d+(?:\.\d+)?)",
)
"""Contracts without blanks, as TD Ameritrade writes them, ``AAPL_121826C200``, and Questrade, ``AAPL18Dec26C200.00``.

Source: https://tda-api.readthedocs.io, OptionSymbol; https://www.questrade.com/api/documentation, symbols.
"""

_KEY = (
    r"(?P<root>[A-Z0-9./ -]+)@OPTIONS(?: (?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d) (?P<right>[CP])(?P<strike>\d+(?:\.\d+)?)"
    r"|(?: UNSPECIFIED)?(?: (?P<bare>[CP]))?)"
    r"(?: \((?P<cls>[A-Z0-9 .]+)\))?(?: X(?P<size>[0-9.]+))?(?: (?P<cur>[A-Z]{3}))?"
)
_PARTS = r"[./ -]"
_TICKER = r"[A-Z0-9]+(?:\.[A-Z0-9]+)*\.?"
_PREFERRED = r"P(?:R)?([A-Z])"
_SMALL_P = r"(?P<root>[A-Z]{1,5})[p^](?P<series>[A-Z])"
"""A preferred share as tapes and Nasdaq write it: ``BACpL``, ``BAC^L``."""

_ISIN = r"[A-Z]{2}[A-Z0-9]{9}[0-9]"
_CLASS = r"[A-Z]{1,3}|PR[A-Z]?(?:CV|WI|CL|WD)?|WSWI|RTWI|CVCL|TEST"
"""What stands behind a root: a class, a unit, a warrant, a right, a preferred share, or a mark of an exchange abroad.
Source: http://www.nasdaqtrader.com/Trader.aspx?id=CQSSymbolConvention, the column of the CMS suffixes."""


class SpellingError(ValueError):
    """A text names no security, or not one alone.

    Attributes:
        field: the field that decides, as signals call it.
    """

    def __init__(self, message: str, *, field: str = "symbol") -> None:
        """Say what is wrong and which *field* would decide."""
        super().__init__(message)
        self.field = field


class Hints(Value, frozen=True, kw_only=True):
    """What else is known of a security: all that a signal can say beside its symbol."""

    market_type: MarketType | None = None
    currency: str = ""
    exchange: str = ""
    expiry: str | None = None
    strike: Price | None = None
    right: OptionRight | None = None
    trading_class: str = ""
    multiplier: Decimal | None = None
    con_id: int = 0


NO_HINTS = Hints()


class _Terms(NamedTuple):
    """An option contract in a text."""

    root: str
    expiry: str
    right: OptionRight
    strike: Price


def canonical(text: str, hints: Hints = NO_HINTS) -> Instrument:
    """Return the security that *text* names, whatever its spelling.

    >>> [canonical(text).key for text in ("BRK/B", "eurusd", "BTC/USD", "AAPL  261218C00200000")]
    ['BRK.B', 'EUR.USD@forex', 'BTC-USD@crypto', 'AAPL@options 2026-12-18 C200']

    Args:
        text: ticker, pair or option contract; also a key as apex shows it.
        hints: what is known besides; it decides where the text alone does not.

    Raises:
        SpellingError: it is no security, it contradicts *hints*, or more than one may be meant.
    """
    name = " ".join(in_capitals(text).replace("\u2019", "'").split())
    if not name or len(name) > MOST_SYMBOL or not name.isascii() or not name.isprintable():
        raise SpellingError(f"{text[:MOST_SYMBOL]!r} is no symbol of 1 to {MOST_SYMBOL} letters, digits and . - /")
    if "@" in name:
        return _with_hints(_of_key(name, hints), hints)
    name, hints = _unmarked(name, hints)
    market = hints.market_type
    if terms := _terms_in(name.removesuffix(" INDEX")):
        root, hints = _listed(terms.root, hints)
        return _option(terms._replace(root=root), hints)
    if market is None and hints.expiry and hints.strike and hints.right:
        market = MarketType.OPTIONS
    if market is MarketType.OPTIONS:
        return _option_of_fields(name, hints)
    _refuse_future(name, hints)
    if market in PAIR_MARKS:
        return _with_hints(_pair(name, market, hints), hints)
    found = _pair_in(name)
    if found is not None:
        if market is MarketType.EQUITY:
            raise SpellingError(
                f"{name} is the pair {found.symbol}, which market_type equity contradicts", field="market_type"
            )
        return _with_hints(found, hints)
    if market is None:
        _refuse_unknown_pair(name)
    return _with_hints(_stock(name), hints)


def in_capitals(text: str) -> str:
    """Return *text* in capitals; small letters that mean something are spelled out.

    >>> in_capitals("brk.b"), in_capitals("BACpL"), in_capitals("VOD@GBp")
    ('BRK.B', 'BAC.PRL', 'VOD@GBX')
    """
    symbol, at, currency = text.strip().rpartition("@")
    if at and currency in HUNDREDTHS:
        return f"{symbol.upper()}@{HUNDREDTHS[currency]}"
    if found := re.fullmatch(_SMALL_P, text.strip()):
        return f"{found['root']}.PR{found['series']}"
    return text.upper()


def _unmarked(name: str, hints: Hints) -> tuple[str, Hints]:
    """Return *name* without the marks of vendors, and *hints* with what these say of the security."""
    name = _without_equity(name.removeprefix("$"))
    venue, colon, rest = name.partition(":")
    if venue == TSE:
        venue = "TYO" if rest[:1].isdigit() else "TSX"
    if colon and venue in UNTRADED:
        raise SpellingError(f"{name} is an index or a future, which apex does not trade")
    if colon and rest and venue in PREFIXES:
        bare = rest if PREFIXES[venue].market in PAIR_MARKS else rest.replace("_", ".")  # as in OMXSTO:VOLV_B
        return bare, _placed(name, bare, PREFIXES[venue], hints)
    if name.endswith("=X") and name[:-2] in CURRENCIES and hints.market_type in {None, MarketType.FOREX}:
        return f"{HOME_CURRENCY}.{name[:-2]}", hints
    wanted = MarketType.EQUITY if hints.market_type in {None, MarketType.OPTIONS} else hints.market_type
    for mark, places in ((".", PLACE_SUFFIXES), (" ", COUNTRIES), ("-", {"US": COUNTRIES["US"]})):
        root, found, suffix = name.rpartition(mark)
        place = places.get(suffix) if found and root else None
        is_preferred = root.endswith((".PR", " PR"))
        if place is None or is_preferred or (place.digits and not root.isdigit()):
            continue
        if place.market is wanted or (hints.market_type is None and _pair_in(root) is not None):
            return root, _placed(name, root, place, hints)
    return name, hints


def _without_equity(name: str) -> str:
    """Return a name as Bloomberg writes it without its last word; the word before it says where it is listed."""
    bare = name.removesuffix(" EQUITY")
    root, found, code = bare.rpartition(" ")
    if bare == name or not (found and code.isalpha() and len(code) == 2):  # noqa: PLR2004 - such a code has two letters
        return bare
    if code == "UN":  # New York, and no unit
        return f"{root} US"
    if code not in COUNTRIES:
        raise SpellingError(f"{name}: {code} is no country that is known here")
    return bare


def _listed(root: str, hints: Hints) -> tuple[str, Hints]:
    """Return the underlying of an option without the country that Bloomberg writes behind it, and what that says."""
    underlying, found, country = root.rpartition(" ")
    place = COUNTRIES.get("US" if country == "UN" else country) if found else None
    if place is None and len(country) > 1 and found:
        raise SpellingError(f"{root} is no underlying: {country} is no country that is known here")
    return (root, hints) if place is None else (underlying, _placed(root, underlying, place, hints))


def _placed(name: str, root: str, place: Place, hints: Hints) -> Hints:
    """Return *hints* with what *place* says of *name*, which is *root* without its mark."""
    on_it = {MarketType.OPTIONS} if place.market is MarketType.EQUITY else set()
    if hints.market_type not in {None, place.market, *on_it}:
        raise SpellingError(f"{name} contradicts market_type {hints.market_type}", field="market_type")
    if len(place.currencies) > 1 and not hints.currency:
        whole, part = place.currencies
        raise SpellingError(
            f"{name} is listed where some quote in {whole} and others in hundredths of it; say currency: {whole} or "
            f"{part}, or name it {root}@{whole} or {root}@{part}",
            field="currency",
        )
    is_other = place.currencies and hints.currency not in {"", *place.currencies}
    if is_other and (len(place.currencies) == 1 or not hints.exchange):
        raise SpellingError(
            f"{name} is quoted in {' or '.join(place.currencies)}, not in {hints.currency}", field="currency"
        )
    currency = hints.currency or next(iter(place.currencies), "")
    market = place.market if place.market in PAIR_MARKS else hints.market_type
    return replace(hints, market_type=market, currency="" if currency == HOME_CURRENCY else currency)


_FUTURE = r"/[A-Z0-9]+|.+=F|[A-Z0-9]+\d!|(?:.+[./ _-]|.+USD[TC]?)(?:PERP|SWAP)|[A-Z]{1,3}[FGHJKMNQUVXZ]\d{1,2}"


def _refuse_future(name: str, hints: Hints) -> None:
    """Refuse a future by its name; a stock abroad may be called like one."""
    if not hints.currency and not hints.con_id and re.fullmatch(_FUTURE, name):
        raise SpellingError(f"{name} is the name of a future, which apex does not trade")


def named(text: str, hints: Hints = NO_HINTS) -> Instrument | None:
    """Return what ``canonical`` returns; None where *text* names no security, or more than one may be meant."""
    try:
        return canonical(text, hints)
    except SpellingError:
        return None


def same_security(text: str, instrument: Instrument) -> bool:
    """Return whether *text*, as a person types it, names *instrument*, or the underlying of an option.

    A ticker alone names it in any currency; one with a currency or an exchange only there.

    >>> same_security("brk b", canonical("BRK.B")), same_security("EURUSD", canonical("EUR.USD"))
    (True, True)
    >>> [same_security(text, canonical("SAP@EUR")) for text in ("SAP", "SAP.DE", "SAP@USD")]
    [True, True, False]
    """
    names = {instrument.symbol, instrument.called or instrument.symbol}
    if text.upper() in {instrument.key.upper(), *names}:
        return True
    is_pair, is_exact = instrument.market_type in PAIR_MARKS, "@" in text
    currency = "" if is_pair or is_exact else instrument.currency
    for market in (None, instrument.market_type):
        found = named(text, Hints(market_type=market, currency=currency))
        if found is None or (found.market_type is MarketType.OPTIONS and found.key != instrument.key):
            continue
        is_place = found.market_type is not instrument.market_type or found.exchange in {"", instrument.exchange}
        if found.symbol in names and found.currency == instrument.currency and is_place:
            return True
    return False


def names_key(text: str, key: str) -> bool:
    """Return whether *text* names the security with the instrument key *key*, and no other."""
    found = named(text) if text.upper() != key.upper() else None
    return text.upper() == key.upper() or (found is not None and found.key == key)


def respelled_key(key: str) -> str:
    """Return a key of an older version in the spelling of today; what cannot be read stays as it is.

    >>> respelled_key("BRK B"), respelled_key("EURUSD@forex"), respelled_key("AAPL@options 2026-12-18 C150.00")
    ('BRK.B', 'EUR.USD@forex', 'AAPL@options 2026-12-18 C150')
    """
    try:
        if "@" not in key and _unmarked(key.upper(), Hints(market_type=MarketType.EQUITY))[0] != key.upper():
            return key
        if "@" not in key:
            return canonical(key, Hints(market_type=MarketType.EQUITY)).key
        return canonical(key.replace("@options ? C?", "@options C").replace("@options ? P?", "@options P")).key
    except SpellingError:
        return key


@lru_cache(maxsize=1024)
def of_key(key: str) -> Instrument:
    """Return the security that a key, or the name of a price history, names; else a stock of that very name.

    >>> of_key("BTCUSD").key, of_key("BRK-B").key, of_key("ABC.USD").key
    ('BTC-USD@crypto', 'BRK.B', 'ABC.USD')
    """
    return named(key) or make_instrument(key)


def canonical_ticker(text: str) -> str:
    """Return a text of the configuration in its canonical spelling; what is no security stays as it is, in capitals."""
    found = named(text)
    if found is None:
        return text.upper()
    return found.key if found.market_type is MarketType.OPTIONS else found.bars_name


def canonical_tickers(text: str) -> tuple[str, ...]:
    """Return what ``canonical_ticker`` returns; of a stock that may be in pounds or in pence both names, for it is one.

    >>> canonical_tickers("brk b"), canonical_tickers("VOD.L"), canonical_tickers("VOD@GBX")
    (('BRK.B',), ('VOD@GBP', 'VOD@GBX'), ('VOD@GBP', 'VOD@GBX'))
    """
    for part, (whole, _) in MINOR_UNITS.items():
        found: Instrument | None
        try:
            found = canonical(text)
        except SpellingError as error:
            found = named(text, Hints(currency=part)) if error.field == "currency" else None
        if found is not None and found.market_type is MarketType.EQUITY and found.currency in {whole, part}:
            return replace(found, currency=whole).key, replace(found, currency=part).key
    return (canonical_ticker(text),)


def as_ticker(text: str) -> str:
    """Return a text of the configuration in its canonical spelling; one word that is no security stays as it is.

    Raises:
        ValueError: several words, or letters of other languages, that name no security.
    """
    try:
        canonical(text)
    except SpellingError:
        if " " in text or not text.isascii():
            raise
    return canonical_ticker(text)


# Options


def _terms_in(name: str) -> _Terms | None:
    """Return the contract in *name*: 21 characters or compact, as vendors abbreviate it, or as TWS shows it."""
    found = re.fullmatch(_OCC, name)
    if found:
        digits = found["strike"]
        is_thousandths = digits.isdecimal() and (len(digits) > MOST_STRIKE or found["futu"] is not None)
        strike = Decimal(digits) / 1000 if is_thousandths else Decimal(digits)
        return _terms(found, strike)
    for pattern in _contracts() if " " in name else map(re.compile, _JOINED):
        if found := pattern.fullmatch(name):
            return _terms(found, Decimal(found["strike"]))
    return None


@cache
def _contracts() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of contracts in words, made when the first one is looked for."""
    return tuple(
        re.compile(form)
        for day in _DATES
        for form in (
            rf"{_ROOT} {day} {_STRIKE} ?{_RIGHT}",
            rf"{_ROOT} {day} {_RIGHT} ?{_STRIKE}",
            rf"{_RIGHT} {_ROOT} {day} {_STRIKE}",
            rf"{_ROOT} {_STRIKE} ?{_RIGHT} {day}",
            rf"{_ROOT} {_RIGHT} ?{_STRIKE} {day}",
        )
    )


def _terms(found: re.Match[str], strike: Decimal) -> _Terms:
    named = found.groupdict()
    month = _MONTHS[named["mon"]] if named.get("mon") else int(named["m"])
    year = int(named["y"]) + (2000 if len(named["y"]) == 2 else 0)  # noqa: PLR2004 - two digits of a year
    expiry = _day_of(year, month, int(named["d"]))
    if "/" in found[0].replace(named["root"], "") and (expiry is None or expiry.weekday() >= _SATURDAY):
        other = _day_of(year, int(named["d"]), month)
        expiry = other if other is not None and other.weekday() < _SATURDAY else expiry
    if expiry is None:
        raise SpellingError(f"{found[0]} names no day as its expiry", field="expiry")
    if not strike:
        raise SpellingError(f"{found[0]} has no strike above 0", field="strike")
    return _Terms(named["root"], expiry.isoformat(), OptionRight(named["right"][0]), Price(strike))


def _day_of(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _option(terms: _Terms, hints: Hints) -> Instrument:
    """Return the contract of *terms*; fields that say the same may stand beside it."""
    if hints.market_type not in {None, MarketType.OPTIONS}:
        raise SpellingError(
            f"the symbol is an option, which market_type {hints.market_type} contradicts", field="market_type"
        )
    for field, own, given in (
        ("expiry", terms.expiry, hints.expiry),
        ("strike", terms.strike, hints.strike),
        ("right", terms.right, hints.right),
    ):
        if given is not None and given != own:
            raise SpellingError(f"{given} contradicts the symbol, which says {own}", field=field)
    underlying, cls = _underlying(terms.root)
    made = make_instrument(underlying, MarketType.OPTIONS, expiry=terms.expiry, strike=terms.strike, right=terms.right)
    return _with_hints(replace(made, trading_class=cls), hints)


def _underlying(root: str) -> tuple[str, str]:
    """Return the underlying that an option's root means, and the trading class where it is called otherwise."""
    if root in CLASS_UNDERLYINGS:
        return CLASS_UNDERLYINGS[root], root
    if root[-1].isdigit() and root[:-1].isalpha():
        return _stock(root[:-1]).symbol, root
    return _stock(root).symbol, ""


def _option_of_fields(name: str, hints: Hints) -> Instrument:
    given = {"expiry": hints.expiry, "strike": hints.strike, "right": hints.right}
    missing = [field for field, value in given.items() if value is None]
    if missing and (hints.expiry or hints.strike):
        raise SpellingError(
            f"an option contract has expiry, strike and right; missing: {', '.join(missing)}", field=missing[0]
        )
    underlying, cls = _underlying(name)
    made = make_instrument(underlying, MarketType.OPTIONS, expiry=hints.expiry, strike=hints.strike, right=hints.right)
    return _with_hints(replace(made, trading_class=cls), hints)


# Pairs


def _pair(name: str, market: MarketType, hints: Hints) -> Instrument:
    """Return the pair of a market that is known."""
    name = name.removesuffix("=X").replace(":", "/")
    base, quote = _split(name, market) or (name, hints.currency or HOME_CURRENCY)
    base, quote = COIN_NAMES.get(base, base), COIN_NAMES.get(quote, quote)
    is_currencies = base in CURRENCIES and quote in CURRENCIES
    if not base.isalnum() or not quote.isalpha() or base == quote:
        raise SpellingError(f"{name} is no pair such as {'EUR.USD' if market is MarketType.FOREX else 'BTC-USD'}")
    if market is MarketType.FOREX and (len(base), len(quote)) != (3, 3):
        raise SpellingError(f"{name} is no pair of two currencies of three letters, such as EUR.USD")
    if (market is MarketType.CRYPTO and is_currencies) or (market is MarketType.FOREX and base in COINS):
        right = MarketType.FOREX if is_currencies else MarketType.CRYPTO
        raise SpellingError(f"{name} is a pair of market_type {right}, not {market}", field="market_type")
    return make_instrument(f"{base}{PAIR_MARKS[market]}{quote}", market)


def _split(name: str, market: MarketType | None) -> tuple[str, str] | None:
    """Return the two parts of a pair; None where the text is no pair."""
    parts = re.split(r"[./ _-]", name)
    if len(parts) == 2 and all(parts):  # noqa: PLR2004 - a pair
        return parts[0], parts[1]
    if len(parts) > 1:
        return None
    if market is not MarketType.CRYPTO and len(name) == 6 and name.isalpha():  # noqa: PLR2004 - two codes of three
        joined = name[:3], name[3:]
        if market is MarketType.FOREX or set(joined) <= CURRENCIES:
            return joined
    if market is MarketType.FOREX:
        return None
    for quote in COIN_QUOTES:
        base = name.removesuffix(quote)
        if base and base != name and (market is MarketType.CRYPTO or len(name) > 5):  # noqa: PLR2004 - no US ticker
            return base, quote
    return None


def _pair_in(name: str) -> Instrument | None:
    """Return the pair that *name* is by its currencies or coins alone; None where it may be something else."""
    parts = _split(name.removesuffix("=X").replace(":", "/"), None)
    if parts is None:
        return None
    base, quote = (COIN_NAMES.get(part, part) for part in parts)
    if base == quote:
        return None
    if base in CURRENCIES and quote in CURRENCIES:
        return make_instrument(f"{base}.{quote}", MarketType.FOREX)
    if base in COINS and (quote in COIN_QUOTES or quote in CURRENCIES):
        return make_instrument(f"{base}-{quote}", MarketType.CRYPTO)
    return None


def _refuse_unknown_pair(name: str) -> None:
    """Refuse what looks like a pair of something unknown: it is never bought as shares."""
    parts = _split(name.removesuffix("=X").replace(":", "/"), None)
    if parts is not None and (parts[1] in CURRENCIES or parts[1] in COIN_QUOTES):
        raise SpellingError(
            f"{name} looks like the pair {parts[0]}/{parts[1]}; say market_type: crypto, forex or equity",
            field="market_type",
        )


# Stocks and keys


def _stock(name: str) -> Instrument:
    """Return the stock, its class after a point."""
    parts = re.split(_PARTS, name)
    root, rest = parts[0], [part for part in parts[1:] if part]
    suffix = "".join(rest)
    pair = _pair_in(root) if name != root else _pair_in(name[:6]) if len(name) > len("EURUSD") else None
    if pair is not None:
        raise SpellingError(f"{name} looks like {pair.symbol} with a mark that is not known here; name {pair.symbol}")
    if rest:
        is_preferred = re.fullmatch(_PREFERRED, suffix) and (len(suffix) == len("PRA") or name[len(root)] in "-/")
        suffix = f"PR{suffix[-1]}" if is_preferred else SUFFIXES.get(suffix, suffix)
        symbol = f"{root}.{suffix}"
    else:
        symbol = CLASS_ROOTS.get(name, name)
    if not root or not re.fullmatch(_TICKER, symbol) or len(symbol) > MOST_TICKER:
        raise SpellingError(f"{name} is no ticker: letters and digits, with . - / or a space before its class")
    if re.fullmatch(_ISIN, name):
        raise SpellingError(f"{name} is an ISIN; name the ticker")
    if suffix and not re.fullmatch(_CLASS, suffix):
        option = "; an option is spelled AAPL 2026-12-18 200 C" if any(sign.isdigit() for sign in suffix) else ""
        raise SpellingError(f"{name} is no ticker: {suffix} is no share class{option}")
    return make_instrument(symbol)


def _of_key(name: str, hints: Hints) -> Instrument:
    """Return the security of a key as apex shows it; its currency is part of it, whatever *hints* say."""
    found = re.fullmatch(_KEY, name)
    if found:
        return _option_key(found)
    symbol, _, mark = name.partition("@")
    for market, divider in PAIR_MARKS.items():
        if mark == market.upper():
            base, _, quote = symbol.partition(divider)
            return _pair(f"{base}/{quote}", market, NO_HINTS) if quote else _pair(symbol, market, NO_HINTS)
    marks = mark.split("@")
    if not symbol or not all(each.isalnum() for each in marks) or len(marks) > 2:  # noqa: PLR2004 - currency, exchange
        raise SpellingError(f"{name} is no name of a security as apex writes it, such as SAP@EUR")
    currency = marks[0] if marks[0] in CURRENCIES | MINOR_UNITS.keys() else HOME_CURRENCY
    if hints.currency not in {"", currency}:
        raise SpellingError(f"{name} is quoted in {currency}, not in {hints.currency}", field="currency")
    exchange = marks[-1] if marks[-1] != currency else ""
    return replace(_stock(symbol), currency=currency, exchange=exchange)


def _option_key(found: re.Match[str]) -> Instrument:
    if found["y"]:
        terms = _terms(found, Decimal(found["strike"]))
        made = make_instrument(
            terms.root, MarketType.OPTIONS, expiry=terms.expiry, strike=terms.strike, right=terms.right
        )
    else:
        bare = found["bare"]
        made = make_instrument(found["root"], MarketType.OPTIONS, right=OptionRight(bare) if bare else None)
    return replace(
        made,
        trading_class=found["cls"] or "",
        multiplier=Decimal(found["size"]) if found["size"] else CONTRACT_SIZE,
        currency=found["cur"] or HOME_CURRENCY,
    )


def _with_hints(made: Instrument, hints: Hints) -> Instrument:
    """Return *made* with what *hints* say of currency, exchange, class, multiplier and number."""
    if hints.market_type not in {None, made.market_type}:
        raise SpellingError(f"{made.key} contradicts market_type {hints.market_type}", field="market_type")
    if made.market_type in PAIR_MARKS:
        if hints.currency and hints.currency != made.currency:
            raise SpellingError(f"{hints.currency} contradicts the pair {made.symbol}", field="currency")
        return replace(made, con_id=hints.con_id) if hints.con_id else made
    if hints.right is not None and made.right not in {None, hints.right}:
        raise SpellingError(f"{hints.right} contradicts {made.key}", field="right")
    currency = hints.currency or LISTED_IN.get(hints.exchange) or made.currency
    is_padded = currency == "HKD" and made.symbol.isdigit()
    found = replace(
        made,
        symbol=made.symbol.lstrip("0") or made.symbol if is_padded else made.symbol,
        currency=currency,
        exchange=identifying_exchange(hints.exchange, currency) or made.exchange,
        con_id=hints.con_id or made.con_id,
    )
    if made.market_type is not MarketType.OPTIONS:
        return found
    return replace(
        found,
        exchange="",
        trading_class=identifying_class(hints.trading_class, made.symbol) or made.trading_class,
        multiplier=hints.multiplier or made.multiplier,
    )


def identifying_exchange(exchange: str, currency: str) -> str:
    """Return the exchange where it is part of the identity: a listing in dollars outside the United States."""
    return exchange if currency == HOME_CURRENCY and exchange and exchange not in US_EXCHANGES else ""


def identifying_class(trading_class: str, underlying: str) -> str:
    """Return the trading class where it says more than the underlying.

    >>> identifying_class("BRKB", "BRK.B"), identifying_class("SPXW", "SPX")
    ('', 'SPXW')
    """
    return "" if trading_class == underlying.replace(".", "") else trading_class
