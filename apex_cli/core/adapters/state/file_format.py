"""The state file and its copies: what a sound one looks like, and keeping some.

The file is a TinyDB database in two lines. The first holds the table ``meta`` with one row:
schema version, generation, newest sequence number, time of saving, length and CRC-32 of every
other table, and a checksum over the line itself. The second holds the tables, rows by our own ids.
So every byte is covered, and a commit sums up only the tables it changed. CRC-32 finds damage;
it is no seal against people, who may write the file anyway.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from apex_cli.core.adapters.atomic_file import (
    copy_file,
    ensure_private_dir,
    link_or_copy,
    open_for_reading,
    state_errors,
)
from apex_cli.core.errors import EXHAUSTING, StateError
from apex_cli.core.model.base import Value

SCHEMA_VERSION = 2
BACKUP_INTERVAL = timedelta(minutes=15)
BROKER_BOOK = "simulated_broker.json"
"""The simulated broker's own file beside the state: a copy of it goes with every copy of the state."""

_HEAD = b'{"meta":{"state":'
_TAIL = b'"}}\n'
_END = b"}"
_DIGITS = 8
_MAX_HEADER = 1 << 14
_STAMP = "%Y%m%dT%H%M%SZ"

PlainTables = dict[str, dict[str, Any]]

_encode = msgspec.json.Encoder().encode


class Meta(Value, frozen=True, kw_only=True):
    """The one row of the table ``meta``."""

    schema_version: int
    generation: int
    """Counts commits, for the life of the state."""

    last_seq: int
    """Sequence number of the newest event ever emitted."""

    saved_at: datetime | None = None
    parts: tuple[tuple[str, int, int], ...] = ()
    """Of each table in the second line: name, length of its rows in bytes, CRC-32 of name and rows."""

    checksum: str = ""
    """CRC-32 over the rest of this line, as 8 hexadecimal digits."""


class Part(NamedTuple):
    """One table as it stands in the file."""

    sums: tuple[str, int, int]
    """As in ``Meta.parts``."""

    label: bytes
    """What stands before its rows."""

    rows: bytes | msgspec.Raw


class Loaded(NamedTuple):
    """A verified file, its tables still encoded."""

    header: bytes
    meta: Meta
    tables: dict[str, msgspec.Raw]

    def parts(self) -> dict[str, Part]:
        """Return the tables as they stand in the file."""
        return {sums[0]: Part(sums, _label(sums[0]), self.tables[sums[0]]) for sums in self.meta.parts}


_decode_meta = msgspec.json.Decoder(Meta).decode
decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@cache
def _label(name: str) -> bytes:
    return b"," + _encode(name) + b":"


def encode_part(name: str, rows: object) -> Part:
    """Return a table's rows, plain or ``msgspec.Raw``, as they stand in the file."""
    label, encoded = _label(name), _encode(rows)
    return Part((name, len(encoded), crc32(encoded, crc32(label))), label, encoded)


def encode_state(meta: Meta, parts: Sequence[Part]) -> tuple[bytes, list[bytes | msgspec.Raw]]:
    """Return the first line of a state file, its header, and the pieces of the second."""
    sums = tuple([part.sums for part in parts])
    prefix = _HEAD + _encode(msgspec.structs.replace(meta, parts=sums, checksum=""))[:-1] + b',"checksum":"'
    pieces: list[bytes | msgspec.Raw] = [piece for part in parts for piece in (part.label, part.rows)]
    return prefix + _digits(prefix) + _TAIL, [*pieces, _END]


def _digits(prefix: bytes) -> bytes:
    return b"%08x" % crc32(prefix)


def checksum_of(header: bytes) -> str:
    """Return the checksum in a sound first line."""
    return header[-len(_TAIL) - _DIGITS : -len(_TAIL)].decode("ascii")


def decode_meta(data: bytes) -> tuple[bytes, Meta] | None:
    """Return the header line and what it says, or None when it is none or damaged; the tables are not looked at."""
    header = data[: data.find(b"\n", 0, _MAX_HEADER) + 1]
    cut = len(header) - len(_TAIL) - _DIGITS
    if header.startswith(_HEAD) and header.endswith(_TAIL) and header[cut : -len(_TAIL)] == _digits(header[:cut]):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return header, _decode_meta(header[len(_HEAD) : -2])
    return None


