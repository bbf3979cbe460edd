"""The Interactive Brokers adapter against a paper venue on this computer, for tests that talk over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.ib_config import IbConfig
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.ports import Clock

Answer = TypeVar("Answer")
GENEROUS_S = 30.0
LOOK_S = 0.005
PREFIX = "apex-b1-"
AAPL = make_instrument("AAPL")
ROLES = {"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}


class Session:
    """A broker with an event loop of its own, that runs only while something is asked of it."""

    def __init__(
        self, port: int, clock: Clock, *, read_only: bool = False, books: Mapping[str, Any] | None = None, **terms: Any
    ) -> None:
        """Prepare a broker for the venue at *port*; *terms* are fields of ``IbConfig``, *books* what it asks."""
        self.config = replace(IbConfig(port=port), **terms)
        self.broker = IbBroker(self.config, clock, read_only=read_only, **books or {})
        self._runner = asyncio.Runner()
        self._is_closed = False

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run *work* to its end."""
        return self._runner.run(work)

    def settled(self) -> list[BrokerEvent]:
        """Wait until everything the venue has said is taken in and nothing is in doubt; return the events."""
        self.run(self._settle())
        return list(self.broker.drain())

    async def _settle(self) -> None:
        async with asyncio.timeout(GENEROUS_S):
            await self.broker.server_time()
            while self.broker.is_in_doubt:  # noqa: ASYNC110 - who waits here is not part of what is tested
                await asyncio.sleep(LOOK_S)
            await self.broker.server_time()

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Let the loop run until *is_done*."""
        self.run(self._wait(is_done))

    @staticmethod
    async def _wait(is_done: Callable[[], bool]) -> None:
        async with asyncio.timeout(GENEROUS_S):
            while not is_done():  # noqa: ASYNC110 - who waits here is not part of what is tested
                await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """End connection and loop; safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self.run(self.broker.close())
        self._runner.close()

    def drop(self) -> None:
        """End as after kill -9: the socket closes, nothing is said."""
        self.close()


def order(name: str, side: str, kind: str, **terms: Any) -> Order:
    """Return an order called ``apex-b1-<name>``, GTC, for 10 AAPL unless *terms* say otherwise."""
    for price in ("limit_price", "stop_price", "trail_amount", "reference_price"):
        if terms.get(price) is not None:
            terms[price] = Price(Decimal(terms[price]))
    parent = terms.pop("parent", None)
    given: dict[str, Any] = {
        "client_order_id": PREFIX + name,
        "bracket_id": "b1",
        "role": ROLES[name[0]],
        "instrument": AAPL,
        "side": OrderSide(side),
        "order_type": OrderType[kind],
        "quantity": Quantity(Decimal(terms.pop("quantity", 10))),
        "time_in_force": TimeInForce.GTC,
        "parent_id": PREFIX + parent if parent else None,
    }
    return Order(**{**given, **terms})


def bracket(kind: str = "MARKET", **entry: Any) -> list[Order]:
    """Return an entry with a stop at 98 and a target at 104."""
    return [
        order("E", "BUY", kind, **entry),
        order("S", "SELL", "STOP", stop_price="98", parent="E", oca_group="g"),
        order("T", "SELL", "LIMIT", limit_price="104", parent="E", oca_group="g"),
    ]


def short(name: str) -> str:
    """Return a client order id without its prefix."""
    return name.removeprefix(PREFIX)


def fills(events: Iterable[BrokerEvent]) -> list[tuple[str, Decimal, Decimal]]:
    """Return order, quantity and price of each fill."""
    return [(short(e.client_order_id), e.quantity, e.price) for e in events if isinstance(e, Fill)]


def states(events: Iterable[BrokerEvent]) -> dict[str, OrderStatus]:
    """Return the last status of each order."""
    return {short(e.client_order_id): e.status for e in events if isinstance(e, OrderUpdate)}


def reasons(events: Iterable[BrokerEvent]) -> dict[str, str]:
    """Return the last reason of each order."""
    return {short(e.client_order_id): e.reason for e in events if isinstance(e, OrderUpdate)}
