"""Checks everything in the state folder: reads only, takes no lock, and names the command that mends each defect.

Only what a power failure has interrupted is finished first, as every command does that opens the state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from apex_cli.core.adapters.atomic_file import not_a_file
from apex_cli.core.adapters.process_locks import LOCKS
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.restoration import BadLines, book_problem, judged
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import MOST_BEHIND, SystemClock
from apex_cli.core.errors import StateError
from apex_cli.core.model.health import Finding, Level
from apex_cli.core.model.repair import Gaps
from apex_cli.core.venue.catch_up import Marks, marks_of

RESTORE = "apex state restore"


def check(store: TinyDbStore) -> list[Finding]:
    """Return what was found of file, journal, backups, the simulated broker's book, locks, clock and modes."""
    findings: list[Finding] = []
    looks = (_check_file, _check_journal, _check_backups, _check_book, _check_locks, _check_time, _check_modes)
    for look in looks:
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
    fresh = TinyDbStore(store.state_dir, clock=store.clock, journal=store.journal)
    rows = sum(len(table) for table in fresh.view().tables())
    text = f"generation {fresh.generation}, {rows} rows, checksum fits" if fresh.generation else "nothing was saved yet"
    yield Finding(code="state_file", level=Level.OK, message=text, path=str(store.path))
    loaded = file_format.load(store.path)
    if loaded is not None and loaded.meta.schema_version < file_format.SCHEMA_VERSION:
        text = (
            f"of schema version {loaded.meta.schema_version}; the next change brings it to {file_format.SCHEMA_VERSION}"
        )
        hint = "apex state migrate does it now; the old file is kept"
        yield Finding(code="state_old_schema", level=Level.WARNING, message=text, path=str(store.path), hint=hint)


def _check_journal(store: TinyDbStore) -> Iterator[Finding]:
    """Return whether every sequence number is in the journal exactly once, or waits in the outbox."""
    last_seq, waiting = _known_to_state(store)
    count = newest = 0
    bad: dict[Path, BadLines] = {}
    gaps = Gaps(waiting)
    for line, is_good in judged(store.journal.lines()):
        if not is_good or line.event is None:
            bad.setdefault(line.path, BadLines()).add(line.number)
            continue
        gaps.add(newest + 1, line.event.seq - 1)
        count, newest = count + 1, line.event.seq
    gaps.add(newest + 1, last_seq)
    for path, lines in bad.items():
        text = f"{path.name}: {lines.count} lines are no events, or doubled; the first is line {lines.first[0]}"
        yield Finding(code="journal_lines", level=Level.ERROR, message=text, path=str(path), hint=RESTORE)
    if gaps.found:
        text = f"events {gaps} are missing; the last one is {newest}, the state knows of {last_seq}"
        hint = "bring journal files back from your own copy; the state itself does not need them"
        yield Finding(code="journal_sequence", level=Level.WARNING, message=text, hint=hint)
    yield Finding(code="journal", level=Level.OK, message=f"{count} events, the last one is {newest}")


def _known_to_state(store: TinyDbStore) -> tuple[int, set[int]]:
    """Return the newest number that the file knows of, and those that wait in it."""
    with suppress(StateError):
        if loaded := file_format.load(store.path):
            waiting = file_format.decode_raw(loaded.tables.get("outbox", b"{}"))
            return loaded.meta.last_seq, {int(key) for key in waiting}
    return 0, set()


def _check_backups(store: TinyDbStore) -> Iterator[Finding]:
    sound = 0
    for backup in store.list_backups():
        try:
            file_format.load(Path(backup.path))
            sound += 1
        except StateError as error:
            yield Finding(
                code="backup_damaged",
                level=Level.WARNING,
                message=error.message,
                path=backup.path,
                hint="remove that file; the other copies and the journal are enough",
            )
    yield Finding(
        code="backups",
        level=Level.OK,
        message=f"{sound} sound {'copy' if sound == 1 else 'copies'}",
        path=str(store.backups.folder),
    )


def _check_book(store: TinyDbStore) -> Iterator[Finding]:
    """Read the simulated broker's book, and compare its newest numbers with those that the state was reported."""
    path = store.state_dir / file_format.BROKER_BOOK
    known, is_simulated = _told_by_book(store)
    problem = book_problem(path, known)
    if problem is None:
        if os.path.lexists(path):
            yield Finding(code="simulated_broker", level=Level.OK, message="its book is sound", path=str(path))
        return
    sound = any(book_problem(copy) is None for copy in store.backups.books())
    hint = f"{RESTORE} brings back the newest copy" if sound else problem.hint
    is_needed = is_simulated or os.path.lexists(path)  # without it, another broker may be traded with now
    level = Level.ERROR if is_needed else Level.WARNING
    yield Finding(code=problem.code, level=level, message=problem.message, path=str(path), hint=hint)


def _told_by_book(store: TinyDbStore) -> tuple[Marks, bool]:
    """Return the newest numbers that the state was reported, and whether its account was a simulated one last.

    Nothing when the state itself cannot be read.
    """
    with suppress(StateError):
        state = TinyDbStore(store.state_dir, clock=store.clock, journal=store.journal).view()
        is_simulated = state.account is not None and state.account.account.is_simulated
        return marks_of(state.orders.values(), state.fills.values()), is_simulated
    return Marks(), False


def _check_locks(store: TinyDbStore) -> Iterator[Finding]:
    """Name what stands where a lock should be; a lock that is not there yet is made when it is needed."""
    for name in LOCKS:
        path = store.state_dir / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            problem = not_a_file(path, path.lstat().st_mode)
            hint = "move it away: apex makes a new one"
            yield Finding(code=problem.code, level=Level.ERROR, message=problem.message, path=str(path), hint=hint)


def _check_time(store: TinyDbStore) -> Iterator[Finding]:
    """Compare the machine's clock with the latest time the state has seen."""
    seen = file_format.last_saved_at(store.path)
    if seen is None or not isinstance(store.clock, SystemClock):
        return
    now = store.clock.wall()
    if seen - now <= MOST_BEHIND:
        return
    yield Finding(
        code="clock_behind",
        level=Level.WARNING,
        message=f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC, the state has seen {seen:%Y-%m-%d %H:%M:%S}",
        hint="set the clock right; if it is right now and was wrong before: apex state reset-clock",
    )


def _check_modes(store: TinyDbStore) -> Iterator[Finding]:
    for path in (store.state_dir, store.path, *store.journal.files()):
        if path.exists() and path.stat().st_mode & 0o077:
            text = f"others may open it (mode {path.stat().st_mode & 0o777:04o})"
            yield Finding(
                code="state_mode", level=Level.WARNING, message=text, path=str(path), hint=f"chmod go= {path}"
            )
