"""Follows the end of the journal: the newest events once, then only what was added.

Reads no lock and no more than it must, so looking on costs the same at any length of history.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import state_errors
from apex_cli.core.adapters.journal import Journal
from apex_cli.core.model.records import OutboxRow

FIRST_LOOK_BYTES = 1 << 20
"""How far back the first look reads: some hundred events."""

_decode = msgspec.json.Decoder(OutboxRow).decode


class JournalTail:
    """The end of one journal; ``read`` gives each event once."""

    def __init__(self, journal: Journal, *, first_look_bytes: int = FIRST_LOOK_BYTES) -> None:
        """Read nothing yet."""
        self._journal = journal
        self._first_look_bytes = first_look_bytes
        self._file = ""
        self._offset = 0
        self.last_seq = 0
        """Sequence number of the newest event that was given."""

    def read(self) -> list[OutboxRow]:
        """Return the events that came since the last call, oldest first; lines that are no events are passed over.

        Raises:
            StateError: a file cannot be read.
        """
        files = self._journal.files()
        if not self._file:
            files = self._start(files)
        fresh: list[OutboxRow] = []
        for path in files:
            if path.name >= self._file:
                fresh.extend(event for event in self._read_on(path) if event.seq > self.last_seq)
        if fresh:
            self.last_seq = fresh[-1].seq
        return fresh

    def _start(self, files: list[Path]) -> list[Path]:
        """Stand as far before the end as the first look goes, and return the files from there on."""
        left = self._first_look_bytes
        for number in range(len(files) - 1, -1, -1):
            with state_errors(files[number]):
                size = files[number].stat().st_size
            if size >= left or number == 0:
                self._file, self._offset = files[number].name, max(0, size - left)
                self._skip_part_of_a_line(files[number])
                return files[number:]
            left -= size
        return []

    def _skip_part_of_a_line(self, path: Path) -> None:
        if self._offset:
            with state_errors(path), path.open("rb") as file:
                file.seek(self._offset - 1)
                self._offset += len(file.readline()) - 1

    def _read_on(self, path: Path) -> Iterator[OutboxRow]:
        """Yield what *path* has behind the place reached; a line without its end is not there yet."""
        offset = self._offset if path.name == self._file else 0
        with state_errors(path), path.open("rb") as file:
            if file.seek(0, 2) < offset:  # a repair made it shorter
                offset = 0
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                try:
                    yield _decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
        self._file, self._offset = path.name, offset
