"""Clocks that jump, sleep, lie and change to summer time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.state import file_format as state_care
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.decision.approval import is_expired
from apex_cli.core.market.calendar import session_bounds, session_date, session_start
from kit import START, FixedClock, an_event
from kit.rig import Rig, make_signal, manual

NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def test_a_new_process_does_not_go_back_behind_what_the_state_has_seen() -> None:
    wall = FixedClock()
    clock = SystemClock(wall.now, floor=START + HOUR)
    assert [clock.now(), clock.now()] == [START + HOUR + TICK, START + HOUR + 2 * TICK]
    assert clock.behind() == HOUR
    wall.advance(minutes=61)
    assert clock.now() == wall.now()
    assert clock.behind() < timedelta()


def test_a_floor_in_the_past_changes_nothing() -> None:
    wall = FixedClock()
    clock = SystemClock(wall.now, floor=START - HOUR)
    assert clock.now() == START
    assert clock.wall() == START


def count(store: TinyDbStore) -> None:
    with store.transaction() as state:
        state.emit(an_event(at=store.clock.now()))


def test_the_time_of_saving_never_goes_back_and_is_read_from_the_header_alone(tmp_path: Path) -> None:
    clock = FixedClock()
    store = TinyDbStore(tmp_path / "state", clock=clock)
    assert state_care.last_saved_at(store.path) is None
    count(store)
    clock.advance(minutes=-30)
    count(store)
    assert state_care.last_saved_at(store.path) == START
    clock.advance(minutes=45)
    count(store)
    assert state_care.last_saved_at(store.path) == START + timedelta(minutes=15)
    store.path.write_bytes(store.path.read_bytes()[:-5])
    assert state_care.last_saved_at(store.path) == START + timedelta(minutes=15)
    store.path.write_bytes(b"garbage")
    assert state_care.last_saved_at(store.path) is None


def test_event_times_of_a_process_that_starts_behind_are_after_those_on_record(tmp_path: Path) -> None:
    wall = FixedClock()
    first = TinyDbStore(tmp_path / "state", clock=SystemClock(wall.now))
    count(first)
    wall.advance(minutes=-10)
    floor = state_care.last_saved_at(first.path)
    second = TinyDbStore(tmp_path / "state", clock=SystemClock(wall.now, floor=floor))
    count(second)
    times = [event.at for event in second.journal.events()]
    assert times == sorted(times)
    assert times[0] < times[1]


def test_time_asleep_counts_for_the_expiry_of_approvals() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal("AAPL", now=START))
    (approval,) = rig.desk.pending()
    wall = FixedClock()
    clock = SystemClock(wall.now)
    assert not is_expired(approval, clock.now())
    wall.advance(timedelta(hours=9))  # the lid was closed: no clock of the process ran
    assert is_expired(approval, clock.now())


@pytest.mark.parametrize(
    ("local", "session"),
    [
        ((2026, 3, 6, 19, 59), date(2026, 3, 6)),
        ((2026, 3, 6, 20, 0), date(2026, 3, 9)),
        ((2026, 3, 8, 1, 59), date(2026, 3, 9)),
        ((2026, 3, 8, 3, 0), date(2026, 3, 9)),
        ((2026, 3, 9, 19, 59), date(2026, 3, 9)),
        ((2026, 3, 9, 20, 0), date(2026, 3, 10)),
        ((2026, 10, 30, 20, 0), date(2026, 11, 2)),
        ((2026, 11, 1, 0, 30), date(2026, 11, 2)),
        ((2026, 11, 2, 19, 59), date(2026, 11, 2)),
        ((2026, 11, 2, 20, 0), date(2026, 11, 3)),
    ],
)
def test_sessions_around_the_change_to_and_from_summer_time(local: tuple[int, ...], session: date) -> None:
    assert session_date(datetime(*local, tzinfo=NEW_YORK)) == session  # type: ignore[misc,arg-type] - five numbers


def test_the_hour_that_comes_twice_belongs_to_one_session() -> None:
    hour = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    both = [hour.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert both[1] - both[0] == HOUR
    assert {session_date(moment) for moment in both} == {date(2026, 11, 2)}


@pytest.mark.parametrize(
    ("before", "after", "shift"),
    [(date(2026, 3, 6), date(2026, 3, 9), -1), (date(2026, 10, 30), date(2026, 11, 2), 1)],
)
def test_openings_and_rolls_follow_new_york_and_move_in_utc(before: date, after: date, shift: int) -> None:
    first, second = session_bounds(before), session_bounds(after)
    assert first is not None
    assert second is not None
    assert second[0] - first[0] == timedelta(days=3, hours=shift)
    following = after + timedelta(days=1)
    assert session_start(following).astimezone(NEW_YORK).hour == session_start(after).astimezone(NEW_YORK).hour == 20
    assert session_start(following) - session_start(after) == timedelta(days=3, hours=shift)
