"""``apex orders``: working orders at the broker, and the fate of earlier ones."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import badge_in, open_store
from apex_cli.commands.options import Call, command, flag
from apex_cli.core.model.spelling import same_security


@command("orders", "--symbol MSFT --all")
def orders(
    call: Call,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    everything: Annotated[bool, flag("Finished orders of the last sessions, too.", "--all")] = False,
) -> None:
    """Show working orders."""
    from apex_cli.core.reports.handles import order_handles
    from apex_cli.core.state.tables import known_name
    from apex_cli.presenters.orders import ORDERS

    out, settings = call.out, call.settings
    state = open_store(settings).view()
    out.badge = badge_in(settings, state)
    symbol = None if symbol is None else known_name(state, symbol)
    shown = [
        record
        for record in state.orders.values()
        if (everything or record.is_open) and (symbol is None or same_security(symbol, record.order.instrument))
    ]
    handles = order_handles(state)
    grid = ORDERS.grid(shown, handles=[handles[record.order.client_order_id] for record in shown])
    out.result({"orders": ORDERS.rows(shown)}, (grid,))
