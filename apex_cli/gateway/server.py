"""The gateway itself: a hub that listens on a loopback port."""

from __future__ import annotations

import asyncio

from apex_cli.gateway.hub import Hub
from apex_cli.gateway.requests import request_of
from apex_cli.gateway.session import Session

LOOPBACK = "127.0.0.1"


class Gateway(Hub):
    """Accepts clients and gives each a session."""

    _server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self, request_of), host, port, reuse_address=True)
        self.commit()
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            self.cut_all()
            await self._server.wait_closed()
            await asyncio.sleep(0)  # transports close one turn later
            self._server = None
