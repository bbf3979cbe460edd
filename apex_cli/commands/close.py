"""``apex close``: close positions, whole or in part, exits first."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from apex_cli.app.resources import allow_live, read_settings
from apex_cli.commands.numbers import fraction as parse_fraction
from apex_cli.commands.numbers import positive_decimal
from apex_cli.commands.options import ConfigOption, HandOverOption, JsonOption, LiveOption, QuietOption, VerboseOption
from apex_cli.core.errors import BrokerError, InputError, NothingToDo
from apex_cli.core.model.decision import Reason
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.request import Closed, CloseRequest, WorkDone
from apex_cli.presenters.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.state.tables import State

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
    wait: HandOverOption = 30,
    live: LiveOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Close positions. Resting exits are cancelled or shrunk first; never more is sold than is held."""
    with Output("close", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        settings = allow_live(read_settings(config), live)
        _check_options(symbols, everything=everything, fraction=fraction, quantity=quantity, limit=limit)
        requests = _requests(settings, symbols, fraction=fraction, quantity=quantity, limit=limit, reason=reason)
        if not yes:
            out.warn(*_day_trade_warnings(settings, requests))
        _confirm(out, requests, yes=yes)
        from apex_cli.app.handover import get_done
        from apex_cli.notify import posting

        with posting(out, settings):
            done = get_done(out, settings, requests, wait)
            if everything:
                done = _without_unfilled(done)
            if yes:  # who was asked has read them
                out.warn(
                    *(warning for result in done.results if isinstance(result, Closed) for warning in result.warnings)
                )
            _report(out, done)


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
    from apex_cli.app.resources import open_store

    state = open_store(settings).view()
    names = [_name_of(state, symbol) for symbol in symbols] if symbols else [*state.positions, *_maybe_filled(state)]
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


def _name_of(state: State, symbol: str) -> str:
    """Return the key of the position that *symbol* names, or of an entry that may have filled since the last look."""
    from apex_cli.core.execution.closer import find_position

    try:
        return find_position(state, symbol).position.instrument.key
    except NothingToDo:
        for key in _maybe_filled(state):
            if symbol.upper() in {key.partition("@")[0], key.upper()}:
                return key
        raise


def _maybe_filled(state: State) -> list[str]:
    """Return the securities with working entries: they may have filled since the last look."""
    return [record.order.instrument.key for record in state.orders.open() if record.order.role == "ENTRY"]


def _without_unfilled(done: WorkDone) -> WorkDone:
    """Return *done* without what turned out not to be held; kept when nothing at all was."""
    held = tuple(failure for failure in done.failures if failure.code != "no_position")
    if not done.results and not held:
        raise NothingToDo("no_position", "There is no open position.")
    return replace(done, failures=held)


def _day_trade_warnings(settings: Settings, requests: tuple[CloseRequest, ...]) -> tuple[Reason, ...]:
    """Return what the day-trading rules warn of; nothing when that cannot be told: a close is never held up by it."""
    import asyncio

    from apex_cli.app.compose import look_at_account, make_parts
    from apex_cli.core.day_trades.counter import DayTradeCounter, closing_warnings
    from apex_cli.core.market.calendar import CalendarEndError

    parts = make_parts(settings, read_only=True)
    state = parts.store.view()
    try:
        account = asyncio.run(look_at_account(parts))
        status = DayTradeCounter(settings.day_trades)(state, account, parts.clock.now())
    except (BrokerError, CalendarEndError):
        return ()
    return closing_warnings(state, [request.symbol for request in requests], status, account)


def _confirm(out: Output, requests: tuple[CloseRequest, ...], *, yes: bool) -> None:
    """Ask at a terminal; a script that says nothing is told to say ``--yes``."""
    names = ", ".join(request.symbol for request in requests)
    if yes:
        return
    if not out.can_prompt:
        raise InputError("confirmation_needed", f"Closing {names} needs a yes.", hint="Add --yes.")
    if not typer.confirm(f"Close {names}?", err=True):
        raise NothingToDo("not_confirmed", "Nothing was closed.")


def _report(out: Output, done: WorkDone) -> None:
    from apex_cli.app.handover import as_error, reasons_of, status_of
    from apex_cli.presenters.close import closed_blocks, closed_data

    if done.failures and not done.results:
        raise as_error(done.failures[0])
    closed = [result for result in done.results if isinstance(result, Closed)]
    out.result(closed_data(closed), closed_blocks(closed), status=status_of(done), reasons=reasons_of(done))
