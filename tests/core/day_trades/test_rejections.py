from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apex_cli.core.adapters.state.memory_store import MemoryStore
from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.booking import book_update

NOW = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "is_pdt_refusal", "remembered"),
    [
        (OrderStatus.REJECTED, True, "2026-03-03"),
        (OrderStatus.REJECTED, False, ""),
        (OrderStatus.CANCELLED, True, ""),
    ],
)
def test_the_session_of_a_pattern_day_trade_refusal_is_remembered(
    status: OrderStatus, is_pdt_refusal: bool, remembered: str
) -> None:
    order = Order(
        client_order_id="apex-01ARZ3NDEKTSV4RRFFQ69G5FAV-E",
        bracket_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        role=OrderRole.ENTRY,
        instrument=make_instrument("AAPL"),
        side=OrderSide.BUY,
        order_type=OrderType.MARKET,
        quantity=Quantity(Decimal(1)),
    )
    store = MemoryStore()
    with store.transaction() as tx:
        tx.orders[order.client_order_id] = OrderRecord(order=order, created_at=NOW, updated_at=NOW)
        update = OrderUpdate(
            client_order_id=order.client_order_id, status=status, at=NOW, reason="no", is_pdt_refusal=is_pdt_refusal
        )
        book_update(tx, update, NOW)
    assert store.view().counters.pdt_rejected_on == remembered
