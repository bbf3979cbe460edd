"""``apex schema``: the JSON Schema of what a command prints with ``--json``."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.commands.options import Call, command
from apex_cli.core.errors import InputError
from apex_cli.presenters.screen.blocks import Line


def _complete(incomplete: str) -> list[str]:
    from apex_cli.presenters.contract import DATA

    return [name for name in DATA if name.startswith(incomplete)]


@command("schema", "positions > positions.schema.json", config=False)
def schema(
    call: Call,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]", help="The command, such as state check.", autocompletion=_complete),
    ] = None,
) -> None:
    """Print the JSON Schema of a command's output with --json; without a command, the commands that have one."""
    import json

    from apex_cli.presenters.contract import DATA, EVENTS, envelope_schema, event_schema

    name = " ".join(command or ())
    if not name:
        names = [*DATA, EVENTS]
        call.out.result({"commands": names}, tuple(Line(text=each) for each in names))
        return
    if name != EVENTS and name not in DATA:
        from apex_cli.core.text.problems import suggest

        guess = suggest(name, DATA)
        hint = f"Did you mean {guess}?" if guess else "apex schema lists them all."
        raise InputError("schema_unknown", f"There is no schema of {name!r}.", hint=hint)
    found = event_schema() if name == EVENTS else envelope_schema(name)
    call.out.result(found, tuple(Line(text=line, is_whole=True) for line in json.dumps(found, indent=2).splitlines()))
