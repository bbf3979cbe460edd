"""Signals: not readable, ended, refused, decided."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Decision, Exposure, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalOutcome, SignalRecord
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.state.events.base_event import BaseEvent, kinds_of


class SignalInvalid(BaseEvent, frozen=True, kw_only=True, tag="signal_invalid"):
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


SIGNAL_KINDS = kinds_of(Decided, SignalEnded, SignalInvalid)
"""Kinds of events that say what became of a signal."""


MOST_RECENT = 20
"""Signals in the list of recent ones."""


Event: TypeAlias = SignalInvalid | SignalEnded | SignalRefused | Decided
"""Any event of this module."""
