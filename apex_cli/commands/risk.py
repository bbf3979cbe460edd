"""``apex risk``: what is at risk now, together, in bad times, and beside every limit."""

from __future__ import annotations

from typing import Annotated

from apex_cli.commands.options import Call, command, flag


@command("risk", "--json")
def risk(
    call: Call,
    ask: Annotated[
        bool, flag("Ask the broker for a year of daily bars of what is held, instead of files.", "--ask")
    ] = False,
) -> None:
    """Show open risk by group, what moves together, the worst day, gaps through the stops, and distance to limits."""
    from apex_cli.app.risk_look import look_at_risk
    from apex_cli.presenters.risk import risk_blocks, risk_data

    settings = call.settings
    if ask:
        with call.out.waiting("asking for bars"):
            view = look_at_risk(settings, asks=True)
    else:
        view = look_at_risk(settings)
    call.out.result(risk_data(view), risk_blocks(view))
