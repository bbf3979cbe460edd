"""The write-ahead log of the state: one short synced line a commit, where a synced file costs several times as much.

``state.wal`` starts with the boot of the machine that it belongs to and a whole state file. One line for each later
commit follows, then zeros, so that a line changes neither the size nor the place of the file. ``state.json`` is
replaced at every commit all the same, only nobody waits until it is on the disk, nor sends it there: what a process
renamed stays when the process dies. It may be lost, or be empty, when the machine stops. So in the boot it was written
in nothing is read from the log but where it ends, and after another boot it brings the file to its newest commit. Each
step must give the checksum that the file had then.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import Loaded, Meta
from apex_cli.core.model.records import OutboxRow

ROOM = 1 << 19
"""Bytes for lines, at least: some hundred commits."""

LONG_LINES = 16
"""For how many lines there is room where they are long."""

OUTBOX = "outbox"
"""The table that each line holds as a whole: the file forgets its rows once the journal has them."""

_FIRST = b"apex write-ahead log 1 "
_DIGITS = 8
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Changes = Mapping[str, Mapping[str, msgspec.Raw]]
"""New rows by table and key; ``GONE`` for those that are not there any more."""

GONE = msgspec.Raw(b"null")


_encode = msgspec.json.Encoder().encode
_decode_entry = msgspec.json.Decoder(tuple[Meta, dict[str, dict[str, msgspec.Raw]]]).decode
"""Reads a commit: what the first line of the file said, without the sums of its tables, and the changes."""


@cache
def boot_id() -> str:
    """Return the id of this boot of the machine; empty where the system does not say it."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class WriteAheadLog:
    """A log that this process writes; nobody else may, as the state's lock is held for each commit."""

    __slots__ = ("__weakref__", "_descriptor", "_path", "_place", "_room")

    def __init__(self, path: Path, place: int, room: int) -> None:
        """Open the log at *path*: the next line goes to *place*, and *room* bytes are left from there.

        Raises:
            StateError: it cannot be opened.
        """
        with atomic_file.state_errors(path):
            self._descriptor = atomic_file.open_for_writing(path, 0)
        weakref.finalize(self, os.close, self._descriptor)
        self._path = path
        self._place = place
        self._room = room

    def is_in_place(self) -> bool:
        """Return whether the file is still at its path, and has no other name.

        Another process may have ended the log, and a copy of the state by hard links shares it.
        """
        with suppress(OSError):
            found = self._path.lstat()
            return found.st_nlink == 1 and os.path.samestat(found, os.fstat(self._descriptor))
        return False

    def has_room(self, line: bytes) -> bool:
        """Return whether *line* fits, with a zero behind it."""
        return len(line) < self._room

    def write(self, line: bytes) -> None:
        """Write a line and wait until it is on the disk; ``keep`` or ``take_back`` comes next.

        Raises:
            OSError: it may not be there.
        """
        os.lseek(self._descriptor, self._place, os.SEEK_SET)
        atomic_file.write_all(self._descriptor, line, self._path)
        atomic_file.sync_data(self._descriptor, self._path)

    def keep(self, line: bytes) -> None:
        """Count *line* as there: the next one goes behind it."""
        self._place += len(line)
        self._room -= len(line)

    def take_back(self, line: bytes) -> None:
        """Blot out *line*, as its commit did not come about; the log must not be used again.

        Raises:
            OSError: it may still be there.
        """
        os.lseek(self._descriptor, self._place, os.SEEK_SET)
        os.write(self._descriptor, bytes(len(line)))
        os.fsync(self._descriptor)


def room_for(line: bytes) -> int:
    """Return the bytes for lines of a log whose predecessor had no room for *line*; empty where there was none."""
    return max(ROOM, LONG_LINES * len(line))


def begin_log(path: Path, data: bytes, *, room: int) -> WriteAheadLog:
    """Begin a log on *data*, a whole state file that is on the disk, with *room* bytes for lines.

    Raises:
        StateError: it could not be written.
    """
    first = _FIRST + boot_id().encode() + b" %d\n" % len(data)
    atomic_file.write_parts(path, (first, data, bytes(room)))
    return WriteAheadLog(path, len(first) + len(data), room)


