"""Reports of a broker or a venue about orders."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import OrderStatus, OrderType
from apex_cli.core.model.side import OrderSide

OTHER_ACCOUNT = "The broker's account is not the one that this state was made with."
RIGHT_ACCOUNT = "Log in to the right account, or use another state.dir for this one."


class OrderUpdate(Value, frozen=True, kw_only=True):
    """The broker's word on one order."""

    client_order_id: str
    status: OrderStatus
    broker_order_id: str | None = None
    quantity: Quantity | None = None
    """Total quantity as the broker has it now: OCA and modifications change it."""

    limit_price: Price | None = None
    """Limit as the broker has it now: it may have been rounded to the broker's own price steps."""

    stop_price: Price | None = None
    """Trigger as the broker has it now: a trailing stop moves it."""

    at: datetime
    reason: str = ""
    is_change_refused: bool = False
    """The order works on with its old terms: the change that was asked for was refused."""

    is_pdt_refusal: bool = False
    """It was refused as a potential pattern day trade."""


BrokerEvent = OrderUpdate | Fill


class BrokerOrder(Value, frozen=True, kw_only=True):
    """A working order with its terms as the broker has them, whoever placed it."""

    client_order_id: str = ""
    """Empty when apex did not place it."""

    broker_order_id: str
    """The broker's own number: survives restarts on either side."""

    placed_by: str = ""
    """Where it comes from, for people: ``client 7``, ``TWS``."""

    instrument: Instrument
    side: OrderSide
    order_type: OrderType | None
    """None for a kind apex does not use."""

    quantity: Quantity
    filled_quantity: Quantity = Quantity(ZERO)
    limit_price: Price | None = None
    stop_price: Price | None = None
    oca_group: str = ""
    is_ours_to_cancel: bool
    """True when this connection may cancel it."""


class Holding(Value, frozen=True, kw_only=True):
    """A position as the broker has it."""

    instrument: Instrument
    quantity: Quantity
    """Signed: negative is short."""

    average_price: Price | None = None
    """Mean entry price as the broker counts, commissions perhaps included."""


class BrokerSnapshot(Value, frozen=True, kw_only=True):
    """Everything the broker knows of us at one moment."""

    is_complete: bool
    """False when any part failed or timed out: then absence proves nothing."""

    missing: tuple[str, ...] = ()
    """What is missing, in words."""

    account_id: str = ""
    """Which account it is; empty where the broker did not report it. Kept and shown only without its middle."""

    orders: tuple[OrderUpdate, ...] = ()
    """Open and completed orders of all clients."""

    fills: tuple[Fill, ...] = ()
    positions: dict[str, Quantity] = {}
    """Signed quantity by ``Instrument.key``."""

    holdings: tuple[Holding, ...] = ()
    """The same positions with their instruments."""

    working: tuple[BrokerOrder, ...] = ()
    """Every order that may still fill, of all clients and of the broker's own screens."""

    foreign_fills: tuple[Fill, ...] = ()
    """Executions that apex did not ask for: counted as day trades, never folded into our positions."""
