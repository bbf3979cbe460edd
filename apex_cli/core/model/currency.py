"""Money of other currencies in the account's own: rates with their source and age, and where none is needed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import HOME_CURRENCY, PAIR_MARKS, Instrument
from apex_cli.core.model.money import Usd

MINOR_UNITS = {"GBX": ("GBP", Decimal(100)), "ZAC": ("ZAR", Decimal(100)), "ILA": ("ILS", Decimal(100))}
"""Hundredths that prices are quoted in, by their own codes: pence, South African cents, agorot."""


class Rate(Value, frozen=True, kw_only=True):
    """What one unit of a currency is worth in the account's currency."""

    currency: str
    base: str = HOME_CURRENCY
    """Currency of the account."""

    value: Decimal
    """Units of *base* for one unit of *currency*, > 0."""

    source: str
    """Where it came from: ``broker``, ``configuration``, or the pair that was priced."""

    at: datetime | None = None
    """When it was true, aware UTC; None for a rate of the configuration that has no date."""

    is_own: bool = False
    """True where the price of the security is itself the rate, as of USD.JPY in dollars: 1 / price at any price."""

    def worth(self, amount: Decimal, price: Decimal) -> Usd:
        """Return *amount* of the currency in that of the account, when the security stands at *price*.

        >>> rate = Rate(currency="EUR", value=Decimal("1.10"), source="broker")
        >>> rate.worth(Decimal(50), Decimal(120))
        Decimal('55.00')
        """
        return Usd(amount / price if self.is_own else amount * self.value)

    def at_price(self, price: Decimal) -> Rate:
        """Return this rate with the value that it has when the security stands at *price*."""
        return self if not self.is_own else _own(self.currency, self.base, price, self.at)


def _own(currency: str, base: str, price: Decimal, at: datetime | None) -> Rate:
    return Rate(currency=currency, base=base, value=1 / price, source=f"{base}.{currency} itself", at=at, is_own=True)


def own_rate(instrument: Instrument, base: str, price: Decimal, at: datetime | None) -> Rate | None:
    """Return the rate that the price of a pair gives by itself; None where it does not give the worth of *base*.

    >>> from apex_cli.core.model.instrument import MarketType, make_instrument
    >>> own_rate(make_instrument("USD.JPY", MarketType.FOREX), "USD", Decimal(160), None).value
    Decimal('0.00625')
    """
    mark = PAIR_MARKS.get(instrument.market_type)
    if mark is None or instrument.symbol.partition(mark)[0] != base:
        return None
    return _own(instrument.currency, base, price, at)


def worth(rate: Rate | None, amount: Decimal, price: Decimal) -> Usd:
    """Return *amount* in account currency at *price* of the security; without a *rate* it is in that already."""
    return Usd(amount) if rate is None else rate.worth(amount, price)


def worth_of_units(rate: Rate | None, budget: Decimal, unit: Decimal, price: Decimal) -> Decimal:
    """Return how many whole *units* of the security's currency fit into *budget* of the account's.

    One exact integer division: no rounding can lift the result over the budget.
    """
    if rate is None:
        return budget // unit
    return budget * price // unit if rate.is_own else budget // (unit * rate.value)
