"""EdgeComponentLearner: score components that separated winners from losers gain weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor

from apex_cli.core.model.learning import PART_NAMES
from apex_cli.core.model.lesson import Lesson

LEAST_TRADES = 20
"""New trades before the weights move."""

PAUSE = timedelta(hours=24)
LEAST_OF_EACH = 5
"""Winners, and losers, that a comparison needs."""

MOST_SHIFT = Decimal("0.15")
"""Part of its own weight that a component may gain or lose at once."""

LOWEST, HIGHEST = Decimal("0.05"), Decimal("0.40")
UNIT = Decimal("0.0001")
WHOLE = 10_000
"""Weights are kept in ten-thousandths, so that their sum is exactly 1."""

ZERO = Decimal(0)


def should_adapt(lessons: Sequence[Lesson], *, fresh: int, last: datetime | None, now: datetime) -> bool:
    """Return whether there is enough to adapt on.

    Args:
        lessons: everything a comparison would use.
        fresh: how many of them came since the last adaptation.
        last: when that was; None when never.
        now: aware UTC.
    """
    if fresh < LEAST_TRADES or (last is not None and now - last < PAUSE):
        return False
    wins = sum(1 for lesson in lessons if lesson.is_win)
    return wins >= LEAST_OF_EACH and len(lessons) - wins >= LEAST_OF_EACH


def edges(lessons: Sequence[Lesson]) -> dict[str, Decimal]:
    """Return by component its mean value among winners less its mean among losers, -1..1."""
    won = [lesson for lesson in lessons if lesson.is_win]
    lost = [lesson for lesson in lessons if not lesson.is_win]
    return {name: _mean(won, name) - _mean(lost, name) for name in PART_NAMES}


def adapt(weights: Mapping[str, Decimal], lessons: Sequence[Lesson]) -> dict[str, Decimal]:
    """Return new weights: each moved by its edge times 15 % of itself, then fitted to a sum of exactly 1.

    No weight leaves 0.05 to 0.40, and none moves by more than 15 % of itself, the fitting included.

    Raises:
        ValueError: *weights* do not sum to 1, or one lies outside the bounds.
    """
    found = edges(lessons)
    units = {name: int(weights[name] / UNIT) for name in PART_NAMES}
    if sum(units.values()) != WHOLE or not all(LOWEST <= weights[name] <= HIGHEST for name in PART_NAMES):
        raise ValueError(f"weights {dict(weights)} do not sum to 1 within {LOWEST} and {HIGHEST}")
    wanted = {name: round(unit * (1 + MOST_SHIFT * found[name])) for name, unit in units.items()}
    low = {name: max(int(LOWEST / UNIT), ceil(unit * (1 - MOST_SHIFT))) for name, unit in units.items()}
    high = {name: min(int(HIGHEST / UNIT), floor(unit * (1 + MOST_SHIFT))) for name, unit in units.items()}
    return {name: fitted * UNIT for name, fitted in _fit(wanted, low, high).items()}


def _fit(wanted: dict[str, int], low: dict[str, int], high: dict[str, int]) -> dict[str, int]:
    """Return whole numbers within *low* and *high* that sum to ``WHOLE``, as near to *wanted* as an even spread is.

    The old weights sum to ``WHOLE`` within the bounds, so there always is a solution.
    """
    fitted = {name: min(max(value, low[name]), high[name]) for name, value in wanted.items()}
    while missing := WHOLE - sum(fitted.values()):
        direction = 1 if missing > 0 else -1
        room = [name for name in PART_NAMES if fitted[name] != (high if direction > 0 else low)[name]]
        share, rest = divmod(abs(missing), len(room))
        for number, name in enumerate(room):
            most = abs((high if direction > 0 else low)[name] - fitted[name])
            fitted[name] += direction * min(share + (number < rest), most)
    return fitted


def _mean(lessons: Sequence[Lesson], name: str) -> Decimal:
    values = [lesson.conditions.parts.get(name, ZERO) for lesson in lessons]
    return sum(values, ZERO) / len(values)
