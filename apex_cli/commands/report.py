"""``apex report``: the results of trading, in the terminal, as JSON, or as a page to print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from apex_cli.app.resources import badge_of, open_journal
from apex_cli.commands.options import BenchmarkOption, Call, command, option, session
from apex_cli.core.errors import InputError
from apex_cli.presenters.screen.output import Output, is_terminal
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from apex_cli.core.reports.trade_report import Span, TradeReport


@command("report", "--from 2026-11-01 --html november.html")
def report(
    call: Call,
    first: Annotated[datetime | None, session("First session.", "--from")] = None,
    last: Annotated[datetime | None, session("Last session.", "--to")] = None,
    html: Annotated[Path | None, option("FILE", "Write a page with charts, to be read or printed.", "--html")] = None,
    png: Annotated[
        Path | None, option("FILE", "Write one picture: key numbers and charts. Extra: png.", "--png")
    ] = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Show what trading came to: trades, expectancy, drawdown, refusals, slippage, costs, day trades."""
    from apex_cli.core.reports.trade_report import Span
    from apex_cli.presenters.report import report_blocks, report_data

    out = call.out
    if first and last and first > last:
        raise InputError("span_invalid", f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}.", hint="Swap them.")
    if png is not None:
        from apex_cli.presenters.pages.raster import require_png

        require_png()
    span = Span(first=first.date() if first else None, last=last.date() if last else None)
    found = build(out, call.settings, span, keeps_trades=html is not None)
    data = report_data(found)
    title = f"{TITLE} · {(out.named_badge() or badge_of(call.settings)).text}"
    written = {}
    if html is not None or png is not None:
        from apex_cli.app.report_pages import report_page, write_pages
        from apex_cli.presenters.pages.picture import report_picture

        page = partial(report_page, found, call.settings, title, benchmark)
        written = write_pages(html, png, page, partial(report_picture, found, title))
    for path in written.values():
        out.note(f"Written: {path}")
    out.result(data | written, report_blocks(found))


def build(out: Output, settings: Settings, span: Span, *, keeps_trades: bool = False) -> TradeReport:
    """Return the report, read from the journal event by event."""
    from apex_cli.app.report_pages import read_report

    with _progress(out, open_journal(settings).size()) as on_bytes:
        return read_report(settings, span, keeps_trades=keeps_trades, on_bytes=on_bytes)


@contextmanager
def _progress(out: Output, total: int) -> Iterator[Callable[[int], None] | None]:
    """Draw a bar at a terminal while a long journal is read."""
    import sys

    if out.quiet or out.as_json or total < SHORT_JOURNAL or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading the journal"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


SHORT_JOURNAL = 20_000_000
"""Bytes up to which no bar is worth its drawing."""


TITLE = "Trade report"
