"""Positions, orders and round trips, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.model.position import PositionSide, RoundTrip
from apex_cli.core.positions.performance import Statistics
from apex_cli.core.positions.position_views import PositionView, Totals
from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Line, Tone, bar
from apex_cli.presenters.formats import DASH, gain, moment, money, number, percent, price, r_multiple, ratio, units

# Positions


def positions_data(views: Iterable[PositionView], totals: Totals) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    rows = [
        {
            "symbol": v.symbol,
            "side": v.side,
            "quantity": number(v.quantity),
            "entry_price": v.entry_price,
            "current_price": v.current_price,
            "priced_at": v.priced_at,
            "pnl": v.pnl,
            "pnl_pct": v.pnl_pct,
            "r_multiple": v.r_multiple,
            "stop_price": v.stop_price,
            "target_prices": v.target_prices,
            "protected_quantity": number(v.protected_quantity),
            "protected_overnight": v.protected_overnight,
            "entry_time": v.entry_time,
            "signal_id": v.signal_id,
            "managed": v.managed.words,
            "trail_amount": v.managed.trail_amount,
            "held_until": v.managed.held_until,
            "flat_at": v.managed.flat_at,
        }
        for v in views
    ]
    sums = {
        "positions": totals.positions,
        "notional": totals.notional,
        "pnl": totals.pnl,
        "unprotected": totals.unprotected,
    }
    return {"positions": rows, "totals": sums}


POSITION_COLUMNS = (
    "Symbol", "Side", ">Qty", ">Entry", ">Last", ">P&L", ">%", ">R", ">Stop", "|Stop … target", ">Target", "Overnight",
)  # fmt: skip


def positions_blocks(views: tuple[PositionView, ...], totals: Totals) -> tuple[Block, ...]:
    """Return a table with a small price ladder per position, and the sums."""
    grid = Grid(
        columns=POSITION_COLUMNS,
        rows=tuple(position_row(v) for v in views),
        empty="No open positions.",
    )
    if not views:
        return (grid,)
    total = f"{totals.positions} open, worth {money(totals.notional)} USD, P&L {totals.pnl:+,.2f} USD"
    alarm = (
        (Line(text=f"! {totals.unprotected} not fully protected by a working stop.", tone=Tone.BAD),)
        if totals.unprotected
        else ()
    )
    managed = tuple(Line(text=f"{v.symbol}: {' · '.join(v.managed.words)}") for v in views if v.managed.words)
    return (grid, *managed, Line(text=total, tone=Tone.BOLD), *alarm)


def position_row(v: PositionView, rungs: int = 13) -> tuple[Cell, ...]:
    """Return one line of the table; the price ladder has *rungs* places."""
    covered = v.protected_quantity >= v.quantity
    overnight = Cell("yes", Tone.GOOD) if v.protected_overnight else Cell("NO", Tone.BAD)
    stop = Cell(price(v.stop_price), Tone.PLAIN if covered else Tone.BAD)
    return (
        Cell(v.symbol, Tone.BOLD),
        Cell(v.side),
        Cell(units(v.quantity)),
        Cell(price(v.entry_price)),
        Cell(price(v.current_price)),
        gain(v.pnl),
        gain(v.pnl, percent(v.pnl_pct)),
        gain(v.pnl, r_multiple(v.r_multiple)),
        stop,
        Cell(ladder(v, rungs)),
        Cell(price(v.target_prices[0]) if v.target_prices else DASH),
        overnight,
    )


def ladder(view: PositionView, width: int = 13) -> str:
    """Return where the price stands between stop and first target: ``|----e---●--|``.

    ``e`` is the entry, ``●`` the latest price; a dash without stop or target.
    """
    if view.stop_price is None or not view.target_prices:
        return DASH
    low, high = sorted((view.stop_price, view.target_prices[0]))
    if low == high:
        return DASH
    cells = ["-"] * width

    def place(value: Any) -> int:  # noqa: ANN401 - a Price, whatever NewType hides
        share = float((value - low) / (high - low))
        return min(max(round(share * (width - 1)), 0), width - 1)

    cells[place(view.entry_price)] = "e"
    cells[place(view.current_price)] = "●"
    rungs = "".join(cells)
    return f"|{rungs}|" if view.side is PositionSide.LONG else f"|{rungs[::-1]}|"


# Orders


def orders_data(records: Iterable[OrderRecord]) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "orders": [
            {
                "client_order_id": r.order.client_order_id,
                "bracket_id": r.order.bracket_id,
                "symbol": r.order.instrument.key,
                "role": r.order.role,
                "side": r.order.side,
                "order_type": r.order.order_type,
                "quantity": number(r.order.quantity),
                "filled_quantity": number(r.filled_quantity),
                "average_price": r.average_price,
                "limit_price": r.order.limit_price,
                "stop_price": r.order.stop_price,
                "time_in_force": r.order.time_in_force,
                "oca_group": r.order.oca_group,
                "parent_id": r.order.parent_id,
                "status": r.status,
                "reason": r.reason,
                "broker_order_id": r.broker_order_id,
                "created_at": r.created_at,
                "updated_at": r.updated_at,
            }
            for r in records
        ]
    }


STATUS_TONES = {
    OrderStatus.UNKNOWN: Tone.BAD,
    OrderStatus.REJECTED: Tone.BAD,
    OrderStatus.NEVER_SENT: Tone.WARN,
    OrderStatus.FILLED: Tone.GOOD,
}


def orders_blocks(records: Iterable[OrderRecord]) -> tuple[Block, ...]:
    """Return the orders as a table."""
    return (Grid(columns=ORDER_COLUMNS, rows=tuple(map(order_row, records)), empty="No working orders."),)


ORDER_COLUMNS = ("Order", "Symbol", "Role", "Kind", ">Filled", ">Limit", ">Stop", "TIF", "Status")


def order_row(r: OrderRecord) -> tuple[Cell, ...]:
    """Return one line of the table."""
    return (
        Cell(r.order.client_order_id),
        Cell(r.order.instrument.key, Tone.BOLD),
        Cell(r.order.role.lower()),
        Cell(f"{r.order.side} {r.order.order_type.replace('_', ' ')}"),
        Cell(f"{units(r.filled_quantity)}/{units(r.order.quantity)}"),
        Cell(price(r.order.limit_price)),
        Cell(price(r.order.stop_price)),
        Cell(r.order.time_in_force),
        Cell(r.status.replace("_", " ").lower(), STATUS_TONES.get(r.status, Tone.PLAIN)),
    )


# Round trips


def round_trip_data(trip: RoundTrip) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "round_trip_id": trip.round_trip_id,
        "signal_id": trip.signal_id,
        "strategy": trip.strategy,
        "symbol": trip.instrument.key,
        "side": trip.side,
        "quantity": number(trip.quantity),
        "entry_price": trip.entry_price,
        "exit_price": trip.exit_price,
        "entry_time": trip.entry_time,
        "exit_time": trip.exit_time,
        "pnl": trip.pnl,
        "pnl_pct": trip.pnl_pct,
        "commission": trip.commission,
        "net_pnl": trip.net_pnl,
        "r_multiple": trip.r_multiple,
        "exit_reason": trip.exit_reason,
    }


def statistics_data(statistics: Statistics) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "round_trips": statistics.round_trips,
        "wins": statistics.wins,
        "losses": statistics.losses,
        "win_rate": statistics.win_rate,
        "pnl": statistics.pnl,
        "commission": statistics.commission,
        "net_pnl": statistics.net_pnl,
        "profit_factor": statistics.profit_factor,
        "expectancy_r": statistics.expectancy_r,
    }


ROUND_TRIP_COLUMNS = (
    "Closed", "Symbol", "Side", ">Qty", ">Entry", ">Exit", ">P&L", ">%", ">R", ">Costs", "Why", "Strategy",
)  # fmt: skip


def round_trip_row(trip: RoundTrip) -> tuple[Cell, ...]:
    """Return one line of the history."""
    return (
        Cell(moment(trip.exit_time)),
        Cell(trip.instrument.key, Tone.BOLD),
        Cell(trip.side),
        Cell(units(trip.quantity)),
        Cell(price(trip.entry_price)),
        Cell(price(trip.exit_price)),
        gain(trip.pnl),
        gain(trip.pnl, percent(trip.pnl_pct)),
        gain(trip.pnl, r_multiple(trip.r_multiple)),
        Cell(money(trip.commission)),
        Cell(trip.exit_reason),
        Cell(trip.strategy or DASH),
    )


def statistics_blocks(statistics: Statistics) -> tuple[Block, ...]:
    """Return the sums of a history."""
    if not statistics.round_trips:
        return ()
    rate = statistics.win_rate
    win_text = (
        f"{bar(float(rate), 10)} {rate:.0%} ({statistics.wins} of {statistics.wins + statistics.losses})"
        if rate is not None
        else DASH
    )
    rows = (
        ("Round trips", Cell(str(statistics.round_trips))),
        ("Win rate", Cell(win_text)),
        ("P&L", gain(statistics.pnl)),
        ("Commissions", Cell(money(statistics.commission))),
        ("Net", gain(statistics.net_pnl)),
        ("Profit factor", Cell(ratio(statistics.profit_factor))),
        ("Expectancy", Cell(r_multiple(statistics.expectancy_r))),
    )
    return (Fields(rows=rows),)
