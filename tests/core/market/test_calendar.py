from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.calendar import (
    FIRST_DAY,
    LAST_DAY,
    NEW_YORK,
    auctions_in,
    closed_why,
    day_of_bar,
    end_warning,
    is_certain,
    is_half_day,
    is_session,
    market_status,
    minute_digits,
    next_auction,
    next_session,
    previous_sessions,
    session_bounds,
    session_date,
    session_start,
)
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.order import Phase


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars with the newest pandas
def test_every_day_and_close_agrees_with_exchange_calendars() -> None:
    xcals = pytest.importorskip("exchange_calendars")
    xnys = xcals.get_calendar("XNYS", start=FIRST_DAY.isoformat(), end=LAST_DAY.isoformat())
    schedule = {
        session.date(): (opening.to_pydatetime(), close.to_pydatetime())
        for session, opening, close in zip(xnys.sessions, xnys.opens, xnys.closes, strict=True)
    }
    assert len(schedule) > 7000
    days = (LAST_DAY - FIRST_DAY).days + 1
    for offset in range(days):
        day = FIRST_DAY + timedelta(days=offset)
        assert session_bounds(day) == schedule.get(day), day
        assert is_session(day) == (day in schedule), day


@pytest.mark.parametrize(
    ("day", "why"),
    [
        ("2001-09-11", "attacks of September 11"),
        ("2012-10-30", "Hurricane Sandy"),
        ("2025-01-09", "mourning for President Carter"),
        ("2026-11-26", "Thanksgiving"),
        ("2026-11-28", "weekend"),
        ("2026-04-03", "Good Friday"),
        ("2022-06-20", "Juneteenth"),
        ("2026-11-27", ""),
    ],
)
def test_a_closed_day_says_why(day: str, why: str) -> None:
    assert closed_why(date.fromisoformat(day)) == why


def test_past_its_ends_the_rule_of_holidays_goes_on() -> None:
    assert next_session(LAST_DAY) == date(2028, 1, 3)
    assert previous_sessions(date(2000, 1, 4), 2) == (date(1999, 12, 31), date(2000, 1, 3))
    assert session_date(new_york("2027-12-31T20:00")) == date(2028, 1, 3)
    assert closed_why(date(2031, 4, 11)) == "Good Friday"
    assert closed_why(date(2100, 7, 5)) == "Independence Day"
    assert closed_why(date(1970, 5, 25)) == ""
    assert closed_why(date(1970, 5, 29)) == "Memorial Day"
    assert closed_why(date(1970, 2, 23)) == "Washington's Birthday"
    assert session_bounds(date(2030, 7, 3)) == (new_york("2030-07-03T09:30"), new_york("2030-07-03T13:00"))


@pytest.mark.filterwarnings("ignore:Series.values returning")
@pytest.mark.parametrize(
    ("first", "last", "missing"), [("1971-01-01", "1999-12-31", 8), ("2028-01-01", "2035-12-31", 0)]
)
def test_the_rule_alone_is_nearly_right_in_other_years(first: str, last: str, missing: int) -> None:
    """What it misses are closed days only, such as 1972-12-28 for President Truman."""
    xcals = pytest.importorskip("exchange_calendars")
    known = {session.date() for session in xcals.get_calendar("XNYS", start=first, end=last).sessions}
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    by_rule = {day + timedelta(days=n) for n in range((end - day).days + 1) if is_session(day + timedelta(days=n))}
    assert known - by_rule == set()
    assert len(by_rule - known) == missing


