"""``apex status``: where things stand, and what to do next; also what ``apex`` alone shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from apex_cli.commands.options import Call, command
from apex_cli.core.errors import ApexError
from apex_cli.core.model.instrument import MarketType
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.core.model.market import MarketStatus
    from apex_cli.core.reports.board import Seen
    from apex_cli.settings.sections import Settings


@command("status", "--json")
def status(call: Call) -> None:
    """Show account, trading state, positions, approvals, day trades, alarms, and what to do next."""
    from apex_cli.presenters.status import status_blocks, status_data

    seen, market = _look(call.settings)
    call.out.badge = seen.badge
    call.out.result(status_data(seen, market), status_blocks(seen, market))


def show_start(groups: Mapping[str, Mapping[str, str]]) -> None:
    """Show the status, as far as there is one, and the commands by what they are for."""
    from apex_cli.presenters.status import groups_blocks, status_blocks

    with Output("apex") as out:
        listed = groups_blocks([(title, list(names)) for title, names in groups.items()])
        try:
            seen, market = _look(Call(out, None, profile="", is_live=False).settings)
        except ApexError as error:
            out.note(
                f"{error.message}\n  -> {error.hint}\n  -> To try everything without an account: apex init --demo demo"
            )
            out.badge = None
            out.result({}, listed)
            return
        out.badge = seen.badge
        out.result({}, (*status_blocks(seen, market), *listed))


def _look(settings: Settings) -> tuple[Seen, MarketStatus]:
    from apex_cli.app.watch import Watch
    from apex_cli.core.market.calendar import market_status

    seen = Watch(settings).look()
    return seen, market_status(MarketType.EQUITY, seen.board.day.now)
