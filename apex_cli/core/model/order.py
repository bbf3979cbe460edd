"""Orders: the terms that are sent, and the known state of each."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple, Self, assert_never

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.side import OrderSide


class Meets(StrEnum):
    """On which condition an order is executed."""

    AT_ONCE = "at once"
    AT_LIMIT = "at its limit or better"
    AT_TRIGGER = "once its trigger is reached"
    FOLLOWING = "once its trigger is reached, which follows the best price"

    @property
    def is_stop(self) -> bool:
        """True when it waits for the price to turn against the order: to rise before a purchase."""
        match self:
            case Meets.AT_ONCE | Meets.AT_LIMIT:
                return False
            case Meets.AT_TRIGGER | Meets.FOLLOWING:
                return True
            case _:
                assert_never(self)


class Phase(StrEnum):
    """The part of a session in which an order meets the market."""

    ANY = "any time"
    OPENING = "opening"
    CLOSING = "closing"


class Wire(NamedTuple):
    """How Interactive Brokers' protocol names an order type."""

    word: str
    """``orderType``."""

    tif: str = ""
    """``tif``, where it makes the type: OPG, at the opening."""

    algo: str = ""
    """``algoStrategy``, where there is one."""


class OrderTypeRow(Value, frozen=True, kw_only=True):
    """Everything that differs between order types; venue, entries, broker adapter and gateway read it here."""

    wire: Wire
    meets: Meets
    needs_limit: bool = False
    """True: it has a limit price."""

    needs_stop: bool = False
    """True: it has a trigger price from the start; a trailing stop may have one."""

    phase: Phase = Phase.ANY
    """When it may fill; outside of it the order waits, and what the auction does not fill expires."""

    @property
    def trails(self) -> bool:
        """True when its trigger follows the best price, at a distance."""
        return self.meets is Meets.FOLLOWING

    @property
    def has_trigger(self) -> bool:
        """True when it waits for a trigger; then it is a limit order if it has a limit, else a market order."""
        return self.needs_stop or self.trails


