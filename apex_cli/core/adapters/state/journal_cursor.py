"""Reads the journal from a saved position. Notifications and screens are built from committed events only."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from apex_cli.core.adapters.atomic_file import state_errors
from apex_cli.core.adapters.state.journal import (
    MOST_LINE,
    UNREADABLE,
    bounded_lines,
    decode_event,
    file_names,
    open_journal_file,
)
from apex_cli.core.model.delivery import Place
from apex_cli.core.model.records import OutboxRow

CHUNK = 1 << 18
"""Bytes read at a time; a longer line is read whole."""

LONGEST_LOOK = 1 << 16
"""Bytes read back for the event before a place."""

FIRST_LOOK_BYTES = 1 << 20
"""How far back the first look of a ``JournalTail`` reads: some hundred events."""


class JournalPlaces:
    """Reads whole lines behind a place; lock-free, and indifferent to how long ago that was.

    A file that cannot be read raises ``StateError``.
    """

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        """Touch nothing yet."""
        self._folder = folder

    def end(self) -> Place:
        """Return the place behind everything there is now."""
        for name in reversed(file_names(self._folder)):
            places = deque((place for _, place in self._rows(name, 0)), maxlen=1)
            if places:
                return places[0]
        return Place()

    def near_end(self, size: int) -> Place:
        """Return a place between two events with at most *size* bytes behind it: the beginning, if there are less."""
        left = size
        for name in reversed(file_names(self._folder)):
            path = self._folder / name
            with state_errors(path):
                length = path.lstat().st_size
            if length > left:
                return self._place_at(name, length - left)
            left -= length
        return Place()

    def behind(self, seq: int) -> Place:
        """Return a place from which ``read`` continues with the first event above *seq*, found by bisection."""
        for name in reversed(file_names(self._folder)):
            first = next(self._rows(name, 0), None)
            if first is not None and first[0].seq <= seq:
                return Place(seq=seq, file=name, offset=self._offset_before(name, seq))
        return Place(seq=seq)

    def _offset_before(self, name: str, seq: int) -> int:
        """Return where a line of the file begins that no event above *seq* stands before."""
        path = self._folder / name
        with state_errors(path):
            low, high = 0, path.lstat().st_size
        while high - low > CHUNK:
            middle = self._place_at(name, (low + high) // 2)
            if middle.file != name or middle.seq > seq or not low < middle.offset < high:
                high = (low + high) // 2
            else:
                low = middle.offset
        return low

    def _place_at(self, name: str, offset: int) -> Place:
        """Return the place before the first event that begins at *offset* or later; the end when there is none."""
        path = self._folder / name
        with state_errors(path), open_journal_file(path) as file:
            file.seek(offset - 1)
            start = offset - 1 + next((length for _, length in bounded_lines(file)), 0)
        first = next(self._rows(name, start), None)
        return Place(seq=first[0].seq - 1, file=name, offset=start) if first else self.end()

    def read(self, after: Place) -> Sequence[tuple[OutboxRow, Place]]:
        """Return the next events behind *after*, each with the place behind it; empty when there is nothing new.

        No more than about ``CHUNK`` bytes of lines are held at a time. A line that is no event is passed over.
        """
        names = file_names(self._folder)
        for name in names[self._start(names, after) :]:
            offset = after.offset if name == after.file and self._is_line_start(name, after.offset) else 0
            found = self._read_file(name, offset, after.seq)
            is_gap = found[0][0].seq != after.seq + 1 if found else not self._ends_with(name, offset, after.seq)
            if offset and is_gap:
                found = self._read_file(name, 0, after.seq)  # the file was rewritten: offsets mean nothing any more
            if found:
                return found
        return ()

    @staticmethod
    def _start(names: Sequence[str], after: Place) -> int:
        """Return the index of the first file that may hold something new."""
        return names.index(after.file) if after.file in names else 0

    def _is_line_start(self, name: str, offset: int) -> bool:
        path = self._folder / name
        with state_errors(path), open_journal_file(path) as file:
            if offset > file.seek(0, os.SEEK_END):
                return False
            file.seek(max(0, offset - 1))
            return offset == 0 or file.read(1) == b"\n"

    def _ends_with(self, name: str, offset: int, seq: int) -> bool:
        """Return whether the event before *offset* is number *seq*; a line that cannot be read speaks for it."""
        path = self._folder / name
        with state_errors(path), open_journal_file(path) as file:
            start = max(0, offset - LONGEST_LOOK)
            file.seek(start)
            line = file.read(offset - start).rstrip(b"\n").rpartition(b"\n")[2]
        with suppress(*UNREADABLE):
            return decode_event(line).seq == seq
        return True

    def _read_file(self, name: str, offset: int, seq: int) -> list[tuple[OutboxRow, Place]]:
        """Return the events above *seq* of the first chunk of lines that holds any."""
        found: list[tuple[OutboxRow, Place]] = []
        size = 0
        last = offset
        for row, place in self._rows(name, offset):
            size += place.offset - last
            last = place.offset
            if row.seq > seq:
                found.append((row, place))
            if found and size >= CHUNK:
                break
        return found

    def _rows(self, name: str, offset: int) -> Iterator[tuple[OutboxRow, Place]]:
        """Yield the sound, whole lines of one file, a line at a time."""
        path = self._folder / name
        with state_errors(path), open_journal_file(path) as file:
            file.seek(offset)
            for line, length in bounded_lines(file):
                if not line.endswith(b"\n") and length <= MOST_LINE:
                    return
                offset += length
                with suppress(*UNREADABLE):
                    row = decode_event(line)
                    yield row, Place(seq=row.seq, file=name, offset=offset)


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
