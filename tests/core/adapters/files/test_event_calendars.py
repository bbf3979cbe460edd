from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from apex_cli.core.adapters.files.event_calendars import read_calendar
from apex_cli.core.errors import InputError
from apex_cli.core.model.calendar_event import CalendarEvent

NEW_YORK = "America/New_York"


def written(folder: Path, text: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, name: str = "events.csv", zone: str = NEW_YORK) -> tuple[CalendarEvent, ...]:
    return read_calendar(written(folder, text, name), zone=zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_rows_are_whole_days_or_moments_of_one_security_or_of_all(tmp_path: Path) -> None:
    day, meeting, zoned, holiday = read(
        tmp_path,
        "symbol,date,time,end,kind,name,before,after\n"
        "brk-b,2026-12-02,,,Earnings,Q3,1 session,\n"
        "*,2026-12-09,14:00,14:30,news,FOMC,30m,1 hour\n"
        ",2026-12-10T14:00:00+01:00,,,,,,\n"
        "all,2026-12-24,,2026-12-26,own,away,,\n",
    )
    assert (day.symbol, day.kind, day.name, day.before, day.after) == ("BRK.B", "earnings", "Q3", "1 session", None)
    assert (day.starts_at, day.ends_at) == (utc("2026-12-02 05:00"), utc("2026-12-03 05:00"))
    assert (meeting.symbol, meeting.starts_at, meeting.ends_at) == (
        "",
        utc("2026-12-09 19:00"),
        utc("2026-12-09 19:30"),
    )
    assert (meeting.before, meeting.after, meeting.title) == ("30 minutes", "1 hour", "news, FOMC")
    assert (zoned.starts_at, zoned.ends_at, zoned.title) == (utc("2026-12-10 13:00"),) * 2 + ("a blackout",)
    assert (holiday.starts_at, holiday.ends_at) == (utc("2026-12-24 05:00"), utc("2026-12-27 05:00"))
    assert [each.is_whole_day for each in (day, meeting, zoned, holiday)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("AAPL,2026-13-02", "date is '2026-13-02'"),
        ("AAPL,12/02/2026", "date is '12/02/2026'"),
        ("AAPL,", "date is ''"),
        ("AAPL,0026-12-02", "date is '0026-12-02'"),
        ("AAPL,2026-12-02,2pm", "time is '2pm'"),
        ("AAPL,2026-12-02,14:00,13:00", "it ends before it begins"),
        ("AAPL,2026-12-02,14:00,x", "end is 'x'"),
        ("AAPL,2026-12-02,,2026-12-01", "it ends before it begins"),
        ("AAPL,2026-12-02,,x", "end is 'x'"),
        ("AAPL,2026-12-02,,,,,soon", "before is 'soon'"),
        ("AAPL,2026-12-02,,,,,,soon", "after is 'soon'"),
        ("AAPL,2026-12-02,,,,,,,x", "more cells"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_cell(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, f"symbol,date,time,end,kind,name,before,after\n{row}\n")
    assert error.value.code == "calendar_invalid"
    assert error.value.message.startswith("events.csv:2: ")
    assert words in error.value.message


@pytest.mark.parametrize(("head", "words"), [("date,kind", "lacks the columns symbol"), ("symbol,date,sort", "sort")])
def test_columns_that_are_missing_or_unknown_are_named(tmp_path: Path, head: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, f"{head}\n")


def icalendar(*events: str) -> str:
    parts = "".join(f"BEGIN:VEVENT\r\nUID:{n}\r\n{text}\r\nEND:VEVENT\r\n" for n, text in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//\r\n{parts}END:VCALENDAR\r\n"


def test_an_icalendar_file_says_the_same(tmp_path: Path) -> None:
    earnings, meeting, floating, days = read(
        tmp_path,
        icalendar(
            "DTSTART;VALUE=DATE:20261202\r\nSUMMARY:$aapl earnings\r\nCATEGORIES:Earnings,US",
            "DTSTART;TZID=America/New_York:20261209T140000\r\nDTEND;TZID=America/New_York:20261209T143000\r\n"
            "SUMMARY:FOMC: rates",
            "DTSTART:20261210T140000\r\nDURATION:PT1H\r\nSUMMARY:talk",
            "DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227",
        ),
        "events.ics",
    )
    assert (earnings.symbol, earnings.kind, earnings.name, earnings.is_whole_day) == (
        "AAPL",
        "earnings",
        "earnings",
        True,
    )
    assert (earnings.starts_at, earnings.ends_at) == (utc("2026-12-02 05:00"), utc("2026-12-03 05:00"))
    assert (meeting.symbol, meeting.name) == ("", "FOMC: rates")  # a word before a colon is no security
    assert (meeting.starts_at, meeting.ends_at) == (utc("2026-12-09 19:00"), utc("2026-12-09 19:30"))
    assert (floating.starts_at, floating.ends_at) == (utc("2026-12-10 19:00"), utc("2026-12-10 20:00"))
    assert (days.starts_at, days.ends_at) == (utc("2026-12-24 05:00"), utc("2026-12-27 05:00"))


def test_repetitions_keep_their_time_of_day_and_leave_out_what_is_excepted(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        icalendar(
            "DTSTART;TZID=America/New_York:20260226T140000\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\n"
            "EXDATE;TZID=America/New_York:20260305T140000",
            "DTSTART;VALUE=DATE:20270101\r\nRRULE:FREQ=MONTHLY\r\nEXDATE;VALUE=DATE:20270201",
        ),
        "events.ics",
    )
    weekly, monthly = found[:3], found[3:]
    assert [each.starts_at for each in weekly] == [
        utc("2026-02-26 19:00"),
        utc("2026-03-12 18:00"),  # summer time
        utc("2026-03-19 18:00"),
    ]
    assert [each.starts_at.month for each in monthly] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage", "no iCalendar file"),
        (icalendar("DTSTART:2026\r\nSUMMARY:odd"), "'odd': DTSTART"),
        (icalendar("SUMMARY:odd"), "it has no DTSTART"),
        (icalendar("DTSTART;VALUE=DATE:20261202\r\nDTEND:20261203T100000Z"), "not of one kind"),
        (icalendar("DTSTART:20261202T100000Z\r\nDTSTART:20261203T100000Z"), "it has 2 DTSTART"),
        (icalendar("DTSTART;TZID=Nowhere:20261202T100000"), "'Nowhere', which is not known"),
        (icalendar("DTSTART:00010101T100000Z"), "no likely date"),
        (icalendar("DTSTART;VALUE=TIME:100000"), "DTSTART is no day and no time"),
        (icalendar("DTSTART:20261202T100000Z\r\nRRULE:FREQ=SECONDLY"), "FREQ=SECONDLY"),
        (icalendar("DTSTART:20261202T100000Z\r\nRRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL=0"),
        (icalendar("DTSTART:20261202T100000Z\r\nDTEND:20261201T100000Z"), "it ends before it begins"),
    ],
)
def test_an_icalendar_file_that_is_wrong_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text, "events.ics")
    assert (error.value.code, words in error.value.message) == ("calendar_invalid", True)


def test_a_rule_that_never_fits_ends_with_the_calendar_and_until_ends_it_before(tmp_path: Path) -> None:
    never = "DTSTART:20261202T100000Z\r\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31;COUNT=5"
    until = "DTSTART;TZID=America/New_York:20261202T220000\r\nRRULE:FREQ=DAILY;UNTIL=20261205T030000Z"
    days = "DTSTART;VALUE=DATE:20261202\r\nRRULE:FREQ=DAILY;UNTIL=20261203\r\nCATEGORIES:own\r\nCATEGORIES:b"
    assert read(tmp_path, icalendar(never), "events.ics") == ()
    assert len(read(tmp_path, icalendar(until), "events.ics")) == 3
    assert [each.kind for each in read(tmp_path, icalendar(days), "events.ics")] == ["own", "own"]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_calendar(tmp_path / "missing.ics", zone=NEW_YORK)
    assert error.value.code == "calendar_unreadable"
