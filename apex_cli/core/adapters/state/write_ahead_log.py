"""The write-ahead log of the state: one short synced line a commit, where a synced file costs several times as much.

``state.wal`` starts with the boot of the machine that it belongs to and a whole state file. One line for each later
commit follows, then zeros, so that a line changes neither the size nor the place of the file. ``state.json`` is
replaced at every commit all the same, only nobody waits until it is on the disk, nor sends it there: what a process
renamed stays when the process dies. It may be lost, or be empty, when the machine stops. So the log means nothing in
the boot it was written in, and after another boot it brings the file to its newest commit. Each step must give the
checksum that the file had then.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
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
"""Bytes for lines: some hundred commits."""

OUTBOX = "outbox"
"""The table that each line holds as a whole: the file forgets its rows once the journal has them."""

_FIRST = b"apex write-ahead log 1 "
_DIGITS = 8
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Changes = Mapping[str, Mapping[str, msgspec.Raw]]
"""New rows by table and key; ``GONE`` for those that are not there any more."""

GONE = msgspec.Raw(b"null")


_encode = msgspec.json.Encoder().encode


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

    def __init__(self, path: Path, data: bytes) -> None:
        """Begin a log on *data*, a whole state file that is on the disk.

        Raises:
            StateError: it could not be written.
        """
        first = _FIRST + boot_id().encode() + b" %d\n" % len(data)
        atomic_file.write_parts(path, (first, data, bytes(ROOM)))
        with atomic_file.state_errors(path):
            self._descriptor = atomic_file.open_for_writing(path, 0)
        weakref.finalize(self, os.close, self._descriptor)
        self._path = path
        self._place = len(first) + len(data)
        self._room = ROOM

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
    with atomic_file.state_errors(path):
        try:
            descriptor = atomic_file.open_for_reading(path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            words = file.readline(256).split(b" ")
            if not boot_id() or words[-2:-1] == [boot_id().encode()]:
                return None
            rest = file.read()
    if not b" ".join(words).startswith(_FIRST) or not words[-1].strip().isdigit():
        raise file_format.damaged(path, "its first line is not that of a write-ahead log")
    return _follow(rest, int(words[-1]), path)


def _follow(rest: bytes, size: int, path: Path) -> Recovered:
    """Apply each whole line to the file that the log began with."""
    data = rest[:size]
    found = file_format.decode_state(data, path)
    checksums, events = [found.meta.checksum], _events_of(found)
    tables = {name: (raw, file_format.decode_raw(raw)) for name, raw in found.tables.items()}
    for meta, changes in _entries(rest[size:]):
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


def _entries(lines: bytes) -> list[tuple[Meta, dict[str, dict[str, msgspec.Raw]]]]:
    """Return the commits up to the first line that is not whole: that one was never reported as done.

    Each is what the first line of the file said, without the sums of its tables, and the changes.
    """
    decode = msgspec.json.Decoder(tuple[Meta, dict[str, dict[str, msgspec.Raw]]]).decode
    entries = []
    for line in lines.split(b"\n"):
        digits, body = line[:_DIGITS], line[_DIGITS + 1 :]
        if digits != b"%08x" % crc32(body):
            break
        entries.append(decode(body))
    return entries


def _events_of(loaded: Loaded) -> list[OutboxRow]:
    return list(msgspec.json.decode(loaded.tables.get(OUTBOX, b"{}"), type=dict[str, OutboxRow]).values())
