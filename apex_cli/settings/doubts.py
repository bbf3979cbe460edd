"""Warnings about values that are allowed and probably a slip."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING

from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import percent, plain

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings

LARGE_RISK = Decimal("0.2")
"""From here on risk.max_risk_pct looks like a percentage that was meant as a fraction."""

LARGE = (
    (
        "risk.max_daily_loss_pct",
        Decimal("0.3"),
        "of the day's opening equity may be lost before nothing more is opened",
    ),
    (
        "protections.max_weekly_loss_pct",
        Decimal("0.4"),
        "of the week's opening equity may be lost before nothing more is opened",
    ),
    (
        "protections.max_monthly_loss_pct",
        Decimal("0.5"),
        "of the month's opening equity may be lost before nothing more is opened",
    ),
    ("simulation.slippage_pct", Decimal("0.1"), "of the price is lost on every market and stop fill"),
)
"""Other fractions -> from where on they look so, and what they say."""


def doubts(settings: Settings) -> Iterator[Reason]:
    """Find what is allowed and probably a slip."""
    yield from doubts_of_risk("risk.max_risk_pct", settings.risk.max_risk_pct)
    for name, limit, words in LARGE:
        is_given = settings.may_differ(name.partition(".")[0])
        if is_given and (value := attrgetter(name)(settings)) is not None:
            yield from _doubts_of(name, value, limit, words)


def doubts_of_risk(name: str, risk: Decimal) -> Iterator[Reason]:
    """Ask about a risk of one trade, given as *name*, that looks like a percentage."""
    yield from _doubts_of(name, risk, LARGE_RISK, "of capital may be lost at each stop")


def _doubts_of(name: str, value: Decimal, limit: Decimal, words: str) -> Iterator[Reason]:
    if value > limit:
        yield Reason(
            code="config_doubtful",
            message=f"{name} is {plain(value)}: {percent(value)} {words}. "
            f"If {plain(value)} % is meant, write {plain(value / 100)}.",
            limit=f"at most {plain(limit)}",
            value=plain(value),
        )
