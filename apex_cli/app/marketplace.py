"""The market of a command: the simulated one over bars, or Interactive Brokers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.app.resources import make_system_clock
from apex_cli.core.errors import ConfigError
from apex_cli.core.model.market import ReplayFill
from apex_cli.settings.sections import PriceSettings, Settings, SimulationClock

if TYPE_CHECKING:
    from apex_cli.core.adapters.files.csv_bars import CsvBars
    from apex_cli.core.adapters.files.tables import FileHints
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.ports import (
        Broker,
        Clock,
        PriceSource,
    )


BOOK_FILE = "simulated_broker.json"


def price_hints(prices: PriceSettings) -> FileHints:
    """Return what the configuration says about price files."""
    import msgspec

    from apex_cli.core.adapters.files.tables import FileHints

    columns = {name: text for name, text in msgspec.structs.asdict(prices.columns).items() if text}
    return FileHints(
        section="prices",
        columns=columns,
        zone=prices.zone or "",
        dates=prices.dates or "",
        decimal=prices.decimal or "",
    )


def open_bars(settings: Settings) -> CsvBars | None:
    """Return the bars, None when none are configured.

    Raises:
        ConfigError: ``prices.bars_dir`` is no folder.
    """
    if settings.prices.bars_dir is None:
        return None
    if not settings.prices.bars_dir.is_dir():
        raise ConfigError(
            "config_invalid",
            f"prices.bars_dir names {settings.prices.bars_dir}, which is no folder.",
            hint="Correct it, or leave it out: then simulated orders fill at the signal's price.",
        )
    from apex_cli.core.adapters.files.csv_bars import CsvBars

    return CsvBars(settings.prices.bars_dir, price_hints(settings.prices))


def make_clock(settings: Settings, bars: CsvBars | None) -> Clock:
    """Return the clock that decisions are made by.

    Raises:
        ConfigError: a bars clock without bars.
    """
    if settings.simulation.clock is SimulationClock.SYSTEM:
        return make_system_clock(settings)
    if bars is None:
        raise ConfigError(
            "config_invalid",
            "simulation.clock is 'bars', but prices.bars_dir names no folder.",
            hint="Set prices.bars_dir, or simulation.clock: system.",
        )
    from apex_cli.core.adapters.simulated.bar_clock import BarClock

    return BarClock(first_moment(settings.simulation.start, bars))


def first_moment(start: date | None, bars: CsvBars) -> datetime:
    """Return the end of the first session that a bars clock knows.

    Raises:
        ConfigError: *start* is no trading day, or there is no bar at all.
    """
    if start is None:
        ends = [first[0].end for symbol in bars.symbols() if (first := bars.bars(symbol))]
        if ends:
            return min(ends)
        raise ConfigError("config_invalid", "prices.bars_dir holds no bars.", hint="Put SYMBOL.csv files there.")
    return session_close(start, "simulation.start")


def session_close(day: date, name: str) -> datetime:
    """Return the close of the trading day *day*.

    Raises:
        ConfigError: *day* is no trading day, or lies outside the calendar.
    """
    from apex_cli.core.market.calendar import CalendarEndError, session_bounds

    try:
        bounds = session_bounds(day)
    except CalendarEndError as error:
        raise ConfigError("calendar_end", f"{name}: {error}", hint="Name a day inside the calendar.") from error
    if bounds is None:
        raise ConfigError("config_invalid", f"{name}: {day} is no NYSE trading day.", hint="Name a trading day.")
    return bounds[1]


def make_simulated_broker(
    settings: Settings, clock: Clock, bars: CsvBars | None, *, read_only: bool = False, is_replay: bool = False
) -> SimulatedBroker:
    """Return the simulated broker with its own books beside the state; a replay's has none and fills by ``replay``."""
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.market.calendar import next_auction, session_date
    from apex_cli.core.venue.costs import CommissionPlan, CostModel

    simulation = settings.simulation
    return SimulatedBroker(
        clock=clock,
        prices=bars,
        bars=bars,
        path=None if is_replay else settings.state.dir / BOOK_FILE,
        read_only=read_only,
        cash=settings.risk.capital,
        costs=CostModel(plan=CommissionPlan(simulation.commission.value), slippage_fraction=simulation.slippage_pct),
        max_participation=simulation.max_participation,
        buying_power_multiple=simulation.buying_power_multiple,
        session_of=lambda at: session_date(at).isoformat(),
        next_auction=next_auction,
        fills_at_next_open=is_replay and settings.replay.fill is ReplayFill.NEXT_OPEN,
        outside_rth=settings.broker.ib.outside_rth,
    )


class Market(NamedTuple):
    """Where orders go, where prices come from, and what time it is there."""

    broker: Broker
    prices: PriceSource | None
    clock: Clock
    max_price_age: timedelta | None
    simulated: SimulatedBroker | None = None
    bars: CsvBars | None = None


MOST_MINUTES_LIVE = 30
"""Older prices are none at a real broker, unless ``prices.max_age_minutes`` says otherwise: delayed ones are 15 old."""


def make_market(settings: Settings, *, read_only: bool, is_ours: Callable[[str], bool]) -> Market:
    """Return the simulated market, or Interactive Brokers, as ``execution.simulation_mode`` says.

    At a real account there may be orders of others, even of another apex: *is_ours* tells by name which are in the
    state.
    """
    minutes = settings.prices.max_age_minutes
    if settings.execution.simulation_mode:
        bars = open_bars(settings)
        clock = make_clock(settings, bars)
        simulated = make_simulated_broker(settings, clock, bars, read_only=read_only)
        age = None if minutes is None else timedelta(minutes=minutes)
        return Market(simulated, bars, clock, age, simulated, bars)
    from apex_cli.app.ib_market import make_ib_broker
    from apex_cli.core.adapters.ib.prices import IbPrices

    system = make_system_clock(settings)
    broker = make_ib_broker(settings, system, read_only=read_only, is_ours=is_ours)
    age = timedelta(minutes=MOST_MINUTES_LIVE if minutes is None else minutes)
    return Market(broker, IbPrices(broker, system), system, age, bars=open_bars(settings))
