"""Runs the coordinator: lock, signals of the operating system, listeners, and the sum at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from apex_cli.app.compose import Parts, connected, looking, make_parts
from apex_cli.app.coordination import make_coordinator
from apex_cli.app.pipeline import make_context, make_scanners
from apex_cli.app.resources import alarms_since, executor_lock
from apex_cli.app.simulated_market import last_close
from apex_cli.app.sources import make_sources, waker
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.coordinator.silence import record_run, report_outage
from apex_cli.core.errors import (
    ApexError,
    BrokerError,
    BusyError,
    ExitStatus,
    InputError,
    NothingToDo,
    OutcomeUnknownError,
)
from apex_cli.core.market.calendar import NEW_YORK, session_date
from apex_cli.core.model.base import Value, named
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalStatus, SignalOutcome, SignalReport
from apex_cli.presenters.envelope import INTERRUPTED
from apex_cli.presenters.run import SIGNALS, outcome_counts, run_blocks
from apex_cli.presenters.screen.output import Output, is_terminal
from apex_cli.settings.brokers import BrokerName, SimulationClock
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.coordinator.coordinator import Coordinator
    from apex_cli.core.execution.executor import TradeExecutor
    from apex_cli.core.model.account import AccountSnapshot
    from apex_cli.core.positions.booking import Booked
    from apex_cli.core.state.tables import State
    from apex_cli.presenters.run_log import RunLog

MOST_PATIENCE_S = 3.0
"""How long a run that was reported twice to end may take to do so in order."""

MIDNIGHT = frozenset({"00:00", "0:00"})
"""How the end of a day is written."""


class RunOptions(Value, frozen=True, kw_only=True):
    """What the command line asked of a run."""

    once: bool = False
    until: str | None = None
    signals: tuple[str, ...] = ()
    dry_run: bool = False
    max_cycles: int | None = None
    bars_until: date | None = None
    wait_s: float = 0


class Tally:
    """What happened during a run."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.fills = 0
        self.round_trips = 0
        self.realized_pnl = Decimal(0)

    def add(self, booked: Booked) -> None:
        """Count what was booked."""
        self.fills += len(booked.fills)
        self.round_trips += len(booked.round_trips)
        self.realized_pnl += sum((trip.pnl for trip in booked.round_trips), Decimal(0))


def run(out: Output, settings: Settings, options: RunOptions) -> None:
    """Run as asked and give the result.

    Raises:
        BusyError: another process holds the executor.
        NothingToDo: there was nothing to do.
    """
    if options.dry_run:
        event_loop.run(_run(out, settings, options))
        return
    with executor_lock(settings, options.wait_s):
        event_loop.run(_run(out, settings, options))


async def _run(out: Output, settings: Settings, options: RunOptions) -> None:
    parts = make_parts(settings, read_only=options.dry_run)
    until = end_of_window(options.until, wall_time(parts))
    market = MarketPlayer(parts, options)
    tally = Tally()
    log = _listener(out, options)

    def on_booked(booked: Booked) -> None:
        tally.add(booked)
        log.booked(booked)

    parts.execution.orders.listen(on_booked)
    parts.store.on_event = log.event
    context = make_context(
        settings,
        parts.clock,
        out.warn,
        is_dry_run=options.dry_run,
        broker=parts.broker,
        waits=options.once or options.dry_run,
        store=parts.store,
    )
    scanners = () if options.signals else make_scanners(settings, context)
    sources = make_sources(settings, options.signals, is_once=options.once, notice=out.warn, bars=parts.bars)
    coordinator = make_coordinator(
        parts,
        context,
        (*sources, *scanners),
        play_market=market.play,
        is_woken=waker(sources),
        listener=log,
        dry_run=options.dry_run,
        is_loop=not options.once,
    )
    max_cycles = 1 if options.dry_run else options.max_cycles
    newest = parts.store.view().last_seq
    trouble: ApexError | None = None
    with log:
        if options.dry_run:
            async with looking(parts):
                await context.fetch()
                cycles = await coordinator.run(stop=asyncio.Event(), max_cycles=max_cycles)
                summary = await summarise(parts, coordinator, tally, cycles=cycles, dry_run=True)
        else:
            try:
                async with connected(parts):
                    with stop_on_signals() as stop:
                        log.begin()
                        if market.waits_for_decisions:
                            await coordinator.run(stop=stop, max_cycles=1)
                        run = partial(
                            coordinator.run,
                            stop=stop,
                            once=options.once,
                            until=until,
                            max_cycles=max_cycles,
                            interval_s=interval_of(settings),
                        )
                        tries = 2 if options.once else 1
                        cycles, trouble = await _to_the_end(coordinator, parts.execution.executor, run, tries=tries)
                    trouble = trouble or parts.execution.executor.lacks_cover()
                    summary = await summarise(
                        parts, coordinator, tally, cycles=cycles, dry_run=False, is_cut_off=trouble is not None
                    )
            except BrokerError as error:
                report_outage(parts.store, error.message, parts.store.clock.now())
                raise
            _note_the_run(out, parts)
    for taken in parts.bars.all_taken_as() if parts.bars is not None and out.verbose else ():
        out.detail(taken)
    outside = parts.bars.outside() if parts.bars is not None else ()
    out.warn(*(Reason(code="bars_outside_calendar", message=f"{text}.") for text in outside))
    alarms = alarms_since(settings, parts.store.view(), newest)
    out.keep(*(reason for seq, reason in alarms if seq in log.reported))
    out.warn(*(reason for seq, reason in alarms if seq not in log.reported))
    happened = bool(market.steps or tally.fills)
    _give_result(out, log, coordinator.reports, summary, trouble=trouble, happened=happened, options=options)


