"""Every event of the journal: one class for each kind, with what happened (``data``) and whom it concerns.

A line of the journal is such an event: ``{"seq", "at", "kind", "subject", "data"}``. Who writes one calls
``State.emit``; who reads one calls ``read_event`` and matches on the class. A reader names every kind, by its class or
by its base, also those it has nothing to say of, and mypy reports the kind that it forgot. A kind that is news says so
itself (``news``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, TypeAlias, assert_never, get_args

import msgspec

from apex_cli.core.model.account import CashFlow
from apex_cli.core.model.agent import AgentCall
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Decision, Exposure, Snapshot
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.learning import LearningState, Weights, WeightsVersion
from apex_cli.core.model.lesson import FollowedEnd
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.order import Order, OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import Break, Ignored, Reconciliation, SplitTaken
from apex_cli.core.model.records import (
    ApprovalRecord,
    ApprovalStatus,
    BracketRecord,
    Counters,
    DeficitRecord,
    OutboxRow,
    RejectedRow,
    SignalOutcome,
    SignalRecord,
    TradingState,
)
from apex_cli.core.model.repair import Restored
from apex_cli.core.model.request import RequestRecord
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal


class BaseEvent(Value, frozen=True, kw_only=True, tag_field="kind"):
    """What every event has."""

    seq: int = 0
    """Its number in the journal; 0 before it is emitted."""

    at: datetime
    subject: str = ""
    """Signal, security, session or request that it concerns: what ``apex explain`` looks for."""

    news: ClassVar[News | None] = None
    """How a person is told of it; None: not at all."""

    @property
    def kind(self) -> str:
        """What the journal calls it."""
        return kind_of(type(self))


class Remark(BaseEvent, frozen=True, kw_only=True):
    """An event that no table follows from: it is there to be read."""


class AccountEvent(BaseEvent, frozen=True, kw_only=True):
    """An event of the whole account: of no signal, and of no security."""


# Signals


class SignalInvalid(Remark, frozen=True, kw_only=True, tag="signal_invalid"):
    """A row of a source is no signal."""

    data: RejectedRow


class SignalEnd(Value, frozen=True, kw_only=True):
    """A signal that never came to a decision."""

    signal: Signal
    outcome: SignalOutcome
    reasons: tuple[Reason, ...]


class SignalEnded(BaseEvent, frozen=True, kw_only=True, tag="signal_ended"):
    """A signal expired, was dropped, or was stopped by a stage."""

    data: SignalEnd


class SignalRefused(BaseEvent, frozen=True, kw_only=True, tag="signal_refused"):
    """The broker rejected every entry of a signal."""

    news = News(kind=NoticeKind.REFUSAL)
    data: SignalRecord


class KeptInputs(Value, frozen=True, kw_only=True):
    """The long lists of a snapshot, given by those of an earlier decision: a run of its places, or what is new."""

    base: int
    """Number of the ``Decided`` event whose snapshot holds its lists itself."""

    exposures: tuple[tuple[int, int] | Exposure, ...] = ()
    """``(first, end)`` stands for the places from first up to, not with, end."""

    opened_today: tuple[tuple[int, int] | str, ...] = ()
    mark: int
    """CRC-32 of the lists as JSON: what is put together again must have it."""


class DecisionRecord(Value, frozen=True, kw_only=True):
    """A decision with its inputs: deciding on them again gives the same answer."""

    opportunity: Opportunity
    snapshot: Snapshot
    limits: Limits
    decision: Decision
    is_answer: bool = False
    """A person approved: decided at the latest price, and nobody was to be asked any more."""

    quantity: Quantity | None = None
    """The person's own size."""

    kept: KeptInputs | None = None
    """Set where the long lists are left out of *snapshot*; ``whole_record`` puts them in again."""


class Decided(BaseEvent, frozen=True, kw_only=True, tag="decided"):
    """A signal was decided on."""

    news = News(kind=NoticeKind.REFUSAL)
    data: DecisionRecord


# Approvals