class OrderType(StrEnum):
    """How an order meets the price: the table of order types, one row each."""

    row: OrderTypeRow
    is_stop: bool
    """True when it waits for the price to turn against it: what protects a position."""

    def __new__(cls, value: str, row: OrderTypeRow) -> Self:
        """Make a member that carries its row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.row, member.is_stop = row, row.meets.is_stop
        return member

    MARKET = "MARKET", OrderTypeRow(wire=Wire("MKT"), meets=Meets.AT_ONCE)
    LIMIT = "LIMIT", OrderTypeRow(wire=Wire("LMT"), meets=Meets.AT_LIMIT, needs_limit=True)
    STOP = "STOP", OrderTypeRow(wire=Wire("STP"), meets=Meets.AT_TRIGGER, needs_stop=True)
    STOP_LIMIT = (
        "STOP_LIMIT",
        OrderTypeRow(wire=Wire("STP LMT"), meets=Meets.AT_TRIGGER, needs_stop=True, needs_limit=True),
    )
    TRAIL = "TRAIL", OrderTypeRow(wire=Wire("TRAIL"), meets=Meets.FOLLOWING)
    MARKET_ON_CLOSE = "MARKET_ON_CLOSE", OrderTypeRow(wire=Wire("MOC"), meets=Meets.AT_ONCE, phase=Phase.CLOSING)
    LIMIT_ON_CLOSE = (
        "LIMIT_ON_CLOSE",
        OrderTypeRow(wire=Wire("LOC"), meets=Meets.AT_LIMIT, needs_limit=True, phase=Phase.CLOSING),
    )
    MARKET_ON_OPEN = (
        "MARKET_ON_OPEN",
        OrderTypeRow(wire=Wire("MKT", tif="OPG"), meets=Meets.AT_ONCE, phase=Phase.OPENING),
    )
    LIMIT_ON_OPEN = (
        "LIMIT_ON_OPEN",
        OrderTypeRow(wire=Wire("LMT", tif="OPG"), meets=Meets.AT_LIMIT, needs_limit=True, phase=Phase.OPENING),
    )
    ADAPTIVE_MARKET = "ADAPTIVE_MARKET", OrderTypeRow(wire=Wire("MKT", algo="Adaptive"), meets=Meets.AT_ONCE)
    ADAPTIVE_LIMIT = (
        "ADAPTIVE_LIMIT",
        OrderTypeRow(wire=Wire("LMT", algo="Adaptive"), meets=Meets.AT_LIMIT, needs_limit=True),
    )


_BY_WIRE = {kind.row.wire: kind for kind in OrderType}


def type_on_wire(word: str, tif: str = "", algo: str = "") -> OrderType | None:
    """Return the order type that the protocol names so; None for one that is not ours.

    >>> type_on_wire("MKT", "DAY"), type_on_wire("MKT", "OPG"), type_on_wire("MIT")
    (<OrderType.MARKET: 'MARKET'>, <OrderType.MARKET_ON_OPEN: 'MARKET_ON_OPEN'>, None)
    """
    return _BY_WIRE.get(Wire(word, "OPG" if tif == "OPG" else "", algo))


class EntryOrder(StrEnum):
    """How entries meet the market: the order types that may open a position."""

    MARKET = "market"
    LIMIT = "limit"
    MARKET_ON_CLOSE = "market_on_close"
    LIMIT_ON_CLOSE = "limit_on_close"
    MARKET_ON_OPEN = "market_on_open"
    LIMIT_ON_OPEN = "limit_on_open"
    ADAPTIVE_MARKET = "adaptive_market"
    ADAPTIVE_LIMIT = "adaptive_limit"

    @cached_property
    def order_type(self) -> OrderType:
        """The order type of the same name."""
        return OrderType[self.name]

    @cached_property
    def has_limit(self) -> bool:
        """True when the entry pays the signal's price at most."""
        return self.order_type.row.needs_limit

    def terms_at(self, price: Price) -> dict[str, Any]:
        """Return type and prices of an entry at *price*, as fields of an order."""
        row = self.order_type.row
        prices = {"limit_price": row.needs_limit, "stop_price": row.needs_stop}
        return {"order_type": self.order_type, **{name: price for name, is_needed in prices.items() if is_needed}}


class TimeInForce(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    """Until a time: ``Order.good_till``."""


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
    """Sent or perhaps sent; only the broker knows."""

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
    """Highest price to buy at, lowest to sell at; of a type with a limit."""

    stop_price: Price | None = None
    """Trigger price, of a type that has one; the first trigger of a TRAIL."""

    trail_amount: Price | None = None
    """Distance a TRAIL keeps from the best price."""

    trail_fraction: Decimal | None = None
    """The same as a part of the best price, in (0, 1): 0.02 is 2 %. A TRAIL has one of the two."""

    time_in_force: TimeInForce = TimeInForce.DAY
    good_till: datetime | None = None
    """End of a GTD order, aware UTC."""

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


class Exchange(Value, frozen=True, kw_only=True):
    """Orders that leave in one piece with what makes room for them, so that nothing happens in between."""

    orders: tuple[Order, ...]
    """What is sent, on disk as intents already."""

    cancel: tuple[str, ...] = ()
    """Client order ids of working orders that go."""

    change: tuple[Order, ...] = ()
    """Working orders with their new terms."""

    beside: tuple[str, ...] = ()
    """Client order ids of the working orders whose OCA group *orders* join."""


MEANWHILE = "an exit has filled meanwhile"
"""Why an exchange was not made: its orders were meant for more than is held by now."""

HELD = "held: "
"""How the reason of an order begins with which the broker waits."""


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

    is_pdt_refusal: bool = False
    """The broker refused it as a potential pattern day trade."""

    created_at: datetime
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """True while it may still fill, *unknown* included."""
        return self.status not in FINAL_STATUSES

    @property
    def is_held(self) -> bool:
        """True while the broker waits with a working order, such as for shares to borrow: *reason* says for what."""
        return self.status is OrderStatus.WORKING and self.reason.startswith(HELD)

    @property
    def open_quantity(self) -> Decimal:
        """What may still fill."""
        return self.order.quantity - self.filled_quantity if self.is_open else ZERO
