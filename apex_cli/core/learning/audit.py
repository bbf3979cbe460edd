"""Whether learning is worth it: did what it moved up bring more than what it moved down, in the same session?"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from decimal import Decimal

from apex_cli.core.analysis.resampling import Sums, block_interval
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.learning import AuditSums
from apex_cli.core.model.lesson import Lesson

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
    return AuditBook(after).look({lesson.round_trip_id: lesson for lesson in lessons}, kept)


class AuditBook:
    """The sums of all sessions; a look works out those whose lessons changed since the last one.

    The sums of a session are exact, so that the order of its lessons does not matter.
    """

    def __init__(self, after: int = 0) -> None:
        """Start with nothing looked at; lessons up to number *after* are left out."""
        self.after = after
        self._lessons: dict[str, Lesson] = {}
        self._kept: dict[str, AuditSums] = {}
        self._of_day: dict[str, dict[str, Lesson]] = {}
        self._sums: dict[str, tuple[int, Sums]] = {}
        """Number of lessons and sums around their means, of each session with two or more."""

        self._days: list[str] = []
        """Those sessions, in order."""

        self._found: Audit | None = None

    def look(
        self, lessons: Mapping[str, Lesson], kept: Mapping[str, AuditSums], *, is_kept_same: bool = False
    ) -> Audit | None:
        """Return what ``audit_of`` returns of *lessons*, by id; *is_kept_same*: no sum changed since the last."""
        days = self._changed(lessons, self._kept if is_kept_same else kept)
        if days:
            for day in days:
                self._add_up(day)
            self._found = self._judged()
        return self._found

    def _changed(self, lessons: Mapping[str, Lesson], kept: Mapping[str, AuditSums]) -> set[str]:
        """Take over what is new, forget what left, and return the sessions that this concerns."""
        days: set[str] = set()
        if kept is not self._kept:
            days = {day for day, row in kept.items() if self._kept.get(day) is not row}
        if days or len(kept) != len(self._kept):
            days.update(self._kept.keys() - kept.keys())
            self._kept = dict(kept)
        fresh = [lesson for name, lesson in lessons.items() if self._lessons.get(name) is not lesson]
        if fresh or len(lessons) != len(self._lessons):
            gone = [lesson for name, lesson in self._lessons.items() if lessons.get(name) is not lesson]
            self._lessons = dict(lessons)
            for lesson in gone:
                if lesson.seq > self.after:
                    days.add(day := session_of(lesson))
                    del self._of_day[day][lesson.round_trip_id]
            for lesson in fresh:
                if lesson.seq > self.after:
                    days.add(day := session_of(lesson))
                    self._of_day.setdefault(day, {})[lesson.round_trip_id] = lesson
        return days

    def _add_up(self, day: str) -> None:
        """Add up the lessons of one session."""
        row = self._kept.get(day)
        lessons = self._of_day.get(day)
        for lesson in lessons.values() if lessons else ():
            row = with_audited(row, lesson)
        if lessons is not None and not lessons:
            del self._of_day[day]
        is_known = self._sums.pop(day, None) is not None
        if row is not None and row.count > 1:
            self._sums[day] = row.count, _around_means(row)
            if not is_known:
                insort(self._days, day)
        elif is_known:
            del self._days[bisect_left(self._days, day)]

    def _judged(self) -> Audit | None:
        """Return what all sessions say together."""
        rows = [self._sums[day] for day in self._days]
        count, sessions = sum([count for count, _ in rows]), [sums for _, sums in rows]
        if count < LEAST_LESSONS or len(sessions) < LEAST_SESSIONS or not _is_suspect(sessions):
            return None
        low, high = block_interval(sessions, _slope, seed=SEED, level=LEVEL)
        total = sum(xx for xx, _ in sessions), sum(xy for _, xy in sessions)
        gain, lowest, highest = (Decimal(repr(round(each, 2))).quantize(STEP) for each in (_slope(total), low, high))
        return Audit(gain=gain, low=lowest, high=highest, lessons=count, sessions=len(sessions))


def _around_means(row: AuditSums) -> Sums:
    """Return squares and products of one session around its means."""
    return float(row.xx - row.x * row.x / row.count), float(row.xy - row.x * row.y / row.count)


def _is_suspect(sessions: list[Sums]) -> bool:
    """Return whether the products of sessions lie far enough below 0 to look closer."""
    products = [xy for _, xy in sessions]
    total = sum(products)
    if total >= 0:
        return False
    squares = sum([xy * xy for xy in products])
    return squares > 0 and total <= SUSPECT * squares**0.5


def _slope(sums: Sums) -> float:
    xx, xy = sums
    return xy / xx if xx > 0 else 0.0