class ApprovalEvent(BaseEvent, frozen=True, kw_only=True):
    """An approval has another status."""

    news: ClassVar[News | None] = News(kind=NoticeKind.APPROVAL)
    data: ApprovalRecord


class ApprovalQueued(ApprovalEvent, frozen=True, kw_only=True, tag="approval_queued"):
    """An opportunity waits for a person."""

    news = News(kind=NoticeKind.OPPORTUNITY)


class ApprovalApproved(ApprovalEvent, frozen=True, kw_only=True, tag="approval_approved"):
    """A person approved it; nothing was sent yet."""

    news = None  # what comes of it follows at once


class ApprovalRejected(ApprovalEvent, frozen=True, kw_only=True, tag="approval_rejected"):
    """A person rejected it."""


class ApprovalExpired(ApprovalEvent, frozen=True, kw_only=True, tag="approval_expired"):
    """Nobody answered in time."""


class ApprovalSuperseded(ApprovalEvent, frozen=True, kw_only=True, tag="approval_superseded"):
    """The market or a newer signal made it void."""


class ApprovalExecuted(ApprovalEvent, frozen=True, kw_only=True, tag="approval_executed"):
    """Its orders were sent."""


class ApprovalFailed(ApprovalEvent, frozen=True, kw_only=True, tag="approval_failed"):
    """It was approved, and nothing came to the market."""


ApprovalChange: TypeAlias = (
    ApprovalQueued
    | ApprovalApproved
    | ApprovalRejected
    | ApprovalExpired
    | ApprovalSuperseded
    | ApprovalExecuted
    | ApprovalFailed
)


def approval_event(approval: ApprovalRecord, at: datetime) -> ApprovalChange:
    """Return the event of *approval* with the status that it has now; its subject is the signal."""
    match approval.status:
        case ApprovalStatus.PENDING:
            event_type: type[ApprovalChange] = ApprovalQueued
        case ApprovalStatus.APPROVED:
            event_type = ApprovalApproved
        case ApprovalStatus.REJECTED:
            event_type = ApprovalRejected
        case ApprovalStatus.EXPIRED:
            event_type = ApprovalExpired
        case ApprovalStatus.SUPERSEDED:
            event_type = ApprovalSuperseded
        case ApprovalStatus.EXECUTED:
            event_type = ApprovalExecuted
        case ApprovalStatus.FAILED:
            event_type = ApprovalFailed
        case _:
            assert_never(approval.status)
    return event_type(at=at, subject=approval.opportunity.signal.signal_id, data=approval)


# Orders and fills


class Intent(Value, frozen=True, kw_only=True):
    """What is about to be sent."""

    bracket: BracketRecord | None = None
    orders: tuple[Order, ...]


class IntentWritten(BaseEvent, frozen=True, kw_only=True, tag="intent"):
    """Orders are on disk and will be sent next."""

    data: Intent


class OrderUpdated(BaseEvent, frozen=True, kw_only=True, tag="order_updated"):
    """An order has another status, or filled some more."""

    data: OrderRecord


class FillEvent(BaseEvent, frozen=True, kw_only=True):
    """Positions follow from a fill."""

    data: Fill


class FillBooked(FillEvent, frozen=True, kw_only=True, tag="fill"):
    """A fill was folded into positions."""


class FillCorrected(FillEvent, frozen=True, kw_only=True, tag="fill_corrected"):
    """The broker corrected a fill that was booked already."""


class EntryFill(Value, frozen=True, kw_only=True):
    """How much of an entry has filled: reported when its first part has, and when nothing more can come."""

    bracket: BracketRecord
    quantity: Quantity
    """Filled so far, all parts together."""

    price: Price
    """Mean of what filled."""

    is_complete: bool
    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""


class EntryFilled(Remark, frozen=True, kw_only=True, tag="entry_filled"):
    """An entry filled, or its first part."""

    news = News(kind=NoticeKind.ENTRY, priority=1)
    data: EntryFill


