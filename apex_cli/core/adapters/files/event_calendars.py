"""Calendars of events: CSV files with a row each, and iCalendar files (RFC 5545)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from apex_cli.core.adapters.files.event_fields import LONGEST, aware, checked, known, symbol_of, whole_days
from apex_cli.core.adapters.files.named_file import read_text_file
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.duration import read_duration
from apex_cli.core.text.problems import Problems, shown
from apex_cli.core.text.table_reader import named_rows

NEEDED = ("symbol", "date")
OTHERS = ("time", "end", "kind", "name", "before", "after")
A_DAY, A_TIME = "date such as 2026-12-02", "time of day such as 14:00"
A_DURATION = "duration such as 2 sessions or 90 minutes"
ICALENDAR_ENDINGS = frozenset({".ics", ".ical", ".ifb", ".icalendar"})

ReadT = TypeVar("ReadT")


def read_calendar(path: Path, *, zone: str) -> tuple[CalendarEvent, ...]:
    """Return the events in the file at *path*, the earliest first.

    It is an iCalendar file by its ending, else a CSV file; times that name no zone are of *zone*.

    Raises:
        InputError: it cannot be read, or something in it is wrong; all of it is named.
    """
    problems = Problems()
    text = read_text_file(path, "calendar")
    if path.suffix.lower() in ICALENDAR_ENDINGS:
        from apex_cli.core.adapters.files.icalendar_events import events_in

        found = list(events_in(path.name, text, ZoneInfo(zone), problems))
    else:
        found = list(_of_csv(path.name, text, ZoneInfo(zone), problems))
    problems.stop("calendar_invalid", hint="Correct it.", details={"file": str(path)})
    return tuple(sorted(found, key=lambda event: (event.starts_at, event.symbol, event.name)))


def _of_csv(name: str, text: str, zone: ZoneInfo, problems: Problems) -> Iterator[CalendarEvent]:
    for where, cells in named_rows(text, name, NEEDED, problems, others=OTHERS, what="event"):
        try:
            yield _event(cells, zone)
        except ValueError as error:
            problems.add(where, str(error))


def _event(row: Mapping[str, str], zone: ZoneInfo) -> CalendarEvent:
    """Return the event of one row."""
    cells = {**dict.fromkeys(OTHERS, ""), **row}
    day, clock = _moment(cells["date"], "date")
    if cells["time"]:
        clock = _read(cells, "time", time.fromisoformat, A_TIME)
    if clock is None:
        last = _read(cells, "end", _day, A_DAY) if cells["end"] else day
        starts_at, ends_at = whole_days(day, last)
    else:
        starts_at = ends_at = aware(datetime.combine(day, clock), zone)
        if cells["end"]:
            ends_at = aware(datetime.combine(day, _read(cells, "end", time.fromisoformat, A_TIME)), zone)
    return checked(
        CalendarEvent(
            symbol=symbol_of(cells["symbol"]),
            starts_at=starts_at,
            ends_at=ends_at,
            is_whole_day=clock is None,
            kind=cells["kind"].lower(),
            name=cells["name"][:LONGEST],
            before=_read(cells, "before", _duration, A_DURATION),
            after=_read(cells, "after", _duration, A_DURATION),
        )
    )


def _moment(text: str, column: str) -> tuple[date, time | None]:
    """Return the day, and the time where *text* has one, with its zone if it names one."""
    try:
        if len(text) == len("2026-12-02"):
            return known(date.fromisoformat(text)), None
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column} is {shown(text)}, no date such as 2026-12-02 or 2026-12-02 14:00") from None
    return known(found.date()), found.timetz()


def _read(cells: Mapping[str, str], column: str, read: Callable[[str], ReadT], allowed: str) -> ReadT:
    try:
        return read(cells[column])
    except ValueError:
        raise ValueError(f"{column} is {shown(cells[column])}, no {allowed}") from None


def _day(text: str) -> date:
    return known(date.fromisoformat(text))


def _duration(text: str) -> str | None:
    return str(read_duration(text)) if text else None
