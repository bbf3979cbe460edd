"""One coordinator, for a run that looks for signals and for signals that a program hands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from apex_cli.app.compose import (
    Parts,
    make_chores,
    make_learners,
    make_ranker,
    make_serve,
    make_split_keeper,
    make_stages,
)
from apex_cli.app.pipeline import make_pipeline_chores, make_pipeline_stages, model_hook
from apex_cli.core.coordinator.coordinator import Coordinator, PlayMarket, RunListener
from apex_cli.core.coordinator.silence import Pulse
from apex_cli.core.ports import SignalSource

if TYPE_CHECKING:
    from apex_cli.core.signals.context import PipelineContext


def make_coordinator(
    parts: Parts,
    context: PipelineContext,
    sources: Sequence[SignalSource],
    *,
    play_market: PlayMarket | None = None,
    is_woken: Callable[[], bool] | None = None,
    listener: RunListener | None = None,
    dry_run: bool = False,
    is_loop: bool = False,
) -> Coordinator:
    """Return what brings the signals of *sources* through steps, ranking and decision, and keeps the house in order."""
    settings = parts.settings
    return Coordinator(
        store=parts.store,
        clock=parts.clock,
        ids=parts.ids,
        limits=settings.limits,
        orders=parts.execution.orders,
        executor=parts.execution.executor,
        gatherer=parts.gatherer,
        ranker=make_ranker(settings, parts.clock, parts.store, parts.bars),
        learning=make_learners(settings, model_hook(settings), parts.bars),
        sources=sources,
        learning_interval=timedelta(seconds=settings.learning.check_interval_s),
        play_market=play_market,
        serve=make_serve(parts),
        is_woken=is_woken,
        stages=(
            *make_split_keeper(parts),
            *make_pipeline_stages(settings, context),
            *make_stages(settings),
        ),
        chores=(
            *make_chores(parts),
            *make_pipeline_chores(settings, context, is_loop=is_loop),
            Pulse(parts.store, parts.store.clock),
        ),
        bus_capacity=settings.bus.capacity,
        window=timedelta(seconds=settings.ranking.window_s),
        listener=listener,
        dry_run=dry_run,
    )
