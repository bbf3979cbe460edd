"""``apex close``: close positions, whole or in part, exits first."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apex_cli.commands.numbers import fraction as parse_fraction
from apex_cli.commands.numbers import positive_decimal
from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption, WaitOption
from apex_cli.core.errors import ApexError, ExitStatus, InputError, NothingToDo
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.outcome import Reason
from apex_cli.presenters.output import Output
from apex_cli.settings import Settings
from apex_cli.wiring import read_settings

if TYPE_CHECKING:
    from apex_cli.core.closing import Closed, CloseRequest

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex close TSLA --fraction 0.5 --yes")
def close(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols to close.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Close every position.")] = False,
    fraction: Annotated[
        Decimal | None,
        typer.Option(parser=parse_fraction, metavar="FRACTION", help="Part to close; 0.5 is half.", show_default=False),
    ] = None,
    quantity: Annotated[
        Decimal | None,
        typer.Option(parser=positive_decimal, metavar="UNITS", help="Units to close.", show_default=False),
    ] = None,
    limit: Annotated[
        Decimal | None,
        typer.Option(
            parser=positive_decimal, metavar="PRICE", help="Worst price; rests beside a stop.", show_default=False
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept as the round trip's exit reason.")] = "manual",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: WaitOption = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Close positions. Resting exits are cancelled or shrunk first; never more is sold than is held."""
    with Output("close", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        settings = read_settings(config)
        _check_options(symbols, everything=everything, fraction=fraction, quantity=quantity, limit=limit)
        requests = _requests(settings, symbols, fraction=fraction, quantity=quantity, limit=limit, reason=reason)
        _confirm(out, requests, yes=yes)
        closed, errors = _execute(settings, requests, wait)
        _report(out, closed, errors)


def _check_options(
    symbols: Sequence[str] | None,
    *,
    everything: bool,
    fraction: Decimal | None,
    quantity: Decimal | None,
    limit: Decimal | None,
) -> None:
    if bool(symbols) == everything:
        raise InputError("close_what", "Name symbols, or --all, not both.", hint="apex close MSFT, or apex close --all")
    if fraction is not None and quantity is not None:
        raise InputError("close_how_much", "--fraction and --quantity exclude each other.", hint="Give one of them.")
    if (quantity is not None or limit is not None) and (everything or len(symbols or ()) != 1):
        raise InputError("close_one", "--quantity and --limit need exactly one symbol.", hint="Name one symbol.")


def _requests(
    settings: Settings,
    symbols: Sequence[str] | None,
    *,
    fraction: Decimal | None,
    quantity: Decimal | None,
    limit: Decimal | None,
    reason: str,
) -> tuple[CloseRequest, ...]:
    from apex_cli.core.closing import CloseRequest, find_position
    from apex_cli.wiring import open_store

    state = open_store(settings).view()
    if symbols:
        names = [find_position(state, symbol).position.instrument.key for symbol in symbols]
    else:
        names = list(state.positions)
    if not names:
        raise NothingToDo("no_position", "There is no open position.")
    return tuple(
        CloseRequest(
            symbol=name,
            fraction=fraction,
            quantity=None if quantity is None else Quantity(quantity),
            limit_price=None if limit is None else Price(limit),
            reason=reason,
        )
        for name in dict.fromkeys(names)
    )


def _confirm(out: Output, requests: tuple[CloseRequest, ...], *, yes: bool) -> None:
    """Ask at a terminal; a script that says nothing is told to say ``--yes``."""
    names = ", ".join(request.symbol for request in requests)
    if yes:
        return
    if not out.can_prompt:
        raise InputError("confirmation_needed", f"Closing {names} needs a yes.", hint="Add --yes.")
    if not typer.confirm(f"Close {names}?", err=True):
        raise NothingToDo("not_confirmed", "Nothing was closed.")


def _execute(
    settings: Settings, requests: tuple[CloseRequest, ...], wait_s: float
) -> tuple[list[Closed], list[ApexError]]:
    import asyncio

    from apex_cli.wiring import executor_lock, make_parts

    with executor_lock(settings, wait_s):
        return asyncio.run(_close_all(make_parts, settings, requests))


async def _close_all(
    make_parts: Any,  # noqa: ANN401 - imported late
    settings: Settings,
    requests: tuple[CloseRequest, ...],
) -> tuple[list[Closed], list[ApexError]]:
    from apex_cli.core.closing import close_position
    from apex_cli.wiring import connected

    closed: list[Closed] = []
    errors: list[ApexError] = []
    async with connected(make_parts(settings)) as parts:
        for request in requests:
            try:
                closed.append(await close_position(parts.executor, request))
            except ApexError as error:
                errors.append(error)
    return closed, errors


def _report(out: Output, closed: list[Closed], errors: list[ApexError]) -> None:
    from apex_cli.presenters.closing import closed_blocks, closed_data

    if errors and not closed:
        raise errors[0]
    for error in errors:
        out.note(f"Error: {error.message}")
    status = ExitStatus.OK
    if any(row.status == "unknown" for row in closed):
        status = ExitStatus.UNKNOWN_OUTCOME
    elif errors:
        status = errors[0].status
    reasons = [Reason(code=error.code, message=error.message) for error in errors]
    out.result(closed_data(closed), closed_blocks(closed), status=status, reasons=reasons)
