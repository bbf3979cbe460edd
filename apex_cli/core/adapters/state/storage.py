"""The state file on disk: verified when it is read, replaced as a whole when it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import (
    open_for_reading,
    remove,
    state_errors,
    sync_file,
    sync_folder,
    write_parts,
    write_unsynced,
)
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import Loaded, Meta, Part, encode_part
from apex_cli.core.adapters.state.write_ahead_log import (
    Changes,
    WriteAheadLog,
    begin_log,
    boot_id,
    encode_entry,
    resume_log,
    room_for,
)
from apex_cli.core.errors import StateError
from apex_cli.core.ports import Clock

WHOLE_FIRST = 3
"""Synced files in a row before a log is begun: to begin one costs more than it saves a command of few commits."""

NEW = Meta(schema_version=file_format.SCHEMA_VERSION, generation=0, last_seq=0)


class StateFile:
    """Reads and replaces ``state.json``. Two writers need one lock around reading and writing."""

    def __init__(
        self, path: Path, *, clock: Clock | None = None, sync_events: Callable[[], None] = lambda: None
    ) -> None:
        """Touch nothing yet; *clock* gives the time of saving, *sync_events* puts the journal on the disk."""
        self.path = path
        self._sync_events = sync_events
        self._clock = clock
        self.meta = NEW
        """Of the version that was written last."""

        self.log_path = path.with_name("state.wal")
        self._log: WriteAheadLog | None = None
        self._whole = 0
        """Files in a row that were synced."""

    def load(self) -> Loaded | None:
        """Return the verified file, or None when there is none; StateError when it cannot be trusted."""
        return file_format.load(self.path)

    def commit(self, meta: Meta, tables: Mapping[str, object], changes: Changes | None = None) -> bytes:
        """Replace the file and return its header line; StateError when it could not be written.

        *tables* are plain rows, ``msgspec.Raw``, or a ``Part`` where nothing is to be encoded and summed up again.
        The time of saving never goes back: a clock that was set back cannot make it. *changes* since the last commit
        go to a log where that is cheaper than to wait for the file; see ``write_ahead_log``.
        """
        if self._clock is not None:
            now = self._clock.now()
            meta = msgspec.structs.replace(meta, saved_at=max(now, meta.saved_at or now))
        parts = [rows if isinstance(rows, Part) else encode_part(name, rows) for name, rows in tables.items()]
        header, pieces = file_format.encode_state(meta, parts)
        data = [header, *pieces]
        log, self._log = self._log, None
        line = encode_entry(meta, header, changes) if log is not None and changes is not None else b""
        if log is not None and line and log.has_room(line):
            self._write_logged(log, line, data)
        else:
            self._write_whole(data, may_log=changes is not None, line=line)
        self.meta = meta
        return header

    @property
    def is_logged(self) -> bool:
        """Whether the newest commit is safe by a log that this process writes, and its events with it."""
        return self._log is not None

    def forget_log(self) -> None:
        """Write no more lines: the file may not be the one that this process wrote."""
        self._log, self._whole = None, 0

    def resume_log(self, header: bytes) -> None:
        """Write behind the lines that another process left, where they lead to the file with this first line."""
        with suppress(StateError):
            self._log = self._log or resume_log(self.log_path, header)

    def forget_moved_log(self) -> None:
        """Write no more lines to a log that is gone from its path, or that a copy of the state shares."""
        if self._log is not None and not self._log.is_in_place():
            self._log = None

    def has_log(self) -> bool:
        """Return whether any process left a log."""
        return os.path.lexists(self.log_path)

    def end_log(self) -> None:
        """Put on the disk what only a log keeps, and remove the log; StateError when that fails."""
        if not self.has_log():
            return
        self._log = None
        self._sync_events()
        with state_errors(self.path), suppress(FileNotFoundError):
            sync_file(self.path)
            sync_folder(self.path.parent)
        self._remove_log()

    def _remove_log(self) -> None:
        with state_errors(self.log_path):
            remove(self.log_path)
            sync_folder(self.path.parent)

    def _write_logged(self, log: WriteAheadLog, line: bytes, data: Sequence[bytes]) -> None:
        try:
            write_unsynced(self.path, data, lambda: log.write(line))
        except BaseException:
            with suppress(OSError):
                log.take_back(line)
            raise
        log.keep(line)
        self._log = log

    def _write_whole(self, pieces: Iterable[bytes], *, may_log: bool, line: bytes) -> None:
        """Write a version that no log knows: what only a log keeps must be on the disk before.

        A *line* that a log had no room for goes with that log, and another one begins, with room for some of its size.
        """
        data = b"".join(pieces)
        has_log = self.has_log()
        if has_log:
            self._sync_events()
        write_parts(self.path, (data,))
        if has_log:
            self._remove_log()
        self._whole += 1
        if line or (may_log and self._whole >= WHOLE_FIRST and boot_id()):
            self._whole = 0
            with suppress(StateError):
                self._log = begin_log(self.log_path, data, room=room_for(line))

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
