"""A report or a replay as one picture: key numbers above, charts below; an SVG with a fixed size and fixed colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.core.reports.trade_report import Group, TradeReport
from apex_cli.presenters import replay
from apex_cli.presenters.history import ratio_figures
from apex_cli.presenters.pages.charts import HEIGHT as CHART_HEIGHT
from apex_cli.presenters.pages.charts import NOTHING_DRAWN, bar_chart, depths, html_text, line_chart
from apex_cli.presenters.pages.charts import WIDTH as CHART_WIDTH
from apex_cli.presenters.replay import period_text
from apex_cli.presenters.report import curve_title, equity_values, headline, span_text
from apex_cli.presenters.screen.blocks import Figure, Tone
from apex_cli.presenters.screen.formats import DASH, day_text, money, ratio, share
from apex_cli.presenters.screen.plots import histogram_of

WIDTH, EDGE, GAP = 1400, 40, 14
"""Of the picture, in units; a unit becomes one pixel or more."""

COLUMNS, CARD_HEIGHT = 5, 96
INNER = WIDTH - 2 * EDGE
PANEL_HEIGHT = round(INNER * CHART_HEIGHT / CHART_WIDTH)
ROW_HEIGHT = 30
MOST_GROUPS = 8
LETTER = 0.56
"""Mean width of a letter or digit in parts of the size of the font, on the generous side."""

FONT = "Roboto"
STYLE = f"""
text {{ font-family: {FONT}, sans-serif; fill: #1b1f23; }}
.dim, .panel text {{ fill: #5a646d; }} .panel text {{ font-size: 11px; }}
.good {{ fill: #0b6b2d; }} .bad {{ fill: #a3170c; }} .warn {{ fill: #7a5200; }}
.card {{ fill: #f6f8fa; stroke: #d5dade; }}
.axis {{ stroke: #d5dade; }} .area {{ fill: #a3170c2e; }}
.curve {{ stroke: #2b62a8; fill: none; stroke-width: 1.8; }} .bar {{ fill: #2b62a8; }}
.fall .curve {{ stroke: #a3170c; }}
"""


class Part(NamedTuple):
    """A piece of the picture: what is drawn from its own zero, and how high it is."""

    svg: str
    height: int


def report_picture(report: TradeReport, title: str) -> str:
    """Return the picture of a trade report."""
    days = ["start", *(point.day.isoformat() for point in report.curve)] if report.curve else []
    histogram = histogram_of(report.r_distribution)
    values = equity_values(report)
    equity = line_chart(values, days, "Equity")
    falls = line_chart(depths(values), days, "Drawdown", is_area=True)
    spread = bar_chart(histogram.counts, histogram.labels, "R of closed trades")
    parts = (
        _heading(title, span_text(report)),
        _cards((*headline(report), *ratio_figures(report.ratios))),
        _panel(f"{curve_title(report)}, {account_currency()}", equity),
        _panel("Drawdown, %", falls, "fall"),
        _panel("Closed trades by R, from", spread),
        _groups("By strategy", report.by_strategy),
    )
    return _picture(parts)


def replay_picture(report: ReplayReport) -> str:
    """Return the picture of a replay."""
    days = [day_text(point.at) for point in report.curve]
    falls = [-100 * float(point.drawdown) for point in report.curve]
    parts = (
        _heading(f"Replay of {', '.join(report.symbols)}", period_text(report)),
        _cards((*replay.headline(report), *ratio_figures(report.ratios))),
        _panel(f"Equity, {account_currency()}", line_chart([float(p.equity) for p in report.curve], days, "Equity")),
        _panel("Drawdown, %", line_chart(falls, days, "Drawdown", is_area=True), "fall"),
    )
    return _picture(parts)


def _picture(parts: Iterable[Part]) -> str:
    """Return *parts* one below the other on a white ground."""
    y, drawn = EDGE, []
    for part in parts:
        drawn.append(f'<g transform="translate({EDGE} {y})">{part.svg}</g>')
        y += part.height
    size = f'width="{WIDTH}" height="{y + GAP}" viewBox="0 0 {WIDTH} {y + GAP}"'
    ground = f'<rect width="{WIDTH}" height="{y + GAP}" fill="#ffffff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>{ground}{"".join(drawn)}</svg>'


def _heading(title: str, below: str) -> Part:
    return Part(_text(0, 28, title, 32, most=INNER) + _text(0, 58, below, 18, "dim", most=INNER), 84)


def _cards(figures: Iterable[Figure]) -> Part:
    width = (INNER - GAP * (COLUMNS - 1)) / COLUMNS
    drawn, count = [], 0
    for figure in figures:
        x, y = (count % COLUMNS) * (width + GAP), (count // COLUMNS) * (CARD_HEIGHT + GAP)
        drawn.append(f'<g transform="translate({x:.1f} {y})">{_card(figure, width)}</g>')
        count += 1
    return Part("".join(drawn), -(-count // COLUMNS) * (CARD_HEIGHT + GAP) + GAP)


def _card(figure: Figure, width: float) -> str:
    """Return a number with its name above and, where it has one, its remark below."""
    room = width - 28
    return (
        f'<rect class="card" width="{width:.1f}" height="{CARD_HEIGHT}" rx="8"/>'
        + _text(14, 26, figure.name, 16, "dim", most=room)
        + _text(14, 56, figure.value, 26, "" if figure.tone is Tone.PLAIN else str(figure.tone), most=room)
        + _text(14, 80, figure.below, 15, "dim", most=room)
    )


def _panel(title: str, chart: str, kind: str = "") -> Part:
    heading = _text(0, 18, title, 20, most=INNER)
    if chart == NOTHING_DRAWN:
        return Part(heading + _text(0, 50, "Nothing to draw yet.", 18, "dim", most=INNER), 76)
    placed = chart.replace("<svg ", f'<svg y="30" width="{INNER}" height="{PANEL_HEIGHT}" ', 1)
    return Part(f'{heading}<g class="panel {kind}">{placed}</g>', 30 + PANEL_HEIGHT + 2 * GAP)


def _groups(title: str, groups: Sequence[Group]) -> Part:
    if not groups:
        return Part("", 0)
    places = (0, 440, 640, 860, 1080, INNER)
    lines = [("", "Trades", "Win rate", "Net", "Net R", "Factor"), *map(_group_row, groups[:MOST_GROUPS])]
    if len(groups) > MOST_GROUPS:
        lines.append((f"and {len(groups) - MOST_GROUPS} more", "", "", "", "", ""))
    drawn = [_text(0, 18, title, 20, most=INNER)]
    for number, line in enumerate(lines):
        tone = "" if number else "dim"
        y = 50 + number * ROW_HEIGHT
        drawn.append(_text(0, y, line[0], 18, tone, most=places[1] - 80))
        drawn += [
            _text(x, y, text, 18, tone, most=190, anchor="end") for x, text in zip(places[1:], line[1:], strict=True)
        ]
    return Part("".join(drawn), 50 + len(lines) * ROW_HEIGHT)


def _group_row(group: Group) -> tuple[str, ...]:
    found = group.statistics
    return (
        group.name,
        f"{found.round_trips:,}",
        DASH if found.win_rate is None else share(found.win_rate),
        f"{'+' if found.net_pnl > 0 else ''}{money(found.net_pnl)}",
        DASH if found.net_expectancy_r is None else f"{found.net_expectancy_r:+.2f}",
        ratio(found.profit_factor),
    )


def _text(x: float, y: float, text: str, size: float, tone: str = "", *, most: float, anchor: str = "start") -> str:
    """Return *text*, smaller where it would be wider than *most*; shortened where it would be too small to read."""
    least = size * 0.6
    letters = int(most / (LETTER * least))
    shown = text if len(text) <= letters else text[: letters - 1] + "…"
    fitting = min(size, most / (LETTER * len(shown))) if shown else size
    kind = f' class="{tone}"' if tone else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{fitting:.1f}" text-anchor="{anchor}"'
    return f"<text{kind} {place}>{html_text(shown)}</text>"
