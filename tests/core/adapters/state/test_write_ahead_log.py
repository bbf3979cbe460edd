"""Commits that only a log keeps: when it is begun, what it means in another boot, and what it never overrules.

That no commit is lost wherever the power fails is proven in ``tests/crash/test_power.py``.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state import storage, write_ahead_log
from apex_cli.core.adapters.state.restoration import Replay, restore
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import StateError
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.tables import State
from kit import FixedClock, an_event

BEFORE_LOG = storage.WHOLE_FIRST
"""Commits of a process that are written whole."""


@pytest.fixture(autouse=True)
def first_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on a machine whose boots can be told apart."""
    start_again(monkeypatch, "first")


def start_again(monkeypatch: pytest.MonkeyPatch, name: str = "next") -> None:
    for module in (storage, write_ahead_log):
        monkeypatch.setattr(module, "boot_id", lambda: name)


def open_store(folder: Path) -> TinyDbStore:
    return TinyDbStore(folder / "state", clock=FixedClock())


def commit(store: TinyDbStore, times: int = 1, *, has_event: bool = True) -> None:
    for _ in range(times):
        with store.transaction() as state:
            number = state.counters.entries_today + 1
            state.counters = msgspec.structs.replace(state.counters, entries_today=number)
            if has_event:
                state.emit(an_event(str(number)))


def counted(store: TinyDbStore) -> int:
    return store.view().counters.entries_today


def journalled(store: TinyDbStore) -> list[str]:
    return [row.subject for row in store.journal.events()]


def numbers(last: int) -> list[str]:
    return [str(number) for number in range(1, last + 1)]


@contextmanager
def failing_at(point: str, name: str) -> Iterator[None]:
    def fault(here: str, path: Path) -> None:
        if here == point and name in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_file, "_fault", fault)
        yield


def syncs_of(store: TinyDbStore) -> list[str]:
    """Return the names of what one more commit waits for."""
    waited: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            atomic_file, "_fault", lambda point, path: waited.append(path.name) if point.startswith("sync") else None
        )
        commit(store)
    return waited


def test_a_process_that_commits_often_waits_for_one_line_a_commit(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG - 1)
    assert not store.storage.has_log()
    commit(store)
    assert store.storage.has_log()
    assert syncs_of(store) == syncs_of(store) == ["state.wal"]
    assert counted(open_store(tmp_path)) == BEFORE_LOG + 2


def test_where_boots_cannot_be_told_apart_every_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_again(monkeypatch, "")
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 2)
    assert not store.storage.has_log()
    assert syncs_of(store) == ["state.json", "state", "2026-03.jsonl"]


def test_a_full_log_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "ROOM", 2000)
    store = open_store(tmp_path)
    commit(store, 30)
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert counted(again) == 30
    assert journalled(again) == numbers(30)


def test_long_lines_get_a_log_of_their_own_size_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "ROOM", 200)
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG)
    assert "state.json" in syncs_of(store)
    many = [syncs_of(store) for _ in range(write_ahead_log.LONG_LINES - 1)]
    assert many == [["state.wal"]] * len(many)
    commit(store, write_ahead_log.LONG_LINES)
    start_again(monkeypatch)
    assert counted(open_store(tmp_path)) == BEFORE_LOG + 2 * write_ahead_log.LONG_LINES


def test_the_log_means_nothing_in_the_boot_that_wrote_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 2)
    older = store.path.read_bytes()
    commit(store)
    store.path.write_bytes(older)
    for reader in (store, open_store(tmp_path)):
        with pytest.raises(StateError) as caught:
            reader.view()
        assert caught.value.code == "state_stale"


@pytest.mark.parametrize("leftover", ["an older version", "half a version", "nothing at all"])
def test_after_another_boot_the_newest_commit_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: str
) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    older = store.path.read_bytes()
    commit(store)
    commit(store, has_event=False)
    newest = store.path.read_bytes()
    store.path.write_bytes({"an older version": older, "half a version": newest[:900]}.get(leftover, b""))
    (line,) = (path for path in store.journal.files())
    line.write_bytes(line.read_bytes()[:-20])
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert counted(again) == BEFORE_LOG + 3
    assert again.path.read_bytes() == newest
    assert journalled(again) == numbers(BEFORE_LOG + 2)
    assert not again.storage.has_log()


