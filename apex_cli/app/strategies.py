"""Strategies of the user's own as sources of signals, in a run and in a replay; they are read as files are.

One that is not there, may not be loaded, fails or does not end is a ConfigError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from apex_cli.app.own_parts import load_part
from apex_cli.app.sources import signal_form
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.model.signal import Signal as ReadSignal
from apex_cli.core.ports import SignalBatch
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.ports import BarSource, SignalSource
    from apex_cli.core.signals.context import PipelineContext
    from apex_cli.core.signals.strategy import OnBar, Signal, Strategy
    from apex_cli.core.signals.strategy_source import StrategySource


def proposal_reader(
    settings: Settings, bars: BarSource | None
) -> Callable[[Signal, datetime, str], ReadSignal | RejectedRow]:
    """Return what judges a proposed signal as a row of a signal file; *bars* make the stop that a rule asks for."""
    from apex_cli.core.adapters.files.signals.signal_rows import parse_row

    form = signal_form(settings.signals, bars)
    max_age = timedelta(minutes=settings.signals.max_age_minutes)

    def read(signal: Signal, now: datetime, where: str) -> ReadSignal | RejectedRow:
        return parse_row(signal.row(), now=now, where=where, max_age=max_age, form=form)

    return read


def named_strategy(settings: Settings, context: PipelineContext, name: str) -> StrategySource:
    """Return the strategy *name*, as the configuration would name it, for the watch list or all symbols."""
    parts = load_strategy(settings, name, key="the strategy")
    return source_of(settings, context, *parts, watched(settings, context))


def load_strategy(settings: Settings, name: str, *, key: str = "scanners.strategies") -> tuple[str, OnBar]:
    """Return what a strategy is called, and its function; *key* is where errors say that it is named."""
    from apex_cli.core.signals.strategy import strategy_parts

    return load_part(settings, name, "strategies", key=key, make=strategy_parts)


def watched(settings: Settings, context: PipelineContext) -> Sequence[str]:
    """Return the watch list, or every symbol with bars where there is none."""
    return settings.scanners.watch_list or (tuple(context.bars.symbols()) if context.bars is not None else ())


def _plain_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def make_strategies(settings: Settings, context: PipelineContext) -> Iterator[StrategySource]:
    """Yield a source for each strategy that the configuration names, for its watch list."""
    for name in settings.scanners.strategies:
        yield source_of(settings, context, *load_strategy(settings, name), settings.scanners.watch_list)


def replay_sources(
    settings: Settings, proposer: Strategy | Iterable[Signal], *, raises: bool
) -> Callable[[PipelineContext], tuple[SignalSource]]:
    """Return what makes the one source of a replay: a strategy, or signals with their times.

    Without a watch list the strategy looks at every symbol. With *raises* an error of it ends the replay.

    Raises:
        InputError: it is neither.
    """
    from apex_cli.core.signals.strategy import Signal, strategy_parts

    if isinstance(proposer, Iterable) and not callable(proposer) and not hasattr(proposer, "on_bar"):
        signals = tuple(proposer)
        odd = next((each for each in signals if not isinstance(each, Signal)), None)
        if odd is not None:
            raise InputError("usage", f"{type(odd).__name__} is no Signal.", hint="Give a strategy, or signals.")
        return lambda context: (_timed(settings, context, signals),)
    parts = strategy_parts(cast("Strategy", proposer))

    def make(context: PipelineContext) -> tuple[SignalSource]:
        return (source_of(settings, context, *parts, watched(settings, context), raises=raises),)

    return make


def _timed(settings: Settings, context: PipelineContext, signals: Sequence[Signal]) -> SignalSource:
    """Return *signals* as a source that yields each when its time has come."""
    from apex_cli.core.signals.replay_sources import TimedSource

    return TimedSource((read_batch(settings, context.bars, signals, context.clock.now(), "signals"),))


def read_batch(
    settings: Settings, bars: BarSource | None, signals: Sequence[Signal], now: datetime, name: str
) -> SignalBatch:
    """Return *signals* as rows of a signal file are: those that can be used, and why the others cannot."""
    read = proposal_reader(settings, bars)
    found = [read(signal, now, f"{name}[{number}]") for number, signal in enumerate(signals)]
    good = [(each, f"{name}[{number}]") for number, each in enumerate(found) if isinstance(each, ReadSignal)]
    return SignalBatch(
        name=name,
        signals=tuple(signal for signal, _ in good),
        where=tuple(where for _, where in good),
        rejected=tuple(each for each in found if isinstance(each, RejectedRow)),
    )


def source_of(
    settings: Settings,
    context: PipelineContext,
    name: str,
    on_bar: OnBar,
    symbols: Sequence[str],
    *,
    raises: bool = False,
) -> StrategySource:
    """Return the strategy *name* as a source of signals of what it watches."""
    from apex_cli.core.signals.strategy_source import StrategySource

    days = settings.pipeline.max_bar_age_days
    return StrategySource(
        name,
        on_bar,
        context,
        proposal_reader(settings, context.bars),
        symbols=symbols,
        length=settings.pipeline.history_bars,
        max_age=None if days is None else timedelta(days=days),
        needs_open_market=settings.risk.enforce_market_hours,
        parameters={name: _plain_number(number) for name, number in settings.scanners.parameters.items()},
        raises=raises,
    )
