"""The result of a close."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.request import Closed, CloseRequest, EntriesCancelled, StopsMoved
from apex_cli.core.model.wording import account_currency
from apex_cli.core.positions.position_views import PositionView
from apex_cli.presenters.screen.blocks import SECOND, THIRD, Block, Cell, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, toned, units_column
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    gain,
    marked,
    percent,
    price,
    signed,
    units,
)

STATUS_TONES = {"closed": Tone.GOOD, "reduced": Tone.GOOD, "working": Tone.WARN, "unknown": Tone.BAD}


def _gain_or_dash(pnl: Decimal | None) -> Cell:
    return Cell(DASH) if pnl is None else gain(pnl)


CLOSED = Table[Closed](
    Column("symbol", "Symbol", shown=bold),
    units_column("quantity", "Closed", place=1),
    units_column("remaining", "Left", place=1),
    Column(
        "exit_price",
        "Exit",
        cell=lambda c: marked(c.exit_price, is_theoretical=c.is_theoretical),
        place=1,
        rank=SECOND,
        is_right=True,
    ),
    Column("pnl", "P&L", shown=_gain_or_dash, place=1, is_right=True),
    Column(
        "pnl_pct",
        "%",
        cell=lambda c: Cell(DASH) if c.pnl_pct is None else gain(c.pnl_pct, percent(c.pnl_pct)),
        place=1,
        rank=THIRD,
        is_right=True,
    ),
    Column("status", "Status", shown=toned(STATUS_TONES)),
    Column("client_order_id"),
    Column("theoretical", value=lambda c: c.is_theoretical),
)


def close_line(request: CloseRequest, view: PositionView | None) -> Line:
    """Return what is about to be closed: how much, at which price, with which P&L, in one line."""
    if view is None:
        return Line(text=f"Close {request.symbol}: it may have filled since the last look.")
    asked = request.quantity or view.quantity * (request.fraction or Decimal(1))
    quantity = min(asked, view.quantity)
    worst = "at the market" if request.limit_price is None else f"at {price(request.limit_price)} or better"
    pnl = view.pnl * quantity / view.quantity
    last = marked(view.current_price, is_theoretical=view.is_theoretical)
    return Line(
        text=f"Close {units(quantity)} of {units(view.quantity)} {view.symbol} ({view.side}) {worst}: "
        f"last {last}, P&L about {signed(pnl)} {account_currency()}",
        tone=Tone.BOLD,
    )


def day_trade_line(request: CloseRequest, status: DayTradeStatus | None) -> Line:
    """Return what closing now means for the day-trading rules."""
    if status is None:
        return Line(text="  Day trades are not known yet.")
    if request.symbol not in status.opened_today:
        return Line(text="  No day trade: nothing of it was opened today.")
    if status.remaining is None or status.remaining < 0:
        return Line(text="  A day trade: it was opened today. The rule in force sets no number.")
    return Line(text=f"  A day trade: it was opened today. {status.remaining} of {status.limit} are left.")


MOVED = Table[StopsMoved](
    Column("symbol", "Symbol", shown=bold),
    Column("from_price", "Stop was", shown=price, is_right=True),
    Column("to_price", "Stop now", shown=price, is_right=True),
    units_column("quantity"),
)

CANCELLED = Table[EntriesCancelled](
    Column("symbol", "Symbol", shown=bold),
    Column(
        "client_order_ids",
        "Entries cancelled",
        lambda c: list(c.client_order_ids),
        cell=lambda c: str(len(c.client_order_ids)),
        is_right=True,
    ),
)


def closed_blocks(closed: Iterable[Closed]) -> tuple[Block, ...]:
    """Return the closes as a table."""
    closed = list(closed)
    note = (Line(text=THEORETICAL_NOTE, tone=Tone.DIM),) if any(each.is_theoretical for each in closed) else ()
    return (CLOSED.grid(closed), *note)