@pytest.mark.parametrize("market", list(MarketType))
@pytest.mark.parametrize(
    ("moment", "certain"),
    [
        ("2000-01-03T10:00", True),
        ("1999-12-31T19:59", False),
        ("2027-12-31T19:59", True),
        ("2027-12-31T20:00", False),
        ("2100-01-05T10:00", False),
        ("1970-01-01T00:00", False),
    ],
)
def test_a_session_outside_the_calendar_is_marked_as_uncertain(
    market: MarketType, moment: str, *, certain: bool
) -> None:
    status = market_status(market, new_york(moment))
    assert status.is_certain == certain
    assert status.is_open == (market is MarketType.CRYPTO or status.is_open)
    assert is_certain(date.fromisoformat(status.session_date)) == certain


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-12-30", ""),
        ("2026-12-31", "ends on 2027-12-31, in 365 days"),
        ("2027-12-31", "ends on 2027-12-31, in 0 days"),
        ("2028-01-03", "ended on 2027-12-31, and the date is 2028-01-03"),
        ("1999-12-31", "begins on 2000-01-01, and the date is 1999-12-31"),
    ],
)
def test_the_end_is_warned_of_a_year_ahead(day: str, words: str) -> None:
    warning = end_warning(date.fromisoformat(day))
    assert words in warning
    assert bool(warning) == bool(words)


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-11-24T19:59:59", "2026-11-24"),
        ("2026-11-24T20:00", "2026-11-25"),
        ("2026-11-24T00:00", "2026-11-24"),
        ("2026-11-25T20:30", "2026-11-27"),
        ("2026-11-26T12:00", "2026-11-27"),
        ("2026-11-22T21:00", "2026-11-23"),
        ("2026-11-27T20:00", "2026-11-30"),
    ],
)
def test_a_moment_belongs_to_its_new_york_session(moment: str, session: str) -> None:
    assert session_date(new_york(moment)) == date.fromisoformat(session)


@pytest.mark.parametrize(
    ("end", "day"),
    [
        ("2026-07-06T20:00:00+00:00", "2026-07-06"),  # the close in New York
        ("2026-07-07T04:00:00+00:00", "2026-07-06"),  # midnight there
        ("2026-07-07T04:01:00+00:00", "2026-07-07"),
    ],
)
def test_a_bar_is_of_the_new_york_day_that_it_ends_in(end: str, day: str) -> None:
    assert day_of_bar(datetime.fromisoformat(end)) == date.fromisoformat(day)


def test_the_session_of_a_moment_is_worked_out_once() -> None:
    moment = new_york("2026-11-24T19:59:58")
    known = session_date.cache_info().hits
    assert session_date(moment) == session_date(moment)
    assert session_date.cache_info().hits > known


def test_the_utc_date_does_not_matter() -> None:
    assert session_date(datetime(2026, 11, 25, 0, 40, tzinfo=UTC)) == date(2026, 11, 24)


@given(st.integers(1, 26 * 365 * 24 * 60))
def test_a_session_starts_at_or_before_and_its_successor_after_each_of_its_moments(minute: int) -> None:
    moment = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    session = session_date(moment)
    assert is_session(session)
    assert session_start(session) <= moment < session_start(next_session(session))


def test_the_window_before_a_day_leaves_that_day_out() -> None:
    assert [d.day for d in previous_sessions(date(2026, 11, 30), 4)] == [23, 24, 25, 27]
    assert previous_sessions(date(2026, 11, 30), 0) == ()


def test_equity_trades_between_the_bells() -> None:
    opened = market_status(MarketType.EQUITY, new_york("2026-11-24T09:30"))
    assert opened.is_open
    assert opened.closes_at == new_york("2026-11-24T16:00")
    assert opened.why == ""
    early = market_status(MarketType.OPTIONS, new_york("2026-11-24T09:29"))
    assert not early.is_open
    assert (early.why, early.opens_at) == ("before 09:30", new_york("2026-11-24T09:30"))


def test_equity_closes_at_one_on_half_days() -> None:
    assert market_status(MarketType.EQUITY, new_york("2026-11-27T12:59")).why == "half day"
    closed = market_status(MarketType.EQUITY, new_york("2026-11-27T13:00"))
    assert (closed.is_open, closed.why, closed.session_date) == (False, "after 13:00", "2026-11-27")
    assert closed.opens_at == new_york("2026-11-30T09:30")


def test_equity_reports_the_holiday() -> None:
    status = market_status(MarketType.EQUITY, new_york("2026-11-26T12:00"))
    assert (status.is_open, status.why) == (False, "Thanksgiving")
    assert status.opens_at == new_york("2026-11-27T09:30")
    assert status.session_date == "2026-11-27"


