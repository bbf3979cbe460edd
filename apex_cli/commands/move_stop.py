"""``apex move-stop``: move the stops of a position, only tighter unless that is confirmed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.close import check_numbers
from apex_cli.commands.completion import held_names
from apex_cli.commands.options import Call, HandOverOption, YesOption, command, flag, positive_decimal
from apex_cli.core.errors import InputError, RefusedError
from apex_cli.core.model.money import Price
from apex_cli.core.model.request import StopRequest, StopsMoved
from apex_cli.presenters.screen.formats import price
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator
    from apex_cli.core.positions.position_views import PositionView


@command("move-stop", "AAPL 22.80 --yes", live=True)
def move_stop(
    call: Call,
    symbol: Annotated[str, typer.Argument(help="Symbol, or the # of apex positions.", autocompletion=held_names)],
    price: Annotated[
        Decimal | None, typer.Argument(parser=positive_decimal, metavar="[PRICE]", help="Where to.")
    ] = None,
    break_even: Annotated[bool, flag("To the entry price.", "--break-even")] = False,
    wider: Annotated[bool, flag("Also where more may be lost than before.", "--wider")] = False,
    yes: YesOption = False,
    wait: HandOverOption = 30,
) -> None:
    """Move the stops of a position. Farther from the price only with --wider, or after a second question."""
    out, settings = call.out, call.settings
    check_numbers((symbol,), yes=yes)
    if (price is None) is not break_even:
        both = "Name a price, or --break-even, not both."
        problem = both if break_even else "Say where to: a price, or --break-even."
        raise InputError("stop_where", problem, hint=f"apex move-stop {symbol} 22.80")
    from apex_cli.app.operator import Operator
    from apex_cli.notify import posting
    from apex_cli.presenters.close import MOVED

    operator = Operator(settings, out, wait_s=wait)
    out.badge = operator.badge()
    view = operator.position(symbol)
    to = None if price is None else Price(price)
    if not yes:
        _ask(out, operator, _question(view, to))
    with posting(out, settings):
        try:
            moved = operator.do(StopRequest(symbol=view.symbol, stop_price=to, widens=wider)).the(StopsMoved)
        except RefusedError as error:
            if error.code != "stop_widens" or yes or not out.can_prompt:
                raise
            _ask(out, operator, f"{error.message} Risk more?")
            moved = operator.do(StopRequest(symbol=view.symbol, stop_price=to, widens=True)).the(StopsMoved)
    out.result(MOVED.data(moved), (MOVED.grid((moved,)),))


def _question(view: PositionView, to: Price | None) -> str:
    goes = price(view.entry_price if to is None else to)
    return (
        f"{view.symbol} {view.side} is at {price(view.current_price)}. "
        f"Move its stop from {price(view.stop_price)} to {goes}?"
    )


def _ask(out: Output, operator: Operator, question: str) -> None:
    question = f"{operator.badge().text}: {question}"
    out.require_yes(question, "Moving a stop needs a yes.", "Nothing was moved.")
