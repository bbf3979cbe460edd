"""``apex explain``: the whole way of one signal, from the journal."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import open_journal, open_store
from apex_cli.commands.completion import recent_names
from apex_cli.commands.options import Call, command
from apex_cli.core.errors import InputError


@command("explain", "demo-msft-breakout")
def explain(
    call: Call,
    identity: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A symbol, the # of a list, or the id of a signal, approval or order.",
            autocompletion=recent_names,
        ),
    ] = None,
) -> None:
    """Show every step of one signal: decision, checks, size, orders, fills, result.

    Without an ID it lists the recent signals, the newest first.
    """
    from apex_cli.core.reports.handles import read_story, subjects_of
    from apex_cli.core.reports.story import recent_signals
    from apex_cli.presenters.explain import RECENT, explain_blocks, explain_data, recent_blocks

    out = call.out
    journal = open_journal(call.settings)
    if identity is None:
        recent = recent_signals(journal.events())
        out.result({"signals": RECENT.rows(recent)}, recent_blocks(recent))
        return
    subjects = subjects_of(journal, open_store(call.settings).view(), identity)
    if not subjects:
        raise InputError(
            "unknown_id",
            f"The journal knows nothing of {identity!r}.",
            hint="apex explain lists recent signals; the # of apex orders and apex history works, too.",
        )
    stories = [read_story(journal, subject) for subject in subjects]
    out.result(explain_data(stories), tuple(block for story in stories for block in explain_blocks(story)))
