"""What is traded: symbol, market, multiplier and steps."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec.structs import force_setattr

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ONE, Price, shortest


class MarketType(StrEnum):
    """The four markets a signal can name."""

    EQUITY = "equity"
    OPTIONS = "options"
    CRYPTO = "crypto"
    FOREX = "forex"


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
"""Price step where the broker has not told a finer or coarser one."""


class Instrument(Value, frozen=True, kw_only=True):
    """One security: two instruments pair (net, day-trade) only when their keys are equal."""

    symbol: str
    """Upper-case ticker, pair or underlying, such as ``AAPL``, ``BTC-USD``, ``EUR.USD``."""

    market_type: MarketType = MarketType.EQUITY
    currency: str = "USD"
    multiplier: Decimal = ONE
    """Units of money per unit of price and quantity: 100 for an option contract."""

    quantity_step: Decimal = ONE
    tick_size: Decimal = Decimal("0.01")
    expiry: str | None = None
    """Option expiry as YYYY-MM-DD."""

    strike: Price | None = None
    right: OptionRight | None = None

    def __post_init__(self) -> None:
        """Spell the strike in one way: 150.00 in a signal is the broker's 150."""
        if self.strike is not None:
            force_setattr(self, "strike", Price(shortest(self.strike)))

    @property
    def key(self) -> str:
        """Identity of the security: ``AAPL``, ``BTC-USD@crypto``, ``AAPL@options 2026-12-18 C150``."""
        if self.market_type is MarketType.EQUITY:
            return self.symbol
        if self.expiry or self.strike or self.right:
            return f"{self.symbol}@{self.market_type} {self.expiry or '?'} {self.right or '?'}{self.strike or '?'}"
        return f"{self.symbol}@{self.market_type}"


def make_instrument(
    symbol: str,
    market_type: MarketType = MarketType.EQUITY,
    *,
    expiry: str | None = None,
    strike: Price | None = None,
    right: OptionRight | None = None,
) -> Instrument:
    """Return the instrument with its market's usual multiplier and steps.

    >>> make_instrument("aapl").key
    'AAPL'
    >>> make_instrument("AAPL", MarketType.OPTIONS).multiplier
    Decimal('100')
    """
    return Instrument(
        symbol=symbol.upper(),
        market_type=market_type,
        multiplier=Decimal(100) if market_type is MarketType.OPTIONS else ONE,
        quantity_step=QUANTITY_STEPS[market_type],
        tick_size=TICK_SIZES[market_type],
        expiry=expiry,
        strike=strike,
        right=right,
    )
