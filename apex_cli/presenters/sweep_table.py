"""A sweep for people and for scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.model.wording import counted
from apex_cli.core.reports.overfitting import Luck
from apex_cli.core.reports.replay_report import SweepRow, WalkForwardRow, best_first
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Grid, Head, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table
from apex_cli.presenters.screen.formats import DASH, gain, r_multiple, ratio, share, signed

MOST_ROWS = 50
MOST_ACROSS = 8
SHADES = "▁▂▃▄▅▆▇█"


def _share_or_dash(rate: Decimal | None) -> str:
    return DASH if rate is None else share(rate)


def _settings_text(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in values.items())


REPLAYS = Table[SweepRow](
    Column("settings", value=lambda r: r.values),
    Column("trades", "Trades", is_right=True),
    Column("breakeven", "Even", rank=THIRD, is_right=True),
    Column("win_rate", "Won", shown=_share_or_dash, rank=THIRD, is_right=True),
    Column("net_win_rate", "Won net", shown=_share_or_dash, rank=SECOND, is_right=True),
    Column("net_pnl", "Net", shown=gain, is_right=True),
    Column("net_expectancy_r", "Net R", cell=lambda r: gain(r.net_pnl, r_multiple(r.net_expectancy_r)), is_right=True),
    Column("profit_factor", "Factor", shown=ratio, rank=SECOND, is_right=True),
    Column(
        "sharpe", "Sharpe", shown=lambda found: DASH if found is None else f"{found:z.2f}", rank=SECOND, is_right=True
    ),
    Column("max_drawdown", "Drawdown", shown=lambda depth: share(depth, 1), is_right=True),
    Column("exposure", "Exposure", shown=share, rank=LAST, is_right=True),
    Column("end_equity"),
)


WINDOWS = Table[WalkForwardRow](
    Column("from", "From", lambda r: r.first.isoformat()),
    Column("to", "To", lambda r: r.last.isoformat()),
    Column("settings", "Settings", lambda r: r.values, shown=_settings_text, wraps=True),
    Column(
        "past_net_expectancy_r",
        "R before",
        lambda r: r.past.net_expectancy_r,
        shown=r_multiple,
        rank=SECOND,
        is_right=True,
    ),
    Column(
        "net_expectancy_r",
        "Net R",
        lambda r: r.future.net_expectancy_r,
        cell=lambda r: gain(r.future.net_pnl, r_multiple(r.future.net_expectancy_r)),
        is_right=True,
    ),
    Column("net_pnl", "Net", lambda r: r.future.net_pnl, shown=gain, is_right=True),
    Column("trades", "Trades", lambda r: r.future.trades, is_right=True),
    Column(
        "max_drawdown",
        "Drawdown",
        lambda r: r.future.max_drawdown,
        shown=lambda depth: share(depth, 1),
        rank=SECOND,
        is_right=True,
    ),
)


def sweep_data(rows: Sequence[SweepRow], luck: Luck | None, held_out: WalkForwardRow | None) -> dict[str, Any]:
    """Return every combination, in the order of the grid, and what chance may have done."""
    found: dict[str, Any] = {"replays": REPLAYS.rows(rows), "luck": _luck_data(luck)}
    return found if held_out is None else found | {"held_out": WINDOWS.data(held_out)}


def _luck_data(luck: Luck | None) -> dict[str, Any] | None:
    return None if luck is None else {**msgspec.structs.asdict(luck), "is_luck": luck.is_luck}


def sweep_blocks(rows: Sequence[SweepRow], luck: Luck | None, held_out: WalkForwardRow | None) -> tuple[Block, ...]:
    """Return the combinations as a table, best first by R after costs, a map of two settings, and what chance did."""
    best = best_first(rows)[:MOST_ROWS]
    names = tuple(Head(name.rpartition(".")[2]) for name in rows[0].values)
    shown = tuple((*map(Cell, row.values.values()), *REPLAYS.cells(row)) for row in best)
    more = f"The best {MOST_ROWS} of {len(rows)}; --json and --csv have all. " if len(rows) > MOST_ROWS else ""
    said = (Line(text=luck_sentence(luck), tone=_tone(luck)),) if luck is not None else ()
    return (
        Grid(columns=(*names, *REPLAYS.heads), rows=shown),
        *_map(rows),
        *said,
        *(held_out_blocks(held_out) if held_out is not None else ()),
        Line(text=more + NOTE, tone=Tone.DIM),
    )


NOTE = "The best of many looks better than it is: replay it on years that the sweep has not seen."


def _tone(luck: Luck) -> Tone:
    return Tone.WARN if luck.is_luck else Tone.PLAIN


def luck_sentence(luck: Luck) -> str:
    """Return in plain words whether the best setting is more than luck."""
    facts = (
        f"Sharpe {luck.sharpe:.2f}, 90 % between {luck.sharpe_low:.2f} and {luck.sharpe_high:.2f}; the best of "
        f"{luck.trials} worthless settings would show about {luck.expected_sharpe:.2f}"
    )
    odds = f"; deflated, the ratio is above nothing with a probability of {share(luck.deflated_sharpe)}"
    over = f"; overfitted with {share(luck.overfitting)}" if luck.overfitting is not None else ""
    words = "cannot be distinguished from luck" if luck.is_luck else "is hard to explain by luck alone"
    return f"The best setting {words}: {facts}{odds}{over}."


def _map(rows: Sequence[SweepRow]) -> tuple[Block, ...]:
    """Return R after costs by two settings, where exactly two of them change."""
    names = [name for name in rows[0].values if len({row.values[name] for row in rows}) > 1]
    if len(names) != 2:  # noqa: PLR2004 - down and across
        return ()
    down, across = (list(dict.fromkeys(row.values[name] for row in rows)) for name in names)
    if len(across) > MOST_ACROSS:
        names, down, across = names[::-1], across, down
    if len(across) > MOST_ACROSS:
        return ()
    by_place = {(row.values[names[0]], row.values[names[1]]): row for row in rows}
    heat = _heat([row.net_expectancy_r for row in rows])
    cells = tuple((Cell(value), *(heat(by_place[value, other].net_expectancy_r) for other in across)) for value in down)
    short = [name.rpartition(".")[2] for name in names]
    heads = (Head(short[0]), *(Head(value, is_right=True) for value in across))
    return (Grid(title=f"Net R by {short[0]} (down) and {short[1]} (across)", columns=heads, rows=cells),)


def _heat(found: Sequence[Decimal | None]) -> Callable[[Decimal | None], Cell]:
    """Return what draws a value with a bar of its place between the lowest and the highest."""
    known = [value for value in found if value is not None]
    low, high = min(known, default=Decimal(0)), max(known, default=Decimal(0))

    def cell(value: Decimal | None) -> Cell:
        if value is None:
            return Cell(DASH, Tone.DIM)
        place = int((value - low) / (high - low) * (len(SHADES) - 1)) if high > low else 0
        return gain(value, f"{r_multiple(value)} {SHADES[place]}")

    return cell


def held_out_blocks(row: WalkForwardRow) -> tuple[Block, ...]:
    """Return what the best setting came to in the end that the sweep did not see."""
    return (WINDOWS.grid([row], title="Held out: the best setting in time that no setting was chosen by"),)


def walk_data(rows: Sequence[WalkForwardRow], held_out: WalkForwardRow | None) -> dict[str, Any]:
    """Return every window."""
    found: dict[str, Any] = {"windows": WINDOWS.rows(rows)}
    return found if held_out is None else found | {"held_out": WINDOWS.data(held_out)}


def walk_blocks(rows: Sequence[WalkForwardRow], held_out: WalkForwardRow | None) -> tuple[Block, ...]:
    """Return the windows as a table, and their sum in a sentence."""
    trades, net = sum(row.future.trades for row in rows), sum((row.future.net_pnl for row in rows), Decimal(0))
    before, after = (_mean_r([getattr(row, name) for row in rows]) for name in ("past", "future"))
    won = sum(1 for row in rows if row.future.net_pnl > 0)
    text = (
        f"Chosen on the past, judged on the time after it: {signed(net)} net from {counted(trades, 'trade')}, "
        f"{won} of {counted(len(rows), 'window')} with a gain; "
        f"{r_multiple(after)} a trade, {r_multiple(before)} where it was chosen."
    )
    tone = Tone.WARN if net <= 0 else Tone.PLAIN
    held = held_out_blocks(held_out) if held_out is not None else ()
    return (WINDOWS.grid(rows), Line(text=text, tone=tone), *held)


def _mean_r(rows: Sequence[SweepRow]) -> Decimal | None:
    """Return mean R over all trades of *rows*."""
    known = [(row.net_expectancy_r, row.trades) for row in rows if row.net_expectancy_r is not None]
    trades = sum(count for _, count in known)
    return sum((mean * count for mean, count in known), Decimal(0)) / trades if trades else None


def sweep_table(rows: Sequence[SweepRow]) -> tuple[list[str], list[list[Any]]]:
    """Return names and rows for a file: the settings, then what each came to, in the order of the grid."""
    facts = [name for name in REPLAYS.data(rows[0]) if name != "settings"]
    return [*rows[0].values, *facts], [[*row.values.values(), *_facts(row, facts)] for row in rows]


def _facts(row: SweepRow, names: Sequence[str]) -> list[Any]:
    data = REPLAYS.data(row)
    return [Decimal(repr(value)) if isinstance(value, float) else value for value in (data[name] for name in names)]
