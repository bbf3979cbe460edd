"""Follows the end of the journal: the newest events once, then only what was added.

Reads no lock and no more than it must, so looking on costs the same at any length of history.
"""

from __future__ import annotations

from pathlib import Path

from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.model.delivery import Place
from apex_cli.core.model.records import OutboxRow

FIRST_LOOK_BYTES = 1 << 20
"""How far back the first look reads: some hundred events."""


class JournalTail:
    """The end of one journal; ``read`` gives each event once."""

    def __init__(self, folder: Path, *, first_look_bytes: int = FIRST_LOOK_BYTES) -> None:
        """Read nothing yet."""
        self._places = JournalPlaces(folder)
        self._first_look_bytes = first_look_bytes
        self._place: Place | None = None

    @property
    def last_seq(self) -> int:
        """Sequence number of the newest event that was given; 0 before the first look."""
        return self._place.seq if self._place is not None else 0

    def read(self) -> list[OutboxRow]:
        """Return the events that came since the last call, oldest first; lines that are no events are passed over.

        Raises:
            StateError: a file cannot be read.
        """
        if self._place is None:
            self._place = self._places.near_end(self._first_look_bytes)
        fresh: list[OutboxRow] = []
        while found := self._places.read(self._place):
            fresh.extend(event for event, _ in found)
            self._place = found[-1][1]
        return fresh
