"""A sweep for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Grid, Head, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table
from apex_cli.presenters.screen.formats import DASH, gain, r_multiple, ratio, share

if TYPE_CHECKING:
    from apex_cli.core.reports.replay_report import SweepRow

MOST_ROWS = 50


def _share_or_dash(rate: Decimal | None) -> str:
    return DASH if rate is None else share(rate)


REPLAYS: Table[SweepRow] = Table(
    Column(key="settings", value=lambda r: r.values),
    Column(key="trades", value=lambda r: r.trades, title="Trades", is_right=True),
    Column(key="breakeven", value=lambda r: r.breakeven, title="Even", rank=THIRD, is_right=True),
    Column(key="win_rate", value=lambda r: r.win_rate, title="Won", shown=_share_or_dash, rank=THIRD, is_right=True),
    Column(
        key="net_win_rate",
        value=lambda r: r.net_win_rate,
        title="Won net",
        shown=_share_or_dash,
        rank=SECOND,
        is_right=True,
    ),
    Column(key="net_pnl", value=lambda r: r.net_pnl, title="Net", shown=gain, is_right=True),
    Column(
        key="net_expectancy_r",
        value=lambda r: r.net_expectancy_r,
        title="Net R",
        cell=lambda r: gain(r.net_pnl, r_multiple(r.net_expectancy_r)),
        is_right=True,
    ),
    Column(
        key="profit_factor", value=lambda r: r.profit_factor, title="Factor", shown=ratio, rank=SECOND, is_right=True
    ),
    Column(
        key="sharpe",
        value=lambda r: r.sharpe,
        title="Sharpe",
        shown=lambda found: DASH if found is None else f"{found:z.2f}",
        rank=SECOND,
        is_right=True,
    ),
    Column(
        key="max_drawdown",
        value=lambda r: r.max_drawdown,
        title="Drawdown",
        shown=lambda depth: share(depth, 1),
        is_right=True,
    ),
    Column(key="exposure", value=lambda r: r.exposure, title="Exposure", shown=share, rank=LAST, is_right=True),
    Column(key="end_equity", value=lambda r: r.end_equity),
)


def sweep_data(rows: Sequence[SweepRow]) -> dict[str, Any]:
    """Return every combination, in the order of the grid."""
    return {"replays": [REPLAYS.data(row) for row in rows]}


def _rank(row: SweepRow) -> tuple[bool, Decimal, Decimal]:
    """Sort by R after costs, then by money; without trades last."""
    expectancy = row.net_expectancy_r
    return expectancy is None, -(expectancy or Decimal(0)), -row.net_pnl


def sweep_blocks(rows: Sequence[SweepRow]) -> tuple[Block, ...]:
    """Return the combinations as a table, best first by R after costs."""
    best_first = sorted(rows, key=_rank)[:MOST_ROWS]
    names = tuple(Head(name.rpartition(".")[2]) for name in rows[0].values)
    shown = tuple((*map(Cell, row.values.values()), *REPLAYS.cells(row)) for row in best_first)
    note = "The best of many looks better than it is: replay it on years that the sweep has not seen."
    more = f"The best {MOST_ROWS} of {len(rows)}; --json has all. " if len(rows) > MOST_ROWS else ""
    return (Grid(columns=(*names, *REPLAYS.heads), rows=shown), Line(text=more + note, tone=Tone.DIM))
