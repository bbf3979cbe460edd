"""Money of other currencies in the account's own: rates with their source and age, and where none is needed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from apex_cli.core.model.base import MOST_MONEY, Range, Spelling, Value
from apex_cli.core.model.instrument import HOME_CURRENCY, PAIR_MARKS, Instrument
from apex_cli.core.model.money import Usd

MINOR_UNITS = {"GBX": ("GBP", Decimal(100)), "ZAC": ("ZAR", Decimal(100)), "ILA": ("ILS", Decimal(100))}
"""Hundredths that prices are quoted in, by their own codes: pence, South African cents, agorot."""

HUNDREDTHS = {"GBp": "GBX", "GBx": "GBX", "ZAc": "ZAC", "ILa": "ILA"}
"""How vendors write them: a small letter tells them from the whole."""

CURRENCIES = frozenset(
    """
    AED AUD BGN BRL CAD CHF CLP CNH CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MXN MYR NOK NZD PEN PHP
    PLN RON RUB SAR SEK SGD THB TRY TWD USD ZAR
    """.split()  # noqa: SIM905 - one word a currency
)
"""Currencies that make a pair by their name alone."""


def as_currency(text: str) -> str:
    """Return the code of a currency.

    Raises:
        ValueError: there is none of that name.
    """
    code = text.upper()
    if code not in CURRENCIES:
        raise ValueError("it is no currency that is known here")
    return code


Currency = Annotated[str, Spelling(as_currency, "a currency such as USD")]
"""A field that names a currency."""


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
    """Return the rate that the price of a pair gives by itself; None where it gives no worth of *base*, or is 0.

    >>> from apex_cli.core.model.instrument import MarketType, make_instrument
    >>> own_rate(make_instrument("USD.JPY", MarketType.FOREX), "USD", Decimal(160), None).value
    Decimal('0.00625')
    """
    mark = PAIR_MARKS.get(instrument.market_type)
    if mark is None or not price or instrument.symbol.partition(mark)[0] != base:
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


class CurrencyLimits(Value, frozen=True, kw_only=True):
    """Section ``currency``: what the account is kept in, and what other currencies are worth in it."""

    base: Currency = HOME_CURRENCY
    """What every amount of this file, of sizes, limits and reports is in: the currency of the account."""

    rates: dict[str, Annotated[Decimal, Range(0, MOST_MONEY, above=True)]] = {}
    """Value of one unit of another currency or coin, as {EUR: 1.08, JPY: 0.0067}, where neither the broker nor bars of
    the pair have a newer rate."""

    rates_as_of: date | None = None
    """When these rates were true, as YYYY-MM-DD; null: they always hold."""

    max_age_hours: Annotated[int, Range(1, 10_000)] = 96
    """An older rate is none, and nothing is opened by it; the default covers a long weekend."""
