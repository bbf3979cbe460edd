"""The Interactive Brokers adapter against a paper venue on this computer, for tests that talk over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.config import IbConfig
from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.ports import Clock

Answer = TypeVar("Answer")
GENEROUS_S = 30.0
LOOK_S = 0.005


class Session:
    """A broker with an event loop of its own, that runs only while something is asked of it."""

    def __init__(self, port: int, clock: Clock, *, read_only: bool = False, **terms: Any) -> None:  # noqa: ANN401 - fields of IbConfig
        """Prepare a broker for the venue at *port*; *terms* are fields of ``IbConfig``."""
        self.config = replace(IbConfig(port=port), **terms)
        self.broker = IbBroker(self.config, clock, read_only=read_only)
        self._runner = asyncio.Runner()

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

    def close(self) -> None:
        """End connection and loop."""
        self.run(self.broker.close())
        self._runner.close()

    def drop(self) -> None:
        """End as after kill -9: the socket closes, nothing is said."""
        self.close()
