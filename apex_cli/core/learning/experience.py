"""Sums over lessons by market and strategy, of those in the state and of those that left it.

R after costs is compared with what was expected of the trade anyway; a trade counts by how much its result says. The
R of a trade that wins its reward:risk or loses 1 varies by the reward:risk in a fair game, so it weighs one over that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from operator import add
from typing import NamedTuple

from apex_cli.core.learning.expectation import expected_of, value_key
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, PART_NAMES, Experience, Weights
from apex_cli.core.model.lesson import EntryConditions, Lesson

ZERO, ONE, HALF = Decimal(0), Decimal(1), Decimal("0.5")
STEP = Decimal("0.0001")
UNIT, WEIGHT_UNIT, R_UNIT = 10_000, 100_000, 1_000_000
"""What one is of the numbers that entries are compared by, of weights and of R, in which they are whole numbers."""

Exact = int | Decimal
"""A whole number, whose sums and products are exact, or one that is none."""

SUM_PLACES, HALF_A_PLACE = Decimal("0.0000000001"), Decimal("0.00000000005")
FADE = Decimal("0.9998")
"""What older sums keep of their weight with each lesson that joins them: about five thousand speak."""

FOLLOWED_WEIGHT = Decimal("0.8")
"""What a signal counts that was followed and not traded: no order was filled, no stop was moved."""

MOST_R = Decimal(10)
"""A result beyond it counts as this: a stop that was very near must not decide what is believed."""

RATIO_STEP = Decimal(5)
"""Reward:risk by one unit of its component, which is 0.2 at 1:1."""

NOTHING = Experience(
    x=(ZERO,) * len(PART_NAMES),
    xy=(ZERO,) * len(PART_NAMES),
    xx=((ZERO,) * len(PART_NAMES),) * len(PART_NAMES),
)


MOST_REMEMBERED = 2_000
"""Lessons whose facts are remembered: more than a state keeps."""

WEIGHTS_REMEMBERED = 4


class LessonFacts:
    """What follows from a lesson alone, worked out once: a lesson never changes."""

    __slots__ = (
        "_beyond",
        "_expected",
        "_sums",
        "has_all_parts",
        "is_win",
        "key",
        "lesson",
        "numbers",
        "score",
        "weight",
        "weight_units",
        "x",
    )

    def __init__(self, lesson: Lesson) -> None:
        """Work out everything but what weights expected."""
        conditions = lesson.conditions
        self.lesson = lesson
        self.is_win = lesson.is_win
        self.key = key_of(lesson)
        self.has_all_parts = conditions.parts.keys() >= DEFAULT_WEIGHTS.parts.keys()
        self.numbers = numbers_of(conditions.parts, conditions.traits)
        self.score = plain_score(conditions)
        self.weight = weight_of(lesson)
        self.weight_units = whole(self.weight * WEIGHT_UNIT)
        self.x = parts_of(conditions)
        self._beyond: tuple[Weights, Exact] | None = None
        self._expected: dict[int, tuple[Weights, Decimal]] = {}
        self._sums: tuple[Weights, Summands] | None = None

    def expected(self, weights: Weights) -> Decimal:
        """Return what *weights* expect of an entry like this one, R."""
        known = self._expected.get(id(weights))
        if known is not None and known[0] is weights:
            return known[1]
        if len(self._expected) >= WEIGHTS_REMEMBERED:
            self._expected.clear()
        found = expected_of(weights, self.key, self.score, self.lesson.conditions.parts)
        self._expected[id(weights)] = weights, found
        return found

    def beyond(self, weights: Weights) -> Exact:
        """Return R beyond what *weights*, the ones in force, expect of an entry like this one, in millionths."""
        if self._beyond is None or self._beyond[0] is not weights:
            self._beyond = weights, whole((self.lesson.r - self.expected(weights)) * R_UNIT)
        return self._beyond[1]

    def sums(self, base: Weights) -> Summands:
        """Return what this lesson adds to the sums of an ``Experience`` that is measured from *base*."""
        if self._sums is None or self._sums[0] is not base:
            x, weight = self.x, self.weight
            y = min(max(self.lesson.r, -MOST_R), MOST_R) - self.expected(base)
            weighed = [weight * each for each in x]
            upper = [weighed[row] * each for row in range(len(x)) for each in x[row:]]
            products = [each * y for each in weighed]
            exact = (weight, weight * self.score, weight * y, weight * (y * y), *weighed, *products, *upper)
            self._sums = base, Summands(exact)
        return self._sums[1]


class Summands:
    """Numbers that are added to sums which are rounded to even at ten places after each of them."""

    __slots__ = ("_exact", "_rounded")

    def __init__(self, exact: tuple[Decimal, ...]) -> None:
        """Round nothing yet."""
        self._exact = exact
        self._rounded: tuple[Decimal, ...] | None = None
        """Empty where to round each sum is not the same as to round these: one lies in the middle."""

    def added_to(self, sums: Iterable[Decimal], fade: Decimal) -> list[Decimal]:
        """Return *sums*, of which *fade* is kept, with them."""
        if fade is not ONE:
            return [(old * fade + new).quantize(SUM_PLACES) for old, new in zip(sums, self._exact, strict=True)]
        if self._rounded is None:
            self._rounded = self._round()
        if self._rounded:
            return list(map(add, sums, self._rounded))
        return [(old + new).quantize(SUM_PLACES) for old, new in zip(sums, self._exact, strict=True)]

    def _round(self) -> tuple[Decimal, ...]:
        rounded = tuple([each.quantize(SUM_PLACES) for each in self._exact])
        is_between = any(abs(one - two) == HALF_A_PLACE for one, two in zip(self._exact, rounded, strict=True))
        return () if is_between else rounded


_facts: dict[int, LessonFacts] = {}


def facts_of(lesson: Lesson) -> LessonFacts:
    """Return what follows from *lesson* alone."""
    known = _facts.get(id(lesson))
    if known is not None and known.lesson is lesson:
        return known
    if len(_facts) >= MOST_REMEMBERED:
        _facts.clear()
    found = _facts[id(lesson)] = LessonFacts(lesson)
    return found


def whole(number: Decimal) -> Exact:
    """Return *number* as an ``int`` where it is one."""
    found = int(number)
    return found if found == number else number


class Numbers(NamedTuple):
    """The numbers by which entries are compared, in the order of their names."""

    names: tuple[str, ...]
    units: tuple[Exact, ...]
    """In ten-thousandths."""

    are_whole: bool
    """Whether all of them have no more than four places, as scores and what the stages find do."""


def numbers_of(parts: Mapping[str, Decimal], traits: Mapping[str, Decimal]) -> Numbers:
    """Return the numbers by which entries are compared: components of the score, and what the stages found."""
    known = sorted({**parts, **traits}.items())
    exact = [number * UNIT for _, number in known]
    units = [int(number) for number in exact]
    are_whole = units == exact
    return Numbers(tuple([name for name, _ in known]), tuple(units if are_whole else exact), are_whole)


def weight_of(lesson: Lesson) -> Decimal:
    """Return what a lesson counts: 1 over its reward:risk, as planned, between 0.2 and 2; less for a followed one."""
    part = lesson.conditions.parts.get("reward_risk", HALF)
    ratio = max(ONE + (part - Decimal("0.2")) * RATIO_STEP, HALF)
    return (ONE / ratio).quantize(STEP) * (FOLLOWED_WEIGHT if lesson.is_followed else ONE)


def parts_of(conditions: EntryConditions) -> tuple[Decimal, ...]:
    """Return the components in their order; one that is not known counts as the middle."""
    return tuple(conditions.parts.get(name, HALF) for name in PART_NAMES)


def plain_score(conditions: EntryConditions) -> Decimal:
    """Return the score with nothing learned, as far as it was kept."""
    return conditions.score if conditions.plain_score is None else conditions.plain_score


def key_of(lesson: Lesson) -> str:
    """Return the name of the sums that *lesson* belongs to."""
    return value_key(lesson.market_type, lesson.strategy)


def with_lesson(known: Experience | None, lesson: Lesson, base: Weights, *, fade: Decimal = ONE) -> Experience:
    """Return *known* with *lesson*, measured from what *base* expected; older ones keep *fade* of their weight."""
    sums = _Sums(known or NOTHING)
    sums.add(lesson, base, fade)
    return sums.experience()


class _Sums:
    """Sums of an ``Experience`` while lessons are added; those of products that mirror each other stand once."""

    __slots__ = ("_followed", "_newest", "_size", "_sums", "_trades")

    def __init__(self, known: Experience) -> None:
        """Go on from *known*."""
        self._trades, self._followed = known.trades, known.followed
        self._newest, self._size = known.newest, known.size
        upper = (each for row, values in enumerate(known.xx) for each in values[row:])
        self._sums = [known.weight, known.score, known.y, known.yy, *known.x, *known.xy, *upper]

    def add(self, lesson: Lesson, base: Weights, fade: Decimal = ONE) -> None:
        """Add *lesson*; the sums so far keep *fade* of their weight."""
        size = FOLLOWED_WEIGHT if lesson.is_followed else ONE
        self._trades += not lesson.is_followed
        self._followed += lesson.is_followed
        self._newest = max(self._newest, lesson.seq)
        self._size = (self._size * fade + size).quantize(SUM_PLACES)
        self._sums = facts_of(lesson).sums(base).added_to(self._sums, fade)

    def experience(self) -> Experience:
        """Return the sums as they are kept."""
        count, sums = len(PART_NAMES), self._sums
        products = sums[4 + 2 * count :]
        rows: list[list[Decimal]] = []
        for row in range(count):
            rows.append([*(rows[at][row] for at in range(row)), *products[: count - row]])
            del products[: count - row]
        return Experience(
            trades=self._trades,
            followed=self._followed,
            newest=self._newest,
            size=self._size,
            weight=sums[0],
            score=sums[1],
            y=sums[2],
            yy=sums[3],
            x=tuple(sums[4 : 4 + count]),
            xy=tuple(sums[4 + count : 4 + 2 * count]),
            xx=tuple(map(tuple, rows)),
        )


def all_experience(
    kept: Mapping[str, Experience], lessons: Iterable[Lesson], base: Weights, *, after: int
) -> dict[str, Experience]:
    """Return the sums of everything that may be learned from, by market and strategy.

    *kept* are sums of *lessons* that left the state. Those up to number *after* are part of *base*, which results are
    measured from, and left out.
    """
    found: dict[str, _Sums] = {}
    for lesson in lessons:
        if lesson.seq > after:
            key = facts_of(lesson).key
            if key not in found:
                found[key] = _Sums(kept.get(key, NOTHING))
            found[key].add(lesson, base)
    return {**kept, **{key: sums.experience() for key, sums in found.items()}}