def resume_log(path: Path, header: bytes) -> WriteAheadLog | None:
    """Return the log that a process of this boot left at *path*, to write behind its last line.

    None unless its newest version is the file whose first line is *header*, and nothing is behind it.

    Raises:
        StateError: it cannot be read.
    """
    found = _read(path, of_this_boot=True)
    if found is None:
        return None
    newest, used = b"", 0
    for line in _whole_lines(found.lines):
        newest, used = line, used + len(line) + 1
    room = len(found.lines) - used
    if found.lines[used:] != bytes(room):
        return None
    is_newest = _checksum_in(newest) == file_format.checksum_of(header) if newest else found.data.startswith(header)
    return WriteAheadLog(path, found.start + used, room) if is_newest else None


def encode_entry(meta: Meta, header: bytes, changes: Changes) -> bytes:
    """Return the line of a commit; *header* is the first line of the file as it becomes."""
    meta = msgspec.structs.replace(meta, parts=(), checksum=file_format.checksum_of(header))
    line = _encode((meta, changes))
    return b"%08x %s\n" % (crc32(line), line)


class Recovered(NamedTuple):
    """What a log of another boot leads to."""

    checksums: frozenset[str]
    """Of the versions it knows: the file it began with, and that of each commit."""

    newest: Loaded
    data: bytes
    """The newest version as a whole file."""

    events: tuple[OutboxRow, ...]
    """Events of all versions, in their order: the journal may have lost some."""


def recover(path: Path) -> Recovered | None:
    """Return what the log leads to; None when there is none, or it is of this boot.

    Raises:
        StateError: it cannot be read, or its lines do not lead where they should.
    """
    found = _read(path, of_this_boot=False)
    return None if found is None else _follow(found, path)


class _Content(NamedTuple):
    """What is in a log."""

    data: bytes
    """The file that it began with."""

    lines: bytes
    start: int
    """Where they begin."""


def _read(path: Path, *, of_this_boot: bool) -> _Content | None:
    """Return what is in the log at *path*; None when there is none, or its boot is not the one that is asked for."""
    with atomic_file.state_errors(path):
        try:
            descriptor = atomic_file.open_for_reading(path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            first = file.readline(256)
            words = first.split(b" ")
            if not boot_id() or of_this_boot is not (words[-2:-1] == [boot_id().encode()]):
                return None
            rest = file.read()
    if not first.startswith(_FIRST) or not words[-1].strip().isdigit():
        raise file_format.damaged(path, "its first line is not that of a write-ahead log")
    size = int(words[-1])
    return _Content(rest[:size], rest[size:], len(first) + size)


def _follow(log: _Content, path: Path) -> Recovered:
    """Apply each whole line to the file that the log began with."""
    data = log.data
    found = file_format.decode_state(data, path)
    checksums, events = [found.meta.checksum], _events_of(found)
    tables = {name: (raw, file_format.decode_raw(raw)) for name, raw in found.tables.items()}
    for line in _whole_lines(log.lines):
        meta, changes = _decode_entry(line[_DIGITS + 1 :])
        for name, changed in changes.items():
            rows = {} if name == OUTBOX else tables[name][1] if name in tables else {}
            for key, row in changed.items():
                if row == GONE:
                    rows.pop(key, None)
                else:
                    rows[key] = row
            tables[name] = (msgspec.Raw(_encode(rows)), rows)
        parts = [file_format.encode_part(name, raw) for name, (raw, _) in tables.items()]
        header, pieces = file_format.encode_state(meta, parts)
        if file_format.checksum_of(header) != meta.checksum:
            raise file_format.damaged(path, f"its lines do not lead to generation {meta.generation}")
        data = b"".join((header, *pieces))
        found = file_format.decode_state(data, path)
        checksums.append(found.meta.checksum)
        events += _events_of(found)
    return Recovered(frozenset(checksums), found, data, tuple(events))


def _whole_lines(lines: bytes) -> Iterator[bytes]:
    """Yield the lines up to the first one that is not whole: that one was never reported as done.

    Each is a checksum and what ``_decode_entry`` reads.
    """
    start, end = 0, lines.find(b"\n")
    while end >= 0:
        line = lines[start:end]
        if line[:_DIGITS] != b"%08x" % crc32(line[_DIGITS + 1 :]):
            return
        yield line
        start, end = end + 1, lines.find(b"\n", end + 1)


def _checksum_in(line: bytes) -> str:
    """Return which version of the file a line leads to; empty where it says nothing of it."""
    with suppress(msgspec.DecodeError):
        return _decode_entry(line[_DIGITS + 1 :])[0].checksum
    return ""


def _events_of(loaded: Loaded) -> list[OutboxRow]:
    return list(msgspec.json.decode(loaded.tables.get(OUTBOX, b"{}"), type=dict[str, OutboxRow]).values())
