"""Restores the state: from the present file, a copy or nothing as the base, and the journal for what happened since.

The journal itself is mended first: lines that are no events, and events that stand in it twice, are taken out, and the
file as it was is kept. So is a file that stands where the state should be. What the journal does not hold is reported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from apex_cli.core.adapters.atomic_file import copy_file, ensure_private_dir, state_errors, sync_folder
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import Loaded, Meta
from apex_cli.core.adapters.state.journal import JournalLine
from apex_cli.core.adapters.state.storage import StateFile
from apex_cli.core.adapters.state.store import TinyDbStore, read_state
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.errors import StateError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.records import OutboxRow, TradingState
from apex_cli.core.model.repair import ClockReset, Gaps, Migrated, Restored, spans
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.operation_events import StateRestored, TradingStateChanged
from apex_cli.core.state.events.order_events import FillBooked, FillCorrected, Intent, IntentWritten, OrderUpdated
from apex_cli.core.state.tables import State
from apex_cli.core.venue.catch_up import Marks, OutOfReachError, caught_up, marks_of, marks_of_book

_encode = msgspec.json.Encoder().encode


class Replay(NamedTuple):
    """How the core brings a state up to the present: given by the composition root."""

    new_state: Callable[[], State]
    """Makes a state that emits nothing."""

    apply: Callable[[State, Iterable[OutboxRow]], tuple[int, ...]]
    """Applies events and returns the numbers of those it could not read."""


def migrate(store: TinyDbStore) -> Migrated:
    """Bring the file to the schema of this version; the old one is kept. Doing it again changes nothing.

    Raises:
        StateError: the file is damaged, or of a newer schema.
        BusyError: another process holds the state.
    """
    loaded = file_format.load(store.path)
    to_version = file_format.SCHEMA_VERSION
    before = loaded.meta.schema_version if loaded else to_version
    if before == to_version:
        store.view()
        return Migrated(from_version=before, to_version=to_version)
    with store.transaction():
        pass
    copies = sorted(store.backups.folder.glob(f"schema-{before}-*.json"))
    return Migrated(from_version=before, to_version=to_version, copy=str(copies[-1]) if copies else None)


def restore(
    store: TinyDbStore, generation: int | None = None, *, replay: Replay | None = None, is_from_journal: bool = False
) -> Restored:
    """Put a sound state in place; sequence numbers continue from the highest known.

    The base is the kept *generation*, else with *is_from_journal* nothing, else the newest of the present file and the
    copies that is sound, else nothing. With *replay* the later events of the journal are applied to it. A present file
    that is sound and as new as the journal stays as it is.

    Raises:
        StateError: there is no base, or the present file is of a newer schema.
        BusyError: another process holds the state.
    """
    with store.exclusive(is_repair=True):
        _refuse_newer(store)
        repaired = [*_clear_log(store), *_clear_journal(store), *_mend_journal(store), *_mend_book(store)]
        present = _look(store)
        if present.loaded is not None:
            with state_errors(store.state_dir):
                sync_folder(store.state_dir)  # who renamed the file may have died before it could do this
            store.journal.append(_waiting(present.loaded))
            is_asked = generation is None and not is_from_journal and replay is not None
            if is_asked and present.loaded.meta.last_seq >= store.journal.last_seq():
                return _kept(present.loaded.meta, [*repaired, *_catch_up_book(store)])
        base = None
        if not is_from_journal:
            base = _choose(store, generation, present.loaded, may_be_nothing=replay is not None)
        rebuilt = _rebuild(store, base, present.meta, replay)
        aside = _set_aside(store)
        store.storage.commit(rebuilt.meta, rebuilt.tables)
        store.journal.append(rebuilt.events)
        repaired += _catch_up_book(store)
    return msgspec.structs.replace(
        rebuilt.reported, set_aside=None if aside is None else str(aside), repaired=tuple(repaired)
    )


def _kept(meta: Meta, repaired: Iterable[str]) -> Restored:
    return Restored(
        from_generation=meta.generation,
        generation=meta.generation,
        last_seq=meta.last_seq,
        set_aside=None,
        repaired=tuple(repaired),
        notes=("The state file is sound: it stays as it is.",),
    )


class _Present(NamedTuple):
    loaded: Loaded | None
    """The present file when it is sound."""

    meta: Meta | None
    """What its header says, when that much is sound."""


def _refuse_newer(store: TinyDbStore) -> None:
    """Raise the StateError of a file of a newer schema: an older apex never goes back behind it."""
    try:
        file_format.load(store.path)
    except StateError as error:
        if error.code == "state_newer_schema":
            raise


def _look(store: TinyDbStore) -> _Present:
    """Return what can be believed of the present file."""
    with suppress(StateError):
        loaded = file_format.load(store.path)
        if loaded is not None:
            read_state(file_format.migrate(loaded, store.path), store.path, State())
        return _Present(loaded, loaded.meta if loaded else None)
    with suppress(StateError):
        found = file_format.read_meta(store.path)
        return _Present(None, found)
    return _Present(None, None)


def _waiting(loaded: Loaded) -> list[OutboxRow]:
    """Return the events that a sound file has not reported the journal yet."""
    rows = msgspec.json.decode(loaded.tables.get("outbox", b"{}"), type=dict[str, OutboxRow])
    return list(rows.values())


class _Rebuilt(NamedTuple):
    meta: Meta
    tables: dict[str, msgspec.Raw]
    events: list[OutboxRow]
    reported: Restored


def _rebuild(store: TinyDbStore, base: Loaded | None, known: Meta | None, replay: Replay | None) -> _Rebuilt:
    """Return the tables of *base* brought up to the present, under the next generation."""
    generations = [backup.generation for backup in store.list_backups()]
    metas = [meta for meta in (base.meta if base else None, known) if meta]
    last_seq = max([store.journal.last_seq(), *(meta.last_seq for meta in metas)])
    meta = Meta(
        schema_version=file_format.SCHEMA_VERSION,
        generation=max([0, *generations, *(found.generation for found in metas)]) + 1,
        last_seq=last_seq,
        saved_at=known.saved_at if known else base.meta.saved_at if base else None,
    )
    tables = file_format.migrate(base, store.path) if base else {}
    reported = Restored(
        from_generation=base.meta.generation if base else 0,
        generation=meta.generation,
        last_seq=last_seq,
        set_aside=None,
    )
    if replay is None:
        return _Rebuilt(meta, tables, [], reported)
    return _replayed(store, base, replay, _Rebuilt(meta, tables, [], reported))


def _replayed(store: TinyDbStore, base: Loaded | None, replay: Replay, start: _Rebuilt) -> _Rebuilt:
    """Apply the journal to the tables of *start*, and record that this was done as an event of its own."""
    since = base.meta.last_seq if base else 0
    state = read_state(start.tables, store.path, replay.new_state())
    state.last_seq = since
    later = _Later(store.journal.lines(), since, {int(key) for key in state.outbox})
    unreadable = replay.apply(state, later)
    later.end(start.meta.last_seq)
    missing = tuple(sorted((*later.gaps.found, *((seq, seq) for seq in unreadable))))
    state.last_seq = start.meta.last_seq
    now = store.clock.now()
    if missing and state.trading.mode is TradingMode.ACTIVE:
        reason = f"The state was restored, but events are missing: {spans(missing)}."
        state.trading = TradingState(mode=TradingMode.REDUCING, reason=reason, changed_at=now)
        State.emit(state, TradingStateChanged(at=now, subject=state.trading.mode, data=state.trading))
    reported = msgspec.structs.replace(
        start.reported,
        replayed=later.count,
        missing=missing,
        notes=tuple(_notes(state, missing, base)),
        last_seq=state.last_seq + 1,
    )
    State.emit(state, StateRestored(at=now, data=reported))
    rows = {table.name: msgspec.Raw(_encode(dict(table))) for table in state.tables()}
    meta = msgspec.structs.replace(start.meta, last_seq=state.last_seq)
    return _Rebuilt(meta, {**start.tables, **rows}, list(state.outbox.values()), reported)


class _Later:
    """Events of the journal after *since*, each number once; counts them, and remembers the gaps."""

    def __init__(self, lines: Iterable[JournalLine], since: int, waiting: Collection[int]) -> None:
        """Read nothing yet; events that are *waiting* in the outbox are part of the base."""
        self.count = 0
        self.gaps = Gaps(waiting)
        self._lines = lines
        self._newest = since

    def __iter__(self) -> Iterator[OutboxRow]:
        for line in self._lines:
            event = line.event
            if event is None or event.seq <= self._newest:
                continue
            self.gaps.add(self._newest + 1, event.seq - 1)
            self._newest = event.seq
            self.count += 1
            yield event

    def end(self, last_seq: int) -> None:
        """Note what is missing up to *last_seq*."""
        self.gaps.add(self._newest + 1, last_seq)


def _notes(state: State, missing: tuple[tuple[int, int], ...], base: Loaded | None) -> Iterator[str]:
    if missing:
        yield (
            f"Events {spans(missing)} are nowhere: what happened in them is not known. apex now only closes; "
            "compare apex positions and apex orders with the broker, then: apex resume."
        )
    if state.positions:
        yield "Prices of what is held are those of its last fill until the next run."
    if base is None:
        yield "The high-water mark of equity is what the journal reports it; tables that it does not report are empty."


def _choose(
    store: TinyDbStore, generation: int | None, present: Loaded | None, *, may_be_nothing: bool
) -> Loaded | None:
    """Return the wanted backup, or the newest sound one or the *present* file, or None for the journal alone."""
    problem: StateError | None = None
    for backup in reversed(store.list_backups()):
        if generation is None and present is not None and backup.generation <= present.meta.generation:
            break
        if generation in {None, backup.generation}:
            try:
                loaded = file_format.load(Path(backup.path))
            except StateError as error:
                problem = problem or error
            else:
                if loaded is not None:
                    return loaded
    if generation is None and present is not None:
        return present
    if generation is None and may_be_nothing and store.journal.last_seq():
        return None
    if problem is not None:
        raise problem
    raise StateError(
        "state_no_backup",
        f"{store.backups.folder}: no backup" + ("" if generation is None else f" of generation {generation}"),
        hint="list them: apex state check; without any: apex state restore --from-journal",
        details={"path": str(store.backups.folder), "generation": generation},
    )


def _set_aside(store: TinyDbStore) -> Path | None:
    """Keep what stands where the state should be, even if it cannot be read or is a folder."""
    if not os.path.lexists(store.path):
        return None
    try:
        return store.backups.set_aside(store.path, "replaced", store.clock.now())
    except StateError:
        return _move_aside(store, store.path)


def _move_aside(store: TinyDbStore, path: Path) -> Path:
    """Rename *path* into the backup folder under a name that is free."""
    ensure_private_dir(store.backups.folder)
    target = store.backups.free_name(f"replaced-{path.stem}", store.clock.now())
    with state_errors(path):
        path.rename(target)
        sync_folder(path.parent)
    return target


def _clear_log(store: TinyDbStore) -> Iterator[str]:
    """Move away a log that could not be followed or ended."""
    path = store.storage.log_path
    if store.storage.has_log():
        yield f"{path} could not be followed; it is now {_move_aside(store, path)}"


def _clear_journal(store: TinyDbStore) -> Iterator[str]:
    """Move away what is no folder or no file where the journal should be: pipes, links and the like."""
    folder = store.journal.folder
    if os.path.lexists(folder) and not folder.is_dir():
        yield f"{folder} was no folder; it is now {_move_aside(store, folder)}"
    for path in store.journal.files():
        if path.is_symlink() or not path.is_file():
            yield f"{path} was no file; it is now {_move_aside(store, path)}"


def _mend_journal(store: TinyDbStore) -> Iterator[str]:
    """Take lines that are no events, and events that stand there twice, out of the journal; keep the old file."""
    for path, bad in bad_lines(store.journal.lines()).items():
        kept_as = store.backups.set_aside(path, f"journal-{path.stem}", store.clock.now())
        lines = (line.raw for line, is_good in judged(store.journal.lines()) if is_good and line.path == path)
        store.journal.rewrite(path, lines)
        yield f"{path}: lines {bad} were no events, or doubled, and are gone; the file as it was: {kept_as}"


LARGEST_STEP = 1_000_000
"""More events than this are never missing between two lines: a number that far ahead is none of ours."""


def judged(lines: Iterable[JournalLine]) -> Iterator[tuple[JournalLine, bool]]:
    """Yield each line and whether it stays: False for what is no event, is out of order, or repeats a number.

    A number that is too high counts as wrong by itself when a lower one follows, or when it is the last one and far
    ahead of all before. Lines that are no events come before the event they follow.
    """
    newest = 0
    held: JournalLine | None = None
    for line in lines:
        if line.event is None:
            yield line, False
            continue
        if held is not None and held.event is not None:
            is_good = newest < held.event.seq and not newest < line.event.seq < held.event.seq
            newest = held.event.seq if is_good else newest
            yield held, is_good
        held = line
    if held is not None and held.event is not None:
        yield held, newest < held.event.seq and not (newest and held.event.seq - newest > LARGEST_STEP)


class BadLines:
    """Lines of one file that do not stay: how many, and the numbers of the first ones."""

    def __init__(self) -> None:
        """Start without any."""
        self.first: list[int] = []
        self.count = 0

    def add(self, number: int) -> None:
        """Count line *number*; of those near each other the lowest are kept."""
        self.count += 1
        self.first = sorted([*self.first, number])[:SHOWN_LINES]

    def __str__(self) -> str:
        """Return the numbers as people write them."""
        more = self.count - len(self.first)
        return ", ".join(map(str, self.first)) + (f" and {more} more" if more else "")


SHOWN_LINES = 5


def bad_lines(lines: Iterable[JournalLine]) -> dict[Path, BadLines]:
    """Return the lines that do not stay, by file."""
    bad: dict[Path, BadLines] = {}
    for line, is_good in judged(lines):
        if not is_good:
            bad.setdefault(line.path, BadLines()).add(line.number)
    return bad


def _mend_book(store: TinyDbStore) -> Iterator[str]:
    """Put the newest sound copy of a damaged simulated broker's book in place."""
    path = store.state_dir / file_format.BROKER_BOOK
    if not os.path.lexists(path) or book_problem(path) is None:
        return
    copies = [kept for kept in reversed(store.backups.books()) if book_problem(kept) is None]
    if not copies:
        yield (
            f"{path} is damaged and there is no copy of it: move it away to start a new simulated account, "
            "and the state folder with it, as the new account holds nothing"
        )
        return
    aside = _move_aside(store, path)
    copy_file(copies[0], path)
    yield (
        f"{path}: the copy {copies[0].name} is back in place; the account's last trades may be missing in it: "
        f"compare apex positions; the damaged one: {aside}"
    )