class Reduction(Value, frozen=True, kw_only=True):
    """A part of a position was closed; the rest is still held."""

    instrument: Instrument
    side: PositionSide
    quantity: Quantity
    """Units that this order closed."""

    remaining: Quantity
    entry_price: Price
    exit_price: Price
    pnl: Usd
    """Of what this order closed, before commissions."""

    pnl_pct: Decimal
    reason: str
    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""


class PositionReduced(Remark, frozen=True, kw_only=True, tag="position_reduced"):
    """A part of a position was closed."""

    news = News(kind=NoticeKind.EXIT, priority=1)
    data: Reduction


class RoundTripClosed(BaseEvent, frozen=True, kw_only=True, tag="round_trip_closed"):
    """A position is flat again."""

    news = News(kind=NoticeKind.EXIT, priority=1)
    data: RoundTrip


class RoundTripVoided(BaseEvent, frozen=True, kw_only=True, tag="round_trip_voided"):
    """A late or corrected fill undid a round trip."""

    data: RoundTrip


class LockEvent(BaseEvent, frozen=True, kw_only=True):
    """A lock began or ended."""

    news = News(kind=NoticeKind.TRADING_STATE)
    data: TradeLock


class TradeLocked(LockEvent, frozen=True, kw_only=True, tag="trade_locked"):
    """Closed trades led to a lock: nothing is opened in its subject until it ends."""


class TradeLockLifted(LockEvent, frozen=True, kw_only=True, tag="trade_lock_lifted"):
    """A person lifted a lock."""


class TradeLockVoided(LockEvent, frozen=True, kw_only=True, tag="trade_lock_voided"):
    """The trades that a lock came from turned out not to have lost."""


LockChange: TypeAlias = TradeLocked | TradeLockLifted | TradeLockVoided
"""What becomes of a lock."""


# Management of positions and of resting entries


class StopMove(Value, frozen=True, kw_only=True):
    """A stop stands nearer to the price."""

    client_order_id: str
    symbol: str
    why: str
    """``breakeven``, ``target``, ``trail``, or ``hand`` where a person wanted it."""

    from_price: Price
    to_price: Price
    price: Price
    """The latest price then."""

    r_multiple: Decimal
    """Profit in R then."""


class StopMoved(Remark, frozen=True, kw_only=True, tag="stop_moved"):
    """A stop was moved."""

    data: StopMove


class TrailStart(Value, frozen=True, kw_only=True):
    """A trailing stop was sent beside the stop it will replace."""

    client_order_id: str
    symbol: str
    replaces: str
    stop_price: Price
    trail_amount: Price
    price: Price
    r_multiple: Decimal


class TrailStarted(Remark, frozen=True, kw_only=True, tag="trail_started"):
    """A trailing stop was sent."""

    data: TrailStart


class StopReplacement(Value, frozen=True, kw_only=True):
    """A stop is gone, and the trailing one works in its place."""

    client_order_id: str
    symbol: str
    replaced_by: str


class StopReplaced(Remark, frozen=True, kw_only=True, tag="stop_replaced"):
    """The stop beside a trailing one was cancelled."""

    data: StopReplacement


class EntryEnd(Value, frozen=True, kw_only=True):
    """What was left of an entry was cancelled, as the stops of what it has bought are moved now."""

    client_order_ids: tuple[str, ...]
    symbol: str
    r_multiple: Decimal


class EntryEnded(Remark, frozen=True, kw_only=True, tag="entry_ended"):
    """The rest of an entry was cancelled."""

    data: EntryEnd


class RestoredTarget(Value, frozen=True, kw_only=True):
    """A limit close ended unfilled, and its target is back."""

    client_order_id: str
    symbol: str
    limit_price: Price
    quantity: Quantity


class TargetRestored(Remark, frozen=True, kw_only=True, tag="target_restored"):
    """A target was sent again."""

    data: RestoredTarget


class TimedClose(Value, frozen=True, kw_only=True):
    """A position, or a part of it, was closed because it was time."""

    symbol: str
    due: datetime
    quantity: Quantity
    exit_price: Price | None


class TimeExit(Remark, frozen=True, kw_only=True, tag="time_exit"):
    """A position was held as long as it may be."""

    data: TimedClose


