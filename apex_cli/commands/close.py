"""``apex close``: close positions, whole or in part, while their exits rest."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.completion import held_names
from apex_cli.commands.options import Call, HandOverOption, YesOption, command, flag, part, positive
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.model.request import Closed, CloseRequest, WorkDone
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator


@command("close", "TSLA --fraction 0.5 --yes", live=True)
def close(
    call: Call,
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols, or the # of apex positions.", autocompletion=held_names)
    ] = None,
    everything: Annotated[bool, flag("Close every position.", "--all")] = False,
    fraction: Annotated[Decimal | None, part("Part to close; 0.5 is half.")] = None,
    quantity: Annotated[Decimal | None, positive("UNITS", "Units to close.")] = None,
    limit: Annotated[Decimal | None, positive("PRICE", "Worst price; rests beside a stop.")] = None,
    reason: Annotated[str, typer.Option(help="Kept as the round trip's exit reason.")] = "manual",
    yes: YesOption = False,
    wait: HandOverOption = 30,
) -> None:
    """Close positions. Exits rest until the closing order fills, and end with it; never more is sold than held."""
    out, settings = call.out, call.settings
    check_numbers(symbols or (), yes=yes)
    _check_options(symbols, everything=everything, fraction=fraction, quantity=quantity, limit=limit)
    from apex_cli.app.operator import CloseTerms, Operator, without_unfilled
    from apex_cli.notify import posting

    operator = Operator(settings, out, wait_s=wait)
    terms = CloseTerms(fraction=fraction, quantity=quantity, limit=limit, reason=reason)
    requests = operator.close_requests(symbols or (), terms)
    if not yes:
        out.warn(*operator.closing_warnings([request.symbol for request in requests]))
        _confirm(out, requests, operator)
    with posting(out, settings):
        done = operator.do(*requests)
        if everything:
            done = without_unfilled(done)
        if yes:  # who was asked has read them
            out.warn(*(warning for closed in done.all_of(Closed) for warning in closed.warnings))
        _report(out, done)


def check_numbers(symbols: Sequence[str], *, yes: bool) -> None:
    """Refuse a number that nobody looks at: another position may have it by now."""
    number = next((each for each in symbols if each.lower().removeprefix("p").isdecimal()), None)
    if yes and number is not None:
        raise InputError(
            "number_needs_a_look",
            f"With --yes, {number} may be another position by now.",
            hint=f"Name the symbol; a ticker that reads like a number with its currency, such as {number}@JPY.",
        )


def _check_options(
    symbols: Sequence[str] | None,
    *,
    everything: bool,
    fraction: Decimal | None,
    quantity: Decimal | None,
    limit: Decimal | None,
) -> None:
    if bool(symbols) == everything:
        problem = "Name symbols, or --all, not both." if everything else "Say what to close: symbols, or --all."
        raise InputError("close_what", problem, hint="apex close MSFT, or apex close --all")
    if fraction is not None and quantity is not None:
        raise InputError("close_how_much", "--fraction and --quantity exclude each other.", hint="Give one of them.")
    if (quantity is not None or limit is not None) and (everything or len(symbols or ()) != 1):
        raise InputError("close_one", "--quantity and --limit need exactly one symbol.", hint="Name one symbol.")


def _confirm(out: Output, requests: tuple[CloseRequest, ...], operator: Operator) -> None:
    """Ask at a terminal, with what is about to be closed; a script that says nothing has to say ``--yes``."""
    names = ", ".join(request.symbol for request in requests)
    if not out.can_prompt:
        raise InputError("confirmation_needed", f"Closing {names} needs a yes.", hint="Add --yes.")
    from apex_cli.core.positions.position_views import position_views
    from apex_cli.presenters.close import close_line, day_trade_line

    state, status = operator.view(), operator.day_trades()
    views = {view.symbol: view for view in position_views(state)}
    for request in requests:
        typer.echo(close_line(request, views.get(request.symbol)).text, err=True)
        typer.echo(day_trade_line(request, status).text, err=True)
    if not out.confirm(f"{operator.badge().text}: close {names}?"):
        raise NothingToDo("not_confirmed", "Nothing was closed.")


def _report(out: Output, done: WorkDone) -> None:
    from apex_cli.presenters.close import CLOSED, closed_blocks

    done.require_results()
    closed = done.all_of(Closed)
    out.result({"closed": CLOSED.rows(closed)}, closed_blocks(closed), status=done.status, reasons=done.reasons)
