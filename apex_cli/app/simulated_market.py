"""The simulated market: orders meet bars inside this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from apex_cli.app.market_parts import Books, Market, open_bars
from apex_cli.app.resources import make_system_clock
from apex_cli.core.adapters import event_loop
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.core.model.health import Finding, Level
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.wording import counted
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
    from apex_cli.core.adapters.files.prices.option_prices import OptionPrices
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.model.corporate_action import CorporateAction
    from apex_cli.core.model.reason import Reason
    from apex_cli.core.ports import Broker, Clock

BOOK_FILE = "simulated_broker.json"


def make_market(settings: Settings, *, read_only: bool, books: Books) -> Market:
    """Return the simulated broker over the configured bars; every order there is ours."""
    del books
    bars = open_bars(settings)
    clock = make_clock(settings, bars)
    simulated = make_simulated_broker(settings, clock, bars, read_only=read_only)
    minutes = settings.prices.max_age_minutes
    age = None if minutes is None else timedelta(minutes=minutes)
    return Market(simulated, prices_of(settings, bars), clock, age, simulated, bars)


def prices_of(settings: Settings, bars: CsvBars | None) -> OptionPrices | None:
    """Return the latest prices of *bars*, options included; None without bars."""
    if bars is None:
        return None
    from apex_cli.core.adapters.files.prices.option_prices import OptionPrices

    return OptionPrices(bars, settings.prices.options)


def make_history(settings: Settings, broker: Broker) -> None:
    """Return None: the simulated broker has no bars of its own."""
    del settings, broker


def make_prefetch(
    settings: Settings, broker: Broker, clock: Clock, notice: Callable[[Reason, str], None], *, waits: bool
) -> None:
    """Return None: the simulated broker has no bars of its own."""
    del settings, broker, clock, notice, waits


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the simulated account is worth, and what the files of bars hold."""
    market = make_market(settings, read_only=True, books=Books())
    account = event_loop.run(market.broker.account())
    worth = f"simulated; equity {account.equity:,.2f}, cash {account.cash:,.2f}"
    yield Finding(code="broker", level=Level.OK, message=worth)
    if market.bars is None:
        yield Finding(code="prices", level=Level.OK, message="no bars: simulated orders fill at the signal's price")
        return
    yield from _look_at_bars(market.bars, str(settings.prices.bars_dir))


def _look_at_bars(bars: CsvBars, place: str) -> Iterator[Finding]:
    symbols = bars.symbols()
    yield Finding(code="prices", level=Level.OK, message=f"{counted(len(symbols), 'symbol')} in {place}")
    for sentence in bars.unmatched():
        hint = "name the file after its symbol"
        yield Finding(code="bars_unmatched", level=Level.WARNING, message=sentence, hint=hint)
    for symbol in symbols:
        yield Finding(code="bars", level=Level.OK, message=f"{symbol}: {bars.taken_as(symbol)}")
        problems = bars.problems(symbol)
        if problems:
            more = f" (+{len(problems) - 1} more)" if len(problems) > 1 else ""
            yield Finding(code="bars", level=Level.WARNING, message=f"{symbol}: {problems[0]}{more}")


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
        why = bars.why_none()
        raise ConfigError(
            "config_invalid",
            f"prices.bars_dir holds no bars{f': {why}' if why else ''}.",
            hint="Put SYMBOL.csv files there.",
        )
    return session_close(start, "simulation.start")


def session_close(day: date, name: str) -> datetime:
    """Return the close of the trading day *day*.

    Raises:
        ConfigError: *day* is no trading day.
    """
    from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR, session_bounds

    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        what = f"{name}: {day} lies outside the years {FIRST_YEAR} to {LAST_YEAR}."
        raise ConfigError("config_invalid", what, hint="Name a trading day.")
    bounds = session_bounds(day)
    if bounds is None:
        raise ConfigError("config_invalid", f"{name}: {day} is no NYSE trading day.", hint="Name a trading day.")
    return bounds[1]


def last_close(day: date, name: str) -> datetime:
    """Return the close of the trading day that a caller calls *name*.

    Raises:
        InputError: *day* is no trading day.
    """
    try:
        return session_close(day, name)
    except ConfigError as error:
        raise InputError("bars_until_invalid", error.message, hint=error.hint) from None


def make_simulated_broker(
    settings: Settings,
    clock: Clock,
    bars: CsvBars | None,
    *,
    read_only: bool = False,
    is_replay: bool = False,
    dividends: Sequence[CorporateAction] = (),
) -> SimulatedBroker:
    """Return the simulated broker with its own books beside the state; a replay's has none and fills by ``replay``."""
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.decision.rates import Rates
    from apex_cli.core.market.calendar import next_auction, session_date
    from apex_cli.core.venue.costs import CostModel

    simulation, prices = settings.simulation, prices_of(settings, bars)
    return SimulatedBroker(
        clock=clock,
        prices=prices,
        bars=bars,
        option_bar=prices.bar_of if prices is not None else None,
        path=None if is_replay else settings.state.dir / BOOK_FILE,
        read_only=read_only,
        cash=settings.risk.capital,
        costs=CostModel(plan=CommissionPlan(simulation.commission.value), slippage_fraction=simulation.slippage_pct),
        max_participation=simulation.max_participation,
        buying_power_multiple=simulation.buying_power_multiple,
        session_of=lambda at: session_date(at).isoformat(),
        next_auction=next_auction,
        fills_at_next_open=is_replay and settings.replay.fill is ReplayFill.NEXT_OPEN,
        outside_rth=settings.broker.section.stop_limit is not None,
        rates=Rates(settings.currency, prices=bars),
        dividends=dividends,
    )
