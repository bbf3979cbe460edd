"""What a broker or a venue tells of orders: one word for every floor."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderStatus


class OrderUpdate(Value, frozen=True, kw_only=True):
    """The broker's word on one order."""

    client_order_id: str
    status: OrderStatus
    broker_order_id: str | None = None
    quantity: Quantity | None = None
    """Total quantity as the broker has it now: OCA and modifications change it."""

    stop_price: Price | None = None
    """Trigger as the broker has it now: a trailing stop moves it."""

    at: datetime
    reason: str = ""


BrokerEvent = OrderUpdate | Fill
