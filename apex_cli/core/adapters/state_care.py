"""The state file and its copies: what a sound one looks like, keeping some, mending a bad one.

The file is a TinyDB database in two lines. The first holds the table ``meta`` with one row:
schema version, generation, newest sequence number, and a checksum over every other byte of the
file. The second holds the tables, rows by our own ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, link_or_copy, read_bytes, state_errors
from apex_cli.core.errors import StateError
from apex_cli.core.model.base import Value
from apex_cli.core.model.health import Finding, Level

if TYPE_CHECKING:
    from apex_cli.core.adapters.tinydb_store import TinyDbStore

SCHEMA_VERSION = 1

PlainTables = dict[str, dict[str, Any]]

MIGRATIONS: dict[int, Callable[[PlainTables], PlainTables]] = {}
"""What turns the tables of a schema version into those of the next one."""

BACKUP_INTERVAL = timedelta(minutes=15)

_HEAD = b'{"meta":{"state":'
_TAIL = b'"}}\n'
_DIGEST_CHARS = 40
_MAX_HEADER = 4096
_STAMP = "%Y%m%dT%H%M%SZ"

_encoder = msgspec.json.Encoder()


class Meta(Value, frozen=True, kw_only=True):
    """The one row of the table ``meta``."""

    schema_version: int
    generation: int
    """Counts commits, for the life of the state."""

    last_seq: int
    """Sequence number of the newest event ever emitted."""

    saved_at: datetime | None = None
    checksum: str = ""
    """SHA-1 over the rest of the file, as 40 hexadecimal digits."""


class Loaded(NamedTuple):
    """A verified file, its tables still encoded."""

    header: bytes
    meta: Meta
    tables: dict[str, msgspec.Raw]


_decode_meta = msgspec.json.Decoder(Meta).decode
decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _checksum(prefix: bytes, body: bytes | bytearray) -> bytes:
    """Return what damage would change. People are not kept out, so a fast hash will do."""
    digest = sha1(prefix, usedforsecurity=False)
    digest.update(body)
    return digest.hexdigest().encode()


def encode_state(meta: Meta, tables: Mapping[str, object], body: bytearray) -> bytes:
    """Put the second line of a state file, the tables, into *body* and return the first, its header.

    The caller keeps *body* from one time to the next: new memory costs more than the encoding.
    """
    _encoder.encode_into(tables, body)
    body[:1] = b"," if tables else b""
    prefix = _HEAD + _encoder.encode(msgspec.structs.replace(meta, checksum=""))[:-1] + b',"checksum":"'
    return prefix + _checksum(prefix, body) + _TAIL


def decode_meta(data: bytes) -> tuple[bytes, Meta] | None:
    """Return the header line and what it says, or None when it is none; the checksum is not looked at."""
    header = data[: data.find(b"\n", 0, _MAX_HEADER) + 1]
    if header.startswith(_HEAD) and header.endswith(_TAIL):
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
        raise damaged(path, f"its first line is not that of a state file ({len(data)} bytes in all)")
    header, meta = found
    if _checksum(header[: -len(_TAIL) - _DIGEST_CHARS], data[len(header) :]) != meta.checksum.encode():
        raise damaged(path, "its checksum does not fit its content")
    if meta.schema_version > SCHEMA_VERSION:
        raise StateError(
            "state_newer_schema",
            f"{path}: schema version {meta.schema_version} is newer than {SCHEMA_VERSION}, the newest known here",
            hint="upgrade apex, or go back to an older copy: apex state restore",
            details={"path": str(path), "found": meta.schema_version, "known": SCHEMA_VERSION},
        )
    tables = decode_raw(data)
    del tables["meta"]
    return Loaded(header, meta, tables)


def load(path: Path) -> Loaded | None:
    """Return the verified file, or None when there is none.

    Raises:
        StateError: it cannot be read or trusted.
    """
    data = read_bytes(path)
    return None if data is None else decode_state(data, path)


def migrate(loaded: Loaded, path: Path) -> dict[str, msgspec.Raw]:
    """Return the tables as of ``SCHEMA_VERSION``.

    Raises:
        StateError: no migration leads there.
    """
    if loaded.meta.schema_version == SCHEMA_VERSION:
        return loaded.tables
    plain: PlainTables = {name: msgspec.json.decode(raw) for name, raw in loaded.tables.items()}
    for version in range(loaded.meta.schema_version, SCHEMA_VERSION):
        if version not in MIGRATIONS:
            raise damaged(path, f"nothing is known of schema version {version}")
        plain = MIGRATIONS[version](plain)
    return {name: msgspec.Raw(_encoder.encode(rows)) for name, rows in plain.items()}


def damaged(path: Path, what: str) -> StateError:
    """Return the StateError for a file that cannot be trusted."""
    return StateError(
        "state_damaged",
        f"{path} is damaged: {what}",
        hint="run: apex state check; then: apex state restore",
        details={"path": str(path)},
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


class Backups:
    """Earlier generations in ``backup/``: hard links, so that keeping one costs no bytes to write."""

    __slots__ = ("_keep", "_newest", "folder")

    def __init__(self, folder: Path, keep: int) -> None:
        """Touch nothing yet; of the files that ``take`` made the newest *keep* stay."""
        self.folder = folder
        self._keep = keep
        self._newest: datetime | None = None

    def all(self) -> list[Backup]:
        """Return the kept generations, oldest first."""
        found = []
        for path in self.folder.glob("state-*-*.json"):
            with suppress(ValueError):
                _, generation, stamp = path.stem.split("-")
                taken_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
                found.append(Backup(generation=int(generation), taken_at=taken_at, path=str(path)))
        return sorted(found, key=lambda backup: backup.generation)

    def is_due(self, now: datetime) -> bool:
        """Tell whether the newest one is older than 15 minutes; the folder is asked only then."""
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
        for kept in self.all():
            if kept.generation == generation:
                return kept
        ensure_private_dir(self.folder)
        path = self.folder / f"state-{generation:010d}-{now.astimezone(UTC):{_STAMP}}.json"
        link_or_copy(source, path)
        self._newest = now
        for old in self.all()[: -max(1, self._keep)]:
            with state_errors(Path(old.path)):
                Path(old.path).unlink(missing_ok=True)
        return Backup(generation=generation, taken_at=now, path=str(path))

    def set_aside(self, source: Path, name: str, now: datetime) -> Path:
        """Keep *source* under a name that is never dropped.

        Raises:
            StateError: it could not be kept.
        """
        ensure_private_dir(self.folder)
        stem = f"{name}-{now.astimezone(UTC):{_STAMP}}"
        taken = sum(1 for _ in self.folder.glob(f"{stem}*.json"))
        path = self.folder / (f"{stem}-{taken + 1}.json" if taken else f"{stem}.json")
        link_or_copy(source, path)
        return path


class Restored(Value, frozen=True, kw_only=True):
    """What ``restore`` did."""

    from_generation: int
    generation: int
    """Of the file that is in place now."""

    last_seq: int
    set_aside: str | None
    """Where the file that stood there is kept."""


def check(store: TinyDbStore) -> list[Finding]:
    """Look at file, journal, backups and modes; change nothing and take no lock."""
    findings: list[Finding] = []
    for look in (_check_file, _check_journal, _check_backups, _check_modes):
        try:
            findings.extend(look(store))
        except StateError as error:
            path = str(error.details.get("path", ""))
            found = Finding(code=error.code, level=Level.ERROR, message=error.message, path=path, hint=error.hint)
            if found not in findings:
                findings.append(found)
    return findings


def _check_file(store: TinyDbStore) -> Iterator[Finding]:
    """Open the state as a new process would."""
    fresh = type(store)(store.state_dir, clock=store.clock, journal=store.journal)
    rows = sum(len(table) for table in fresh.view().tables())
    text = f"generation {fresh.generation}, {rows} rows, checksum fits" if fresh.generation else "nothing was saved yet"
    yield Finding(code="state_file", level=Level.OK, message=text, path=str(store.path))


def _check_journal(store: TinyDbStore) -> Iterator[Finding]:
    """Tell whether every sequence number is in the journal exactly once, or waits in the outbox."""
    last_seq, waiting = 0, set[int]()
    with suppress(StateError):
        if loaded := load(store.path):
            last_seq = loaded.meta.last_seq
            waiting = {int(key) for key in decode_raw(loaded.tables.get("outbox", b"{}"))}
    count = newest = 0
    breaks: list[str] = []
    for path, line, seq in store.journal.sequence():
        if seq != newest + 1:
            breaks.append(f"{path.name}:{line} has {seq} after {newest}")
        count, newest = count + 1, seq
    if set(range(newest + 1, last_seq + 1)) - waiting:
        breaks.append(f"the journal ends with {newest}, the state knows of {last_seq}")
    if breaks:
        text = f"sequence broken in {len(breaks)} places: {'; '.join(breaks[:3])}"
        yield Finding(code="journal_sequence", level=Level.WARNING, message=text, hint="events are missing or doubled")
    yield Finding(code="journal", level=Level.OK, message=f"{count} events, the last one is {newest}")


def _check_backups(store: TinyDbStore) -> Iterator[Finding]:
    sound = 0
    for backup in store.list_backups():
        try:
            load(Path(backup.path))
            sound += 1
        except StateError as error:
            yield Finding(code="backup_damaged", level=Level.WARNING, message=error.message, path=backup.path)
    yield Finding(code="backups", level=Level.OK, message=f"{sound} sound copies", path=str(store.backups.folder))


def _check_modes(store: TinyDbStore) -> Iterator[Finding]:
    for path in (store.state_dir, store.path, *store.journal.files()):
        if path.exists() and path.stat().st_mode & 0o077:
            text = f"others may open it (mode {path.stat().st_mode & 0o777:04o})"
            yield Finding(
                code="state_mode", level=Level.WARNING, message=text, path=str(path), hint=f"chmod go= {path}"
            )


def restore(store: TinyDbStore, generation: int | None) -> Restored:
    """Put a kept generation in place as the next one; sequence numbers go on from the highest known.

    Raises:
        StateError: there is no such backup, or it is damaged too.
        BusyError: another process holds the state.
    """
    with store.exclusive():
        source = _choose(store, generation)
        present = read_bytes(store.path)
        aside = None if present is None else store.backups.set_aside(store.path, "replaced", store.clock.now())
        found = decode_meta(present or b"")
        metas = [source.meta, *([found[1]] if found else [])]
        newest = max(backup.generation for backup in store.list_backups())
        meta = msgspec.structs.replace(
            source.meta,
            generation=max(newest, *(known.generation for known in metas)) + 1,
            last_seq=max(store.journal.last_seq(), *(known.last_seq for known in metas)),
        )
        store.storage.commit(meta, source.tables)
    return Restored(
        from_generation=source.meta.generation,
        generation=meta.generation,
        last_seq=meta.last_seq,
        set_aside=None if aside is None else str(aside),
    )


def _choose(store: TinyDbStore, generation: int | None) -> Loaded:
    """Return the wanted backup, or the newest one that is sound."""
    problem: StateError | None = None
    for backup in reversed(store.list_backups()):
        if generation in {None, backup.generation}:
            try:
                loaded = load(Path(backup.path))
            except StateError as error:
                problem = error
            else:
                if loaded is not None:
                    return loaded
    raise problem or StateError(
        "state_no_backup",
        f"{store.backups.folder}: no backup" + ("" if generation is None else f" of generation {generation}"),
        hint="list them: apex state check; to start afresh, move the state folder away and reconcile with the broker",
        details={"path": str(store.backups.folder), "generation": generation},
    )


def export(store: TinyDbStore) -> bytes:
    """Return all tables of the committed file as indented JSON.

    Raises:
        StateError: the file is damaged, or there is none.
    """
    store.view()
    loaded = load(store.path)
    if loaded is None:
        return b"{}\n"
    tables = {"meta": {"state": loaded.meta}, **loaded.tables}
    return msgspec.json.format(_encoder.encode(tables), indent=2) + b"\n"