def book_problem(path: Path, known: Marks | None = None) -> StateError | None:
    """Return what is wrong with a simulated broker's book, None when it is sound and knows what is *known* of it."""
    from apex_cli.core.adapters.simulated.book_file import BookFile, stale_book

    try:
        book = BookFile(path, read_only=True).read()
    except StateError as error:
        return error
    found = marks_of_book(book.venue) if book else Marks()
    return stale_book(path, found, known) if known is not None and found.is_behind(known) else None


def _catch_up_book(store: TinyDbStore) -> Iterator[str]:
    """Bring a simulated broker's book that is older than the state up to date, from itself or its newest copy."""
    from apex_cli.core.adapters.simulated.book_file import BookFile

    path = store.state_dir / file_format.BROKER_BOOK
    loaded = file_format.load(store.path)
    if loaded is None:
        return
    state = read_state(file_format.migrate(loaded, store.path), store.path, State())
    orders, fills = tuple(state.orders.values()), tuple(state.fills.values())
    known = marks_of(orders, fills)
    problem = book_problem(path, known)
    if problem is None or problem.code != "simulated_broker_stale":
        return
    files = [BookFile(found, read_only=True) for found in (path, *store.backups.books())]
    books = [book for file in files if book_problem(file.path or path) is None and (book := file.read()) is not None]
    try:
        base = max(books, key=lambda book: marks_of_book(book.venue))
        history = _told_since(store, base.venue.now)
        for record in orders:
            history.orders[record.order.client_order_id] = record
        for fill in fills:
            history.fills[fill.key] = fill
        venue = caught_up(base.venue, history.orders.values(), history.fills.values())
    except (ValueError, OutOfReachError) as error:
        why = error if isinstance(error, OutOfReachError) else "there is no sound copy of it"
        yield (
            f"{path} is older than the state and cannot be brought up to date: {why}. Move the state folder away to "
            "start a new simulated account"
        )
        return
    aside = _move_aside(store, path) if os.path.lexists(path) else None
    seen = state.account.account.taken_at + LAST_SECOND if state.account else base.as_of
    BookFile(path).write(msgspec.structs.replace(base, venue=venue, as_of=max(base.as_of, venue.now or seen, seen)))
    yield (
        f"{path} was older than the state: the orders and executions that the state knows of were added"
        + (f"; the older one: {aside}" if aside else "")
    )


