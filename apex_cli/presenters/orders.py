"""Orders, for people and for scripts."""

from __future__ import annotations

from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Cell, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, facts, words
from apex_cli.presenters.screen.formats import number, price, units

STATUS_TONES = {
    OrderStatus.UNKNOWN: Tone.BAD,
    OrderStatus.REJECTED: Tone.BAD,
    OrderStatus.NEVER_SENT: Tone.WARN,
    OrderStatus.FILLED: Tone.GOOD,
}

ORDERS = Table[OrderRecord](
    Column("client_order_id", "Order", lambda r: r.order.client_order_id, rank=LAST, place=1),
    Column("bracket_id", value=lambda r: r.order.bracket_id),
    Column("symbol", "Symbol", lambda r: r.order.instrument.key, shown=bold),
    Column("role", "Role", lambda r: r.order.role, shown=str.lower, rank=SECOND),
    Column("side", "Side", lambda r: r.order.side),
    Column("order_type", "Type", lambda r: r.order.order_type, shown=words, rank=SECOND),
    Column(
        "quantity",
        "Filled",
        lambda r: number(r.order.quantity),
        cell=lambda r: f"{units(r.filled_quantity)}/{units(r.order.quantity)}",
        is_right=True,
    ),
    Column("filled_quantity", value=lambda r: number(r.filled_quantity)),
    Column("average_price"),
    Column("limit_price", "Limit", lambda r: r.order.limit_price, shown=price, is_right=True),
    Column("stop_price", "Stop", lambda r: r.order.stop_price, shown=price, is_right=True),
    Column(
        "time_in_force",
        "TIF",
        lambda r: r.order.time_in_force,
        cell=lambda r: r.order.order_type.row.wire.tif or r.order.time_in_force,
        rank=THIRD,
    ),
    Column("oca_group", value=lambda r: r.order.oca_group),
    Column("parent_id", value=lambda r: r.order.parent_id),
    Column("status", "Status", cell=lambda r: Cell(order_status(r), STATUS_TONES.get(r.status, Tone.PLAIN))),
    *facts("reason", "broker_order_id", "created_at", "updated_at"),
    empty="No working orders.",
)


def order_status(record: OrderRecord) -> str:
    """Return the status, and what the broker holds a working order for."""
    status = record.status.replace("_", " ").lower()
    return f"{status}, {record.reason.partition(',')[0]}" if record.is_held else status
