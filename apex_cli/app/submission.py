"""Takes in signals that a program hands over: decided as those of a file, by whoever holds the executor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from apex_cli.app.compose import Parts, connected, looking, make_parts
from apex_cli.app.coordination import make_coordinator
from apex_cli.app.journal_feed import JournalFeed
from apex_cli.app.market_parts import open_bars
from apex_cli.app.pipeline import make_context
from apex_cli.app.resources import decision_time, executor_lock, new_id, open_store
from apex_cli.app.strategies import read_batch
from apex_cli.core.adapters import event_loop
from apex_cli.core.coordinator.signal_reports import (
    decided_report,
    duplicate_report,
    ended_report,
    outcome_of,
    rejected_report,
    settled_report,
)
from apex_cli.core.errors import ApexError, BusyError, OutcomeUnknownError
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.signal import Signal as ReadSignal
from apex_cli.core.ports import SignalBatch, SignalSource
from apex_cli.core.signals.strategy import Signal
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.signal_events import Decided, SignalEnded
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.ports import StateStore
    from apex_cli.core.state.tables import State

LOOK_INTERVAL_S = 0.05
PROGRAM = "program"
"""What the signals of a program are said to come from."""

Notice = Callable[[Reason], None]


class Submitted(NamedTuple):
    """What became of signals."""

    reports: tuple[SignalReport, ...]
    """In the order of the signals; those that are none come first."""

    trouble: ApexError | None = None
    """Why an order is in doubt, or something is held without its stop."""


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


def would_decide(settings: Settings, signals: Sequence[Signal], notice: Notice) -> Submitted:
    """Return what would become of *signals* now, as a dry run does; nothing is written or sent.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    return event_loop.run(_would_decide(settings, signals, notice))


async def _would_decide(settings: Settings, signals: Sequence[Signal], notice: Notice) -> Submitted:
    parts = make_parts(settings, read_only=True)
    context = make_context(
        settings, parts.clock, notice, is_dry_run=True, broker=parts.broker, waits=True, store=parts.store
    )
    batch = _batch(parts, signals)
    async with looking(parts):
        await context.fetch()
        coordinator = make_coordinator(parts, context, (GivenSource(batch),), dry_run=True)
        await coordinator.run(stop=asyncio.Event(), max_cycles=1)
    return Submitted(_in_order(coordinator.reports, batch))


def submit(settings: Settings, signals: Sequence[Signal], *, wait_s: float, notice: Notice) -> Submitted:
    """Decide on *signals* and do what is decided, or have the process do it that holds the executor.

    Handed over, they are kept on the disk first: whatever ends then, each is decided once, as long as it is valid. What
    is not decided within *wait_s* is reported as received; 0: nothing is handed over.

    Raises:
        BrokerError: the broker cannot be reached.
        BusyError: another process holds the executor, and nothing is to be handed over.
        StateError: the state cannot be read or written.
    """
    try:
        with executor_lock(settings):
            return event_loop.run(_take_in(settings, signals, notice))
    except BusyError:
        if not wait_s:
            raise
        return _hand_over(settings, signals, wait_s, notice)


def _batch(parts: Parts, signals: Sequence[Signal]) -> SignalBatch:
    return read_batch(parts.settings, parts.bars, signals, parts.clock.now(), PROGRAM)


async def _take_in(settings: Settings, signals: Sequence[Signal], notice: Notice) -> Submitted:
    """Decide and act, this process holding the executor; every order is settled at the end."""
    parts = make_parts(settings)
    batch = _batch(parts, signals)
    return await _act(parts, GivenSource(batch), notice, batch)


async def _act(parts: Parts, source: SignalSource, notice: Notice, batch: SignalBatch) -> Submitted:
    context = make_context(parts.settings, parts.clock, notice, broker=parts.broker, waits=True, store=parts.store)
    trouble: ApexError | None = None
    async with connected(parts):
        await context.fetch()
        coordinator = make_coordinator(parts, context, (source,))
        try:
            await coordinator.run(stop=asyncio.Event(), once=True)
        except ApexError as error:
            if not coordinator.reports:
                raise
            trouble = parts.execution.executor.as_it_stands(error)
        try:
            await coordinator.finish()
        except ApexError as error:
            trouble = error
        trouble = trouble or parts.execution.executor.lacks_cover()
    return Submitted(_in_order(coordinator.reports, batch), trouble)


