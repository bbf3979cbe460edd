"""One coordinator, for a run that looks for signals and for signals that a program hands in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from apex_cli.app.compose import (
    Parts,
    make_learners,
    make_lock_keeper,
    make_margin_watch,
    make_position_chores,
    make_ranker,
    make_service,
    make_stages,
)
from apex_cli.app.pipeline import make_pipeline_chores, make_pipeline_stages, model_hook
from apex_cli.core.coordinator.coordinator import Coordinator, PlayMarket, RunListener
from apex_cli.core.coordinator.silence import Pulse
from apex_cli.core.ports import Chore, LearningHook, SignalSource, StateStore
from apex_cli.core.state.tables import open_requests

if TYPE_CHECKING:
    from apex_cli.core.management.split_keeper import SplitKeeper
    from apex_cli.core.signals.context import PipelineContext
    from apex_cli.core.state.tables import State


class LateLearners:
    """Learns from closed trades; what it takes to do so is imported with the first lesson or followed signal."""

    def __init__(self, make: Callable[[], LearningHook]) -> None:
        """Make nothing yet."""
        self._learners = cache(make)
        self._is_blank = True

    def prepare(self, state: State, now: datetime) -> None:
        """Gather what the next ``check`` needs from outside the state, before its transaction."""
        self._is_blank = not (state.lessons or state.followed or state.learning.newest)
        if not self._is_blank:
            self._learners().prepare(state, now)

    def check(self, state: State, now: datetime) -> None:
        """Adapt if there is reason to, inside the caller's transaction."""
        if not self._is_blank:
            self._learners().check(state, now)


class PositionChores:
    """Looks after positions and working entries, in order; imported with the first of them."""

    def __init__(self, store: StateStore, make: Callable[[], Sequence[Chore]]) -> None:
        """Make nothing yet."""
        self._store = store
        self._chores = cache(make)

    async def tend(self, now: datetime) -> bool:
        """Look after what is held or rests; True when something changed.

        Raises:
            BrokerError: the broker cannot be asked; the next cycle tries again.
            StateError: an intent could not be written; nothing was sent.
        """
        state = self._store.view()
        if not (state.positions or state.resting or state.orders.open()):
            return False
        changes = [await chore.tend(now) for chore in self._chores()]
        return any(changes)


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
        make_ranker=partial(make_ranker, settings, parts.clock, parts.store, parts.bars),
        learning=LateLearners(lambda: make_learners(settings, model_hook(settings), parts.bars, context.notice)),
        sources=sources,
        learning_interval=timedelta(seconds=settings.learning.check_interval_s),
        play_market=play_market,
        serve=_serve(parts),
        is_woken=is_woken,
        stages=(
            *_split_keeper(parts),
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


def make_chores(parts: Parts) -> tuple[Chore, ...]:
    """Return what the loop looks after besides signals, in order: first whether our books are right at all."""
    tending = partial(
        make_position_chores,
        parts.execution,
        parts.gatherer,
        store=parts.store,
        clock=parts.clock,
        limits=parts.settings.limits,
    )
    return (
        parts.reconciler,
        make_lock_keeper(parts),
        make_margin_watch(parts),
        *_split_keeper(parts),
        PositionChores(parts.store, tending),
    )


def _split_keeper(parts: Parts) -> tuple[SplitKeeper, ...]:
    """Return what ends positions and signals beyond a split that nobody names, where bars are the market."""
    if parts.simulated is None or parts.bars is None:
        return ()
    from apex_cli.core.management.split_keeper import SplitKeeper

    splits, execution = parts.bars.unknown_split, parts.execution
    return (SplitKeeper(splits, closer=execution.closer, store=parts.store, clock=parts.clock),)


def _serve(parts: Parts) -> Callable[[], Awaitable[bool]]:
    """Return what does the work that others hand over; its parts are put together once there is any."""
    service = cache(partial(make_service, parts))

    async def serve() -> bool:
        return bool(open_requests(parts.store.view())) and await service().serve()

    return serve
