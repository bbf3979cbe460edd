"""The story of one signal, told by its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from apex_cli.core.decision.plan import explain_checks
from apex_cli.core.decision.record import DecidedEvent, SignalEndedEvent
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Check
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import ApprovalRecord, OutboxRow

R = TypeVar("R")


class Story(Value, frozen=True, kw_only=True):
    """Everything the journal has on one signal."""

    subject: str
    events: tuple[OutboxRow, ...]
    decisions: tuple[DecidedEvent, ...]
    checks: tuple[tuple[Check, ...], ...]
    """The checks of each decision, with limit and value of those that passed, too."""

    ended: tuple[SignalEndedEvent, ...]
    approvals: tuple[ApprovalRecord, ...]
    """Each state the approval went through."""

    orders: tuple[OrderRecord, ...]
    """The last word on each order."""

    fills: tuple[Fill, ...]
    round_trips: tuple[RoundTrip, ...]


SUBJECT_KINDS = frozenset({"decided", "signal_ended", "signal_invalid", "approval_queued", "intent", "fill"})
"""Kinds of events that tie an id to the signal it belongs to."""

ID_FIELDS = ("approval_id", "bracket_id", "client_order_id", "broker_order_id", "exec_id", "round_trip_id")
"""Fields whose value leads to the signal; a symbol does, too."""


def find_subjects(events: Iterable[OutboxRow], identity: str) -> tuple[str, ...]:
    """Return the subjects that *identity* stands for: itself, or those whose events name it."""
    needles = [f'"{field}":"{identity}"'.encode() for field in ID_FIELDS]
    needles += [f'"symbol":"{identity.upper()}"'.encode(), f"apex-{identity}-".encode()]
    exact: dict[str, None] = {}
    near: dict[str, None] = {}
    for event in events:
        if event.subject == identity:
            exact[event.subject] = None
        elif event.subject and event.kind in SUBJECT_KINDS:
            data = bytes(event.data)
            if any(needle in data for needle in needles):
                near[event.subject] = None
    return tuple(exact or near) if identity else ()


def story_of(subject: str, events: Iterable[OutboxRow]) -> Story:
    """Return the story in *events*, oldest first."""
    rows = tuple(events)
    decisions = tuple(_all(rows, "decided", DecidedEvent))
    return Story(
        subject=subject,
        events=rows,
        decisions=decisions,
        checks=tuple(map(_checks, decisions)),
        ended=tuple(_all(rows, "signal_ended", SignalEndedEvent)),
        approvals=tuple(
            msgspec.json.decode(r.data, type=ApprovalRecord) for r in rows if r.kind.startswith("approval_")
        ),
        orders=tuple({o.order.client_order_id: o for o in _all(rows, "order_updated", OrderRecord)}.values()),
        fills=tuple({f.key: f for kind in ("fill", "fill_corrected") for f in _all(rows, kind, Fill)}.values()),
        round_trips=_round_trips(rows),
    )


def _checks(event: DecidedEvent) -> tuple[Check, ...]:
    return explain_checks(
        event.opportunity,
        event.snapshot,
        event.limits,
        entry_price=event.decision.entry_price,
        quantity=event.quantity,
    )


def _round_trips(rows: Iterable[OutboxRow]) -> tuple[RoundTrip, ...]:
    """Return the last word on each round trip; one that a late fill undid is none."""
    trips: dict[str, RoundTrip] = {}
    for row in rows:
        if row.kind in {"round_trip_closed", "round_trip_voided"}:
            trip = msgspec.json.decode(row.data, type=RoundTrip)
            trips[trip.round_trip_id] = trip
            if row.kind == "round_trip_voided":
                del trips[trip.round_trip_id]
    return tuple(trips.values())


def _all(rows: Iterable[OutboxRow], kind: str, row_type: type[R]) -> list[R]:
    return [msgspec.json.decode(row.data, type=row_type) for row in rows if row.kind == kind]
