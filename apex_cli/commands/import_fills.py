"""``apex import-fills``: take over the account's executions from a report, for the day-trade count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.app.resources import read_settings
from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.presenters.output import Output

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex import-fills trades.xml")
def import_fills(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="IB Flex XML, CSV or JSON; - reads standard input.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take over executions made in other programs. They are counted; positions never change. Twice is harmless."""
    with Output("import-fills", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.app.day_trade_files import import_fills as take_over
        from apex_cli.presenters.pdt_status import imported_blocks, imported_data

        imported, partial = take_over(read_settings(config), file)
        out.result(imported_data(imported, partial=partial), imported_blocks(imported, partial=partial))
