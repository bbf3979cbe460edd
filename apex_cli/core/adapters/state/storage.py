"""TinyDB's side of the state file: verified on reading, replaced as a whole on writing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table as TinyTable

from apex_cli.core.adapters.atomic_file import state_errors, write_in_turn
from apex_cli.core.adapters.state import file_format as state_care
from apex_cli.core.adapters.state.file_format import Loaded, Meta, Part, PlainTables
from apex_cli.core.errors import BusyError, StateError
from apex_cli.core.ports import Clock

NEW = Meta(schema_version=state_care.SCHEMA_VERSION, generation=0, last_seq=0)


class AtomicStorage(Storage):
    """TinyDB storage: verified on reading, replaced as a whole on writing.

    Writing refuses to undo a change it has not read, but two writers still need one lock
    around reading and writing: ``TinyDbStore.transaction``.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, is_read_only: bool = False) -> None:
        """Touch nothing yet; *clock* gives the time of saving."""
        self.path = Path(path)
        self._clock = clock
        self._is_read_only = is_read_only
        self.meta = NEW
        """Of the version that was written last."""

        self._header = b""
        self._parts: dict[str, tuple[object, Part]] = {}
        """What was written last: a table that is the same object now need not be encoded and summed up again."""

    def load(self) -> Loaded | None:
        """Return the verified file, or None when there is none; StateError when it cannot be trusted."""
        loaded = state_care.load(self.path)
        self._header = loaded.header if loaded else b""
        return loaded

    def commit(self, meta: Meta, tables: Mapping[str, object]) -> bytes:
        """Replace the file and return its header line; StateError when it could not be written.

        The time of saving never goes back: a clock that was set back cannot make it.
        """
        if self._clock is not None:
            now = self._clock.now()
            meta = msgspec.structs.replace(meta, saved_at=max(now, meta.saved_at or now))
        header, pieces = state_care.encode_state(meta, [self._part(name, rows) for name, rows in tables.items()])
        write_in_turn(self.path, [header, *pieces])
        self._header, self.meta = header, meta
        return header

    def _part(self, name: str, rows: object) -> Part:
        """Return the encoded table; rows that may change in place are encoded every time."""
        known = self._parts.get(name)
        if known is not None and known[0] is rows:
            return known[1]
        part = state_care.encode_part(name, rows)
        if isinstance(rows, msgspec.Raw):
            self._parts[name] = (rows, part)
        return part

    def is_at(self, header: bytes) -> bool:
        """Tell whether the file still has this header line; an empty one means no file."""
        with state_errors(self.path):
            try:
                descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except FileNotFoundError:
                return not header
            try:
                return bool(header) and os.read(descriptor, len(header)) == header
            finally:
                os.close(descriptor)

    def read(self) -> PlainTables | None:
        """Return all tables, ``meta`` included, as plain values."""
        loaded = self.load()
        if loaded is None:
            return None
        plain: PlainTables = {"meta": {"state": msgspec.to_builtins(loaded.meta)}}
        return plain | {name: msgspec.json.decode(raw) for name, raw in loaded.tables.items()}

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Replace all tables but ``meta``; rows may be ``msgspec.Raw``.

        Raises:
            StateError: it could not be written, or the file was opened for reading only.
            BusyError: it changed since it was read.
        """
        if self._is_read_only:
            raise StateError("state_read_only", f"{self.path} is open for reading only", hint="use a transaction")
        if not self.is_at(self._header):
            raise BusyError("state_changed", f"{self.path} was changed meanwhile", hint="read again, then write")
        found = state_care.decode_meta(self._header)
        meta = found[1] if found else NEW
        tables = {name: rows for name, rows in data.items() if name != "meta"}
        self.commit(msgspec.structs.replace(meta, generation=meta.generation + 1), tables)


class StateTable(TinyTable):
    """A TinyDB table whose rows are keyed by text."""

    document_id_class = str  # type: ignore[assignment]  # declared as int, used as a callable


class StateDatabase(TinyDB):
    """A TinyDB whose rows are keyed by text."""

    table_class = StateTable
