"""A sweep for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apex_cli.presenters.blocks import Block, Cell, Grid, Line, Tone
from apex_cli.presenters.formats import DASH, gain, r_multiple, ratio

if TYPE_CHECKING:
    from apex_cli.core.reports.replay_report import SweepRow

MOST_ROWS = 50


def sweep_data(rows: Sequence[SweepRow]) -> dict[str, Any]:
    """Return every combination, in the order of the grid."""
    return {
        "replays": [
            {
                "settings": row.values,
                "trades": row.trades,
                "win_rate": row.win_rate,
                "net_pnl": row.net_pnl,
                "net_expectancy_r": row.net_expectancy_r,
                "profit_factor": row.profit_factor,
                "sharpe": row.sharpe,
                "max_drawdown": row.max_drawdown,
                "exposure": row.exposure,
                "end_equity": row.end_equity,
            }
            for row in rows
        ]
    }


def _rank(row: SweepRow) -> tuple[bool, Decimal, Decimal]:
    """Sort by R after costs, then by money; without trades last."""
    expectancy = row.net_expectancy_r
    return expectancy is None, -(expectancy or Decimal(0)), -row.net_pnl


def sweep_blocks(rows: Sequence[SweepRow]) -> tuple[Block, ...]:
    """Return the combinations as a table, best first by R after costs."""
    best_first = sorted(rows, key=_rank)
    names = [name.rpartition(".")[2] for name in rows[0].values]
    columns = (*names, ">Trades", ">Won", ">Net", ">R after costs", ">Factor", ">Sharpe", ">Drawdown", ">Exposure")
    shown = tuple(
        (
            *(Cell(value) for value in row.values.values()),
            Cell(str(row.trades)),
            Cell(DASH if row.win_rate is None else f"{row.win_rate:.0%}"),
            gain(row.net_pnl),
            gain(row.net_pnl, r_multiple(row.net_expectancy_r)),
            Cell(ratio(row.profit_factor)),
            Cell(DASH if row.sharpe is None else f"{row.sharpe:.2f}"),
            Cell(f"{row.max_drawdown:.1%}"),
            Cell(f"{row.exposure:.0%}"),
        )
        for row in best_first[:MOST_ROWS]
    )
    note = "The best of many looks better than it is: replay it on years that the sweep has not seen."
    more = f"The best {MOST_ROWS} of {len(rows)}; --json has all. " if len(rows) > MOST_ROWS else ""
    return (Grid(columns=columns, rows=shown), Line(text=more + note, tone=Tone.DIM))
