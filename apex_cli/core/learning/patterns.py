"""PatternLearner: what the most similar past entries brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.learning.expectation import value_at
from apex_cli.core.learning.experience import FOLLOWED_WEIGHT, LessonFacts, facts_of, numbers_of
from apex_cli.core.learning.posterior import effective_size, shift
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, Weights
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide

EXPIRY = timedelta(days=90)
"""Older trades are ignored: markets change."""

LEAST_SIMILAR = 5
"""Effective number of similar trades from which they are listened to."""

MOST_NEIGHBOURS = 40
FARTHEST = Decimal("0.20")
"""Root mean square difference, 0..1, up to which two entries are similar."""

NEAR = FARTHEST * FARTHEST
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
    """R that is expected of an entry like this one: what its strategy brings, and *beyond*."""

    why: str
    beyond: Decimal = ZERO
    """R that similar trades brought beyond what was expected of them, as far as it is more than noise."""


def edge_of(
    conditions: EntryConditions,
    lessons: Iterable[Lesson],
    *,
    strategy: str,
    side: PositionSide,
    now: datetime,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Edge | None:
    """Return what the nearest past entries of the strategy and side brought; None with too few similar ones.

    A neighbour counts 1 - (distance / 0.20)^2, less where it was only followed. Their mean R, beyond what
    *weights* expected of them, is shrunk to 0, which is the strategy's own value, and counts as far as it is more than
    noise (``posterior.group_means``). They are silent below an effective number of five.

    bonus = 1 + 0.25 * expected R, within 0.85 and 1.25.

    Args:
        conditions: of the entry that is thought of.
        lessons: anything; older than 90 days they do not count.
        strategy: name of the strategy.
        side: of the position that would be opened.
        now: aware UTC.
        weights: in force.

    Source:
        Nearest neighbours weighted by the kernel of V. A. Epanechnikov, "Non-Parametric Estimation of a Multivariate
        Probability Density", Theory of Probability and its Applications 14, 1969.
    """
    cutoff = now - EXPIRY
    candidates = [row for row in lessons if row.closed_at >= cutoff and row.strategy == strategy and row.side is side]
    own = tuple(numbers_of(conditions).items())
    measured = [(_squared(own, facts.numbers), facts) for facts in map(facts_of, candidates)]
    near = sorted(
        [(found, facts) for found, facts in measured if found is not None and found < NEAR],
        key=lambda each: (each[0], each[1].lesson.seq),
    )[:MOST_NEIGHBOURS]
    kernel = [_kernel(found, facts.lesson) for found, facts in near]
    if effective_size(kernel) < LEAST_SIMILAR:
        return None
    return _edge([facts for _, facts in near], kernel, weights, strategy)


def _kernel(squared: Decimal, lesson: Lesson) -> Decimal:
    part = ONE - squared / NEAR
    return part * FOLLOWED_WEIGHT if lesson.is_followed else part


def _edge(near: Sequence[LessonFacts], kernel: Sequence[Decimal], weights: Weights, strategy: str) -> Edge:
    rows = [facts.lesson for facts in near]
    counts = [part * facts.weight for part, facts in zip(kernel, near, strict=True)]
    total = sum(counts, ZERO)
    beyond = sum(
        [count * (facts.lesson.r - facts.expected(weights)) for count, facts in zip(counts, near, strict=True)], ZERO
    )
    found = shift(beyond / total, total)
    value = value_at(weights, near[0].key)
    expected = (value + found).quantize(PLACES)
    bonus = min(max(ONE + GAIN * expected, LOWEST), HIGHEST).quantize(PLACES)
    wins = sum([row.is_win for row in rows])
    mean = sum([row.r for row in rows], ZERO) / len(rows)
    why = f"{len(rows)} similar trades of {strategy or 'no strategy'}: {wins} won, {mean:+.2f} R on average"
    return Edge(bonus, expected, why, found.quantize(PLACES))


def _squared(one: Iterable[tuple[str, Decimal]], other: Mapping[str, Decimal]) -> Decimal | None:
    """Return the mean square difference over what both have, 0..1; None when that is too little."""
    total, count = ZERO, 0
    for name, value in one:
        if name in other:
            difference = value - other[name]
            total += difference * difference
            count += 1
    return total / count if count >= LEAST_SHARED else None