def decode_state(data: bytes, path: Path) -> Loaded:
    """Return the verified tables of a file.

    Raises:
        StateError: the bytes are not a whole state file (``state_damaged``), or one of a later
            version (``state_newer_schema``).
    """
    found = decode_meta(data)
    if found is None:
        raise _no_first_line(path, len(data))
    header, meta = found
    if meta.schema_version > SCHEMA_VERSION:
        raise StateError(
            "state_newer_schema",
            f"{path}: schema version {meta.schema_version} is newer than {SCHEMA_VERSION}, the newest known here",
            hint="install the newer apex that wrote it; older ones never change it",
            details={"path": str(path), "found": meta.schema_version, "known": SCHEMA_VERSION},
        )
    return Loaded(header, meta, _split(data, len(header), meta, path))


def _split(data: bytes, start: int, meta: Meta, path: Path) -> dict[str, msgspec.Raw]:
    """Return the rows of each table after a look at its checksum."""
    tables: dict[str, msgspec.Raw] = {}
    for name, length, crc in meta.parts:
        label = _label(name)
        rows = data[start + len(label) : start + len(label) + length]
        if not data.startswith(label, start) or len(rows) != length or crc32(rows, crc32(label)) != crc:
            raise damaged(path, f"the checksum of table {name} does not fit its content")
        tables[name] = msgspec.Raw(rows)
        start += len(label) + length
    if data[start:] != _END:
        raise damaged(path, f"{len(data) - start} bytes where its end should be")
    return tables


