from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state.journal import MOST_DEPTH, UNREADABLE, Journal, decode_event
from apex_cli.core.errors import StateError
from apex_cli.core.model.records import OutboxRow

MARCH = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)


def event(seq: int, at: datetime = MARCH, kind: str = "fill", subject: str = "AAPL", data: str = "{}") -> OutboxRow:
    return OutboxRow(seq=seq, at=at, kind=kind, subject=subject, data=msgspec.Raw(data.encode()))


def seqs(journal: Journal) -> list[int]:
    return [row.seq for row in journal.events()]


def test_an_event_is_one_line_with_all_its_fields(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").append([event(1, subject="", data='{\n  "text": "a\\nb"\r\n}')])
    path = tmp_path / "journal" / "2026-03.jsonl"
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == {
        "seq": 1,
        "at": "2026-03-31T23:59:00Z",
        "kind": "fill",
        "subject": "",
        "data": {"text": "a\nb"},
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_events_go_to_the_file_of_their_utc_month(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1), event(2, MARCH + timedelta(minutes=1)), event(3, MARCH + timedelta(days=40))])
    assert [path.name for path in journal.files()] == ["2026-03.jsonl", "2026-04.jsonl", "2026-05.jsonl"]
    assert journal.last_seq() == Journal(tmp_path).last_seq() == 3


def test_a_month_that_another_process_wrote_without_waiting_is_synced_before_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(tmp_path).append([event(1)])
    Journal(tmp_path).append([event(2)], wait=False)
    synced: list[str] = []
    monkeypatch.setattr(
        atomic_file, "_fault", lambda point, path: synced.append(path.name) if point == "sync" else None
    )
    Journal(tmp_path).append([event(3, MARCH + timedelta(minutes=1))])
    assert synced == ["2026-03.jsonl", "2026-04.jsonl"]


def test_an_event_that_comes_late_goes_to_the_newest_file_so_that_order_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1, MARCH + timedelta(days=5)), event(2, MARCH)])
    journal.append([event(3, MARCH)])
    assert [path.name for path in journal.files()] == ["2026-04.jsonl"]
    assert seqs(journal) == [1, 2, 3]


def test_rows_that_are_there_already_are_not_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.append([event(2), event(1)]) == 2
    assert Journal(tmp_path).append([event(1), event(2), event(3)]) == 1
    assert journal.append([event(3)]) == 0
    assert seqs(journal) == [1, 2, 3]


def test_an_append_of_another_process_is_noticed(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)
    one.append([event(1)])
    other.append([event(2)])
    assert one.last_seq() == 2
    one.append([event(2), event(3)])
    assert seqs(other) == [1, 2, 3]


def test_events_are_filtered_by_their_fields_and_not_by_what_the_payload_says(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(
        [
            event(1, kind="decided", subject="NVDA"),
            event(2, kind="fill", subject='A"B'),
            event(3, MARCH + timedelta(days=3), kind="decided", data='{"kind":"fill","subject":"NVDA"}'),
        ]
    )
    assert [row.seq for row in journal.events(kind="fill")] == [2]
    assert [row.seq for row in journal.events(subject="NVDA")] == [1]
    assert [row.seq for row in journal.events(subject='A"B')] == [2]
    assert [row.seq for row in journal.events(since=MARCH + timedelta(seconds=1))] == [3]
    assert [row.seq for row in journal.events(kind="decided", subject="AAPL", since=MARCH)] == [3]


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_torn_last_line_is_invisible_and_is_cut_off_by_the_next_append(tmp_path: Path, kept: int) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1), event(2)])
    path = tmp_path / "2026-03.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    again = Journal(tmp_path)
    assert again.last_seq() == 1
    assert seqs(again) == [1]
    again.append([event(2), event(3, MARCH + timedelta(days=1))])
    assert seqs(Journal(tmp_path)) == [1, 2, 3]
    assert path.read_bytes() == first + second


def test_a_torn_line_at_the_end_of_a_month_is_cut_before_the_next_month_begins(tmp_path: Path) -> None:
    Journal(tmp_path).append([event(1)])
    path = tmp_path / "2026-03.jsonl"
    with path.open("ab") as file:
        file.write(b'{"seq":2,"at"')
    Journal(tmp_path).append([event(2, MARCH + timedelta(days=1))])
    assert path.read_bytes().endswith(b"}\n")
    assert seqs(Journal(tmp_path)) == [1, 2]


def test_a_file_with_nothing_but_a_torn_line_counts_as_empty(tmp_path: Path) -> None:
    Journal(tmp_path).append([event(1)])
    (tmp_path / "2026-04.jsonl").write_bytes(b'{"seq":2')
    journal = Journal(tmp_path)
    assert journal.last_seq() == 1
    journal.append([event(2)])
    assert seqs(journal) == [1, 2]


