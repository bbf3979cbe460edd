"""``apex pdt-status``: how many day trades are used, and how many are left."""

from __future__ import annotations

import typer

from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.presenters.output import Output
from apex_cli.wiring import read_settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex pdt-status --json")
def pdt_status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Count day trades over the stored fills, by the classic pattern-day-trader rule."""
    with Output("pdt-status", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        import asyncio

        from apex_cli.core.day_trades import DayTradeCounter, is_partial
        from apex_cli.core.rules.calendar import session_date
        from apex_cli.presenters.day_trades import day_trade_blocks, day_trade_data
        from apex_cli.wiring import make_parts

        settings = read_settings(config)
        parts = make_parts(settings, read_only=True)
        state = parts.store.view()
        now = parts.clock.now()
        account = asyncio.run(parts.broker.account())
        status = DayTradeCounter(settings.day_trades)(state, account, now)
        session = session_date(now)
        source = f"configuration: day_trades.regime {settings.day_trades.regime}; simulated account"
        partial = is_partial(state, session, settings.day_trades)
        out.result(
            day_trade_data(status, session=session.isoformat(), source=source, partial=partial),
            day_trade_blocks(status, session=session.isoformat(), source=source, partial=partial),
        )
