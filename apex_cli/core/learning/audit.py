"""Audit of learning: in one session, did signals with raised scores bring more than those with lowered scores?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from decimal import Decimal

from apex_cli.core.analysis.resampling import Sums, block_interval
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.learning import AuditSums
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.state.tables import Table, TableReader

LEAST_LESSONS = 60
LEAST_SESSIONS = 20
MOST_SESSIONS = 250
LEVEL = 0.998
"""Of the interval: it is looked at every night, and must not fail on one of them."""

SUSPECT = -2.5
"""Standard errors below 0 from which the interval is worth drawing."""

STEP = Decimal("0.01")
SEED = 1
NOTHING = AuditSums()


class Audit(Value, frozen=True, kw_only=True):
    """R that came for each R that learning moved an expectation by: 1 is as promised, 0 is noise, below 0 is harm."""

    gain: Decimal
    low: Decimal
    """Ends of the 99.8 % interval."""

    high: Decimal
    lessons: int
    sessions: int

    @property
    def is_harmful(self) -> bool:
        """Return whether it made results worse, beyond noise."""
        return self.high < 0


def session_of(lesson: Lesson) -> str:
    """Return the session whose signals *lesson* competed with, YYYY-MM-DD."""
    return session_date(lesson.conditions.seen_at or lesson.closed_at).isoformat()


def with_audited(known: AuditSums | None, lesson: Lesson) -> AuditSums | None:
    """Return *known* with *lesson*; *known* as it is where nothing was learned for it."""
    expected, default = lesson.conditions.expected_r, lesson.conditions.default_r
    if expected is None or default is None:
        return known
    before, x, y = known or NOTHING, expected - default, lesson.r - default
    return AuditSums(count=before.count + 1, x=before.x + x, y=before.y + y, xx=before.xx + x * x, xy=before.xy + x * y)


def audit_of(lessons: Iterable[Lesson], kept: Mapping[str, AuditSums], *, after: int = 0) -> Audit | None:
    """Return how what learning changed compares with what came; None with too little, or where it is not suspect.

    The slope of R, beyond what the default weights promised, on what learning added to that promise, among signals of
    one session: what it believes of all of them changes no order.

    Args:
        lessons: trades and followed signals; those that nothing was learned for say nothing.
        kept: sums of lessons that left the state, by session.
        after: lessons up to this number are left out.
    """
    rows = {lesson.round_trip_id: lesson for lesson in lessons}
    return AuditBook(after).look(Table("lessons", Lesson, rows), Table("audits", AuditSums, dict(kept)))


class AuditBook:
    """The sums of all sessions; a look works out those whose lessons changed since the last one.

    The sums of a session are exact, so that the order of its lessons does not matter.
    """

    def __init__(self, after: int = 0) -> None:
        """Start with nothing looked at; lessons up to number *after* are left out."""
        self.after = after
        self._lessons: TableReader[Lesson] = TableReader()
        self._kept: TableReader[AuditSums] = TableReader()
        self._of_day: dict[str, dict[str, Lesson]] = {}
        self._days: list[str] = []
        """The sessions with two lessons or more, in order; beside each one its lessons, squares and products."""

        self._counts: list[int] = []
        self._squares: list[float] = []
        self._products: list[float] = []
        self._found: Audit | None = None

    def look(self, lessons: Table[Lesson], kept: Table[AuditSums]) -> Audit | None:
        """Return what ``audit_of`` returns of the same rows."""
        days = {day for day, _, _ in self._kept.changes(kept)}
        for name, old, new in self._lessons.changes(lessons):
            if old is not None and old.seq > self.after:
                days.add(day := session_of(old))
                del self._of_day[day][name]
            if new is not None and new.seq > self.after:
                days.add(day := session_of(new))
                self._of_day.setdefault(day, {})[name] = new
        if days:
            for day in days:
                self._add_up(day, kept.get(day))
            self._found = self._judged()
        return self._found

    def _add_up(self, day: str, row: AuditSums | None) -> None:
        """Add up the lessons of one session; *row* are the sums of those that left."""
        lessons = self._of_day.get(day, {})
        for lesson in lessons.values():
            row = with_audited(row, lesson)
        if not lessons:
            self._of_day.pop(day, None)
        at = bisect_left(self._days, day)
        if at < len(self._days) and self._days[at] == day:
            for column in (self._days, self._counts, self._squares, self._products):
                del column[at]
        if row is not None and row.count > 1:
            squares, products = _around_means(row)
            self._days.insert(at, day)
            self._counts.insert(at, row.count)
            self._squares.insert(at, squares)
            self._products.insert(at, products)

    def _judged(self) -> Audit | None:
        """Return what all sessions say together."""
        count = sum(self._counts)
        if count < LEAST_LESSONS or len(self._days) < LEAST_SESSIONS or not _is_suspect(self._products):
            return None
        sessions = list(zip(self._squares, self._products, strict=True))
        low, high = block_interval(sessions, _slope, seed=SEED, level=LEVEL)
        total = sum(self._squares), sum(self._products)
        gain, lowest, highest = (Decimal(repr(round(each, 2))).quantize(STEP) for each in (_slope(total), low, high))
        return Audit(gain=gain, low=lowest, high=highest, lessons=count, sessions=len(sessions))


def _around_means(row: AuditSums) -> Sums:
    """Return squares and products of one session around its means."""
    return float(row.xx - row.x * row.x / row.count), float(row.xy - row.x * row.y / row.count)


def _is_suspect(products: list[float]) -> bool:
    """Return whether the products of sessions lie far enough below 0 to look closer."""
    total = sum(products)
    if total >= 0:
        return False
    squares = sum([xy * xy for xy in products])
    return squares > 0 and total <= SUSPECT * squares**0.5


def _slope(sums: Sums) -> float:
    xx, xy = sums
    return xy / xx if xx > 0 else 0.0
