"""``apex status``: where things stand, and what to do next; also what ``apex`` alone shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from apex_cli.commands.options import Call, command
from apex_cli.core.errors import ApexError
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.presenters.status import Standing
    from apex_cli.settings.sections import Settings


@command("status", "--json")
def status(call: Call) -> None:
    """Show account, trading state, positions, approvals, day trades, alarms, and what to do next."""
    from apex_cli.presenters.status import status_blocks, status_data

    standing = _look(call.settings)
    call.out.badge = standing.badge
    call.out.result(status_data(standing), status_blocks(standing))


def show_start(groups: Mapping[str, Mapping[str, str]]) -> None:
    """Show the status, as far as there is one, and the commands by what they are for."""
    from apex_cli.presenters.status import groups_blocks, status_blocks

    with Output("apex") as out:
        listed = groups_blocks([(title, list(names)) for title, names in groups.items()])
        try:
            standing = _look(Call(out, None, profile="", is_live=False).settings)
        except ApexError as error:
            out.note(
                f"{error.message}\n  -> {error.hint}\n  -> To try everything without an account: apex init --demo demo"
            )
            out.badge = None
            out.result({}, listed)
            return
        out.badge = standing.badge
        out.result({}, (*status_blocks(standing), *listed))


def _look(settings: Settings) -> Standing:
    from apex_cli.app.watch import Watch
    from apex_cli.core.market.calendar import market_status
    from apex_cli.core.model.instrument import MarketType
    from apex_cli.presenters.status import Standing

    seen = Watch(settings).look()
    return Standing(
        board=seen.board,
        badge=seen.badge,
        alarms=seen.alarms,
        holder=seen.holder,
        market=market_status(MarketType.EQUITY, seen.board.day.now),
    )
