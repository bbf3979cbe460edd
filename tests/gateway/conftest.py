"""The three client libraries, unmodified, against a gateway in a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from kit.gateway import GatewayThread, running_gateway

PATIENCE = 30.0
"""Seconds that anything may take on a busy machine."""


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Set an event loop before a client library is imported: ib_insync needs one on Python 3.14."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(params=["ib_insync", "ib_async"])
def library(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> ModuleType:
    """Import one of the two."""
    asyncio.set_event_loop(loop)
    return import_module(request.param)


class Client:
    """A connected ``IB`` of either library, and a few words that the tests share."""

    def __init__(self, library: ModuleType, port: int, client_id: int, **how: Any) -> None:
        self.library = library
        self.ib: Any = library.IB()
        self.ib.RequestTimeout = PATIENCE
        self.errors: list[tuple[int, int]] = []
        self.ib.errorEvent += lambda number, code, *_: self.errors.append((number, code))
        self.ib.connect("127.0.0.1", port, clientId=client_id, timeout=how.pop("timeout", PATIENCE), **how)

    def stock(self, symbol: str = "AAPL") -> Any:
        (contract,) = self.ib.qualifyContracts(self.library.Stock(symbol, "SMART", "USD"))
        return contract

    def order(self, kind: str, action: str, quantity: float, **terms: Any) -> Any:
        """Return an order; *kind* as on the wire, GTC unless *terms* say otherwise."""
        return self.library.Order(
            orderId=self.ib.client.getReqId(),
            action=action,
            totalQuantity=quantity,
            orderType=kind,
            **{"tif": "GTC", **terms},
        )

    def place(self, order: Any, contract: Any = None) -> Any:
        return self.ib.placeOrder(contract or self.stock(), order)

    def bracket(self, quantity: int, entry: float, target: float, stop: float, **terms: Any) -> list[Any]:
        """Place an entry with a target and a stop, as one transmission; refs end in E, T1, S1."""
        parent = self.order("LMT", "BUY", quantity, lmtPrice=entry, transmit=False, orderRef="b-E", **terms)
        exits = {"parentId": parent.orderId, **terms}
        profit = self.order("LMT", "SELL", quantity, lmtPrice=target, transmit=False, orderRef="b-T1", **exits)
        loss = self.order("STP", "SELL", quantity, auxPrice=stop, transmit=True, orderRef="b-S1", **exits)
        contract = self.stock()
        return [self.place(order, contract) for order in (parent, profit, loss)]

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Poll until *condition* holds."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, f"waited in vain: {what}"
            with suppress(ConnectionError):  # a cut socket ends a running sleep
                self.ib.sleep(0.005)
        return found

    def sees(self, trade: Any, status: str, filled: float | None = None) -> None:
        """Wait for a status, and a filled quantity."""

        def holds() -> bool:
            reports = trade.orderStatus
            return reports.status == status and (filled is None or reports.filled == filled)

        self.until(holds, f"{status} {filled}, is {trade.orderStatus}")


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    with running_gateway(prices={"AAPL": "50.00", "MSFT": "400.00"}) as running:
        yield running


@pytest.fixture
def connect(
    library: ModuleType,
    gateway: GatewayThread,
    caplog: pytest.LogCaptureFixture,
    loop: asyncio.AbstractEventLoop,
) -> Iterator[Callable[..., Client]]:
    """Connect clients; at the end nothing may have been unreadable to them."""
    clients: list[Client] = []

    def connected(client_id: int = 7, *, to: GatewayThread = gateway, **how: Any) -> Client:
        client = Client(library, to.port, client_id, **how)
        clients.append(client)
        return client

    with caplog.at_level(logging.WARNING):
        yield connected
        for client in clients:
            client.ib.disconnect()
        loop.run_until_complete(asyncio.sleep(0.01))  # transports close one turn later
    assert [record for record in caplog.records if record.name.endswith("Decoder")] == []


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


@pytest.fixture(autouse=True)
def no_thread_dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail when the event loop of the gateway had to report an exception."""
    reported: list[str] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop,
        "call_exception_handler",
        lambda _, context: reported.append(f"{context.get('message')}: {context.get('exception')!r}"),
    )
    yield
    assert reported == []
