"""Whether learning is worth it: did what it moved up bring more than what it moved down, in the same session?"""

from __future__ import annotations

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
    rows = dict(kept)
    for lesson in lessons:
        if lesson.seq > after:
            day = session_of(lesson)
            row = with_audited(rows.get(day), lesson)
            if row is not None:
                rows[day] = row
    sessions = [_around_means(rows[day]) for day in sorted(rows) if rows[day].count > 1]
    count = sum(row.count for row in rows.values() if row.count > 1)
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
    squares = sum(xy * xy for _, xy in sessions)
    return squares > 0 and sum(xy for _, xy in sessions) <= SUSPECT * squares**0.5


def _slope(sums: Sums) -> float:
    xx, xy = sums
    return xy / xx if xx > 0 else 0.0
