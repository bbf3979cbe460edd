from __future__ import annotations

import asyncio
from datetime import timedelta

from apex_cli.core.coordinator.silence import REPEAT_AFTER, Pulse, record_run, report_outage, report_overdue, silence
from kit import FixedClock, MemoryStore


def test_a_loop_beats_once_a_minute_by_the_wall_clock() -> None:
    store, wall = MemoryStore(), FixedClock()
    pulse = Pulse(store, wall)
    for seconds in (0, 30, 30, 59):
        wall.advance(seconds=seconds)
        assert asyncio.run(pulse.tend(wall.now())) is False
    assert store.generation == 2
    assert silence(store.view().counters, wall.now()) == timedelta(seconds=59)


def test_without_any_run_there_is_no_age() -> None:
    assert silence(MemoryStore().view().counters, FixedClock().now()) is None


def test_a_silence_is_reported_once_in_a_while_and_anew_after_a_run() -> None:
    store, clock = MemoryStore(), FixedClock()
    record_run(store, clock.now())
    clock.advance(minutes=60)
    reported = [report_overdue(store, "late", clock.now())]
    clock.advance(REPEAT_AFTER - timedelta(seconds=1))
    reported.append(report_overdue(store, "late", clock.now()))
    clock.advance(seconds=1)
    reported.append(report_overdue(store, "late", clock.now()))
    record_run(store, clock.advance(minutes=1))
    reported.append(report_overdue(store, "late", clock.advance(minutes=1)))
    assert reported == [True, False, True, True]
    assert [event.kind for event in store.events] == ["run_overdue"] * 3


def test_an_outage_is_an_alarm_once_until_a_run_has_worked() -> None:
    store, clock = MemoryStore(), FixedClock()
    for _ in range(3):
        report_outage(store, "Nothing listens there.", clock.advance(minutes=5))
    assert [event.kind for event in store.events] == ["alarm"]
    record_run(store, clock.advance(minutes=5))
    for _ in range(2):
        report_outage(store, "Nothing listens there.", clock.advance(minutes=5))
    assert [event.kind for event in store.events] == ["alarm"] * 2
