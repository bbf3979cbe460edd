"""Events: every line of the journal, those of the version before included, is one of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.state.journal import encode_event
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, OutboxRow, RejectedRow
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.reports.activity import activity_of
from apex_cli.core.reports.story import story_of
from apex_cli.core.reports.trade_report import ReportBuilder, Span
from apex_cli.core.state.events.approval_events import approval_event
from apex_cli.core.state.events.base_event import BaseEvent, Remark, kind_of
from apex_cli.core.state.events.event import EVENT_TYPES, Event, UnreadEvent, read_event
from apex_cli.core.state.events.order_events import FillBooked, IntentWritten
from apex_cli.core.state.events.signal_events import SignalInvalid
from apex_cli.core.state.tables import State
from apex_cli.presenters.management_lines import management_line
from apex_cli.presenters.messages.notices import notice_of
from kit import START, a_row

LINES = (Path(__file__).parent / "journal_lines.jsonl").read_bytes().splitlines()
"""At least one line of every kind, as they stand in journals since the first version; never to be changed."""


def row_of(line: bytes) -> OutboxRow:
    return msgspec.json.decode(line, type=OutboxRow)


@pytest.mark.parametrize("line", LINES, ids=lambda line: row_of(line).kind)
def test_a_line_of_the_version_before_is_read_and_written_byte_for_byte(line: bytes) -> None:
    row = row_of(line)
    event = read_event(row)
    assert not isinstance(event, UnreadEvent), event
    assert (event.kind, event.seq, event.at, event.subject) == (row.kind, row.seq, row.at, row.subject)
    state = State()
    state.last_seq = row.seq - 1
    state.emit(event)
    assert encode_event(state.outbox[str(row.seq)]) == line


def test_a_line_is_an_event_of_the_union_as_it_stands() -> None:
    decode = msgspec.json.Decoder(Event).decode
    assert [decode(line) for line in LINES] == [read_event(row_of(line)) for line in LINES]


def test_there_is_a_line_of_every_kind() -> None:
    assert {row_of(line).kind for line in LINES} <= EVENT_TYPES.keys()


def test_a_kind_that_is_not_known_is_no_error_anywhere() -> None:
    row = OutboxRow(seq=3, at=START, kind="phase_of_the_moon", subject="s", data=msgspec.Raw(b'{"full":true}'))
    event = read_event(row)
    assert isinstance(event, UnreadEvent)
    assert (event.event_type, event.why) == (None, "")
    assert (activity_of(row), notice_of(row), management_line(row)) == (None, None, None)
    assert rebuild(SilentState(), [row]) == ()
    assert story_of("s", [row], {}.get).events == (row,)


@given(st.sampled_from(sorted(EVENT_TYPES)), st.sampled_from([b"[]", b"1", b'"x"', b'{"new":1}', b"{}"]))
def test_data_of_another_version_break_no_reader(kind: str, data: bytes) -> None:
    row = OutboxRow(seq=3, at=START, kind=kind, subject="s", data=msgspec.Raw(data))
    activity_of(row)
    notice_of(row)
    management_line(row)
    story_of("s", [row], {}.get)
    ReportBuilder(Span(), capital=0).add(row)  # type: ignore[arg-type]
    event = read_event(row)
    if isinstance(event, UnreadEvent):
        assert event.why
        lost = not issubclass(EVENT_TYPES[kind], Remark)
        assert rebuild(SilentState(), [row]) == ((3,) if lost else ())


def test_fields_of_a_newer_version_are_passed_over() -> None:
    for line in LINES:
        row = row_of(line)
        newer = replace(row, data=msgspec.Raw(bytes(row.data).replace(b"{", b'{"of_tomorrow":[1,{}],', 1)))
        assert read_event(newer) == read_event(row)


def test_an_approval_has_one_kind_for_each_status() -> None:
    (queued,) = [read_event(row_of(line)) for line in LINES if row_of(line).kind == "approval_queued"]
    assert isinstance(queued.data, ApprovalRecord)
    kinds = {status: approval_event(replace(queued.data, status=status), START).kind for status in ApprovalStatus}
    assert kinds.pop(ApprovalStatus.PENDING) == "approval_queued"
    assert kinds == {status: f"approval_{status}" for status in kinds}


def _leaves(event_type: type[BaseEvent]) -> set[type[BaseEvent]]:
    """Return the classes below *event_type* that nothing stands below."""
    below = event_type.__subclasses__()
    return {leaf for each in below for leaf in _leaves(each)} if below else {event_type}


def test_every_event_has_a_kind_of_its_own_and_data() -> None:
    assert _leaves(BaseEvent) == set(EVENT_TYPES.values())
    assert all(kind_of(event_type) == kind for kind, event_type in EVENT_TYPES.items())
    assert all("data" in event_type.__struct_fields__ for event_type in EVENT_TYPES.values())
    assert (kind_of(FillBooked), kind_of(IntentWritten)) == ("fill", "intent")


def test_an_event_survives_its_line() -> None:
    row = RejectedRow(where="a.csv:3", reason=Reason(code="x", message="entry_price is missing."))
    event = SignalInvalid(seq=1, at=START, subject="a.csv:3", data=row)
    assert read_event(a_row(event)) == event
