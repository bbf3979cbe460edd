"""Warnings about values that are allowed and probably a slip."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import percent, plain

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings

LARGE_RISK = Decimal("0.2")
"""From here on risk.max_risk_pct looks like a percentage that was meant as a fraction."""


def doubts(settings: Settings) -> Iterator[Reason]:
    """Find what is allowed and probably a slip."""
    yield from doubts_of_risk("risk.max_risk_pct", settings.risk.max_risk_pct)


def doubts_of_risk(name: str, risk: Decimal) -> Iterator[Reason]:
    """Ask about a risk of one trade, given as *name*, that looks like a percentage."""
    if risk > LARGE_RISK:
        yield Reason(
            code="config_doubtful",
            message=f"{name} is {plain(risk)}: {percent(risk)} of capital may be lost at each stop. "
            f"If {plain(risk)} % is meant, write {plain(risk / 100)}.",
            limit=f"at most {plain(LARGE_RISK)}",
            value=plain(risk),
        )
