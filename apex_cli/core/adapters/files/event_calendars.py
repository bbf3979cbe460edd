"""Calendars of events: CSV files with a row each, and iCalendar files (RFC 5545)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from apex_cli.core.adapters.files.problems import Problems, shown
from apex_cli.core.adapters.files.sectors import read_text_file
from apex_cli.core.errors import InputError, install_command
from apex_cli.core.market.calendar import FIRST_YEAR, LAST_DAY, LAST_YEAR, NEW_YORK, ONE_DAY
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.duration import read_duration
from apex_cli.core.model.spelling import canonical_ticker

NEEDED = ("symbol", "date")
COLUMNS = (*NEEDED, "time", "end", "kind", "name", "before", "after")
ICALENDAR_ENDINGS = frozenset({".ics", ".ical", ".ifb", ".icalendar"})
ALL = frozenset({"", "*", "all"})
MOST_REPEATS = 2_000
"""Repetitions of one event of an iCalendar file that are looked at."""

LONGEST = 200
"""Characters of a name."""


def read_calendar(path: Path, *, zone: str) -> tuple[CalendarEvent, ...]:
    """Return the events in the file at *path*, the earliest first.

    Args:
        path: an iCalendar file by its ending, else a CSV file.
        zone: of times that name none.

    Raises:
        InputError: it cannot be read, or something in it is wrong; all of it is named.
    """
    problems = Problems()
    text = read_text_file(path, "calendar")
    is_icalendar = path.suffix.lower() in ICALENDAR_ENDINGS
    read = _of_icalendar if is_icalendar else _of_csv
    found = list(read(path.name, text, ZoneInfo(zone), problems))
    if problems:
        problems.stop("calendar_invalid", hint="Correct it.", details={"file": str(path)})
    return tuple(sorted(found, key=lambda event: (event.starts_at, event.symbol, event.name)))


def _of_csv(name: str, text: str, zone: ZoneInfo, problems: Problems) -> Iterator[CalendarEvent]:
    reader = csv.DictReader(text.splitlines(), restval="")
    reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
    if missing := [column for column in NEEDED if column not in reader.fieldnames]:
        problems.add(name, f"it lacks the columns {', '.join(missing)}; it may have {', '.join(COLUMNS)}")
        return
    if unknown := [column for column in reader.fieldnames if column not in COLUMNS]:
        problems.add(name, f"no event has {', '.join(unknown)}; it may have {', '.join(COLUMNS)}")
        return
    for row in reader:
        try:
            yield _event(row, zone)
        except ValueError as error:
            problems.add(f"{name}:{reader.line_num}", str(error))


def _event(row: Mapping[str | Any, str | Any], zone: ZoneInfo) -> CalendarEvent:
    """Return the event of one row.

    Raises:
        ValueError: a cell is wrong; it says which.
    """
    if None in row:
        raise ValueError("it has more cells than there are columns")
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    day, clock = _moment(cells["date"], "date")
    if cells["time"]:
        clock = _time(cells["time"], "time")
    if clock is None:
        starts_at, ends_at = _whole_days(day, _day(cells["end"], "end") if cells["end"] else day)
    else:
        starts_at = _aware(datetime.combine(day, clock), zone)
        ends_at = _aware(datetime.combine(day, _time(cells["end"], "end")), zone) if cells["end"] else starts_at
    return _checked(
        CalendarEvent(
            symbol=_symbol(cells["symbol"]),
            starts_at=starts_at,
            ends_at=ends_at,
            is_whole_day=clock is None,
            kind=cells["kind"].lower(),
            name=cells["name"][:LONGEST],
            before=_duration(cells["before"], "before"),
            after=_duration(cells["after"], "after"),
        )
    )


def _checked(event: CalendarEvent) -> CalendarEvent:
    """Return *event* if it ends no earlier than it begins.

    Raises:
        ValueError: it does.
    """
    if event.ends_at < event.starts_at or (event.is_whole_day and event.ends_at == event.starts_at):
        raise ValueError("it ends before it begins")
    return event


def _symbol(text: str) -> str:
    return "" if text.lower() in ALL else canonical_ticker(text)


def _moment(text: str, column: str) -> tuple[date, time | None]:
    """Return the day, and the time where *text* has one, with its zone if it names one."""
    try:
        if len(text) == len("2026-12-02"):
            return _known(date.fromisoformat(text)), None
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column} is {shown(text)}, no date such as 2026-12-02 or 2026-12-02 14:00") from None
    return _known(found.date()), found.timetz()


def _day(text: str, column: str) -> date:
    try:
        return _known(date.fromisoformat(text))
    except ValueError:
        raise ValueError(f"{column} is {shown(text)}, no date such as 2026-12-02") from None


def _known(day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"{day} is no likely date")
    return day


def _time(text: str, column: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column} is {shown(text)}, no time of day such as 14:00") from None


def _duration(text: str, column: str) -> str | None:
    if not text:
        return None
    try:
        return str(read_duration(text))
    except ValueError:
        raise ValueError(f"{column} is {shown(text)}, no duration such as 2 sessions or 90 minutes") from None


def _aware(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def _whole_days(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the midnights, in New York, before *first* and after *last*."""
    return _midnight(first), _midnight(last + ONE_DAY)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)


