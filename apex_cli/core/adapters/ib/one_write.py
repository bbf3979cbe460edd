"""Several messages of the protocol as one write to the socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Gathered:
    """Stands in for the library's connection, and keeps what it is given to send."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def sendMsg(self, message: bytes) -> None:  # noqa: N802 - the library's name
        """Keep *message*."""
        self.messages.append(message)


@contextmanager
def in_one_write(client: Any) -> Iterator[None]:  # noqa: ANN401 - the client of either library
    """Send everything that *client* is given inside with one write, at the end.

    Messages that leave together cannot be cut apart by the end of this process. Nothing leaves when the block raises.
    """
    connection, gathered = client.conn, _Gathered()
    client.conn = gathered
    try:
        yield
    finally:
        client.conn = connection
    if gathered.messages:
        connection.sendMsg(b"".join(gathered.messages))