class _News(NamedTuple):
    """What the journal knows of a broker's orders and executions, by their ids."""

    orders: dict[str, OrderRecord]
    fills: dict[str, Fill]


def _told_since(store: TinyDbStore, since: datetime | None) -> _News:
    """Return what the journal reports from the month of *since* on: the state forgets orders of earlier sessions."""
    reported = _News({}, {})
    for row in store.journal.scan({"intent", "order_updated", "fill", "fill_corrected"}, since=since):
        match read_event(row):
            case IntentWritten(at=at, data=Intent(orders=orders)):
                for order in orders:
                    reported.orders[order.client_order_id] = OrderRecord(order=order, created_at=at, updated_at=at)
            case OrderUpdated(data=record):
                reported.orders[record.order.client_order_id] = record
            case FillBooked(data=fill) | FillCorrected(data=fill):
                reported.fills[fill.key] = fill
            case _:
                pass
    return reported


def reset_clock(store: TinyDbStore) -> ClockReset | None:
    """Let the state's time begin again with the machine's clock; None when nothing was saved yet.

    Raises:
        StateError: the file is damaged.
        BusyError: another process holds the state.
    """
    with store.exclusive():
        loaded = file_format.load(store.path)
        if loaded is None:
            return None
        now = SystemClock().now()
        meta = msgspec.structs.replace(loaded.meta, generation=loaded.meta.generation + 1, saved_at=now)
        StateFile(store.path).commit(meta, loaded.tables)
        return ClockReset(was=loaded.meta.saved_at or now, now=now)


def export(store: TinyDbStore) -> bytes:
    """Return all tables of the committed file as indented JSON.

    Raises:
        StateError: the file is damaged, or there is none.
    """
    store.view()
    loaded = file_format.load(store.path)
    if loaded is None:
        return b"{}\n"
    tables = {"meta": {"state": loaded.meta}, **loaded.tables}
    return msgspec.json.format(_encode(tables), indent=2) + b"\n"