class ExpiryExit(Remark, frozen=True, kw_only=True, tag="before_expiry"):
    """An option was closed before it expires."""

    data: TimedClose


class EndOfDayExit(Remark, frozen=True, kw_only=True, tag="end_of_day"):
    """A position was closed before the session ended."""

    data: TimedClose


class PriceStep(Value, frozen=True, kw_only=True):
    """The rest of a limit entry was sent again at another price."""

    symbol: str
    from_price: Price
    to_price: Price
    times: int
    filled: Quantity
    """What the decision had bought by then."""

    quantity: Quantity
    """What is sent now."""

    cancelled: tuple[str, ...]
    """Client order ids of the entries it takes the place of."""

    bracket: BracketRecord
    """The decision with its mean entry price as planned now."""


class Repriced(BaseEvent, frozen=True, kw_only=True, tag="repriced"):
    """A resting entry follows the price."""

    data: PriceStep


class RefusedStep(Value, frozen=True, kw_only=True):
    """A step that was due is not taken."""

    symbol: str
    from_price: Price
    to_price: Price
    is_over: bool
    """True: the entry was cancelled already, and its rest is given up."""

    reasons: tuple[Reason, ...]


class RepriceRefused(Remark, frozen=True, kw_only=True, tag="reprice_refused"):
    """A resting entry does not follow the price."""

    data: RefusedStep


ManagementStep: TypeAlias = (
    StopMoved
    | TrailStarted
    | StopReplaced
    | EntryEnded
    | TargetRestored
    | TimeExit
    | ExpiryExit
    | EndOfDayExit
    | Repriced
    | RepriceRefused
)
"""What is done to look after a position or a resting entry."""


# Books and broker


class BreakFound(Remark, frozen=True, kw_only=True, tag="reconciliation_break"):
    """Our books and the broker's differ."""

    news = News(kind=NoticeKind.RECONCILIATION, priority=1, emoji="🧮", words="Books differ")
    data: Break


class BooksEvent(BaseEvent, frozen=True, kw_only=True):
    """Our books were compared with the broker's, or follow them without a trade of ours."""


class Reconciled(BooksEvent, frozen=True, kw_only=True, tag="reconciled"):
    """The books were compared."""

    data: Reconciliation


class PositionIgnored(BooksEvent, frozen=True, kw_only=True, tag="position_ignored"):
    """A person said that a holding at the broker is not ours."""

    data: Ignored


class PositionSplit(BooksEvent, frozen=True, kw_only=True, tag="position_split"):
    """A split of what is held was taken over: quantities, prices and levels are those of after it."""

    data: SplitTaken


class PositionAdopted(BooksEvent, frozen=True, kw_only=True, tag="position_adopted"):
    """A holding at the broker was taken over with a plan."""

    data: BracketRecord


# Day trades and margin


class Imported(Value, frozen=True, kw_only=True):
    """What an import of executions changed."""

    added: int
    known: int
    """Executions that were there already, as own fills or from an earlier import."""

    too_old: int
    not_counted: int
    """Of markets that do not count: futures, currencies, coins; and rows that are no trades."""

    covered_since: str
    """Session date from which on all trades are known; empty when nothing is."""


class ImportedHistory(Value, frozen=True, kw_only=True):
    """What an import brought: enough to bring it again."""

    rows: tuple[Execution, ...]
    """As they stand in the state now."""

    imported: Imported


class HistoryImported(BooksEvent, frozen=True, kw_only=True, tag="history_imported"):
    """Executions of the whole account were imported."""

    data: ImportedHistory


class DayTradeWarning(AccountEvent, frozen=True, kw_only=True, tag="day_trade_warning"):
    """Day trades run out."""

    news = News(kind=NoticeKind.DAY_TRADES)
    data: DayTradeStatus


class DeficitEvent(AccountEvent, frozen=True, kw_only=True):
    """The margin level fell below zero, or is back."""

    data: DeficitRecord


class MarginDeficit(DeficitEvent, frozen=True, kw_only=True, tag="margin_deficit"):
    """The margin level fell below zero during the session."""


