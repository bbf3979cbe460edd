"""The story of one signal, reported by its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from apex_cli.core.decision.kept_inputs import whole_record
from apex_cli.core.decision.plan import explain_checks
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Check
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import ApprovalRecord, OutboxRow
from apex_cli.core.model.spelling import canonical_ticker
from apex_cli.core.model.wording import shared_start
from apex_cli.core.reports.activity import Activity, activity_of
from apex_cli.core.state.events import (
    approval_events,
    base_event,
    order_events,
    position_events,
    signal_events,
)
from apex_cli.core.state.events.event import Event, UnreadEvent, pass_over, read_event
from apex_cli.core.state.events.signal_events import MOST_RECENT, SIGNAL_KINDS, DecisionRecord, SignalEnd


class Story(Value, frozen=True, kw_only=True):
    """Everything the journal has on one signal."""

    subject: str
    events: tuple[OutboxRow, ...]
    decisions: tuple[DecisionRecord, ...]
    checks: tuple[tuple[Check, ...], ...]
    """The checks of each decision, with limit and value of those that passed, too."""

    ended: tuple[SignalEnd, ...]
    approvals: tuple[ApprovalRecord, ...]
    """Each state the approval went through."""

    orders: tuple[OrderRecord, ...]
    """The last word on each order."""

    fills: tuple[Fill, ...]
    round_trips: tuple[RoundTrip, ...]


SUBJECT_KINDS = base_event.kinds_of(
    signal_events.Decided,
    signal_events.SignalEnded,
    signal_events.SignalInvalid,
    approval_events.ApprovalQueued,
    order_events.IntentWritten,
    order_events.FillBooked,
)
"""Kinds of events that tie an id to the signal it belongs to."""

ID_FIELDS = ("approval_id", "bracket_id", "client_order_id", "broker_order_id", "exec_id", "round_trip_id")
"""Event fields that identify a signal. A symbol also matches."""


LEAST_LETTERS = 4
"""Letters that the beginning of a signal's id has at least."""


def recent_signals(rows: Iterable[OutboxRow]) -> tuple[Activity, ...]:
    """Return the last word on each of the most recent signals, the newest first."""
    found: dict[str, Activity] = {}
    for row in rows:
        if row.subject and row.kind in SIGNAL_KINDS:
            line = activity_of(row)
            if line is not None:
                found.pop(row.subject, None)
                found[row.subject] = line
    return tuple(reversed(found.values()))[:MOST_RECENT]


def find_recent(recent: Sequence[Activity], name: str) -> str | None:
    """Return the subject of the recent signal that *name* is the number, or the only beginning, of.

    A beginning has at least four letters after those that all recent signals have in common.
    """
    if name.isdecimal() and 0 < int(name) <= len(recent):
        return recent[int(name) - 1].subject
    subjects = [line.subject for line in recent]
    common = shared_start(subjects)
    near = [s for s in subjects if s.startswith(name) or s[common:].startswith(name)]
    return near[0] if len(near) == 1 and len(name) >= LEAST_LETTERS else None


def find_subjects(rows: Iterable[OutboxRow], identity: str) -> tuple[str, ...]:
    """Return the subjects that *identity* stands for: itself, or those whose events name it."""
    needles = [f'"{field}":"{identity}"'.encode() for field in ID_FIELDS]
    name = canonical_ticker(identity).partition("@")[0]
    names = dict.fromkeys((identity.upper(), name, *(name.replace(".", mark) for mark in " /-")))
    needles += [*(f'"symbol":"{name}"'.encode() for name in names), f"apex-{identity}-".encode()]
    exact: dict[str, None] = {}
    near: dict[str, None] = {}
    is_security = True
    for row in rows:
        if row.subject == identity:
            exact[row.subject] = None
            is_security = is_security and row.kind not in SUBJECT_KINDS
        elif row.subject and row.kind in SUBJECT_KINDS:
            data = bytes(row.data)
            if any(needle in data for needle in needles):
                near[row.subject] = None
    return tuple((near if is_security and near else exact) or near) if identity else ()


Find = Callable[[int], OutboxRow | None]
"""Returns the event of a number; None when there is none."""


def story_of(subject: str, rows: Iterable[OutboxRow], find: Find) -> Story:
    """Return the story in *rows*, oldest first; lines of other versions stand in ``events`` alone.

    *find* looks for the events that a decision refers to for its inputs.
    """
    kept = tuple(rows)
    reported = _News()
    for row in kept:
        reported.hear(read_event(row))
    return Story(
        subject=subject,
        events=kept,
        decisions=tuple(reported.decisions),
        checks=tuple(_checks(record, find) for record in reported.decisions),
        ended=tuple(reported.ended),
        approvals=tuple(reported.approvals),
        orders=tuple(reported.orders.values()),
        fills=tuple(reported.fills.values()),
        round_trips=tuple(reported.round_trips.values()),
    )


class _News:
    """The parts of a story, collected event by event; of orders, fills and round trips the last word counts."""

    def __init__(self) -> None:
        self.decisions: list[DecisionRecord] = []
        self.ended: list[SignalEnd] = []
        self.approvals: list[ApprovalRecord] = []
        self.orders: dict[str, OrderRecord] = {}
        self.fills: dict[str, Fill] = {}
        self.round_trips: dict[str, RoundTrip] = {}

    def hear(self, event: Event | UnreadEvent) -> None:
        match event:
            case signal_events.Decided(data=record):
                self.decisions.append(record)
            case signal_events.SignalEnded(data=end):
                self.ended.append(end)
            case approval_events.ApprovalEvent(data=approval):
                self.approvals.append(approval)
            case order_events.OrderUpdated(data=order):
                self.orders[order.order.client_order_id] = order
            case order_events.FillEvent(data=fill):
                self.fills[fill.key] = fill
            case position_events.RoundTripClosed(data=trip):
                self.round_trips.pop(trip.round_trip_id, None)
                self.round_trips[trip.round_trip_id] = trip
            case position_events.RoundTripVoided(data=trip):
                self.round_trips.pop(trip.round_trip_id, None)
            case _:
                pass_over(event)


def _checks(record: DecisionRecord, find: Find) -> tuple[Check, ...]:
    """Return the checks of a decision; those it kept itself when its inputs are not to be had any more."""
    row = find(record.kept.base) if record.kept is not None else None
    base = read_event(row) if row is not None else None
    try:
        whole = whole_record(record, base.data if isinstance(base, signal_events.Decided) else None)
    except ValueError:
        return record.decision.checks
    return explain_checks(
        whole.opportunity,
        whole.snapshot,
        whole.limits,
        entry_price=whole.decision.entry_price,
        quantity=whole.quantity,
    )
