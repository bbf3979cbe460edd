"""A replay for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.model.decision import Reason
from apex_cli.core.reports.measures import EquityPoint
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Line, Tone, bar
from apex_cli.presenters.curves import curve_rows, depth_rows
from apex_cli.presenters.formats import DASH, gain, money, price, r_multiple, ratio, units
from apex_cli.presenters.positions import ROUND_TRIP_COLUMNS, round_trip_data, round_trip_row, statistics_data

LAST_TRADES = 10
MOST_WARNINGS = 5
PERCENT = Decimal(100)


def replay_data(report: ReplayReport) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        **statistics_data(report.statistics),
        "from": report.first,
        "to": report.last,
        "symbols": list(report.symbols),
        "bars": report.bars,
        "steps": report.steps,
        "seed": report.seed,
        "signals": report.signals,
        "outcomes": report.outcomes,
        "refusals": report.refusals,
        "net_expectancy_r": report.net_expectancy_r,
        "net_expectancy_r_90": msgspec.to_builtins(report.expectancy_interval, builtin_types=(Decimal,)),
        "sharpe": report.sharpe,
        "max_drawdown": report.drawdown.depth,
        "max_drawdown_from": report.drawdown.peak_at,
        "max_drawdown_to": report.drawdown.low_at,
        "exposure": report.exposure,
        "start_equity": report.start_equity,
        "end_equity": report.end_equity,
        "day_trades": report.day_trades,
        "open_positions": [
            {
                "symbol": held.symbol,
                "quantity": float(held.quantity),
                "entry_price": held.entry_price,
                "current_price": held.current_price,
                "pnl": held.pnl,
            }
            for held in report.open_positions
        ],
        "adaptations": [
            {"version": v.version, "made_at": v.made_at, "cause": v.cause, "why": v.why} for v in report.adaptations
        ],
        "alarms": list(report.alarms),
        "problems": list(report.problems),
        "trades": [round_trip_data(trip) for trip in report.trades],
        "equity": [{"at": p.at, "equity": p.equity, "drawdown": p.drawdown} for p in report.curve],
    }


def replay_warnings(report: ReplayReport) -> tuple[Reason, ...]:
    """Return the first things that are odd about the data, and how many more there are."""
    shown = [Reason(code="odd_data", message=problem) for problem in report.problems[:MOST_WARNINGS]]
    more = len(report.problems) - len(shown)
    if more:
        shown.append(Reason(code="odd_data", message=f"{more} more oddities; --json lists them all."))
    return tuple(shown)


def replay_blocks(report: ReplayReport) -> tuple[Block, ...]:
    """Return the sums, the curves, what was turned down, and the last trades."""
    blocks: list[Block] = [_sums(report), *_curves(report.curve)]
    if report.refusals:
        rows = tuple((Cell(code.replace("_", " ")), Cell(str(count))) for code, count in report.refusals.items())
        blocks.append(Grid(columns=("Not executed because", ">Times"), rows=rows))
    if report.adaptations:
        count = len(report.adaptations)
        newest = report.adaptations[-1]
        blocks.append(Line(text=f"Weights adapted {count} times; the last: {newest.why}"))
    blocks += [Line(text=f"! {text}", tone=Tone.WARN) for text in report.alarms[:3]]
    if report.open_positions:
        blocks.append(_open(report))
    if report.trades:
        shown = report.trades[-LAST_TRADES:]
        blocks.append(Grid(columns=ROUND_TRIP_COLUMNS, rows=tuple(map(round_trip_row, shown))))
        if len(report.trades) > len(shown):
            blocks.append(Line(text=f"The last {len(shown)} of {len(report.trades)} trades; --json has all."))
    return tuple(blocks)


def _sums(report: ReplayReport) -> Fields:
    numbers = report.statistics
    change = (report.end_equity / report.start_equity - 1) if report.start_equity else Decimal(0)
    win_rate = DASH
    if numbers.win_rate is not None:
        win_rate = (
            f"{bar(float(numbers.win_rate), 10)} {numbers.win_rate:.0%} ({numbers.wins} of {numbers.round_trips})"
        )
    deepest = report.drawdown
    fall = f"{deepest.depth:.1%}"
    if deepest.peak_at and deepest.low_at:
        fall += f", {deepest.peak_at:%Y-%m-%d} to {deepest.low_at:%Y-%m-%d}"
    interval = report.expectancy_interval
    sure = f", 90 % between {interval.low:+.2f} and {interval.high:+.2f}" if interval else ""
    return Fields(
        rows=(
            ("Period", Cell(f"{report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}, {report.bars:,} bars")),
            ("Symbols", Cell(", ".join(report.symbols))),
            ("Equity", Cell(f"{money(report.start_equity)} to {money(report.end_equity)} USD")),
            ("Return", gain(change, f"{change:+.1%}")),
            ("Signals", Cell(f"{report.signals} seen, {report.outcomes['executed']} executed")),
            ("Trades", Cell(f"{numbers.round_trips} closed, {len(report.open_positions)} open at the end")),
            ("Win rate", Cell(win_rate)),
            ("Expectancy", Cell(f"{r_multiple(numbers.expectancy_r)} before costs")),
            ("After costs", Cell(f"{r_multiple(report.net_expectancy_r)}{sure}")),
            ("Net", gain(numbers.net_pnl, f"{numbers.net_pnl:+,.2f} USD, {money(numbers.commission)} of costs paid")),
            ("Profit factor", Cell(f"{ratio(numbers.profit_factor)} before costs")),
            ("Sharpe", Cell(DASH if report.sharpe is None else f"{report.sharpe:.2f}")),
            ("Max drawdown", Cell(fall)),
            ("Exposure", Cell(f"{bar(float(report.exposure), 10)} {report.exposure:.0%} of the time")),
            ("Day trades", Cell(str(report.day_trades))),
        )
    )


def _curves(points: Sequence[EquityPoint]) -> list[Block]:
    """Return equity and drawdown over time, drawn with characters."""
    equity = [float(point.equity) for point in points]
    if len(equity) < 2 or min(equity) == max(equity):  # noqa: PLR2004 - a curve needs two points
        return []
    label = max(len(money(Decimal(repr(max(equity))))), 8)
    drawn = curve_rows(equity)
    named = {0: money(Decimal(repr(max(equity)))), len(drawn) - 1: money(Decimal(repr(min(equity))))}
    lines: list[Block] = [Line(text="Equity", tone=Tone.BOLD)]
    lines += [Line(text=f"{named.get(number, ''):>{label}} {row}") for number, row in enumerate(drawn)]
    fallen = [float(point.drawdown) for point in points]
    if max(fallen):
        lines.append(Line(text="Drawdown", tone=Tone.BOLD))
        deep = depth_rows(fallen)
        tags = {0: "0 %", len(deep) - 1: f"-{max(fallen):.1%}"}
        lines += [Line(text=f"{tags.get(number, ''):>{label}} {row}", tone=Tone.BAD) for number, row in enumerate(deep)]
    span = f"{points[0].at:%Y-%m-%d}"
    end = f"{points[-1].at:%Y-%m-%d}"
    width = max(len(drawn[0]) - len(span), len(end) + 1)
    lines.append(Line(text=f"{'':>{label}} {span}{end:>{width}}", tone=Tone.DIM))
    return lines


def _open(report: ReplayReport) -> Grid:
    rows = tuple(
        (
            Cell(held.symbol, Tone.BOLD),
            Cell(units(held.quantity)),
            Cell(price(held.entry_price)),
            Cell(price(held.current_price)),
            gain(held.pnl),
        )
        for held in report.open_positions
    )
    return Grid(columns=("Open at the end", ">Qty", ">Entry", ">Last", ">P&L"), rows=rows)