def test_a_file_that_is_none_of_the_logs_versions_is_judged_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    commit(store)
    foreign = store.path.read_bytes()
    commit(store, BEFORE_LOG + 1)
    store.path.write_bytes(foreign)
    start_again(monkeypatch)
    again = open_store(tmp_path)
    with pytest.raises(StateError) as caught:
        again.view()
    assert caught.value.code == "state_stale"
    assert restore(again).from_generation == 1
    assert (counted(again), again.storage.has_log()) == (1, False)


def test_another_process_of_the_same_boot_goes_on_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = open_store(tmp_path), open_store(tmp_path)
    commit(one, BEFORE_LOG + 1)
    assert syncs_of(other) == ["state", "state.wal"]  # names first: who made the log may have died before
    assert syncs_of(other) == ["state.wal"]
    assert syncs_of(one) == ["state", "state.wal"]
    newest = one.path.read_bytes()
    one.path.write_bytes(b"")
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert (counted(again), again.path.read_bytes()) == (BEFORE_LOG + 4, newest)
    assert journalled(again) == numbers(BEFORE_LOG + 4)


def test_another_process_goes_on_with_a_log_that_has_no_line_yet(tmp_path: Path) -> None:
    commit(open_store(tmp_path), BEFORE_LOG)
    assert syncs_of(open_store(tmp_path)) == ["state", "state.wal"]


def look_from_another_machine(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as elsewhere:
        start_again(elsewhere, "elsewhere")
        open_store(folder).view()


@pytest.mark.parametrize(
    "end",
    [
        lambda folder: open_store(folder).backup_now(),
        lambda folder: restore(open_store(folder), replay=Replay(SilentState, rebuild)),
        look_from_another_machine,
    ],
    ids=["a backup", "a restore", "another machine"],
)
def test_a_process_whose_log_was_ended_writes_nothing_more_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[Path], object]
) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    end(tmp_path)
    assert not store.storage.has_log()
    before = counted(store)
    waited = syncs_of(store)
    assert "state.json" in waited
    assert "state.wal" not in waited
    commit(store, BEFORE_LOG + 1)
    assert syncs_of(store) == ["state.wal"]
    newest = store.path.read_bytes()
    store.path.write_bytes(b"")
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert (counted(again), again.path.read_bytes()) == (before + BEFORE_LOG + 3, newest)


def test_a_log_that_another_one_replaced_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = open_store(tmp_path), open_store(tmp_path)
    commit(one, BEFORE_LOG + 1)
    one.backup_now()
    commit(other, BEFORE_LOG + 1)
    assert other.storage.has_log()
    commit(one, 2)
    newest = one.path.read_bytes()
    one.path.write_bytes(b"")
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert (counted(again), again.path.read_bytes()) == (2 * BEFORE_LOG + 4, newest)


def test_a_copy_by_hard_links_does_not_write_to_the_log_of_its_original(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    log, content = store.storage.log_path, store.storage.log_path.read_bytes()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (store.path.name, log.name):
        os.link(store.path.with_name(name), copy / name)
    shutil.copytree(store.journal.folder, copy / store.journal.folder.name)
    commit(TinyDbStore(copy, clock=FixedClock()), 3)
    assert log.read_bytes() == content
    commit(store)
    assert counted(store) == BEFORE_LOG + 2
    assert counted(TinyDbStore(copy, clock=FixedClock())) == BEFORE_LOG + 4


def other_boot(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b" first ", b" other "))


def one_line_more(log: Path) -> None:
    content = log.read_bytes()
    end = content.rindex(b"\n") + 1
    body = b'["no version"]'
    log.write_bytes(content[:end] + b"%08x %s\n" % (crc32(body), body) + content[end:])


def half_a_line_more(log: Path) -> None:
    content = log.read_bytes()
    end = content.rindex(b"\n") + 1
    log.write_bytes(content[:end] + b"0123" + content[end + 4 :])


def a_line_less(log: Path) -> None:
    content = log.read_bytes()
    end = content.rindex(b"\n")
    start = content.rindex(b"\n", 0, end) + 1
    log.write_bytes(content[:start] + bytes(len(content) - start))


def all_lines_less(log: Path) -> None:
    for _ in range(2):
        a_line_less(log)


def no_log_at_all(log: Path) -> None:
    log.write_bytes(log.read_bytes()[5:])