class MarginDeficitMet(DeficitEvent, frozen=True, kw_only=True, tag="margin_deficit_met"):
    """The level of an earlier deficit is zero or more again."""


# Learning


class LearningChange(Value, frozen=True, kw_only=True):
    """What changed: the new version where there is one, and where the learners stand afterwards."""

    message: str = ""
    """One sentence for people."""

    version: WeightsVersion | None = None
    before: Weights | None = None
    """What was in force until then."""

    proposal: WeightsVersion | None = None
    """What would have been put in force in the mode that only reports."""

    learning: LearningState


class LearningEvent(BaseEvent, frozen=True, kw_only=True):
    """The learners stand elsewhere."""

    data: LearningChange


class WeightsAdapted(LearningEvent, frozen=True, kw_only=True, tag="weight_adaptation"):
    """Other weights are in force."""

    news = News(kind=NoticeKind.ADAPTATION, priority=3, emoji="🎛️", words="Weights adapted")


class WeightsProposed(LearningEvent, frozen=True, kw_only=True, tag="weight_proposal"):
    """Other weights would be in force if learning did more than report."""


class LearningFrozen(LearningEvent, frozen=True, kw_only=True, tag="learning_frozen"):
    """Nothing is adapted any more."""


class LearningUnfrozen(LearningEvent, frozen=True, kw_only=True, tag="learning_unfrozen"):
    """Weights are adapted again."""


class LearningSuspended(LearningEvent, frozen=True, kw_only=True, tag="learning_suspended"):
    """Learning made results worse, and only reports from now on."""

    news = News(kind=NoticeKind.TRADING_STATE, priority=1, emoji="🎛️", words="Learning only reports now")


class FollowingEnded(BaseEvent, frozen=True, kw_only=True, tag="following_ended"):
    """It is known what a signal that was not taken would have brought, or that nothing says it."""

    data: FollowedEnd


# The session and apex itself


class SessionStarted(AccountEvent, frozen=True, kw_only=True, tag="session_started"):
    """The first run of a session reset the counters."""

    data: Counters


class CashMoved(AccountEvent, frozen=True, kw_only=True, tag="cash_moved"):
    """Money was paid in or taken out: the marks that losses are measured from moved with it."""

    data: CashFlow


class MarksReset(AccountEvent, frozen=True, kw_only=True, tag="marks_reset"):
    """A person took the account's present value for its highest and for the day's first."""

    data: CashFlow
    """Without an amount: from the highest value before to the value now, and why."""


class DaySummary(Value, frozen=True, kw_only=True):
    """One session in numbers."""

    session_date: str
    entries: int
    round_trips: int
    wins: int
    losses: int
    breakeven: int = 0
    """Closed without a gain or a loss before costs."""

    net_pnl: Usd
    commission: Usd
    best: str = ""
    worst: str = ""
    open_positions: int
    open_pnl: Usd
    unprotected: int
    approvals_pending: int
    equity: Usd
    change: Usd
    """Of equity since the session began."""


class DaySummarised(AccountEvent, frozen=True, kw_only=True, tag="daily_summary"):
    """A session is over."""

    news = News(kind=NoticeKind.SUMMARY, priority=3)
    data: DaySummary


class TradingStateChanged(BaseEvent, frozen=True, kw_only=True, tag="trading_state_changed"):
    """apex may do more or less than before."""

    news = News(kind=NoticeKind.TRADING_STATE)
    data: TradingState


class Alarm(Value, frozen=True, kw_only=True):
    """Something a person must know now."""

    code: str
    message: str = ""


class AlarmRaised(BaseEvent, frozen=True, kw_only=True, tag="alarm"):
    """A person must look."""

    news = News(kind=NoticeKind.ALARM, priority=1, emoji="🚨")
    data: Alarm


class RunOverdue(BaseEvent, frozen=True, kw_only=True, tag="run_overdue"):
    """No run has done its work for too long."""

    news = News(kind=NoticeKind.ALARM, priority=1, emoji="🚨")
    data: Alarm


