"""A trade report as one HTML page: inline SVG, light and dark, made to be printed; no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.trade_report import TradeReport
from apex_cli.presenters.pages.charts import bar_chart, html_text, line_chart
from apex_cli.presenters.report import (
    curve_title,
    equity_values,
    group_grid,
    headline,
    refusal_grid,
    slippage_fields,
    span_text,
)
from apex_cli.presenters.screen.blocks import Cell, Fields, Grid, Tone
from apex_cli.presenters.screen.plots import histogram_of

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f23; --dim: #5a646d; --line: #d5dade; --fill: #2b62a8;
  --good: #0b6b2d; --bad: #a3170c; --warn: #7a5200; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e4e7ea; --dim: #9aa4ad; --line: #363d44;
  --fill: #7fb2ee; --good: #8fd694; --bad: #ff9a8f; --warn: #f2c572; } }
@media print { :root { color-scheme: light; --ground: #fff; --text: #000; --dim: #444; --line: #bbb; --fill: #2b62a8;
  --good: #0b6b2d; --bad: #a3170c; --warn: #7a5200; } section { break-inside: avoid; } body { padding: 0; } }
@page { margin: 15mm; }
body { background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; max-width: 62rem;
  margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
p.span { color: var(--dim); margin: .2rem 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; margin: 0; }
dl div { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; }
dt { color: var(--dim); font-size: .8rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; } .right { text-align: right; white-space: nowrap; }
.bars { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .warn { color: var(--warn); }
.dim { color: var(--dim); } .bold { font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .curve { stroke: var(--fill); fill: none; stroke-width: 1.8; }
svg .bar { fill: var(--fill); }
"""


def report_page(report: TradeReport, title: str) -> str:
    """Return the page; every text in it is escaped."""
    days = ["start", *(point.day.isoformat() for point in report.curve)] if report.curve else []
    values = equity_values(report)
    histogram = histogram_of(report.r_distribution)
    sections = (
        _section("At a glance", _cards(figure.row for figure in headline(report))),
        _section(
            curve_title(report),
            line_chart(values, days, f"Equity, {account_currency()}, by session"),
        ),
        _section(
            "R of closed trades",
            bar_chart(histogram.counts, histogram.labels, "Number of closed trades by R, bins of half an R"),
        ),
        _grid_section(group_grid("By strategy", report.by_strategy)),
        _grid_section(group_grid("By exit", report.by_exit_reason)),
        _grid_section(group_grid("By month", report.by_month)),
        _grid_section(refusal_grid(report)),
        _fields_section(slippage_fields(report.slippage)),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{html_text(title)}</h1>\n<p class="span">{html_text(span_text(report))}</p>\n'
        f"{''.join(sections)}</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{html_text(title)}</h2>\n{body}\n</section>\n"


def _cards(rows: Iterable[tuple[str, Cell]]) -> str:
    cards = (
        f"<div><dt>{html_text(name)}</dt><dd{_class(cell)}>{html_text(cell.text)}</dd></div>" for name, cell in rows
    )
    return f"<dl>{''.join(cards)}</dl>"


def _grid_section(grid: Grid) -> str:
    if not grid.rows:
        return _section(grid.title, f'<p class="dim">{html_text(grid.empty)}</p>')
    kinds = ["right" if head.is_right else "" if head.wraps else "bars" for head in grid.columns]
    head = "".join(
        f'<th class="{kind}">{html_text(head.name)}</th>' for head, kind in zip(grid.columns, kinds, strict=True)
    )
    body = "".join(f"<tr>{_row(row, kinds)}</tr>" for row in grid.rows)
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return _section(grid.title, table)


def _row(row: Sequence[Cell], kinds: Sequence[str]) -> str:
    return "".join(
        f'<td class="{kind} {_tone(cell)}">{html_text(cell.text)}</td>' for cell, kind in zip(row, kinds, strict=True)
    )


def _fields_section(fields: Fields) -> str:
    return _section(fields.title, _cards(fields.rows))


def _class(cell: Cell) -> str:
    tone = _tone(cell)
    return f' class="{tone}"' if tone else ""


def _tone(cell: Cell) -> str:
    return "" if cell.tone is Tone.PLAIN else str(cell.tone)