# iCalendar


def _of_icalendar(name: str, text: str, zone: ZoneInfo, problems: Problems) -> Iterator[CalendarEvent]:
    try:
        from icalendar import Calendar
    except ImportError:
        raise InputError(
            "calendar_unreadable", f"{name} is an iCalendar file.", hint=f"{install_command('calendar')}, or use CSV."
        ) from None
    try:
        calendars = Calendar.from_ical(text, multiple=True)
    except ValueError as error:
        problems.add(name, f"it is no iCalendar file: {error}")
        return
    for part in (part for calendar in calendars for part in calendar.walk("VEVENT")):
        title = str(part.get("SUMMARY", "")).strip()[:LONGEST]
        try:
            yield from _events_of(part, title, zone)
        except ValueError as error:
            problems.add(f"{name}, {shown(title or 'event without a name')}", str(error))


def _events_of(part: Any, title: str, zone: ZoneInfo) -> Iterator[CalendarEvent]:  # noqa: ANN401 - icalendar's
    """Yield the event of *part*, and its repetitions.

    Raises:
        ValueError: it cannot be understood.
    """
    if part.errors:
        raise ValueError("; ".join(f"{field}: {problem}" for field, problem in part.errors))
    if part.get("DTSTART") is None:
        raise ValueError("it has no DTSTART")
    start: date | datetime = part["DTSTART"].dt
    span = _span(part, start)
    symbol, _, rest = title.removeprefix("$").partition(" ") if title.startswith("$") else ("", "", title)
    categories = part.get("CATEGORIES")
    kind = str(categories.cats[0]).strip().lower() if categories is not None and categories.cats else ""
    for moment in _repeated(part, start):
        if isinstance(moment, datetime):
            starts_at = _aware(moment, zone)
            ends_at = starts_at + span
        else:
            starts_at, ends_at = _whole_days(_known(moment), moment + max(span, ONE_DAY) - ONE_DAY)
        yield _checked(
            CalendarEvent(
                symbol=_symbol(symbol.rstrip(":,")),
                starts_at=starts_at,
                ends_at=ends_at,
                is_whole_day=not isinstance(moment, datetime),
                kind=kind,
                name=rest.strip(),
            )
        )


def _span(part: Any, start: date | datetime) -> timedelta:  # noqa: ANN401 - icalendar's
    """Return how long the event is; a whole day without an end is one day."""
    if part.get("DTEND") is not None:
        end: date | datetime = part["DTEND"].dt
        if isinstance(end, datetime) and isinstance(start, datetime):
            return end - start
        if isinstance(end, datetime) or isinstance(start, datetime):
            raise ValueError("DTSTART and DTEND are not of one kind")
        return end - start
    if part.get("DURATION") is not None:
        found: timedelta = part["DURATION"].dt
        return found
    return timedelta()


def _repeated(part: Any, start: date | datetime) -> Iterator[date | datetime]:  # noqa: ANN401 - icalendar's
    """Yield *start* and when the event is repeated, up to the last day of the market's calendar."""
    if part.get("RRULE") is None:
        yield start
        return
    from dateutil.rrule import rrulestr

    is_day = not isinstance(start, datetime)
    first = datetime.combine(start, time()) if is_day else start
    left_out = {_plain(each.dt) for each in _listed(part.get("EXDATE"))}
    rules = rrulestr(part["RRULE"].to_ical().decode(), dtstart=first)
    for moment in islice(rules, MOST_REPEATS):
        if moment.date() > LAST_DAY:
            return
        found: date | datetime = moment.date() if is_day else moment
        if _plain(found) not in left_out:
            yield found


def _listed(found: Any) -> list[Any]:  # noqa: ANN401 - icalendar's: one list of dates, or several
    lists = found if isinstance(found, list) else [found] if found is not None else []
    return [each for one in lists for each in one.dts]


def _plain(moment: date | datetime) -> str:
    return moment.astimezone(UTC).isoformat() if isinstance(moment, datetime) and moment.tzinfo else moment.isoformat()
