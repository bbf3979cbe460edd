"""``apex cancel``: cancel what is left of entries; exits protect and stay."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.commands.completion import entry_names
from apex_cli.commands.options import Call, HandOverOption, YesOption, command


@command("cancel", "MSFT --yes", live=True)
def cancel(
    call: Call,
    names: Annotated[
        list[str], typer.Argument(help="Securities, or the # of apex orders.", autocompletion=entry_names)
    ],
    yes: YesOption = False,
    wait: HandOverOption = 30,
) -> None:
    """Cancel entries that have not filled, or what is left of them. What has filled keeps its exits."""
    out, settings = call.out, call.settings
    from apex_cli.app.operator import Operator
    from apex_cli.core.model.request import EntriesCancelled, EntryCancel
    from apex_cli.notify import posting
    from apex_cli.presenters.close import CANCELLED

    operator = Operator(settings, out, wait_s=wait)
    out.badge = operator.badge()
    entries = operator.entries(names)
    if not yes:
        words = ", ".join(entries.values())
        out.require_yes(
            f"{operator.badge().text}: cancel {words}?",
            f"Cancelling {words} needs a yes.",
            "Nothing was cancelled.",
        )
    with posting(out, settings):
        done = operator.do(*(EntryCancel(symbol=symbol) for symbol in entries))
        cancelled = done.all_of(EntriesCancelled)
        data, grid = {"cancelled": CANCELLED.rows(cancelled)}, CANCELLED.grid(cancelled)
        out.result(data, (grid,), status=done.status, reasons=done.reasons)