def test_crypto_never_closes() -> None:
    status = market_status(MarketType.CRYPTO, new_york("2026-11-28T03:00"))
    assert (status.is_open, status.closes_at, status.session_date) == (True, None, "2026-11-30")


@pytest.mark.parametrize(
    ("moment", "is_open", "turns_at"),
    [
        ("2026-11-27T16:59", True, "2026-11-27T17:00"),
        ("2026-11-27T17:00", False, "2026-11-29T17:00"),
        ("2026-11-28T12:00", False, "2026-11-29T17:00"),
        ("2026-11-29T16:59", False, "2026-11-29T17:00"),
        ("2026-11-29T17:00", True, "2026-12-04T17:00"),
        ("2026-11-24T03:00", True, "2026-11-27T17:00"),
    ],
)
def test_forex_trades_from_sunday_to_friday(moment: str, is_open: bool, turns_at: str) -> None:
    status = market_status(MarketType.FOREX, new_york(moment))
    assert status.is_open == is_open
    assert (status.closes_at if is_open else status.opens_at) == new_york(turns_at)
    assert status.why == ("" if is_open else "weekend")


def test_bounds_follow_daylight_saving() -> None:
    winter, summer = session_bounds(date(2026, 3, 6)), session_bounds(date(2026, 3, 9))
    assert winter is not None
    assert summer is not None
    assert (winter[0].time(), summer[0].time()) == (time(14, 30), time(13, 30))


SESSION = (new_york("2026-11-24T09:30"), new_york("2026-11-24T16:00"))
HALF = (new_york("2026-11-27T09:30"), new_york("2026-11-27T13:00"))


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        (*SESSION, ("opening", "closing")),
        (*HALF, ("opening", "closing")),
        (SESSION[0], SESSION[0] + timedelta(minutes=5), ("opening",)),
        (SESSION[1] - timedelta(minutes=5), SESSION[1], ("closing",)),
        (SESSION[0] + timedelta(hours=1), SESSION[0] + timedelta(hours=2), ()),
        (SESSION[0] - timedelta(hours=1), SESSION[0], ()),
        (SESSION[1], SESSION[1] + timedelta(hours=1), ()),
        (new_york("2026-11-26T09:30"), new_york("2026-11-26T16:00"), ()),
    ],
)
def test_a_bar_holds_the_auctions_that_it_opens_or_closes_a_session_with(
    start: datetime, end: datetime, held: tuple[str, ...]
) -> None:
    assert auctions_in(start, end) == held


@pytest.mark.parametrize(
    ("phase", "after", "at"),
    [
        (Phase.OPENING, SESSION[0], SESSION[0]),
        (Phase.OPENING, SESSION[0] + timedelta(seconds=1), new_york("2026-11-25T09:30")),
        (Phase.OPENING, new_york("2026-11-25T18:00"), HALF[0]),
        (Phase.CLOSING, SESSION[0], SESSION[1] - timedelta(seconds=1)),
        (Phase.CLOSING, SESSION[1] - timedelta(seconds=1), SESSION[1] - timedelta(seconds=1)),
        (Phase.CLOSING, SESSION[1], new_york("2026-11-25T15:59:59")),
        (Phase.CLOSING, new_york("2026-11-25T16:00"), HALF[1] - timedelta(seconds=1)),
        (Phase.OPENING, new_york("2026-11-28T12:00"), new_york("2026-11-30T09:30")),
        (Phase.ANY, SESSION[0], None),
    ],
)
def test_the_next_auction_is_the_first_that_is_not_over(phase: Phase, after: datetime, at: datetime | None) -> None:
    assert next_auction(phase, after) == at


def test_before_the_rule_of_half_days_sessions_are_whole() -> None:
    assert not is_half_day(date(1992, 12, 24))
    assert is_half_day(date(1997, 12, 24))


@given(st.integers(-50_000_000, 50_000_000))
def test_digits_of_a_minute_are_those_of_its_format(minutes: int) -> None:
    at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    assert minute_digits(at) == f"{at:%Y%m%dT%H%M}"
