"""uvicorn with time limits: a request head that does not arrive, and endless connections, are cut off.

Starlette and uvicorn were chosen because the application is plain ASGI: whatever else speaks ASGI, such as a server of
the Model Context Protocol, can be mounted beside it. h11 reads requests strictly and holds no more of a head than it
is allowed to.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from apex_cli.listen.http_refusals import refusal_text, wrong_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp

HEAD_WITHIN_S = 10.0
"""How long a connection may take until its request's head is there."""

MOST_HEAD = 16_384
"""Bytes of a request's head."""

MOST_CONNECTIONS = 512
"""Connections at a time. When one more comes, the one that has said nothing for the longest time makes room."""

KEEP_ALIVE_S = 30
GRACE_S = 5


ERROR_HEADERS = ((b"content-type", b"application/json"), (b"connection", b"close"))


class OneWrite:
    """A transport that sends the head and the body of an answer together: half as many calls of the system."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to *transport*, at the end of the loop's turn."""
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep *data* until the turn is over."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Send what is kept, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        """Leave everything else to the transport."""
        return getattr(self._transport, name)


class PatientProtocol(H11Protocol):
    """One connection; it must have sent a whole head within some seconds, each time."""

    _patience: asyncio.TimerHandle | None = None
    _since = 0.0
    """When it last had something to say, by the loop's clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head; make room where there is none."""
        self._since = self.loop.time()
        super().connection_made(cast("asyncio.Transport", OneWrite(transport, self.loop)))
        self._patience = self.loop.call_later(HEAD_WITHIN_S, self._give_up)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def _make_room(self) -> None:
        """End the connection that has been silent for the longest time; this one, when all others are at work."""
        others = [each for each in self.connections if isinstance(each, PatientProtocol) and each.is_silent()]
        silent = min(others, key=lambda each: each._since, default=self)  # noqa: SLF001 - of another of this class
        silent.transport.close()
        self.connections.discard(silent)

    def is_silent(self) -> bool:
        """Return whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Read on; between two requests the head of the next has its time, too."""
        self._since = self.loop.time()
        super().data_received(data)
        if self._patience is None and self._waits_for_head():
            self._patience = self.loop.call_later(HEAD_WITHIN_S, self._give_up)
        elif self._patience is not None and not self._waits_for_head():
            self._patience.cancel()
            self._patience = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the envelope, too."""
        text = refusal_text(wrong_input(400, "no_http", "This is no request that this server understands.", why=msg))
        head = [*ERROR_HEADERS, (b"content-length", str(len(text)).encode())]
        response = h11.Response(status_code=400, headers=head, reason=b"Bad Request")
        for event in (response, h11.Data(data=text), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _waits_for_head(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and bool(self.conn.trailing_data[0]))

    def _give_up(self) -> None:
        self._patience = None
        if self._waits_for_head():
            self.transport.close()


class OwnSignals(uvicorn.Server):
    """A server that SIGINT and SIGTERM end in order, and that ends them: no exception follows."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End what is being answered, then the server; a second signal ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)


def make_server(app: ASGIApp, *, host: str, port: int, proxies: Sequence[str]) -> uvicorn.Server:
    """Return the server of *app*; it logs nothing by itself, as addresses may hold secrets.

    The addresses in *proxies* may say in X-Forwarded-For whom they speak for.
    """
    options: dict[str, Any] = {"forwarded_allow_ips": list(proxies)} if proxies else {}
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=bool(proxies),
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=MOST_HEAD,
        **options,
    )
    return OwnSignals(config)
