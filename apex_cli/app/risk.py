"""What is at risk now: the state, and the price history that the configuration names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import open_store
from apex_cli.core.errors import ApexError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.instrument import MarketType, underlying_of
from apex_cli.core.reports.risk_view import Known, Past, RiskView, make_risk_view
from apex_cli.core.reports.stress import A_YEAR, MOST_DAYS_APART, day_returns
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
    from apex_cli.core.model.decision import DayTradeStatus
    from apex_cli.core.model.instrument import Instrument
    from apex_cli.core.state.tables import State


class History:
    """Price history as far as it is at hand: what cannot be read is a reason, and stops nobody."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        """Look which history there is; *now* is the last moment that is known."""
        self._options = settings.prices.options
        self._now = now
        self._bars: CsvBars | None = None
        self._trouble = "no price history: set prices.bars_dir"
        try:
            self._bars = open_bars(settings)
        except ApexError as error:
            self._trouble = error.message

    def past_of(self, instrument: Instrument) -> Past:
        """Return the daily changes of what *instrument* follows, and what its model needs where it is an option."""
        if self._bars is None:
            return Past(trouble=self._trouble)
        try:
            return self._read(self._bars, instrument)
        except ApexError as error:
            return Past(trouble=error.message)

    def _read(self, bars: CsvBars, instrument: Instrument) -> Past:
        is_option = instrument.market_type is MarketType.OPTIONS
        follows = underlying_of(instrument) if is_option else instrument
        first = self._now - A_YEAR - timedelta(days=MOST_DAYS_APART + 1)
        known = bars.bars(follows.bars_name, after=first, until=self._now + LAST_SECOND)
        found = Past(
            returns=day_returns(known, until=self._now),
            trouble="" if known else f"there is no price history of {follows.bars_name} in the last year",
        )
        if not is_option:
            return found
        from msgspec.structs import replace

        from apex_cli.core.adapters.files.prices.option_prices import OptionPrices

        quote = bars.latest(follows, self._now)
        return replace(
            found,
            underlying=None if quote is None else quote.price,
            volatility=OptionPrices(bars, self._options).volatility(instrument, self._now),
            interest=float(self._options.rate),
        )


def look_at_risk(settings: Settings) -> RiskView:
    """Return what is at risk now; nothing is asked of a broker, and nothing is written.

    Raises:
        StateError: the state cannot be read or trusted.
    """
    store = open_store(settings)
    state = store.view()
    now = store.clock.now()
    if settings.simulation.clock is SimulationClock.BARS and state.account is not None:
        now = state.account.account.taken_at
    return risk_of(settings, state, now)


def risk_of(settings: Settings, state: State, now: datetime) -> RiskView:
    """Return what is at risk in *state* at *now*."""
    return make_risk_view(
        state,
        settings.limits,
        now,
        past_of=History(settings, now).past_of,
        known=_known(settings, now),
        day_trades=_day_trades(settings, state, now),
    )


def _known(settings: Settings, now: datetime) -> Known:
    """Return what the file of sectors and price histories say, as the protections read them."""
    from apex_cli.app.protection_sources import make_protection_sources, sector_file
    from apex_cli.core.decision.protection_inputs import Histories, sector_in
    from apex_cli.core.model.spelling import of_key

    protections, troubles = settings.protections.limits, []
    sectors: Mapping[str, str] = {}
    if settings.protections.sectors.file is not None:
        try:
            sectors = sector_file(settings)()
        except ApexError as error:
            troubles.append(error.message)
    histories = Histories(make_protection_sources(settings, None).bars)
    histories.begin(now + LAST_SECOND)
    beta, likeness = protections.beta, protections.correlation

    def beta_of(instrument: Instrument) -> Decimal | None:
        from apex_cli.core.analysis.correlation import beta_of_closes

        market = histories.closes(of_key(beta.benchmark), beta.bars)
        return beta_of_closes(histories.closes(instrument, beta.bars), market)

    def correlate(one: str, other: str) -> Decimal | None:
        from apex_cli.core.analysis.correlation import correlation_of_closes

        ours, theirs = (histories.closes(of_key(key), likeness.bars) for key in (one, other))
        return correlation_of_closes(ours, theirs)

    return Known(
        sector_of=lambda instrument: sector_in(sectors, instrument),
        beta_of=beta_of if beta.max_exposure is not None else _no_beta,
        correlate=correlate,
        troubles=tuple(troubles),
    )


def _no_beta(instrument: Instrument) -> None:
    del instrument


def _day_trades(settings: Settings, state: State, now: datetime) -> DayTradeStatus | None:
    from apex_cli.core.day_trades.counter import DayTradeCounter

    if state.account is None:
        return None
    return DayTradeCounter(settings.day_trades)(state, state.account.account, now)
