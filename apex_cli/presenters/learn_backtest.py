"""A backtest with and without learning, for people and for scripts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from apex_cli.core.model.base import named
from apex_cli.core.model.wording import counted
from apex_cli.core.reports.learning_report import LearningComparison, LearningPeriod, Side
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, Tone, heads
from apex_cli.presenters.screen.formats import DASH


def backtest_data(found: LearningComparison) -> dict[str, Any]:
    """Return the stable names."""
    return {
        "whole": _period_data(found.whole),
        "years": [_period_data(period) for period in found.years],
        "versions": found.versions,
        "suspended": found.suspended,
    }


def _period_data(period: LearningPeriod) -> dict[str, Any]:
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "with_learning": _side_data(period.with_learning),
        "without": _side_data(period.without),
        **named(period, "changed", "difference", "low", "high"),
        "beyond_noise": period.is_beyond_noise,
    }


def _side_data(side: Side) -> dict[str, Any]:
    return {"trades": side.trades, "mean_r": side.mean_r, "total_r": side.total_r}


def backtest_blocks(found: LearningComparison) -> tuple[Block, ...]:
    """Return the verdict, then the years."""
    whole = found.whole
    rows = (
        ("Sessions", Cell(f"{whole.first} to {whole.last}")),
        ("Without", Cell(_side_text(whole.without))),
        ("Learning", Cell(f"{_side_text(whole.with_learning)}, {whole.changed} of them not made without it")),
        ("Versions", Cell(f"{found.versions} of the weights")),
        ("Difference", Cell(f"{_difference_text(whole)}: {verdict_of(whole)}", Tone.BOLD)),
    )
    years = tuple(
        (
            Cell(str(period.first.year), Tone.BOLD),
            Cell(_r(period.without.mean_r)),
            Cell(_r(period.with_learning.mean_r)),
            Cell(str(period.changed)),
            Cell(_r(period.difference)),
            Cell(_interval_text(period)),
        )
        for period in found.years
    )
    columns = heads("Year", ">Without", ">Learning", ">Changed", ">Difference", ">90 %")
    ended = Line(text="Learning found that it made results worse, and only reported from then on.", tone=Tone.WARN)
    return (Fields(rows=rows), Grid(columns=columns, rows=years), *((ended,) if found.suspended else ()))


def verdict_of(period: LearningPeriod) -> str:
    """Return what the interval says, in words."""
    if period.low is None or period.high is None:
        return "too few trades to tell"
    if not period.changed:
        return "it changed no trade"
    if period.low > 0:
        return "it made results better"
    return "it made results worse" if period.high < 0 else "no more than noise"


def _side_text(side: Side) -> str:
    return f"{counted(side.trades, 'trade')}, {_r(side.mean_r)} R a trade, {_r(side.total_r)} R in all"


def _difference_text(period: LearningPeriod) -> str:
    return f"{_r(period.difference)} R a trade, with 90 % {_interval_text(period)}"


def _interval_text(period: LearningPeriod) -> str:
    return DASH if period.low is None or period.high is None else f"{period.low:+.3f}..{period.high:+.3f}"


def _r(value: Decimal | None) -> str:
    return DASH if value is None else f"{value:+.3f}"
