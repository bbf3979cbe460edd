"""Events of iCalendar files (RFC 5545), as the library icalendar reads them, repetitions followed by dateutil."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from apex_cli.core.adapters.files.event_fields import LONGEST, aware, checked, known, symbol_of, whole_days
from apex_cli.core.errors import InputError, install_command
from apex_cli.core.market.calendar import LAST_DAY, ONE_DAY
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.text.problems import Problems, shown

MOST_REPEATS = 50_000
"""Repetitions of one event that are looked at."""

FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
When = date | datetime
"""A whole day, or a moment with its zone."""


def events_in(name: str, text: str, zone: ZoneInfo, problems: Problems) -> Iterator[CalendarEvent]:
    """Yield the events of the file *name*; what is wrong goes to *problems*.

    Times that name no zone are of *zone*.

    Raises:
        InputError: the extra ``calendar`` is not installed.
    """
    try:
        from icalendar import Calendar
    except ImportError:
        raise InputError(
            "calendar_unreadable", f"{name} is an iCalendar file.", hint=f"{install_command('calendar')}, or use CSV."
        ) from None
    try:
        parts = [part for calendar in Calendar.from_ical(text, multiple=True) for part in calendar.walk("VEVENT")]
    except (ValueError, LookupError, OSError) as error:  # a zone that is a folder is an OSError
        problems.add(name, f"it is no iCalendar file: {error}")
        return
    for part in parts:
        title = str(part.get("SUMMARY", "")).strip()[:LONGEST]
        try:
            yield from list(_events_of(part, title, zone))
        except (ValueError, OverflowError) as error:
            problems.add(f"{name}, {shown(title or 'event without a name')}", str(error))


def _events_of(part: Any, title: str, zone: ZoneInfo) -> Iterator[CalendarEvent]:  # noqa: ANN401 - icalendar's
    """Yield the event of *part*, and its repetitions."""
    if part.errors:
        raise ValueError("; ".join(f"{field}: {problem}" for field, problem in part.errors))
    start = _when(part, "DTSTART", zone)
    if start is None:
        raise ValueError("it has no DTSTART")
    span = _span(part, start, zone)
    symbol, _, rest = title.removeprefix("$").partition(" ") if title.startswith("$") else ("", "", title)
    for moment in _repeated(part, start, zone):
        if isinstance(moment, datetime):
            starts_at = aware(moment, zone)
            ends_at = starts_at + span
        else:
            starts_at, ends_at = whole_days(known(moment), moment + max(span, ONE_DAY) - ONE_DAY)
        yield checked(
            CalendarEvent(
                symbol=symbol_of(symbol.rstrip(":,")),
                starts_at=starts_at,
                ends_at=ends_at,
                is_whole_day=not isinstance(moment, datetime),
                kind=_kind(part),
                name=rest.strip(),
            )
        )


def _one(part: Any, field: str) -> Any:  # noqa: ANN401 - icalendar's
    """Return the one value of *field*; None without it."""
    found = part.get(field)
    if isinstance(found, list):
        raise ValueError(f"it has {len(found)} {field}")  # noqa: TRY004 - a verdict on a file
    return found


def _when(part: Any, field: str, zone: ZoneInfo) -> When | None:  # noqa: ANN401 - icalendar's
    """Return the day or moment of *field*, a moment with its zone; None without it."""
    found = _one(part, field)
    moment = getattr(found, "dt", None)
    if found is None:
        return None
    if not isinstance(moment, date):
        raise ValueError(f"{field} is no day and no time")  # noqa: TRY004 - a verdict on a file
    known(moment)
    if not isinstance(moment, datetime) or moment.tzinfo is not None:
        return moment
    if "TZID" in found.params:
        raise ValueError(f"{field} is in the time zone {shown(found.params['TZID'])}, which is not known")
    return moment.replace(tzinfo=zone)


def _span(part: Any, start: When, zone: ZoneInfo) -> timedelta:  # noqa: ANN401 - icalendar's
    """Return how long the event is; without an end a moment, or one whole day."""
    end = _when(part, "DTEND", zone)
    if end is None:
        duration = getattr(_one(part, "DURATION"), "dt", timedelta())
        return duration if isinstance(duration, timedelta) else timedelta()
    if isinstance(end, datetime) and isinstance(start, datetime):
        return end.astimezone(UTC) - start.astimezone(UTC)
    if isinstance(end, datetime) or isinstance(start, datetime):
        raise ValueError("DTSTART and DTEND are not of one kind")  # noqa: TRY004 - a verdict on a file
    return end - start


def _kind(part: Any) -> str:  # noqa: ANN401 - icalendar's
    """Return the first category."""
    found = part.get("CATEGORIES")
    lists = found if isinstance(found, list) else [found]
    names = [str(name).strip().lower() for each in lists for name in getattr(each, "cats", ())]
    return names[0] if names else ""


def _repeated(part: Any, start: When, zone: ZoneInfo) -> Iterator[When]:  # noqa: ANN401 - icalendar's
    """Yield *start* and when the event is repeated, up to the last day of the market's calendar."""
    rule = _one(part, "RRULE")
    if rule is None:
        yield start
        return
    from dateutil.rrule import rrulestr

    frequencies = [str(each).upper() for each in rule.get("FREQ", [])]
    if len(frequencies) != 1 or frequencies[0] not in FREQUENCIES or 0 in rule.get("INTERVAL", []):
        raise ValueError(f"it is repeated by {shown(rule.to_ical().decode())}, not daily, weekly, monthly or yearly")
    first = start if isinstance(start, datetime) else datetime.combine(start, time())
    count = min((each for each in rule.get("COUNT", []) if isinstance(each, int)), default=MOST_REPEATS)
    terms = rule.to_ical().decode().split(";")
    text = ";".join(term for term in terms if not term.startswith(("COUNT", "UNTIL")))
    rules = rrulestr(text, dtstart=first).replace(until=_last(rule, first, zone))
    left_out = {_plain(each, zone) for each in _listed(part.get("EXDATE"))}
    for moment in islice(rules, min(count, MOST_REPEATS)):
        found: When = moment if isinstance(start, datetime) else moment.date()
        if _plain(found, zone) not in left_out:
            yield found


def _last(rule: Any, first: datetime, zone: ZoneInfo) -> datetime:  # noqa: ANN401 - icalendar's
    """Return the last moment that *rule* may reach, with a zone where *first* has one."""
    ends = [datetime.combine(LAST_DAY, time.max)]
    for each in rule.get("UNTIL", []):
        if isinstance(each, datetime):
            ends.append(aware(each, zone).astimezone(first.tzinfo or UTC).replace(tzinfo=None))
        elif isinstance(each, date):
            ends.append(datetime.combine(each, time.max))
    return min(ends).replace(tzinfo=first.tzinfo)


def _listed(found: Any) -> list[When]:  # noqa: ANN401 - icalendar's: one list of dates, or several
    lists = found if isinstance(found, list) else [found]
    return [each.dt for one in lists for each in getattr(one, "dts", ()) if isinstance(each.dt, date)]


def _plain(moment: When, zone: ZoneInfo) -> str:
    return aware(moment, zone).isoformat() if isinstance(moment, datetime) else moment.isoformat()
