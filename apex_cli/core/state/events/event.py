"""Every event of the journal: one class for each kind, with what happened (``data``) and whom it concerns.

A line of the journal is such an event: ``{"seq", "at", "kind", "subject", "data"}``. Who writes one calls
``State.emit``; who reads one calls ``read_event`` and matches on the class. A reader names every kind, by its class or
by its base, also those it has nothing to say of, and mypy reports the kind that it forgot. A kind that is news says so
itself (``news``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, get_args

import msgspec

from apex_cli.core.model.base import Value
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events import (
    account_events,
    approval_events,
    base_event,
    book_events,
    learning_events,
    management_events,
    operation_events,
    order_events,
    position_events,
    signal_events,
)
from apex_cli.core.state.events.base_event import kind_of

Event: TypeAlias = (
    signal_events.Event
    | approval_events.Event
    | order_events.Event
    | position_events.Event
    | management_events.Event
    | book_events.Event
    | account_events.Event
    | learning_events.Event
    | operation_events.Event
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


BesideTrades: TypeAlias = (
    base_event.Remark
    | learning_events.LearningEvent
    | learning_events.FollowingEnded
    | signal_events.SignalInvalid
    | signal_events.SignalRefused
    | order_events.IntentWritten
    | management_events.Repriced
    | book_events.BooksEvent
    | base_event.AccountEvent
    | position_events.LockEvent
    | operation_events.TradingStateChanged
    | operation_events.AlarmRaised
    | operation_events.RunOverdue
    | UnreadEvent
)
"""Events that add nothing to the decisions, orders, fills and trades of a signal."""


def pass_over(_event: BesideTrades) -> None:
    """Do nothing: mypy refuses a new kind of event here until somebody has said what it is to a reader of trades."""


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