def _note_the_run(out: Output, parts: Parts) -> None:
    """Write down that the run did its work; all else that it did is written down by then."""
    try:
        record_run(parts.store, parts.store.clock.now())
    except BusyError as error:
        message = f"That this run did its work could not be written down: {error.message}"
        out.warn(Reason(code=error.code, message=message))


def interval_of(settings: Settings) -> float:
    """Return the seconds between two cycles of a loop: where time follows the bars, as configured."""
    is_by_bars = settings.broker_name is BrokerName.SIMULATED and settings.simulation.clock is SimulationClock.BARS
    return float(settings.simulation.step_s) if is_by_bars else 1.0


async def _to_the_end(
    coordinator: Coordinator, executor: TradeExecutor, run: Callable[[], Awaitable[int]], *, tries: int
) -> tuple[int, ApexError | None]:
    """Return the cycles of *run*, and why what was sent could not be followed to its end.

    A run that loses the broker in the middle, or whose state another process holds for too long, continues where that
    is over, up to so many *tries*.

    Raises:
        BrokerError: the broker cannot be reached, and nothing was decided before.
        BusyError: another process holds the state, and nothing was decided before.
    """
    cycles = 0
    trouble: ApexError | None = None
    for _ in range(tries):
        try:
            cycles += await run()
            trouble = None
        except (BrokerError, BusyError) as error:
            if not coordinator.reports:
                raise
            cycles, trouble = cycles + 1, executor.as_it_stands(error)
        try:
            await coordinator.finish()
        except OutcomeUnknownError as error:
            return cycles, error
        if trouble is None:
            break
    return cycles, trouble


class MarketPlayer:
    """Lets simulated time pass, as far as a cycle should.

    A market that follows bars waits for one round of decisions first: signals of today are
    decided on today's prices, not on those of the day that ``--bars-until`` names.
    """

    def __init__(self, parts: Parts, options: RunOptions) -> None:
        """Work out how far to play.

        Raises:
            InputError: ``--bars-until`` without a bars clock, or no trading day.
        """
        self.steps = 0
        self._parts = parts
        self._follows_bars = parts.settings.simulation.clock is SimulationClock.BARS
        self._is_stepwise = not options.once and options.bars_until is None
        self.waits_for_decisions = options.bars_until is not None or (self._follows_bars and self._is_stepwise)
        self._end: datetime | None = None
        if options.bars_until is not None:
            if not self._follows_bars:
                raise InputError(
                    "bars_until_needs_bars_clock",
                    "--bars-until plays a simulated market, but simulation.clock is 'system'.",
                    hint="Set simulation.clock: bars and prices.bars_dir.",
                )
            self._end = last_close(options.bars_until, "--bars-until")

    def play(self) -> Iterator[datetime]:
        """Yield each step of time that passes in this cycle.

        With the system clock, bars up to now; with a bars clock up to ``--bars-until``, or one
        step a cycle in a loop, or none with ``--once``.
        """
        if self.waits_for_decisions:
            self.waits_for_decisions = False
            return
        end = self._end
        if end is None and not self._follows_bars:
            end = self._parts.clock.now()
        if end is None and self._is_stepwise:
            end = datetime.max.replace(tzinfo=NEW_YORK)
        simulated = self._parts.simulated
        if end is None or simulated is None:
            return
        for moment in simulated.steps(end):
            self.steps += 1
            yield moment
            if self._follows_bars and self._is_stepwise:
                return


def wall_time(parts: Parts) -> datetime:
    """Return the time that a person at this computer sees; that of the bars where time follows them."""
    clock = parts.clock
    return clock.wall() if isinstance(clock, SystemClock) else clock.now()


