"""Rates of currencies: the broker's, those of pairs that have a price, and those of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.sizing import is_too_old
from apex_cli.core.model.currency import CURRENCIES, MINOR_UNITS, CurrencyLimits, Rate, own_rate
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.market import Quote
from apex_cli.core.ports import PriceSource

Reported = Callable[[], Mapping[str, Decimal]]
"""Returns what the broker reports one unit of each currency to be worth in the account's."""


def reports_none() -> Mapping[str, Decimal]:
    """Return nothing: a broker that reports no rates."""
    return {}


class Rates:
    """The ``RateSource`` port over a broker's report, a price source and the configuration.

    A rate that is young enough goes first: the broker's, then that of a pair, then the configuration's. Where all are
    too old it is the newest of them, for who only looks.
    """

    def __init__(
        self, limits: CurrencyLimits, *, prices: PriceSource | None = None, reported: Reported = reports_none
    ) -> None:
        """Ask *reported* first, then *prices* of pairs, then the rates of *limits*."""
        self._limits = limits
        self._prices = prices
        self._reported = reported
        self._fixed = {name.upper(): value for name, value in limits.rates.items()}
        as_of = limits.rates_as_of
        self._fixed_at = None if as_of is None else datetime.combine(as_of, time.max, UTC)

    @property
    def base(self) -> str:
        """Currency of the account."""
        return self._limits.base

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Have fresh prices of the pairs ready that the currencies of *instruments* need."""
        wanted = {instrument.currency for instrument in instruments} - {self.base}
        reported = self._reported()
        pairs = [
            pair
            for currency in wanted
            if MINOR_UNITS.get(currency, (currency,))[0] not in reported
            for pair, _ in _pairs(MINOR_UNITS.get(currency, (currency,))[0], self.base)[:1]
        ]
        if pairs and self._prices is not None:
            await self._prices.refresh(pairs)

    def rate(self, instrument: Instrument, price: Decimal, at: datetime) -> Rate | None:
        """Return the newest rate of the currency of *instrument*; None where it is the account's, or there is none."""
        if instrument.currency == self.base:
            return None
        return own_rate(instrument, self.base, price, at) or self.of(instrument.currency, at)

    def of(self, currency: str, at: datetime) -> Rate | None:
        """Return the newest rate of *currency* known at *at*, None where there is none."""
        if currency in MINOR_UNITS:
            major, parts = MINOR_UNITS[currency]
            if major == self.base:
                return Rate(currency=currency, base=major, value=1 / parts, source="its own definition")
            whole = self.of(major, at)
            return None if whole is None else replace(whole, currency=currency, value=whole.value / parts)
        found = [rate for rate in self._candidates(currency, at) if rate is not None]
        young = (rate for rate in found if not is_too_old(rate, self._limits, at))
        return next(young, None) or max(found, key=lambda rate: rate.at or at, default=None)

    def _candidates(self, currency: str, at: datetime) -> Iterator[Rate | None]:
        reported = self._reported().get(currency)
        if reported:
            yield Rate(currency=currency, base=self.base, value=reported, source="broker", at=at)
        if self._prices is not None:
            for pair, is_inverse in _pairs(currency, self.base):
                quote = self._prices.latest(pair, at)
                yield None if quote is None else self._of_quote(currency, pair, quote, is_inverse=is_inverse)
        fixed = self._fixed.get(currency)
        if fixed:
            yield Rate(currency=currency, base=self.base, value=fixed, source="configuration", at=self._fixed_at)

    def _of_quote(self, currency: str, pair: Instrument, quote: Quote, *, is_inverse: bool) -> Rate:
        value = 1 / quote.price if is_inverse else quote.price
        source = f"{pair.symbol} {quote.source}"
        return Rate(currency=currency, base=self.base, value=Decimal(value), source=source, at=quote.at)


QUOTED_FIRST = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF")
"""Which of two currencies a pair is named after, in the market's order; the others come last."""


def _pairs(currency: str, base: str) -> list[tuple[Instrument, bool]]:
    """Return the pairs whose price is the rate, the one that the market quotes first, and whether it is inverted."""
    if not {currency, base} <= CURRENCIES:
        return [(make_instrument(f"{currency}-{base}", MarketType.CRYPTO), False)]
    pairs = [
        (make_instrument(f"{currency}.{base}", MarketType.FOREX), False),
        (make_instrument(f"{base}.{currency}", MarketType.FOREX), True),
    ]
    return pairs if _place(currency) < _place(base) else pairs[::-1]


def _place(currency: str) -> int:
    return QUOTED_FIRST.index(currency) if currency in QUOTED_FIRST else len(QUOTED_FIRST)
