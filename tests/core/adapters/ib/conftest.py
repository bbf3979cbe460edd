"""A paper venue on this computer, spoken to over TCP by the unmodified client libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from apex_cli.core.model.limits import CommissionPlan
from kit import FixedClock
from kit.gateway import GatewayThread
from kit.ib import Session


@pytest.fixture(params=["ib_insync", "ib_async"])
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 2, 15, 0, tzinfo=UTC))


@pytest.fixture
def open_gateway(clock: FixedClock) -> Iterator[Callable[..., GatewayThread]]:
    """Start gateways; what still runs at the end is ended."""
    running: list[GatewayThread] = []

    def opened(**how: Any) -> GatewayThread:
        given = {"prices": {"AAPL": "100"}, "plan": CommissionPlan.NONE, "now": clock.now, **how}
        gateway = GatewayThread(**given)
        running.append(gateway)
        gateway.start()
        return gateway

    yield opened
    for gateway in running:
        gateway.close()


@pytest.fixture
def gateway(open_gateway: Callable[..., GatewayThread]) -> GatewayThread:
    return open_gateway()


@pytest.fixture
def connect(clock: FixedClock, library: str) -> Iterator[Callable[..., Session]]:
    """Connect brokers; what still is connected at the end is closed."""
    running: list[Session] = []

    def connected(port: int, *, read_only: bool = False, is_connected: bool = True, **terms: Any) -> Session:
        session = Session(port, clock, read_only=read_only, **{"library": library, **terms})
        running.append(session)
        if is_connected:
            session.run(session.broker.connect())
        return session

    yield connected
    for session in running:
        session.close()


@pytest.fixture
def session(gateway: GatewayThread, connect: Callable[..., Session]) -> Session:
    """A broker that is connected to ``gateway``."""
    return connect(gateway.port)
