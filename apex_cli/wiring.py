"""The composition root: settings in, working parts out. The one place that picks implementations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.core.errors import ConfigError, InputError
from apex_cli.settings import LIVE_VARIABLE, Settings, SimulationClock, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apex_cli.core.adapters.csv_bars import CsvBars
    from apex_cli.core.adapters.journal import Journal
    from apex_cli.core.adapters.simulated import SimulatedBroker
    from apex_cli.core.adapters.state_repair import Replay
    from apex_cli.core.adapters.system_clock import SystemClock
    from apex_cli.core.adapters.tinydb_store import TinyDbStore
    from apex_cli.core.approving import ApprovalDesk
    from apex_cli.core.executor import TradeExecutor
    from apex_cli.core.gathering import Gatherer
    from apex_cli.core.model.account import AccountSnapshot
    from apex_cli.core.ports import Broker, Chore, Clock, PriceSource, SignalSource
    from apex_cli.core.reconciling import Reconciler
    from apex_cli.core.serving import Service

BOOK_FILE = "simulated_broker.json"


def read_settings(config: Path | None) -> Settings:
    """Return the settings of this process.

    Raises:
        ConfigError: the file or a variable is wrong.
    """
    settings = load_settings(config, environ=os.environ, cwd=Path.cwd())
    return allow_live(settings, os.environ.get(LIVE_VARIABLE) == "1")


def allow_live(settings: Settings, is_allowed: bool) -> Settings:  # noqa: FBT001 - one yes or no
    """Return *settings* with the word that this command may send orders to a live account, if it was given."""
    if not is_allowed:
        return settings
    from msgspec.structs import replace

    return replace(settings, live=True)


def open_store(settings: Settings) -> TinyDbStore:
    """Return the store; of the state only the time of its last change is read."""
    from apex_cli.core.adapters.tinydb_store import TinyDbStore

    return TinyDbStore(
        settings.state.dir,
        clock=make_system_clock(settings),
        lock_timeout_s=settings.state.lock_timeout_s,
        backups=settings.state.backups,
        on_notice=tell,
    )


def make_replay() -> Replay:
    """Return how a restored state is brought up to the present."""
    from apex_cli.core.adapters.state_repair import Replay
    from apex_cli.core.rebuilding import SilentState, rebuild

    return Replay(SilentState, rebuild)


def make_system_clock(settings: Settings) -> SystemClock:
    """Return the machine's clock, never behind the latest time that the state has seen; say so when it would be."""
    from apex_cli.core.adapters.state_care import last_saved_at
    from apex_cli.core.adapters.system_clock import MOST_BEHIND, SystemClock

    clock = SystemClock(floor=last_saved_at(settings.state.dir / "state.json"))
    if clock.behind() > MOST_BEHIND and clock.floor not in _told_floors:
        _told_floors.add(clock.floor)
        tell(
            f"Warning: this machine's clock says {clock.wall():%Y-%m-%d %H:%M} UTC, but the state has seen "
            f"{clock.floor:%Y-%m-%d %H:%M}. Until then time stands still here. Set the clock right; if it is right now "
            "and was wrong before: apex state reset-clock"
        )
    return clock


_told_floors: set[datetime] = set()


def tell(text: str) -> None:
    """Say something that no option silences, on standard error."""
    import sys

    from apex_cli.presenters.output import write_line

    write_line(sys.stderr, text)


def new_id() -> str:
    """Return a new sortable id."""
    from apex_cli.core.adapters.system_clock import UlidIds

    return UlidIds().new()


