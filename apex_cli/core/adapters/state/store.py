"""The state in one TinyDB file that is replaced as a whole: ``state.json``. Readers need no lock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from apex_cli.core.adapters.atomic_file import remove_leftovers, state_errors, sync_folder, write_atomically
from apex_cli.core.adapters.process_locks import STATE_LOCK, ProcessLock
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import Backup, Loaded, Meta, Part, encode_part
from apex_cli.core.adapters.state.journal import Journal
from apex_cli.core.adapters.state.storage import NEW, StateFile
from apex_cli.core.adapters.state.write_ahead_log import GONE, OUTBOX, Changes, Recovered, recover
from apex_cli.core.errors import EXHAUSTING, StateError
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.ports import Clock
from apex_cli.core.state.tables import State, Table

_LASTING = frozenset({"state_damaged", "state_not_a_file", "state_not_a_folder"})
"""Codes of errors that another try meets again; that of a full disk is none of them."""

_EMPTY = msgspec.Raw(b"{}")
_EMPTY_OUTBOX = encode_part(OUTBOX, {})

_encode = msgspec.json.Encoder().encode


_decoders: dict[str, msgspec.json.Decoder[dict[str, Any]]] = {}
"""By table; each costs a look at every field of the row type, so only tables with rows get one."""


def _decode_rows(table: Table[Any], raw: msgspec.Raw) -> dict[str, Any]:
    decoder = _decoders.get(table.name)
    if decoder is None:
        decoder = _decoders[table.name] = msgspec.json.Decoder(dict[str, table.row_type])  # type: ignore[name-defined]
    return decoder.decode(raw)


def read_state(tables: Mapping[str, msgspec.Raw], path: Path, state: State) -> State:
    """Return *state* with typed rows in its tables; StateError when one is not what its table holds."""
    for table in state.tables():
        raw = tables.get(table.name, _EMPTY)
        if raw == _EMPTY:
            continue
        try:
            table.load(_decode_rows(table, raw))
        except (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING) as error:
            raise file_format.damaged(path, f"table {table.name}: {error}") from error
    return state


class _Transaction:
    """One transaction of a ``TinyDbStore``."""

    __slots__ = ("_seq", "_store")

    def __init__(self, store: TinyDbStore) -> None:
        self._store = store
        self._seq = 0

    def __enter__(self) -> State:
        state = self._store._enter()  # noqa: SLF001 - its own store
        self._seq = state.last_seq
        return state

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._store._leave(self._seq, keeps=kind is None)  # noqa: SLF001 - its own store


class TinyDbStore:
    """The ``StateStore`` on disk: hot tables in memory, one commit a transaction, events into the journal.

    With *commit_every* above 1, for replays and measurements, a transaction only settles in memory;
    every n-th one, ``flush`` and ``close`` commit. The lock is held from the first transaction
    of such a batch to its commit, and a crash loses the batch.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        clock: Clock,
        lock_timeout_s: float = 10.0,
        backups: int = 10,
        commit_every: int = 1,
        journal: Journal | None = None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Touch nothing yet. *backups* is how many earlier generations are kept; *on_notice* hears news for people."""
        self.state_dir = state_dir
        self.clock = clock
        self.path = state_dir / "state.json"
        self.journal = journal or Journal(state_dir / "journal")
        self.storage = StateFile(self.path, clock=clock, sync_events=self.journal.sync)
        self.backups = file_format.Backups(state_dir / "backup", keep=backups)
        self.problem: StateError | None = None
        """What went wrong beside the newest commit, in the journal or a backup, without stopping it."""
        self.on_event: Callable[[OutboxRow], None] | None = None
        """Hears each event of this process as soon as the journal has it."""
        self._lock = ProcessLock(state_dir / STATE_LOCK, poll_s=0.002)
        self._lock_timeout_s = lock_timeout_s
        self._on_notice = on_notice
        self._commit_every = commit_every
        self._is_in_transaction = False
        self._has_cleaned = False
        self._has_recovered = False
        self._was_there = False
        self._forget()

    def _forget(self) -> None:
        """Believe nothing of memory: the next look reads the file."""
        self._header: bytes | None = None
        self._meta = NEW
        self._state = State()
        self._parts: dict[str, Part] = {}
        """Each table as it stands in the file."""

        self._rows: dict[str, dict[str, msgspec.Raw]] = {}
        """Of tables that changed: what ``_parts`` holds, row by row."""

        self._dirty: dict[str, dict[str, None]] = {}
        """Keys of changed rows by table, in the order they were touched: the file keeps the order of the rows."""

        self._settled_seq = 0
        self._uncommitted = 0
        self._is_synced = False
        self.storage.forget_log()

    @property
    def _is_of_old_schema(self) -> bool:
        return bool(self._meta.generation) and self._meta.schema_version < file_format.SCHEMA_VERSION

    @property
    def generation(self) -> int:
        """Generation of the state in memory."""
        return self._meta.generation

    def view(self) -> State:
        """Return the latest committed state, for reading until the next transaction of this process."""
        if not self._is_in_transaction:
            if not self._uncommitted:
                self._refresh()
            return self._state
        committed = self._state.committed()
        committed.last_seq = self._settled_seq
        return committed

    def _refresh(self) -> None:
        """Read the file if it is not the one in memory."""
        if self._header is not None and self.storage.is_at(self._header):
            return
        self._forget()
        if not self._has_recovered:
            self._recover()
            self._has_recovered = True
        journal_seq = self.journal.last_seq()  # before the file, which is never behind what the journal had by then
        loaded = self.storage.load()
        if loaded is None:
            if self._was_there or journal_seq or self.backups.all():
                raise file_format.missing(self.path)
            self._header = b""
            return
        if journal_seq > loaded.meta.last_seq:
            raise file_format.stale(self.path, loaded.meta.last_seq, journal_seq)
        tables = file_format.migrate(loaded, self.path)
        self._state = read_state(tables, self.path, State())
        self._state.last_seq = self._settled_seq = loaded.meta.last_seq
        self._meta = loaded.meta
        self._parts = (
            {name: encode_part(name, rows) for name, rows in tables.items()}
            if self._is_of_old_schema
            else loaded.parts()
        )
        self._header, self._was_there = loaded.header, True

    def _recover(self) -> None:
        """Finish what was on its way to the disk when the machine stopped; nothing where it did not."""
        if not self.storage.has_log() or recover(self.storage.log_path) is None:
            return
        was_held = self._lock.is_held
        self._lock.take_or_refuse(self._lock_timeout_s)
        try:
            found = recover(self.storage.log_path)
            if found is not None:
                self._put_back(found)
        finally:
            if not was_held:
                self._lock.drop()

    def _put_back(self, found: Recovered) -> None:
        """Bring file and journal to the newest commit; a file that is none of the log's versions stays as it is."""
        present: Loaded | None = None
        try:
            present = self.storage.load()
            is_known = present is not None and present.meta.checksum in found.checksums
        except StateError as error:
            is_known = error.code == "state_damaged"
        if is_known:
            write_atomically(self.path, found.data)
            self.journal.append(found.events)
        if is_known or (present is not None and present.meta.generation > found.newest.meta.generation):
            self.storage.end_log()

    def transaction(self) -> AbstractContextManager[State]:
        """Lock, reload if another process committed, lend the state, commit once at the end.

        Raises:
            StateError: the state cannot be read or written; nothing changed.
            BusyError: the lock was not free in time.
            RuntimeError: there is a transaction inside this one.
        """
        return _Transaction(self)

    def flush(self) -> None:
        """Commit what has only settled in memory, and free the lock; safe to call at any time between transactions.

        Raises:
            StateError: it could not be written; the batch is lost.
            RuntimeError: inside a transaction.
        """
        self._refuse_inside_transaction()
        if self._uncommitted:
            try:
                self._finish(self._state)
            finally:
                self._lock.drop()

    close = flush

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Let the transactions inside settle in memory, and commit them together at the end.

        The lock is held from the first of them to the end; when the block raises, none of them happened.

        Raises:
            StateError: they could not be written; none of them happened.
            RuntimeError: inside a transaction.
        """
        self.flush()
        each, self._commit_every = self._commit_every, sys.maxsize
        try:
            yield
        except BaseException:
            self._forget()
            self._lock.drop()
            raise
        finally:
            self._commit_every = each
        self.flush()

    @contextmanager
    def exclusive(self, *, is_repair: bool = False) -> Iterator[None]:
        """Hold the lock, for maintenance; what is in memory is read again afterwards.

        All that only a log keeps is brought to the disk first; a repair continues where the log cannot be followed.

        Raises:
            BusyError: the lock was not free in time.
            StateError: a log cannot be followed.
            RuntimeError: inside a transaction.
        """
        self.flush()
        self._lock.take_or_refuse(self._lock_timeout_s)
        try:
            try:
                self._recover()
                self.storage.end_log()
            except StateError as error:
                if not is_repair or error.code not in _LASTING:
                    raise
            yield
        finally:
            self._forget()
            self._lock.drop()

    def _refuse_inside_transaction(self) -> None:
        if self._is_in_transaction:
            raise RuntimeError("a transaction is open already in this process: use the state it lent, or end it first")

    def _enter(self) -> State:
        """Begin a transaction: lend the newest state, locked."""
        self._refuse_inside_transaction()
        self._begin()
        self._is_in_transaction = True
        return self._state

    def _leave(self, seq: int, *, keeps: bool) -> None:
        """End a transaction that began after event *seq*: keep its changes, or undo them."""
        try:
            if keeps:
                self._finish(self._state)
            else:
                self._state.rollback()
                self._state.last_seq = seq
        finally:
            self._is_in_transaction = False
            if not self._uncommitted:
                self._lock.drop()

    def _begin(self) -> None:
        if self._uncommitted:
            return
        self._lock.take_or_refuse(self._lock_timeout_s)
        try:
            if not self._has_cleaned:
                remove_leftovers(self.path)
                remove_leftovers(self.storage.log_path)
                self._has_cleaned = True
            self._refresh()
            self._refuse_stale()
            if self._header and not self._is_synced:
                # The process that renamed the file or began a log may have died before it could do this.
                with state_errors(self.state_dir):
                    sync_folder(self.state_dir)
                if not self._is_of_old_schema:
                    self.storage.resume_log(self._header)
                self._is_synced = True
            self.storage.forget_moved_log()
            self._empty_outbox(self._state)
        except BaseException:
            self._lock.drop()
            raise

    def _refuse_stale(self) -> None:
        """Refuse to write behind the journal: an older file may have come back while this process had it in memory."""
        journal_seq = self.journal.last_seq()
        if self._header and journal_seq > self._settled_seq:
            self._forget()
            raise file_format.stale(self.path, self._settled_seq, journal_seq)

    def _finish(self, state: State) -> None:
        """Commit or settle; after any failure memory is forgotten, so that it never differs from the file."""
        try:
            for table in state.touched():
                changed = {key: None for key, old in table.changed.items() if table.get(key) != old}
                if changed:
                    self._dirty.setdefault(table.name, {}).update(changed)
            if self._dirty or self._is_of_old_schema:
                self._uncommitted += 1
            if self._uncommitted >= self._commit_every or not self._is_in_transaction:
                self._commit(state)
            else:
                self._settle(state)
        except BaseException:
            state.rollback()
            self._forget()
            raise

    def _settle(self, state: State) -> None:
        state.settle()
        self._settled_seq = state.last_seq

    def _commit(self, state: State) -> None:
        """Write the next generation, then move its events to the journal."""
        self.problem = None
        self._keep_backup()
        changes = self._encode_changes(state)
        meta = Meta(
            schema_version=file_format.SCHEMA_VERSION,
            generation=self._meta.generation + 1,
            last_seq=state.last_seq,
            saved_at=self._meta.saved_at,
        )
        self._header = self.storage.commit(meta, self._parts, changes)
        self._meta, self._was_there, self._is_synced = self.storage.meta, True, True
        self._dirty.clear()
        self._uncommitted = 0
        self._settle(state)
        try:
            self._empty_outbox(state)
        except StateError as error:
            # The change is safe and its events wait in the file: the next transaction writes them or refuses.
            self.problem = error

    def _encode_changes(self, state: State) -> Changes:
        """Encode the rows that changed and return them; all others stay the bytes they are."""
        changes: dict[str, dict[str, msgspec.Raw]] = {}
        for table in state.tables():
            if table.name not in self._parts:  # of an earlier version, whose log may go on
                self._parts[table.name] = encode_part(table.name, {})
                changes[table.name] = {}
            if table.name not in self._dirty:
                continue
            rows = self._rows.get(table.name)
            if rows is None:
                rows = self._rows[table.name] = file_format.decode_raw(self._parts[table.name].rows)
            changed = changes[table.name] = {}
            for key in self._dirty[table.name]:
                row = table.get(key)
                if row is None:
                    rows.pop(key, None)
                    changed[key] = GONE
                else:
                    rows[key] = changed[key] = msgspec.Raw(_encode(row))
            self._parts[table.name] = encode_part(table.name, rows)
        changes[OUTBOX] = self._rows.get(OUTBOX, {})
        return changes

    def _empty_outbox(self, state: State) -> None:
        """Move events to the journal; the next commit leaves them out of the file."""
        if state.outbox:
            events = list(state.outbox.values())
            self.journal.append(events, wait=not self.storage.is_logged, has_looked=True)
            state.outbox.load({})
            self._parts[OUTBOX] = _EMPTY_OUTBOX
            self._rows.pop(OUTBOX, None)
            if self.on_event is not None:
                for event in events:
                    self.on_event(event)

    def _keep_backup(self) -> None:
        """Keep the outgoing file when the newest backup is old, or its schema is."""
        if not self._meta.generation:
            return
        now = self.clock.now()
        if self._is_of_old_schema:
            old = self._meta.schema_version
            copy = self.backups.set_aside(self.path, f"schema-{old}", now)
            self._on_notice(
                f"{self.path}: brought from schema version {old} to {file_format.SCHEMA_VERSION}; "
                f"the file as it was is kept as {copy}"
            )
            return
        try:
            if self.backups.is_due(now):
                self.backups.take(self.path, self._meta.generation, now)
        except StateError as error:
            self.problem = error

    def backup_now(self) -> Backup | None:
        """Keep the present generation; None when nothing was ever saved."""
        with self.exclusive():
            self._refresh()
            if not self._header:
                return None
            return self.backups.take(self.path, self._meta.generation, self.clock.now())

    def list_backups(self) -> list[Backup]:
        """Return the kept generations, oldest first."""
        return self.backups.all()
