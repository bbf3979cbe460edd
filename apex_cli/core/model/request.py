"""Requests that one process hands to another, and their results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from apex_cli.core.errors import ApexError, ExitStatus
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Decision
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import Reconciliation
from apex_cli.core.model.records import ApprovalRecord


class CloseRequest(Value, frozen=True, kw_only=True, tag=True):
    """What to close: a fraction or a quantity of it, or all."""

    symbol: str
    fraction: Decimal | None = None
    quantity: Quantity | None = None
    limit_price: Price | None = None
    reason: str = "manual"


class Choice(StrEnum):
    """What a person answers to an approval."""

    APPROVE = "approve"
    REJECT = "reject"


class Answer(Value, frozen=True, kw_only=True, tag=True):
    """The answer to approvals."""

    choice: Choice
    ids: tuple[str, ...] = ()
    """The approvals that are answered; empty: all that wait."""

    reason: str = ""
    """Why it is rejected."""

    quantity: Quantity | None = None
    """Another size than the one worked out."""

    by: str = "terminal"
    version: int | None = None
    """Of the one approval it answers, as it was when the person saw it; None: as it is."""

    @property
    def is_plain_yes(self) -> bool:
        """True where several approvals may be answered at once."""
        return self.choice is Choice.APPROVE and self.version is None and self.quantity is None


class ReconcileRequest(Value, frozen=True, kw_only=True, tag=True):
    """Compare with the broker's books, and what to do about what differs."""

    repair: bool = False
    """Correct what needs no person."""

    adopt: str = ""
    """Symbol whose holding at the broker becomes ours."""

    ignore: str = ""
    """Symbol whose holding at the broker is not ours."""

    split: str = ""
    """Symbol whose split at the broker is taken over."""

    stop_price: Price | None = None
    without_stop: bool = False
    price: Price | None = None
    """Price at which the difference was traded, where the broker does not report it."""


class StopRequest(Value, frozen=True, kw_only=True, tag=True):
    """Where a person wants the stops of a position."""

    symbol: str
    stop_price: Price | None = None
    """None: at the entry price."""

    widens: bool = False
    """True where the person was asked and said that more may be lost than before."""


class EntryCancel(Value, frozen=True, kw_only=True, tag=True):
    """A person wants no more of an entry: what has not filled is cancelled."""

    symbol: str


Work = CloseRequest | Answer | ReconcileRequest | StopRequest | EntryCancel


class CloseStatus(StrEnum):
    """How a close stands."""

    CLOSED = "closed"
    REDUCED = "reduced"
    WORKING = "working"
    """A limit rests."""

    UNKNOWN = "unknown"


class Closed(Value, frozen=True, kw_only=True, tag=True):
    """The result of a close."""

    symbol: str
    status: CloseStatus

    quantity: Quantity = Quantity(ZERO)
    """Units this request closed."""

    remaining: Quantity = Quantity(ZERO)
    exit_price: Price | None = None
    pnl: Usd | None = None
    """Of what this request closed, before commissions."""

    pnl_pct: Decimal | None = None
    client_order_id: str = ""
    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""

    warnings: tuple[Reason, ...] = ()
    """What the day-trading rules said of it; they forbid no close."""

    trouble: Reason | None = None
    """Why less was closed than asked for, or more than was held; None when neither is so."""


class Preview(Value, frozen=True, kw_only=True):
    """An approval as it stands now: what a yes would do."""

    decision: Decision
    price: Price | None
    """Latest price; None without one."""

    reasons: tuple[Reason, ...]
    """What speaks against it now; empty when a yes would be executed."""

    is_void: bool
    day_trade_effect: str


class Answered(Value, frozen=True, kw_only=True, tag=True):
    """What an answer came to."""

    approval: ApprovalRecord
    preview: Preview | None = None
    orders: tuple[OrderRecord, ...] = ()


class Reconciled(Value, frozen=True, kw_only=True, tag=True):
    """What a comparison with the broker found."""

    found: Reconciliation


class StopsMoved(Value, frozen=True, kw_only=True, tag=True):
    """Stops that stand where a person wanted them."""

    symbol: str
    from_price: Price
    """Where the one that was nearest to the price stood."""

    to_price: Price
    quantity: Quantity
    """Units that they protect."""