def open_journal(settings: Settings) -> Journal:
    """Return the journal, for reading."""
    from apex_cli.core.adapters.journal import Journal

    return Journal(settings.state.dir / "journal")


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
    from apex_cli.core.adapters.csv_bars import CsvBars

    return CsvBars(settings.prices.bars_dir)


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
    from apex_cli.core.adapters.bar_clock import BarClock

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
    from apex_cli.core.rules.calendar import CalendarEndError, session_bounds

    try:
        bounds = session_bounds(day)
    except CalendarEndError as error:
        raise ConfigError("calendar_end", f"{name}: {error}", hint="Name a day inside the calendar.") from error
    if bounds is None:
        raise ConfigError("config_invalid", f"{name}: {day} is no NYSE trading day.", hint="Name a trading day.")
    return bounds[1]


def make_simulated_broker(
    settings: Settings, clock: Clock, bars: CsvBars | None, *, read_only: bool = False
) -> SimulatedBroker:
    """Return the simulated broker with its own books beside the state."""
    from apex_cli.core.adapters.simulated import SimulatedBroker
    from apex_cli.core.rules.calendar import session_date
    from apex_cli.core.venue.costs import CommissionPlan, CostModel

    simulation = settings.simulation
    return SimulatedBroker(
        clock=clock,
        prices=bars,
        bars=bars,
        path=settings.state.dir / BOOK_FILE,
        read_only=read_only,
        cash=settings.risk.capital,
        costs=CostModel(plan=CommissionPlan(simulation.commission.value), slippage_fraction=simulation.slippage_pct),
        max_participation=simulation.max_participation,
        buying_power_multiple=simulation.buying_power_multiple,
        session_of=lambda at: session_date(at).isoformat(),
    )


class Parts(NamedTuple):
    """What a command that talks to the broker works with."""

    settings: Settings
    store: TinyDbStore
    clock: Clock
    broker: Broker
    gatherer: Gatherer
    executor: TradeExecutor
    reconciler: Reconciler
    simulated: SimulatedBroker | None
    """The broker again where it is the simulated one: it alone can be played forward."""


class Market(NamedTuple):
    """Where orders go, where prices come from, and what time it is there."""

    broker: Broker
    prices: PriceSource | None
    clock: Clock
    max_price_age: timedelta | None
    simulated: SimulatedBroker | None = None


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
        return Market(simulated, bars, clock, age, simulated)
    from apex_cli.core.adapters.ib.prices import IbPrices
    from apex_cli.wiring_ib import make_ib_broker

    system = make_system_clock(settings)
    broker = make_ib_broker(settings, system, read_only=read_only, is_ours=is_ours)
    age = timedelta(minutes=MOST_MINUTES_LIVE if minutes is None else minutes)
    return Market(broker, IbPrices(broker, system), system, age)


def make_parts(settings: Settings, *, read_only: bool = False) -> Parts:
    """Put store, clock, broker, gatherer and executor together. With *read_only* nothing is ever written."""
    from apex_cli.core.adapters.system_clock import UlidIds
    from apex_cli.core.day_trades import DayTradeCounter
    from apex_cli.core.executor import TradeExecutor
    from apex_cli.core.gathering import Gatherer
    from apex_cli.core.reconciling import Reconciler

    store = open_store(settings)
    broker, prices, clock, max_price_age, simulated = make_market(
        settings, read_only=read_only, is_ours=lambda name: name in store.view().orders
    )
    gatherer = Gatherer(
        broker=broker,
        clock=clock,
        prices=prices,
        limits=settings.limits,
        day_trades=DayTradeCounter(settings.day_trades),
        max_price_age=max_price_age,
    )
    executor = TradeExecutor(
        store=store,
        broker=broker,
        clock=clock,
        ids=UlidIds(),
        limits=settings.limits,
        protection=settings.protection,
    )
    return Parts(
        settings=settings,
        store=store,
        clock=clock,
        broker=broker,
        gatherer=gatherer,
        executor=executor,
        reconciler=Reconciler(executor=executor, limits=settings.reconcile, wall=store.clock),
        simulated=simulated,
    )


def make_desk(parts: Parts) -> ApprovalDesk:
    """Return where approvals are looked at and answered."""
    from apex_cli.core.approving import ApprovalDesk

    return ApprovalDesk(
        store=parts.store, executor=parts.executor, gatherer=parts.gatherer, margin=make_margin_watch(parts)
    )


