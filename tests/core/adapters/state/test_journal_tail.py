from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.state.journal import Journal
from apex_cli.core.adapters.state.journal_cursor import JournalTail
from apex_cli.core.errors import StateError
from apex_cli.core.model.records import OutboxRow

MARCH = datetime(2026, 3, 31, 15, 0, tzinfo=UTC)


def event(seq: int, at: datetime = MARCH, kind: str = "alarm") -> OutboxRow:
    return OutboxRow(seq=seq, at=at, kind=kind, subject="s", data=msgspec.Raw(b'{"code":"c","message":"m"}'))


def seqs(tail: JournalTail) -> list[int]:
    return [row.seq for row in tail.read()]


def test_the_end_is_given_once_and_then_only_what_is_new(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    tail = JournalTail(tmp_path)
    assert seqs(tail) == []
    journal.append([event(1), event(2)])
    assert seqs(tail) == [1, 2]
    assert seqs(tail) == []
    journal.append([event(3)])
    assert seqs(tail) == [3]
    assert tail.last_seq == 3


def test_a_new_month_is_followed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    tail = JournalTail(tmp_path)
    journal.append([event(1)])
    assert seqs(tail) == [1]
    journal.append([event(2), event(3, MARCH + timedelta(days=1)), event(4, MARCH + timedelta(days=40))])
    assert seqs(tail) == [2, 3, 4]
    assert seqs(tail) == []


@given(st.integers(1, 3000))
def test_the_first_look_reads_no_further_back_than_it_may(back: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        journal.append([event(seq, MARCH + timedelta(days=seq)) for seq in range(1, 31)])
        found = seqs(JournalTail(Path(folder), first_look_bytes=back))
        size = len((Path(folder) / "2026-04.jsonl").read_bytes().splitlines(keepends=True)[-1])
        assert found == list(range(31 - len(found), 31))
        assert len(found) in {back // size - 1, back // size, back // size + 1, 30}


def test_a_line_without_its_end_waits_for_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1)])
    (path,) = journal.files()
    whole = path.read_bytes().replace(b'"seq":1', b'"seq":2')
    tail = JournalTail(tmp_path)
    assert seqs(tail) == [1]
    with path.open("ab") as file:
        file.write(whole[:20])
    assert seqs(tail) == []
    with path.open("ab") as file:
        file.write(whole[20:])
    assert seqs(tail) == [2]


def test_a_repair_that_shortens_the_file_doubles_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1), event(2), event(3)])
    (path,) = journal.files()
    tail = JournalTail(tmp_path)
    assert seqs(tail) == [1, 2, 3]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert seqs(tail) == []
    Journal(tmp_path).append([event(4)])
    assert seqs(tail) == [4]


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1)])
    (path,) = journal.files()
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    assert seqs(JournalTail(tmp_path)) == [1]


def test_scan_gives_the_wanted_kinds_and_reports_how_far_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    rows = [event(seq, kind="fill" if seq % 3 else "alarm") for seq in range(1, 40)]
    journal.append(rows)
    reported: list[int] = []
    found = list(journal.scan({"alarm", "decided"}, on_bytes=reported.append))
    assert found == list(journal.events(kind="alarm"))
    assert sum(reported) == journal.size() > 0


def test_scan_decodes_lines_that_were_written_in_another_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1)])
    (path,) = journal.files()
    padded = (
        b'{"data":{"kind":"x"},"seq":2,"subject":"' + b"s" * 200 + b'","at":"2026-03-31T15:00:00Z","kind":"alarm"}\n'
    )
    path.write_bytes(path.read_bytes() + padded)
    assert [row.seq for row in journal.scan({"alarm"})] == [1, 2]


def test_scan_from_a_month_leaves_earlier_files_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1), event(2, MARCH + timedelta(days=1))])
    assert [row.seq for row in journal.scan({"alarm"}, since=MARCH + timedelta(days=1))] == [2]
    assert journal.size(MARCH + timedelta(days=1)) < journal.size()


def test_scan_names_a_damaged_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([event(1)])
    (path,) = journal.files()
    path.write_bytes(b'{"seq":1,"kind":"alarm",\n' + path.read_bytes())
    with pytest.raises(StateError, match="line 1"):
        list(journal.scan({"alarm"}))
