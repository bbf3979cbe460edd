"""Pages of a report and of a replay, with the bars that are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import open_journal, write_page
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.plans import PLAN_KINDS
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.core.reports.tearsheet import make_tearsheet
from apex_cli.core.reports.trade_report import KINDS, ReportBuilder, Span, TradeReport, final_bookings
from apex_cli.presenters.pages.tearsheet_page import replay_tearsheet, report_tearsheet
from apex_cli.presenters.screen.blocks import Cell, Fields
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.replayer import ReplayOptions

MARKET = "SPY"
"""What a curve is compared with where its bars are there and no other symbol is named."""


def read_report(
    settings: Settings,
    span: Span,
    *,
    keeps_trades: bool = False,
    since: datetime | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> TradeReport:
    """Return the report of *span*, read from the journal event by event; with *keeps_trades* every trade with its plan.

    Months before *since* are not read: what happened in them is not known. *on_bytes* hears how many bytes were read.
    """
    kinds, capital = KINDS | PLAN_KINDS if keeps_trades else KINDS, settings.risk.capital
    journal = open_journal(settings)
    builder = ReportBuilder(span, capital=capital, keeps_trades=keeps_trades)
    builder.add_all(journal.scan(kinds, since, on_bytes))
    if builder.has_corrections:  # a late or corrected fill: read again, with what counts in the end
        builder = ReportBuilder(span, capital=capital, final=final_bookings(journal), keeps_trades=keeps_trades)
        builder.add_all(journal.scan(kinds, since))
    return builder.report()


def report_page(found: TradeReport, settings: Settings, title: str, benchmark: str | None) -> str:
    """Return the page of a report that holds its trades; bars that cannot be found are left out.

    Raises:
        InputError: there are no bars of *benchmark*.
    """
    try:
        bars = open_bars(settings)
    except (ConfigError, InputError):  # what was traded can be read without prices
        bars = None
    symbol = _benchmark(benchmark, bars)
    return report_tearsheet(
        found, make_tearsheet(found.trades, found.plans, found.values, bars, symbol), terms_of(settings), title
    )


def replay_page(found: ReplayReport, settings: Settings, options: ReplayOptions, benchmark: str | None) -> str:
    """Return the page of a replay.

    Raises:
        InputError: there are no bars of *benchmark*.
    """
    from apex_cli.app.replayer import bars_of

    bars = bars_of(settings, options)
    alone = found.symbols[0] if len(found.symbols) == 1 else ""
    symbol = _benchmark(benchmark, bars) or alone
    sheet = make_tearsheet(found.trades, found.plans, found.values, bars, symbol)
    return replay_tearsheet(found, sheet, terms_of(settings))


def write_pages(
    html: Path | None, png: Path | None, page: Callable[[], str], picture: Callable[[], str]
) -> dict[str, str]:
    """Write the page to *html* and the picture, as SVG, to *png*, where these are given; return where.

    Raises:
        InputError: one cannot be written there.
    """
    written = {}
    if html is not None:
        written["html"] = str(write_page(html, page(), form="html"))
    if png is not None:
        from apex_cli.presenters.pages.raster import png_of

        written["png"] = str(write_page(png, png_of(picture()), form="png"))
    return written


def _benchmark(named: str | None, bars: CsvBars | None) -> str:
    """Return the symbol to compare with, empty for none."""
    known = bars.symbols() if bars is not None else ()
    symbol = (named or MARKET).upper()
    if symbol in known:
        return symbol
    if named is None:
        return ""
    hint = f"Known are: {', '.join(known[:20])}" if known else "Set prices.bars_dir to a folder with its bars."
    raise InputError("benchmark_unknown", f"There are no bars of {symbol} to compare with.", hint=hint)


def terms_of(settings: Settings) -> Fields:
    """Return the settings that decide how much is traded and how."""
    risk, execution = settings.risk, settings.execution
    rows = (
        ("Capital", f"{risk.capital:,f} {account_currency()}"),
        ("Risk of a trade", f"{risk.max_risk_pct * 100:.4g} %"),
        ("Position at most", f"{risk.max_position_pct * 100:.4g} %"),
        ("Positions at most", str(risk.max_positions)),
        ("Without asking", "yes" if execution.auto_execute else "no"),
        ("Stages", ", ".join(settings.pipeline.stages) or "none"),
        ("Learning", str(settings.learning.mode)),
    )
    return Fields(title="Settings", rows=tuple((name, Cell(text)) for name, text in rows))
