"""Orders, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold
from apex_cli.presenters.screen.formats import number, price, units

STATUS_TONES = {
    OrderStatus.UNKNOWN: Tone.BAD,
    OrderStatus.REJECTED: Tone.BAD,
    OrderStatus.NEVER_SENT: Tone.WARN,
    OrderStatus.FILLED: Tone.GOOD,
}

ORDERS = Table[OrderRecord](
    Column(key="client_order_id", value=lambda r: r.order.client_order_id, title="Order", rank=LAST, place=1),
    Column(key="bracket_id", value=lambda r: r.order.bracket_id),
    Column(key="symbol", value=lambda r: r.order.instrument.key, title="Symbol", shown=bold),
    Column(key="role", value=lambda r: r.order.role, title="Role", shown=str.lower, rank=SECOND),
    Column(key="side", value=lambda r: r.order.side, title="Side"),
    Column(
        key="order_type",
        value=lambda r: r.order.order_type,
        title="Type",
        shown=lambda kind: kind.replace("_", " "),
        rank=SECOND,
    ),
    Column(
        key="quantity",
        value=lambda r: number(r.order.quantity),
        title="Filled",
        cell=lambda r: Cell(f"{units(r.filled_quantity)}/{units(r.order.quantity)}"),
        is_right=True,
    ),
    Column(key="filled_quantity", value=lambda r: number(r.filled_quantity)),
    Column(key="average_price", value=lambda r: r.average_price),
    Column(key="limit_price", value=lambda r: r.order.limit_price, title="Limit", shown=price, is_right=True),
    Column(key="stop_price", value=lambda r: r.order.stop_price, title="Stop", shown=price, is_right=True),
    Column(
        key="time_in_force",
        value=lambda r: r.order.time_in_force,
        title="TIF",
        cell=lambda r: Cell(r.order.order_type.row.wire.tif or r.order.time_in_force),
        rank=THIRD,
    ),
    Column(key="oca_group", value=lambda r: r.order.oca_group),
    Column(key="parent_id", value=lambda r: r.order.parent_id),
    Column(
        key="status",
        value=lambda r: r.status,
        title="Status",
        cell=lambda r: Cell(_status(r), STATUS_TONES.get(r.status, Tone.PLAIN)),
    ),
    Column(key="reason", value=lambda r: r.reason),
    Column(key="broker_order_id", value=lambda r: r.broker_order_id),
    Column(key="created_at", value=lambda r: r.created_at),
    Column(key="updated_at", value=lambda r: r.updated_at),
    empty="No working orders.",
)


def _status(record: OrderRecord) -> str:
    """Return the status, and what the broker holds a working order for."""
    status = record.status.replace("_", " ").lower()
    return f"{status}, {record.reason.partition(',')[0]}" if record.is_held else status


def orders_data(records: Iterable[OrderRecord]) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"orders": [ORDERS.data(record) for record in records]}


def orders_blocks(records: Sequence[OrderRecord], handles: Mapping[str, str]) -> tuple[Block, ...]:
    """Return the orders as a table, each behind its handle, which is kept by ``client_order_id``."""
    return (ORDERS.grid(records, handles=[handles[record.order.client_order_id] for record in records]),)
