"""``apex explain``: the whole way of one signal, from the journal."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import open_journal, read_settings
from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.core.errors import InputError
from apex_cli.presenters.output import Output

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex explain demo-msft-breakout")
def explain(
    identity: Annotated[
        str,
        typer.Argument(metavar="ID", help="Signal, approval, bracket or order id, or a symbol.", show_default=False),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show every step of one signal: decision, checks, size, orders, fills, result."""
    with Output("explain", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.core.reports.story import find_subjects, story_of
        from apex_cli.presenters.explain import explain_blocks, explain_data

        journal = open_journal(read_settings(config))
        subjects = find_subjects(journal.events(), identity)
        if not subjects:
            raise InputError(
                "unknown_id",
                f"The journal knows nothing of {identity!r}.",
                hint="apex history and apex orders show ids.",
            )
        stories = [story_of(subject, journal.events(subject=subject)) for subject in subjects]
        out.result(explain_data(stories), tuple(block for story in stories for block in explain_blocks(story)))
