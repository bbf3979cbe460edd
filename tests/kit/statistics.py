"""Statistics of round trips for tests."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from apex_cli.core.model.money import ZERO
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.positions.performance import Statistics, Tally, ratio


def statistics_of(trips: Iterable[RoundTrip]) -> Statistics:
    """Return what *trips* come to."""
    tally = Tally()
    for trip in trips:
        tally.add(trip)
    return tally.statistics()


def win_rate(results: Iterable[Decimal]) -> Decimal | None:
    """Return winners over winners and losers; results of exactly 0 are neither. None without any.

    >>> win_rate([Decimal(2), Decimal(-1), Decimal(0), Decimal(3), Decimal(-2)])
    Decimal('0.5')
    """
    signs = [result > 0 for result in results if result]
    return ratio(sum(signs), len(signs))


def profit_factor(results: Iterable[Decimal]) -> Decimal | None:
    """Return the sum of gains over the sum of losses; None without losses.

    >>> profit_factor([Decimal(30), Decimal(-10), Decimal(-5)])
    Decimal('2')
    """
    gains = lost = ZERO
    for result in results:
        if result > 0:
            gains += result
        else:
            lost -= result
    return ratio(gains, lost)


def expectancy(multiples: Iterable[Decimal]) -> Decimal | None:
    """Return the mean R-multiple: what one trade earns for each unit put at risk. None without any.

    >>> expectancy([Decimal(2), Decimal(-1), Decimal(-1), Decimal(2)])
    Decimal('0.5')

    Source:
        Van K. Tharp, *Trade Your Way to Financial Freedom*, on R-multiples and expectancy.
    """
    found = list(multiples)
    return ratio(sum(found, ZERO), len(found))
