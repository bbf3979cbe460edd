"""The state file on disk: verified when it is read, replaced as a whole when it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import open_for_reading, state_errors, write_parts
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import Loaded, Meta, Part
from apex_cli.core.ports import Clock

NEW = Meta(schema_version=file_format.SCHEMA_VERSION, generation=0, last_seq=0)


class StateFile:
    """Reads and replaces ``state.json``. Two writers need one lock around reading and writing."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        """Touch nothing yet; *clock* gives the time of saving."""
        self.path = path
        self._clock = clock
        self.meta = NEW
        """Of the version that was written last."""

        self._parts: dict[str, tuple[object, Part]] = {}
        """What was written last: a table that is the same object now need not be encoded and summed up again."""

    def load(self) -> Loaded | None:
        """Return the verified file, or None when there is none; StateError when it cannot be trusted."""
        return file_format.load(self.path)

    def commit(self, meta: Meta, tables: Mapping[str, object]) -> bytes:
        """Replace the file and return its header line; StateError when it could not be written.

        The time of saving never goes back: a clock that was set back cannot make it.
        """
        if self._clock is not None:
            now = self._clock.now()
            meta = msgspec.structs.replace(meta, saved_at=max(now, meta.saved_at or now))
        header, pieces = file_format.encode_state(meta, [self._part(name, rows) for name, rows in tables.items()])
        write_parts(self.path, (b"".join((header, *pieces)),))
        self.meta = meta
        return header

    def _part(self, name: str, rows: object) -> Part:
        """Return the encoded table; rows that may change in place are encoded every time."""
        known = self._parts.get(name)
        if known is not None and known[0] is rows:
            return known[1]
        part = file_format.encode_part(name, rows)
        if isinstance(rows, msgspec.Raw):
            self._parts[name] = (rows, part)
        return part

    def is_at(self, header: bytes) -> bool:
        """Return whether the file still has this header line; an empty one means no file."""
        with state_errors(self.path):
            try:
                descriptor = open_for_reading(self.path)
            except FileNotFoundError:
                return not header
            try:
                return bool(header) and os.read(descriptor, len(header)) == header
            finally:
                os.close(descriptor)