def make_margin_watch(parts: Parts) -> Chore:
    """Return what keeps the intraday margin deficits."""
    from apex_cli.core.margin_watch import MarginWatch

    return MarginWatch(parts.store, parts.broker)


def make_chores(parts: Parts) -> tuple[Chore, ...]:
    """Return what a loop looks after besides signals."""
    return (parts.reconciler, make_margin_watch(parts))


def make_service(parts: Parts) -> Service:
    """Return what does the work of this process, and what others hand over to it."""
    from apex_cli.core.serving import Service

    return Service(
        executor=parts.executor,
        desk=make_desk(parts),
        reconciler=parts.reconciler,
        price_of=parts.gatherer.price_of,
        wall=parts.store.clock,
        name=f"process {os.getpid()}",
        closing_warnings=parts.gatherer.closing_warnings,
    )


@contextmanager
def executor_lock(settings: Settings, wait_s: float = 0) -> Iterator[None]:
    """Hold the executor: one process at a time talks to the broker.

    Raises:
        BusyError: another process holds it.
    """
    from apex_cli.core.adapters.executor_lock import ExecutorLock

    lock = ExecutorLock(settings.state.dir)
    lock.acquire(wait_s)
    try:
        yield
    finally:
        lock.release()


def executor_holder(settings: Settings) -> str:
    """Return who holds the executor now, empty when nobody does."""
    from apex_cli.core.adapters.executor_lock import ExecutorLock

    lock = ExecutorLock(settings.state.dir)
    return lock.holder() or "another process" if lock.is_held_elsewhere() else ""


@asynccontextmanager
async def connected(parts: Parts, *, compares: bool = True) -> AsyncIterator[Parts]:
    """Connect the broker, settle what an earlier process left open, compare the books, and let go at the end.

    Without *compares* nothing is corrected: the caller compares by itself.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    await parts.broker.connect()
    try:
        if compares:
            await parts.executor.recover()
            await parts.reconciler.tend(parts.clock.now())
        yield parts
    finally:
        await parts.broker.close()


@asynccontextmanager
async def looking(parts: Parts) -> AsyncIterator[Parts]:
    """Connect the broker to look only: nothing is settled, nothing is sent.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    await parts.broker.connect()
    try:
        yield parts
    finally:
        await parts.broker.close()


async def look_at_account(parts: Parts) -> AccountSnapshot:
    """Return what the account is worth now.

    Raises:
        BrokerError: the broker cannot be reached, or did not tell all of it.
    """
    async with looking(parts):
        return await parts.broker.account()


def make_sources(settings: Settings, named: Sequence[str], *, is_once: bool) -> tuple[SignalSource, ...]:
    """Return where signals come from: *named* files or ``-``, else what the configuration says."""
    import sys

    from apex_cli.core.adapters.signal_file import FileSource, InboxSource, StdinSource

    max_age = timedelta(minutes=settings.signals.max_age_minutes)
    if named:
        files = [Path(name) for name in named if name != "-"]
        sources: list[SignalSource] = [FileSource(files, max_age=max_age)] if files else []
        if "-" in named:
            if sys.stdin is None:
                raise InputError(
                    "stdin_closed", "--signals - reads standard input, which is closed.", hint="Name a file."
                )
            sources.append(StdinSource(sys.stdin.buffer, max_age=max_age))
        return tuple(sources)
    sources = [FileSource(settings.signals.files, max_age=max_age)] if settings.signals.files else []
    if settings.signals.inbox is not None:
        sources.append(
            InboxSource(
                settings.signals.inbox,
                max_age=max_age,
                processed_dir=settings.signals.processed_dir,
                rejected_dir=settings.signals.rejected_dir,
                is_once=is_once,
            )
        )
    return tuple(sources)
