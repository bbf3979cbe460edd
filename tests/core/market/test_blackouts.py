from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.blackouts import blackout_of, blackouts_at
from apex_cli.core.market.calendar import NEW_YORK, is_session, market_status, session_bounds, session_date
from apex_cli.core.market.durations import start_of
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.duration import Duration, DurationUnit
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.protections import BlackoutLimits, BlackoutWindow

EQUITY, CRYPTO, FOREX = MarketType.EQUITY, MarketType.CRYPTO, MarketType.FOREX


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def a_day(first: str, last: str = "", **changes: str | None) -> CalendarEvent:
    end = date.fromisoformat(last or first) + timedelta(days=1)
    return CalendarEvent(starts_at=new_york(first), ends_at=new_york(end.isoformat()), is_whole_day=True, **changes)


def a_moment(at: str, **changes: str | None) -> CalendarEvent:
    return CalendarEvent(starts_at=new_york(at), ends_at=new_york(at), **changes)


@pytest.mark.parametrize(
    ("event", "begins", "ends"),
    [
        (a_day("2026-12-02"), "2026-12-02 00:00", "2026-12-03 00:00"),
        # 1 session before Wednesday is Tuesday, from Monday 20:00 on; after it Thursday, until Friday opens.
        (a_day("2026-12-02", before="1 session", after="1 session"), "2026-11-30 20:00", "2026-12-04 09:30"),
        # Thanksgiving, the half day and the weekend: Wednesday before, Friday after.
        (a_day("2026-11-26", before="1 session", after="1 session"), "2026-11-24 20:00", "2026-11-30 09:30"),
        (a_day("2026-11-28", after="1 session"), "2026-11-28 00:00", "2026-12-01 09:30"),
        (a_day("2026-12-02", before="2 hours", after="90 minutes"), "2026-12-01 22:00", "2026-12-03 01:30"),
        (a_moment("2026-12-09 14:00", before="30 minutes", after="1 hour"), "2026-12-09 13:30", "2026-12-09 15:00"),
        (a_moment("2026-12-09 14:00", before="1 session", after="1 session"), "2026-12-07 20:00", "2026-12-11 09:30"),
        (a_moment("2026-11-30 10:30", before="2 market hours"), "2026-11-27 12:00", "2026-11-30 10:30"),
        (a_moment("2026-11-27 12:00", after="2 market hours"), "2026-11-27 12:00", "2026-11-30 10:30"),
    ],
)
def test_the_time_around_an_event(event: CalendarEvent, begins: str, ends: str) -> None:
    found = blackout_of(event, BlackoutLimits(), EQUITY)
    assert (found.begins_at, found.ends_at) == (new_york(begins), new_york(ends))


def test_each_kind_has_its_times_and_an_event_may_have_its_own() -> None:
    limits = BlackoutLimits(before="1 hour", kinds={"news": BlackoutWindow(before="5 minutes")})
    for event, minutes in (
        (a_moment("2026-12-09 14:00", kind="earnings"), 60),
        (a_moment("2026-12-09 14:00", kind="news"), 5),
        (a_moment("2026-12-09 14:00", kind="news", before="2 minutes"), 2),
    ):
        assert event.starts_at - blackout_of(event, limits, EQUITY).begins_at == timedelta(minutes=minutes)


def test_what_reaches_a_moment_is_found_and_the_last_to_end_is_last() -> None:
    events = [
        a_day("2026-12-02", name="long", after="1 session"),
        a_day("2026-12-02", name="short"),
        a_day("2026-12-08"),
    ]
    found = blackouts_at(events, BlackoutLimits(), EQUITY, new_york("2026-12-02 10:00"))
    assert [each.event.name for each in found] == ["short", "long"]
    assert blackouts_at(events, BlackoutLimits(), EQUITY, new_york("2026-12-04 09:30")) == ()
    moment = a_moment("2026-12-09 14:00")
    assert len(blackouts_at([moment], BlackoutLimits(), EQUITY, moment.starts_at)) == 1


days = st.integers(0, 3 * 365).map(lambda passed: date(2024, 1, 10) + timedelta(days=passed))
numbers = st.integers(1, 6)


@given(days, numbers, numbers)
def test_so_many_whole_sessions_before_and_after_a_day_are_left_out(day: date, before: int, after: int) -> None:
    event = a_day(day.isoformat(), before=f"{before} sessions", after=f"{after} sessions")
    found = blackout_of(event, BlackoutLimits(), EQUITY)
    blocked = []
    for passed in range(-20, 21):
        other = day + timedelta(days=passed)
        bounds = session_bounds(other)
        if bounds is None:
            continue
        opened = found.begins_at <= bounds[0] < found.ends_at
        assert opened == (found.begins_at <= bounds[1] - timedelta(seconds=1) < found.ends_at)
        if opened:
            blocked.append(other)
    assert len([each for each in blocked if each < day]) == before
    assert len([each for each in blocked if each > day]) == after
    assert (day in blocked) == is_session(day)


@given(days, st.integers(0, 24 * 4 - 1), numbers, st.sampled_from([EQUITY, FOREX, CRYPTO]))
def test_market_hours_before_count_only_the_minutes_in_which_the_market_is_open(
    day: date, quarters: int, number: int, market: MarketType
) -> None:
    quarter = timedelta(minutes=15)
    until = new_york(day.isoformat()) + quarters * quarter
    begins = start_of(Duration(number=number, unit=DurationUnit.MARKET_HOURS), market, until)
    opened, at = 0, begins
    while at < until:
        opened += market_status(market, at).is_open
        at += quarter
    assert opened == 4 * number


@given(days, numbers)
def test_a_day_of_a_market_around_the_clock_is_24_open_hours(day: date, number: int) -> None:
    until = new_york(day.isoformat())
    sessions = Duration(number=number, unit=DurationUnit.SESSIONS)
    assert start_of(sessions, CRYPTO, until) == until - timedelta(days=number)
    assert start_of(sessions, FOREX, until) <= until - timedelta(days=number)
    begins = start_of(sessions, EQUITY, until)
    assert session_date(begins) < session_date(until)
    event = a_day(day.isoformat(), after=f"{number} sessions")
    assert blackout_of(event, BlackoutLimits(), CRYPTO).ends_at == event.ends_at + timedelta(days=number)
