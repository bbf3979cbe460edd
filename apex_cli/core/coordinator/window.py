"""Signals that wait for the end of a window, so that those that compete are ranked together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from apex_cli.core.ports import SignalBatch, SignalSource


class Waiting(NamedTuple):
    """A batch and where it came from; it is settled there once its signals are decided on."""

    source: SignalSource
    batch: SignalBatch


class Window:
    """Batches since the first of them came, until the time is over or a signal would expire."""

    def __init__(self, length: timedelta) -> None:
        """Wait for *length*; zero: for nothing."""
        self.length = length
        self._waiting: dict[tuple[object, ...], Waiting] = {}
        self._since: datetime | None = None

    def add(self, source: SignalSource, batch: SignalBatch, now: datetime) -> bool:
        """Take *batch* in; return whether it is new. A source may give the same one again until it is settled."""
        name = batch.token or (batch.name, *(signal.signal_id for signal in batch.signals))
        key = (id(source), name)
        is_new = key not in self._waiting
        self._waiting[key] = Waiting(source, batch)
        if self._since is None:
            self._since = now
        return is_new

    @property
    def due_at(self) -> datetime | None:
        """When it must be decided on; None while nothing waits. A signal is decided on before it expires."""
        if self._since is None:
            return None
        ends = [signal.expires_at for waiting in self._waiting.values() for signal in waiting.batch.signals]
        return min(self._since + self.length, *(end - timedelta(seconds=1) for end in ends))

    def take(self) -> Sequence[Waiting]:
        """Return everything that waits, and wait for nothing any more."""
        found = list(self._waiting.values())
        self._waiting.clear()
        self._since = None
        return found
