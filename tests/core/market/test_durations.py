from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.calendar import NEW_YORK, is_half_day, is_session, market_status, session_date
from apex_cli.core.market.durations import end_of, reaches
from apex_cli.core.model.duration import Duration, DurationUnit, read_duration
from apex_cli.core.model.instrument import MarketType

EQUITY, CRYPTO, FOREX = MarketType.EQUITY, MarketType.CRYPTO, MarketType.FOREX
FIRST = datetime(2024, 1, 2, tzinfo=UTC)
moments = st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
numbers = st.integers(1, 12)


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@given(moments, numbers)
def test_a_lock_in_sessions_holds_in_exactly_so_many_sessions_whatever_lies_between(
    since: datetime, number: int
) -> None:
    end = end_of(Duration(number=number, unit=DurationUnit.SESSIONS), EQUITY, since)
    first, last = session_date(since), end.astimezone(NEW_YORK).date()
    days = [first + timedelta(days=passed) for passed in range((last - first).days)]
    assert sum(is_session(day) for day in days) == number
    assert is_session(last)
    assert end.astimezone(NEW_YORK).time() == time(9, 30)


@given(moments, numbers, st.sampled_from([EQUITY, FOREX, CRYPTO]))
def test_market_hours_count_only_the_minutes_in_which_the_market_is_open(
    since: datetime, number: int, market: MarketType
) -> None:
    since = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
    end = end_of(Duration(number=number, unit=DurationUnit.MARKET_HOURS), market, since)
    quarter, at, opened = timedelta(minutes=15), since, 0
    while at < end:
        opened += market_status(market, at).is_open
        at += quarter
    assert opened == 4 * number


@given(moments, numbers)
def test_a_session_of_a_market_around_the_clock_is_a_day(since: datetime, number: int) -> None:
    duration = Duration(number=number, unit=DurationUnit.SESSIONS)
    assert end_of(duration, CRYPTO, since) == since + timedelta(days=number)
    assert end_of(duration, FOREX, since) >= since + timedelta(days=number)


@given(moments, numbers, st.sampled_from(list(DurationUnit)), st.sampled_from([EQUITY, CRYPTO]))
def test_what_a_duration_reaches_ends_no_later_than_a_lock_of_the_same_length(
    since: datetime, number: int, unit: DurationUnit, market: MarketType
) -> None:
    duration = Duration(number=number, unit=unit)
    end = end_of(duration, market, since)
    assert reaches(duration, market, since, since)
    assert not reaches(duration, market, since, end + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("text", "since", "end"),
    [
        ("1 session", "2026-11-25 11:00", "2026-11-27 09:30"),  # over Thanksgiving
        ("2 sessions", "2026-11-25 11:00", "2026-11-30 09:30"),  # the half day counts, the weekend does not
        ("1 session", "2026-11-25 21:00", "2026-11-30 09:30"),  # after 20:00 it is the next session: Friday's
        ("4 market hours", "2026-11-27 12:00", "2026-11-30 12:30"),  # one hour of the half day, three on Monday
        ("3 market hours", "2026-11-28 12:00", "2026-11-30 12:30"),
        ("6 hours", "2026-11-27 12:00", "2026-11-27 18:00"),
        ("90m", "2026-03-07 23:00", "2026-03-08 00:30"),
    ],
)
def test_ends_over_holidays_half_days_and_weekends(text: str, since: str, end: str) -> None:
    assert is_half_day(date(2026, 11, 27))
    assert end_of(read_duration(text), EQUITY, new_york(since)) == new_york(end)


def test_a_look_back_in_sessions_counts_whole_sessions() -> None:
    three = read_duration("3 sessions")
    wednesday = new_york("2026-11-25 15:59")
    assert reaches(three, EQUITY, wednesday, new_york("2026-11-30 09:00"))  # Wednesday, Friday, Monday
    assert not reaches(three, EQUITY, wednesday, new_york("2026-12-01 09:00"))


@pytest.mark.parametrize("text", ["", "2", "sessions", "0 sessions", "-1 hours", "2 weeks", "1.5 hours", "99999 hours"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("2Sessions", "2 sessions"), ("1 sessions", "1 session"), ("3 market  hour", "3 market hours")],
)
def test_a_duration_is_kept_as_it_is_spelled_best(text: str, spelled: str) -> None:
    assert str(read_duration(text)) == spelled
