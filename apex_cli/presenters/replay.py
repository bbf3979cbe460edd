"""A replay for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import asdict

from apex_cli.core.model.base import named
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.reports.measures import CurvePoint
from apex_cli.core.reports.replay_report import OpenPosition, ReplayReport
from apex_cli.presenters.history import (
    ROUND_TRIPS,
    gain_figure,
    profit_factor,
    ratio_block,
    statistics_data,
    theoretical_note,
    win_rates,
)
from apex_cli.presenters.screen.blocks import SECOND, Block, Cell, Fields, Figure, Grid, Line, Plot, Tone, heads
from apex_cli.presenters.screen.columns import Column, Table, bold, words
from apex_cli.presenters.screen.formats import day_text, gain, money, price, r_multiple, rounded, share, signed, units
from apex_cli.presenters.screen.plots import WIDTH, curve_rows, depth_rows

LAST_TRADES = 10
MOST_WARNINGS = 5
FILLS = {
    ReplayFill.NEXT_OPEN: "orders fill from the next bar's open on",
    ReplayFill.CLOSE: "orders fill at the close that made the signal",
}

OPEN_AT_END = Table[OpenPosition](
    Column("symbol", "Open at the end", shown=bold),
    Column("quantity", "Qty", lambda held: float(held.quantity), cell=lambda held: units(held.quantity), is_right=True),
    Column("entry_price", "Entry", shown=price, rank=SECOND, is_right=True),
    Column("current_price", "Last", shown=price, rank=SECOND, is_right=True),
    Column("pnl", "P&L", shown=gain, is_right=True),
)


def replay_data(report: ReplayReport) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        **statistics_data(report.statistics),
        "from": report.first,
        "to": report.last,
        "symbols": list(report.symbols),
        **named(report, "bars", "steps", "seed", "fill", "signals", "outcomes"),
        **named(report, "refusals", "expired_entries", "dividends", "net_expectancy_r"),
        "net_expectancy_r_90": msgspec.to_builtins(report.expectancy_interval, builtin_types=(Decimal,)),
        "sharpe": report.sharpe,
        "ratios": asdict(report.ratios),
        "max_drawdown": report.drawdown.fraction,
        "max_drawdown_from": report.drawdown.peak_at,
        "max_drawdown_to": report.drawdown.low_at,
        **named(report, "exposure", "start_equity", "end_equity", "day_trades"),
        "open_positions": OPEN_AT_END.rows(report.open_positions),
        "adaptations": [
            {"version": v.version, "made_at": v.made_at, "cause": v.cause, "why": v.why} for v in report.adaptations
        ],
        "alarms": list(report.alarms),
        "problems": list(report.problems),
        "trades": ROUND_TRIPS.rows(report.trades),
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
    blocks: list[Block] = [_sums(report), ratio_block("Ratios a year", report.ratios), *_curves(report.curve)]
    if report.refusals:
        blocks.append(Grid(columns=heads("Not executed because", ">Times"), rows=_refusal_rows(report)))
    if report.adaptations:
        count = len(report.adaptations)
        often = "once" if count == 1 else f"{count:,} times; the last time"
        blocks.append(Line(text=f"Weights adapted {often}: {report.adaptations[-1].why}"))
    blocks += [Line(text=f"! {text}", tone=Tone.WARN) for text in report.alarms[:3]]
    if report.open_positions:
        blocks.append(OPEN_AT_END.grid(report.open_positions))
    if report.trades:
        shown = report.trades[-LAST_TRADES:]
        blocks += [ROUND_TRIPS.grid(shown), *theoretical_note(shown)]
        if len(report.trades) > len(shown):
            blocks.append(Line(text=f"The last {len(shown)} of {len(report.trades)} trades; --json has all."))
    return tuple(blocks)


def remarks(report: ReplayReport) -> tuple[Fields | Grid, ...]:
    """Return what was replayed, why signals were not executed, and what is still held."""
    sums = (
        ("Signals", f"{report.signals} seen, {report.outcomes['executed']} executed"),
        ("Time with something held", share(report.exposure)),
        ("Day trades", str(report.day_trades)),
        ("Commissions", f"{money(report.statistics.commission)} {account_currency()}"),
        ("Dividends", f"{signed(report.dividends)} {account_currency()}"),
        ("Weights adapted", str(len(report.adaptations))),
        ("Alarms", "; ".join(report.alarms[:3]) or "none"),
    )
    held = (OPEN_AT_END.grid(report.open_positions, title="Open at the end"),) if report.open_positions else ()
    fields = Fields(title="The replay", rows=tuple((name, Cell(text)) for name, text in sums))
    return (fields, refusal_grid(report), *held)


def refusal_grid(report: ReplayReport) -> Grid:
    """Return why signals were not executed, the most frequent reason first."""
    return Grid(
        title="Not executed, by reason",
        columns=heads("", ">Times"),
        rows=_refusal_rows(report),
        empty="Everything was executed.",
    )


def _refusal_rows(report: ReplayReport) -> tuple[tuple[Cell, Cell], ...]:
    return tuple((Cell(words(code)), Cell(str(count))) for code, count in report.refusals.items())


def period_text(report: ReplayReport) -> str:
    """Return which time was replayed, on how many bars."""
    return f"{day_text(report.first)} to {day_text(report.last)}, {report.bars:,} bars"


def headline(report: ReplayReport) -> tuple[Figure, ...]:
    """Return the numbers one looks at first."""
    numbers, deepest, interval = report.statistics, report.drawdown, report.expectancy_interval
    change = (report.end_equity / report.start_equity - 1) if report.start_equity else Decimal(0)
    fell = f"{day_text(deepest.peak_at)} to {day_text(deepest.low_at)}" if deepest.peak_at and deepest.low_at else ""
    sure = f"90 % between {interval.low:+.2f} and {interval.high:+.2f}" if interval else ""
    return (
        Figure("Equity", f"{money(report.start_equity)} to {money(report.end_equity)} {account_currency()}"),
        gain_figure("Return", change, f"{rounded(change * 100, '+.1f')} %"),
        Figure("Trades", f"{numbers.round_trips} closed", note=f"{len(report.open_positions)} open at the end"),
        *win_rates(numbers),
        Figure("Expectancy", r_multiple(numbers.expectancy_r), note="before costs"),
        Figure("Expectancy net", r_multiple(report.net_expectancy_r), note=sure),
        gain_figure(
            "Net",
            numbers.net_pnl,
            f"{signed(numbers.net_pnl)} {account_currency()}",
            note=f"{money(numbers.commission)} of costs paid",
        ),
        profit_factor(numbers.profit_factor),
        Figure("Max drawdown", share(deepest.fraction, 1), note=fell),
    )


def _sums(report: ReplayReport) -> Fields:
    exposure = Figure("Exposure", f"{share(report.exposure)} of the time", part=float(report.exposure))
    return Fields(
        rows=(
            ("Period", Cell(period_text(report))),
            ("Symbols", Cell(", ".join(report.symbols))),
            ("Fills", Cell(FILLS[report.fill])),
            ("Signals", Cell(f"{report.signals} seen, {report.outcomes['executed']} executed")),
            *_expired(report),
            *(figure.row for figure in headline(report)),
            exposure.row,
            ("Day trades", Cell(str(report.day_trades))),
            *((("Dividends", gain(report.dividends)),) if report.dividends else ()),
        )
    )


def _expired(report: ReplayReport) -> tuple[tuple[str, Cell], ...]:
    if not report.expired_entries:
        return ()
    return (("Expired", Cell(f"{counted(report.expired_entries, 'entry')} not filled in time")),)


LEAST_COLUMNS = 20
"""Below it a curve shows nothing."""


def _curves(points: Sequence[CurvePoint]) -> list[Block]:
    """Return equity and drawdown over time, drawn with characters."""
    return [Plot(lines=partial(_equity_lines, points)), Plot(lines=partial(_drawdown_lines, points))]


def _room(points: Sequence[CurvePoint], width: int) -> tuple[int, int]:
    """Return the columns of the labels and of the curve, none where there is nothing to see."""
    equity = [point.equity for point in points]
    if len(equity) < 2 or min(equity) == max(equity):  # noqa: PLR2004 - a curve needs two points
        return 0, 0
    label = max(len(money(max(equity))), 8)
    columns = min(WIDTH, width - label - 1)
    return label, columns if columns >= LEAST_COLUMNS else 0


def _equity_lines(points: Sequence[CurvePoint], width: int) -> list[Line]:
    label, columns = _room(points, width)
    if not columns:
        return []
    equity = [point.equity for point in points]
    drawn = curve_rows([float(value) for value in equity], width=columns)
    named = {0: money(max(equity)), len(drawn) - 1: money(min(equity))}
    rows = (Line(text=f"{named.get(number, ''):>{label}} {row}") for number, row in enumerate(drawn))
    return [Line(text="Equity", tone=Tone.BOLD), *rows, _span_line(points, label, len(drawn[0]))]


def _drawdown_lines(points: Sequence[CurvePoint], width: int) -> list[Line]:
    label, columns = _room(points, width)
    fallen = [float(point.drawdown) for point in points]
    if not columns or not max(fallen):
        return []
    deep = depth_rows(fallen, width=columns)
    named = {0: "0 %", len(deep) - 1: f"-{share(max(fallen), 1)}"}
    rows = [Line(text=f"{named.get(number, ''):>{label}} {row}", tone=Tone.BAD) for number, row in enumerate(deep)]
    return [Line(text="Drawdown", tone=Tone.BOLD), *rows]


def _span_line(points: Sequence[CurvePoint], label: int, columns: int) -> Line:
    first, last = day_text(points[0].at), day_text(points[-1].at)
    return Line(text=f"{'':>{label}} {first}{last:>{max(columns - len(first), len(last) + 1)}}", tone=Tone.DIM)
