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
    Column("client_order_id", lambda r: r.order.client_order_id, "Order", rank=LAST, place=1),
    Column("bracket_id", lambda r: r.order.bracket_id),
    Column("symbol", lambda r: r.order.instrument.key, "Symbol", shown=bold),
    Column("role", lambda r: r.order.role, "Role", shown=str.lower, rank=SECOND),
    Column("side", lambda r: r.order.side, "Side"),
    Column("order_type", lambda r: r.order.order_type, "Type", shown=lambda kind: kind.replace("_", " "), rank=SECOND),
    Column(
        "quantity",
        lambda r: number(r.order.quantity),
        "Filled",
        cell=lambda r: f"{units(r.filled_quantity)}/{units(r.order.quantity)}",
        is_right=True,
    ),
    Column("filled_quantity", lambda r: number(r.filled_quantity)),
    Column("average_price", lambda r: r.average_price),
    Column("limit_price", lambda r: r.order.limit_price, "Limit", shown=price, is_right=True),
    Column("stop_price", lambda r: r.order.stop_price, "Stop", shown=price, is_right=True),
    Column(
        "time_in_force",
        lambda r: r.order.time_in_force,
        "TIF",
        cell=lambda r: r.order.order_type.row.wire.tif or r.order.time_in_force,
        rank=THIRD,
    ),
    Column("oca_group", lambda r: r.order.oca_group),
    Column("parent_id", lambda r: r.order.parent_id),
    Column(
        "status", lambda r: r.status, "Status", cell=lambda r: Cell(_status(r), STATUS_TONES.get(r.status, Tone.PLAIN))
    ),
    Column("reason", lambda r: r.reason),
    Column("broker_order_id", lambda r: r.broker_order_id),
    Column("created_at", lambda r: r.created_at),
    Column("updated_at", lambda r: r.updated_at),
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
