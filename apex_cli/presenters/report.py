"""A trade report for the terminal and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict

from apex_cli.core.model.base import named
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.reports.trade_report import Group, Slippage, TradeReport
from apex_cli.presenters.history import gain_figure, profit_factor, ratio_block, win_rates
from apex_cli.presenters.screen.blocks import (
    LAST,
    SECOND,
    THIRD,
    Block,
    Cell,
    Fields,
    Figure,
    Grid,
    Head,
    Line,
    Tone,
    bar,
)
from apex_cli.presenters.screen.columns import Column, Table, bold
from apex_cli.presenters.screen.formats import DASH, gain, money, r_multiple, ratio, share
from apex_cli.presenters.screen.plots import histogram_of, sparkline

MOST_REFUSALS = 12
"""Reasons reported in the terminal; ``--json`` and the page report all."""


def report_data(report: TradeReport) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "from": _day(report.span.first),
        "to": _day(report.span.last),
        "statistics": asdict(report.statistics),
        "by_strategy": _groups(report.by_strategy, "strategy"),
        "by_exit_reason": _groups(report.by_exit_reason, "exit_reason"),
        "by_month": _groups(report.by_month, "month"),
        "drawdown": {"amount": report.drawdown.amount, "fraction": report.drawdown.fraction},
        "sharpe": report.ratios.sharpe,
        "ratios": asdict(report.ratios),
        "knows_open": report.knows_open,
        "r_distribution": [
            {"from_r": low, "count": count}
            for low, count in zip(report.r_distribution.lows, report.r_distribution.counts, strict=True)
        ],
        "start_equity": report.start_equity,
        "equity_curve": [{"session": point.day.isoformat(), "equity": point.equity} for point in report.curve],
        "refusals": [{"code": row.code, "count": row.count, "example": row.example} for row in report.refusals],
        "decisions": report.decisions,
        "slippage": named(report.slippage, "orders", "delay", "spread", "execution", "total", "by_role"),
        "commission": report.statistics.commission,
        "day_trades": report.day_trades,
    }


def _day(day: Any) -> str | None:  # noqa: ANN401 - a date or nothing
    return day.isoformat() if day else None


def _groups(groups: Iterable[Group], name: str) -> list[dict[str, Any]]:
    return [{name: group.name, **asdict(group.statistics)} for group in groups]


# Terminal


def report_blocks(report: TradeReport) -> tuple[Block, ...]:
    """Return the report as tables and small plots."""
    if not report.statistics.round_trips:
        closed: tuple[Block, ...] = (Line(text="No closed trades in this span.", tone=Tone.DIM),)
    else:
        closed = (
            Fields(title=span_text(report), rows=tuple(figure.row for figure in headline(report))),
            ratio_block(ratios_title(report), report.ratios),
            Line(text=f"Equity  {sparkline(equity_values(report))}"),
            r_grid(report),
            group_grid("By strategy", report.by_strategy),
            group_grid("By exit", report.by_exit_reason),
        )
    return (*closed, refusal_grid(report, MOST_REFUSALS), slippage_fields(report.slippage))


def equity_values(report: TradeReport) -> list[float]:
    """Return the curve with its start; empty without a closed trade."""
    return [float(report.start_equity), *(float(point.equity) for point in report.curve)] if report.curve else []


def curve_title(report: TradeReport) -> str:
    """Return what the curve is made of."""
    made_of = "what is open included" if report.knows_open else "closed trades only"
    return f"Equity at the end of each session, {made_of}"


def ratios_title(report: TradeReport) -> str:
    """Return what the ratios are made of."""
    return "Ratios a year" + ("" if report.knows_open else ", of closed trades only")


def span_text(report: TradeReport) -> str:
    """Return which sessions the report is about."""
    first, last = report.span.first, report.span.last
    if first is None and last is None:
        return "All trades"
    return f"{first or 'the beginning'} to {last or 'now'}"


def headline(report: TradeReport) -> tuple[Figure, ...]:
    """Return the numbers one looks at first."""
    found = report.statistics
    closed_only = "" if report.knows_open else "closed trades only"
    fall, base = report.drawdown, account_currency()
    return (
        Figure("Round trips", f"{found.round_trips:,}"),
        *win_rates(found),
        Figure("Expectancy", r_multiple(found.expectancy_r), note=f"{r_multiple(found.net_expectancy_r)} after costs"),
        profit_factor(found.profit_factor),
        gain_figure("P&L", found.pnl),
        Figure("Commissions", f"{money(found.commission)} {base}"),
        gain_figure("Net", found.net_pnl),
        Figure("Drawdown", f"{money(fall.amount)} {base}", remark=share(fall.fraction, 1), note=closed_only),
        Figure("Day trades", str(report.day_trades)),
    )


def r_grid(report: TradeReport) -> Grid:
    """Return the distribution of R as bars; empty bins at both ends are left out."""
    histogram = histogram_of(report.r_distribution)
    filled = [place for place, count in enumerate(histogram.counts) if count]
    most = max(histogram.counts)
    places = range(filled[0], filled[-1] + 1) if filled else range(0)
    rows = tuple(
        (
            Cell(f"{histogram.labels[place]} R"),
            Cell(bar(histogram.counts[place] / most, 30).replace("░", " ")),
            Cell(f"{histogram.counts[place]:,}"),
        )
        for place in places
    )
    return Grid(
        title="R of closed trades",
        columns=(Head("From", is_right=True), Head("", SECOND), Head("Trades", is_right=True)),
        rows=rows,
        empty="No risk is known.",
    )


def _won(rate: Decimal | None) -> str:
    return DASH if rate is None else f"{bar(float(rate), 5)} {share(rate):>5}"


_GROUPS = Table[Group](
    Column("", "", lambda g: g.name, shown=bold),
    Column("", "Trades", lambda g: g.statistics.round_trips, shown="{:,}".format, is_right=True),
    Column("", "Even", lambda g: g.statistics.breakeven, shown="{:,}".format, rank=LAST, is_right=True),
    Column("", "Won", lambda g: g.statistics.win_rate, shown=_won, rank=THIRD),
    Column("", "Won net", lambda g: g.statistics.net_win_rate, shown=_won, rank=SECOND),
    Column("", "P&L", lambda g: g.statistics.pnl, shown=gain, rank=THIRD, is_right=True),
    Column("", "Costs", lambda g: g.statistics.commission, shown=money, rank=THIRD, is_right=True),
    Column("", "Net", lambda g: g.statistics.net_pnl, shown=gain, is_right=True),
    Column("", "R", lambda g: g.statistics.expectancy_r, shown=r_multiple, rank=THIRD, is_right=True),
    Column("", "Net R", lambda g: g.statistics.net_expectancy_r, shown=r_multiple, is_right=True),
    Column("", "Factor", lambda g: g.statistics.profit_factor, shown=ratio, rank=SECOND, is_right=True),
)


def group_grid(title: str, groups: Iterable[Group]) -> Grid:
    """Return groups of closed trades as a table."""
    return _GROUPS.grid(groups, title=title)


def refusal_grid(report: TradeReport, most: int | None = None) -> Grid:
    """Return why signals were not traded, the most frequent reason first."""
    shown = report.refusals[:most]
    highest = max((row.count for row in shown), default=1)
    rows = tuple(
        (
            Cell(row.code.replace("_", " ")),
            Cell(bar(row.count / highest, 10).replace("░", " ")),
            Cell(f"{row.count:,}"),
            Cell(row.example),
        )
        for row in shown
    )
    return Grid(
        title="Not traded, by reason",
        columns=(Head(""), Head("", LAST), Head("Times", is_right=True), Head("For example", SECOND, wraps=True)),
        rows=rows,
        empty="Nothing refused.",
    )


def slippage_fields(found: Slippage) -> Fields:
    """Return what was lost on the way from signal to fill."""
    spread = DASH + " (no quote reported bid and ask)" if found.spread is None else money(found.spread)
    roles = ", ".join(f"{name} {money(amount)}" for name, amount in found.by_role.items())
    rows = (
        ("Delay", Cell(money(found.delay))),
        ("Spread", Cell(spread)),
        ("Execution", Cell(money(found.execution))),
        (
            "Total",
            Cell(f"{money(found.total)} {account_currency()} on {counted(found.orders, 'filled order')}", Tone.BOLD),
        ),
        ("By order", Cell(roles or DASH)),
    )
    return Fields(title="Slippage: a cost where positive", rows=rows)
