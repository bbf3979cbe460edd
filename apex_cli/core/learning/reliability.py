"""Reliability of expectations: realised R beside expected R, by deciles of expected R."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

from apex_cli.core.model.base import Value
from apex_cli.core.model.lesson import Lesson

MOST_ROWS = 10
LEAST_OF_ROW = 5
"""Trades that a row needs: with few trades there are few rows."""

ZERO = Decimal(0)
PLACES = Decimal("0.0001")
NINETY_PERCENT = Decimal("1.645")


class CalibrationRow(Value, frozen=True, kw_only=True):
    """Trades, and followed signals, of which about the same was expected."""

    trades: int
    followed: int
    expected_from: Decimal
    expected_to: Decimal
    expected: Decimal
    """Mean of what was expected, R."""

    realised: Decimal
    """Mean of what came, R after costs."""

    reach: Decimal
    """Half of the 90 % interval of *realised*, by the spread of its trades."""

    @property
    def fits(self) -> bool:
        """Return whether what was expected lies in the interval of what came."""
        return abs(self.realised - self.expected) <= self.reach


def calibration(lessons: Iterable[Lesson]) -> tuple[CalibrationRow, ...]:
    """Return the table, lowest expectation first; empty with fewer than five lessons that something was expected of."""
    known = [(expected, row) for row in lessons if (expected := row.conditions.expected_r) is not None]
    known.sort(key=lambda each: (each[0], each[1].seq))
    count = min(MOST_ROWS, len(known) // LEAST_OF_ROW)
    bounds = [round(at * len(known) / count) for at in range(count + 1)] if count else []
    return tuple(_row(known[first:last]) for first, last in pairwise(bounds))


def _row(known: Sequence[tuple[Decimal, Lesson]]) -> CalibrationRow:
    size = len(known)
    realised = sum((row.r for _, row in known), ZERO) / size
    spread = sum(((row.r - realised) ** 2 for _, row in known), ZERO) / (size - 1)
    followed = sum(1 for _, row in known if row.is_followed)
    return CalibrationRow(
        trades=size - followed,
        followed=followed,
        expected_from=known[0][0],
        expected_to=known[-1][0],
        expected=(sum((expected for expected, _ in known), ZERO) / size).quantize(PLACES),
        realised=realised.quantize(PLACES),
        reach=(NINETY_PERCENT * (spread / size).sqrt()).quantize(PLACES),
    )
