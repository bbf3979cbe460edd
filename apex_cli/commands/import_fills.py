"""``apex import-fills``: take over the account's executions from a report, for the day-trade count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import AccountOption, Call, command, option
from apex_cli.core.errors import InputError


@command("import-fills", "trades.xml")
def import_fills(
    call: Call,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A report or trade list of your broker, or rows with our names; - reads standard input.",
        ),
    ] = None,
    flex_query: Annotated[
        str | None,
        option(
            "ID", "Fetch the report of this Flex query from Interactive Brokers. Needs APEX_FLEX_TOKEN.", "--flex-query"
        ),
    ] = None,
    account: AccountOption = None,
) -> None:
    """Take over executions made in other programs. They are counted; positions never change. Twice is harmless."""
    from apex_cli.app.day_trade_files import fetch_trades, read_trades
    from apex_cli.app.day_trade_files import import_fills as take_over
    from apex_cli.presenters.pdt_status import file_warnings, imported_blocks, imported_data

    out = call.out
    if (file is None) is (flex_query is None):
        raise InputError("usage", "Name a file, or --flex-query.", hint="Example: apex import-fills trades.xml")
    settings = call.settings
    report = (
        read_trades(settings, file, account or "")
        if file is not None
        else fetch_trades(settings, flex_query or "", account or "")
    )
    out.detail(f"Taken as: {report.source}")
    out.warn(*file_warnings(report))
    imported, partial = take_over(settings, report)
    out.result(imported_data(imported, partial=partial), imported_blocks(imported, partial=partial))
