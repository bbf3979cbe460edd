"""The status in a few lines, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apex_cli.core.model.base import named
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.health import DriftNote
from apex_cli.core.model.learning import LearningState
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.board import Seen
from apex_cli.presenters.day import MODE_MEANINGS, MODE_TONES, alarm_cells, left_cell
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Line, Tone
from apex_cli.presenters.screen.formats import DASH, gain, moment, money, signed


def next_step(seen: Seen) -> tuple[str, str]:
    """Return the command to type next, and why."""
    day = seen.board.day
    steps = (
        (day.unknown_orders, "apex reconcile", "the outcome of an order is unknown"),
        (day.totals.unprotected, "apex positions", "a position is not fully protected by a stop"),
        (day.mode is not TradingMode.ACTIVE, "apex resume", f"trading is {day.mode}"),
        (day.pending, "apex approve", "a trade waits for your answer"),
        (not seen.holder, "apex run", "nothing is running"),
    )
    return next(((command, why) for holds, command, why in steps if holds), ("apex dashboard", "a run is going"))


def status_data(seen: Seen, market: MarketStatus) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    board, day = seen.board, seen.board.day
    trades = board.day_trades
    command, why = next_step(seen)
    return {
        "mode": seen.badge.kind,
        "account": seen.badge.text,
        "now": day.now,
        "trading_state": day.mode,
        "reason": day.mode_reason,
        "running": seen.holder,
        "equity": day.equity,
        "equity_at": day.equity_at,
        "day_pnl": day.pnl,
        **named(day.totals, "positions", "pnl", "unprotected"),
        "approvals_pending": day.pending,
        "unknown_orders": day.unknown_orders,
        "day_trades_remaining": trades.remaining if trades else None,
        "alarms": [{"at": line.at, "message": line.text} for line in seen.alarms],
        **({"locked": [lock.subject for lock in board.locks]} if board.locks else {}),
        "drift": note_data(board.drift),
        "learning_suspended_at": board.learning.suspended_at,
        "market_open": market.is_open,
        "next_session": market.opens_at,
        "next": command,
        "next_why": why,
    }


def status_blocks(seen: Seen, market: MarketStatus) -> tuple[Block, ...]:
    """Return the same for people, what must be looked at first."""
    board, day = seen.board, seen.board.day
    reason = f" ({day.mode_reason})" if day.mode_reason else ""
    earned = "" if day.pnl is None else f", {signed(day.pnl)} {account_currency()} today"
    worth = (
        "not known yet"
        if day.equity is None
        else f"{money(day.equity)} {account_currency()}{earned} as of {moment(day.equity_at)}"
    )
    held = f"{day.totals.positions} open, {signed(day.totals.pnl)} {account_currency()}"
    opens = "open now" if market.is_open else f"opens {moment(market.opens_at)}"
    command, why = next_step(seen)
    rows = (
        ("Trading", Cell(f"{day.mode}{reason}: {MODE_MEANINGS[day.mode]}", MODE_TONES[day.mode])),
        ("Runs", Cell(seen.holder or "nothing", Tone.PLAIN if seen.holder else Tone.WARN)),
        ("Equity", Cell(worth)),
        ("Positions", Cell(held, gain(day.totals.pnl).tone)),
        ("Approvals", Cell(f"{day.pending} waiting", Tone.WARN if day.pending else Tone.PLAIN)),
        ("Day trades", left_cell(board.day_trades) if board.day_trades else Cell(DASH)),
        ("Market", Cell(opens)),
        ("Next", Cell(f"{command}  ({why})", Tone.BOLD)),
    )
    alarms = tuple(
        Line(text=cell.text, tone=cell.tone) for cell in alarm_cells(board, seen.alarms, seen.holder, says_mode=False)
    )
    return (*alarms, *learning_lines(board.learning), Fields(rows=rows))


def groups_blocks(groups: Sequence[tuple[str, Sequence[str]]]) -> tuple[Block, ...]:
    """Return the commands by what they are for."""
    rows = tuple((title, Cell(", ".join(names))) for title, names in groups)
    return (Fields(rows=rows), Line(text="apex COMMAND --help explains one; apex help lists topics.", tone=Tone.DIM))


def learning_lines(learning: LearningState) -> tuple[Line, ...]:
    """Return a warning where learning switched itself to only reporting; else nothing."""
    if learning.suspended_at is None:
        return ()
    since = moment(learning.suspended_at)
    words = f"! Learning only reports since {since}, as it made results worse: apex learn status"
    return (Line(text=words, tone=Tone.WARN),)


def note_data(note: DriftNote | None) -> dict[str, Any] | None:
    """Return the stable names of the last comparison; None without one."""
    if note is None:
        return None
    return {
        "at": note.at,
        "from": note.first.isoformat(),
        "to": note.last.isoformat(),
        "since": note.since or None,
        "parted": list(note.parted),
    }
