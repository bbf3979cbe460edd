"""``apex state``: every damage is named with the command that mends it, and that command mends it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apex_cli.core.adapters.process_locks import ExecutorLock
from apex_cli.core.adapters.state import file_format as state_care
from apex_cli.core.adapters.state import migrations
from apex_cli.core.adapters.state.journal import MOST_LINE
from apex_cli.core.adapters.state.storage import StateFile
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.errors import StateError
from kit import an_event

Apex = Callable[..., Any]
NOT_TOLD = {"account", "meta", "outbox", "counters", "requests"}


@pytest.fixture
def played(traded: Path, apex_json: Apex) -> Path:
    """The demo after a few days: an answer given, bars played, a position closed, signals seen twice."""
    assert apex_json("approve", "--all", "--yes").status in {0, 4}
    assert apex_json("run", "--once", "--bars-until", "2004-03-05").status in {0, 8}
    assert apex_json("close", "MSFT", "--yes").status in {0, 8}
    assert apex_json("halt", "--reason", "lunch").status == 0
    assert apex_json("resume").status == 0
    return traded


def state_file(folder: Path) -> Path:
    return folder / "state" / "state.json"


def journal(folder: Path) -> Path:
    (path, *_) = sorted((folder / "state" / "journal").glob("*.jsonl"))
    return path


def tables(folder: Path) -> dict[str, Any]:
    """Return what must be as it was; prices of what is held are those of its last fill after a rebuild."""
    found = {name: rows for name, rows in json.loads(state_file(folder).read_bytes()).items() if name not in NOT_TOLD}
    for row in found["positions"].values():
        row.pop("current_price")
        row.pop("priced_at")
    for row in found["trading"].values():
        row.pop("changed_at", None)
    return {name: rows for name, rows in found.items() if rows}


def truncate(folder: Path) -> None:
    state_file(folder).write_bytes(state_file(folder).read_bytes()[:-100])


def garbage(folder: Path) -> None:
    state_file(folder).write_bytes(b"\0" * 100)


def empty(folder: Path) -> None:
    state_file(folder).write_bytes(b"")


def flip(folder: Path) -> None:
    data = bytearray(state_file(folder).read_bytes())
    data[-200] ^= 1
    state_file(folder).write_bytes(data)


def lose(folder: Path) -> None:
    state_file(folder).unlink()


def folder_in_the_way(folder: Path) -> None:
    state_file(folder).unlink()
    state_file(folder).mkdir()


def wrong_row(folder: Path) -> None:
    loaded = state_care.load(state_file(folder))
    assert loaded is not None
    StateFile(state_file(folder)).commit(loaded.meta, {**loaded.tables, "fills": {"a": {"exec_id": 5}}})


def garbage_at_the_journal_s_end(folder: Path) -> None:
    newest = max((folder / "state" / "journal").glob("*.jsonl"))
    with newest.open("ab") as file:
        file.write(b"\0\0\0garbage\n")


DAMAGES = (
    truncate,
    garbage,
    empty,
    flip,
    lose,
    folder_in_the_way,
    wrong_row,
    garbage_at_the_journal_s_end,
)


@pytest.mark.parametrize("has_backup", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_stops_every_command_and_restore_mends_it(
    played: Path, apex_json: Apex, damage: Callable[[Path], None], *, has_backup: bool
) -> None:
    before = tables(played)
    if not has_backup:
        for path in (played / "state" / "backup").iterdir():
            path.unlink()
    damage(played)
    for line in [("positions",), ("run", "--once"), ("halt",), ("orders",), ("close", "AAPL", "--yes")]:
        answer = apex_json(*line)
        assert answer.status == 9, line
        assert "apex state" in answer.error["hint"]
    check = apex_json("state", "check")
    assert check.status == 9
    hints = [finding["hint"] for finding in check.data["findings"] if finding["level"] == "error"]
    assert all("apex state restore" in hint for hint in hints)
    restored = apex_json("state", "restore", "--yes")
    assert restored.status == 0
    assert restored.data["missing"] == []
    assert tables(played) == before
    assert apex_json("state", "check").status == 0
    assert apex_json("run", "--once").status in {0, 8}
    assert apex_json("positions").status == 0


@pytest.mark.parametrize("arguments", [("--from-journal",), ("--to",)])
def test_any_base_leads_to_the_same_state(played: Path, apex_json: Apex, arguments: tuple[str, ...]) -> None:
    before = tables(played)
    if arguments == ("--to",):
        oldest = min((played / "state" / "backup").glob("state-*.json"))
        arguments = ("--to", str(int(oldest.stem.split("-")[1])))
    restored = apex_json("state", "restore", "--yes", *arguments)
    assert restored.status == 0
    assert restored.data["replayed"] > 0
    assert restored.data["missing"] == []
    assert tables(played) == before
    assert apex_json("state", "check").status == 0


def test_after_a_restore_no_signal_is_acted_on_twice(played: Path, apex_json: Apex) -> None:
    orders = apex_json("orders", "--all").data["orders"]
    oldest = min((played / "state" / "backup").glob("state-*.json"))
    garbage(played)
    assert apex_json("state", "restore", "--yes", "--to", str(int(oldest.stem.split("-")[1]))).status == 0
    again = apex_json("run", "--once", "--signals", "signals.json")
    assert {row["outcome"] for row in again.data["signals"]} <= {"duplicate", "invalid"}
    assert len(apex_json("orders", "--all").data["orders"]) == len(orders)


@pytest.mark.parametrize("line", [("restore", "--yes"), ("reset-clock", "--yes")])
def test_nothing_is_mended_under_a_running_executor(traded: Path, apex_json: Apex, line: tuple[str, ...]) -> None:
    before = state_file(traded).read_bytes()
    with ExecutorLock(traded / "state"):
        assert apex_json("state", *line).status == 7
    assert state_file(traded).read_bytes() == before


def test_a_sound_state_stays_as_it_is(played: Path, apex_json: Apex) -> None:
    before = state_file(played).read_bytes()
    restored = apex_json("state", "restore", "--yes")
    assert restored.data["from_generation"] == restored.data["generation"]
    assert restored.data["set_aside"] is None
    assert state_file(played).read_bytes() == before


def test_bad_lines_in_the_journal_are_named_taken_out_and_kept(played: Path, apex_json: Apex) -> None:
    path = journal(played)
    lines = path.read_bytes().splitlines(keepends=True)
    spoiled = b"".join([*lines[:3], b"{}\n", *lines[3:5], lines[4], *lines[5:]])
    path.write_bytes(spoiled)
    check = apex_json("state", "check")
    assert check.status == 9
    (found,) = [finding for finding in check.data["findings"] if finding["level"] == "error"]
    assert found["message"] == f"{path.name}: 2 lines are no events, or doubled; the first is line 4"
    assert found["hint"] == "apex state restore"
    restored = apex_json("state", "restore", "--yes")
    (said,) = restored.data["repaired"]
    assert "lines 4, 7 " in said
    assert Path(said.rpartition(": ")[2]).read_bytes() == spoiled
    assert path.read_bytes() == b"".join(lines)
    assert apex_json("state", "check").status == 0


def test_events_that_are_nowhere_are_reported_and_nothing_is_opened_until_a_person_has_looked(
    played: Path, apex_json: Apex
) -> None:
    path = journal(played)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-6] + lines[-4:]))
    check = apex_json("state", "check")
    assert check.status == 0
    assert "journal_sequence" in {f["code"] for f in check.data["findings"] if f["level"] == "warning"}
    garbage(played)
    for backup in (played / "state" / "backup").glob("state-*.json"):
        backup.unlink()
    restored = apex_json("state", "restore", "--yes")
    first = json.loads(lines[-6])["seq"]
    assert restored.data["missing"] == [[first, first + 1]]
    assert any("compare apex positions" in note for note in restored.data["notes"])
    assert apex_json("run", "--once").data["summary"]["trading_state"] == "REDUCING"


def test_a_damaged_book_of_the_simulated_broker_comes_back_from_its_copy(traded: Path, apex_json: Apex) -> None:
    assert apex_json("state", "backup").status == 0
    book = traded / "state" / "simulated_broker.json"
    sound = book.read_bytes()
    book.write_bytes(sound[:-20])
    for line in [("run", "--once"), ("close", "AAPL", "--yes"), ("doctor",), ("state", "check")]:
        assert apex_json(*line).status == 9, line
    (found,) = [f for f in apex_json("state", "check").data["findings"] if f["level"] == "error"]
    assert found["hint"].startswith("apex state restore")
    restored = apex_json("state", "restore", "--yes")
    assert restored.status == 0
    assert len(restored.data["repaired"]) == 1
    assert book.read_bytes() == sound
    assert apex_json("run", "--once").status in {0, 8}


def test_a_damaged_book_without_a_copy_is_named_with_what_to_do(traded: Path, apex_json: Apex) -> None:
    for path in (traded / "state" / "backup").glob("broker-*"):
        path.unlink()
    (traded / "state" / "simulated_broker.json").write_bytes(b"{")
    (found,) = [f for f in apex_json("state", "check").data["findings"] if f["level"] == "error"]
    assert "move the file away" in found["hint"]
    assert "there is no copy" in apex_json("state", "restore", "--yes").data["repaired"][0]


# Files that are older, odd, or beyond all measure


@pytest.mark.parametrize("has_backup", [True, False])
def test_an_older_state_is_noticed_and_brought_up_to_the_journal(
    traded: Path, apex_json: Apex, *, has_backup: bool
) -> None:
    old = state_file(traded).read_bytes()
    assert apex_json("approve", "--all", "--reject", "--reason", "no").status == 0
    assert apex_json("close", "MSFT", "--yes").status in {0, 8}
    before, book = tables(traded), (traded / "state" / "simulated_broker.json").read_bytes()
    orders = apex_json("orders", "--all").data["orders"]
    if not has_backup:
        for path in (traded / "state" / "backup").iterdir():
            path.unlink()
    state_file(traded).write_bytes(old)
    for line in [
        ("run", "--once"),
        ("approve", "--all", "--yes"),
        ("close", "AAPL", "--yes"),
        ("positions",),
        ("halt",),
    ]:
        answer = apex_json(*line)
        assert (answer.status, answer.error["code"]) == (9, "state_stale"), line
        assert "apex state restore" in answer.error["hint"]
    assert (traded / "state" / "simulated_broker.json").read_bytes() == book
    assert apex_json("state", "check").status == 9
    assert apex_json("doctor").status == 9
    restored = apex_json("state", "restore", "--yes")
    assert restored.data["replayed"] > 0
    assert restored.data["missing"] == []
    assert tables(traded) == before
    assert apex_json("state", "check").status == 0
    assert apex_json("approve", "--all", "--yes").status == 8
    apex_json("run", "--once", "--signals", "signals.json")
    assert len(apex_json("orders", "--all").data["orders"]) == len(orders)


def test_a_process_that_had_the_older_state_in_memory_does_not_write_it(tmp_path: Path) -> None:
    first, second = (TinyDbStore(tmp_path, clock=SystemClock()) for _ in range(2))
    with first.transaction() as tx:
        tx.emit(an_event("1", at=first.clock.now()))
    old = first.path.read_bytes()
    with second.transaction() as tx:
        tx.emit(an_event("2", at=second.clock.now()))
    first.path.write_bytes(old)
    with pytest.raises(StateError) as caught, first.transaction():
        pass
    assert caught.value.code == "state_stale"
    assert first.path.read_bytes() == old


def venue(folder: Path) -> dict[str, Any]:
    """Return what the simulated broker knows, but for times and what it may forget."""
    found: dict[str, Any] = json.loads((folder / "state" / "simulated_broker.json").read_bytes())["venue"]
    facts = ("number", "status", "quantity", "filled_quantity", "filled_value", "commission", "trigger")
    return {
        "cash": Decimal(found["cash"]),
        "orders": {
            row["order"]["client_order_id"]: [row.get(fact) for fact in facts] for row in found.get("orders", ())
        },
        "positions": {row["instrument"]["symbol"]: row["quantity"] for row in found.get("positions", ())},
        "groups": {row["name"]: {key: row[key] for key in row if key != "name"} for row in found.get("groups", ())},
        "fills": found.get("fills"),
        "numbers": (found["last_number"], found["last_execution"]),
    }


def close_one(apex_json: Apex) -> None:
    assert apex_json("close", "MSFT", "--yes").status in {0, 8}


def approve_one(apex_json: Apex) -> None:
    assert apex_json("approve", "--all", "--yes").status in {0, 4}


def play_bars(apex_json: Apex) -> None:
    assert apex_json("run", "--once", "--bars-until", "2004-03-12").status in {0, 8}


@pytest.mark.parametrize("later", [[close_one], [approve_one], [play_bars], [approve_one, close_one, play_bars]])
def test_older_books_of_the_simulated_broker_are_noticed_and_brought_up_to_date(
    traded: Path, apex_json: Apex, later: list[Callable[[Apex], None]]
) -> None:
    book = traded / "state" / "simulated_broker.json"
    old = book.read_bytes()
    for step in later:
        step(apex_json)
    newest, as_of = venue(traded), json.loads(book.read_bytes())["as_of"]
    for path in (traded / "state" / "backup").glob("broker-*"):
        path.unlink()
    book.write_bytes(old)
    for line in [("run", "--once"), ("reconcile", "--repair"), ("run", "--max-cycles", "1")]:
        answer = apex_json(*line)
        assert (answer.status, answer.error["code"]) == (9, "simulated_broker_stale"), line
        assert "apex state restore" in answer.error["hint"]
    assert apex_json("state", "check").status == 9
    assert apex_json("doctor").status == 9
    assert book.read_bytes() == old
    restored = apex_json("state", "restore", "--yes")
    assert restored.status == 0
    assert "was older than the state" in restored.data["repaired"][0]
    now = venue(traded)
    for fact in ("cash", "positions", "numbers"):
        assert now[fact] == newest[fact]
    for fact in ("orders", "groups"):  # what lies some sessions back is not there in the newest, as it may be forgotten
        assert {key: now[fact].get(key) for key in newest[fact]} == newest[fact]
    assert [fill for fill in now["fills"] if fill in newest["fills"]] == newest["fills"]
    assert json.loads(book.read_bytes())["as_of"] == as_of
    assert apex_json("state", "check").status == 0
    assert apex_json("run", "--once").status in {0, 8}
    assert apex_json("reconcile").status == 0
    assert venue(traded)["numbers"] == newest["numbers"]


def test_books_that_are_gone_come_back_from_their_copy_and_what_happened_since(traded: Path, apex_json: Apex) -> None:
    assert apex_json("state", "backup").status == 0
    close_one(apex_json)
    newest = venue(traded)
    book = traded / "state" / "simulated_broker.json"
    book.unlink()
    assert apex_json("run", "--once").error["code"] == "simulated_broker_stale"
    assert [apex_json(*words).status for words in (("state", "check"), ("doctor",))] == [9, 9]
    messages = [found["message"] for found in apex_json("doctor").data["findings"]]
    assert len(messages) == len(set(messages))
    assert apex_json("state", "restore", "--yes").status == 0
    assert venue(traded) == newest
    book.unlink()
    for path in (traded / "state" / "backup").glob("broker-*"):
        path.unlink()
    restored = apex_json("state", "restore", "--yes")
    assert "there is no sound copy" in restored.data["repaired"][0]


def test_state_and_books_may_come_back_old_together(traded: Path, apex_json: Apex) -> None:
    book = traded / "state" / "simulated_broker.json"
    old = state_file(traded).read_bytes(), book.read_bytes()
    close_one(apex_json)
    newest, before = venue(traded), tables(traded)
    state_file(traded).write_bytes(old[0])
    book.write_bytes(old[1])
    assert apex_json("run", "--once").status == 9
    assert apex_json("state", "restore", "--yes").status == 0
    assert (venue(traded), tables(traded)) == (newest, before)
    assert apex_json("state", "check").status == 0


ODD_LINES = {
    "a number of 23 digits": b'{"seq":' + b"9" * 23 + b',"at":"2004-03-03T21:00:00Z","kind":"alarm","data":{}}\n',
    "a number far ahead": b'{"seq":2000000000,"at":"2004-03-03T21:00:00Z","kind":"alarm","data":{}}\n',
    "a number of zero": b'{"seq":0,"at":"2004-03-03T21:00:00Z","kind":"alarm","data":{}}\n',
    "nested without end": b'{"seq":90,"at":"2004-03-03T21:00:00Z","kind":"alarm","data":'
    + b"[" * 200_000
    + b"]" * 200_000
    + b"}\n",
    "objects without end": b'{"seq":90,"at":"2004-03-03T21:00:00Z","kind":"alarm","data":' + b'{"a":' * 100_000 + b"\n",
    "longer than any event": b" " * (MOST_LINE + 5) + b"\n",
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_a_line_beyond_all_measure_is_named_and_taken_out(traded: Path, apex_json: Apex, line: bytes) -> None:
    before = tables(traded)
    with journal(traded).open("ab") as file:
        file.write(line)
    assert apex_json("run", "--once").status == 9
    check = apex_json("state", "check")
    assert check.status == 9
    assert journal(traded).name in check.out
    assert apex_json("doctor").status == 9
    restored = apex_json("state", "restore", "--yes")
    assert restored.status == 0
    assert restored.data["missing"] == []
    assert len(restored.data["repaired"]) == 1
    assert tables(traded) == before
    assert apex_json("state", "check").status == 0


def test_a_number_that_is_a_little_ahead_stays_and_its_gap_is_reported(traded: Path, apex_json: Apex) -> None:
    with journal(traded).open("ab") as file:
        file.write(b'{"seq":90000,"at":"2004-03-03T21:00:00Z","kind":"alarm","subject":"","data":{"code":"x"}}\n')
    assert apex_json("run", "--once").error["code"] == "state_stale"
    restored = apex_json("state", "restore", "--yes")
    ((first, last),) = restored.data["missing"]
    assert (first < last, last) == (True, 89999)
    assert apex_json("run", "--once").data["summary"]["trading_state"] == "REDUCING"
    assert apex_json("state", "check").status == 0


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("make", [a_pipe, a_folder, a_link])
@pytest.mark.parametrize("name", ["state.json", "simulated_broker.json", "journal", "journal/", "backup/"])
def test_something_else_in_place_of_a_file_is_named_at_once_and_restore_goes_on(
    traded: Path, apex_json: Apex, name: str, make: Callable[[Path], None]
) -> None:
    assert apex_json("state", "backup").status == 0
    path = traded / "state" / name
    if name == "journal/":
        path = journal(traded)
    elif name == "backup/":
        path = max((traded / "state" / "backup").glob("state-*"))
    path.rename(path.with_name("elsewhere"))
    make(path)
    check = apex_json("state", "check")
    is_of_use = name == "backup/" or (name == "journal" and make is not a_pipe)
    assert check.status == (0 if is_of_use else 9)
    assert str(path) in str(check.data["findings"]) or is_of_use
    if not is_of_use and name != "simulated_broker.json":
        assert apex_json("positions").status == 9
    assert apex_json("state", "restore", "--yes").status == 0
    assert apex_json("state", "check").status == 0


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("make", [a_pipe, a_folder, a_link])
@pytest.mark.parametrize("name", ["state.lock", "executor.lock"])
def test_something_else_in_place_of_a_lock_is_named(
    traded: Path, apex_json: Apex, name: str, make: Callable[[Path], None]
) -> None:
    path = traded / "state" / name
    path.unlink(missing_ok=True)
    make(path)
    check = apex_json("state", "check")
    assert check.status == 9
    assert name in check.out
    answer = apex_json("run", "--once")
    assert answer.status == 9
    assert name in answer.error["message"]


# Queries


def test_the_state_is_queried_by_a_condition(traded: Path, apex: Apex, apex_json: Apex) -> None:
    working = apex_json("state", "query", "orders", "status == WORKING and order.quantity > 0").data
    assert working["table"] == "orders"
    assert working["count"] == len(working["rows"]) > 0
    assert all(row["row"]["status"] == "WORKING" and row["key"] for row in working["rows"])
    assert "AAPL" in apex("state", "query", "positions").out
    assert apex_json("state", "query", "orders", "status = WORKING").status == 2
    assert apex_json("state", "query", "nothing").status == 2
    assert state_file(traded).stat().st_mode & 0o777 == 0o600


# Schemas


def as_version(folder: Path, version: int) -> bytes:
    loaded = state_care.load(state_file(folder))
    assert loaded is not None
    meta = msgspec.structs.replace(loaded.meta, schema_version=version)
    StateFile(state_file(folder)).commit(meta, loaded.tables)
    return state_file(folder).read_bytes()


def test_a_newer_schema_is_left_alone_by_every_command(traded: Path, apex_json: Apex) -> None:
    newer = as_version(traded, state_care.SCHEMA_VERSION + 1)
    for line in [
        ("positions",),
        ("run", "--once"),
        ("state", "check"),
        ("state", "migrate"),
        ("state", "restore", "--yes"),
        ("state", "restore", "--from-journal", "--yes"),
    ]:
        answer = apex_json(*line)
        assert answer.status == 9, line
        assert "newer" in answer.error["message"]
        assert state_file(traded).read_bytes() == newer
    assert "install the newer apex" in apex_json("positions").error["hint"]


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> int:
    """An apex of one schema version later, which calls strategies in capital letters."""

    def shout(old: migrations.PlainTables) -> migrations.PlainTables:
        brackets = {key: {**row, "strategy": row.get("strategy", "").upper()} for key, row in old["brackets"].items()}
        return {**old, "brackets": brackets}

    old = state_care.SCHEMA_VERSION
    monkeypatch.setattr(state_care, "SCHEMA_VERSION", old + 1)
    monkeypatch.setitem(migrations.MIGRATIONS, old, shout)
    return old + 1


def strategies(folder: Path) -> set[str]:
    found = json.loads(state_file(folder).read_bytes())["brackets"]
    return {row["strategy"] for row in found.values()}


def test_migrate_copies_first_and_doing_it_again_changes_nothing(
    traded: Path, apex_json: Apex, next_version: int
) -> None:
    old = state_file(traded).read_bytes()
    check = apex_json("state", "check")
    assert check.status == 0
    assert "apex state migrate" in next(f["hint"] for f in check.data["findings"] if f["code"] == "state_old_schema")
    answer = apex_json("state", "migrate")
    assert answer.data["from_version"] == next_version - 1
    assert answer.data["to_version"] == next_version
    assert Path(answer.data["copy"]).read_bytes() == old
    assert all(name.isupper() for name in strategies(traded))
    new = state_file(traded).read_bytes()
    again = apex_json("state", "migrate")
    assert again.status == 0
    assert again.data == {"from_version": next_version, "to_version": next_version, "copy": None}
    assert state_file(traded).read_bytes() == new


def test_the_first_change_migrates_by_itself_and_says_so(traded: Path, apex: Apex, next_version: int) -> None:
    assert apex("positions").status == 0
    assert not all(name.isupper() for name in strategies(traded))
    answer = apex("halt")
    assert answer.status == 0
    assert f"brought from schema version {next_version - 1} to {next_version}" in answer.err
    assert all(name.isupper() for name in strategies(traded))
    assert "brought from" not in apex("resume").err


def test_migrating_what_was_never_saved_is_no_error(configured: Path, apex_json: Apex) -> None:
    assert apex_json("state", "migrate").data["copy"] is None
    assert [path.name for path in configured.iterdir()] == ["config.yaml"]


# Time


def saved_at(folder: Path, at: datetime) -> None:
    loaded = state_care.load(state_file(folder))
    assert loaded is not None
    StateFile(state_file(folder)).commit(msgspec.structs.replace(loaded.meta, saved_at=at), loaded.tables)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the machine's clock is what these tests are about


def test_a_clock_behind_the_state_is_reported_and_time_does_not_go_back(
    traded: Path, apex: Apex, apex_json: Apex
) -> None:
    ahead = now() + timedelta(hours=3)
    saved_at(traded, ahead)
    answer = apex("halt", "--json")
    assert answer.err.count("Warning: this machine's clock") == 1
    assert datetime.fromisoformat(answer.data["changed_at"]) > ahead
    for line in (("state", "check"), ("doctor",)):
        (found,) = [f for f in apex_json(*line).data["findings"] if f["code"] == "clock_behind"]
        assert "apex state reset-clock" in found["hint"]


def test_two_minutes_behind_are_not_worth_a_word(traded: Path, apex: Apex, apex_json: Apex) -> None:
    saved_at(traded, now() + timedelta(seconds=100))
    assert apex("positions").err == ""
    assert "clock_behind" not in {f["code"] for f in apex_json("state", "check").data["findings"]}


def test_a_clock_that_was_years_ahead_is_left_behind_with_one_command(
    traded: Path, apex: Apex, apex_json: Apex
) -> None:
    saved_at(traded, now() + timedelta(days=4000))
    assert apex_json("state", "reset-clock").error["code"] == "confirmation_needed"
    answer = apex_json("state", "reset-clock", "--yes")
    assert answer.status == 0
    halted = apex("halt", "--json")
    assert halted.err == ""
    assert abs(datetime.fromisoformat(halted.data["changed_at"]) - now()) < timedelta(minutes=1)


# The place


def test_a_folder_without_rights_or_on_a_disk_without_locks_is_one_clear_line(
    traded: Path, apex: Apex, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from apex_cli.core.adapters import atomic_file

    cases = {
        errno.ENOLCK: "put state.dir on a local disk",
        errno.ENOTSUP: "put state.dir on a local disk",
        errno.EACCES: "give this user read and write access",
        errno.EROFS: "make that disk writable",
    }
    for number, hint in cases.items():

        def fault(point: str, path: Path, number: int = number) -> None:
            if point == "lock":
                raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(atomic_file, "_fault", fault)
        answer = apex("halt")
        assert answer.status == 9
        first, second = answer.err.splitlines()
        assert first.startswith(f"Error: {traded / 'state' / 'state.lock'}: ")
        assert hint in second


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom rights stop")
def test_a_folder_that_may_not_be_written(traded: Path, apex: Apex) -> None:
    (traded / "state").chmod(0o500)
    try:
        assert apex("positions").status == 0
        assert apex("halt").status == 9
    finally:
        (traded / "state").chmod(0o700)


def test_wrong_modes_are_reported_with_the_command_that_mends_them(traded: Path, apex_json: Apex) -> None:
    state_file(traded).chmod(0o644)
    (found,) = [f for f in apex_json("state", "check").data["findings"] if f["code"] == "state_mode"]
    assert found["hint"] == f"chmod go= {state_file(traded)}"


# Secrets


TOKEN = "bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawx"  # noqa: S105 - of nobody


def test_no_secret_reaches_journal_or_errors(
    traded: Path, apex: Apex, apex_json: Apex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PASSWORD", "correct horse battery")
    words = f"U1234567 and DU7654321, {TOKEN}, correct horse battery"
    assert apex("halt", "--reason", words).status == 0
    reported = b"".join(path.read_bytes() for path in (traded / "state" / "journal").iterdir()).decode()
    answers = [apex("close", words, "--yes"), apex_json("close", words, "--yes"), apex("approve", words, "--yes")]
    reported += "".join(answer.out + answer.err for answer in answers)
    for secret in ("1234567", "7654321", TOKEN, "AAHdq", "correct horse"):
        assert secret not in reported
    assert "U*****67 and DU*****21" in reported