@pytest.mark.parametrize(
    "change", [other_boot, one_line_more, half_a_line_more, a_line_less, all_lines_less, no_log_at_all]
)
def test_a_log_that_does_not_lead_to_the_file_is_ended_once_all_is_on_the_disk(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    one, other = open_store(tmp_path), open_store(tmp_path)
    commit(one, BEFORE_LOG + 2)
    other.view()
    change(one.storage.log_path)
    waited = syncs_of(other)
    assert waited.index("2026-03.jsonl") < waited.index("state.json")
    assert not other.storage.has_log()
    commit(one)
    assert counted(other) == BEFORE_LOG + 4
    assert journalled(one) == numbers(BEFORE_LOG + 4)


def test_a_log_of_a_version_that_knew_fewer_tables_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = State.tables
    with monkeypatch.context() as older:
        older.setattr(State, "tables", lambda state: every(state)[:-2])
        commit(open_store(tmp_path), BEFORE_LOG + 1)
    store = open_store(tmp_path)
    assert syncs_of(store) == ["state", "state.wal"]
    newest = store.path.read_bytes()
    assert b'"learning"' in newest
    store.path.write_bytes(b"")
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert (counted(again), again.path.read_bytes()) == (BEFORE_LOG + 2, newest)


@pytest.mark.parametrize(
    ("point", "name"),
    [(point, "state.json") for point in ("open", "write", "replace")]
    + [(point, "state.wal") for point in ("write", "sync")],
)
def test_a_logged_commit_that_fails_never_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, name: str
) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    with failing_at(point, name), pytest.raises(StateError):
        commit(store)
    assert counted(store) == counted(open_store(tmp_path)) == BEFORE_LOG + 1
    log = store.storage.log_path.read_bytes()
    commit(store)
    assert journalled(store) == numbers(BEFORE_LOG + 2)
    store.storage.log_path.write_bytes(log)  # as if its end had not reached the disk
    start_again(monkeypatch)
    again = open_store(tmp_path)
    assert counted(again) == BEFORE_LOG + 2
    assert not again.storage.has_log()


def test_a_log_that_cannot_be_begun_stops_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with failing_at("write", "state.wal"):
        commit(store, BEFORE_LOG + 2)
    assert not store.storage.has_log()
    assert journalled(store) == numbers(BEFORE_LOG + 2)


@pytest.mark.parametrize("first_line", [b"another file\n", b"apex write-ahead log 1 no-size x\n", b""])
def test_a_log_that_is_none_is_refused_and_restore_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_line: bytes
) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    log = store.storage.log_path
    log.write_bytes(first_line + log.read_bytes().partition(b"\n")[2])
    start_again(monkeypatch)
    with pytest.raises(StateError) as caught:
        open_store(tmp_path).view()
    assert (caught.value.code, str(log)) == ("state_damaged", caught.value.details["path"])
    with pytest.raises(StateError):
        open_store(tmp_path).backup_now()
    (repaired,) = restore(open_store(tmp_path)).repaired
    assert repaired.startswith(f"{log} could not be followed")
    assert counted(open_store(tmp_path)) == BEFORE_LOG + 1


@pytest.mark.parametrize(("point", "name"), [("sync", "state.json"), ("sync", "2026-03.jsonl")])
def test_a_restore_keeps_a_log_that_a_passing_error_held_up(tmp_path: Path, point: str, name: str) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG + 1)
    log = store.storage.log_path.read_bytes()
    with failing_at(point, name), pytest.raises(StateError) as caught:
        restore(open_store(tmp_path))
    assert caught.value.code == "state_io_error"
    assert store.storage.log_path.read_bytes() == log


def test_lines_that_lead_elsewhere_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    commit(store, BEFORE_LOG)
    header = store.path.read_bytes()
    commit(store)
    loaded = store.storage.load()
    assert loaded is not None
    line = write_ahead_log.encode_entry(loaded.meta, loaded.header, {"counters": {"counters": write_ahead_log.GONE}})
    first = b"apex write-ahead log 1 first %d\n" % len(header)
    store.storage.log_path.write_bytes(first + header + line + bytes(100))
    start_again(monkeypatch)
    with pytest.raises(StateError, match=f"do not lead to generation {BEFORE_LOG + 1}"):
        open_store(tmp_path).view()
