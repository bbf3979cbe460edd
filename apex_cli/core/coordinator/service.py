"""Carries out closes and answers that people ask for, in this process or handed over by another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from apex_cli.core.errors import STATE_BUSY, ApexError, BusyError, NothingToDo, OutcomeUnknownError
from apex_cli.core.execution.answers import ApprovalDesk, already_answered
from apex_cli.core.execution.close_result import closed_for, closed_now
from apex_cli.core.execution.closer import Closer
from apex_cli.core.execution.executor import TradeExecutor, unsettled
from apex_cli.core.management.stop_mover import StopMover
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import (
    Answer,
    Answered,
    Choice,
    Closed,
    CloseRequest,
    EntryCancel,
    Failure,
    Reconciled,
    ReconcileRequest,
    RequestRecord,
    RequestStatus,
    Result,
    StopRequest,
    Work,
    WorkDone,
    joined,
)
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.reconciliation.adoption import Adoption
from apex_cli.core.state.tables import State, open_requests

ClosingWarnings = Callable[[State, Sequence[str]], Awaitable[Mapping[str, tuple[Reason, ...]]]]

SMALL_BATCH = 20
"""Up to so many closes and answers are done one by one."""

T = TypeVar("T")


class Service:
    """Performs work with the executor that this process holds."""

    def __init__(
        self,
        *,
        store: StateStore,
        executor: TradeExecutor,
        closer: Closer,
        mover: StopMover,
        desk: ApprovalDesk,
        adoption: Adoption,
        wall: Clock,
        name: str,
        closing_warnings: ClosingWarnings | None = None,
    ) -> None:
        """Keep the parts; people wait by the *wall* clock, *name* says who holds the executor."""
        self._closing_warnings = closing_warnings
        self._store = store
        self._executor = executor
        self._closer = closer
        self._mover = mover
        self._desk = desk
        self._adoption = adoption
        self._wall = wall
        self._name = name

    async def perform(self, *works: Work, request_id: str = "") -> WorkDone:
        """Do *works* one after another, and stay with each until its orders are settled; many closes go together.

        An expected failure is a part of what is returned, and stops nothing.
        """
        closes = [work for work in works if isinstance(work, CloseRequest) and work.limit_price is None]
        if len(closes) == len(works) and self._go_together(closes):
            before = self._executor.in_settlement
            return await self._settled(
                [outcome for group in self._groups(closes) for outcome in await self._close(group, request_id)], before
            )
        done: list[WorkDone] = []
        for work in works:
            before = self._executor.in_settlement
            if isinstance(work, Answer):
                done.append(await self._answer(work))
                continue
            outcomes: Sequence[Result | ApexError]
            try:
                match work:
                    case CloseRequest():
                        outcomes = await self._close((work,), request_id)
                    case ReconcileRequest():
                        outcomes = (Reconciled(found=await self._adoption.reconcile(work)),)
                    case StopRequest():
                        outcomes = (await self._mover.move(work),)
                    case EntryCancel(symbol=symbol):
                        outcomes = (await self._closer.cancel_entries(symbol),)
            except ApexError as error:
                outcomes = (error,)
            done.append(await self._settled(outcomes, before))
        return joined(done)

    def _go_together(self, wanted: Sequence[object]) -> bool:
        return len(wanted) > SMALL_BATCH and self._executor.most_together > 1

    def _groups(self, wanted: Sequence[T]) -> Iterator[Sequence[T]]:
        most = self._executor.most_together
        return (wanted[first : first + most] for first in range(0, len(wanted), most))

    async def _settled(self, outcomes: Sequence[Result | ApexError], before: Collection[str]) -> WorkDone:
        """Stay until every order is settled, and return what was done with what became of it.

        A state that another process holds is called busy only while nothing has left for the broker: who hears that
        does the work again. *before* are the orders that were in settlement when this work began.
        """
        has_sent = any(name not in before for name in self._executor.in_settlement)
        errors = [outcome for outcome in outcomes if isinstance(outcome, ApexError)]
        errors = [unsettled(error) if has_sent and error.code == STATE_BUSY else error for error in errors]
        try:
            await self._executor.finish()
        except OutcomeUnknownError as error:
            errors.append(error)
        failures = map(Failure.of, errors)
        state = self._store.view()
        results = [outcome for outcome in outcomes if not isinstance(outcome, ApexError)]
        return WorkDone(results=tuple(settled_result(result, state) for result in results), failures=tuple(failures))

    async def _answer(self, answer: Answer) -> WorkDone:
        """Give *answer* to each approval that it names; one that fails does not stop the next."""
        try:
            chosen = self._chosen(answer)
        except ApexError as error:
            return WorkDone(failures=(Failure.of(error),))
        outcomes: list[Answered | ApexError] = []
        before = self._executor.in_settlement
        if answer.is_plain_yes and self._go_together(chosen):
            for group in self._groups(chosen):
                try:
                    outcomes += await self._desk.approve_together(group, by=answer.by)
                except BusyError as error:
                    outcomes.append(error)
            return await self._settled(outcomes, before)
        for approval in chosen:
            try:
                if answer.version is not None and answer.version != approval.version:
                    raise already_answered(approval)
                if answer.choice is Choice.REJECT:
                    outcomes.append(self._desk.reject(approval, reason=answer.reason, by=answer.by))
                else:
                    outcomes.append(await self._desk.approve(approval, quantity=answer.quantity, by=answer.by))
            except ApexError as error:
                outcomes.append(error)
        return await self._settled(outcomes, before)

    async def _close(self, requests: Sequence[CloseRequest], request_id: str = "") -> Sequence[Closed | ApexError]:
        """Close, with what the day-trading rules warn of; asked before, as the close itself changes that."""
        symbols = [request.symbol for request in requests]
        warnings = await self._closing_warnings(self._store.view(), symbols) if self._closing_warnings else {}
        try:
            closed = await self._closer.close_together(requests, request_id=request_id)
        except BusyError as error:
            return [error for _ in requests]
        return [
            replace(outcome, warnings=(*warnings.get(request.symbol, ()), *outcome.warnings))
            if isinstance(outcome, Closed)
            else outcome
            for request, outcome in zip(requests, closed, strict=True)
        ]

    def _chosen(self, answer: Answer) -> Sequence[ApprovalRecord]:
        if answer.ids:
            return [self._desk.find(name) for name in answer.ids]
        pending = self._desk.pending()
        if not pending:
            raise NothingToDo("nothing_pending", "Nothing waits for approval.")
        chosen = pending if answer.choice is Choice.REJECT else without_proposals(pending)
        if not chosen:
            raise NothingToDo(
                "only_proposals",
                "Only proposals of agents wait: a yes names each.",
                hint="apex approve shows them; then apex approve ID --yes",
            )
        return chosen

    async def _resume(self, record: RequestRecord) -> WorkDone:
        """Finish what another process began: what it did already is reported, not done again."""
        match record.work:
            case CloseRequest():
                sent = closed_for(self._store.view(), record.request_id)
                return (
                    WorkDone(results=(sent,)) if sent else await self.perform(record.work, request_id=record.request_id)
                )
            case Answer(ids=ids):
                approvals = self._store.view().approvals
                answered = [approvals[name] for name in ids if name in approvals]
                over = [a for a in answered if a.status is not ApprovalStatus.PENDING]
                if not over:
                    return await self.perform(record.work)
                return WorkDone(results=tuple(Answered(approval=approval) for approval in over))
            case ReconcileRequest():
                return await self._reconcile_again(record.work)
            case StopRequest() | EntryCancel():  # what is done already is said to be done
                return await self.perform(record.work)

    async def _reconcile_again(self, request: ReconcileRequest) -> WorkDone:
        """Go on with a comparison; what a person said of a symbol may be done already."""
        done = await self.perform(request)
        if any(failure.code == "no_difference" for failure in done.failures):
            return await self.perform(ReconcileRequest(repair=True))
        return done

    async def serve(self) -> bool:
        """Do everything that other processes wait for; True when there was something."""
        waiting = open_requests(self._store.view())
        for request_id in waiting:
            record, was_begun = self._take(request_id)
            if record is not None:
                done = await (self._resume(record) if was_begun else self.perform(record.work, request_id=request_id))
                self._finish(record, done)
        return bool(waiting)

    def _take(self, request_id: str) -> tuple[RequestRecord | None, bool]:
        """Mark a request as ours; say whether a process that is gone had begun it. None: nobody waits."""
        now = self._wall.now()
        with self._store.transaction() as tx:
            record: RequestRecord | None = tx.requests.get(request_id)
            if record is None or record.status is RequestStatus.DONE:
                return None, False
            was_begun = record.status is RequestStatus.TAKEN
            if now >= record.valid_until and not was_begun:
                _end(tx, record, _too_late(record), now)
                return None, False
            taken = replace(record, status=RequestStatus.TAKEN, taken_by=self._name)
            tx.requests[request_id] = taken
            return taken, was_begun

    def _finish(self, record: RequestRecord, done: WorkDone) -> None:
        with self._store.transaction() as tx:
            _end(tx, record, done, self._wall.now())


def without_proposals(pending: Iterable[ApprovalRecord]) -> Sequence[ApprovalRecord]:
    """Return what no agent proposed: all of that may be approved without naming it."""
    return [approval for approval in pending if approval.opportunity.signal.proposal is None]


def settled_result(result: Result, state: State) -> Result:
    """Return *result* with its orders as they stand now: one may be refused after its acknowledgement."""
    match result:
        case Closed(client_order_id=name) if name in state.orders:
            return closed_now(state, result)
        case Answered(orders=orders):
            names = [record.order.client_order_id for record in orders]
            current = tuple(state.orders[name] for name in names if name in state.orders)
            return replace(result, orders=current)
        case _:
            return result


def _end(tx: State, record: RequestRecord, done: WorkDone, now: datetime) -> None:
    tx.requests[record.request_id] = replace(record, status=RequestStatus.DONE, done=done, finished_at=now)


def _too_late(record: RequestRecord) -> WorkDone:
    error = NothingToDo(
        "request_expired", f"The request of {record.asked_by} expired before it was started. Run the command again."
    )
    return WorkDone(failures=(Failure.of(error),))
