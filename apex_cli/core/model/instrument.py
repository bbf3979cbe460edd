"""What is traded: the identity of a security, its multiplier and its steps."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from msgspec.structs import force_setattr, replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ONE, Price, shortest


class MarketType(StrEnum):
    """The four markets a signal can name."""

    EQUITY = "equity"
    OPTIONS = "options"
    CRYPTO = "crypto"
    FOREX = "forex"


PAIR_MARKS = {MarketType.FOREX: ".", MarketType.CRYPTO: "-"}
"""What stands between the two currencies of a pair: ``EUR.USD``, ``BTC-USD``."""


class OptionRight(StrEnum):
    """Which option: a call or a put."""

    CALL = "C"
    PUT = "P"


QUANTITY_STEPS = {
    MarketType.EQUITY: ONE,
    MarketType.OPTIONS: ONE,
    MarketType.CRYPTO: Decimal("0.0001"),
    MarketType.FOREX: Decimal(1000),
}
"""Smallest tradable quantity and its step: whole shares and contracts, 4 decimals, micro lots."""

TICK_SIZES = {
    MarketType.EQUITY: Decimal("0.01"),
    MarketType.OPTIONS: Decimal("0.01"),
    MarketType.CRYPTO: Decimal("0.01"),
    MarketType.FOREX: Decimal("0.00001"),
}
"""Price step of each market where neither the price nor the broker asks for another one."""

_MARKS = frozenset("./ -")
MONEY_COINS = ("USDT", "USDC")
COIN_QUOTES = (*MONEY_COINS, "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "CHF", "CAD", "AUD", "TRY", "BRL", "KRW", "BNB")
"""What coins are quoted in; the longer names are looked for first."""

HOME_CURRENCY = "USD"
CONTRACT_SIZE = Decimal(100)


class PriceStep(Value, frozen=True, kw_only=True):
    """A price step and the price from which it holds."""

    low: Decimal
    step: Decimal


def _steps(*pairs: tuple[str, str]) -> tuple[PriceStep, ...]:
    return tuple(PriceStep(low=Decimal(low), step=Decimal(step)) for low, step in pairs)


STOCK_STEPS = _steps(("0", "0.0001"), ("1", "0.01"))
"""Rule 612 of Regulation NMS: a hundredth of a cent below one dollar, a cent from there on."""

COIN_STEPS = _steps(("0", "0.00000001"), ("0.001", "0.000001"), ("0.01", "0.00001"), ("0.1", "0.0001"), ("1", "0.01"))
"""What the large venues ask for at each price of a coin: a satoshi at the least."""

YEN_STEPS = _steps(("0", "0.001"))
"""Pairs quoted in yen, forint or won have two decimals fewer."""

COARSE_QUOTES = frozenset({"JPY", "HUF", "KRW"})


def spelled(symbol: str, market_type: MarketType) -> str:
    """Return *symbol* with the mark that its market has between its parts.

    >>> spelled("BRK B", MarketType.EQUITY), spelled("BTC/USD", MarketType.CRYPTO)
    ('BRK.B', 'BTC-USD')
    """
    mark = PAIR_MARKS.get(market_type, ".")
    marked = "".join(mark if sign in _MARKS else sign for sign in symbol)
    if market_type not in PAIR_MARKS or mark in marked:
        return marked
    base, quote = split_pair(marked, market_type)
    return f"{base}{mark}{quote}"


def split_pair(name: str, market_type: MarketType) -> tuple[str, str]:
    """Return the two parts of a pair without a mark; one currency alone is quoted in dollars.

    >>> split_pair("EURUSD", MarketType.FOREX), split_pair("BTCUSDT", MarketType.CRYPTO)
    (('EUR', 'USD'), ('BTC', 'USDT'))
    """
    if market_type is MarketType.FOREX:
        return (name[:3], name[3:]) if len(name) == len("EURUSD") else (name, HOME_CURRENCY)
    for quote in COIN_QUOTES:
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote), quote
    return name, HOME_CURRENCY


class Instrument(Value, frozen=True, kw_only=True, gc=True, dict=True):
    """One security for good: two instruments are the same one only when their keys are equal."""

    symbol: str
    """Upper-case ticker, pair or underlying in its canonical spelling: ``BRK.B``, ``BTC-USD``, ``EUR.USD``."""

    market_type: MarketType = MarketType.EQUITY
    currency: str = HOME_CURRENCY
    """What its price is in; of a pair the second currency."""

    multiplier: Decimal = ONE
    """Units of money per unit of price and quantity: 100 for an option contract."""

    quantity_step: Decimal = ONE
    tick_size: Decimal = Decimal("0.01")
    expiry: str | None = None
    """Option expiry as YYYY-MM-DD."""

    strike: Price | None = None
    right: OptionRight | None = None
    exchange: str = ""
    """Primary exchange, kept only where symbol and currency do not name one security."""

    trading_class: str = ""
    """Class of an option whose name differs from its underlying's: ``SPXW`` of ``SPX``."""

    con_id: int = 0
    """Interactive Brokers' number of the contract; 0 until it is known."""

    called: str = ""
    """Ticker that the broker lists it under now, where it was renamed since it was bought."""

    price_steps: tuple[PriceStep, ...] = ()
    """Price steps as the broker lists them, by rising ``low``; empty: those of the market."""

    def __post_init__(self) -> None:
        """Spell symbol and strike in one way, rows of older versions included: 150.00 is the broker's 150."""
        if self.market_type in PAIR_MARKS or not self.symbol.isalnum():
            symbol = spelled(self.symbol, self.market_type)
            if symbol != self.symbol:
                force_setattr(self, "symbol", symbol)
        if self.strike is not None:
            force_setattr(self, "strike", Price(shortest(self.strike)))

    @cached_property
    def key(self) -> str:
        """Identity of the security: ``AAPL``, ``SAP@EUR``, ``BTC-USD@crypto``, ``AAPL@options 2026-12-18 C150``."""
        if self.market_type is MarketType.EQUITY:
            place = (self.currency if self.currency != HOME_CURRENCY else "", self.exchange)
            return "@".join((self.symbol, *filter(None, place)))
        if self.market_type is not MarketType.OPTIONS:
            return f"{self.symbol}@{self.market_type}"
        if self.is_unspecified:
            return " ".join(filter(None, (f"{self.symbol}@{self.market_type} unspecified", self.right)))
        marks = (
            f"({self.trading_class})" if self.trading_class else "",
            f"x{shortest(self.multiplier):f}" if self.multiplier != CONTRACT_SIZE else "",
            self.currency if self.currency != HOME_CURRENCY else "",
        )
        series = f"{self.symbol}@{self.market_type} {self.expiry or '?'} {self.right or '?'}{self.strike or '?'}"
        return " ".join((series, *filter(None, marks)))

    @property
    def is_unspecified(self) -> bool:
        """True for an option that names no contract: it can be rehearsed in simulation, and no broker takes it."""
        return self.market_type is MarketType.OPTIONS and not self.expiry and not self.strike

    @cached_property
    def bars_name(self) -> str:
        """Name of its price history: that of the security itself, of an option that of its underlying."""
        return self.symbol if self.market_type is not MarketType.EQUITY else self.key

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the price step of an order at *price*: the order's own price decides, not the market's.

        >>> make_instrument("F").tick_at(Decimal("0.45")), make_instrument("F").tick_at(Decimal(12))
        (Decimal('0.0001'), Decimal('0.01'))
        """
        bands = self.price_steps or self._usual_steps
        fitting = [band.step for band in bands if band.low <= price]
        return fitting[-1] if fitting else bands[0].step if bands else self.tick_size

    @property
    def _usual_steps(self) -> tuple[PriceStep, ...]:
        if self.tick_size != TICK_SIZES[self.market_type]:
            return ()
        if self.market_type is MarketType.EQUITY:
            return STOCK_STEPS
        if self.market_type is MarketType.CRYPTO:
            return COIN_STEPS
        is_coarse = self.market_type is MarketType.FOREX and self.symbol.partition(".")[2] in COARSE_QUOTES
        return YEN_STEPS if is_coarse else ()


def make_instrument(
    symbol: str,
    market_type: MarketType = MarketType.EQUITY,
    *,
    expiry: str | None = None,
    strike: Price | None = None,
    right: OptionRight | None = None,
) -> Instrument:
    """Return the instrument with its market's usual multiplier and steps; *symbol* is in its canonical spelling.

    >>> make_instrument("aapl").key
    'AAPL'
    >>> make_instrument("AAPL", MarketType.OPTIONS).multiplier
    Decimal('100')
    """
    name = spelled(symbol.upper(), market_type)
    mark = PAIR_MARKS.get(market_type)
    return Instrument(
        symbol=name,
        market_type=market_type,
        currency=(name.partition(mark)[2] if mark else "") or HOME_CURRENCY,
        multiplier=CONTRACT_SIZE if market_type is MarketType.OPTIONS else ONE,
        quantity_step=QUANTITY_STEPS[market_type],
        tick_size=TICK_SIZES[market_type],
        expiry=expiry,
        strike=strike,
        right=right,
    )


def underlying_of(option: Instrument) -> Instrument:
    """Return the stock or index that *option* is about, in its currency.

    >>> underlying_of(make_instrument("AAPL", MarketType.OPTIONS, expiry="2026-12-18")).key
    'AAPL'
    """
    made = make_instrument(option.symbol)
    return made if option.currency == HOME_CURRENCY else replace(made, currency=option.currency)
