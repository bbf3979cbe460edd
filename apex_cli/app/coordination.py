"""One coordinator, for a run that looks for signals and for signals that a program hands in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apex_cli.app.compose import (
    Parts,
    connected,
    looking,
    make_chores,
    make_learners,
    make_parts,
    make_ranker,
    make_service,
    make_stages,
)
from apex_cli.app.pipeline import make_context, make_pipeline_chores, make_pipeline_stages
from apex_cli.core.coordinator.coordinator import Coordinator, PlayMarket, RunListener
from apex_cli.core.coordinator.silence import Pulse
from apex_cli.core.errors import OutcomeUnknownError
from apex_cli.core.model.decision import Reason
from apex_cli.core.model.records import SignalReport
from apex_cli.core.ports import SignalBatch, SignalSource
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        learning=make_learners(settings),
        sources=sources,
        learning_interval=timedelta(seconds=settings.learning.check_interval_s),
        play_market=play_market,
        serve=make_service(parts).serve,
        is_woken=is_woken,
        stages=(*make_pipeline_stages(settings, context), *make_stages(settings)),
        chores=(
            *make_chores(parts),
            *make_pipeline_chores(settings, context, is_loop=is_loop),
            Pulse(parts.store, parts.store.clock),
        ),
        bus_capacity=settings.bus.capacity,
        listener=listener,
        dry_run=dry_run,
    )


class GivenSource:
    """Signals that are there already, as one batch."""

    def __init__(self, batch: SignalBatch) -> None:
        """Keep *batch* until it is asked for."""
        self._batches = [batch]

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield the batch, once."""
        del now
        while self._batches:
            yield self._batches.pop()

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Do nothing: nothing comes twice."""


async def would_decide(
    settings: Settings, batch_at: Callable[[Parts], SignalBatch], notice: Callable[[Reason], None]
) -> list[SignalReport]:
    """Return what would become of the signals of *batch_at* now, as a dry run does; nothing is written or sent.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    parts = make_parts(settings, read_only=True)
    context = make_context(settings, parts.clock, notice, is_dry_run=True, broker=parts.broker, waits=True)
    async with looking(parts):
        coordinator = make_coordinator(parts, context, (GivenSource(batch_at(parts)),), dry_run=True)
        await coordinator.run(stop=asyncio.Event(), max_cycles=1)
    return coordinator.reports


async def take_in(
    settings: Settings, batch_at: Callable[[Parts], SignalBatch], notice: Callable[[Reason], None]
) -> tuple[list[SignalReport], OutcomeUnknownError | None]:
    """Decide on the signals of *batch_at* and do what is decided, as a run does; this process holds the executor.

    Returns:
        what became of each, every order settled, and why an order is in doubt.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    parts = make_parts(settings)
    context = make_context(settings, parts.clock, notice, broker=parts.broker, waits=True, store=parts.store)
    async with connected(parts):
        coordinator = make_coordinator(parts, context, (GivenSource(batch_at(parts)),))
        await coordinator.run(stop=asyncio.Event(), once=True)
        try:
            await coordinator.finish()
        except OutcomeUnknownError as error:
            return coordinator.reports, error
    return coordinator.reports, parts.execution.executor.lacks_cover()
