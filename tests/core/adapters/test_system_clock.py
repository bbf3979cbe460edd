from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from ulid import ULID

from apex_cli.core.adapters.system_clock import SystemClock, UlidIds
from kit import FixedClock, SequentialIds


def test_the_time_is_aware_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_a_clock_set_back_yields_the_last_value_plus_a_microsecond() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    readings = iter([noon, noon - timedelta(hours=1), noon - timedelta(hours=1), noon + timedelta(seconds=1)])
    clock = SystemClock(lambda: next(readings))
    tick = timedelta(microseconds=1)
    assert [clock.now() for _ in range(4)] == [noon, noon + tick, noon + 2 * tick, noon + timedelta(seconds=1)]


def test_ids_rise_strictly_within_one_millisecond() -> None:
    ids = UlidIds()
    made = [ids.new() for _ in range(5000)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


def test_an_id_is_a_ulid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = UlidIds().new()
    read = ULID.from_str(made)
    assert str(read) == made
    assert before <= read.milliseconds <= time.time_ns() // 1_000_000


def test_ids_rise_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = UlidIds()
    first = ids.new()
    hour_ago = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: hour_ago)
    monkeypatch.setattr(time, "time", lambda: hour_ago / 1e9)
    assert first < ids.new() < ids.new()


def test_two_processes_worth_of_ids_do_not_meet() -> None:
    one, other = UlidIds(), UlidIds()
    made = [ids.new() for _ in range(500) for ids in (one, other)]
    assert len(set(made)) == 1000


def test_the_fixed_clock_moves_only_when_reported() -> None:
    clock = FixedClock()
    start = clock.now()
    assert clock.now() == start
    assert clock.advance(minutes=5) == clock.now() == start + timedelta(minutes=5)


def test_sequential_ids_are_sortable_and_26_characters_long() -> None:
    ids = SequentialIds()
    made = [ids.new() for _ in range(12)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}
