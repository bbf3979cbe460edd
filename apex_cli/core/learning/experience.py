"""What lessons say together: sums by market and strategy, of those that are kept and of those that left the state.

R after costs is compared with what was expected of the trade anyway; a trade counts by how much its result says. The
R of a trade that wins its reward:risk or loses 1 varies by the reward:risk in a fair game, so it weighs one over that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from apex_cli.core.learning.expectation import expected_of, value_key
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, PART_NAMES, Experience, Weights
from apex_cli.core.model.lesson import EntryConditions, Lesson

ZERO, ONE, HALF = Decimal(0), Decimal(1), Decimal("0.5")
STEP = Decimal("0.0001")
SUM_PLACES = Decimal("0.0000000001")
FADE = Decimal("0.9998")
"""What older sums keep of their weight with each lesson that joins them: about five thousand speak."""

FOLLOWED_WEIGHT = Decimal("0.8")
"""What a signal counts that was followed and not traded: no order was filled, no stop was moved."""

MOST_R = Decimal(10)
"""A result beyond it counts as this: a stop that was very near must not decide what is believed."""

RATIO_STEP = Decimal(5)
"""Reward:risk by one unit of its component, which is 0.2 at 1:1."""

PLACES_OF_PARTS = range(len(PART_NAMES))

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

    __slots__ = ("_expected", "has_all_parts", "key", "lesson", "numbers", "score", "weight", "x")

    def __init__(self, lesson: Lesson) -> None:
        """Work out everything but what weights expected."""
        conditions = lesson.conditions
        self.lesson = lesson
        self.key = key_of(lesson)
        self.has_all_parts = conditions.parts.keys() >= DEFAULT_WEIGHTS.parts.keys()
        self.numbers = numbers_of(conditions)
        self.score = plain_score(conditions)
        self.weight = weight_of(lesson)
        self.x = parts_of(conditions)
        self._expected: dict[int, tuple[Weights, Decimal]] = {}

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


def numbers_of(conditions: EntryConditions) -> dict[str, Decimal]:
    """Return the numbers by which entries are compared."""
    return {**conditions.parts, **conditions.traits}


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
    before = known or NOTHING
    facts = facts_of(lesson)
    x, weight, score = facts.x, facts.weight, facts.score
    y = min(max(lesson.r, -MOST_R), MOST_R) - facts.expected(base)

    def total(old: Decimal, new: Decimal) -> Decimal:
        return ((old if fade is ONE else old * fade) + new).quantize(SUM_PLACES)

    size = FOLLOWED_WEIGHT if lesson.is_followed else ONE
    weighed = [weight * each for each in x]
    upper = [
        [total(old, weighed[row] * each) for old, each in zip(known_row[row:], x[row:], strict=True)]
        for row, known_row in enumerate(before.xx)
    ]
    return Experience(
        trades=before.trades + (not lesson.is_followed),
        followed=before.followed + lesson.is_followed,
        newest=max(before.newest, lesson.seq),
        size=(before.size * fade + size).quantize(SUM_PLACES),
        weight=total(before.weight, weight),
        score=total(before.score, weight * score),
        y=total(before.y, weight * y),
        yy=total(before.yy, weight * (y * y)),
        x=tuple([total(old, each) for old, each in zip(before.x, weighed, strict=True)]),
        xy=tuple([total(old, each * y) for old, each in zip(before.xy, weighed, strict=True)]),
        xx=tuple([tuple([upper[min(row, at)][abs(at - row)] for at in PLACES_OF_PARTS]) for row in PLACES_OF_PARTS]),
    )


def all_experience(
    kept: Mapping[str, Experience], lessons: Iterable[Lesson], base: Weights, *, after: int
) -> dict[str, Experience]:
    """Return the sums of everything that may be learned from, by market and strategy.

    Args:
        kept: sums of lessons that left the state.
        lessons: those still in it.
        base: version that results are measured from.
        after: lessons up to this number are part of *base* and left out.
    """
    found = dict(kept)
    for lesson in lessons:
        if lesson.seq > after:
            key = key_of(lesson)
            found[key] = with_lesson(found.get(key), lesson, base)
    return found
