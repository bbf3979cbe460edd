"""What a close came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apex_cli.core.model.request import Closed
from apex_cli.presenters.blocks import Block, Cell, Grid, Tone
from apex_cli.presenters.formats import DASH, gain, number, percent, price, units

STATUS_TONES = {"closed": Tone.GOOD, "reduced": Tone.GOOD, "working": Tone.WARN, "unknown": Tone.BAD}


def closed_data(closed: Iterable[Closed]) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "closed": [
            {
                "symbol": row.symbol,
                "quantity": number(row.quantity),
                "remaining": number(row.remaining),
                "exit_price": row.exit_price,
                "pnl": row.pnl,
                "pnl_pct": row.pnl_pct,
                "status": row.status,
                "client_order_id": row.client_order_id,
            }
            for row in closed
        ]
    }


def closed_blocks(closed: Iterable[Closed]) -> tuple[Block, ...]:
    """Return the closes as a table."""
    rows = tuple(
        (
            Cell(row.symbol, Tone.BOLD),
            Cell(row.status, STATUS_TONES.get(row.status, Tone.PLAIN)),
            Cell(units(row.quantity)),
            Cell(units(row.remaining)),
            Cell(price(row.exit_price)),
            gain(row.pnl) if row.pnl is not None else Cell(DASH),
            gain(row.pnl_pct, percent(row.pnl_pct)) if row.pnl_pct is not None else Cell(DASH),
        )
        for row in closed
    )
    return (Grid(columns=("Symbol", "Status", ">Closed", ">Left", ">Exit", ">P&L", ">%"), rows=rows),)
