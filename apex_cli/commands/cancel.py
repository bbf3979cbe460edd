"""``apex cancel``: cancel what is left of entries; exits protect and stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.completion import entry_names
from apex_cli.commands.options import Call, HandOverOption, command
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator


@command("cancel", "MSFT --yes", live=True)
def cancel(
    call: Call,
    names: Annotated[
        list[str], typer.Argument(help="Securities, or the # of apex orders.", autocompletion=entry_names)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: HandOverOption = 30,
) -> None:
    """Cancel entries that have not filled, or what is left of them. What has filled keeps its exits."""
    out, settings = call.out, call.settings
    from apex_cli.app.operator import Operator
    from apex_cli.core.model.request import EntriesCancelled, EntryCancel
    from apex_cli.notify import posting
    from apex_cli.presenters.close import cancelled_blocks, cancelled_data

    operator = Operator(settings, out, wait_s=wait)
    out.badge = operator.badge()
    entries = operator.entries(names)
    if not yes:
        _ask(out, operator, ", ".join(entries.values()))
    with posting(out, settings):
        done = operator.do(*(EntryCancel(symbol=symbol) for symbol in entries))
        cancelled = done.all_of(EntriesCancelled)
        out.result(cancelled_data(cancelled), cancelled_blocks(cancelled), status=done.status, reasons=done.reasons)


def _ask(out: Output, operator: Operator, entries: str) -> None:
    if not out.can_prompt:
        raise InputError("confirmation_needed", f"Cancelling {entries} needs a yes.", hint="Add --yes.")
    if not out.confirm(f"{operator.badge().text}: cancel {entries}?"):
        raise NothingToDo("not_confirmed", "Nothing was cancelled.")
