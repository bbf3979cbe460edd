from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tinydb import Query, TinyDB
from tinydb.table import Table

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state import file_format as state_care
from apex_cli.core.adapters.state import migrations
from apex_cli.core.adapters.state.check import check
from apex_cli.core.adapters.state.query import query
from apex_cli.core.adapters.state.restoration import export, restore
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import BusyError, ExitStatus, StateError
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.health import Level
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.position import Position
from apex_cli.core.model.reconciliation import Ignored
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.state.tables import State
from kit import START, FixedClock, an_event


def a_fill(number: int) -> Fill:
    return Fill(
        exec_id=f"0001.{number}.01",
        instrument=make_instrument("AAPL"),
        side=OrderSide.BUY,
        quantity=Quantity(Decimal(number + 1)),
        price=Price(Decimal("189.37")),
        filled_at=START,
    )


def open_store(folder: Path, **options: int) -> TinyDbStore:
    return TinyDbStore(folder / "state", clock=FixedClock(), **options)


def count(state: State) -> None:
    """One change with its event: the unit all tests here count in."""
    number = state.counters.entries_today + 1
    state.counters = msgspec.structs.replace(state.counters, entries_today=number)
    state.fills[f"fill-{number}"] = a_fill(number)
    state.emit(an_event(str(number)))


def commit(store: TinyDbStore, times: int = 1) -> None:
    for _ in range(times):
        with store.transaction() as state:
            count(state)


def counted(store: TinyDbStore) -> int:
    return store.view().counters.entries_today


def journalled(store: TinyDbStore) -> list[str]:
    return [row.subject for row in store.journal.events()]


def numbers(last: int) -> list[str]:
    return [str(number) for number in range(1, last + 1)]


@contextmanager
def failing_at(point: str, name: str, number: int = errno.ENOSPC) -> Iterator[None]:
    def fault(here: str, path: Path) -> None:
        if here == point and name in str(path):
            raise OSError(number, os.strerror(number), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_file, "_fault", fault)
        yield


# What is on disk


def test_a_commit_is_one_generation_in_one_private_tinydb_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 2)
    plain = json.loads(store.path.read_bytes())
    meta = plain["meta"]["state"]
    assert (meta["schema_version"], meta["generation"], meta["last_seq"]) == (2, 2, 2)
    assert plain["fills"]["fill-1"]["price"] == "189.37"
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.state_dir.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in store.state_dir.iterdir()} == {
        "state.json",
        "state.lock",
        "journal",
        "backup",
    }


def test_another_store_reads_the_same_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 3)
    other = open_store(tmp_path).view()
    assert other.fills == store.view().fills == {f"fill-{n}": a_fill(n) for n in (1, 2, 3)}
    assert other.counters == store.view().counters


def test_looking_at_a_state_that_was_never_saved_creates_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert len(store.view().fills) == 0
    assert [finding.level for finding in check(store)] == [Level.OK] * 3
    assert export(store) == b"{}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    before = store.path.stat()
    with store.transaction() as state:
        state.fills["fill-1"] = a_fill(1)
        state.fills["passing"] = a_fill(9)
        del state.fills["passing"]
    after = store.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert store.generation == 1


def test_rows_that_went_are_gone_from_the_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 2)
    with store.transaction() as state:
        del state.fills["fill-1"]
    assert list(open_store(tmp_path).view().fills) == ["fill-2"]


def test_tables_this_version_does_not_know_are_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    loaded = store.storage.load()
    assert loaded is not None
    store.storage.commit(loaded.meta, {**loaded.tables, "watchlist": {"a": {"symbol": "TSLA"}}})
    commit(store)
    assert query(store, "watchlist") == [("a", {"symbol": "TSLA"})]


def test_importing_the_store_loads_nothing_heavy() -> None:
    heavy = ["asyncio", "rich", "numpy", "filelock", "ulid", "tenacity", "ib_insync"]
    code = f"import sys, apex_cli.core.adapters.state.store; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# TinyDB


class ByText(Table):
    """A stock TinyDB table over rows that are keyed by text."""

    document_id_class = str  # type: ignore[assignment]


