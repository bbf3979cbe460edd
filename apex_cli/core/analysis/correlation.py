"""How two price histories go together: correlation and beta of their returns, over the bars that end together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import fsum, sqrt
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.core.model.market import Bar

if TYPE_CHECKING:
    from apex_cli.core.analysis.frame import Floats

Closes = tuple[Sequence[object], Sequence[float]]
"""Ends of bars, and their closes."""

Distances = tuple[list[float], float]
"""Distances of returns from their mean, and the sum of their squares."""

LEAST_RETURNS = 20
"""Returns two histories must share to be compared."""

PLACES = 4
UNITS = 10**PLACES
MARGIN = 1e-9
"""More than what sums of floats are off by."""

SURE = 0.5 - MARGIN * UNITS
"""How far from a number of four places, in units of the last one, a sum of floats surely rounds to it."""

FLAT = 0.01
"""Part of the squares of returns that their distances from the mean have at least, where sums of floats are used."""


def correlation_of_closes(one: Closes, other: Closes) -> Decimal | None:
    """Return Pearson's correlation of the returns over the bars that end together; None with too few or flat ones."""
    returns = _returns(one, other)
    if returns is None:
        return None
    return _rounded(pearson(*returns))


def _rounded(found: float | None) -> Decimal | None:
    return None if found is None else Decimal(repr(round(found, PLACES)))


class Moves:
    """Closes of a price history, and the distances of their returns from the mean, found when first asked for."""

    __slots__ = ("_closes", "_distances", "_mark", "_returns", "bars")

    def __init__(self, bars: Sequence[Bar]) -> None:
        """Compute no more than arrays give at once."""
        self.bars = bars
        self._closes: Closes | None = None
        self._distances: Distances | None = None
        known: Callable[[], tuple[bytes, Floats] | None] | None = getattr(bars, "returns", None)
        found = known() if known is not None and len(bars) > LEAST_RETURNS else None
        self._mark, self._returns = (b"", None) if found is None else (found[0], _summed(found[1]))

    @property
    def closes(self) -> Closes:
        """Ends of the bars, and their closes."""
        if self._closes is None:
            self._closes = closes_of(self.bars)
        return self._closes

    def distances(self) -> Distances:
        """Return the distances, and the sum of their squares."""
        if self._distances is None:
            closes = self.closes[1]
            self._distances = _distances([after / before - 1 for before, after in pairwise(closes)])
        return self._distances

    def correlation(self, other: Moves) -> Decimal | None:
        """Return what ``correlation_of_closes`` does; where all bars end together each history is looked at once.

        Arrays give it to nine places by one product. Where that is too near to the middle between two numbers of four
        places, or to nothing with its sign, the exact sums decide.
        """
        if self._returns is not None and other._returns is not None and self._mark == other._mark:
            near = _near(self._returns, other._returns) * UNITS
            whole = round(near)
            if whole and abs(near - whole) < SURE:
                return Decimal(repr(whole / UNITS))
        if self.closes[0] != other.closes[0] or len(self.closes[0]) <= LEAST_RETURNS:
            return correlation_of_closes(self.closes, other.closes)
        return _rounded(_coefficient(self.distances(), other.distances()))


class _Summed(NamedTuple):
    """Returns as an array, their mean, and the sum of the squares of their distances from it, as floats sum them."""

    returns: Floats
    mean: float
    spread: float


def _summed(returns: Floats) -> _Summed | None:
    """Return the sums of *returns*; None where they hardly differ, and sums of floats say little about it."""
    squares, mean = float(returns.dot(returns)), float(returns.dot(_ones(len(returns)))) / len(returns)
    spread = squares - len(returns) * mean * mean
    return _Summed(returns, mean, spread) if spread > FLAT * squares else None


def _near(one: _Summed, other: _Summed) -> float:
    """Return the correlation to within ``MARGIN``.

    Of n returns, with a unit of rounding e = 2^-53, each sum of products is off by at most n e times the product of the
    lengths of both vectors, and so is n times the product of their means. The length of the distances is at least a
    tenth of that of the returns, so the quotient is off by less than 8 n e / FLAT: 4e-10 for 5000 returns.
    """
    product = float(one.returns.dot(other.returns)) - len(one.returns) * one.mean * other.mean
    return product / sqrt(one.spread * other.spread)


@lru_cache(maxsize=4)
def _ones(count: int) -> Floats:
    import numpy as np

    return np.ones(count)


def beta_of_closes(one: Closes, market: Closes) -> Decimal | None:
    """Return by how much *one* moves when *market* moves by 1; None with too few common bars, or a flat market.

    beta = sum of dx * dy / sum of dy^2, of the distances of the returns from their means, y being the market's.
    """
    returns = _returns(one, market)
    if returns is None:
        return None
    own, others = (_from_mean(each) for each in returns)
    spread = fsum([d * d for d in others])
    if not spread:
        return None
    return Decimal(repr(round(fsum([x * y for x, y in zip(own, others, strict=True)]) / spread, PLACES)))


def _returns(one: Closes, other: Closes) -> tuple[list[float], list[float]] | None:
    """Return the returns over the bars that end together; None with too few."""
    pairs = _pairs(one, other)
    if len(pairs) <= LEAST_RETURNS:
        return None
    returns = [(b[0] / a[0] - 1, b[1] / a[1] - 1) for a, b in pairwise(pairs)]
    return [x for x, _ in returns], [y for _, y in returns]


def closes_of(bars: Sequence[Bar]) -> Closes:
    """Return ends and closes; bars that are arrays already give them as they are."""
    columns: Callable[[], Closes] | None = getattr(bars, "closes", None)
    return ([bar.end for bar in bars], [float(bar.close) for bar in bars]) if columns is None else columns()


def _pairs(one: Closes, other: Closes) -> list[tuple[float, float]]:
    """Return the closes of bars that end together."""
    if one[0] == other[0]:
        return list(zip(one[1], other[1], strict=True))
    closes = dict(zip(*other, strict=True))
    return [(close, closes[end]) for end, close in zip(*one, strict=True) if end in closes]


def pearson(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Pearson's coefficient of two series of one length, by exact sums; None where one of them did not move.

    r = sum of dx * dy / sqrt(sum of dx^2 * sum of dy^2)
    """
    return _coefficient(_distances(one), _distances(other))


def _coefficient(one: Distances, other: Distances) -> float | None:
    spread = one[1] * other[1]
    return fsum(map(mul, one[0], other[0])) / sqrt(spread) if spread else None


def _distances(values: Sequence[float]) -> Distances:
    found = _from_mean(values)
    return found, fsum(map(mul, found, found))


def standardised(values: Sequence[float]) -> list[float] | None:
    """Return the distances from the mean, divided so that their squares sum to 1; None where nothing moved.

    The sum of the products of two such series is their correlation.
    """
    distances = _from_mean(values) if values else []
    spread = sqrt(fsum([d * d for d in distances]))
    return [d / spread for d in distances] if spread else None


def _from_mean(values: Sequence[float]) -> list[float]:
    mean = fsum(values) / len(values)
    return [value - mean for value in values]
