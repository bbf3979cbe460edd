"""``apex init``: a commented configuration, and with ``--demo`` something to try it on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import Call, common
from apex_cli.presenters.blocks import Line

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex init --demo demo && cd demo && apex run --once")
@common("init", config=False)
def init(
    call: Call,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; made when missing.")] = Path(),
    demo: Annotated[bool, typer.Option("--demo", help="With real daily bars and signals that fit them.")] = False,
) -> None:
    """Write a commented config.yaml. Nothing is ever overwritten."""
    from apex_cli.demo import write_config, write_demo

    out = call.out
    files = write_demo(folder) if demo else [write_config(folder)]
    into = f"cd {folder} && " if folder != Path() else ""
    next_step = f"{into}apex run --once" if demo else f"{into}apex doctor"
    lines = [Line(text=f"wrote {path}") for path in files]
    out.result({"files": [str(path) for path in files], "next": next_step}, (*lines, Line(text=f"next: {next_step}")))
