"""The proposals of a strategy at the newest bars, without a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from apex_cli.app.compose import looking, make_parts
from apex_cli.app.pipeline import make_context
from apex_cli.app.strategies import source_of, watched
from apex_cli.core.adapters import event_loop
from apex_cli.core.signals.strategy import strategy_parts

if TYPE_CHECKING:
    from apex_cli.app.compose import Parts
    from apex_cli.core.model.reason import Reason
    from apex_cli.core.signals.context import PipelineContext
    from apex_cli.core.signals.strategy import Signal, Strategy
    from apex_cli.settings.sections import Settings


def look(settings: Settings, strategy: Strategy, notice: Callable[[Reason], None]) -> list[Signal]:
    """Return what *strategy* proposes at the newest bars, as it would in a run now; nothing is written.

    Raises:
        InputError: it is no strategy.
        BrokerError: the bars have to be asked for, and the broker cannot be reached.
    """
    parts = make_parts(settings, read_only=True)
    context = make_context(
        settings, parts.clock, notice, is_dry_run=True, broker=parts.broker, waits=True, store=parts.store
    )
    if context.bars is None:
        context = context._replace(bars=parts.bars)
    if context.prefetch is not None:
        event_loop.run(_fetched(parts, context))
    source = source_of(settings, context, *strategy_parts(strategy), watched(settings, context))
    return [signal for signal, _ in source.proposals(parts.clock.now())]


async def _fetched(parts: Parts, context: PipelineContext) -> None:
    """Ask the broker for the bars of the watch list."""
    async with looking(parts):
        await context.fetch()
