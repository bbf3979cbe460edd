"""Does what people ask for: closes and answers, for this process or handed over by another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.errors import ApexError, NothingToDo, OutcomeUnknownError
from apex_cli.core.execution.answers import ApprovalDesk, already_answered
from apex_cli.core.execution.closer import Closer, closed_for, closed_now
from apex_cli.core.execution.executor import TradeExecutor
from apex_cli.core.model.decision import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import (
    Answer,
    Answered,
    Choice,
    Closed,
    CloseRequest,
    Failure,
    Reconciled,
    ReconcileRequest,
    RequestRecord,
    RequestStatus,
    Work,
    WorkDone,
)
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.reconciliation.adoption import Adoption
from apex_cli.core.state.tables import State

ClosingWarnings = Callable[[State, str], Awaitable[tuple[Reason, ...]]]


class Service:
    """Performs work with the executor that this process holds."""

    def __init__(
        self,
        *,
        store: StateStore,
        executor: TradeExecutor,
        closer: Closer,
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
        self._desk = desk
        self._adoption = adoption
        self._wall = wall
        self._name = name

    async def perform(self, work: Work, *, request_id: str = "") -> WorkDone:
        """Do *work*, stay until its orders are settled, and return the results; an expected failure is one of them."""
        results: list[Closed | Answered | Reconciled] = []
        failures: list[Failure] = []
        try:
            steps = self._steps(work, request_id)
        except ApexError as error:
            return WorkDone(failures=(as_failure(error),))
        for step in steps:
            try:
                results.append(await step)
            except ApexError as error:
                failures.append(as_failure(error))
        try:
            await self._executor.finish()
        except OutcomeUnknownError as error:
            failures.append(as_failure(error))
        settled = tuple(settled_result(result, self._store.view()) for result in results)
        return WorkDone(results=settled, failures=tuple(failures))

    def _steps(self, work: Work, request_id: str) -> Sequence[Awaitable[Closed | Answered | Reconciled]]:
        """Return what *work* consists of: a failure of one step does not stop the next."""
        match work:
            case CloseRequest():
                return (self._close(work, request_id),)
            case Answer():
                return [self._answer(approval, work) for approval in self._chosen(work)]
            case ReconcileRequest():
                return (self._reconcile(work),)

    async def _reconcile(self, request: ReconcileRequest) -> Reconciled:
        return Reconciled(found=await self._adoption.reconcile(request))

    async def _close(self, request: CloseRequest, request_id: str) -> Closed:
        """Close, with the warnings of the day-trading rules; asked before, as the close itself changes them."""
        warnings: tuple[Reason, ...] = ()
        if self._closing_warnings is not None:
            warnings = await self._closing_warnings(self._store.view(), request.symbol)
        closed = await self._closer.close(request, request_id=request_id)
        return replace(closed, warnings=(*warnings, *closed.warnings))

    def _chosen(self, answer: Answer) -> Sequence[ApprovalRecord]:
        chosen = [self._desk.find(name) for name in answer.ids] or self._desk.pending()
        if not chosen:
            raise NothingToDo("nothing_pending", "Nothing waits for approval.")
        return chosen

    async def _answer(self, approval: ApprovalRecord, answer: Answer) -> Answered:
        if answer.version is not None and approval.version != answer.version:
            raise already_answered(approval)
        if answer.choice is Choice.REJECT:
            return self._desk.reject(approval, reason=answer.reason, by=answer.by)
        return await self._desk.approve(approval, quantity=answer.quantity, by=answer.by)

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

    async def _reconcile_again(self, request: ReconcileRequest) -> WorkDone:
        """Go on with a comparison; what a person said of a symbol may be done already."""
        done = await self.perform(request)
        if any(failure.code == "no_difference" for failure in done.failures):
            return await self.perform(ReconcileRequest(repair=True))
        return done

    async def serve(self) -> bool:
        """Do everything that other processes wait for; True when there was something."""
        waiting = [r.request_id for r in self._store.view().requests.values() if r.status is not RequestStatus.DONE]
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


def settled_result(result: Closed | Answered | Reconciled, state: State) -> Closed | Answered | Reconciled:
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


def is_asked(state: State) -> bool:
    """Return whether another process waits for something to be begun."""
    return any(record.status is RequestStatus.WAITING for record in state.requests.values())


def _end(tx: State, record: RequestRecord, done: WorkDone, now: datetime) -> None:
    tx.requests[record.request_id] = replace(record, status=RequestStatus.DONE, done=done, finished_at=now)


def _too_late(record: RequestRecord) -> WorkDone:
    error = NothingToDo(
        "request_expired", f"The request of {record.asked_by} expired before it was started. Run the command again."
    )
    return WorkDone(failures=(as_failure(error),))


def as_failure(error: ApexError) -> Failure:
    """Return *error* as a value that can travel."""
    return Failure(
        status=int(error.status), code=error.code, message=error.message, hint=error.hint, details=error.details
    )
