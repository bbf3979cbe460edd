from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.adapters.state import journal_cursor as journal_places
from apex_cli.core.adapters.state.journal import Journal, encode_event
from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.model.delivery import Place
from apex_cli.core.model.records import OutboxRow


def row(seq: int, month: int = 3) -> OutboxRow:
    return OutboxRow(seq=seq, at=datetime(2026, month, 2, tzinfo=UTC), kind="alarm", subject=f"s{seq}")


def read_all(tail: JournalPlaces, place: Place | None = None) -> tuple[list[int], Place]:
    place = place or Place()
    seen: list[int] = []
    while found := tail.read(place):
        seen += [event.seq for event, _ in found]
        place = found[-1][1]
    return seen, place


def test_every_event_is_read_once_across_months_and_appends(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalPlaces(tmp_path)
    assert read_all(tail) == ([], Place())
    journal.append([row(1), row(2), row(3, 4)])
    seen, place = read_all(tail)
    journal.append([row(4, 4), row(5, 6)])
    assert (seen, read_all(tail, place)[0]) == ([1, 2, 3], [4, 5])
    assert tail.end() == read_all(tail)[1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers(1, 400))
def test_however_it_is_cut_into_chunks_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, months: list[int], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("tail")
    Journal(folder).append([row(seq, month) for seq, month in enumerate(sorted(months), 1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_places, "CHUNK", chunk)
        assert read_all(JournalPlaces(folder))[0] == list(range(1, len(months) + 1))


def test_an_append_in_progress_is_not_there_yet(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalPlaces(tmp_path)
    journal.append([row(1)])
    (path,) = journal.files()
    whole = path.read_bytes()
    path.write_bytes(whole + encode_event(row(2))[:20])
    seen, place = read_all(tail)
    path.write_bytes(whole + encode_event(row(2)) + b"\n")
    assert (seen, read_all(tail, place)[0]) == ([1], [2])


def test_after_a_repair_offsets_mean_nothing_and_numbers_count(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalPlaces(tmp_path)
    journal.append([row(seq) for seq in range(1, 6)])
    place = read_all(tail)[1]
    journal.append([row(6), row(7)])
    (path,) = journal.files()
    lines = path.read_bytes().splitlines(keepends=True)
    journal.rewrite(path, lines[3:])
    assert read_all(tail, place)[0] == [6, 7]
    journal.rewrite(path, [b'{"a": "longer first line than before"}\n', *lines])
    assert read_all(tail, place)[0] == [6, 7]


def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path) -> None:
    Journal(tmp_path).append([row(1)])
    (path,) = Journal(tmp_path).files()
    path.write_bytes(path.read_bytes() + b"\xff nonsense\n" + encode_event(row(2)) + b"\n")
    assert read_all(JournalPlaces(tmp_path))[0] == [1, 2]
