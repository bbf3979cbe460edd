"""The day-trade count, for people and for scripts."""

from __future__ import annotations

from typing import Any

from apex_cli.core.model.outcome import DayTradeStatus
from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Tone


def day_trade_data(status: DayTradeStatus, *, session: str, source: str, partial: bool) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "regimes": [status.regime],
        "regime_source": source,
        "session_date": session,
        "window": list(status.window),
        "day_trades_by_session": {day: status.by_session.get(day, 0) for day in status.window},
        "window_count": status.used,
        "remaining": status.remaining,
        "partial": partial,
    }


def remaining_cell(status: DayTradeStatus) -> Cell:
    """Return what is left, in words."""
    match status.remaining:
        case None:
            return Cell("not applicable")
        case -1:
            return Cell("unlimited", Tone.GOOD)
        case 0:
            return Cell(f"0 of {status.limit}: nothing may be opened", Tone.BAD)
        case left:
            return Cell(f"{left} of {status.limit}", Tone.WARN if left == 1 else Tone.GOOD)


def day_trade_blocks(status: DayTradeStatus, *, session: str, source: str, partial: bool) -> tuple[Block, ...]:
    """Return the count with a small calendar of the window."""
    fields = Fields(
        rows=(
            ("Rule", Cell(f"{status.regime} ({source})")),
            ("Why", Cell(status.why)),
            ("Session", Cell(session)),
            (
                "Used",
                Cell(f"{status.used} in {len(status.window)} sessions" + (" (history is partial)" if partial else "")),
            ),
            ("Remaining", remaining_cell(status)),
        )
    )
    rows = tuple(
        (Cell(day), Cell("●" * status.by_session.get(day, 0) or "·"), Cell(str(status.by_session.get(day, 0))))
        for day in status.window
    )
    return (fields, Grid(columns=("Session", "Day trades", ">Count"), rows=rows))
