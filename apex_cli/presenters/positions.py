"""Open positions, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from apex_cli.core.model.money import ONE
from apex_cli.core.model.position import profit
from apex_cli.core.model.position import r_multiple as in_r
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.wording import account_currency
from apex_cli.core.positions.position_views import PositionView, Totals, position_handles
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Fields, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, facts, price_column, units_column
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    gain,
    in_both,
    lasted,
    marked,
    moment,
    money,
    number,
    percent,
    price,
    r_multiple,
    rate_data,
    signed,
    units,
)
from apex_cli.presenters.screen.plots import ChartRow, Level, price_rows

if TYPE_CHECKING:  # the board reads much that a table of positions does not need
    from apex_cli.core.reports.board import PositionHistory

FEW_DAYS = 5
"""Days before its end from which on an option is marked."""

RUNGS = 13
"""Places of a price ladder."""


def ladder(view: PositionView, width: int = RUNGS) -> str:
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


def _symbol_cell(view: PositionView) -> Cell:
    return bold(f"{view.symbol} (now {view.called})" if view.called else view.symbol)


def _stop_cell(view: PositionView) -> Cell:
    return Cell(price(view.stop_price), Tone.PLAIN if view.protected_quantity >= view.quantity else Tone.BAD)


POSITIONS = Table[PositionView](
    Column("symbol", "Symbol", cell=_symbol_cell),
    Column("side", "Side"),
    units_column("quantity"),
    price_column("entry_price", "Entry", SECOND, model="is_entered_at_theory"),
    price_column("current_price", "Last", SECOND),
    Column("priced_at"),
    Column("pnl", "P&L", shown=gain, is_right=True),
    Column("pnl_pct", "%", cell=lambda v: gain(v.pnl, percent(v.pnl_pct)), rank=THIRD, is_right=True),
    Column("r_multiple", "R", cell=lambda v: gain(v.pnl, r_multiple(v.r_multiple)), is_right=True),
    Column("stop_price", "Stop", cell=_stop_cell, is_right=True),
    Column("", "Stop … target", ladder, rank=LAST),
    Column(
        "target_prices", "Target", shown=lambda prices: price(prices[0] if prices else None), rank=THIRD, is_right=True
    ),
    Column("protected_quantity", value=lambda v: number(v.protected_quantity)),
    Column(
        "protected_overnight",
        "Night",
        shown=lambda is_protected: Cell("yes", Tone.GOOD) if is_protected else Cell("NO", Tone.BAD),
        rank=SECOND,
    ),
    Column("", "Held", lambda v: lasted(v.holding_time), rank=LAST, is_right=True),
    *facts("notional", "called", "currency", "quote_pnl"),
    Column("rate", value=lambda v: rate_data(v.rate)),
    *facts("entry_time", "signal_id"),
    Column("managed", value=lambda v: v.managed.words),
    Column("trail_amount", value=lambda v: v.managed.trail_amount),
    Column("held_until", value=lambda v: v.managed.held_until),
    Column("flat_at", value=lambda v: v.managed.flat_at),
    *facts("days_left", "expires_at"),
    Column("theoretical", value=lambda v: v.is_theoretical),
    empty="No open positions.",
)


def positions_data(views: Iterable[PositionView], totals: Totals) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"positions": POSITIONS.rows(views), "totals": asdict(totals)}


def position_fields(view: PositionView) -> Fields:
    """Return all there is to say about one position."""
    managed = tuple(("Managed", Cell(words)) for words in view.managed.words)
    more = (
        ("Targets", Cell(", ".join(map(price, view.target_prices)) or DASH)),
        ("Protected", Cell(f"{units(view.protected_quantity)} of {units(view.quantity)}")),
        ("Value", Cell(f"{money(view.notional)} {account_currency()}")),
        *(("In its currency", Cell(text)) for text in in_both(view.currency, view.quote_pnl, view.rate)),
        ("Opened", Cell(moment(view.entry_time))),
        ("Priced", Cell(moment(view.priced_at))),
        ("Signal", Cell(view.signal_id or DASH)),
    )
    return Fields(rows=(*POSITIONS.fields(view).rows, *managed, *more))


def positions_blocks(views: tuple[PositionView, ...], totals: Totals) -> tuple[Block, ...]:
    """Return a table with a small price ladder per position, and the sums."""
    grid = POSITIONS.grid(views, handles=position_handles(view.symbol for view in views).values())
    if not views:
        return (grid,)
    base = account_currency()
    total = f"{totals.positions} open, worth {money(totals.notional)} {base}, P&L {signed(totals.pnl)} {base}"
    blocks: list[Block] = [grid]
    blocks += (Line(text=f"{v.symbol}: {' · '.join(v.managed.words)}") for v in views if v.managed.words)
    blocks += (expiry_line(view) for view in views if view.days_left is not None)
    if any(view.is_theoretical or view.is_entered_at_theory for view in views):
        blocks.append(Line(text=THEORETICAL_NOTE, tone=Tone.DIM))
    for view in views:
        quoted = in_both(view.currency, view.quote_pnl, view.rate)
        blocks += (Line(text=f"{view.symbol}: {text}", tone=Tone.DIM) for text in quoted)
    blocks.append(Line(text=total, tone=Tone.BOLD))
    if totals.unprotected:
        blocks.append(Line(text=f"! {totals.unprotected} not fully protected by a working stop.", tone=Tone.BAD))
    oldest = min(view.priced_at for view in views)
    return (*blocks, Line(text=f"Prices as of {moment(oldest)}", tone=Tone.DIM))


def expiry_line(view: PositionView) -> Line:
    """Return when an option ends, and what its holder may be held to; marked where that is near, or over."""
    days = view.days_left or 0
    if days < 0:
        words = f"{view.symbol} has expired: the next apex run books how it was settled."
        return Line(text=f"! {words}", tone=Tone.WARN)
    when = {0: "today", 1: "in 1 day"}.get(days, f"in {days} days")
    short = " It is short: its buyer may exercise it at any time." if view.is_short_option else ""
    text = f"{view.symbol} expires {when}.{short}"
    return Line(text=f"! {text}", tone=Tone.WARN) if short or days <= FEW_DAYS else Line(text=text, tone=Tone.DIM)


def _entry(view: PositionView) -> str:
    return marked(view.entry_price, is_theoretical=view.is_entered_at_theory)


def _last(view: PositionView) -> str:
    return marked(view.current_price, is_theoretical=view.is_theoretical)


def position_summary(view: PositionView) -> tuple[tuple[Cell, ...], ...]:
    """Return what one looks at first in a few lines: what is held and earns, what protects it, what manages it."""
    held = f"{view.side} {units(view.quantity)} at {_entry(view)}, now {_last(view)}"
    earned = f"{signed(view.pnl)} ({percent(view.pnl_pct)}), {r_multiple(view.r_multiple)}"
    is_whole = view.protected_quantity >= view.quantity
    protected = f"Protected {units(view.protected_quantity)} of {units(view.quantity)}"
    targets = f"Targets {', '.join(map(price, view.target_prices)) or DASH}"
    managed = tuple((Cell(words, Tone.DIM),) for words in view.managed.words)
    return (
        (Cell(held, Tone.BOLD), gain(view.pnl, earned)),
        (Cell(protected, Tone.PLAIN if is_whole else Tone.BAD), Cell(targets)),
        *managed,
    )


def position_levels(view: PositionView, history: PositionHistory) -> tuple[Level, ...]:
    """Return the prices that a chart of a position names, the later ones over the earlier."""
    first = history.first_stop
    unit = abs(view.entry_price - first) if first is not None else None
    stop = view.stop_price
    stops = () if stop is None else (Level(f"stop {_in_r(view, stop, unit)}", stop, Tone.BAD),)
    targets = (Level(f"target {_in_r(view, target, unit)}", target, Tone.GOOD) for target in view.target_prices)
    return (
        *stops,
        *targets,
        Level("entry", view.entry_price, Tone.BOLD),
        Level(f"now {_in_r(view, view.current_price, unit)}", view.current_price, Tone.WARN),
    )


def _in_r(view: PositionView, at: Decimal, unit: Decimal | None) -> str:
    """Return how many R a price is away from the entry."""
    return r_multiple(in_r(profit(view.side, view.entry_price, at, ONE, ONE), unit)) if unit else ""


def position_chart(view: PositionView, history: PositionHistory) -> list[ChartRow]:
    """Return the bars around a position with its entry, the way of its stop, its targets and its price."""
    stops: list[Decimal | None] = []
    for bar in history.bars:
        moved = [place.price for place in history.stops if place.at < bar.end]
        stops.append(None if bar.end <= view.entry_time else moved[-1] if moved else history.first_stop)
    return price_rows(history.bars, position_levels(view, history), stops)


def r_ladder(view: PositionView, history: PositionHistory) -> tuple[Cell, ...]:
    """Return the prices of whole R from the first stop to beyond the last target, the one nearest to now marked."""
    if history.first_stop is None or history.first_stop == view.entry_price:
        return ()
    unit = abs(view.entry_price - history.first_stop)
    ends = (*view.target_prices, view.current_price)
    highest = min(max([2, *(int((end - view.entry_price) * view.side.sign / unit) for end in ends)]), 6)
    rungs = [(n, view.entry_price + n * unit * view.side.sign) for n in range(-1, highest + 1)]
    nearest = min(rungs, key=lambda rung: abs(rung[1] - view.current_price))
    return tuple(
        Cell(f"{n:+d}R {price(at)}", Tone.WARN if (n, at) == nearest else Tone.DIM if n else Tone.BOLD)
        for n, at in rungs
    )