def end_of_window(text: str | None, now: datetime) -> datetime | None:
    """Return today's *text* (HH:MM, New York) as a time; 00:00 is the midnight that ends the day.

    Raises:
        InputError: it is no time of day.
        NothingToDo: it is over already.
    """
    if text is None:
        return None
    today = now.astimezone(NEW_YORK).date()
    if text in MIDNIGHT:
        return datetime.combine(today + timedelta(days=1), time(), tzinfo=NEW_YORK)
    try:
        at = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day, its zone follows
    except ValueError:
        raise InputError(
            "until_invalid",
            f"--until {text!r} is no time of day.",
            hint="Write 16:05; 00:00 is the midnight that ends the day.",
        ) from None
    end = datetime.combine(today, at, tzinfo=NEW_YORK)
    if end <= now:
        raise NothingToDo(
            "outside_window", f"It is past {text} in New York already.", hint="Start earlier, or leave --until out."
        )
    return end


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Lend an event that SIGINT and SIGTERM set: the cycle that runs is finished first. A second one ends it at once.

    The handlers are Python's own and not the loop's: a step that never awaits keeps the loop from hearing anything.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    is_asked = False

    def heard(*_: object) -> None:
        nonlocal is_asked
        if is_asked:
            last = threading.Timer(MOST_PATIENCE_S, os._exit, (INTERRUPTED,))
            last.daemon = True
            last.start()
            raise KeyboardInterrupt
        is_asked = True
        loop.call_soon_threadsafe(stop.set)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _listener(out: Output, options: RunOptions) -> RunLog:
    from apex_cli.presenters.run_log import RunLog

    is_loop = not options.once
    is_live = is_loop and not out.as_json and not out.quiet and is_terminal(sys.stderr)
    return RunLog(out, is_live=is_live, is_loop=is_loop, has_end=options.max_cycles is not None)


async def summarise(
    parts: Parts, coordinator: Coordinator, tally: Tally, *, cycles: int, dry_run: bool, is_cut_off: bool = False
) -> dict[str, Any]:
    """Return the sums that scripts read; *is_cut_off*: the broker may be out of reach, then as last known."""
    state = parts.store.view()
    account = await _account(parts, state, is_cut_off=is_cut_off)
    now = parts.clock.now()
    return {
        "outcomes": outcome_counts(coordinator.reports),
        **named(tally, "fills", "round_trips", "realized_pnl"),
        "positions": len(state.positions),
        "approvals_pending": sum(1 for a in state.approvals.values() if a.status is ApprovalStatus.PENDING),
        "unknown_orders": sum(1 for r in state.orders.values() if r.status is OrderStatus.UNKNOWN),
        "equity": account.equity if account else None,
        "cash": account.cash if account else None,
        "trading_state": state.trading.mode,
        "session_date": session_date(now).isoformat(),
        "now": now,
        "cycles": cycles,
        "dry_run": dry_run,
    }


async def _account(parts: Parts, state: State, *, is_cut_off: bool) -> AccountSnapshot | None:
    try:
        return await parts.broker.account()
    except BrokerError:
        if not is_cut_off:
            raise
    return state.account.account if state.account else None


def _give_result(
    out: Output,
    log: RunLog,
    reports: list[SignalReport],
    summary: dict[str, Any],
    *,
    trouble: ApexError | None,
    happened: bool,
    options: RunOptions,
) -> None:
    status, reasons = verdict(reports, summary, happened=happened, is_loop=not options.once)
    if trouble is not None:
        status = trouble.status if status is ExitStatus.NOTHING_DONE else max(status, trouble.status)
        reasons = (*reasons, Reason(code=trouble.code, message=f"{trouble.message} {trouble.hint}".strip()))
    out.warn(*(warning for report in reports for warning in report.warnings))
    data = {"signals": SIGNALS.rows(reports), "summary": summary}
    out.result(
        data,
        run_blocks(reports, summary, log.signal_numbers()),
        status=status,
        reasons=reasons,
        compact=not options.once,
    )


def verdict(
    reports: list[SignalReport], summary: dict[str, Any], *, happened: bool, is_loop: bool
) -> tuple[ExitStatus, tuple[Reason, ...]]:
    """Return the exit status of a run, with the reason when it is not 0."""
    if summary["unknown_orders"]:
        message = f"{summary['unknown_orders']} orders have an unknown outcome: look at apex orders."
        return ExitStatus.UNKNOWN_OUTCOME, (Reason(code="order_unknown", message=message),)
    if is_loop:
        return ExitStatus.OK, ()
    if reports and all(report.outcome is SignalOutcome.INVALID for report in reports):
        first = reports[0]
        message = f"No usable signal. {first.where}: {first.reasons[0].message}"
        return ExitStatus.USAGE, (Reason(code="no_usable_signal", message=message),)
    if not reports and not happened:
        return ExitStatus.NOTHING_DONE, (Reason(code="nothing_to_do", message="No signals, and nothing else to do."),)
    return ExitStatus.OK, ()
