"""Walk-forward analysis: settings optimised in sample, tested out of sample, window by window; and a hold-out."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import MAXYEAR, MINYEAR, date, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.app.kept_rows import SweepTask
from apex_cli.app.replayer import ReplayOptions, period_of
from apex_cli.core.errors import InputError
from apex_cli.core.reports.replay_report import SweepRow, WalkForwardRow, best_first
from apex_cli.settings.sections import Settings

ONE_DAY = timedelta(days=1)
MONTHS = {"y": 12, "m": 1}
DAYS = {"w": 7, "d": 1}
RunAll = Callable[[Sequence[SweepTask]], list[SweepRow]]


class Span(NamedTuple):
    """A length of time as people write it."""

    months: int = 0
    days: int = 0

    def after(self, day: date, times: int = 1) -> date:
        """Return the day that lies this long after *day*; the last of its month where there is no such day.

        Beyond the years 1 to 9999 it is the first or the last day that there is.
        """
        months = day.year * 12 + day.month - 1 + self.months * times
        year, month = divmod(months, 12)
        if not MINYEAR <= year <= MAXYEAR:
            return date.min if year < MINYEAR else date.max
        last = monthrange(year, month + 1)[1]
        return date(year, month + 1, min(day.day, last)) + timedelta(days=self.days * times)

    def before(self, day: date) -> date:
        """Return the day that lies this long before *day*."""
        return self.after(day, -1)


def read_span(text: str) -> Span:
    """Return the span that *text* names.

    >>> read_span("3y"), read_span("6m").after(date(2024, 8, 31))
    (Span(months=36, days=0), datetime.date(2025, 2, 28))

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([ymwd])", text.strip().lower())
    if found is None:
        raise InputError("usage", f"{text!r} is no length of time.", hint="Write 3y, 6m, 8w or 90d.")
    count, unit = int(found[1]), found[2]
    return Span(months=count * MONTHS[unit]) if unit in MONTHS else Span(days=count * DAYS[unit])


def read_walk(text: str) -> tuple[Span, Span]:
    """Return the lengths of a window in and out of sample, such as ``3y/1y``.

    Raises:
        InputError: it is not two spans.
    """
    past, slash, future = text.partition("/")
    if not slash:
        raise InputError("usage", f"{text!r} names one length of time.", hint="Write past/future, such as 3y/1y.")
    return read_span(past), read_span(future)


class Window(NamedTuple):
    """Days to optimise in (in sample), and the days after them to test in (out of sample); first and last included."""

    first: date
    last: date
    test_first: date
    test_last: date


def windows_of(first: date, last: date, past: Span, future: Span) -> list[Window]:
    """Return windows whose tests follow each other without a gap; the last test may be shorter.

    Raises:
        InputError: the time is too short for one.
    """
    found: list[Window] = []
    first_test = past.after(first)
    while (test_first := future.after(first_test, len(found))) <= last:
        begin, beyond = future.after(first, len(found)), future.after(first_test, len(found) + 1)
        found.append(Window(begin, test_first - ONE_DAY, test_first, min(beyond - ONE_DAY, last)))
    if not found:
        raise InputError(
            "no_bars", f"{first} to {last} is too short to walk forward in.", hint="Name shorter spans, or more bars."
        )
    return found


def held_out(settings: Settings, options: ReplayOptions, span: Span) -> tuple[ReplayOptions, ReplayOptions]:
    """Return the days that a sweep is run on, and the hold-out at their end.

    Raises:
        InputError: nothing would be left, or there are no bars.
    """
    first, last = period_of(settings, options)
    begin = span.before(last) + ONE_DAY
    if begin <= first:
        raise InputError("no_bars", f"Nothing is left of {first} to {last} before {begin}.", hint="Hold out less.")
    return replace(options, last=begin - ONE_DAY), replace(options, first=begin)


def walk_forward(tasks: Sequence[SweepTask], windows: Sequence[Window], run: RunAll) -> list[WalkForwardRow]:
    """Return the out-of-sample result of each window, of the settings that were best in sample; *run* replays many."""
    past = run([_in(task, window.first, window.last) for window in windows for task in tasks])
    parts = [past[at : at + len(tasks)] for at in range(0, len(past), len(tasks))]
    best = [best_first(part)[0] for part in parts]
    chosen = [tasks[part.index(row)] for part, row in zip(parts, best, strict=True)]
    later = run([_in(task, each.test_first, each.test_last) for task, each in zip(chosen, windows, strict=True)])
    return [
        WalkForwardRow(first=each.test_first, last=each.test_last, values=row.values, past=row, future=found)
        for each, row, found in zip(windows, best, later, strict=True)
    ]


def _in(task: SweepTask, first: date, last: date) -> SweepTask:
    return replace(task, options=replace(task.options, first=first, last=last))
