"""Orders: the terms we send, and what we know of their fate."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity


class OrderSide(StrEnum):
    """Direction of an order; positions are long or short."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> OrderSide:
        """The side that undoes this one."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is OrderSide.BUY else -1


class Meets(StrEnum):
    """When an order meets the price."""

    AT_ONCE = "at once"
    AT_LIMIT = "at its limit or better"
    AT_TRIGGER = "once its trigger is reached"
    FOLLOWING = "once its trigger is reached, which follows the best price"


class OrderTypeRow(Value, frozen=True, kw_only=True):
    """Everything that differs between order types; venue, broker adapter and gateway read it here."""

    wire: str
    """The word for it in Interactive Brokers' protocol."""

    needs_limit: bool
    """True: it has a worst acceptable price."""

    needs_stop: bool
    """True: it has a trigger from the start; a trailing stop may have one."""

    meets: Meets


class OrderType(StrEnum):
    """How an order meets the price: the table of order types, one row each."""

    row: OrderTypeRow

    def __new__(cls, value: str, row: OrderTypeRow) -> Self:
        """Make a member that carries its row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.row = row
        return member

    MARKET = "MARKET", OrderTypeRow(wire="MKT", needs_limit=False, needs_stop=False, meets=Meets.AT_ONCE)
    LIMIT = "LIMIT", OrderTypeRow(wire="LMT", needs_limit=True, needs_stop=False, meets=Meets.AT_LIMIT)
    STOP = "STOP", OrderTypeRow(wire="STP", needs_limit=False, needs_stop=True, meets=Meets.AT_TRIGGER)
    STOP_LIMIT = "STOP_LIMIT", OrderTypeRow(wire="STP LMT", needs_limit=True, needs_stop=True, meets=Meets.AT_TRIGGER)
    TRAIL = "TRAIL", OrderTypeRow(wire="TRAIL", needs_limit=False, needs_stop=False, meets=Meets.FOLLOWING)

    @property
    def is_stop(self) -> bool:
        """True when it waits for a trigger: what protects a position."""
        return self.row.meets in {Meets.AT_TRIGGER, Meets.FOLLOWING}


STOP_TYPES = frozenset(kind for kind in OrderType if kind.is_stop)
"""What protects a position."""


class TimeInForce(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    GTC = "GTC"


class OrderRole(StrEnum):
    """Why the order exists."""

    ENTRY = "ENTRY"
    STOP = "STOP"
    TARGET = "TARGET"
    CLOSE = "CLOSE"


class OrderStatus(StrEnum):
    """Our own states; *unknown* is one of them."""

    INTENT = "INTENT"
    """On disk, not known to have been sent."""

    UNKNOWN = "UNKNOWN"
    """Sent or perhaps sent; only the broker can tell."""

    WORKING = "WORKING"
    """Acknowledged by the broker: resting, held, or partly filled."""

    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    NEVER_SENT = "NEVER_SENT"
    """The broker proved that it never saw this intent."""

    @property
    def is_final(self) -> bool:
        """True when no more fills can come, corrections aside."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.NEVER_SENT,
    }
)


class Order(Value, frozen=True, kw_only=True):
    """The terms of one order, as sent."""

    client_order_id: str
    """Ours, ``apex-<ulid>-E|S1|T1``, known before sending; the broker echoes it."""

    bracket_id: str
    """The ULID inside *client_order_id*: the entry decision this order belongs to."""

    role: OrderRole
    tranche: int = 1
    """Which of several targets, from 1; legs of one tranche share an OCA group."""

    instrument: Instrument
    side: OrderSide
    order_type: OrderType
    quantity: Quantity
    limit_price: Price | None = None
    """Worst acceptable price (LIMIT, STOP_LIMIT)."""

    stop_price: Price | None = None
    """Trigger (STOP, STOP_LIMIT), or the initial trigger of a TRAIL."""

    trail_amount: Price | None = None
    """Distance a TRAIL keeps from the best price."""

    trail_fraction: Decimal | None = None
    """The same as a part of the best price, in (0, 1): 0.02 is 2 %. A TRAIL has one of the two."""

    time_in_force: TimeInForce = TimeInForce.DAY
    oca_group: str | None = None
    """One fills, the rest is cancelled or reduced."""

    parent_id: str | None = None
    """``client_order_id`` of the entry this leg waits for."""

    note: str = ""
    """Why a person closes; becomes the round trip's exit reason."""

    request_id: str = ""
    """The handed-over request it was made for."""

    reference_price: Price | None = None
    """Price the decision saw: slippage is measured against it, and the simulated broker
    starts from it where it has no market data."""


class OrderRecord(Value, frozen=True, kw_only=True):
    """One order with what we know of its fate: a row of the state."""

    order: Order
    status: OrderStatus = OrderStatus.INTENT
    filled_quantity: Quantity = Quantity(ZERO)
    average_price: Price | None = None
    """Mean price of what has filled."""

    broker_order_id: str | None = None
    reason: str = ""
    """Why it was cancelled or rejected, in words."""

    created_at: datetime
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """True while it may still fill, *unknown* included."""
        return self.status not in FINAL_STATUSES

    @property
    def open_quantity(self) -> Decimal:
        """What may still fill."""
        return self.order.quantity - self.filled_quantity if self.is_open else ZERO
