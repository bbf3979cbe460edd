"""``apex orders``: what rests at the broker, and what became of the rest."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import read_settings
from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.presenters.output import Output

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex orders --symbol MSFT --all")
def orders(
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Finished orders of the last sessions, too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show working orders."""
    with Output("orders", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.app.resources import open_store
        from apex_cli.presenters.orders import orders_blocks, orders_data

        state = open_store(read_settings(config)).view()
        shown = [
            record
            for record in state.orders.values()
            if (everything or record.is_open) and (symbol is None or record.order.instrument.symbol == symbol.upper())
        ]
        out.result(orders_data(shown), orders_blocks(shown))
