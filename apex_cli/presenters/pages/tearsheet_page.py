"""A report or a replay as one page: sums, curves, months, groups, and every trade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apex_cli.core.model.wording import account_currency
from apex_cli.core.positions.performance import FEWEST_TRADES, r_distribution
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.core.reports.tearsheet import MonthResult, RollingResult, Tearsheet, TradeSheet
from apex_cli.core.reports.trade_report import Group, TradeReport
from apex_cli.presenters import replay, report
from apex_cli.presenters.history import ratio_figures
from apex_cli.presenters.pages.charts import Band, Dot, bar_chart, depths, html_text, line_chart, scatter_chart
from apex_cli.presenters.pages.page import block_section, cards, page, section
from apex_cli.presenters.pages.trade_sections import STYLE as TRADE_STYLE
from apex_cli.presenters.pages.trade_sections import trade_list, trade_sections
from apex_cli.presenters.screen.blocks import Fields, Figure, Grid
from apex_cli.presenters.screen.formats import day_text
from apex_cli.presenters.screen.plots import histogram_of

STYLE = """
#months td { text-align: right; } #months td.up { background: var(--up); } #months td.down { background: var(--down); }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; } .two > div { min-width: 0; }
.two svg text { font-size: 22px; } .two circle { r: 5px; } .two svg text.odd { display: none; }
@media (max-width: 900px) { .two { grid-template-columns: 1fr; } }
"""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Contents(NamedTuple):
    """What is different between a report and a replay."""

    title: str
    span: str
    cards: tuple[Figure, ...]
    ratios_title: str
    ratios: tuple[Figure, ...]
    curve_title: str
    ends: tuple[Fields | Grid, ...]
    """Tables that follow the charts."""


def report_tearsheet(found: TradeReport, sheet: Tearsheet, terms: Fields, title: str) -> str:
    """Return the page of a trade report; *terms* are the settings it was traded by."""
    contents = Contents(
        title=title,
        span=report.span_text(found),
        cards=report.headline(found),
        ratios_title=report.ratios_title(found),
        ratios=ratio_figures(found.ratios),
        curve_title=report.curve_title(found),
        ends=(report.slippage_fields(found.slippage), report.refusal_grid(found)),
    )
    return tearsheet_page(contents, sheet, terms)


def replay_tearsheet(found: ReplayReport, sheet: Tearsheet, terms: Fields) -> str:
    """Return the page of a replay; *terms* are the settings it was traded by."""
    contents = Contents(
        title=f"Replay · {', '.join(found.symbols)}",
        span=f"{replay.period_text(found)}; {replay.FILLS[found.fill]}",
        cards=replay.headline(found),
        ratios_title="Ratios a year",
        ratios=ratio_figures(found.ratios),
        curve_title="Equity at the end of each session",
        ends=replay.remarks(found),
    )
    return tearsheet_page(contents, sheet, terms)


def tearsheet_page(contents: Contents, sheet: Tearsheet, terms: Fields) -> str:
    """Return the page; every text in it is escaped."""
    sections = (
        section("At a glance", cards(contents.cards)),
        section(contents.ratios_title, cards(contents.ratios)),
        *_curves(contents.curve_title, sheet),
        section("Month by month", _months(sheet.months)),
        *_rolling(sheet),
        *(block_section(report.group_grid(title, groups)) for title, groups in _groups(sheet)),
        section("R of closed trades, before costs", _r_chart(sheet.trades)),
        _ways(sheet.trades),
        *map(block_section, contents.ends),
        block_section(terms),
        section("All trades", trade_list(sheet.trades), kind="long"),
        section("Trade by trade", trade_sections(sheet.trades), kind="long") if sheet.trades else "",
    )
    return page(contents.title, contents.span, sections, STYLE + TRADE_STYLE)


def _groups(sheet: Tearsheet) -> Iterable[tuple[str, Sequence[Group]]]:
    yield "By strategy", sheet.by_strategy
    yield "By exit", sheet.by_exit
    yield "By symbol", sheet.by_symbol
    yield "By day of entry", sheet.by_weekday
    yield "By hour of entry, New York", sheet.by_hour


def _curves(title: str, sheet: Tearsheet) -> Iterable[str]:
    """Yield the curve with what it is compared with, and how far it stood below its highest."""
    days = [point.day.isoformat() for point in sheet.curve]
    equity = [float(point.equity) for point in sheet.curve]
    other = sheet.benchmark
    chart = line_chart(equity, days, f"Equity, {account_currency()}", second=other.values if other else ())
    key = f'<p class="dim">Dashed: the same money in {html_text(other.symbol)}, held all the time.</p>' if other else ""
    yield section(f"{title}, {account_currency()}", chart + key)
    falls = depths(equity)
    yield section("Drawdown, %", line_chart(falls, days, "Drawdown in percent of the highest before", is_area=True))


def _months(months: Sequence[MonthResult]) -> str:
    if not months:
        return '<p class="dim">No session has ended yet.</p>'
    head = "".join(f'<th class="right">{name}</th>' for name in ("", *MONTHS, "Year"))
    rows = "".join(_year(year, months) for year in sorted({month.year for month in months}))
    return f'<div class="wide"><table id="months"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _year(year: int, months: Sequence[MonthResult]) -> str:
    changes = {month.month: month.change for month in months if month.year == year}
    whole = 1.0
    for change in changes.values():
        whole *= 1 + change
    cells = "".join(_change(changes.get(number)) for number in range(1, 13))
    return f"<tr><th>{year}</th>{cells}{_change(whole - 1)}</tr>"


def _change(change: float | None) -> str:
    if change is None:
        return "<td></td>"
    kind = "up" if change > 0 else "down" if change < 0 else ""
    return f'<td class="{kind}">{change * 100:+z.1f}</td>'


def _rolling(sheet: Tearsheet) -> Iterable[str]:
    """Yield the results of the last trades, with how sure they are."""
    if not sheet.rolling:
        text = f"Needs {FEWEST_TRADES} closed trades whose risk is known."
        yield section("Expectancy and win rate of the last trades", f'<p class="dim">{text}</p>')
        return
    points, of = sheet.rolling, f"of the last {sheet.window} trades, with its 90 % interval"
    days = [day_text(point.at) for point in points]
    yield section(
        f"Expectancy {of}, R after costs",
        line_chart([p.expectancy for p in points], days, "Rolling expectancy", band=_band(points, "expectancy")),
    )
    yield section(
        f"Win rate {of}, % after costs",
        line_chart([100 * p.win_rate for p in points], days, "Rolling win rate", band=_band(points, "win_rate", 100)),
    )


def _band(points: Sequence[RollingResult], name: str, factor: float = 1) -> Band:
    lows, highs = ([factor * getattr(point, f"{name}_{end}") for point in points] for end in ("low", "high"))
    return Band(lows, highs)


def _r_chart(trades: Sequence[TradeSheet]) -> str:
    spread = r_distribution(result for trade in trades if (result := trade.trip.r_multiple) is not None)
    histogram = histogram_of(spread)
    return bar_chart(histogram.counts, histogram.labels, "Number of closed trades by R, bins of half an R")


def _ways(trades: Sequence[TradeSheet]) -> str:
    """Return how far trades went against and with their side, beside what they came to."""
    known = [
        (float(trade.worst), float(trade.best), float(result), "won" if trade.trip.net_pnl > 0 else "lost")
        for trade in trades
        if trade.worst is not None and trade.best is not None and (result := trade.trip.net_r_multiple) is not None
    ]
    if not known:
        return section("Worst and best on the way", '<p class="dim">No bars of the time that trades were held.</p>')
    worst = scatter_chart([Dot(worst, result, kind) for worst, _, result, kind in known], "Worst R against net R")
    best = scatter_chart([Dot(best, result, kind) for _, best, result, kind in known], "Best R against net R")
    note = (
        f'<p class="dim">{len(known)} of {len(trades)} trades have bars. Across: deepest loss (MAE) and highest gain '
        "(MFE) in R between entry and exit, by the bars; up: the result in R after costs.</p>"
    )
    return section(
        "Worst and best on the way, R",
        f'{note}<div class="two"><div><h3>Worst (MAE)</h3>{worst}</div><div><h3>Best (MFE)</h3>{best}</div></div>',
    )
