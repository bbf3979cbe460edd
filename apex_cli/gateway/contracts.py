"""Contracts as the wire names them, the list of securities this venue trades, and their trading hours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from msgspec.structs import replace

from apex_cli.core.market.calendar import CLOSING_TIME, NEW_YORK, SATURDAY, SUNDAY, session_bounds
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import (
    HOME_CURRENCY,
    PAIR_MARKS,
    Instrument,
    MarketType,
    OptionRight,
    make_instrument,
)
from apex_cli.core.model.money import Price
from apex_cli.core.model.spelling import named, respelled_key
from apex_cli.gateway.framing import Field, Reader

SMART = "SMART"
STOCK = "STK"
TICKER = re.compile(r"[A-Z][A-Z0-9. ]{0,11}", re.ASCII)
CENT_RULE = 26
BANDED_RULE = 32
_FIRST_ID = 100_000
_ID_SPACE = 900_000_000

MARKET_OF_SEC_TYPE = {
    "STK": MarketType.EQUITY,
    "OPT": MarketType.OPTIONS,
    "CASH": MarketType.FOREX,
    "CRYPTO": MarketType.CRYPTO,
}
SEC_TYPES = {market: sec_type for sec_type, market in MARKET_OF_SEC_TYPE.items()}
EXCHANGES = {"STK": "NASDAQ", "OPT": "CBOE", "CASH": "IDEALPRO", "CRYPTO": "PAXOS"}

Bands = tuple[tuple[Decimal, Decimal], ...]
"""Price steps by the price they start at, rising."""

MARKET_RULES: dict[int, Bands] = {
    CENT_RULE: ((Decimal(0), Decimal("0.01")),),
    BANDED_RULE: ((Decimal(0), Decimal("0.0001")), (Decimal(1), Decimal("0.01"))),
    239: ((Decimal(0), Decimal("0.00005")),),
}
"""Rule 32 has the steps of Regulation NMS, Rule 612: 0.0001 below one dollar, one cent from there on."""


class Contract(Value, frozen=True, kw_only=True):
    """One security as a client names it; empty fields are not given."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


def read_contract(fields: Reader) -> Contract:
    """Read the 12 fields of a contract, in the order in which ``Contract`` declares them."""
    reads: dict[str, Callable[[], Any]] = {"con_id": fields.integer, "strike": fields.decimal}
    return Contract(**{name: reads.get(name, fields.text)() for name in Contract.__struct_fields__})


def contract_fields(contract: Contract, *, with_exchange: bool = True, with_primary: bool = False) -> list[Field]:
    """Return the 11 fields of most answers: conId .. multiplier, the exchanges asked for, currency .. class."""
    exchanges: list[Field] = [contract.exchange] if with_exchange else []
    if with_primary:
        exchanges.append(contract.primary_exchange)
    return [
        contract.con_id,
        contract.symbol,
        contract.sec_type,
        contract.last_trade_date,
        contract.strike or Decimal("0.0"),
        contract.right,
        contract.multiplier,
        *exchanges,
        contract.currency,
        contract.local_symbol,
        contract.trading_class,
    ]


class Listing(Value, frozen=True, kw_only=True):
    """One security of the venue with what clients ask about it."""

    contract: Contract
    """As answered to clients, exchange SMART for stocks."""

    instrument: Instrument
    long_name: str
    rule: int
    """Key into ``MARKET_RULES``."""

    @property
    def min_tick(self) -> Decimal:
        """The smallest step at any price."""
        return min(step for _, step in MARKET_RULES[self.rule])

    def is_on_tick(self, price: Decimal) -> bool:
        """Return whether *price* is a multiple of the step of its own band."""
        step = next(step for low, step in reversed(MARKET_RULES[self.rule]) if abs(price) >= low)
        return price % step == 0


