"""Gathers what protections read besides the state: only what a configured one needs.

What cannot be had is said with its reason, and the check that needs it refuses: it is never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.analysis.correlation import Closes, beta_of_closes, closes_of, correlation_of_closes
from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.decision.size_multipliers import record_of
from apex_cli.core.errors import ApexError
from apex_cli.core.market.blackouts import blackouts_at
from apex_cli.core.market.calendar import session_date
from apex_cli.core.market.option_value import volatility_of_bars
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.decision import NO_INPUTS, Exposure, Likeness, Mark, ProtectionInputs
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.model.signal import Signal, market_view
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import BarSource
from apex_cli.core.positions.lock_rules import lock_subject
from apex_cli.core.state.tables import State

DAYS_A_BAR = 2
"""Calendar days looked back for each daily bar: weekends and holidays are among them."""


Events = Callable[[frozenset[str]], Iterable[CalendarEvent]]
"""Returns the events about any of some names of one security, and those about all."""


def _no_bars() -> BarSource | None:
    return None


def _no_sectors() -> Mapping[str, str]:
    return {}


class ProtectionSources(NamedTuple):
    """Where protections look; each may raise ``ApexError`` where its file cannot be used."""

    bars: Callable[[], BarSource | None] = _no_bars
    sectors: Callable[[], Mapping[str, str]] = _no_sectors
    """Returns the sector by symbol."""

    events: Events | None = None
    """None without a calendar."""


NO_SOURCES = ProtectionSources()
Gathered = tuple[ProtectionInputs, tuple[Exposure, ...]]
"""What was gathered, and the exposures with what is known of each."""


class ProtectionReader:
    """Reads what the protections of one configuration need."""

    def __init__(self, protections: Protections, sources: ProtectionSources) -> None:
        """Read nothing yet."""
        self._protections = protections
        self._sources = sources
        self._histories = Histories(sources.bars)

    def __call__(
        self, state: State, signal: Signal, exposures: tuple[Exposure, ...], account: AccountSnapshot, now: datetime
    ) -> Gathered:
        """Return what there is to know for a decision on *signal* at *now*."""
        protections = self._protections
        if protections is NO_PROTECTIONS:
            return NO_INPUTS, exposures
        week, month = loss_marks(state, account, now)
        inputs = ProtectionInputs(
            week=week if protections.max_weekly_loss_pct is not None else None,
            month=month if protections.max_monthly_loss_pct is not None else None,
        )
        self._histories.begin(now)
        if self._sources.events is not None:
            inputs = self._with_blackouts(signal.instrument, self._sources.events, inputs, now)
        if protections.sectors.is_on:
            inputs, exposures = self._with_sectors(signal, exposures, inputs)
        if protections.sizing.volatility_target is not None:
            volatility = self._histories.volatility(signal.instrument, protections.sizing.volatility_days)
            inputs = replace(inputs, volatility=volatility, trouble=self._histories.trouble)
        if protections.sizing.kelly_fraction is not None:
            trips, least = tuple(state.round_trips.values()), protections.sizing.kelly_trades
            inputs = replace(inputs, record=record_of(trips, signal.strategy, least))
        if protections.correlation.max_open_risk_pct is not None:
            inputs = self._with_likeness(signal, exposures, inputs)
        if protections.beta.max_exposure is not None:
            inputs, exposures = self._with_betas(signal, exposures, inputs)
        return inputs, exposures

    def _with_blackouts(
        self, instrument: Instrument, events: Events, inputs: ProtectionInputs, now: datetime
    ) -> ProtectionInputs:
        """Name what keeps *instrument* from being opened at *now*."""
        try:
            about = events(frozenset((lock_subject(instrument), instrument.symbol)))
        except ApexError as error:
            return replace(inputs, has_calendar=True, calendar_trouble=error.message)
        found = blackouts_at(about, self._protections.blackout, instrument.market_type, now)
        return replace(inputs, has_calendar=True, blackouts=found)

    def _with_sectors(self, signal: Signal, exposures: Iterable[Exposure], inputs: ProtectionInputs) -> Gathered:
        sectors: Mapping[str, str] = {}
        try:
            sectors = self._sources.sectors()
        except ApexError as error:
            inputs = replace(inputs, sector_trouble=error.message)
        named = tuple(replace(each, sector=sector_in(sectors, of_key(each.key))) for each in exposures)
        return replace(inputs, sector=sector_in(sectors, signal.instrument)), named

    def _with_likeness(
        self, signal: Signal, exposures: Sequence[Exposure], inputs: ProtectionInputs
    ) -> ProtectionInputs:
        """Name what would lose together with *signal*, and what nothing is known of."""
        limits, view = self._protections.correlation, market_view(signal)
        own = self._histories.closes(signal.instrument, limits.bars)
        alike: list[Likeness] = []
        unknown: list[str] = []
        for exposure in exposures:
            if not exposure.risk:
                continue
            other = self._histories.closes(of_key(exposure.key), limits.bars)
            found = correlation_of_closes(own, other)
            if found is None:
                unknown.append(exposure.key)
            elif found * view * exposure.market_view >= limits.min_correlation:
                alike.append(Likeness(key=exposure.key, correlation=found * view * exposure.market_view))
        return replace(inputs, alike=tuple(alike), unlike_unknown=tuple(unknown), trouble=self._histories.trouble)

    def _with_betas(self, signal: Signal, exposures: Iterable[Exposure], inputs: ProtectionInputs) -> Gathered:
        limits = self._protections.beta
        market = self._histories.closes(of_key(limits.benchmark), limits.bars)
        named = tuple(
            replace(each, beta=beta_of_closes(self._histories.closes(of_key(each.key), limits.bars), market))
            for each in exposures
        )
        own = beta_of_closes(self._histories.closes(signal.instrument, limits.bars), market)
        return replace(inputs, beta=own, trouble=self._histories.trouble), named


class Histories:
    """The last closes of price histories, each looked up once a moment."""

    def __init__(self, source: Callable[[], BarSource | None]) -> None:
        """Open nothing yet."""
        self._source = source
        self._known: dict[tuple[str, int], Closes] = {}
        self._now = datetime.min.replace(tzinfo=UTC)
        self.trouble = ""
        """Why the last history that was asked for is not there."""

    def begin(self, now: datetime) -> None:
        """Look as of *now* from here on."""
        if now != self._now:
            self._now, self._known, self.trouble = now, {}, ""

    def volatility(self, instrument: Instrument, days: int) -> Decimal | None:
        """Return the volatility a year by the daily closes of the last *days*; None where there are too few."""
        found = volatility_of_bars(self._bars(instrument.bars_name, days * DAYS_A_BAR + 7), days)
        return None if found is None else Decimal(repr(round(found, 6)))

    def closes(self, instrument: Instrument, bars: int) -> Closes:
        """Return the closes that *bars* returns are made of, or none."""
        name = (instrument.bars_name, bars)
        if name not in self._known:
            self._known[name] = self._read(*name)
        return self._known[name]

    def _read(self, name: str, bars: int) -> Closes:
        return closes_of(self._bars(name, bars * DAYS_A_BAR + 7)[-bars - 1 :])

    def _bars(self, name: str, days: int) -> Sequence[Bar]:
        """Return the bars of the last calendar *days*; none, and the trouble, where they cannot be had."""
        try:
            source = self._source()
            if source is not None:
                return source.bars(name, after=self._now - timedelta(days=days), until=self._now)
            self.trouble = "There is no price history: set prices.bars_dir."
        except ApexError as error:
            self.trouble = error.message
        return ()


def sector_in(sectors: Mapping[str, str], instrument: Instrument) -> str:
    """Return the sector of *instrument*, of an option that of its underlying; empty where none is known."""
    return sectors.get(lock_subject(instrument), "") or sectors.get(instrument.symbol, "")


def loss_marks(state: State, account: AccountSnapshot, now: datetime) -> tuple[Mark | None, Mark | None]:
    """Return what the account was worth when the running week and month began; None where that is not known."""
    counters = session_counters(state.counters, account, session_date(now))
    today, equity = counters.session_date, counters.session_start_equity
    return (
        _mark(counters.week_since or today, counters.week_start_equity or equity),
        _mark(counters.month_since or today, counters.month_start_equity or equity),
    )


def _mark(since: str, equity: Usd) -> Mark | None:
    return Mark(since=since, equity=equity) if equity > ZERO else None
