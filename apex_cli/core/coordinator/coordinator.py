"""The loop: signals in, decisions out, state kept, nothing forgotten.

Each cycle reads: *play the market (simulation), book what the broker did, keep the house
(session, expiry, prices), take signals in, rank them, decide best first, act, learn.* The
coordinator knows ports and rules, and no adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from apex_cli.core.coordinator.bus import Bus, CheckLearning, Incoming, Priority, Ranked
from apex_cli.core.coordinator.signal_reports import (
    decided_report,
    duplicate_report,
    ended_report,
    executed_report,
    expired_reason,
    outcome_of,
    reason_of,
    rejected_report,
    settled_report,
)
from apex_cli.core.coordinator.window import Waiting, Window
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.decision.inputs import planned_exposure
from apex_cli.core.errors import BrokerError, BusyError, SecurityError
from apex_cli.core.execution.executor import Opening, TradeExecutor
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.execution.upkeep import keep_house
from apex_cli.core.model.agent import Proposal
from apex_cli.core.model.decision import Decision, DecisionKind, Exposure, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.ports import (
    Chore,
    Clock,
    Ids,
    LearningHook,
    Ranker,
    SignalBatch,
    SignalSource,
    SignalStage,
    StateStore,
)
from apex_cli.core.positions.announcements import close_the_day, warn_of_day_trades
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import is_asked

PlayMarket = Callable[[], Iterator[datetime]]
"""Plays simulated prices up to now, one step of time at a time."""


Serve = Callable[[], Awaitable[bool]]
"""Does what other processes wait for; True when there was something."""


IsWoken = Callable[[], bool]
"""Returns, at the cost of a look at a folder, whether a signal came that should be decided now."""


LOOK_INTERVAL_S = 0.02
"""How soon a signal that wakes is noticed."""


ASKED_EACH = 5
"""Work that was handed over is looked for at every fifth look, as that reads the state."""


FEW = 20
"""Up to so many opportunities are acted on one by one, each decided with the fills of those before it."""


class Ended(NamedTuple):
    """A signal that gets no decision, and why."""

    signal: Signal
    outcome: SignalOutcome
    reasons: tuple[Reason, ...]
    where: str


class Opened(NamedTuple):
    """A decision to execute that is written down and not sent yet."""

    opening: Opening
    opportunity: Opportunity
    decision: Decision
    where: str


Routed = Ranked | Ended | SignalReport
"""A signal on its way to a decision, or how it ended before."""


Outcome = Ended | SignalReport | Opened
"""What came of a signal; before its orders are sent as far as it is known then."""


class RunListener(Protocol):
    """Who watches a run: the status line, the log."""

    def signal(self, report: SignalReport) -> None:
        """One signal has its outcome."""

    def cycle(self, state_store: StateStore, now: datetime) -> None:
        """One cycle is over."""


class Coordinator:
    """Routes signals through the stages, decides best first, and keeps the house in order."""

    def __init__(
        self,
        *,
        store: StateStore,
        clock: Clock,
        ids: Ids,
        limits: Limits,
        orders: Orders,
        executor: TradeExecutor,
        gatherer: Gatherer,
        make_ranker: Callable[[], Ranker],
        sources: Sequence[SignalSource],
        stages: Sequence[SignalStage] = (),
        learning: LearningHook | None = None,
        learning_interval: timedelta = timedelta(seconds=300),
        play_market: PlayMarket | None = None,
        bus_capacity: int = 1000,
        window: timedelta = timedelta(),
        serve: Serve | None = None,
        is_woken: IsWoken | None = None,
        chores: Sequence[Chore] = (),
        listener: RunListener | None = None,
        dry_run: bool = False,
        announces: bool = True,
        proposal: Proposal | None = None,
    ) -> None:
        """Keep the parts. Signals wait for *window* so that those that compete are ordered together.

        With *dry_run* nothing is written, sent, played or moved; without *announces* nobody is there to hear of the
        day's sum and of day trades that run out. *proposal* marks every signal that comes in here; without it none is
        marked, whatever a source or a step says.
        """
        self.reports: list[SignalReport] = []
        self._store = store
        self._clock = clock
        self._ids = ids
        self._limits = limits
        self._orders = orders
        self._executor = executor
        self._gatherer = gatherer
        self._ranker = cache(make_ranker)
        self._sources = sources
        self._stages = stages
        self._learning = learning
        self._learning_interval = learning_interval
        self._play_market = play_market
        self._bus = Bus(bus_capacity)
        self._window = Window(window)
        self._serve = serve
        self._is_woken = is_woken
        self._chores = chores
        self._listener = listener
        self._dry_run = dry_run
        self._announces = announces
        self._proposal = proposal
        self._planned: list[Exposure] = []
        self._in_flight: set[str] = set()
        self._trouble: BrokerError | BusyError | None = None
        """What the last cycle of a loop failed on."""

    # The loop

    async def run(
        self,
        *,
        stop: asyncio.Event,
        once: bool = False,
        until: datetime | None = None,
        max_cycles: int | None = None,
        interval_s: float = 1.0,
    ) -> int:
        """Cycle until *stop* is set, *until* has come or *max_cycles* are done; return how many were.

        With *once* a cycle that found something is followed by another: everything drains. A loop lives on
        when the broker cannot be reached, which is reported once, and when another process holds the state: the next
        cycle tries again.

        Raises:
            BrokerError: the broker cannot be reached; in a loop, not even at its end.
            BusyError: another process holds the state; in a loop, up to its end.
        """
        cycles = 0
        while not stop.is_set():
            busy = await (self.cycle(waits=False) if once or self._dry_run else self._try_cycle())
            cycles += 1
            if (once and not busy) or (max_cycles is not None and cycles >= max_cycles):
                break
            if until is not None and self._clock.now() >= until:
                break
            if not once and interval_s:
                await self._rest(stop, interval_s)
        if not stop.is_set():
            await self.decide_on_waiting()
        if self._trouble is not None:
            raise self._trouble
        return cycles

    async def _rest(self, stop: asyncio.Event, interval_s: float) -> None:
        """Wait for the next cycle; *stop*, or what another process hands over, work or a signal, ends it early."""
        pause = min(LOOK_INTERVAL_S, interval_s)
        for look in range(max(1, round(interval_s / pause))):
            if stop.is_set() or (look % ASKED_EACH == 0 and is_asked(self._store.view())):
                return
            if self._is_woken is not None and self._is_woken():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _try_cycle(self) -> bool:
        try:
            busy = await self.cycle()
        except (BrokerError, BusyError) as error:
            self._trouble = self._reported(error)
            return False
        self._trouble = None
        return busy

    def _reported(self, error: BrokerError | BusyError) -> BrokerError | BusyError:
        """Return *error* once it is reported that the broker is out of reach, else what stood in the way of that."""
        if isinstance(error, BusyError) or isinstance(self._trouble, BrokerError):
            return error
        now = self._clock.now()
        try:
            with self._store.transaction() as tx:
                tx.counters = replace(tx.counters, outage_told=now)
                alarm = Alarm(code="broker_unavailable", message=error.message)
                tx.emit(AlarmRaised(at=now, subject="broker", data=alarm))
        except BusyError as busy:
            return busy
        return error

    async def cycle(self, *, waits: bool = True) -> bool:
        """Do one round of everything; True when there were new signals or broker events.

        With *waits* signals wait for the end of the window.
        """
        busy = False
        if not self._dry_run:
            played = await self._play()
            busy = played or self._orders.sync()
            await self._executor.watch()
            if not played:
                await self._keep_house()
                busy = await self._do_chores() or busy
            busy = await self._serve_others() or busy
        busy = await self.take_in(waits=waits) or busy
        if not self._dry_run:
            self._check_learning()
            if self._listener:
                self._listener.cycle(self._store, self._clock.now())
        return busy

    async def _serve_others(self) -> bool:
        """Do what other processes handed over to the holder of the executor."""
        return await self._serve() if self._serve else False

    async def _play(self) -> bool:
        """Let simulated time pass: each step's fills are booked and its session kept before the next."""
        played = False
        for _ in self._play_market() if self._play_market else ():
            played = True
            if self._orders.sync():
                await self._executor.watch()
            await self._keep_house()
            await self._do_chores()
        return played

    async def _do_chores(self) -> bool:
        """Look after everything that is not a signal; True when something changed."""
        now = self._clock.now()
        changes = [await chore.tend(now) for chore in self._chores]
        return any(changes)

    async def _keep_house(self) -> None:
        now = self._clock.now()
        account = await self._gatherer.account()
        if self._announces:
            close_the_day(self._store, account, now)
        await self._gatherer.refresh_all(self._store.view())
        keep_house(self._store, self._gatherer, account, now)
        if self._announces:
            warn_of_day_trades(self._store, self._gatherer.day_trades(self._store.view(), account, now), now)

    def _check_learning(self) -> None:
        """Look at the learners no more than once per interval."""
        if self._learning is None:
            return
        now = self._clock.now()
        last = self._store.view().counters.last_learning_check
        if last is None or now - last >= self._learning_interval:
            self._learning.prepare(self._store.view(), now)
            with self._store.transaction() as tx:
                tx.counters = replace(tx.counters, last_learning_check=now)
                self._learning.check(tx, now)

    # Signals in

    @property
    def due_at(self) -> datetime | None:
        """When signals that wait for others are decided on; None while none waits."""
        return self._window.due_at

    async def take_in(self, *, waits: bool = False) -> bool:
        """Read every source, and bring each batch to its outcomes before it is settled."""
        busy = False
        for source in self._sources:
            for batches in self._groups(source.poll(self._clock.now())):
                if self._window.length:
                    busy = await self._let_wait(source, batches) or busy
                    continue
                busy = True
                if len(batches) > FEW:
                    await self._bring_in_together(source, batches)
                else:
                    for batch in batches:
                        await self._bring_in((Waiting(source, batch),))
        due = self._window.due_at
        if due is not None and (not waits or self._clock.now() >= due):
            await self.decide_on_waiting()
        return busy

    async def _let_wait(self, source: SignalSource, batches: Iterable[SignalBatch]) -> bool:
        """Let *batches* wait for others; what has no signal is done at once. True when there was anything new."""
        now, busy = self._clock.now(), False
        for batch in batches:
            if batch.signals:
                busy = self._window.add(source, batch, now) or busy
            else:
                await self._bring_in((Waiting(source, batch),))
                busy = True
        return busy

    async def decide_on_waiting(self) -> None:
        """Bring everything that waits to its outcomes."""
        if waiting := self._window.take():
            await self._bring_in(waiting)

    def _groups(self, polled: Iterable[SignalBatch]) -> Iterator[Sequence[SignalBatch]]:
        """Yield batches alone, or in groups where the broker lets many be written down together."""
        most = 1 if self._dry_run else self._orders.most_together
        group: list[SignalBatch] = []
        size = 0
        for batch in polled:
            size += max(1, len(batch.signals) + len(batch.rejected))
            if group and size > most:
                yield group
                group, size = [], max(1, len(batch.signals) + len(batch.rejected))
            group.append(batch)
        if group:
            yield group

    async def _bring_in(self, taken: Sequence[Waiting]) -> None:
        """Put batches on the bus and work it until it is empty: route what came in, then act, best first.

        Every signal gets the mark of who proposed it: the door says so, and no source.
        """
        first = len(self.reports)
        for _, batch in taken:
            self._record_rejected(batch)
            self._report(map(rejected_report, batch.rejected))
        routed: list[Routed] = []
        try:
            dropped = [
                self._bus.put(Incoming(replace(signal, proposal=self._proposal), where), Priority.ROUTE)
                for _, batch in taken
                for signal, where in zip(batch.signals, batch.where, strict=True)
            ]
            exposures = self._gatherer.exposures(self._store.view())
            while (message := self._bus.get()) is not None:
                match message:
                    case Incoming(signal, where):
                        routed.append(await self._route(signal, where, exposures))
                    case Ranked():
                        best = [message, *self._next_best()]
                        with self._store.grouped() if len(best) > 1 else nullcontext():
                            decided, _ = await self._decide(best, ZERO)
                        await self._send_and_report(decided)
                    case CheckLearning():
                        self._check_learning()
                if routed and not self._bus:
                    self._end([each for each in routed if not isinstance(each, Ranked)])
                    for ranked in [each for each in routed if isinstance(each, Ranked)]:
                        self._bus.put(ranked, Priority.EXECUTE)
                    routed.clear()
            self._end([self._dropped(message) for message in dropped if isinstance(message, Incoming | Ranked)])
        finally:
            self._bus.clear()
            if not self._dry_run:
                self._in_flight.clear()
        if not self._dry_run:
            self._settle(taken, self.reports[first:])

    @staticmethod
    def _settle(taken: Sequence[Waiting], reports: Iterable[SignalReport]) -> None:
        """Settle each batch where it came from, with its part of *reports*: those of rejected rows come first."""
        rest = iter(reports)
        own = [list(islice(rest, len(batch.rejected))) for _, batch in taken]
        owner: dict[str, list[SignalReport]] = {}
        for (_, batch), its in zip(taken, own, strict=True):
            for signal in batch.signals:
                owner.setdefault(signal.signal_id, its)
        for report in rest:
            owner.get(report.signal_id, own[0]).append(report)
        for (source, batch), its in zip(taken, own, strict=True):
            source.settle(batch, its)

    async def _bring_in_together(self, source: SignalSource, batches: Sequence[SignalBatch]) -> None:
        """Bring small batches to their outcomes as one after another, but write all of it down in one commit."""
        try:
            exposures = self._gatherer.exposures(self._store.view())
            routed = [
                [
                    await self._route(replace(signal, proposal=self._proposal), where, exposures)
                    for signal, where in zip(batch.signals, batch.where, strict=True)
                ]
                for batch in batches
            ]
        finally:
            self._in_flight.clear()
        outcomes: list[list[Outcome]] = []
        with self._store.grouped():
            pledged = ZERO
            for batch, found in zip(batches, routed, strict=True):
                self._record_rejected(batch)
                decided, pledged = await self._decide(_best_first(found), pledged)
                ended = self._recorded([each for each in found if not isinstance(each, Ranked)])
                outcomes.append([*map(rejected_report, batch.rejected), *ended, *decided])
        first = len(self.reports)
        await self._send_and_report([each for decided in outcomes for each in decided])
        reports = iter(self.reports[first:])
        for batch, decided in zip(batches, outcomes, strict=True):
            source.settle(batch, list(islice(reports, len(decided))))

    async def _send_and_report(self, decided: Sequence[Outcome]) -> None:
        """Send what was decided to open, and report all of it, also where the sending is broken off."""
        try:
            await self._executor.send([each.opening for each in decided if isinstance(each, Opened)])
        finally:
            self._end(decided)

    def _record_rejected(self, batch: SignalBatch) -> None:
        if batch.rejected and not self._dry_run:
            from apex_cli.core.decision.record import record_rejected

            with self._store.transaction() as tx:
                record_rejected(tx, batch, self._clock.now())

    def _next_best(self) -> Sequence[Ranked]:
        """Take off the bus what can be written down together with the best one."""
        if self._dry_run or len(self._bus) < FEW:
            return ()
        return self._bus.get_best(self._orders.most_together - 1)

    def _dropped(self, message: Incoming | Ranked) -> Ended:
        """Return the end of a signal that the full bus had no room for."""
        signal = message.signal if isinstance(message, Incoming) else message.opportunity.signal
        reason = Reason(
            code="bus_overflow",
            message=f"More than {self._bus.capacity} signals waited at once; the weakest were dropped.",
            limit=str(self._bus.capacity),
            value=str(self._bus.capacity + 1),
        )
        return Ended(signal, SignalOutcome.REFUSED, (reason,), message.where)

    async def _route(self, signal: Signal, where: str, exposures: Sequence[Exposure]) -> Routed:
        """Bring one signal through the stages to its score; else return how it ended on the way."""
        if signal.signal_id in self._store.view().signals or signal.signal_id in self._in_flight:
            return duplicate_report(signal, where)
        now = self._clock.now()
        if now >= signal.expires_at:
            return Ended(signal, SignalOutcome.EXPIRED, (expired_reason(signal, now),), where)
        try:
            signal = await self._gatherer.identify(signal, now)
        except SecurityError as error:
            return Ended(signal, SignalOutcome.REFUSED, (reason_of(error),), where)
        for stage in self._stages:
            answer = await stage.process(signal)
            if isinstance(answer, Reason):
                return Ended(signal, SignalOutcome.REFUSED, (answer,), where)
            signal = answer
        signal = replace(signal, proposal=self._proposal)  # whatever a stage says
        self._in_flight.add(signal.signal_id)
        return Ranked(self._ranker().rank(signal, (*exposures, *self._planned)), where)

    def _end(self, outcomes: Sequence[Outcome]) -> None:
        """Record all that came to no decision in one commit, and report everything."""
        if outcomes:
            self._report(self._recorded(outcomes))

    def _recorded(self, outcomes: Sequence[Outcome]) -> list[SignalReport]:
        """Record all that came to no decision, and return what there is to report."""
        known: set[str] = set()
        ended = [each for each in outcomes if isinstance(each, Ended)]
        if ended and not self._dry_run:
            from apex_cli.core.decision.record import record_ended

            with self._store.transaction() as tx:
                known.update(end.signal.signal_id for end in ended if end.signal.signal_id in tx.signals)
                for end in ended:
                    if end.signal.signal_id not in tx.signals:
                        record_ended(tx, end.signal, end.outcome, end.reasons, self._clock.now())
        reports: list[SignalReport] = []
        for each in outcomes:
            match each:
                case SignalReport():
                    reports.append(each)
                case Opened(opening, opportunity, decision, where):
                    records = self._orders.records(opening.orders)
                    reports.append(executed_report(opportunity, decision, records, where))
                case Ended() if each.signal.signal_id in known:
                    reports.append(duplicate_report(each.signal, each.where))
                case Ended():
                    known.add(each.signal.signal_id)
                    reports.append(ended_report(*each))
        return reports

    # Decisions out

    async def _decide(self, messages: Iterable[Ranked], pledged: Decimal) -> tuple[list[Outcome], Decimal]:
        """Decide on each and write down what was decided; nothing is sent.

        Each decision counts the entries before it as working ones, and their value as spent.

        Args:
            messages: best first.
            pledged: value of entries that are written down and not sent yet.

        Returns:
            What came of each, and the value that is pledged now.
        """
        from apex_cli.core.decision.plan import decide

        outcomes: list[Outcome] = []
        for message in messages:
            opportunity, where = message.opportunity, message.where
            state = self._store.view()
            try:
                snapshot = await self._gatherer.snapshot(state, opportunity, planned=self._planned, pledged=pledged)
            except SecurityError as error:
                outcomes.append(Ended(opportunity.signal, SignalOutcome.REFUSED, (reason_of(error),), where))
                continue
            decision = decide(opportunity, snapshot, self._limits)
            if self._dry_run:
                self._plan(decision, opportunity.signal.strategy)
                outcomes.append(decided_report(opportunity, decision, outcome_of(decision.kind), where))
            elif decision.kind is not DecisionKind.EXECUTE:
                outcomes.append(self._set_aside(opportunity, snapshot, decision, where))
            elif opening := self._executor.write_down(opportunity, snapshot, decision):
                outcomes.append(Opened(opening, opportunity, decision, where))
                pledged += decision.sized.notional if decision.sized is not None else ZERO
            else:
                outcomes.append(duplicate_report(opportunity.signal, where))
        return outcomes, pledged

    def _set_aside(self, opportunity: Opportunity, snapshot: Snapshot, decision: Decision, where: str) -> SignalReport:
        """Record a decision that sends nothing: a refusal, or a question to a person."""
        from apex_cli.core.decision.record import record_decision, record_queued

        report = decided_report(opportunity, decision, outcome_of(decision.kind), where)
        with self._store.transaction() as tx:
            if opportunity.signal.signal_id in tx.signals:
                return duplicate_report(opportunity.signal, where)
            record_decision(tx, opportunity, snapshot, self._limits, decision)
            if decision.kind is DecisionKind.QUEUE:
                approval_id = self._ids.new()
                record_queued(tx, opportunity, snapshot, decision, limits=self._limits, approval_id=approval_id)
                report = replace(report, approval_id=approval_id)
        return report

    def _plan(self, decision: Decision, strategy: str) -> None:
        """Count what a dry run would have opened, so that the next decision sees it."""
        if decision.kind is DecisionKind.EXECUTE and decision.sized is not None:
            self._planned.append(planned_exposure(decision, decision.sized, strategy))

    async def finish(self) -> None:
        """Stay until every order is settled, and let the reports say what became of those they name.

        Raises:
            OutcomeUnknownError: what became of an order is in doubt.
        """
        try:
            await self._executor.finish()
        finally:
            state = self._store.view()
            self.reports[:] = [settled_report(report, state) for report in self.reports]

    def _report(self, reports: Iterable[SignalReport]) -> None:
        for report in reports:
            self.reports.append(report)
            if self._listener:
                self._listener.signal(report)


def _best_first(found: Iterable[Routed]) -> list[Ranked]:
    ranked = [each for each in found if isinstance(each, Ranked)]
    return sorted(ranked, key=lambda each: each.opportunity.rank, reverse=True)
