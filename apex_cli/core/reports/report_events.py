"""The parts of events that a trade report reads; the rest of each payload is passed over when it is decoded."""

from __future__ import annotations

import msgspec

from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DecisionKind, Reason
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import OrderRole, OrderSide, OrderType
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import Counters, SignalOutcome


class SeenSignal(Value, frozen=True, kw_only=True):
    """The price a strategy saw."""

    entry_price: Price


class SeenOpportunity(Value, frozen=True, kw_only=True):
    """Whose signal it was."""

    signal: SeenSignal


class SeenDecision(Value, frozen=True, kw_only=True):
    """What was decided, and why not."""

    kind: DecisionKind
    signal_id: str
    reasons: tuple[Reason, ...] = ()


class SeenSnapshot(Value, frozen=True, kw_only=True):
    """The price a decision saw."""

    quote: Quote | None = None


class SeenDecided(Value, frozen=True, kw_only=True):
    """A decision with its prices."""

    opportunity: SeenOpportunity
    snapshot: SeenSnapshot
    decision: SeenDecision
    is_answer: bool = False


class SeenEnded(Value, frozen=True, kw_only=True):
    """A signal that never came to a decision."""

    outcome: SignalOutcome
    reasons: tuple[Reason, ...] = ()


class SeenRejected(Value, frozen=True, kw_only=True):
    """A row that was no signal."""

    reason: Reason


class SeenApproval(Value, frozen=True, kw_only=True):
    """How an approval ended."""

    status: str
    reason: str = ""


class SeenOrder(Value, frozen=True, kw_only=True):
    """The terms of an order."""

    client_order_id: str
    instrument: Instrument
    side: OrderSide
    role: OrderRole
    order_type: OrderType
    limit_price: Price | None = None
    stop_price: Price | None = None
    reference_price: Price | None = None


class SeenOrderRecord(Value, frozen=True, kw_only=True):
    """An order with what it has filled."""

    order: SeenOrder
    filled_quantity: Quantity = Quantity(ZERO)
    average_price: Price | None = None


DECODERS = {
    kind: msgspec.json.Decoder(payload).decode
    for kind, payload in (
        ("round_trip_closed", RoundTrip),
        ("decided", SeenDecided),
        ("signal_ended", SeenEnded),
        ("signal_invalid", SeenRejected),
        ("order_updated", SeenOrderRecord),
        ("fill", Fill),
        ("session_started", Counters),
        ("approval_rejected", SeenApproval),
        ("approval_expired", SeenApproval),
        ("approval_superseded", SeenApproval),
    )
}
"""How each kind of event is read."""