def load(path: Path) -> Loaded | None:
    """Return the verified file, or None when there is none.

    No more is read than the first line says there is, so that a file of any size costs no more than a sound one.

    Raises:
        StateError: it cannot be read or trusted.
    """
    with state_errors(path):
        try:
            descriptor = open_for_reading(path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            data = file.read(_MAX_HEADER)
            found, size = decode_meta(data), os.fstat(descriptor).st_size
            if found is None:
                raise _no_first_line(path, size)
            if size != (expected := _size_of(*found)):
                raise damaged(path, f"it holds {size} bytes, and {expected} by its first line")
            data += file.read()
    return decode_state(data, path)


def _size_of(header: bytes, meta: Meta) -> int:
    """Return how long a whole file with this first line is."""
    return len(header) + sum(len(_label(name)) + length for name, length, _ in meta.parts) + len(_END)


def read_meta(path: Path) -> Meta | None:
    """Return what the first line says; None when there is no file, or its first line is damaged.

    Raises:
        StateError: it cannot be read.
    """
    with state_errors(path):
        try:
            descriptor = open_for_reading(path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = decode_meta(file.read(_MAX_HEADER))
    return found[1] if found else None


def last_saved_at(path: Path) -> datetime | None:
    """Return when the state was last saved, by its header alone; None when it is not known."""
    with suppress(StateError):
        found = read_meta(path)
        return found.saved_at if found else None
    return None


def migrate(loaded: Loaded, path: Path) -> dict[str, msgspec.Raw]:
    """Return the tables as of ``SCHEMA_VERSION``.

    Raises:
        StateError: no migration leads there.
    """
    if loaded.meta.schema_version == SCHEMA_VERSION:
        return dict(loaded.tables)
    from apex_cli.core.adapters.state.migrations import MIGRATIONS

    try:
        plain: PlainTables = {name: msgspec.json.decode(raw) for name, raw in loaded.tables.items()}
        for version in range(loaded.meta.schema_version, SCHEMA_VERSION):
            if version not in MIGRATIONS:
                raise damaged(path, f"nothing is known of schema version {version}")
            plain = MIGRATIONS[version](plain)
    except (msgspec.DecodeError, KeyError, TypeError, ArithmeticError, *EXHAUSTING) as error:
        raise damaged(path, f"its tables are not those of schema version {loaded.meta.schema_version}") from error
    return {name: msgspec.Raw(_encode(rows)) for name, rows in plain.items()}


def damaged(path: Path, what: str) -> StateError:
    """Return the StateError for a file that cannot be trusted."""
    return StateError(
        "state_damaged",
        f"{path} is damaged: {what}",
        hint="run: apex state check; then: apex state restore",
        details={"path": str(path)},
    )


def _no_first_line(path: Path, size: int) -> StateError:
    return damaged(path, f"its first line is not that of a state file ({size} bytes in all)")


def stale(path: Path, last_seq: int, journal_seq: int) -> StateError:
    """Return the StateError for a sound file that is older than the journal beside it."""
    return StateError(
        "state_stale",
        f"{path} is older than its journal: it knows events up to {last_seq}, the journal up to {journal_seq}",
        hint="run: apex state restore, which applies the later events; copy no older file back without it",
        details={"path": str(path), "last_seq": last_seq, "journal_seq": journal_seq},
    )


def missing(path: Path) -> StateError:
    """Return the StateError for a file that ought to be there."""
    return StateError(
        "state_missing",
        f"{path} is missing, but there is a journal or a backup of it",
        hint="run: apex state check; then: apex state restore",
        details={"path": str(path)},
    )


class Backup(Value, frozen=True, kw_only=True):
    """A kept generation."""

    generation: int
    taken_at: datetime
    path: str


def _stamped_at(stamp: str) -> datetime:
    """Return the time in the name of a copy; ``strptime`` would import its own tables for it."""
    at = datetime.fromisoformat(stamp)
    if f"{at:{_STAMP}}" != stamp:
        raise ValueError(stamp)
    return at


class Backups:
    """Earlier generations in ``backup/``: real copies, as a link would share a bad block, or what an editor does."""

    __slots__ = ("_keep", "_newest", "folder")

    def __init__(self, folder: Path, keep: int) -> None:
        """Touch nothing yet; of the files that ``take`` made the newest *keep* stay."""
        self.folder = folder
        self._keep = keep
        self._newest: datetime | None = None

    def all(self) -> list[Backup]:
        """Return the kept generations, oldest first.

        Raises:
            StateError: the folder cannot be read.
        """
        return [backup for backup, _ in self._kept("state")]

    def books(self) -> list[Path]:
        """Return the kept books of the simulated broker, oldest first."""
        return [path for _, path in self._kept("broker")]

    def _kept(self, kind: str) -> list[tuple[Backup, Path]]:
        found = []
        for name in self._names():
            if name.startswith(f"{kind}-") and name.endswith(".json"):
                with suppress(ValueError):
                    _, generation, stamp = name.removesuffix(".json").split("-")
                    taken_at, path = _stamped_at(stamp), self.folder / name
                    found.append((Backup(generation=int(generation), taken_at=taken_at, path=str(path)), path))
        return sorted(found, key=lambda kept: kept[0].generation)

    def _names(self) -> list[str]:
        with state_errors(self.folder), suppress(FileNotFoundError, NotADirectoryError):
            return os.listdir(self.folder)  # noqa: PTH208 - names only, no paths
        return []

    def is_due(self, now: datetime) -> bool:
        """Return whether the newest one is older than 15 minutes; the folder is asked only then."""
        if self._keep < 1 or (self._newest is not None and abs(now - self._newest) < BACKUP_INTERVAL):
            return False
        kept = self.all()
        self._newest = kept[-1].taken_at if kept else None
        return self._newest is None or abs(now - self._newest) >= BACKUP_INTERVAL

    def take(self, source: Path, generation: int, now: datetime) -> Backup:
        """Keep *source* as it is now, and drop the oldest.

        Raises:
            StateError: it could not be kept.
        """
        ensure_private_dir(self.folder)
        self._remove_leftovers()
        name = f"{generation:010d}-{now.astimezone(UTC):{_STAMP}}.json"
        self._take_book(source.with_name(BROKER_BOOK), self.folder / f"broker-{name}")
        kept = self._kept("state")
        for backup, _ in kept:
            if backup.generation == generation:
                return backup
        path = self.folder / f"state-{name}"
        copy_file(source, path)
        self._newest = now
        taken = Backup(generation=generation, taken_at=now, path=str(path))
        self._drop_old([*kept, (taken, path)])
        return taken

    def _take_book(self, book: Path, path: Path) -> None:
        """Keep the simulated broker's book, if there is one that is not kept yet."""
        if book.is_file() and not path.exists():
            copy_file(book, path)
            self._drop_old(self._kept("broker"))

    def _remove_leftovers(self) -> None:
        """Remove what killed writers left of copies."""
        for temporary in self.folder.glob(".*.tmp"):
            with suppress(OSError):
                temporary.unlink()

    def _drop_old(self, kept: list[tuple[Backup, Path]]) -> None:
        """Remove all but the newest of *kept*."""
        for _, old in sorted(kept, key=lambda each: each[0].generation)[: -max(1, self._keep)]:
            with state_errors(old):
                old.unlink(missing_ok=True)

    def set_aside(self, source: Path, name: str, now: datetime) -> Path:
        """Keep *source* under a name that is never dropped.

        Raises:
            StateError: it could not be kept.
        """
        ensure_private_dir(self.folder)
        path = self.free_name(name, now, source.suffix)
        link_or_copy(source, path)
        return path

    def free_name(self, name: str, now: datetime, suffix: str = ".json") -> Path:
        """Return a path in the folder that nothing has: *name*, the time, and a number where needed."""
        stem = f"{name}-{now.astimezone(UTC):{_STAMP}}"
        taken = sum(1 for _ in self.folder.glob(f"{stem}*{suffix}"))
        return self.folder / (f"{stem}-{taken + 1}{suffix}" if taken else f"{stem}{suffix}")
