"""Composition of the pipeline: makes steps, scanners and bars from settings, and reports what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from apex_cli.app.compose import make_parts
from apex_cli.app.market_parts import open_bars
from apex_cli.app.marketplace import broker_row
from apex_cli.app.own_parts import load_part, step_limits
from apex_cli.app.resources import make_system_clock, warn
from apex_cli.core.errors import ConfigError, install_command
from apex_cli.core.model.reason import Reason
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.files.models.model_files import ModelFiles
    from apex_cli.core.adapters.files.models.pinned_models import PinnedModels
    from apex_cli.core.ports import BarSource, Broker, Chore, Clock, ModelStore, SignalSource, SignalStage, StateStore
    from apex_cli.core.positions.position_views import PositionView
    from apex_cli.core.signals.bar_history import History
    from apex_cli.core.signals.context import Once, PipelineContext
    from apex_cli.core.signals.model_manager import ModelManager
    from apex_cli.core.signals.plugin_limits import Limits
    from apex_cli.core.signals.prefetch import Prefetch

TA, ML = ("numpy", "talib"), ("numpy", "talib", "sklearn", "skops")

EXTRA_OF = {TA: "ta", ML: "ml"}
"""The modules a part needs, and the extra that brings them."""


SCANNERS = ("mean_reversion", "volume_reversal", "momentum_breakout", "trend_following")
"""The scanners that come with apex, by their settings."""


def make_context(
    settings: Settings,
    clock: Clock,
    notice: Callable[[Reason], None],
    *,
    is_dry_run: bool = False,
    broker: Broker | None = None,
    waits: bool = False,
    store: StateStore | None = None,
) -> PipelineContext:
    """Return what every step and scanner is given; bars are opened only where something reads them.

    *store* says what is held. Without files of bars a real *broker* is asked for them; with *waits* the run waits for
    the first ones.
    """
    from apex_cli.core.signals.context import Once, PipelineContext

    is_used = bool(settings.pipeline.stages or settings.scanners.watch_list)
    once = Once(notice)
    prefetch = _make_prefetch(settings, clock, once, broker, waits=waits)
    bare = PipelineContext(
        clock=clock,
        bars=prefetch or (open_bars(settings) if is_used and settings.pipeline.bars == "csv" else None),
        state_dir=settings.state.dir,
        notice=once,
        watch_list=settings.scanners.watch_list,
        is_required=settings.pipeline.require_analysis,
        limits=step_limits(settings) if is_used else None,
        is_dry_run=is_dry_run,
        prefetch=prefetch,
        position_of=position_reader(settings, store),
    )
    return bare._replace(bars=make_bars(settings, bare)) if is_used else bare


def _make_prefetch(
    settings: Settings, clock: Clock, notice: Once, broker: Broker | None, *, waits: bool
) -> Prefetch | None:
    """Return what asks the broker for bars: for a watch list at a real account, where no files are configured."""
    is_asked = settings.pipeline.bars == "csv" and settings.prices.bars_dir is None and settings.scanners.watch_list
    if broker is None or not is_asked:
        return None
    return broker_row(settings).load().make_prefetch(settings, broker, clock, notice, waits=waits)


def position_reader(settings: Settings, store: StateStore | None) -> Callable[[str], PositionView | None] | None:
    """Return what says what is held of a symbol by the committed state; None without one."""
    if store is None:
        return None

    def position(symbol: str) -> PositionView | None:
        from apex_cli.core.positions.position_views import position_in

        return position_in(store.view(), symbol, settings.management)

    return position


def make_replay_context(
    settings: Settings,
    clock: Clock,
    bars: BarSource,
    notice: Callable[[Reason], None],
    models: PinnedModels | None,
    *,
    store: StateStore | None,
) -> PipelineContext:
    """Return what steps and scanners are given in a replay: its own bars, its own clock, and nothing is written."""
    from apex_cli.core.signals.context import Once, PipelineContext

    return PipelineContext(
        clock=clock,
        bars=bars,
        state_dir=settings.state.dir,
        notice=Once(notice),
        watch_list=settings.scanners.watch_list,
        is_required=settings.pipeline.require_analysis,
        limits=step_limits(settings),
        is_dry_run=True,
        models=models,
        are_bars_fixed=True,
        position_of=position_reader(settings, store),
    )


def pinned_models(settings: Settings) -> PinnedModels | None:
    """Return the stored models as they are now; None where no step predicts, or none can."""
    if "predictor" not in settings.pipeline.stages or missing(ML):
        return None
    from apex_cli.core.adapters.files.models.pinned_models import PinnedModels

    return PinnedModels(model_files(settings))


def has_scanners(settings: Settings) -> bool:
    """Return whether the configuration wants scanners, installed or not."""
    chosen = settings.scanners
    is_any = any(getattr(chosen, name).enabled for name in SCANNERS)
    return bool(chosen.watch_list) and (is_any or bool(chosen.custom) or bool(chosen.strategies))


def make_bars(settings: Settings, context: PipelineContext) -> BarSource | None:
    """Return the price history of the pipeline, behind a cache where one is configured."""
    pipeline = settings.pipeline
    source: BarSource | None = context.bars
    if pipeline.bars != "csv":
        source = _made(settings, context, pipeline.bars, "bars", key="pipeline.bars", built_in=("csv",))
    if source is None or pipeline.cache_dir is None:
        return source
    from apex_cli.core.adapters.files.prices.bar_cache import CachedBars

    return CachedBars(
        source,
        pipeline.cache_dir,
        clock=context.clock,
        fresh_for=timedelta(minutes=pipeline.cache_minutes),
        notice=context.notice,
        read_only=context.is_dry_run,
    )


def make_pipeline_stages(settings: Settings, context: PipelineContext) -> tuple[SignalStage, ...]:
    """Return the configured steps in their order.

    Raises:
        ConfigError: a name means nothing, or an extra is missing and analysis is required.
    """
    if not settings.pipeline.stages:
        return ()
    from apex_cli.core.signals.guarded import GuardedStage

    return tuple(
        GuardedStage(stage, context._replace(limits=_limits_of(context, is_own=stage.name in BUILT_IN)))
        for stage in _stages(settings, context)
    )


def _limits_of(context: PipelineContext, *, is_own: bool) -> Limits | None:
    """Return the limits of a step or scanner; none for our own on bars in memory, where nothing can take long."""
    from apex_cli.core.signals.plugin_limits import Unlimited

    return Unlimited() if is_own and context.are_bars_fixed else context.limits


def _stages(settings: Settings, context: PipelineContext) -> Iterator[SignalStage]:
    for name in settings.pipeline.stages:
        if name in BUILT_IN:
            modules, make = BUILT_IN[name]
            if _has(modules, f"The step {name}", context, "signals are passed on unchanged"):
                yield make(settings, context)
        else:
            yield _made(settings, context, name, "stages", key="pipeline.stages", built_in=tuple(BUILT_IN))


def _made(
    settings: Settings, context: PipelineContext, name: str, kind: str, *, key: str, built_in: tuple[str, ...] = ()
) -> Any:  # noqa: ANN401 - anybody's class
    """Return what the configuration names, made with *context*."""
    return load_part(settings, name, kind, key=key, built_in=built_in, make=lambda part: part(context))


def _technical(settings: Settings, context: PipelineContext) -> SignalStage:
    from apex_cli.core.signals.analyzer import TechnicalAnalyzer

    rules = settings.technical
    return TechnicalAnalyzer(
        context, make_history(settings, context), min_composite=rules.min_composite, min_trend=rules.min_trend
    )


def _predictor(settings: Settings, context: PipelineContext) -> SignalStage:
    from apex_cli.core.signals.predictor import MLPredictor

    return MLPredictor(
        context,
        make_history(settings, context),
        make_model_manager(settings, bars=context.bars, read_only=context.is_dry_run, store=context.models),
        min_probability=settings.predictor.min_probability,
    )


BUILT_IN: dict[str, tuple[tuple[str, ...], Callable[[Settings, PipelineContext], SignalStage]]] = {
    "technical": (TA, _technical),
    "predictor": (ML, _predictor),
}
"""The steps that come with apex: what they need, and how they are made."""


def foresee(sources: Iterable[SignalSource], stages: Iterable[SignalStage]) -> None:
    """Tell *stages* at which ends of bars signals of which symbol may come, as far as *sources* say that beforehand.

    A step that computes for many bars at once does so then, or with the first of these signals; others do not listen.
    """
    due: dict[str, list[datetime]] = {}
    for source in sources:
        ask: Callable[[], Mapping[datetime, Sequence[str]]] | None = getattr(source, "foresees", None)
        for end, symbols in ask().items() if ask is not None else ():
            for symbol in symbols:
                due.setdefault(symbol, []).append(end)
    for stage in stages:
        tell_it: Callable[[Mapping[str, Sequence[datetime]]], None] | None = getattr(stage, "foresee", None)
        if tell_it is not None:
            tell_it(due)


def make_scanners(settings: Settings, context: PipelineContext) -> tuple[SignalSource, ...]:
    """Return the enabled scanners, none without a watch list.

    Raises:
        ConfigError: a name means nothing, or an extra is missing and analysis is required.
    """
    if not settings.scanners.watch_list:
        return ()
    from apex_cli.core.signals.guarded import GuardedSource

    guarded = tuple(
        GuardedSource(name, source, context.notice, limits) for name, source, limits in _scanners(settings, context)
    )
    if context.prefetch is None:
        return guarded
    from apex_cli.core.signals.prefetch import Awaiting

    return tuple(Awaiting(source, context.prefetch) for source in guarded)


def _scanners(settings: Settings, context: PipelineContext) -> Iterator[tuple[str, SignalSource, Limits | None]]:
    """Yield each scanner with its name and limits; a strategy bounds each of its calls itself."""
    chosen = settings.scanners
    enabled = [name for name in SCANNERS if getattr(chosen, name).enabled]
    if enabled and _has(TA, "The scanners", context, "they do not look"):
        history = make_history(settings, context)
        limits = _limits_of(context, is_own=True)
        yield from ((name, _scanner(settings, name, context, history), limits) for name in enabled)
    for name in chosen.custom:
        yield name, _made(settings, context, name, "scanners", key="scanners.custom"), context.limits
    if chosen.strategies:
        from apex_cli.app.strategies import make_strategies

        unlimited = _limits_of(context._replace(are_bars_fixed=True), is_own=True)
        yield from ((source.name, source, unlimited) for source in make_strategies(settings, context))


def _scanner(settings: Settings, name: str, context: PipelineContext, history: History) -> SignalSource:
    from apex_cli.core.analysis import scans
    from apex_cli.core.signals.scanner import Levels, Scanner

    chosen = settings.scanners
    one = getattr(chosen, name)
    rules: dict[str, Callable[..., Any]] = {
        "mean_reversion": partial(scans.mean_reversion, rsi_below=float(chosen.mean_reversion.rsi_below)),
        "volume_reversal": partial(
            scans.volume_reversal, volume_multiple=float(chosen.volume_reversal.volume_multiple)
        ),
        "momentum_breakout": partial(
            scans.momentum_breakout,
            volume_multiple=float(chosen.momentum_breakout.volume_multiple),
            lookback=chosen.momentum_breakout.lookback_bars,
        ),
        "trend_following": partial(scans.trend_following, min_adx=float(chosen.trend_following.min_adx)),
    }
    return Scanner(
        name,
        rules[name],
        context,
        history,
        interval=timedelta(minutes=one.interval_minutes),
        signs=(1, -1) if one.short else (1,),
        levels=Levels(chosen.stop_atr, chosen.target_atr),
        needs_open_market=settings.risk.enforce_market_hours,
    )


def make_pipeline_chores(settings: Settings, context: PipelineContext, *, is_loop: bool) -> tuple[Chore, ...]:
    """Return what asks for bars and looks after the models: with a predictor alone, and training only in a loop."""
    asks = () if context.prefetch is None else (context.prefetch,)
    if "predictor" not in settings.pipeline.stages or missing(ML):
        return asks
    from apex_cli.core.adapters.training_process import TrainingProcess
    from apex_cli.core.signals.predictor import ModelKeeper, Trainer

    process = TrainingProcess(settings.source, settings.profile)
    trains = is_loop and settings.predictor.auto_train
    trainer = Trainer(process.start, process.outcome) if trains else None
    return (
        *asks,
        ModelKeeper(context, make_model_manager(settings, bars=context.bars), trainer),
    )


def model_hook(settings: Settings) -> ModelManager | None:
    """Return who hears what trades on predictions brought; None where no step predicts."""
    return make_model_manager(settings) if "predictor" in settings.pipeline.stages else None


def make_model_manager(
    settings: Settings, *, bars: BarSource | None = None, read_only: bool = False, store: ModelStore | None = None
) -> ModelManager:
    """Return what loads, trains and judges the models of *store*, by default those in the folder of the state."""
    from apex_cli.core.signals.model_manager import ModelManager, ModelRules

    chosen = settings.predictor
    rules = ModelRules(
        max_age=timedelta(days=chosen.max_age_days),
        min_accuracy=float(chosen.min_accuracy),
        accuracy_window=chosen.accuracy_window,
        min_samples=chosen.min_samples,
        embargo_bars=chosen.embargo_bars,
        keep_versions=chosen.keep_versions,
        trees=chosen.trees,
        history_bars=settings.pipeline.history_bars,
    )
    return ModelManager(model_files(settings) if store is None else store, bars, rules, read_only=read_only)


def model_files(settings: Settings) -> ModelFiles:
    """Return where models are stored."""
    from apex_cli.core.adapters.files.models.model_files import ModelFiles

    return ModelFiles(settings.state.dir / "models", _note_once)


def _note_once(text: str) -> None:
    if text not in _noted:
        _noted.add(text)
        warn(text)


_noted: set[str] = set()


def pipeline_bars(settings: Settings) -> BarSource | None:
    """Return the price history of the pipeline for a command that has no run around it."""
    from apex_cli.core.signals.context import Once, PipelineContext

    def say(reason: Reason) -> None:
        warn(f"Warning: {reason.message}")

    csv = open_bars(settings) if settings.pipeline.bars == "csv" else None
    bare = PipelineContext(clock=model_clock(settings), bars=csv, state_dir=settings.state.dir, notice=Once(say))
    return make_bars(settings, bare)


def model_clock(settings: Settings) -> Clock:
    """Return the time that models are old by: that of the bars where the market is played."""
    if settings.simulation.clock is SimulationClock.SYSTEM:
        return make_system_clock(settings)
    return make_parts(settings, read_only=True).clock


def training_symbols(settings: Settings, named: str, bars: BarSource | None) -> tuple[str, ...]:
    """Return what is trained on: *named*, else the watch list, else everything with bars."""
    chosen = tuple(name.strip().upper() for name in named.split(",") if name.strip())
    return chosen or settings.scanners.watch_list or tuple(bars.symbols() if bars is not None else ())


def require_ml() -> None:
    """Refuse to train without the libraries.

    Raises:
        ConfigError: the extra is not installed.
    """
    if absent := missing(ML):
        raise ConfigError("extra_missing", f"Training needs {', '.join(absent)}.", hint=install_hint(ML))


def make_history(settings: Settings, context: PipelineContext) -> History:
    """Return the bars as frames, as far back as configured."""
    from apex_cli.core.signals.bar_history import History

    days = settings.pipeline.max_bar_age_days
    return History(
        context.bars,
        length=settings.pipeline.history_bars,
        max_age=None if days is None else timedelta(days=days),
        notice=context.notice,
        are_fixed=context.are_bars_fixed,
    )


def missing(modules: tuple[str, ...]) -> list[str]:
    """Return those of *modules* that are not installed."""
    return [name for name in modules if find_spec(name) is None]


def install_hint(modules: tuple[str, ...]) -> str:
    """Return the command that installs *modules*."""
    return install_command(EXTRA_OF[modules])


def _has(modules: tuple[str, ...], who: str, context: PipelineContext, otherwise: str) -> bool:
    """Return whether *modules* are there; where not, say so, or refuse to run when analysis is required."""
    absent = missing(modules)
    if not absent:
        return True
    needs = f"{who} needs {', '.join(absent)}" if not who.endswith("s") else f"{who} need {', '.join(absent)}"
    if context.is_required:
        raise ConfigError("extra_missing", f"{needs}.", hint=f"{install_hint(modules)}, or change pipeline.")
    reported = f"{needs}; until it is installed, {otherwise}: {install_hint(modules)}"
    context.notice(Reason(code="extra_missing", message=reported), who)
    return False
