"""Lets time pass in a simulated market that follows bars, for a program that trades bar by bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime

from apex_cli.app.compose import Parts, connected, make_parts
from apex_cli.app.coordination import make_coordinator
from apex_cli.app.pipeline import make_context
from apex_cli.app.resources import executor_lock
from apex_cli.app.simulated_market import last_close
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import LAST_SECOND, NEW_YORK
from apex_cli.core.model.reason import Reason
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings

END_OF_TIME = datetime.max.replace(tzinfo=NEW_YORK)


def play_bars(settings: Settings, until: date | None, notice: Callable[[Reason], None]) -> datetime | None:
    """Play the next bar, or those up to the close of *until*: orders meet them, stops move, positions are closed.

    Returns:
        the end of the last bar that was played, aware UTC; None where there was none.

    Raises:
        InputError: the market does not follow bars, or *until* is no trading day.
        BusyError: another process holds the executor.
    """
    if settings.simulation.clock is not SimulationClock.BARS:
        raise InputError(
            "bars_until_needs_bars_clock",
            "Time can be played in a simulated market that follows bars, but simulation.clock is 'system'.",
            hint="Set simulation.clock: bars and prices.bars_dir.",
        )
    end = END_OF_TIME if until is None else last_close(until, "until")
    with executor_lock(settings):
        return event_loop.run(_play(settings, end, notice, is_one=until is None))


async def _play(
    settings: Settings, end: datetime, notice: Callable[[Reason], None], *, is_one: bool
) -> datetime | None:
    parts = make_parts(settings)
    if parts.simulated is None:
        raise InputError(
            "not_simulated", "Time can be played in a simulated market alone.", hint="Use the profile sim."
        )
    before = parts.clock.now()
    context = make_context(settings, parts.clock, notice, broker=parts.broker, store=parts.store)
    steps = _Steps(parts, parts.simulated, end, is_one=is_one)
    async with connected(parts):
        coordinator = make_coordinator(parts, context, (), play_market=steps.play)
        await coordinator.cycle()
        await coordinator.finish()
    now = parts.clock.now()
    return now + LAST_SECOND if now > before else None


class _Steps:
    """The steps of one cycle."""

    def __init__(self, parts: Parts, simulated: SimulatedBroker, end: datetime, *, is_one: bool) -> None:
        self._parts = parts
        self._simulated = simulated
        self._end = end
        self._is_one = is_one

    def play(self) -> Iterator[datetime]:
        for moment in self._simulated.steps(self._end):
            yield moment
            if self._is_one:
                return
