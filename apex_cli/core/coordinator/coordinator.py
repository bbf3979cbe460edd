"""The loop: it takes signals in, decides, executes, and keeps the state.

Each cycle reads: *play the market (simulation), book what the broker did, keep the house
(session, expiry, prices), take signals in, rank them, decide best first, act, learn.* The
coordinator knows ports and rules, and no adapter.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain, groupby, islice
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from apex_cli.core.coordinator.bus import Incoming, Ranked, best_first, strongest
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


SMALL_BATCH = 20
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


Outcome = SignalReport | Opened
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
        self._bus_capacity = bus_capacity
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
                competing = [(Waiting(source, batch),) for batch in batches]
                for groups in [competing] if len(batches) > SMALL_BATCH else [[each] for each in competing]:
                    await self._bring_in(groups)
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
                await self._bring_in([(Waiting(source, batch),)])
                busy = True
        return busy

    async def decide_on_waiting(self) -> None:
        """Bring everything that waits to its outcomes."""
        if waiting := self._window.take():
            await self._bring_in([waiting])

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

    async def _bring_in(self, groups: Sequence[Sequence[Waiting]]) -> None:
        """Bring batches to their outcomes and settle them; the signals of one group compete, the best goes first."""
        taken = [waiting for group in groups for waiting in group]
        first = len(self.reports)
        try:
            exposures = self._gatherer.exposures(self._store.view())
            self._record_rejected(taken)
            routed = [await self._route_all(group, exposures) for group in groups]
            for part in self._parts(routed):
                await self._act_on(part)
        finally:
            if not self._dry_run:
                self._in_flight.clear()
        if not self._dry_run:
            self._settle(taken, self.reports[first:])

    def _parts(self, routed: Sequence[Sequence[Routed]]) -> Iterator[Sequence[Routed]]:
        """Yield what is written down in one commit before anything of it is sent.

        Many groups are one part, as nothing in them competes. Many opportunities of one group are as many parts as the
        broker needs. Of a few, each is a part of its own: it is decided with the fills of those before it.
        """
        if len(routed) > 1:
            yield list(chain.from_iterable(routed))
            return
        for is_ranked, found in groupby(chain.from_iterable(routed), lambda each: isinstance(each, Ranked)):
            part = list(found)
            most = len(part)
            if is_ranked:
                most = self._orders.most_together if most > SMALL_BATCH and not self._dry_run else 1
            for start in range(0, len(part), most):
                yield part[start : start + most]

    @staticmethod
    def _settle(taken: Sequence[Waiting], reports: Sequence[SignalReport]) -> None:
        """Settle each batch where it came from, with its part of *reports*: first those of its rejected rows.

        Of copies of one signal the first may have come to something; the others are its duplicates.
        """
        rows = (report for report in reports if report.outcome is SignalOutcome.INVALID)
        own = [list(islice(rows, len(batch.rejected))) for _, batch in taken]
        owners: defaultdict[str, deque[list[SignalReport]]] = defaultdict(deque)
        for (_, batch), its in zip(taken, own, strict=True):
            for signal in batch.signals:
                owners[signal.signal_id].append(its)
        for report in reports:
            if report.outcome is not SignalOutcome.INVALID:
                copies = owners[report.signal_id]
                is_copy = report.outcome is SignalOutcome.DUPLICATE
                (copies.pop() if is_copy else copies.popleft()).append(report)
        for (source, batch), its in zip(taken, own, strict=True):
            source.settle(batch, its)

    def _record_rejected(self, taken: Iterable[Waiting]) -> None:
        rejected = [] if self._dry_run else [batch for _, batch in taken if batch.rejected]
        if rejected:
            from apex_cli.core.decision.record import record_rejected

            with self._store.transaction() as tx:
                for batch in rejected:
                    record_rejected(tx, batch, self._clock.now())

    async def _route_all(self, group: Sequence[Waiting], exposures: Sequence[Exposure]) -> list[Routed]:
        """Return what stands about each row and signal of *group*, in the order in which it is reported.

        Rejected rows come first, then the signals that ended on the way, the opportunities, best first, and the signals
        that the bus had no room for. Each signal gets the mark of who proposed it: the session says so, and no source.
        """
        waiting, dropped = strongest(
            [
                Incoming(replace(signal, proposal=self._proposal), where)
                for _, batch in group
                for signal, where in zip(batch.signals, batch.where, strict=True)
            ],
            self._bus_capacity,
        )
        found = [await self._route(signal, where, exposures) for signal, where in waiting]
        return [
            *(rejected_report(row) for _, batch in group for row in batch.rejected),
            *(each for each in found if not isinstance(each, Ranked)),
            *best_first(each for each in found if isinstance(each, Ranked)),
            *(self._dropped(each) for each in dropped),
        ]

    def _dropped(self, incoming: Incoming) -> Ended:
        """Return the end of a signal that the full bus had no room for."""
        reason = Reason(
            code="bus_overflow",
            message=f"More than {self._bus_capacity} signals waited at once; the weakest were dropped.",
            limit=str(self._bus_capacity),
            value=str(self._bus_capacity + 1),
        )
        return Ended(incoming.signal, SignalOutcome.REFUSED, (reason,), incoming.where)

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

    # Decisions out

    async def _act_on(self, part: Sequence[Routed]) -> None:
        """Write down what comes of *part*, send its orders, and report all of it, also where the sending breaks off."""
        with self._store.grouped() if len(part) > 1 and not self._dry_run else nullcontext():
            outcomes = await self._write_down(part)
        try:
            await self._executor.send([each.opening for each in outcomes if isinstance(each, Opened)])
        finally:
            for outcome in outcomes:
                self._report(self._executed(outcome) if isinstance(outcome, Opened) else outcome)

    def _report(self, report: SignalReport) -> None:
        self.reports.append(report)
        if self._listener:
            self._listener.signal(report)

    async def _write_down(self, part: Iterable[Routed]) -> list[Outcome]:
        """Decide on each opportunity and write down what becomes of each signal; nothing is sent.

        Each decision counts the entries before it as working ones, and their value as spent.
        """
        outcomes: list[Outcome] = []
        pledged = ZERO
        for each in part:
            match each:
                case Ranked():
                    outcome, value = await self._decide(each, pledged)
                    pledged += value
                case Ended():
                    outcome = self._end(each)
                case SignalReport():
                    outcome = each
            outcomes.append(outcome)
        return outcomes

    async def _decide(self, ranked: Ranked, pledged: Decimal) -> tuple[Outcome, Decimal]:
        """Decide on one opportunity and write down what was decided; return it with the value that its entry takes.

        *pledged* is the value of entries that are written down and not sent yet.
        """
        from apex_cli.core.decision.plan import decide

        opportunity, where = ranked.opportunity, ranked.where
        state = self._store.view()
        try:
            snapshot = await self._gatherer.snapshot(state, opportunity, planned=self._planned, pledged=pledged)
        except SecurityError as error:
            self._in_flight.discard(opportunity.signal.signal_id)
            return self._end(Ended(opportunity.signal, SignalOutcome.REFUSED, (reason_of(error),), where)), ZERO
        decision = decide(opportunity, snapshot, self._limits)
        if self._dry_run:
            self._plan(decision, opportunity.signal.strategy)
            return decided_report(opportunity, decision, outcome_of(decision.kind), where), ZERO
        if decision.kind is not DecisionKind.EXECUTE:
            return self._set_aside(opportunity, snapshot, decision, where), ZERO
        opening = self._executor.write_down(opportunity, snapshot, decision)
        if opening is None:
            return duplicate_report(opportunity.signal, where), ZERO
        value = decision.sized.notional if decision.sized is not None else ZERO
        return Opened(opening, opportunity, decision, where), value

    def _end(self, ended: Ended) -> SignalReport:
        """Record a signal that came to no decision, and return its report: that of a duplicate where it is known."""
        signal_id = ended.signal.signal_id
        if self._dry_run:
            is_known = signal_id in self._in_flight
            self._in_flight.add(signal_id)
        else:
            from apex_cli.core.decision.record import record_ended

            with self._store.transaction() as tx:
                is_known = signal_id in tx.signals
                if not is_known:
                    record_ended(tx, ended.signal, ended.outcome, ended.reasons, self._clock.now())
        return duplicate_report(ended.signal, ended.where) if is_known else ended_report(*ended)

    def _executed(self, opened: Opened) -> SignalReport:
        """Return the report of an opening that was sent, as its orders stand."""
        records = self._orders.records(opened.opening.orders)
        return executed_report(opened.opportunity, opened.decision, records, opened.where)

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
