from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state.check import check
from apex_cli.core.adapters.state.restoration import Replay, bad_lines, restore
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import StateError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from kit import FixedClock, an_event
from kit.rig import Rig, make_signal

REPLAY = Replay(SilentState, rebuild)


def a_store(folder: Path) -> TinyDbStore:
    return TinyDbStore(folder / "state", clock=FixedClock(), backups=100)


def a_played_store(folder: Path) -> TinyDbStore:
    """Return a store with a held position, a closed one, and a backup of every step on the way."""
    store = a_store(folder)
    rig = Rig(store=store)
    for symbol in ("AAPL", "MSFT"):
        rig.feed(make_signal(symbol, now=rig.clock.now()))
        store.backup_now()
        rig.clock.advance(minutes=1)
    rig.close("MSFT")
    return store


def rows(store: TinyDbStore) -> dict[str, dict[str, object]]:
    left_out = {"account", "outbox", "counters", "positions"}  # prices and worth are not in the journal
    return {table.name: dict(table) for table in store.view().tables() if table.name not in left_out}


def journal_lines(store: TinyDbStore) -> list[bytes]:
    (path,) = store.journal.files()
    return path.read_bytes().splitlines(keepends=True)


def write_journal(store: TinyDbStore, lines: list[bytes]) -> None:
    (path,) = store.journal.files()
    path.write_bytes(b"".join(lines))


def test_every_backup_with_the_journal_behind_it_gives_the_present(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    before, positions, last_seq = rows(store), dict(store.view().positions), store.view().last_seq
    backups = [backup.generation for backup in store.list_backups()]
    assert len(backups) >= 2
    for generation in backups:
        restored = restore(store, generation, replay=REPLAY)
        assert restored.replayed > 0
        assert restored.missing == ()
        assert rows(store) == before
        assert store.view().positions.keys() == positions.keys()
        assert all(row.position == positions[key].position for key, row in store.view().positions.items())
    assert store.view().last_seq == last_seq + len(backups)


def test_a_restore_is_an_event_of_its_own_and_reports_what_it_did(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    store.path.write_bytes(b"garbage")
    restored = restore(store, replay=REPLAY)
    (event,) = store.journal.events(kind="state_restored")
    assert event.seq == restored.last_seq == store.journal.last_seq()
    reported = msgspec.json.decode(event.data)
    assert reported["replayed"] == restored.replayed
    with store.transaction() as state:
        state.emit(an_event("after"))
    assert [event.seq for event in store.journal.events()] == list(range(1, restored.last_seq + 2))


def test_events_that_wait_in_a_sound_file_reach_the_journal_first(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    lines = journal_lines(store)
    loaded = store.storage.load()
    assert loaded is not None
    waiting = {str(seq): msgspec.Raw(lines[seq - 1]) for seq in (len(lines) - 1, len(lines))}
    store.storage.commit(loaded.meta, {**loaded.tables, "outbox": waiting})
    write_journal(store, lines[:-2])
    restored = restore(store, store.list_backups()[0].generation, replay=REPLAY)
    assert restored.missing == ()
    assert journal_lines(store)[: len(lines)] == lines


def test_what_waits_reaches_the_journal_after_the_file_has_its_name_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_played_store(tmp_path)
    lines = journal_lines(store)
    loaded = store.storage.load()
    assert loaded is not None
    waiting = {str(len(lines)): msgspec.Raw(lines[-1])}
    store.storage.commit(loaded.meta, {**loaded.tables, "outbox": waiting})
    write_journal(store, lines[:-1])
    (journal,) = store.journal.files()
    synced: list[Path] = []
    monkeypatch.setattr(
        atomic_file, "_fault", lambda point, path: synced.append(path) if point.startswith("sync") else None
    )
    restore(store, replay=REPLAY)
    assert synced.index(store.state_dir) < synced.index(journal)


def test_a_header_that_survived_reports_of_events_that_are_nowhere(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    lines = journal_lines(store)
    write_journal(store, lines[:-3])
    store.path.write_bytes(store.path.read_bytes()[:-10])
    restored = restore(store, replay=REPLAY)
    assert restored.missing == ((len(lines) - 2, len(lines)),)
    assert store.view().trading.mode is TradingMode.REDUCING
    assert f"{len(lines) - 2}-{len(lines)}" in store.view().trading.reason
    assert store.view().last_seq > len(lines)


def test_the_journal_alone_is_enough(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    before = rows(store)
    fresh = a_store(tmp_path / "other")
    (path,) = store.journal.files()
    target = fresh.state_dir / "journal" / path.name
    target.parent.mkdir(parents=True)
    target.write_bytes(path.read_bytes())
    with pytest.raises(StateError) as caught:
        fresh.view()
    assert caught.value.code == "state_missing"
    restored = restore(fresh, replay=REPLAY)
    assert (restored.from_generation, restored.generation, restored.set_aside) == (0, 1, None)
    assert rows(fresh) == before


def test_a_journal_whose_beginning_is_gone_says_so(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    write_journal(store, journal_lines(store)[3:])
    assert restore(store, replay=REPLAY, is_from_journal=True).missing == ((1, 3),)


def test_an_event_whose_payload_cannot_be_read_counts_as_missing(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    lines = journal_lines(store)
    at = next(number for number, line in enumerate(lines) if b'"kind":"fill"' in line)
    write_journal(store, [*lines[:at], lines[at].replace(b'"exec_id":"', b'"exec_it":"'), *lines[at + 1 :]])
    assert restore(store, replay=REPLAY, is_from_journal=True).missing == ((at + 1, at + 1),)


def test_a_number_that_jumps_ahead_does_not_make_its_followers_bad(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    lines = journal_lines(store)
    write_journal(store, [*lines[:4], lines[4].replace(b'"seq":5,', b'"seq":500,'), *lines[5:]])
    (path,) = store.journal.files()
    assert {at: bad.first for at, bad in bad_lines(store.journal.lines()).items()} == {path: [5]}
    restored = restore(store, replay=REPLAY, is_from_journal=True)
    assert restored.missing == ((5, 5),)


def test_a_second_restore_changes_nothing_more(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    store.path.write_bytes(b"garbage")
    restore(store, replay=REPLAY)
    before = store.path.read_bytes()
    again = restore(store, replay=REPLAY)
    assert again.replayed == 0
    assert store.path.read_bytes() == before
    assert {finding.code for finding in check(store) if finding.level != "ok"} == {"simulated_broker_stale"}
    """The rig's broker keeps its books in memory."""


def test_what_cannot_be_read_is_moved_aside(tmp_path: Path) -> None:
    store = a_played_store(tmp_path)
    before = rows(store)
    store.path.unlink()
    store.path.mkdir()
    (store.path / "note.txt").write_text("mine")
    restored = restore(store, replay=REPLAY)
    assert restored.set_aside is not None
    assert (Path(restored.set_aside) / "note.txt").read_text() == "mine"
    assert rows(store) == before
