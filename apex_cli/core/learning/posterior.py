"""Posteriors of means of R, averaged over what may be true: nothing but the common prior, or a difference of some size.

A difference counts only as far as the data prefer it to none: noise moves nothing. All numbers are ``Decimal``, so that
every computer finds the same digits.

Sources:
    J. A. Hoeting et al., "Bayesian Model Averaging: A Tutorial", Statistical Science 14, 1999 (averaging over models by
    their marginal likelihoods); B. Efron and C. Morris, "Data Analysis Using Stein's Estimator and its
    Generalizations", J. American Statistical Association 70, 1975 (means of groups shrunk to a common one);
    A. E. Hoerl and R. W. Kennard, "Ridge Regression", Technometrics 12, 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import erf, sqrt
from typing import NamedTuple

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
PLACES = Decimal("0.0001")
SURE, DOUBTFUL = Decimal("0.2"), Decimal("0.5")
"""Up to this probability of no difference a difference counts in full; from the other one on not at all."""

COMMON_SD = Decimal("0.2")
"""Standard deviation, R, of what a market brings before anything is known: around 0."""

GROUP_SDS = (Decimal("0.1"), Decimal("0.2"), Decimal("0.4"))
"""How much strategies of one market may differ, R."""

NO_GROUPS = Decimal("0.5")
"""Probability, before anything is known, that strategies of one market do not differ."""

NO_SHIFT = Decimal("0.8")
"""Probability, before anything is known, that similar trades are like all of their strategy."""

SHIFT_SDS = SLOPE_SDS = (Decimal("0.2"), Decimal("0.4"), Decimal("0.8"))
"""How much similar trades may differ from their strategy, R, and how much a component may bring between its worst and
its best value beyond what its default weight promises."""

PLAIN_NOISE = Decimal("2.77")
"""Squared standard errors up to which a mean moves nothing: a shift explains it at most exp(2.77 / 2) times as well as
none does, which with a prior of 0.8 to 0.2 leaves none the likelier one."""

NO_SLOPES = Decimal("0.5")
"""Probability, before anything is known, that every default weight is right."""

ALL_SLOPES = Decimal("0.05")
"""Probability that all components are off at once; the rest is that one of them is."""


class Model(NamedTuple):
    """One thing that may be true: how well it explains the data, and what follows from it."""

    log_weight: Decimal
    """Logarithm of prior probability times marginal likelihood, up to a constant."""

    means: tuple[Decimal, ...]
    variances: tuple[Decimal, ...]


class Posterior(NamedTuple):
    """What is believed of several numbers."""

    means: tuple[Decimal, ...]
    """As far as they are to be acted on."""

    sds: tuple[Decimal, ...]
    full_means: tuple[Decimal, ...]
    """Averaged over all models, whatever the evidence."""

    none: Decimal
    """Probability that there is no difference."""


class Group(NamedTuple):
    """A mean of R, and how much it weighs."""

    mean: Decimal
    weight: Decimal
    """The variance of the mean is the noise over this."""


def average(models: Sequence[Model]) -> Posterior:
    """Return *models* averaged by their weights; the first one is that nothing differs.

    The means that are acted on move from those of the first model to the average while the probability of the first
    model falls from 0.5 to 0.2.
    """
    best = max(model.log_weight for model in models)
    weights = [(model.log_weight - best).exp() for model in models]
    total = sum(weights, ZERO)
    weights = [weight / total for weight in weights]
    size = range(len(models[0].means))
    full = [sum((w * m.means[at] for w, m in zip(weights, models, strict=True)), ZERO) for at in size]
    squares = [
        sum((w * (m.variances[at] + m.means[at] ** 2) for w, m in zip(weights, models, strict=True)), ZERO)
        for at in size
    ]
    share = min(max((DOUBTFUL - weights[0]) / (DOUBTFUL - SURE), ZERO), ONE)
    first = models[0].means
    return Posterior(
        means=tuple(share * full[at] + (ONE - share) * first[at] for at in size),
        sds=tuple(max(squares[at] - full[at] ** 2, ZERO).sqrt() for at in size),
        full_means=tuple(full),
        none=weights[0],
    )


@lru_cache(maxsize=1024)
def log_of(number: Decimal) -> Decimal:
    """Return the natural logarithm of a number that is asked for often: a prior, or a probability to four places."""
    return number.ln()


def group_means(groups: Sequence[Group], noise: Decimal) -> Posterior:
    """Return the posterior of the means of *groups*, and last that of their common mean.

    mean of group i ~ N(its true mean, noise / weight_i); true mean ~ N(common, tau^2); common ~ N(0, 0.2^2); tau is 0,
    0.1, 0.2 or 0.4 R.

    Args:
        groups: one or more, each with a weight above 0.
        noise: variance of R of a trade of weight 1.
    """
    spread = (ONE - NO_GROUPS) / len(GROUP_SDS)
    models = [_grouped(groups, noise, ZERO, NO_GROUPS)]
    models += [_grouped(groups, noise, sd, spread) for sd in GROUP_SDS]
    return average(models)


def _grouped(groups: Sequence[Group], noise: Decimal, sd: Decimal, prior: Decimal) -> Model:
    own = [noise / group.weight for group in groups]
    totals = [each + sd * sd for each in own]
    precision = sum((ONE / total for total in totals), ZERO)
    pull = sum((group.mean / total for group, total in zip(groups, totals, strict=True)), ZERO)
    around = ONE + COMMON_SD**2 * precision
    common, variance = COMMON_SD**2 * pull / around, COMMON_SD**2 / around
    misfit = sum((group.mean**2 / total for group, total in zip(groups, totals, strict=True)), ZERO)
    misfit -= pull**2 * COMMON_SD**2 / around
    size = sum((total.ln() for total in totals), around.ln())
    kept = [each / total for each, total in zip(own, totals, strict=True)]
    means = [part * common + (ONE - part) * group.mean for part, group in zip(kept, groups, strict=True)]
    variances = [part * sd * sd + part * part * variance for part in kept]
    return Model(log_of(prior) - (misfit + size) / TWO, (*means, common), (*variances, variance))


def shift(mean: Decimal, weight: Decimal) -> Decimal:
    """Return by how much one mean of R differs from 0, as far as it is to be acted on: seldom, as it is asked often.

    The variance of the mean is 1 over *weight*.
    """
    own = ONE / weight
    if mean * mean <= PLAIN_NOISE * own:
        return ZERO
    spread = (ONE - NO_SHIFT) / len(SHIFT_SDS)
    models = [_shifted(mean, own, ZERO, NO_SHIFT), *(_shifted(mean, own, sd, spread) for sd in SHIFT_SDS)]
    return average(models).means[0]


def _shifted(mean: Decimal, own: Decimal, sd: Decimal, prior: Decimal) -> Model:
    total = own + sd * sd
    kept = sd * sd / total
    return Model(log_of(prior) - (mean**2 / total + total.ln()) / TWO, (kept * mean,), (kept * own,))


def slopes(gram: Sequence[Sequence[Decimal]], products: Sequence[Decimal], noise: Decimal) -> Posterior:
    """Return the posterior of regression slopes around 0: none differs, one does, or all do.

    Each model is a ridge regression: slope ~ N(0, tau^2) with tau 0.2, 0.4 or 0.8. One that differs alone brings more:
    the normal is cut at 0, as a component is in the score because it helps.

    Args:
        gram: weighted sums of products of the centred components, n x n.
        products: weighted sums of component times R, n.
        noise: variance of R of a trade of weight 1.
    """
    count = len(products)
    zeros = (ZERO,) * count
    models = [Model(log_of(NO_SLOPES), zeros, zeros)]
    prior = log_of((ONE - NO_SLOPES - ALL_SLOPES) / (count * len(SLOPE_SDS)))
    for at in range(count):
        for sd in SLOPE_SDS:
            precision = gram[at][at] / noise + ONE / sd**2
            slope = products[at] / noise / precision
            weight = prior + (slope * products[at] / noise - (precision * sd**2).ln()) / TWO
            likely = TWO * (ONE - below_zero(slope, (ONE / precision).sqrt()))
            weight += log_of(max(likely, PLACES))
            models.append(Model(weight, _only(at, max(slope, ZERO), count), _only(at, ONE / precision, count)))
    models += [_ridge(gram, products, noise, sd) for sd in SLOPE_SDS]
    return average(models)


def _only(at: int, value: Decimal, count: int) -> tuple[Decimal, ...]:
    return tuple(value if at == place else ZERO for place in range(count))


def _ridge(gram: Sequence[Sequence[Decimal]], products: Sequence[Decimal], noise: Decimal, sd: Decimal) -> Model:
    size = range(len(products))
    own = ONE / sd**2
    precision = [[gram[row][column] / noise + (own if row == column else ZERO) for column in size] for row in size]
    inverse, log_determinant = _inverse(precision)
    scaled = [product / noise for product in products]
    means = [sum((inverse[row][column] * scaled[column] for column in size), ZERO) for row in size]
    fit = sum((mean * each for mean, each in zip(means, scaled, strict=True)), ZERO)
    volume = log_determinant + len(products) * log_of(sd**2)
    weight = log_of(ALL_SLOPES / len(SLOPE_SDS)) + (fit - volume) / TWO
    return Model(weight, tuple(means), tuple(inverse[at][at] for at in size))


def _inverse(matrix: Sequence[Sequence[Decimal]]) -> tuple[list[list[Decimal]], Decimal]:
    """Return the inverse of a positive definite matrix and the logarithm of its determinant, by Gauss and Jordan."""
    count = len(matrix)
    rows = [[*row, *_only(at, ONE, count)] for at, row in enumerate(matrix)]
    log_determinant = ZERO
    for at in range(count):
        pivot = rows[at][at]
        log_determinant += pivot.ln()
        rows[at] = [each / pivot for each in rows[at]]
        for other in range(count):
            if other != at and rows[other][at]:
                factor = rows[other][at]
                rows[other] = [one - factor * two for one, two in zip(rows[other], rows[at], strict=True)]
    return [row[count:] for row in rows], log_determinant


def below_zero(mean: Decimal, sd: Decimal) -> Decimal:
    """Return the probability that a normal variable is below zero, to four places.

    >>> below_zero(Decimal("-0.2"), Decimal("0.1"))
    Decimal('0.9772')
    """
    if not sd:
        return ONE if mean < ZERO else ZERO
    return Decimal(repr(round((1 - erf(float(mean / sd) / sqrt(2))) / 2, 4))).quantize(PLACES)


def effective_size(weights: Sequence[Decimal | int]) -> Decimal:
    """Return how many equally weighted values say as much as these: (sum w)^2 / sum w^2; 0 without any.

    Source:
        L. Kish, *Survey Sampling*, 1965.
    """
    squares = sum([weight * weight for weight in weights])
    return Decimal(sum(weights)) ** 2 / squares if squares else ZERO
