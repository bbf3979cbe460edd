"""Replays history: the same coordinator, steps, scanners, decisions, venue and learners, on a clock of the bars.

Everything happens in memory. Of the state folder the predictor's model is read, where the predictor is switched on;
nothing is written. Whatever reads bars raises InputError where there are none in the period, or a file cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.app.compose import (
    Execution,
    make_execution,
    make_learners,
    make_position_chores,
    make_ranker,
    make_stages,
    volatility_of,
)
from apex_cli.app.pipeline import (
    foresee,
    has_scanners,
    make_pipeline_stages,
    make_replay_context,
    make_scanners,
    pinned_models,
)
from apex_cli.app.protection_sources import make_protection_sources
from apex_cli.app.resources import file_hints
from apex_cli.app.simulated_market import make_simulated_broker, prices_of
from apex_cli.app.sources import signal_form
from apex_cli.app.strategies import named_strategy
from apex_cli.app.timeline import Timeline
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.files.prices.corporate_actions import read_actions
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.state.memory_store import CountingState, MemoryStore, OnEvent, SequentialIds
from apex_cli.core.coordinator.coordinator import Coordinator
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.core.management.split_keeper import SplitKeeper
from apex_cli.core.market.calendar import LAST_SECOND, session_date, session_end, session_start
from apex_cli.core.model.base import Value
from apex_cli.core.model.corporate_action import dividends_of
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.model.money import Usd
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import SignalBatch, SignalSource, SignalStage
from apex_cli.core.reports.replay_report import Recorder, ReplayReport
from apex_cli.core.signals.replay_sources import RULES, BreakoutRule, TimedSource
from apex_cli.core.state.events.event import Event
from apex_cli.settings.input_files import PriceSettings
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.signals.context import PipelineContext

OnStep = Callable[[int, int], None]
"""Hears how many steps are done, and of how many."""

LONG_PERIOD = timedelta(days=730)
"""From two years on a list of survivors makes a difference that is worth a word."""

STILL_THERE = timedelta(days=30)
LONG_BAR = timedelta(hours=1)
BEFORE_ALL, AFTER_ALL = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

MakeSources = Callable[["PipelineContext"], Sequence[SignalSource]]
"""Makes sources of signals from bars, clock and what else steps and scanners are given."""


class ReplayOptions(Value, frozen=True, kw_only=True):
    """What to replay."""

    bars_dir: Path
    signals: tuple[Path, ...] = ()
    strategy: str | None = None
    """The one source of signals, named as in ``scanners.strategies``; None: files, a rule or the configuration's."""

    rule: str | None = None
    """Built-in source of signals when no file is named; None: the scanners of the configuration, else breakout."""

    first: date | None = None
    last: date | None = None
    """Both days included; None: as far as the bars go."""

    seed: int = 1
    actions: Path | None = None
    """File of splits and dividends; None without any."""


def bars_folder(named: Path | None, settings: Settings) -> Path:
    """Return the folder of bars that is *named*, else that of *settings*, absolute.

    Raises:
        ConfigError: there is none.
    """
    folder = named or settings.prices.bars_dir
    if folder is None:
        raise ConfigError(
            "bars_missing", "A replay needs bars.", hint="Name a folder with --bars, or set prices.bars_dir."
        )
    return folder.absolute()


def replay(
    settings: Settings,
    options: ReplayOptions,
    on_step: OnStep | None = None,
    *,
    make_sources: MakeSources | None = None,
) -> ReplayReport:
    """Return the result of trading by *settings* through the bars; *on_step* hears how far it is.

    *make_sources* makes other sources of signals than those of *settings* and *options*.

    There is nobody to ask: what would wait for approval only because ``execution.auto_execute`` is off is executed.
    """
    return event_loop.run(Replay(settings, options, make_sources=make_sources).run(on_step))


@lru_cache(maxsize=4)
def open_replay_bars(
    folder: Path, prices: PriceSettings, actions: Path | None = None, *, keeps: bool = False
) -> CsvBars:
    """Return the bars of *folder*, read as *prices* say; a process that replays them many times reads them once.

    Splits in the file *actions* are taken out of them, and the bars of a symbol end before one that is in none; with
    *keeps* they are kept beside the files as they were read.
    """
    known = read_actions(actions) if actions is not None else ()
    return CsvBars(folder, file_hints(prices, "prices"), known, keeps=keeps, ends_at_splits=True)


