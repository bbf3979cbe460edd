"""``apex drift``: live trading beside a replay of the same days."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from apex_cli.app.resources import machine_time
from apex_cli.commands.options import Call, command, option, part, session
from apex_cli.core.errors import ConfigError


@command("drift", "--signals all-signals.csv --from 2026-09-01")
def drift(
    call: Call,
    signals: Annotated[
        list[Path] | None,
        option(
            "FILE",
            "File or folder of every signal that there was, received or not; repeatable. Default: the journal's.",
            "--signals",
            "-s",
        ),
    ] = None,
    bars: Annotated[Path | None, option("DIR", "Folder with one SYMBOL.csv each. Default: prices.bars_dir.")] = None,
    first: Annotated[datetime | None, session("First session. Default: the journal's.", "--from")] = None,
    last: Annotated[datetime | None, session("Last session. Default: the journal's.", "--to")] = None,
    tolerance: Annotated[Decimal, part("Part of the price by which a fill may differ.")] = Decimal("0.001"),
    seed: Annotated[int, typer.Option(help="For the intervals.")] = 1,
) -> None:
    """Compare live trading with a replay of the same days: signals missed, fills, exits, expectancy."""
    from apex_cli.app import drift_check as comparing
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
