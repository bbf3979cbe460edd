from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRole, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
ROLES = {"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}
PRICES = ("limit_price", "stop_price", "trail_amount")


def make_order(name: str, side: str, kind: str, quantity: str = "10", **terms: Any) -> Order:
    for price in PRICES:
        if price in terms:
            terms[price] = Price(Decimal(terms[price]))
    terms.setdefault("instrument", make_instrument("AAPL"))
    terms.setdefault("time_in_force", TimeInForce.GTC)
    return Order(
        client_order_id=name,
        bracket_id="b",
        role=ROLES[name[0]],
        side=OrderSide(side),
        order_type=OrderType[kind],
        quantity=Quantity(Decimal(quantity)),
        **terms,
    )


def make_bracket(side: str = "BUY", stop: str = "98", target: str = "104", **entry: Any) -> list[Order]:
    exit_side = "SELL" if side == "BUY" else "BUY"
    kind = entry.pop("kind", "MARKET")
    quantity = entry.pop("quantity", "10")
    exits = {"quantity": quantity, "parent_id": "E", "oca_group": "oca"}
    return [
        make_order("E", side, kind, quantity, **entry),
        make_order("S", exit_side, "STOP", stop_price=stop, **exits),
        make_order("T", exit_side, "LIMIT", limit_price=target, **exits),
    ]


def make_bar(prices: str, minute: int = 0, volume: str = "0", symbol: str = "AAPL") -> Bar:
    open_, high, low, close = (Price(Decimal(price)) for price in prices.split())
    start = T0 + timedelta(minutes=minute)
    end = start + timedelta(minutes=1)
    return Bar(symbol=symbol, start=start, end=end, open=open_, high=high, low=low, close=close, volume=Decimal(volume))


def tell(events: Any) -> list[str]:
    """Events as words: fills ``S 10@98``, states ``S FILLED``."""
    words = []
    for event in events:
        if isinstance(event, Fill):
            words.append(f"{event.client_order_id} {event.quantity}@{event.price}")
        elif isinstance(event, OrderUpdate):
            words.append(f"{event.client_order_id} {event.status}")
    return words


@pytest.fixture
def order() -> Callable[..., Order]:
    return make_order


@pytest.fixture
def bracket() -> Callable[..., list[Order]]:
    return make_bracket


@pytest.fixture
def bar() -> Callable[..., Bar]:
    return make_bar


@pytest.fixture
def reported() -> Callable[[Any], list[str]]:
    return tell