class EntriesCancelled(Value, frozen=True, kw_only=True, tag=True):
    """Entries that will buy no more."""

    symbol: str
    client_order_ids: tuple[str, ...]


Result = Closed | Answered | Reconciled | StopsMoved | EntriesCancelled
ResultT = TypeVar("ResultT", bound=Result)


class Failure(Value, frozen=True, kw_only=True):
    """An error that can travel between processes."""

    status: int
    """Exit status it leads to."""

    code: str
    message: str
    hint: str = ""
    details: dict[str, Any] = {}

    @staticmethod
    def of(error: ApexError) -> Failure:
        """Return *error* as a value."""
        return Failure(
            status=int(error.status), code=error.code, message=error.message, hint=error.hint, details=error.details
        )

    def as_error(self) -> ApexError:
        """Return the error that it was where it happened."""
        kinds = {kind.status: kind for kind in ApexError.__subclasses__() if kind.__module__ == ApexError.__module__}
        kind = kinds.get(ExitStatus(self.status), ApexError)
        return kind(self.code, self.message, hint=self.hint, details=self.details)


class WorkDone(Value, frozen=True, kw_only=True):
    """What came of work: results, failures, or some of both."""

    results: tuple[Result, ...] = ()
    failures: tuple[Failure, ...] = ()
    alarms: tuple[Reason, ...] = ()
    """What a person must know of what happened meanwhile."""

    def the(self, kind: type[ResultT]) -> ResultT:
        """Return the result of one piece of work.

        Raises:
            ApexError: it failed.
        """
        for result in self.all_of(kind):
            return result
        raise self.failures[0].as_error()

    def all_of(self, kind: type[ResultT]) -> tuple[ResultT, ...]:
        """Return the results of *kind*."""
        return tuple(result for result in self.results if isinstance(result, kind))

    def require_results(self) -> None:
        """Raise the first failure where nothing else came of it."""
        if self.failures and not self.results:
            raise self.failures[0].as_error()

    @property
    def status(self) -> ExitStatus:
        """Exit status of work with results: unknown and partial outcomes weigh most, then the first failure."""
        if self._unknown() or self._trouble():
            return ExitStatus.UNKNOWN_OUTCOME
        return ExitStatus(self.failures[0].status) if self.failures else ExitStatus.OK

    @property
    def reasons(self) -> list[Reason]:
        """Why the status of work with results is not 0."""
        failed = [Reason(code=failure.code, message=f"Error: {failure.message}") for failure in self.failures]
        unknown = [Reason(code="order_unknown", message=sentence) for sentence in self._unknown()]
        return unknown + self._trouble() + failed

    def _trouble(self) -> list[Reason]:
        return [closed.trouble for closed in self.all_of(Closed) if closed.trouble is not None]

    def _unknown(self) -> list[str]:
        """Return a sentence for each order whose outcome is unknown."""
        orders: list[tuple[str, str]] = []
        for result in self.results:
            if isinstance(result, Closed):
                orders += [(result.client_order_id, "")] if result.status is CloseStatus.UNKNOWN else []
            elif isinstance(result, Answered):
                records = (record for record in result.orders if record.status is OrderStatus.UNKNOWN)
                orders += [(record.order.client_order_id, record.reason.rstrip(".")) for record in records]
        return [
            f"The outcome of {name} is unknown{f': {why}' if why else ''}. The next start asks the broker again."
            for name, why in orders
        ]


def joined(parts: Sequence[WorkDone]) -> WorkDone:
    """Return all that came of several pieces of work."""
    return WorkDone(
        results=tuple(result for part in parts for result in part.results),
        failures=tuple(failure for part in parts for failure in part.failures),
        alarms=tuple(alarm for part in parts for alarm in part.alarms),
    )


class RequestStatus(StrEnum):
    """Where handed-over work stands."""

    WAITING = "waiting"
    TAKEN = "taken"
    DONE = "done"


class RequestRecord(Value, frozen=True, kw_only=True):
    """Work that waits for the process that holds the executor."""

    request_id: str
    work: Work
    asked_by: str
    """Process and command, for people."""

    created_at: datetime
    valid_until: datetime
    """From then on nobody waits for it, and it is not begun any more."""

    status: RequestStatus = RequestStatus.WAITING
    taken_by: str = ""
    done: WorkDone | None = None
    finished_at: datetime | None = None
