"""PatternLearner: the results of the most similar past entries."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import dist
from operator import itemgetter, mul
from typing import NamedTuple

from apex_cli.core.learning.expectation import value_at
from apex_cli.core.learning.experience import (
    FOLLOWED_WEIGHT,
    R_UNIT,
    UNIT,
    WEIGHT_UNIT,
    Exact,
    LessonFacts,
    Numbers,
    facts_of,
)
from apex_cli.core.learning.posterior import effective_size, shift
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, Weights
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.side import PositionSide
from apex_cli.core.state.tables import Table, TableReader

EXPIRY = timedelta(days=90)
"""Older trades are ignored: markets change."""

LEAST_SIMILAR = 5
"""Effective number of similar trades from which they are listened to."""

MOST_NEIGHBOURS = 40
FARTHEST = Decimal("0.20")
"""Root mean square difference, 0..1, up to which two entries are similar."""

NEAR = FARTHEST * FARTHEST
NEAR_UNITS = int(NEAR * UNIT**2)
EVEN = 10**12
CLOSE, FOLLOWED_TENTHS = 10 * EVEN, int(10 * FOLLOWED_WEIGHT)
"""What a traded neighbour counts that differs in nothing, and what a followed one counts of that, in tenths."""

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


class SimilarTrades:
    """Past entries of each strategy and side, by the time of their end; reading them again costs what changed."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._reader: TableReader[Lesson] = TableReader()
        self._ends: defaultdict[tuple[str, PositionSide], list[tuple[datetime, int]]] = defaultdict(list)
        """When they ended, and their numbers; in the same order as what is known of them."""

        self._facts: defaultdict[tuple[str, PositionSide], list[LessonFacts]] = defaultdict(list)

    def _read(self, lessons: Table[Lesson]) -> None:
        """Take over what *lessons* holds now."""
        for _, old, new in self._reader.changes(lessons):
            if old is not None:
                ends, facts, at = self._place(old)
                while facts[at].lesson is not old:
                    at += 1
                del ends[at], facts[at]
            if new is not None:
                ends, facts, at = self._place(new)
                ends.insert(at, (new.closed_at, new.seq))
                facts.insert(at, facts_of(new))

    def _place(self, lesson: Lesson) -> tuple[list[tuple[datetime, int]], list[LessonFacts], int]:
        """Return the lists that *lesson* belongs to, and where in them."""
        kind = lesson.strategy, lesson.side
        return self._ends[kind], self._facts[kind], bisect_left(self._ends[kind], (lesson.closed_at, lesson.seq))

    def edge_of(
        self,
        numbers: Numbers,
        lessons: Table[Lesson],
        *,
        strategy: str,
        side: PositionSide,
        now: datetime,
        weights: Weights = DEFAULT_WEIGHTS,
        last: int | None = None,
    ) -> Edge | None:
        """Return what the nearest past entries of the strategy and side brought; None with too few similar ones.

        A neighbour counts 1 - (distance / 0.20)^2, less where it was only followed. Their mean R, beyond what
        *weights* expected of them, is shrunk to 0, which is the strategy's own value, and counts as far as it is more
        than noise (``posterior.group_means``). They are silent below an effective number of five.

        bonus = 1 + 0.25 * expected R, within 0.85 and 1.25.

        Args:
            numbers: of the entry that is thought of.
            lessons: of the state.
            strategy: name of the strategy.
            side: of the position that would be opened.
            now: aware UTC; trades that ended more than 90 days before do not count.
            weights: in force.
            last: number of the last lesson that counts; None: all count.

        Source:
            Nearest neighbours weighted by the kernel of V. A. Epanechnikov, "Non-Parametric Estimation of a
            Multivariate Probability Density", Theory of Probability and its Applications 14, 1969.
        """
        self._read(lessons)
        kind = strategy, side
        recent = self._facts[kind][bisect_left(self._ends[kind], (now - EXPIRY, -1)) :]
        if last is not None:
            recent = [facts for facts in recent if facts.lesson.seq <= last]
        near = nearest(numbers, recent)
        if effective_size([closeness for closeness, _ in near]) < LEAST_SIMILAR:
            return None
        return _edge(near, weights, strategy)


def nearest(own: Numbers, recent: Sequence[LessonFacts]) -> list[tuple[Exact, LessonFacts]]:
    """Return the nearest forty, the nearest first, and what they count: ``CLOSE`` where nothing differs."""
    found = []
    names, units, is_whole = own
    for facts in recent:
        other = facts.numbers
        if is_whole and other.are_whole and other.names == names:
            apart = dist(units, other.units)
            total: Exact = round(apart * apart)
            size = len(units)
        else:
            total, size = _apart(own, other)
        if size >= LEAST_SHARED and total < NEAR_UNITS * size:
            found.append((total / size, facts.lesson.seq, total, size, facts))
    found.sort(key=itemgetter(0, 1))
    return [(_closeness(total, size, facts.lesson), facts) for _, _, total, size, facts in found[:MOST_NEIGHBOURS]]


def _apart(own: Numbers, other: Numbers) -> tuple[Exact, int]:
    """Return the sum of squares that the numbers which both have differ by, in units, and how many these are."""
    known = dict(zip(other.names, other.units, strict=True))
    apart = [unit - known[name] for name, unit in zip(own.names, own.units, strict=True) if name in known]
    return sum([each * each for each in apart]), len(apart)


def _closeness(total: Exact, size: int, lesson: Lesson) -> Exact:
    """Return what a neighbour counts whose *size* numbers differ by *total* of squares, in units."""
    part, rest = divmod(total * EVEN, NEAR_UNITS * size)
    near = (ONE - Decimal(total) / (size * UNIT**2) / NEAR) * EVEN if rest else EVEN - part
    return near * (FOLLOWED_TENTHS if lesson.is_followed else 10)


def _edge(near: Sequence[tuple[Exact, LessonFacts]], weights: Weights, strategy: str) -> Edge:
    counts = [closeness * facts.weight_units for closeness, facts in near]
    total = Decimal(sum(counts))
    beyond = Decimal(sum(map(mul, counts, [facts.beyond(weights) for _, facts in near])))
    found = shift(beyond / total / R_UNIT, total / (CLOSE * WEIGHT_UNIT))
    value = value_at(weights, near[0][1].key)
    expected = (value + found).quantize(PLACES)
    bonus = min(max(ONE + GAIN * expected, LOWEST), HIGHEST).quantize(PLACES)
    wins = sum([facts.is_win for _, facts in near])
    mean = sum([facts.lesson.r for _, facts in near], ZERO) / len(near)
    why = f"{len(near)} similar trades of {strategy or 'no strategy'}: {wins} won, {mean:+.2f} R on average"
    return Edge(bonus, expected, why, found.quantize(PLACES))