class Listings:
    """The securities of the venue: stocks by symbol; options, pairs and coins as they are asked for."""

    __slots__ = ("_by_id", "_by_key", "_gone", "_names", "_symbols")

    def __init__(self, symbols: Iterable[str]) -> None:
        """List the stocks *symbols*."""
        self._symbols: set[str] = set()
        self._by_id: dict[int, Listing] = {}
        self._by_key: dict[str, Listing] = {}
        self._names: dict[str, Listing] = {}
        """Stocks that were renamed, by their new tickers."""

        self._gone: set[str] = set()
        """Tickers that no stock has any more."""

        for symbol in symbols:
            self.add(symbol)

    def add(self, symbol: str) -> Listing:
        """List *symbol*, a stock, a pair or an option in whatever spelling."""
        instrument = _named(symbol)
        if instrument.expiry is not None:
            self.add(instrument.symbol)
            return self._listed(_option_contract(instrument), instrument)
        if instrument.market_type is MarketType.EQUITY:
            self._symbols.add(instrument.symbol)
            return self._listed(
                Contract(symbol=instrument.symbol.replace(".", " "), sec_type=STOCK, currency=instrument.currency),
                instrument,
            )
        base, _, quote = instrument.symbol.partition(PAIR_MARKS[instrument.market_type])
        return self._listed(
            Contract(symbol=base, sec_type=SEC_TYPES[instrument.market_type], currency=quote), instrument
        )

    def known(self, symbol: str) -> Listing | None:
        """Return what is listed as *symbol*, None where nothing is."""
        return self._by_key.get(_named(symbol).key)

    def symbols(self) -> list[str]:
        """Return the stocks, sorted."""
        return sorted(self._symbols)

    def all(self) -> list[Listing]:
        """Return everything that was asked for or listed."""
        return list(self._by_key.values())

    def of_key(self, key: str) -> Listing:
        """Return the security with the instrument key *key*.

        Raises:
            KeyError: it is not listed.
        """
        return self._by_key.get(key) or self._by_key[respelled_key(key)]

    def find(self, contract: Contract) -> Listing | None:
        """Return the security that *contract* means; None where it is not listed."""
        if contract.con_id:
            return self._by_id.get(contract.con_id)
        symbol = contract.symbol or contract.local_symbol
        market = MARKET_OF_SEC_TYPE.get(contract.sec_type)
        is_foreign = contract.currency not in {"", "USD"} and market in {MarketType.OPTIONS, MarketType.CRYPTO}
        if market is None or is_foreign:
            return None
        if market is MarketType.EQUITY:
            return self._stock(symbol, contract.currency or HOME_CURRENCY)
        instrument = _derived(contract, market)
        if instrument is None or (market is MarketType.OPTIONS and instrument.symbol not in self._symbols):
            return None
        return self._listed(contract, instrument)

    def _stock(self, symbol: str, currency: str) -> Listing | None:
        """Return the stock that goes by *symbol* today."""
        if symbol in self._gone:
            return None
        key = replace(make_instrument(symbol), currency=currency).key
        return self._names.get(symbol) or self._by_key.get(key)

    def rename(self, listing: Listing, symbol: str) -> Listing:
        """List a stock under the ticker *symbol* alone; its number and what the venue keeps it under stay."""
        contract = replace(listing.contract, symbol=symbol, local_symbol=symbol, trading_class=symbol)
        fresh = replace(listing, contract=contract)
        self._names.pop(listing.contract.symbol, None)
        self._gone.add(listing.contract.symbol)
        self._by_id[contract.con_id] = self._by_key[listing.instrument.key] = self._names[symbol] = fresh
        return fresh

    def restore(self, listing: Listing) -> None:
        """Take over a listing of an earlier run."""
        self._by_id[listing.contract.con_id] = listing
        self._by_key[listing.instrument.key] = listing
        if listing.instrument.market_type is MarketType.EQUITY:
            self._symbols.add(listing.instrument.symbol)

    def _listed(self, contract: Contract, instrument: Instrument) -> Listing:
        known = self._by_key.get(instrument.key)
        if known is None:
            known = _listing(contract, instrument)
            self.restore(known)
        return known


def _named(symbol: str) -> Instrument:
    """Return the stock or pair that *symbol* names; a stock of that very name where it names neither."""
    return named(symbol) or make_instrument(symbol)


def _option_contract(instrument: Instrument) -> Contract:
    return Contract(
        symbol=instrument.symbol.replace(".", " "),
        sec_type=SEC_TYPES[MarketType.OPTIONS],
        last_trade_date=(instrument.expiry or "").replace("-", ""),
        strike=instrument.strike,
        right=str(instrument.right or ""),
        currency=instrument.currency,
    )


def con_id_of(key: str) -> int:
    """Return the contract id of an instrument key: the same in every run.

    >>> con_id_of("AAPL") == con_id_of("AAPL") != con_id_of("MSFT")
    True
    """
    return _FIRST_ID + crc32(key.encode()) % _ID_SPACE


