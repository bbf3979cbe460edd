"""``apex export``: closed trades, fills, orders, equity and tax lots for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.app.resources import open_journal, write_page
from apex_cli.commands.options import Call, command, option
from apex_cli.core.errors import InputError
from apex_cli.core.model.wording import counted
from apex_cli.presenters.screen.blocks import Line

BINARY = {"parquet", "xlsx"}


@command("export", "trades --format csv > trades.csv")
def export(
    call: Call,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="trades, fills, orders, equity or lots.")],
    form: Annotated[str, option("FORMAT", "csv, json, parquet or xlsx.", "--format")] = "csv",
    target: Annotated[Path | None, option("FILE", "Where to write. Default: standard output.", "--out")] = None,
) -> None:
    """Write a table for other programs. Lots are first in, first out; wash sales are marked as a hint, no advice."""
    from apex_cli.app.exports import ExportKind, export_table
    from apex_cli.commands.report import build
    from apex_cli.core.adapters.table_file import TableFormat, records, table_bytes
    from apex_cli.core.reports.handles import closed_round_trips
    from apex_cli.core.reports.trade_report import Span

    if what not in set(ExportKind):
        raise InputError("usage", f"There is no export of {what!r}.", hint=f"Known are: {', '.join(ExportKind)}.")
    if form not in set(TableFormat):
        raise InputError("usage", f"There is no format {form!r}.", hint=f"Known are: {', '.join(TableFormat)}.")
    if target is None and form in BINARY and not call.out.as_json:
        raise InputError("usage", f"{form} is no text for a terminal.", hint="Name a file with --out.")
    kind = ExportKind(what)
    trips = closed_round_trips(open_journal(call.settings)) if kind is ExportKind.TRADES else ()
    curve = build(call.out, call.settings, Span()).curve if kind is ExportKind.EQUITY else ()
    table = export_table(call.settings, kind, trips=trips, curve=curve)
    data = {"what": what, "columns": list(table.names), "count": len(table.rows)}
    if target is not None:
        write_page(target, table_bytes(table.names, table.rows, TableFormat(form)), form=form)
        done = Line(text=f"{counted(len(table.rows), 'row')} written to {target}")
        call.out.result(data | {"file": str(target)}, (done,))
        return
    text = table_bytes(table.names, table.rows, TableFormat(form)).decode() if form not in BINARY else ""
    lines = tuple(Line(text=line, is_whole=True) for line in text.splitlines())
    call.out.result(data | {"rows": records(table.names, table.rows)}, lines)
