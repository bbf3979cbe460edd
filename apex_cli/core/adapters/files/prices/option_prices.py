"""Prices of options from files: from bars of the contract where there are some, else by a model from its underlying."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.market.calendar import LAST_SECOND, NEW_YORK
from apex_cli.core.market.expiry import is_adjusted
from apex_cli.core.market.option_value import (
    THEORETICAL,
    theoretical_bar,
    theoretical_price,
    volatility_of_bars,
)
from apex_cli.core.model.instrument import Instrument, MarketType, underlying_of
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.option_rule import OptionModel

DAYS_A_RETURN = 2
"""Calendar days looked back for each daily return: weekends and holidays are among them."""


class OptionPrices:
    """Latest prices of a folder of bars, options included; what a model made is quoted as theoretical."""

    def __init__(self, bars: CsvBars, model: OptionModel) -> None:
        """Price by *bars*, and by *model* where a contract has none."""
        self._bars = bars
        self._model = model
        self._rate = float(model.rate)
        self._known: dict[tuple[str, str], float | None] = {}

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: files are read when they are asked for."""

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the newest price known at *at*, as ``CsvBars.latest`` does; of an option by the model, if need be.

        Raises:
            InputError: the file of the symbol has a row that cannot be used.
        """
        quote = self._bars.latest(instrument, at)
        if quote is not None or not _has_terms(instrument):
            return quote
        underlying = self._bars.latest(underlying_of(instrument), at)
        volatility = self.volatility(instrument, at)
        if underlying is None or volatility is None:
            return None
        price = theoretical_price(instrument, underlying.price, at, volatility=volatility, rate=self._rate)
        return Quote(price=price, at=underlying.at, source=THEORETICAL)

    def bar_of(self, instrument: Instrument, bar: Bar) -> Bar | None:
        """Return the theoretical bar of an option while its underlying had *bar*; None where it has bars of its own."""
        if not _has_terms(instrument) or self._bars.bars(instrument.key, until=bar.end):
            return None
        volatility = self.volatility(instrument, bar.end)
        return None if volatility is None else theoretical_bar(instrument, bar, volatility=volatility, rate=self._rate)

    def volatility(self, instrument: Instrument, at: datetime) -> float | None:
        """Return what the model takes for the volatility at *at*: as set, else that of the last daily closes."""
        if self._model.volatility is not None:
            return float(self._model.volatility)
        symbol = underlying_of(instrument).bars_name
        key = (symbol, f"{at.astimezone(NEW_YORK):%Y-%m-%d}")
        if key not in self._known:
            self._known[key] = self._historic(symbol, at)
        return self._known[key]

    def _historic(self, symbol: str, at: datetime) -> float | None:
        days = self._model.history_days
        bars = self._bars.bars(symbol, after=at - timedelta(days=days * DAYS_A_RETURN + 1), until=at + LAST_SECOND)
        return volatility_of_bars(bars, days)


def _has_terms(instrument: Instrument) -> bool:
    is_option = instrument.market_type is MarketType.OPTIONS
    return is_option and instrument.expiry is not None and bool(instrument.strike) and not is_adjusted(instrument)
