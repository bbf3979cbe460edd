"""PatternLearner: what the most similar past entries brought."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.position import PositionSide

EXPIRY = timedelta(days=90)
"""Older trades are ignored: markets change."""

LEAST_SIMILAR = 5
MOST_NEIGHBOURS = 15
FARTHEST = Decimal("0.20")
"""Root mean square difference, 0..1, up to which two entries are similar."""

LEAST_SHARED = 2
"""Numbers two entries must both have to be compared."""

LOWEST, HIGHEST = Decimal("0.85"), Decimal("1.25")
GAIN = Decimal("0.25")
"""What an expectation of 1 R adds to the bonus."""

PLACES = Decimal("0.0001")
ONE, ZERO = Decimal(1), Decimal(0)


class Edge(NamedTuple):
    """What similar trades suggest."""

    bonus: Decimal
    """Factor of the score, 0.85..1.25."""

    expected_r: Decimal
    """Mean R of the similar trades, shrunk towards 0 where they are few."""

    similar: int
    why: str


def edge_of(
    conditions: EntryConditions, lessons: Iterable[Lesson], *, strategy: str, side: PositionSide, now: datetime
) -> Edge | None:
    """Return what the nearest past entries of the strategy and side brought; None with fewer than five similar ones.

    expected R = sum of R / (n + 5): five trades speak half as loud as many.
    bonus = 1 + 0.25 * expected R, within 0.85 and 1.25.

    Args:
        conditions: of the entry that is thought of.
        lessons: anything; older than 90 days they do not count.
        strategy: name of the strategy.
        side: of the position that would be opened.
        now: aware UTC.
    """
    cutoff = now - EXPIRY
    candidates = [row for row in lessons if row.strategy == strategy and row.side is side and row.closed_at >= cutoff]
    own = _numbers(conditions)
    measured = [
        (found, row.seq, row) for row in candidates if (found := _apart(own, _numbers(row.conditions))) is not None
    ]
    near = sorted((each for each in measured if each[0] <= FARTHEST), key=lambda each: each[:2])[:MOST_NEIGHBOURS]
    if len(near) < LEAST_SIMILAR:
        return None
    total = sum((row.r for _, _, row in near), ZERO)
    expected = (total / (len(near) + LEAST_SIMILAR)).quantize(PLACES)
    bonus = min(max(ONE + GAIN * expected, LOWEST), HIGHEST).quantize(PLACES)
    wins = sum(1 for _, _, row in near if row.is_win)
    name = strategy or "no strategy"
    why = f"{len(near)} similar trades of {name}: {wins} won, {total / len(near):+.2f} R on average"
    return Edge(bonus, expected, len(near), why)


def distance(one: EntryConditions, other: EntryConditions) -> Decimal | None:
    """Return the root mean square difference over what both have, 0..1; None when that is too little."""
    return _apart(_numbers(one), _numbers(other))


def _numbers(conditions: EntryConditions) -> dict[str, Decimal]:
    return {**conditions.parts, **conditions.traits}


def _apart(one: dict[str, Decimal], other: dict[str, Decimal]) -> Decimal | None:
    differences = [value - other[name] for name, value in one.items() if name in other]
    if len(differences) < LEAST_SHARED:
        return None
    return (sum((each * each for each in differences), ZERO) / len(differences)).sqrt()