def _derived(contract: Contract, market: MarketType) -> Instrument | None:
    """Return the instrument of an option, pair or coin; None when the contract does not say enough."""
    if market is MarketType.OPTIONS:
        date, right = contract.last_trade_date, contract.right[:1]
        if len(date) != len("20261218") or right not in {"C", "P"} or not contract.strike:
            return None
        expiry = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        strike = Price(contract.strike.normalize())
        return make_instrument(contract.symbol, market, expiry=expiry, strike=strike, right=OptionRight(right))
    if not TICKER.fullmatch(contract.symbol):
        return None
    divider = "." if market is MarketType.FOREX else "-"
    return make_instrument(f"{contract.symbol}{divider}{contract.currency or 'USD'}", market)


def _listing(contract: Contract, instrument: Instrument) -> Listing:
    sec_type = contract.sec_type
    symbol = contract.symbol
    exchange = EXCHANGES[sec_type]
    is_option = sec_type == "OPT"
    full = Contract(
        con_id=con_id_of(instrument.key),
        symbol=symbol,
        sec_type=sec_type,
        last_trade_date=contract.last_trade_date if is_option else "",
        strike=contract.strike if is_option else None,
        right=contract.right[:1] if is_option else "",
        multiplier="100" if is_option else "",
        exchange=SMART if sec_type in {STOCK, "OPT"} else exchange,
        primary_exchange=exchange,
        currency=contract.currency or "USD",
        local_symbol=_local_symbol(contract, instrument),
        trading_class=symbol,
    )
    rule = {"STK": BANDED_RULE, "CASH": 239}.get(sec_type, CENT_RULE)
    return Listing(contract=full, instrument=instrument, long_name=f"{symbol} PAPER", rule=rule)


def _local_symbol(contract: Contract, instrument: Instrument) -> str:
    if instrument.market_type is MarketType.OPTIONS and contract.strike is not None:
        thousandths = int(contract.strike * 1000)
        return f"{contract.symbol:<6}{contract.last_trade_date[2:]}{contract.right[:1]}{thousandths:08d}"
    return contract.symbol if instrument.market_type is MarketType.EQUITY else instrument.symbol


DAYS_REPORTED = 6
PRE_MARKET, AFTER_HOURS, HALF_DAY_AFTER_HOURS = time(4), time(20), time(17)


def trading_hours(now: datetime, market: MarketType = MarketType.EQUITY) -> tuple[str, str]:
    """Return all and the liquid trading hours of the next days, as ``20260302:0930-20260302:1600;20260307:CLOSED``."""
    today = now.astimezone(NEW_YORK).date()
    hours_of = {MarketType.FOREX: _forex_hours, MarketType.CRYPTO: _coin_hours}.get(market, _session_hours)
    every, liquid = zip(*(hours_of(today + timedelta(days=number)) for number in range(DAYS_REPORTED)), strict=True)
    return ";".join(every), ";".join(liquid)


def _session_hours(day: date) -> tuple[str, str]:
    bounds, name = session_bounds(day), f"{day:%Y%m%d}"
    if bounds is None:
        return f"{name}:CLOSED", f"{name}:CLOSED"
    opens, closes = (bound.astimezone(NEW_YORK) for bound in bounds)
    last = AFTER_HOURS if closes.time() == CLOSING_TIME else HALF_DAY_AFTER_HOURS
    return (
        f"{name}:{PRE_MARKET:%H%M}-{name}:{last:%H%M}",
        f"{name}:{opens:%H%M}-{name}:{closes:%H%M}",
    )


def _forex_hours(day: date) -> tuple[str, str]:
    """Return the hours that end on *day*: from 17:15 of the day before to 17:00, Sunday evening to Friday evening."""
    name = f"{day:%Y%m%d}"
    is_closed = day.weekday() in {SATURDAY, SUNDAY}
    hours = f"{name}:CLOSED" if is_closed else f"{day - timedelta(days=1):%Y%m%d}:1715-{name}:1700"
    return hours, hours


def _coin_hours(day: date) -> tuple[str, str]:
    name = f"{day:%Y%m%d}"
    return f"{name}:0000-{name}:2359", f"{name}:0000-{name}:2359"
