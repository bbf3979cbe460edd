"""Closed round trips and their statistics, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict, replace

from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.wording import account_currency
from apex_cli.core.positions.performance import FEWEST_SESSIONS, FEWEST_TRADES, Ratios, Statistics
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Fields, Figure, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, price_column
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    gain,
    in_both,
    moment,
    money,
    number,
    percent,
    r_multiple,
    rate_data,
    ratio,
    share,
    signed,
    units,
)

ROUND_TRIPS = Table[RoundTrip](
    Column("round_trip_id", lambda t: t.round_trip_id),
    Column("signal_id", lambda t: t.signal_id),
    Column("strategy", lambda t: t.strategy, "Strategy", shown=lambda name: name or DASH, rank=LAST, place=2),
    Column("symbol", lambda t: t.instrument.key, "Symbol", shown=bold),
    Column("side", lambda t: t.side, "Side"),
    Column("quantity", lambda t: number(t.quantity), "Qty", cell=lambda t: units(t.quantity), is_right=True),
    price_column("entry_price", lambda t: t.entry_price, "Entry", lambda t: t.is_theoretical, SECOND),
    price_column("exit_price", lambda t: t.exit_price, "Exit", lambda t: t.is_theoretical, SECOND),
    Column("entry_time", lambda t: t.entry_time),
    Column("exit_time", lambda t: t.exit_time, "Closed", shown=moment, rank=THIRD, place=1),
    Column("pnl", lambda t: t.pnl, "P&L", shown=gain, is_right=True),
    Column(
        "pnl_pct", lambda t: t.pnl_pct, "%", cell=lambda t: gain(t.pnl, percent(t.pnl_pct)), rank=THIRD, is_right=True
    ),
    Column("commission", lambda t: t.commission, "Costs", shown=money, rank=SECOND, is_right=True),
    Column("net_pnl", lambda t: t.net_pnl, "Net", shown=gain, rank=THIRD, is_right=True),
    Column(
        "r_multiple", lambda t: t.r_multiple, "R", cell=lambda t: gain(t.pnl, r_multiple(t.r_multiple)), is_right=True
    ),
    Column("currency", lambda t: t.instrument.currency),
    Column("quote_pnl", lambda t: t.quote_pnl),
    Column("rate", lambda t: rate_data(t.rate)),
    Column("theoretical", lambda t: t.is_theoretical),
    Column("exit_reason", lambda t: t.exit_reason, "Why", rank=SECOND, place=1),
    empty="No closed trades yet.",
)


def history_data(trips: Sequence[RoundTrip], statistics: Statistics) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"round_trips": [ROUND_TRIPS.data(trip) for trip in trips], "statistics": statistics_data(statistics)}


def history_blocks(named: Sequence[tuple[str, RoundTrip]], statistics: Statistics) -> tuple[Block, ...]:
    """Return round trips, each behind its handle, as a table, and their sums."""
    trips = [trip for _, trip in named]
    both = (
        Line(text=f"{trip.instrument.key}: {text}", tone=Tone.DIM)
        for trip in trips
        for text in in_both(trip.instrument.currency, trip.quote_pnl, trip.rate)
    )
    grid = ROUND_TRIPS.grid(trips, handles=[handle for handle, _ in named])
    return (grid, *theoretical_note(trips), *both, *statistics_blocks(statistics))


def theoretical_note(trips: Iterable[RoundTrip]) -> tuple[Line, ...]:
    """Return what marked prices mean, where there are any."""
    return (Line(text=THEORETICAL_NOTE, tone=Tone.DIM),) if any(trip.is_theoretical for trip in trips) else ()


def statistics_data(statistics: Statistics) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {name: value for name, value in asdict(statistics).items() if name not in OF_REPORTS}


OF_REPORTS = ("net_expectancy_r", "average_win", "average_loss")
"""What only reports name."""


def statistics_blocks(statistics: Statistics) -> tuple[Block, ...]:
    """Return the sums of a history."""
    if not statistics.round_trips:
        return ()
    figures = (
        Figure("Round trips", f"{statistics.round_trips:,}"),
        *win_rates(statistics),
        gain_figure("P&L", statistics.pnl),
        Figure("Commissions", f"{money(statistics.commission)} {account_currency()}"),
        gain_figure("Net", statistics.net_pnl),
        profit_factor(statistics.profit_factor),
        Figure("Expectancy", r_multiple(statistics.expectancy_r), note="before costs"),
    )
    return (Fields(rows=tuple(figure.row for figure in figures)),)


def profit_factor(factor: Decimal | None) -> Figure:
    """Return won over lost; without a loss there is none."""
    return Figure("Profit factor", ratio(factor), note="" if factor is None else "before costs")


def win_rates(statistics: Statistics) -> tuple[Figure, Figure]:
    """Return winners over winners and losers, before and after costs; trades that were neither are named."""
    before = _win_rate("Win rate", statistics.wins, statistics.losses, statistics.breakeven)
    after = _win_rate("After costs", statistics.net_wins, statistics.net_losses, statistics.net_breakeven)
    return replace(before, note="before costs"), after


def _win_rate(name: str, wins: int, losses: int, breakeven: int) -> Figure:
    decided = wins + losses
    remark = f"{wins} of {decided}" + (f", {breakeven} breakeven" if breakeven else "")
    if not decided:
        return Figure(name, DASH, remark=remark)
    return Figure(name, share(Decimal(wins) / decided), remark=remark, part=wins / decided)


def gain_figure(name: str, amount: Decimal, text: str = "", note: str = "") -> Figure:
    """Return an amount with its sign, toned by it."""
    cell = gain(amount, text or f"{signed(amount)} {account_currency()}")
    return Figure(name, cell.text, cell.tone, note=note)


def ratio_figures(ratios: Ratios) -> tuple[Figure, ...]:
    """Return the ratios of the field, each with the number of observations it is made of."""
    sessions = _of(ratios.sessions, FEWEST_SESSIONS, "session")
    return (
        Figure("Sharpe", _two(ratios.sharpe), note=sessions),
        Figure("Sortino", _two(ratios.sortino), note=sessions),
        Figure("CAGR", DASH if ratios.cagr is None else percent(Decimal(repr(ratios.cagr * 100))), note=sessions),
        Figure("Volatility", DASH if ratios.volatility is None else share(ratios.volatility, 1), note=sessions),
        Figure("Calmar", _two(ratios.calmar), note=sessions),
        Figure("Tail ratio", _two(ratios.tail_ratio), note=sessions),
        Figure("SQN", _two(ratios.sqn), note=_of(ratios.trades, FEWEST_TRADES, "trade")),
        Figure("Longest fall", _counted(ratios.longest_fall, "session"), note="below an earlier high"),
    )


def ratio_block(title: str, ratios: Ratios) -> Block:
    """Return the ratios of the field for a terminal; where there are too few observations, what is missing."""
    known = [figure for figure in ratio_figures(ratios) if figure.value != DASH]
    if len(known) == 1:
        sessions, trades = _of(ratios.sessions, FEWEST_SESSIONS, "session"), _of(ratios.trades, FEWEST_TRADES, "trade")
        return Line(text=f"{title}: none {sessions}; SQN: none {trades}.", tone=Tone.DIM)
    return Fields(title=title, rows=tuple(figure.row for figure in known))


def _of(count: int, fewest: int, what: str) -> str:
    return f"of {_counted(count, what)}" + (f"; needs {fewest}" if count < fewest else "")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _two(value: float | None) -> str:
    return DASH if value is None else f"{value:z.2f}"
