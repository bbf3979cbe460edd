"""The JSON of answers over HTTP, as types."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class TakenSignal(TypedDict):
    """One signal that was taken: it is safely kept, or was before."""

    signal_id: str
    status: str
    symbol: str
    key: str
    signal_type: str
    strategy: str
    expires_at: datetime
    where: str


class TakenSignals(TypedDict):
    """``POST /signals/{source}``."""

    signals: list[TakenSignal]
    refused: int


class Health(TypedDict):
    """``GET /health``."""

    waiting: int
    running: str
    last_run_at: datetime | None
    trading_state: str
    last_event: int


class Events(TypedDict):
    """``apex events``: its last line."""

    events: int
    last: int


HTTP_DATA = {"listen signals": TakenSignals, "listen health": Health}
"""The type of ``data`` by the envelope's command, where it is no command's own."""