class RequestMade(Remark, frozen=True, kw_only=True, tag="request_made"):
    """A command asked the process that holds the executor to do its work."""

    data: RequestRecord


class AgentCalled(Remark, frozen=True, kw_only=True, tag="agent_called"):
    """An agent asked for something; its subject is the signal, approval or security that this was about."""

    data: AgentCall


class StateRestored(Remark, frozen=True, kw_only=True, tag="state_restored"):
    """The state was rebuilt from a backup and the journal."""

    data: Restored


Event: TypeAlias = (
    SignalInvalid
    | SignalEnded
    | SignalRefused
    | Decided
    | ApprovalQueued
    | ApprovalApproved
    | ApprovalRejected
    | ApprovalExpired
    | ApprovalSuperseded
    | ApprovalExecuted
    | ApprovalFailed
    | IntentWritten
    | OrderUpdated
    | FillBooked
    | FillCorrected
    | EntryFilled
    | PositionReduced
    | RoundTripClosed
    | RoundTripVoided
    | TradeLocked
    | TradeLockLifted
    | TradeLockVoided
    | StopMoved
    | TrailStarted
    | StopReplaced
    | EntryEnded
    | TargetRestored
    | TimeExit
    | ExpiryExit
    | EndOfDayExit
    | Repriced
    | RepriceRefused
    | BreakFound
    | Reconciled
    | PositionIgnored
    | PositionAdopted
    | PositionSplit
    | HistoryImported
    | DayTradeWarning
    | MarginDeficit
    | MarginDeficitMet
    | WeightsAdapted
    | WeightsProposed
    | LearningFrozen
    | LearningUnfrozen
    | LearningSuspended
    | FollowingEnded
    | SessionStarted
    | CashMoved
    | MarksReset
    | DaySummarised
    | TradingStateChanged
    | AlarmRaised
    | RunOverdue
    | RequestMade
    | AgentCalled
    | StateRestored
)
"""Any event of this version."""


class UnreadEvent(Value, frozen=True, kw_only=True):
    """A line of the journal that is no event of this version: its kind is not known, or its data have another form."""

    seq: int
    at: datetime
    kind: str
    subject: str = ""
    data: msgspec.Raw
    why: str
    """What is wrong with *data*; empty when the kind is not known."""

    @property
    def event_type(self) -> type[Event] | None:
        """The class of its kind; None when the kind is not known."""
        return EVENT_TYPES.get(self.kind)


def kind_of(event_type: type[BaseEvent]) -> str:
    """Return what the journal calls events of this class.

    >>> kind_of(FillBooked)
    'fill'
    """
    return str(event_type.__struct_config__.tag)


def kinds_of(*event_types: type[BaseEvent]) -> frozenset[str]:
    """Return what the journal calls events of these classes."""
    return frozenset(map(kind_of, event_types))


SIGNAL_KINDS = kinds_of(Decided, SignalEnded, SignalInvalid)
"""Kinds of events that say what became of a signal."""

MOST_RECENT = 20
"""Signals in the list of recent ones."""


EVENT_TYPES: dict[str, type[Event]] = {kind_of(each): each for each in get_args(Event)}
"""The class of each kind."""


def read_event(row: OutboxRow) -> Event | UnreadEvent:
    """Return *row* as the event it is; lines of other versions come back as ``UnreadEvent``."""
    event_type = EVENT_TYPES.get(row.kind)
    why = ""
    if event_type is not None:
        try:
            data = _decoder(event_type)(row.data)
        except msgspec.DecodeError as error:
            why = str(error) or "its data cannot be read"
        else:
            return event_type(seq=row.seq, at=row.at, subject=row.subject, data=data)
    return UnreadEvent(seq=row.seq, at=row.at, kind=row.kind, subject=row.subject, data=row.data, why=why)


@cache
def _decoder(event_type: type[Event]) -> Callable[[msgspec.Raw], Any]:
    """Return the decoder of the event's data; built when its first event is read, as building all takes a while."""
    (field,) = (field for field in msgspec.structs.fields(event_type) if field.name == "data")
    return msgspec.json.Decoder(field.type).decode