def _in_order(reports: Sequence[SignalReport], batch: SignalBatch) -> tuple[SignalReport, ...]:
    """Return the reports of *batch* in its order, refused rows first."""
    places = {signal.signal_id: number for number, signal in enumerate(batch.signals)}
    ours = [report for report in reports if report.signal_id in places or report.outcome is SignalOutcome.INVALID]
    return tuple(sorted(ours, key=lambda report: places.get(report.signal_id, -1)))


def _hand_over(settings: Settings, signals: Sequence[Signal], wait_s: float, notice: Notice) -> Submitted:
    """Keep *signals* for the process that trades, and wait until each has its outcome; trade where that one ends."""
    from apex_cli.core.adapters.state.intake_files import Intake, Taken

    store = open_store(settings)
    now = decision_time(settings, store.view(), store.clock.now())
    batch = read_batch(settings, open_bars(settings), signals, now, PROGRAM)
    known = {signal.signal_id for signal in batch.signals if signal.signal_id in store.view().signals}
    rows = [Taken(where=PROGRAM, signal=signal) for signal in batch.signals if signal.signal_id not in known]
    outcomes = _Outcomes(settings, store)
    if rows:
        Intake(settings.state.dir, new_id).keep(rows)
    waited = {row.signal.signal_id for row in rows if row.signal is not None}
    deadline = time.monotonic() + wait_s
    while not outcomes.have(waited) and time.monotonic() < deadline:
        if not _take_over(settings, batch, notice):
            time.sleep(LOOK_INTERVAL_S)
    found = (
        duplicate_report(signal, PROGRAM) if signal.signal_id in known else outcomes.report(signal)
        for signal in batch.signals
    )
    return Submitted((*map(rejected_report, batch.rejected), *found))


class _Outcomes:
    """Hears from the journal what another process makes of signals."""

    def __init__(self, settings: Settings, store: StateStore) -> None:
        """Hear what is committed from now on."""
        self._store = store
        self._feed = JournalFeed(settings)
        self._found: dict[str, SignalReport] = {}

    def have(self, names: Iterable[str]) -> bool:
        """Return whether each of *names* has its outcome, and its orders theirs."""
        while rows := self._feed.read():
            for row in rows:
                self._hear(read_event(row))
        state = self._store.view()
        reports = [self._settled(name, state) for name in names]
        return all(report is not None and report.outcome is not SignalOutcome.UNKNOWN for report in reports)

    def report(self, signal: ReadSignal) -> SignalReport:
        """Return what became of *signal*; received where nothing did yet."""
        found = self._settled(signal.signal_id, self._store.view())
        if found is not None:
            return found
        what = "It is kept, and is decided as soon as the process that trades, or the next run, comes to it."
        return ended_report(signal, SignalOutcome.RECEIVED, (Reason(code="not_decided_yet", message=what),), PROGRAM)

    def _hear(self, event: object) -> None:
        if isinstance(event, Decided) and not event.data.is_answer:
            decision = event.data.decision
            outcome = outcome_of(decision.kind)
            self._found[event.subject] = decided_report(event.data.opportunity, decision, outcome, PROGRAM)
        elif isinstance(event, SignalEnded):
            end = event.data
            self._found[event.subject] = ended_report(end.signal, end.outcome, end.reasons, PROGRAM)

    def _settled(self, name: str, state: State) -> SignalReport | None:
        """Return the report of a signal as its orders and its approval stand now."""
        report, record = self._found.get(name), state.signals.get(name)
        if report is None or record is None:
            return None
        if record.bracket_id is None:
            return replace(report, approval_id=record.approval_id)
        names = tuple(key for key, order in state.orders.items() if order.order.bracket_id == record.bracket_id)
        return settled_report(replace(report, orders=names), state)


def _take_over(settings: Settings, batch: SignalBatch, notice: Notice) -> bool:
    """Decide on what is kept where nobody holds the executor any more; return whether that was so."""
    from apex_cli.core.adapters.state.intake_files import IntakeSource

    try:
        with executor_lock(settings):
            source = IntakeSource(settings.state.dir, notice=notice)
            event_loop.run(_act(make_parts(settings), source, notice, batch))
    except (BusyError, OutcomeUnknownError):  # what was begun is in the state, and is not done twice
        return False
    return True
