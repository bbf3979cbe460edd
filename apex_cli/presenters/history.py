"""Closed round trips and their statistics, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict, replace

from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.positions.performance import FEWEST_SESSIONS, FEWEST_TRADES, Ratios, Statistics
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Fields, Figure, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, facts, or_dash, price_column, units_column
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    gain,
    in_both,
    moment,
    money,
    percent,
    r_multiple,
    rate_data,
    ratio,
    share,
    signed,
)

ROUND_TRIPS = Table[RoundTrip](
    *facts("round_trip_id", "signal_id"),
    Column("strategy", "Strategy", shown=or_dash, rank=LAST, place=2),
    Column("symbol", "Symbol", lambda t: t.instrument.key, shown=bold),
    Column("side", "Side"),
    units_column("quantity"),
    price_column("entry_price", "Entry", SECOND),
    price_column("exit_price", "Exit", SECOND),
    Column("entry_time"),
    Column("exit_time", "Closed", shown=moment, rank=THIRD, place=1),
    Column("pnl", "P&L", shown=gain, is_right=True),
    Column("pnl_pct", "%", cell=lambda t: gain(t.pnl, percent(t.pnl_pct)), rank=THIRD, is_right=True),
    Column("commission", "Costs", shown=money, rank=SECOND, is_right=True),
    Column("net_pnl", "Net", shown=gain, rank=THIRD, is_right=True),
    Column("r_multiple", "R", cell=lambda t: gain(t.pnl, r_multiple(t.r_multiple)), is_right=True),
    Column("currency", value=lambda t: t.instrument.currency),
    Column("quote_pnl"),
    Column("rate", value=lambda t: rate_data(t.rate)),
    Column("theoretical", value=lambda t: t.is_theoretical),
    Column("exit_reason", "Why", rank=SECOND, place=1),
    empty="No closed trades yet.",
)


def history_data(trips: Sequence[RoundTrip], statistics: Statistics) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"round_trips": ROUND_TRIPS.rows(trips), "statistics": statistics_data(statistics)}


def history_blocks(
    named: Sequence[tuple[str, RoundTrip]], statistics: Statistics, *, is_choice: bool = False
) -> tuple[Block, ...]:
    """Return round trips, each behind its handle, as a table, and their sums; with *is_choice* there may be others."""
    if is_choice and not named:
        return (Line(text="No closed trade is of that choice.", tone=Tone.DIM),)
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
        Figure("Longest fall", counted(ratios.longest_fall, "session"), note="below an earlier high"),
    )


def ratio_block(title: str, ratios: Ratios) -> Block:
    """Return the ratios of the field for a terminal; where there are too few observations, what is missing."""
    known = [figure for figure in ratio_figures(ratios) if figure.value != DASH]
    if len(known) == 1:
        sessions, trades = _of(ratios.sessions, FEWEST_SESSIONS, "session"), _of(ratios.trades, FEWEST_TRADES, "trade")
        return Line(text=f"{title}: none {sessions}; SQN: none {trades}.", tone=Tone.DIM)
    return Fields(title=title, rows=tuple(figure.row for figure in known))


def _of(count: int, fewest: int, what: str) -> str:
    return f"of {counted(count, what)}" + (f"; needs {fewest}" if count < fewest else "")


def _two(value: float | None) -> str:
    return DASH if value is None else f"{value:z.2f}"