def bars_of(settings: Settings, options: ReplayOptions) -> CsvBars:
    """Return the bars that are replayed."""
    keeps = settings.replay.keep_bars
    return open_replay_bars(options.bars_dir, settings.prices, options.actions, keeps=keeps)


def foreknowledge(settings: Settings, options: ReplayOptions) -> Reason | None:
    """Return a warning when the predictor's model learned from the bars that are replayed, or from later ones."""
    models = pinned_models(settings)
    if models is None:
        return None
    ends = _ends_of(bars_of(settings, options), options)
    return models.foreknowledge(ends[0], ends[-1])


def period_of(settings: Settings, options: ReplayOptions) -> tuple[date, date]:
    """Return the first and the last session that would be replayed."""
    ends = _ends_of(bars_of(settings, options), options)
    return session_date(ends[0] - LAST_SECOND), session_date(ends[-1] - LAST_SECOND)


class Replay:
    """One pass through history."""

    def __init__(
        self,
        settings: Settings,
        options: ReplayOptions,
        *,
        make_sources: MakeSources | None = None,
        stages: Sequence[SignalStage] | None = None,
        received: Sequence[SignalBatch] | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        """Put all parts together around a store in memory.

        *make_sources*, *stages* and *received* take the place of what *settings* and *options* name: sources of
        signals, steps, and signals beside those of scanners. *on_event* hears every event.

        Raises:
            ConfigError: *settings* name a step or scanner that does not exist, or require one that is not installed.
            InputError: there are no bars in the period, or a file cannot be read.
        """
        unasked = replace(settings.execution, auto_execute=True, simulation_mode=True)
        settings = settings.replace(execution=unasked)
        self._options = options
        self._fill = settings.replay.fill
        self._bars = bars_of(settings, options)
        self._ends = _ends_of(self._bars, options)
        self._clock = BarClock(self._ends[0])
        self._recorder = Recorder()
        self._on_event = on_event
        self._received = received
        self._store = MemoryStore(CountingState(self._hear))
        self._broker = self._make_broker(settings)
        ids = SequentialIds()
        execution = make_execution(
            store=self._store, broker=self._broker, clock=self._clock, ids=ids, limits=settings.limits
        )
        execution.orders.listen(self._recorder.on_booked)
        gatherer = self._make_gatherer(settings)
        context = self._make_context(settings)
        sources = make_sources(context) if make_sources else self._make_sources(settings, context)
        self._timeline = Timeline(self._ends, sources)
        self._number = 0
        management = settings.management
        self._splits = self._bars.unknown_splits()
        keepers = self._make_split_keepers(execution)
        self._has_time_rules = any(plan.closes for plan in (management, *management.strategies.values()))
        self._learns = settings.learning.mode is not LearningMode.OFF
        own_stages = (*make_pipeline_stages(settings, context), *make_stages(settings)) if stages is None else stages
        foresee(sources, own_stages)
        self._coordinator = Coordinator(
            store=self._store,
            clock=self._clock,
            ids=ids,
            limits=settings.limits,
            orders=execution.orders,
            executor=execution.executor,
            gatherer=gatherer,
            make_ranker=partial(make_ranker, settings, self._clock, self._store, self._bars),
            sources=sources,
            stages=(*keepers, *own_stages),
            chores=(
                *keepers,
                *make_position_chores(
                    execution, gatherer, store=self._store, clock=self._clock, limits=settings.limits
                ),
            ),
            learning=make_learners(settings, bars=self._bars),
            learning_interval=timedelta(seconds=settings.learning.check_interval_s),
            play_market=self._next_step,
            bus_capacity=settings.bus.capacity,
            window=timedelta(seconds=settings.ranking.window_s),
            announces=False,
        )

    def _make_gatherer(self, settings: Settings) -> Gatherer:
        minutes = settings.prices.max_age_minutes
        return Gatherer(
            broker=self._broker,
            clock=self._clock,
            prices=prices_of(settings, self._bars),
            limits=settings.limits,
            day_trades=DayTradeCounter(settings.day_trades),
            max_price_age=None if minutes is None else timedelta(minutes=minutes),
            follows_bars=True,
            volatility=volatility_of(settings, self._bars),
            protections=make_protection_sources(settings, self._bars),
        )

    def _make_split_keepers(self, execution: Execution) -> Sequence[SplitKeeper]:
        """Return who ends what stands on prices before an unknown split; nobody where no bars show one."""
        if not self._splits:
            return ()
        find = self._bars.unknown_split
        return (SplitKeeper(find, closer=execution.closer, store=self._store, clock=self._clock),)

    def _hear(self, event: Event) -> None:
        self._recorder.on_event(event)
        if self._on_event is not None:
            self._on_event(event)

    def _make_broker(self, settings: Settings) -> SimulatedBroker:
        actions = self._options.actions
        dividends = dividends_of(read_actions(actions)) if actions is not None else ()
        return make_simulated_broker(settings, self._clock, self._bars, is_replay=True, dividends=dividends)

    def _make_context(self, settings: Settings) -> PipelineContext:
        """Return what steps and scanners are given; say when the model knows more than the day that is replayed."""
        models = pinned_models(settings)
        self._warning = models.foreknowledge(self._ends[0], self._ends[-1]) if models is not None else None
        return make_replay_context(
            settings, self._clock, self._bars, self._recorder.on_notice, models, store=self._store
        )

    def _make_sources(self, settings: Settings, context: PipelineContext) -> Sequence[SignalSource]:
        """Return a strategy, files or a rule that is named, the scanners as in a run, or the baseline rule."""
        if self._received is not None:
            scanners = make_scanners(settings, context) if has_scanners(settings) else ()
            return (*scanners, TimedSource(self._received))
        if self._options.strategy is not None:
            return (named_strategy(settings, context, self._options.strategy),)
        if not self._options.signals and self._options.rule is None and has_scanners(settings):
            return make_scanners(settings, context)
        if not self._options.signals:
            return (_rule(self._options.rule or BreakoutRule.name)(self._bars),)
        from apex_cli.core.adapters.files.signals.signal_sources import FileSource

        form = signal_form(settings.signals, self._bars)
        max_age = timedelta(minutes=settings.signals.max_age_minutes)
        files = FileSource(self._options.signals, max_age=max_age, form=form)
        return (TimedSource(tuple(files.poll(self._clock.now()))),)

    def _next_step(self) -> Iterator[datetime]:
        """Play the running moment: one step of time a cycle, and none before the first round."""
        if self._number:
            end = self._ends[self._number]
            self._broker.step(end)
            yield end

    async def run(self, on_step: OnStep | None = None) -> ReplayReport:
        """Play every step in which something can happen and return the report."""
        await self._broker.connect()
        total = len(self._ends)
        while self._number < total:
            await self._coordinator.cycle()
            await self._end_window()
            self._recorder.reported(self._coordinator.reports)
            self._coordinator.reports.clear()
            account = await self._broker.account()
            self._recorder.step(self._clock.now(), account.equity, self._store.view())
            self._pass_over(self._next_moment(), account.equity)
            if on_step is not None:
                on_step(self._number, total)
        await self._broker.close()
        symbols = [symbol for symbol in self._bars.symbols() if self._bars_of(symbol)]
        warning = [self._warning.message] if self._warning is not None else []
        odd = (problem for symbol in symbols for problem in self._bars.problems(symbol))
        self._recorder.problems[:0] = [*warning, *self._bars.unmatched(), *self._caveats(symbols), *odd]
        bars = sum(self._bars_of(symbol) for symbol in symbols)
        report = self._recorder.report(
            self._store.view(), symbols=symbols, bars=bars, seed=self._options.seed, fill=self._fill
        )
        return replace(report, dividends=self._broker.dividends_paid)

    async def _end_window(self) -> None:
        """Decide on signals that wait when their window ends before the next bar does."""
        due, following = self._coordinator.due_at, self._number + 1
        if due is not None and (following == len(self._ends) or self._ends[following] > due):
            await self._coordinator.decide_on_waiting()

    def _next_moment(self) -> int:
        """Return the number of the next moment in which something can happen.

        A source may have signals; what is held or has orders may meet a bar, and its session ends; rules of time, and
        whoever waits for an answer, may act in any. Learners forget with time: they look at the end of each session,
        and at signals that are followed at the beginning of the next one.
        """
        number, timeline, state = self._number, self._timeline, self._store.view()
        followed = self._broker.followed
        if state.resting or state.approvals or (followed and (self._has_time_rules or self._broker.follows_others)):
            return number + 1
        candidates = [timeline.next_wake(number)]
        for name in followed:
            if candidates[-1] == number + 1:
                return number + 1
            candidates.append(timeline.at(self._next_end(name, self._ends[number])))
        if followed or (self._learns and state.lessons):
            last = timeline.session_last(number)
            candidates.append(last if last > number else timeline.session_last(min(number + 1, len(timeline) - 1)))
        if self._coordinator.due_at is not None:
            candidates.append(timeline.at(self._coordinator.due_at))
        if self._learns and state.followed:
            candidates.append(timeline.session_last(number) + 1)
        return max(min(candidates), number + 1)

    def _next_end(self, name: str, after: datetime) -> datetime | None:
        """Return when the next bar of *name* ends, or the one that its unknown split begins with."""
        split = self._splits.get(name)
        if split is not None and after < split.end:
            return self._bars.next_end(name, after) or split.end
        return self._bars.next_end(name, after)

    def _pass_over(self, number: int, equity: Usd) -> None:
        """Go on to moment *number*; nothing happened in those before it."""
        first, self._number = self._number + 1, number
        if first == number:
            return
        lasts = (self._ends[last] - LAST_SECOND for last in self._timeline.session_lasts(first, number))
        self._recorder.passed(number - first, lasts, equity, is_held=bool(self._store.view().positions))

    def _caveats(self, symbols: Sequence[str]) -> Iterator[str]:
        """Yield what the bars cannot show, whatever is in them."""
        lasts = [self._bars.bars(symbol, until=self._ends[-1])[-1].end for symbol in symbols]
        is_long = self._ends[-1] - self._ends[0] >= LONG_PERIOD
        if len(symbols) > 1 and is_long and min(lasts) >= self._ends[-1] - STILL_THERE:
            yield (
                f"All {len(symbols)} symbols are still traded at the end of the bars: a list that was made with "
                "hindsight leaves out what failed on the way, and results look better than they would have been."
            )
        first = self._bars.bars(symbols[0], after=self._ends[0] - LAST_SECOND)[0]
        if self._has_time_rules and first.end - first.start >= LONG_BAR:
            yield (
                f"Rules of time close positions at the close of a bar, and bars are {first.end - first.start} h long: "
                "the stated minute is not in them."
            )

    def _bars_of(self, symbol: str) -> int:
        return len(self._bars.bars(symbol, after=self._ends[0] - LAST_SECOND, until=self._ends[-1]))


def _rule(name: str) -> type[BreakoutRule]:
    if name not in RULES:
        raise InputError(
            "unknown_rule", f"There is no rule {name!r}.", hint=f"Known are: {', '.join(RULES)}; or name --signals."
        )
    return RULES[name]


def _ends_of(bars: CsvBars, options: ReplayOptions) -> Sequence[datetime]:
    """Return every moment at which bars of the period end, oldest first."""
    after = BEFORE_ALL if options.first is None else session_start(options.first)
    until = AFTER_ALL if options.last is None else session_end(options.last)
    ends = bars.moments(after=after, until=until)
    splits = [split.end for split in bars.unknown_splits().values() if after < split.end <= until]
    if ends:
        return sorted({*ends, *splits}) if splits else ends
    moments = any(bars.bars(symbol) for symbol in bars.symbols())
    why = "" if moments else bars.why_none()
    period = f" between {options.first or 'the beginning'} and {options.last or 'the end'}"
    raise InputError(
        "no_bars",
        f"There are no bars in {options.bars_dir}{period if moments else ''}{f': {why}' if why else ''}.",
        hint="--bars names a folder with one SYMBOL.csv per symbol; --from and --to a period they cover.",
        details={"folder": str(options.bars_dir)},
    )
