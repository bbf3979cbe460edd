"""Protective learning: a poor expectation of a strategy lowers its size or asks first, never the opposite."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.learning import LearningLimits, LearningMode
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Expectation, Opportunity

ONE = Decimal(1)


def doubt_of(opportunity: Opportunity, limits: LearningLimits, now: datetime) -> Expectation | None:
    """Return what is expected of *opportunity* where its strategy is known and the mode is to protect; else None.

    What was found too long ago counts no more: the strategy gets another chance.
    """
    expected = opportunity.expected
    if limits.mode is not LearningMode.PROTECT or expected is None or not expected.orders:
        return None
    if expected.loses is None or expected.next_look is None or now >= expected.next_look:
        return None
    return expected


def size_part(opportunity: Opportunity, limits: LearningLimits, now: datetime) -> Decimal:
    """Return the part of its size that a trade may have, 1 where nothing speaks against it."""
    expected = doubt_of(opportunity, limits, now)
    if expected is None or expected.loses is None or expected.loses < limits.lower_from:
        return ONE
    return limits.lower_to


def why_lowered(opportunity: Opportunity, limits: LearningLimits, now: datetime) -> Reason | None:
    """Return the warning that a size was lowered; None where it was not."""
    expected = doubt_of(opportunity, limits, now)
    if expected is None or size_part(opportunity, limits, now) == ONE:
        return None
    return _reason(
        "size_lowered", opportunity, expected, limits.lower_from, f"The size is lowered to {limits.lower_to:.0%}: "
    )


def why_learning_asks(opportunity: Opportunity, limits: LearningLimits, now: datetime) -> Reason | None:
    """Return why a person is asked before a trade of a strategy that probably loses; None where nobody is."""
    expected = doubt_of(opportunity, limits, now)
    if expected is None or expected.loses is None or expected.loses < limits.ask_from:
        return None
    return _reason("strategy_expectancy", opportunity, expected, limits.ask_from, "")


def _reason(code: str, opportunity: Opportunity, expected: Expectation, limit: Decimal, first: str) -> Reason:
    assert expected.next_look is not None  # noqa: S101 - doubt_of looked
    strategy = opportunity.signal.strategy or "the strategy without a name"
    found = f"{expected.loses:.0%}"
    message = (
        f"{first}{strategy} probably loses, with {found}, by {expected.trades} trades and {expected.followed} followed "
        f"signals. It is looked at again after ten more, at the latest on {market_time(expected.next_look)}."
    )
    return Reason(code=code, message=message, limit=f"below {limit:.0%}", value=found, lifts_at=expected.next_look)
