"""The books of the venue: working objects for speed, and one value to keep them in."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerOrder, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderStatus, OrderType
from apex_cli.core.model.side import OrderSide

LIMIT = OrderType.LIMIT
MARKET = OrderType.MARKET


ONCE_TRIGGERED = {kind: LIMIT if kind.row.needs_limit else MARKET for kind in OrderType}
"""How an order works that waits for no trigger, or no longer."""

WORKS_AS = {kind: kind if kind.row.has_trigger else ONCE_TRIGGERED[kind] for kind in OrderType}
"""How an order meets the market once it may: an adaptive order, or one of an auction, as a market or limit order."""


class VenueOrder(Value, frozen=True, kw_only=True):
    """One order with its venue state, as kept."""

    order: Order
    """Terms as last submitted or modified; *quantity* and *trigger* below are what counts now."""

    number: int
    """The venue's own number, rising."""

    status: OrderStatus
    kind: OrderType
    """How it works now: a triggered order is a MARKET order, or a LIMIT order if it has a limit."""

    quantity: Quantity
    filled_quantity: Quantity = Quantity(ZERO)
    filled_value: Decimal = ZERO
    """Sum of price * quantity * multiplier."""

    commission: Usd = Usd(ZERO)
    trigger: Price | None = None
    rank: int = 0
    """Place among the orders that meet the market; 0 while held, or while it waits for its auction."""

    updated_at: datetime
    reason: str = ""


class VenueGroup(Value, frozen=True, kw_only=True):
    """One OCA group, as kept."""

    name: str
    parent_id: str | None = None
    size: Quantity
    filled: Quantity = Quantity(ZERO)
    allowed: Quantity | None = None
    is_done: bool = False


class VenuePosition(Value, frozen=True, kw_only=True):
    """A net holding."""

    instrument: Instrument
    quantity: Quantity
    """Negative when short."""


class VenuePrice(Value, frozen=True, kw_only=True):
    """The last price of one instrument."""

    price: Price
    at: datetime
    volume: Decimal | None = None
    """Of the bar that it is the close of."""


class VenueBook(Value, frozen=True, kw_only=True):
    """Everything a matching engine knows: restore it and the future is the same."""

    cash: Usd
    base: str = HOME_CURRENCY
    """The account's currency."""

    foreign: dict[str, Decimal] = {}
    """Cash in other currencies than the account's."""

    rates: dict[str, Decimal] = {}
    """Account currency for one unit of each other currency."""

    positions: tuple[VenuePosition, ...] = ()
    orders: tuple[VenueOrder, ...] = ()
    groups: tuple[VenueGroup, ...] = ()
    fills: tuple[Fill, ...] = ()
    prices: dict[str, VenuePrice] = {}
    last_number: int = 0
    last_rank: int = 0
    last_execution: int = 0
    now: datetime | None = None
    """Latest time the venue has seen."""


class OcaGroup:
    """Orders of which one's fill cancels or reduces the others."""

    __slots__ = ("allowed", "busy", "filled", "is_done", "legs", "name", "parent_id", "seq", "size")

    def __init__(self, name: str, parent_id: str | None) -> None:
        """Start without legs; a group of children may fill nothing before its parent does."""
        self.name = name
        self.parent_id = parent_id
        self.legs: list[WorkingOrder] = []
        self.size = ZERO
        self.filled = ZERO
        self.allowed: Decimal | None = None if parent_id is None else ZERO
        """Most that all legs together may ever fill; None without bound."""

        self.is_done = False
        self.seq = 0
        self.busy: WorkingOrder | None = None
        """The leg that filled partly in event *seq*: it blocks the others until the next."""

    def dump(self) -> VenueGroup:
        """Return the value to keep."""
        allowed = None if self.allowed is None else Quantity(self.allowed)
        return VenueGroup(
            name=self.name,
            parent_id=self.parent_id,
            size=Quantity(self.size),
            filled=Quantity(self.filled),
            allowed=allowed,
            is_done=self.is_done,
        )


class WorkingOrder:
    """One order as the engine works with it."""

    __slots__ = (
        "accepted_at",
        "cap_left",
        "commission",
        "filled",
        "fires_above",
        "group",
        "groups",
        "id",
        "is_buy",
        "key",
        "kind",
        "level",
        "number",
        "order",
        "phase",
        "quantity",
        "rank",
        "reason",
        "seq",
        "status",
        "trails",
        "trigger",
        "updated_at",
        "value",
        "wait_seq",
    )

    def __init__(self, order: Order, key: str, number: int, at: datetime) -> None:
        """Take the terms of *order*; it is held until it gets a rank."""
        self.order = order
        self.id = order.client_order_id
        self.key = key
        self.number = number
        self.is_buy = order.side is OrderSide.BUY
        self.status = OrderStatus.WORKING
        self.quantity: Decimal = order.quantity
        self.filled: Decimal = ZERO
        self.value: Decimal = ZERO
        self.commission: Decimal = ZERO
        self.trigger: Price | None = order.stop_price
        self.rank = 0
        self.group: OcaGroup | None = None
        self.groups: list[OcaGroup] | None = None
        """Groups of its children, in the order they get its fills."""

        self.accepted_at = self.updated_at = at
        self.reason = ""
        self.seq = 0
        self.cap_left: Decimal = ZERO
        self.wait_seq = 0
        self.phase = order.order_type.row.phase
        self.become(WORKS_AS[order.order_type])

    def become(self, kind: OrderType) -> None:
        """Work as *kind* from now on: what price it waits for, and from which side."""
        row = kind.row
        self.kind, self.trails = kind, row.trails
        self.level = self.trigger if row.has_trigger else self.order.limit_price if row.needs_limit else None
        self.fires_above = self.is_buy is row.meets.is_stop

    def update(self) -> OrderUpdate:
        """Return the venue's word on this order."""
        return OrderUpdate(
            client_order_id=self.id,
            status=self.status,
            broker_order_id=str(self.number),
            quantity=Quantity(self.quantity),
            stop_price=self.trigger,
            at=self.updated_at,
            reason=self.reason,
        )

    def as_broker_order(self) -> BrokerOrder:
        """Return the order with its terms, for those who compare."""
        terms = self.order
        return BrokerOrder(
            client_order_id=self.id,
            broker_order_id=str(self.number),
            placed_by="apex",
            instrument=terms.instrument,
            side=terms.side,
            order_type=terms.order_type,
            quantity=Quantity(self.quantity),
            filled_quantity=Quantity(self.filled),
            limit_price=terms.limit_price,
            stop_price=self.trigger,
            oca_group=terms.oca_group or "",
            is_ours_to_cancel=True,
        )

    def dump(self) -> VenueOrder:
        """Return the value to keep."""
        return VenueOrder(
            order=self.order,
            number=self.number,
            status=self.status,
            kind=self.kind,
            quantity=Quantity(self.quantity),
            filled_quantity=Quantity(self.filled),
            filled_value=self.value,
            commission=Usd(self.commission),
            trigger=self.trigger,
            rank=self.rank,
            updated_at=self.updated_at,
            reason=self.reason,
        )

    @classmethod
    def restored(cls, kept: VenueOrder) -> WorkingOrder:
        """Return the working object of a kept order, without its groups."""
        order = cls(kept.order, kept.order.instrument.key, kept.number, kept.updated_at)
        order.status = kept.status
        order.quantity = kept.quantity
        order.filled = kept.filled_quantity
        order.value = kept.filled_value
        order.commission = kept.commission
        order.trigger = kept.trigger
        order.rank = kept.rank
        order.reason = kept.reason
        order.become(kept.kind)
        return order
