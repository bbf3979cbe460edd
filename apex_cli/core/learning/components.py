"""EdgeComponentLearner: what each component of the score brings in R moves its weight.

A ridge regression of R after costs on the components, whose prior is what the default weights promise. Trades are
compared within their strategy, so a good strategy does not speak for the components it happens to have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor

from apex_cli.core.learning.expectation import PER_SCORE
from apex_cli.core.learning.posterior import PLACES, Posterior, slopes
from apex_cli.core.model.learning import DEFAULT_PARTS, PART_NAMES, Estimate, Experience, Weights
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

USUAL_FACTOR = Decimal("0.7")
"""What the sum of the components is usually multiplied by; times ``PER_SCORE`` it makes R of a weight."""

PRIOR_TRADES = 20
"""What is known of the noise before anything is: as much as so many trades say."""

ZERO = Decimal(0)


def should_adapt(lessons: Sequence[Lesson], *, fresh: int, last: datetime | None, now: datetime) -> bool:
    """Return whether there is enough to adapt on.

    *fresh* of *lessons* came since the last adaptation, which was at *last*; None when there was none.
    """
    if fresh < LEAST_TRADES or (last is not None and now - last < PAUSE):
        return False
    wins = sum([lesson.is_win for lesson in lessons])
    return wins >= LEAST_OF_EACH and len(lessons) - wins >= LEAST_OF_EACH


def noise_of(experience: Mapping[str, Experience]) -> Decimal:
    """Return the variance of R of a trade of weight 1, within its strategy; 1 is what a fair game has."""
    squares, size = Decimal(PRIOR_TRADES), Decimal(PRIOR_TRADES)
    for row in experience.values():
        squares += max(row.yy - row.y * row.y / row.weight, ZERO)
        size += row.size
    return squares / size


def slopes_of(experience: Mapping[str, Experience], noise: Decimal) -> Posterior:
    """Return what one unit of each component brings beyond what was expected, R, in the order of ``PART_NAMES``.

    *noise* is the variance of R of a trade of weight 1.
    """
    size = range(len(PART_NAMES))
    gram = [[ZERO for _ in size] for _ in size]
    products = [ZERO for _ in size]
    for row in experience.values():
        for one in size:
            products[one] += row.xy[one] - row.x[one] * row.y / row.weight
            for two in size:
                gram[one][two] += row.xx[one][two] - row.x[one] * row.x[two] / row.weight
    return slopes(gram, products, noise)


def effects_of(base: Weights, found: Posterior) -> dict[str, Estimate]:
    """Return the effects of *base* with what was *found* beyond them.

    A component may lose all that its default weight promises. It is not turned round.
    """
    nothing = Estimate(mean=ZERO, sd=ZERO)
    return {
        name: Estimate(
            mean=max(base.effects.get(name, nothing).mean + mean, -promise_of(name)).quantize(PLACES),
            sd=sd.quantize(PLACES),
        )
        for name, mean, sd in zip(PART_NAMES, found.means, found.sds, strict=True)
    }


def promise_of(name: str) -> Decimal:
    """Return what the default weight of a component promises between its worst and its best value, R."""
    return PER_SCORE * USUAL_FACTOR * DEFAULT_PARTS[name]


def wanted_weights(effects: Mapping[str, Estimate]) -> dict[str, Decimal]:
    """Return the weights that *effects* ask for, their sum 1: R by unit of a component, in parts of all of them.

    Components that promise a loss ask for nothing.
    """
    promised = {
        name: max(promise_of(name) + (effects[name].mean if name in effects else ZERO), ZERO) for name in PART_NAMES
    }
    total = sum(promised.values(), ZERO)
    if not total:
        return dict(DEFAULT_PARTS)
    return {name: value / total for name, value in promised.items()}


def adapt(weights: Mapping[str, Decimal], wanted: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return new weights: each moved towards what is *wanted*, then fitted to a sum of exactly 1.

    No weight leaves 0.05 to 0.40, and none moves by more than 15 % of itself, the fitting included.

    Raises:
        ValueError: *weights* do not sum to 1, or one lies outside the bounds.
    """
    units = {name: int(weights[name] / UNIT) for name in PART_NAMES}
    if sum(units.values()) != WHOLE or not all(LOWEST <= weights[name] <= HIGHEST for name in PART_NAMES):
        raise ValueError(f"weights {dict(weights)} do not sum to 1 within {LOWEST} and {HIGHEST}")
    aims = {name: round(wanted[name] / UNIT) for name in PART_NAMES}
    low = {name: max(int(LOWEST / UNIT), ceil(unit * (1 - MOST_SHIFT))) for name, unit in units.items()}
    high = {name: min(int(HIGHEST / UNIT), floor(unit * (1 + MOST_SHIFT))) for name, unit in units.items()}
    return {name: fitted * UNIT for name, fitted in _fit(aims, low, high).items()}


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