def test_stock_tinydb_reads_the_file_and_queries_its_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 3)
    with TinyDB(store.path, access_mode="r") as db:
        assert {"meta", "fills", "counters"} <= db.tables()
        assert len(db.table("fills")) == 3
        table = ByText(db.storage, "fills")
        assert table.get(Query().quantity == "3")["exec_id"] == "0001.2.01"
        assert table.get(doc_id="fill-2")["exec_id"] == "0001.2.01"


# Several processes

WRITER = """
import pathlib, sys, msgspec
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
store = TinyDbStore(pathlib.Path(sys.argv[1]), clock=SystemClock(), lock_timeout_s=60)
for _ in range(int(sys.argv[2])):
    with store.transaction() as state:
        number = state.counters.entries_today + 1
        state.counters = msgspec.structs.replace(state.counters, entries_today=number)
        alarm = Alarm(code="counted", message="")
        state.emit(AlarmRaised(at=store.clock.now(), subject=str(number), data=alarm))
    print(number, flush=True)
"""


def start_writer(store: TinyDbStore, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(store.state_dir), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_four_processes_lose_nothing_and_count_every_generation(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    children = [start_writer(store, 25) for _ in range(4)]
    reported = [int(line) for child in children for line in child.communicate(timeout=60)[0].split()]
    assert sorted(reported) == list(range(1, 101))
    assert counted(store) == store.generation == 100
    assert journalled(store) == numbers(100)
    assert [row.seq for row in store.journal.events()] == list(range(1, 101))
    assert {finding.level for finding in check(store)} == {Level.OK}


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_writer_loses_nothing_it_was_reported_is_safe(tmp_path: Path) -> None:
    for round_ in range(4):
        store = open_store(tmp_path)
        child = start_writer(store, 100_000)
        assert child.stdout is not None
        reported = [int(child.stdout.readline()) for _ in range(5 + 7 * round_)]
        child.send_signal(signal.SIGKILL)
        reported += [int(line) for line in child.communicate()[0].split()]
        with store.transaction():
            pass
        assert reported[-1] <= counted(store) <= reported[-1] + 1
        assert journalled(store) == numbers(counted(store))
        assert not list(store.state_dir.glob(".*.tmp"))
    assert {finding.level for finding in check(store)} == {Level.OK}


def test_readers_beside_a_fast_writer_see_whole_states_that_never_go_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    child = start_writer(store, 100_000)
    assert child.stdout is not None
    child.stdout.readline()
    seen = [counted(open_store(tmp_path)) for _ in range(150)]
    slow = open_store(tmp_path)
    seen += [counted(slow) for _ in range(150)]
    child.kill()
    child.communicate()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def commit_and_die(store: TinyDbStore, clock: FixedClock, last_step: int) -> bool:
    """Commit in a forked process that dies at its n-th write, sync or rename; return whether it lived."""
    seen = 0

    def fault(_point: str, _path: Path) -> None:
        nonlocal seen
        if seen == last_step:
            os._exit(9)
        seen += 1

    child = os.fork()
    if child == 0:
        try:
            atomic_file._fault = fault
            clock.advance(minutes=20)  # so that a backup is due
            commit(store)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, 9}
    return status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked to die")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dying_at_any_step_keeps_state_and_journal_of_one_mind(tmp_path: Path) -> None:
    for last_step in range(100):
        clock = FixedClock()
        store = TinyDbStore(tmp_path / str(last_step), clock=clock)
        commit(store)
        if commit_and_die(TinyDbStore(store.state_dir, clock=clock), clock, last_step):
            break
        again = TinyDbStore(store.state_dir, clock=clock)
        commit(again)
        assert counted(again) in {2, 3}
        assert journalled(again) == numbers(counted(again))
        assert not list(again.state_dir.glob(".*.tmp"))
    assert last_step >= 8


def test_a_change_of_another_process_is_read_before_ours(tmp_path: Path) -> None:
    one, other = open_store(tmp_path), open_store(tmp_path)
    commit(one)
    commit(other)
    assert counted(one) == 2
    commit(one)
    assert counted(other) == one.generation == 3
    assert journalled(one) == numbers(3)


def test_a_state_that_stays_locked_is_busy(tmp_path: Path) -> None:
    one = open_store(tmp_path)
    other = TinyDbStore(tmp_path / "state", clock=FixedClock(), lock_timeout_s=0.05)
    with one.transaction() as state:
        count(state)
        with pytest.raises(BusyError) as caught, other.transaction():
            pytest.fail("two writers")
        assert counted(other) == 0
    assert caught.value.code == "state_busy"
    commit(other)
    assert counted(one) == 2


# Several transactions, one commit


def test_a_group_is_one_generation_that_nobody_sees_before_its_end(tmp_path: Path) -> None:
    store, other = open_store(tmp_path), open_store(tmp_path)
    with store.grouped():
        for _ in range(3):
            commit(store)
        assert (counted(store), counted(other)) == (3, 0)
    assert (counted(other), other.generation) == (3, 1)
    assert journalled(store) == numbers(3)
    commit(other)
    assert counted(store) == 4


def test_a_group_that_raises_never_happened(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    with suppress(LookupError), store.grouped():
        commit(store)
        raise LookupError
    assert counted(store) == counted(open_store(tmp_path)) == 1
    commit(store)
    assert (counted(open_store(tmp_path)), journalled(store)) == (2, numbers(2))


@pytest.mark.parametrize("point", ["open", "write", "sync", "replace"])
def test_a_group_that_cannot_be_written_never_happened(tmp_path: Path, point: str) -> None:
    store = open_store(tmp_path)
    commit(store)
    group = store.grouped()
    group.__enter__()
    commit(store)
    commit(store)
    with failing_at(point, "state.json"), pytest.raises(StateError):
        group.__exit__(None, None, None)
    assert counted(store) == counted(open_store(tmp_path)) == 1
    commit(store)
    assert (counted(open_store(tmp_path)), journalled(store)) == (2, numbers(2))


def test_a_group_commits_what_was_settled_before_it(tmp_path: Path) -> None:
    store = TinyDbStore(tmp_path / "state", clock=FixedClock(), commit_every=10)
    commit(store)
    with suppress(LookupError), store.grouped():
        raise LookupError
    assert counted(open_store(tmp_path)) == 1


# Failures of the disk


@pytest.mark.parametrize("point", ["open", "write", "sync", "replace"])
def test_a_failed_commit_changes_neither_memory_nor_disk(tmp_path: Path, point: str) -> None:
    store = open_store(tmp_path)
    commit(store)
    with failing_at(point, "state.json"), pytest.raises(StateError) as caught:
        commit(store)
    assert caught.value.code == "state_disk_full"
    assert counted(store) == counted(open_store(tmp_path)) == 1
    commit(store)
    assert counted(open_store(tmp_path)) == 2
    assert journalled(store) == numbers(2)


def test_when_the_folder_cannot_be_synced_memory_is_what_the_file_says(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    with failing_at("sync_folder", "state", errno.EIO), pytest.raises(StateError):
        commit(store)
    assert counted(store) == counted(open_store(tmp_path)) == 2
    commit(store)
    assert journalled(store) == numbers(3)


def test_a_full_journal_disk_delays_events_and_then_refuses_new_changes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    with failing_at("write", ".jsonl"):
        commit(store)
        assert counted(open_store(tmp_path)) == 2
        assert store.problem is not None
        with pytest.raises(StateError, match="No space left"):
            commit(store)
        assert counted(store) == 2
    assert journalled(store) == numbers(1)
    commit(store)
    assert journalled(store) == numbers(3)
    assert store.problem is None


def test_a_row_that_cannot_be_encoded_keeps_the_old_state(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    with pytest.raises(TypeError), store.transaction() as state:  # noqa: PT012 - the end of the block raises
        count(state)
        state.fills["odd"] = object()  # type: ignore[assignment]
    commit(store)
    assert counted(open_store(tmp_path)) == 2
    assert journalled(store) == numbers(2)


def test_a_backup_that_cannot_be_made_does_not_stop_trading(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    with failing_at("link", "backup"):
        commit(store)
    assert store.problem is not None
    assert counted(open_store(tmp_path)) == 2


def test_a_folder_of_backups_that_cannot_be_read_does_not_stop_trading_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(folder: Path) -> list[str]:
        if Path(folder).name == "backup":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    listed = os.listdir
    store = open_store(tmp_path)
    commit(store)
    monkeypatch.setattr(os, "listdir", denied)
    commit(store)
    assert store.problem is not None
    assert store.problem.code == "state_no_permission"
    errors = [found for found in check(store) if found.level is Level.ERROR]
    assert [(found.code, found.path) for found in errors] == [
        ("state_no_permission", str(tmp_path / "state" / "backup"))
    ]


# Damage


def refused(folder: Path) -> str:
    codes = set()
    for attempt in (lambda store: store.view(), lambda store: store.transaction().__enter__()):
        with pytest.raises(StateError) as caught:
            attempt(open_store(folder))
        assert caught.value.status is ExitStatus.STATE_DAMAGED
        assert "apex state" in caught.value.hint or "install the newer apex" in caught.value.hint
        codes.add(caught.value.code)
    (code,) = codes
    return code


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    whole = store.path.read_bytes()
    for size in range(len(whole)):
        with pytest.raises(StateError) as caught:
            state_care.decode_state(whole[:size], store.path)
        assert caught.value.code == "state_damaged"
    store.path.write_bytes(whole[:-1])
    assert refused(tmp_path) == "state_damaged"
    store.path.write_bytes(b"")
    assert refused(tmp_path) == "state_damaged"


def test_every_flipped_byte_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    whole = store.path.read_bytes()
    for at in range(len(whole)):
        for bit in (0x01, 0x20):
            bad = bytearray(whole)
            bad[at] ^= bit
            with pytest.raises(StateError):
                state_care.decode_state(bytes(bad), store.path)
    with pytest.raises(StateError):
        state_care.decode_state(whole + b"\n", store.path)


def test_a_row_of_the_wrong_shape_is_damage_that_names_its_table(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    loaded = store.storage.load()
    assert loaded is not None
    store.storage.commit(loaded.meta, {**loaded.tables, "fills": {"a": {"exec_id": 5}}})
    with pytest.raises(StateError, match="table fills") as caught:
        open_store(tmp_path).view()
    assert caught.value.code == "state_damaged"


def test_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    commit(store)
    monkeypatch.setattr(state_care, "SCHEMA_VERSION", 0)
    assert refused(tmp_path) == "state_newer_schema"


def test_a_missing_file_beside_a_journal_or_a_backup_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    store.backup_now()
    store.path.unlink()
    with pytest.raises(StateError) as caught:
        store.view()
    assert caught.value.code == "state_missing"
    assert refused(tmp_path) == "state_missing"
    (journal,) = store.journal.files()
    journal.unlink()
    assert refused(tmp_path) == "state_missing"


def test_check_names_what_is_wrong_and_changes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 3)
    kept = store.list_backups()[0]
    Path(kept.path).unlink()
    Path(kept.path).write_bytes(b"{}")
    store.path.chmod(0o644)
    (journal,) = store.journal.files()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[2])
    codes = {finding.code: finding.level for finding in check(store) if finding.level is not Level.OK}
    assert codes == {
        "journal_sequence": Level.WARNING,
        "backup_damaged": Level.WARNING,
        "state_mode": Level.WARNING,
    }
    store.path.write_bytes(b"garbage")
    assert store.path.read_bytes() == b"garbage"
    assert Level.ERROR in {finding.level for finding in check(store)}


def test_check_finds_events_that_are_in_neither_journal_nor_outbox(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 2)
    with store.transaction() as state:
        del state.fills["fill-1"]
    assert {finding.level for finding in check(store)} == {Level.OK}
    (journal,) = store.journal.files()
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    assert [f.code for f in check(open_store(tmp_path)) if f.level is Level.WARNING] == ["journal_sequence"]


# Backups


def test_backups_are_sparse_in_time_and_the_newest_are_kept(tmp_path: Path) -> None:
    clock = FixedClock()
    store = TinyDbStore(tmp_path / "state", clock=clock, backups=3)
    for _ in range(100):
        commit(store)
        clock.advance(minutes=1)
    assert [backup.generation for backup in store.list_backups()] == [61, 76, 91]
    taken = store.backup_now()
    assert taken is not None
    assert [backup.generation for backup in store.list_backups()] == [76, 91, 100]
    assert store.backup_now() == taken
    for backup in store.list_backups():
        loaded = state_care.load(Path(backup.path))
        assert loaded is not None
        assert loaded.meta.generation == backup.generation


def test_restore_puts_a_generation_back_and_keeps_the_damaged_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 3)
    store.backup_now()
    commit(store, 2)
    store.path.write_bytes(b"garbage")
    restored = restore(store)
    assert (restored.from_generation, restored.generation, restored.last_seq) == (3, 4, 5)
    assert restored.set_aside is not None
    assert Path(restored.set_aside).read_bytes() == b"garbage"
    assert counted(store) == counted(open_store(tmp_path)) == 3
    assert store.generation == 4


def test_after_a_restore_sequence_numbers_go_on_and_no_event_is_doubled(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, 2)
    store.backup_now()
    commit(store, 2)
    restore(store, 2)
    commit(store)
    assert [row.seq for row in store.journal.events()] == [1, 2, 3, 4, 5]
    assert store.generation == 6
    assert {finding.level for finding in check(store)} == {Level.OK}


def test_restore_works_without_a_present_file_and_skips_damaged_backups(tmp_path: Path) -> None:
    clock = FixedClock()
    store = TinyDbStore(tmp_path / "state", clock=clock)
    commit(store, 2)
    store.backup_now()
    commit(store)
    newest = store.backup_now()
    assert newest is not None
    store.path.unlink()
    Path(newest.path).write_bytes(b"garbage")
    restored = restore(store)
    assert (restored.from_generation, restored.set_aside) == (2, None)
    assert counted(store) == 2
    with pytest.raises(StateError) as caught:
        restore(store, 3)
    assert caught.value.code == "state_damaged"
    with pytest.raises(StateError) as caught:
        restore(store, 77)
    assert caught.value.code == "state_no_backup"


def test_an_older_schema_is_copied_then_migrated_by_the_first_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    commit(store)
    loaded = store.storage.load()
    assert loaded is not None
    store.storage.commit(msgspec.structs.replace(loaded.meta, schema_version=0), loaded.tables)
    assert refused(tmp_path) == "state_damaged"

    def rename(tables: migrations.PlainTables) -> migrations.PlainTables:
        fills = {f"new-{key}": row for key, row in tables["fills"].items()}
        return {**tables, "fills": fills}

    monkeypatch.setitem(migrations.MIGRATIONS, 0, rename)
    monkeypatch.setitem(migrations.MIGRATIONS, 1, dict)
    old = store.path.read_bytes()
    migrated = open_store(tmp_path)
    assert list(migrated.view().fills) == ["new-fill-1"]
    assert store.path.read_bytes() == old
    with migrated.transaction():
        pass
    (copy,) = (migrated.state_dir / "backup").glob("schema-0-*.json")
    assert copy.read_bytes() == old
    after = migrated.storage.load()
    assert after is not None
    assert (after.meta.schema_version, after.meta.generation) == (2, 2)
    assert list(open_store(tmp_path).view().fills) == ["new-fill-1"]


def test_an_option_kept_under_a_strike_with_needless_zeros_is_found_by_its_key(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    option = make_instrument(
        "AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=Price(Decimal(150)), right=OptionRight.CALL
    )
    other = msgspec.structs.replace(option, strike=Price(Decimal("152.5")))
    with store.transaction() as state:
        for instrument in (option, other, make_instrument("F")):
            position = Position(
                instrument=instrument,
                side=PositionSide.LONG,
                quantity=Quantity(Decimal(1)),
                opened_quantity=Quantity(Decimal(1)),
                opened_value=Decimal(2),
                entry_price=Price(Decimal(2)),
                entry_time=START,
            )
            state.positions[instrument.key] = PositionRecord(
                position=position, current_price=Price(Decimal(2)), priced_at=START
            )
        state.ignored[option.key] = Ignored(key=option.key, quantity=Decimal(1), since=START)
    loaded = store.storage.load()
    assert loaded is not None
    old = {
        name: msgspec.Raw(bytes(raw).replace(b"C150", b"C150.00").replace(b'"150"', b'"150.00"'))
        for name, raw in loaded.tables.items()
    }
    assert b"C150.00" in bytes(old["positions"])
    store.storage.commit(msgspec.structs.replace(loaded.meta, schema_version=1), old)
    again = open_store(tmp_path)
    assert list(again.view().positions) == [option.key, other.key, "F"]
    assert again.view().positions[option.key].position.instrument == option
    assert again.view().ignored[option.key].key == option.key
    with again.transaction() as state:
        del state.positions[option.key]
    assert list(open_store(tmp_path).view().positions) == [other.key, "F"]


def test_a_security_in_another_spelling_is_migrated_and_the_old_file_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.transaction() as state:
        for name, quantity in (("BRK.B", 40), ("KO", 10)):
            instrument = make_instrument(name)
            position = Position(
                instrument=instrument,
                side=PositionSide.LONG,
                quantity=Quantity(Decimal(quantity)),
                opened_quantity=Quantity(Decimal(quantity)),
                opened_value=Decimal(2 * quantity),
                entry_price=Price(Decimal(2)),
                entry_time=START,
            )
            state.positions[instrument.key] = PositionRecord(
                position=position, current_price=Price(Decimal(2)), priced_at=START
            )
        state.ignored["BRK.B"] = Ignored(key="BRK.B", quantity=Decimal(1), since=START)
    loaded = store.storage.load()
    assert loaded is not None
    old = {name: msgspec.Raw(bytes(raw).replace(b"BRK.B", b"BRK B")) for name, raw in loaded.tables.items()}
    rows = msgspec.json.decode(old["positions"])
    rows["BRK-B"] = {**rows["KO"], "position": {**rows["KO"]["position"], "instrument": {"symbol": "BRK-B"}}}
    rows["BRK-B"]["position"]["entry_price"] = "7"
    old["positions"] = msgspec.Raw(msgspec.json.encode(rows))
    store.storage.commit(msgspec.structs.replace(loaded.meta, schema_version=1), old)
    again = open_store(tmp_path)
    position = again.view().positions["BRK.B"].position
    assert list(again.view().positions) == ["BRK.B", "KO"]
    assert (position.quantity, position.entry_price, position.instrument.key) == (50, 3, "BRK.B")
    assert again.view().ignored["BRK.B"].key == "BRK.B"
    with again.transaction() as state:
        del state.positions["KO"]
    assert list((again.state_dir / "backup").glob("schema-1-*.json"))
    assert list(open_store(tmp_path).view().positions) == ["BRK.B"]


def test_export_is_readable_json_of_all_tables(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store)
    exported = export(store)
    assert json.loads(exported)["fills"]["fill-1"]["exec_id"] == "0001.1.01"
    assert b'\n    "fill-1": {\n' in exported


# Batches


def test_a_batch_is_one_generation_and_holds_the_lock_until_it_is_written(tmp_path: Path) -> None:
    store = open_store(tmp_path, commit_every=3)
    other = TinyDbStore(tmp_path / "state", clock=FixedClock(), lock_timeout_s=0.05)
    commit(store, 2)
    assert (counted(store), counted(other)) == (2, 0)
    with pytest.raises(BusyError), other.transaction():
        pytest.fail("two writers")
    commit(store)
    assert (counted(other), store.generation) == (3, 1)
    commit(other)
    commit(store)
    store.close()
    store.close()
    assert (counted(other), store.generation) == (5, 3)
    assert journalled(other) == numbers(5)


def test_a_failing_transaction_of_a_batch_takes_only_itself_back(tmp_path: Path) -> None:
    store = open_store(tmp_path, commit_every=10)
    commit(store, 2)
    with pytest.raises(ZeroDivisionError), store.transaction() as state:  # noqa: PT012 - the block is what fails
        count(state)
        raise ZeroDivisionError
    commit(store)
    store.flush()
    assert counted(open_store(tmp_path)) == 3
    assert journalled(store) == numbers(3)


def test_a_batch_that_cannot_be_written_is_forgotten_and_the_lock_is_free(tmp_path: Path) -> None:
    store = open_store(tmp_path, commit_every=2)
    commit(store, 3)
    with failing_at("write", "state.json"), pytest.raises(StateError):
        store.flush()
    other = open_store(tmp_path)
    commit(other)
    assert counted(store) == 3
    assert journalled(other) == numbers(3)
