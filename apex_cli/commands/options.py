"""Options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.numbers import seconds

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file. Default: $APEX_CONFIG, ./config.yaml, then your config folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the result, warnings and errors.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on the way.")]
WaitOption = Annotated[
    float,
    typer.Option("--wait", parser=seconds, metavar="SECONDS", help="How long to wait while another process runs."),
]

LiveOption = Annotated[
    bool,
    typer.Option("--live", help="Allow orders to a live account, where broker.ib.mode is live. Also: APEX_LIVE=1."),
]
HandOverOption = Annotated[
    float,
    typer.Option(
        "--wait",
        parser=seconds,
        metavar="SECONDS",
        help="How long a running apex may take to do it; 0: end with status 7 when one runs.",
    ),
]
