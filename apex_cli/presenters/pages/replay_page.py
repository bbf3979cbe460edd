"""A replay as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.measures import CurvePoint
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.presenters.history import ROUND_TRIPS
from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.replay import replay_blocks
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Head, Line, Tone
from apex_cli.presenters.screen.formats import share

WIDTH, EQUITY_HEIGHT, FALL_HEIGHT = 960, 260, 110
MARGIN = 70
MOST_POINTS = 1500
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; margin-top: 1rem; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .7rem .15rem 0; text-align: left; vertical-align: top; } .r { text-align: right; }
th { border-bottom: 1px solid #8888; } .name { border: 0; font-weight: 500; }
.good { color: #1a7f37; } .bad { color: #cf222e; } .dim { color: #888; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.equity { fill: none; stroke: #0969da; stroke-width: 1.5; } .fall { fill: #cf222e55; stroke: #cf222e; }
.grid { stroke: #8884; }
"""


_LEFT = Head("")


def replay_page(report: ReplayReport) -> str:
    """Return the page: sums, both curves, refusals, and every trade."""
    title = f"apex replay: {', '.join(report.symbols)}, {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}"
    blocks = [b for b in replay_blocks(report) if isinstance(b, Fields | Grid) and not _is_trades(b)]
    trades = ROUND_TRIPS.grid(report.trades)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{html_text(title)}</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{html_text(title)}</h1>",
        _block(blocks[0]),
        f"<h2>Equity, {account_currency()}</h2>",
        _equity(report.curve),
        "<h2>Drawdown</h2>",
        _fall(report.curve),
        *map(_block, blocks[1:]),
        "<h2>Trades</h2>",
        _block(trades),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _is_trades(block: Block) -> bool:
    return isinstance(block, Grid) and block.columns == ROUND_TRIPS.heads


def _equity(points: Sequence[CurvePoint]) -> str:
    shown = _thinned(points)
    values = [float(point.equity) for point in shown]
    low, high = min(values), max(values)
    span = high - low or 1.0
    xy = _polyline([(value - low) / span for value in values], EQUITY_HEIGHT)
    labels = [(high, 0.0), ((low + high) / 2, 0.5), (low, 1.0)]
    ticks = "".join(_tick(f"{value:,.0f}", at * EQUITY_HEIGHT) for value, at in labels)
    return _svg(EQUITY_HEIGHT, ticks + f'<polyline class="equity" points="{xy}"/>' + _dates(shown, EQUITY_HEIGHT))


def _fall(points: Sequence[CurvePoint]) -> str:
    shown = _thinned(points)
    values = [float(point.drawdown) for point in shown]
    deepest = max(values) or 1.0
    xy = _polyline([1 - value / deepest for value in values], FALL_HEIGHT)
    area = f"{MARGIN},0 {xy} {WIDTH},0"
    ticks = _tick("0 %", 0) + _tick(f"-{share(max(values), 1)}", FALL_HEIGHT)
    return _svg(FALL_HEIGHT, ticks + f'<polygon class="fall" points="{area}"/>' + _dates(shown, FALL_HEIGHT))


def _thinned(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Return at most ``MOST_POINTS`` points, evenly spread, first and last among them."""
    if len(points) <= MOST_POINTS:
        return list(points)
    return [points[round(n * (len(points) - 1) / (MOST_POINTS - 1))] for n in range(MOST_POINTS)]


def _polyline(heights: Sequence[float], height: int) -> str:
    """Return *heights*, 0 at the bottom to 1 at the top, as coordinates."""
    step = (WIDTH - MARGIN) / max(len(heights) - 1, 1)
    return " ".join(f"{MARGIN + number * step:.1f},{(1 - at) * height:.1f}" for number, at in enumerate(heights))


def _tick(text: str, y: float) -> str:
    line = f'<line class="grid" x1="{MARGIN}" x2="{WIDTH}" y1="{y:.0f}" y2="{y:.0f}"/>'
    return f'{line}<text x="{MARGIN - 6}" y="{y + 4:.0f}" text-anchor="end">{html_text(text)}</text>'


def _dates(points: Sequence[CurvePoint], height: int) -> str:
    first = f'<text x="{MARGIN}" y="{height + 18}">{points[0].at:%Y-%m-%d}</text>'
    return first + f'<text x="{WIDTH}" y="{height + 18}" text-anchor="end">{points[-1].at:%Y-%m-%d}</text>'


def _svg(height: int, content: str) -> str:
    return f'<svg viewBox="0 -8 {WIDTH + 8} {height + 32}" role="img">{content}</svg>'


def _block(block: Block) -> str:
    if isinstance(block, Line):
        return f"<p>{html_text(block.text)}</p>"
    if isinstance(block, Fields):
        rows = "".join(f'<tr><th class="name">{html_text(name)}</th>{_cell(cell)}</tr>' for name, cell in block.rows)
        return f"<table>{rows}</table>"
    if not block.rows:
        return f"<p>{html_text(block.empty)}</p>"
    head = "".join(f"<th{_side(head)}>{html_text(head.name)}</th>" for head in block.columns)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, head) for cell, head in zip(row, block.columns, strict=True))}</tr>"
        for row in block.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(cell: Cell, head: Head = _LEFT) -> str:
    classes = [name for name in (_tone(cell.tone), "r" if head.is_right else "") if name]
    attribute = f' class="{" ".join(classes)}"' if classes else ""
    return f"<td{attribute}>{html_text(cell.text)}</td>"


def _side(head: Head) -> str:
    return ' class="r"' if head.is_right else ""


def _tone(tone: Tone) -> str:
    return {Tone.GOOD: "good", Tone.BAD: "bad", Tone.DIM: "dim"}.get(tone, "")
