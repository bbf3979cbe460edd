"""``apex reconcile``: compare the state with the broker's own books, and correct what differs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from apex_cli.commands.options import Call, HandOverOption, command, flag, option, positive, positive_decimal
from apex_cli.core.errors import ExitStatus, InputError
from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import Reconciliation
from apex_cli.core.model.request import Reconciled, ReconcileRequest, WorkDone
from apex_cli.presenters.screen.output import Output


@command("reconcile", "--repair")
def reconcile(
    call: Call,
    repair: Annotated[bool, flag("Correct what needs no decision of yours.", "--repair")] = False,
    adopt: Annotated[str, option("SYMBOL", "The broker's position is ours now.", "--adopt")] = "",
    ignore: Annotated[str, option("SYMBOL", "The broker's position is not ours.", "--ignore")] = "",
    split: Annotated[str, option("SYMBOL", "Take over a split, as proposed.", "--split")] = "",
    stop: Annotated[Decimal | None, positive("PRICE", "Stop of what is adopted.")] = None,
    no_stop: Annotated[bool, flag("Adopt without a stop, and be alarmed.", "--no-stop")] = False,
    price: Annotated[
        Decimal | None, positive("PRICE", "What the difference was traded at, if the broker does not report.")
    ] = None,
    wait: HandOverOption = 30,
) -> None:
    """Compare orders, fills and positions with the broker's. What differs is locked for openings until it is cleared.

    Ends with 0 when nothing differs, 6 when something does, 5 when the broker cannot be asked.
    """
    out = call.out
    _check_options(adopt=adopt, ignore=ignore, split=split, stop=stop, no_stop=no_stop, price=price)
    settings = call.settings
    if adopt and stop is None and not no_stop:
        stop = _ask_for_stop(out, adopt)
    request = ReconcileRequest(
        repair=repair,
        adopt=adopt,
        ignore=ignore,
        split=split,
        stop_price=None if stop is None else Price(stop),
        without_stop=no_stop,
        price=None if price is None else Price(price),
    )
    from apex_cli.app.operator import Operator

    _report(out, Operator(settings, out, wait_s=wait).do(request))


def _check_options(
    *, adopt: str, ignore: str, split: str, stop: Decimal | None, no_stop: bool, price: Decimal | None
) -> None:
    if sum(map(bool, (adopt, ignore, split))) > 1:
        raise InputError(
            "adopt_or_ignore", "--adopt, --ignore and --split exclude each other.", hint="Give one of them."
        )
    if not adopt and (stop is not None or no_stop or price is not None):
        raise InputError("adopt_what", "--stop, --no-stop and --price belong to --adopt.", hint="Add --adopt SYMBOL.")
    if stop is not None and no_stop:
        raise InputError("stop_or_none", "--stop and --no-stop exclude each other.", hint="Give one of them.")


def _ask_for_stop(out: Output, symbol: str) -> Decimal | None:
    """Ask at a terminal; nothing typed leaves it to the core, which says whether a stop is needed."""
    if not out.can_prompt:
        return None
    question = f"Stop price for {symbol} (empty when it needs none)"
    text = typer.prompt(question, default="", show_default=False, err=True)
    return positive_decimal(text) if text else None


def _report(out: Output, done: WorkDone) -> None:
    from apex_cli.presenters.reconcile import reconciled_blocks, reconciled_data

    found = done.the(Reconciled).found
    reasons = _reasons(found)
    status = ExitStatus.UNKNOWN_OUTCOME if reasons else ExitStatus.OK
    out.result(reconciled_data(found), reconciled_blocks(found), status=status, reasons=reasons)


def _reasons(found: Reconciliation) -> tuple[Reason, ...]:
    """Return why it is not over: each difference that stays."""
    return tuple(
        Reason(code=each.code, message=f"{each.message} {each.correction.message}", limit=each.theirs, value=each.ours)
        for each in found.open_breaks
    )
