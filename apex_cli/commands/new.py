"""``apex new``: files of your own to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import Call, command
from apex_cli.core.errors import InputError
from apex_cli.presenters.screen.blocks import Line, Tone

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Write files of your own to start from.")


@app.callback()
def new() -> None:
    """Write files of your own to start from."""


@command("new strategy", "breakout", app=app)
def strategy(
    call: Call,
    name: Annotated[str, typer.Argument(help="Of the strategy and its file: small letters, digits, underscores.")],
) -> None:
    """Write a strategy and its test, beside the configuration or here. Nothing is ever overwritten."""
    from apex_cli.demo import write_strategy

    source = call.any_settings.source
    folder = source.parent if source is not None else Path.cwd()
    _require_name(name, folder)
    place = Path() if folder == Path.cwd() else folder
    files = write_strategy(place, name)
    step = f"apex replay --strategy {name}:on_bar"
    lines = [Line(text=f"wrote {path}", is_whole=True) for path in files]
    last = Line(text=f"next: {step}", tone=Tone.BOLD, is_whole=True)
    call.out.result({"files": [str(path) for path in files], "next": step}, (*lines, last))


def _require_name(name: str, folder: Path) -> None:
    """Refuse a name that Python could not import from *folder*, or would import from elsewhere."""
    from importlib.util import find_spec
    from keyword import iskeyword

    if not (name.isascii() and name.isidentifier() and name == name.lower()) or iskeyword(name):
        raise InputError(
            "usage", f"{name[:60]!r} cannot be the name of a strategy.", hint="Write it as in: mean_reversion"
        )
    if (folder / f"{name}.py").exists():
        return  # who writes it says so
    try:
        is_taken = find_spec(name) is not None
    except (ImportError, ValueError):
        is_taken = True
    if is_taken:
        raise InputError(
            "name_taken",
            f"{name!r} is a module that Python has already: a strategy of that name would not be found.",
            hint=f"Choose another name, such as {name}_strategy.",
        )
