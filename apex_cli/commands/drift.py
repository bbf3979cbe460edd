"""``apex drift``: live trading beside a replay of the same days."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import Call, command, day, fraction
from apex_cli.core.errors import ConfigError


@command("drift", "--signals all-signals.csv --from 2026-09-01")
def drift(
    call: Call,
    signals: Annotated[
        list[Path] | None,
        typer.Option(
            "--signals",
            "-s",
            metavar="FILE",
            help="File or folder of every signal that there was, received or not; repeatable. Default: the journal's.",
        ),
    ] = None,
    bars: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with one SYMBOL.csv each. Default: prices.bars_dir."),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", parser=day, help="First session. Default: the journal's."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", parser=day, help="Last session. Default: the journal's.")
    ] = None,
    tolerance: Annotated[
        Decimal,
        typer.Option(parser=fraction, metavar="FRACTION", help="Part of the price by which a fill may differ."),
    ] = Decimal("0.001"),
    seed: Annotated[int, typer.Option(help="For the intervals.")] = 1,
) -> None:
    """Compare live trading with a replay of the same days: signals missed, fills, exits, expectancy."""
    from apex_cli.app import drift_check as comparing
    from apex_cli.app.resources import machine_time
    from apex_cli.presenters.drift import drift_blocks, drift_data

    settings = call.settings
    folder = bars or settings.prices.bars_dir
    if folder is None:
        hint = "Name a folder with --bars, or set prices.bars_dir."
        raise ConfigError("bars_missing", "A replay of the same days needs bars.", hint=hint)
    options = comparing.DriftOptions(
        bars_dir=folder.absolute(),
        signals=tuple(signals or ()),
        first=first.date() if first else None,
        last=last.date() if last else None,
        seed=seed,
        tolerance=tolerance,
    )
    with call.out.progress("replaying") as on_step:
        found = comparing.find_drift(settings, options, on_step)
    comparing.keep_note(settings, found, machine_time())
    call.out.result(drift_data(found), drift_blocks(found))