def test_a_torn_line_in_a_later_month_is_cut_off_also_by_one_who_has_looked(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append([event(1)])
    later = tmp_path / "journal" / "2026-04.jsonl"
    later.write_bytes(b'{"seq":2,"at":"20')
    assert journal.last_seq() == 1
    journal.append([event(2, MARCH + timedelta(days=2))], has_looked=True)
    assert [row.seq for row in Journal(tmp_path / "journal").events()] == [1, 2]
    assert later.read_bytes().startswith(b'{"seq":2,"at":"2026-04')


def test_one_who_has_looked_does_not_look_again_unless_the_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append([event(1)])
    with monkeypatch.context() as patch:
        patch.delattr(os, "listdir")
        assert journal.append([event(2)], has_looked=True) == 1
    Journal(tmp_path / "journal").append([event(3)])
    assert journal.append([event(3), event(4)], has_looked=True) == 1
    assert [row.seq for row in journal.events()] == [1, 2, 3, 4]


@pytest.mark.parametrize("left", [(), ("2026-03.jsonl",)])
def test_a_journal_that_was_moved_away_meanwhile_begins_anew(tmp_path: Path, left: tuple[str, ...]) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1), event(2, MARCH + timedelta(days=1))])
    for path in journal.files():
        if path.name not in left:
            path.unlink()
    journal.last_seq()
    assert journal.append([event(3, MARCH + timedelta(days=1))], has_looked=True) == 1
    assert seqs(journal) == [*([1] if left else []), 3]


def test_a_long_last_line_is_found(tmp_path: Path) -> None:
    Journal(tmp_path).append([event(1), event(2, data=f'{{"x":"{"y" * 200_000}"}}')])
    with (tmp_path / "2026-03.jsonl").open("ab") as file:
        file.write(b"z" * 100_000)
    journal = Journal(tmp_path)
    assert journal.last_seq() == 2
    journal.append([event(3)])
    assert seqs(journal) == [1, 2, 3]


def test_damage_in_the_middle_names_file_and_line(tmp_path: Path) -> None:
    Journal(tmp_path).append([event(1), event(2), event(3)])
    path = tmp_path / "2026-03.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\xff garbage\n" + lines[2])
    with pytest.raises(StateError, match=r"2026-03\.jsonl: line 2 ") as caught:
        seqs(Journal(tmp_path))
    assert caught.value.code == "journal_damaged"
    assert Journal(tmp_path).last_seq() == 3


def test_a_last_line_that_is_whole_and_no_event_is_damage(tmp_path: Path) -> None:
    (tmp_path / "2026-03.jsonl").write_bytes(b"hello\n")
    with pytest.raises(StateError) as caught:
        Journal(tmp_path).append([event(1)])
    assert caught.value.code == "journal_damaged"


@pytest.mark.parametrize("point", ["open", "write", "sync", "sync_folder"])
def test_after_a_failed_append_the_same_rows_can_be_appended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    journal = Journal(tmp_path)

    def fault(here: str, path: Path) -> None:
        if here == point:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(atomic_file, "_fault", fault)
        with pytest.raises(StateError, match="No space left"):
            journal.append([event(1), event(2)])
    journal.append([event(1), event(2)])
    assert seqs(journal) == [1, 2]


def test_redaction_sees_every_line_before_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, redact=lambda line: line.replace(b"DU1234567", b"DU***67"))
    journal.append([event(1, data='{"account":"DU1234567"}')])
    assert b"DU1234567" not in (tmp_path / "2026-03.jsonl").read_bytes()
    assert bytes(next(journal.events()).data) == b'{"account":"DU***67"}'


def test_a_missing_folder_is_an_empty_journal_and_stays_missing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.last_seq() == 0
    assert seqs(journal) == []
    assert not (tmp_path / "journal").exists()


def nested(data: str) -> bytes:
    return f'{{"seq":1,"at":"2026-03-31T23:59:00Z","kind":"fill","subject":"","data":{data}}}'.encode()


@pytest.mark.parametrize("levels", [MOST_DEPTH, 2 * MOST_DEPTH, 20_000, 200_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_an_event_that_is_nested_too_deeply_is_none_with_every_version(levels: int, opened: str, closed: str) -> None:
    with pytest.raises(UNREADABLE):
        decode_event(nested(opened * levels + "1" * (closed == "}") + closed * levels))


@pytest.mark.parametrize(
    "data", ["[" * 400 + "]" * 400, "[" + "[]," * 5000 + "[]]", '"' + "[{" * 5000 + '"', '["\\"[[[[", 1]']
)
def test_many_brackets_that_are_not_deep_are_an_event(data: str) -> None:
    assert bytes(decode_event(nested(data)).data) == data.encode()
