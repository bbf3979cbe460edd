"""Where things stand in a few lines, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.base import Value, named
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.health import DriftNote
from apex_cli.core.model.learning import LearningState
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.board import Board
from apex_cli.presenters.day import MODE_MEANINGS, MODE_TONES, alarm_cells, left_cell
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Line, Tone
from apex_cli.presenters.screen.formats import DASH, gain, moment, money, signed


class Standing(Value, frozen=True, kw_only=True):
    """Everything that ``apex status`` shows."""

    board: Board
    badge: AccountBadge
    alarms: tuple[Activity, ...]
    """Of the running session, oldest first."""

    holder: str
    """Who trades now; empty when nobody does."""

    market: MarketStatus


def next_step(standing: Standing) -> tuple[str, str]:
    """Return the command to type next, and why."""
    day = standing.board.day
    steps = (
        (day.unknown_orders, "apex reconcile", "the outcome of an order is unknown"),
        (day.totals.unprotected, "apex positions", "a position is not fully protected by a stop"),
        (day.pending, "apex approve", "a trade waits for your answer"),
        (day.mode is not TradingMode.ACTIVE, "apex resume", f"trading is {day.mode}"),
        (not standing.holder, "apex run", "nothing is running"),
    )
    return next(((command, why) for holds, command, why in steps if holds), ("apex dashboard", "a run is going"))


def status_data(standing: Standing) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    board, day = standing.board, standing.board.day
    trades = board.day_trades
    command, why = next_step(standing)
    return {
        "mode": standing.badge.kind,
        "account": standing.badge.text,
        "now": day.now,
        "trading_state": day.mode,
        "reason": day.mode_reason,
        "running": standing.holder,
        "equity": day.equity,
        "equity_at": day.equity_at,
        "day_pnl": day.pnl,
        **named(day.totals, "positions", "pnl", "unprotected"),
        "approvals_pending": day.pending,
        "unknown_orders": day.unknown_orders,
        "day_trades_remaining": trades.remaining if trades else None,
        "alarms": [{"at": line.at, "message": line.text} for line in standing.alarms],
        **({"locked": [lock.subject for lock in board.locks]} if board.locks else {}),
        "drift": note_data(board.drift),
        "learning_suspended_at": board.learning.suspended_at,
        "market_open": standing.market.is_open,
        "next_session": standing.market.opens_at,
        "next": command,
        "next_why": why,
    }


def status_blocks(standing: Standing) -> tuple[Block, ...]:
    """Return the same for people, what must be looked at first."""
    board, day = standing.board, standing.board.day
    reason = f" ({day.mode_reason})" if day.mode_reason else ""
    earned = "" if day.pnl is None else f", {signed(day.pnl)} {account_currency()} today"
    worth = (
        "not known yet"
        if day.equity is None
        else f"{money(day.equity)} {account_currency()}{earned} as of {moment(day.equity_at)}"
    )
    held = f"{day.totals.positions} open, {signed(day.totals.pnl)} {account_currency()}"
    opens = "open now" if standing.market.is_open else f"opens {moment(standing.market.opens_at)}"
    command, why = next_step(standing)
    rows = (
        ("Trading", Cell(f"{day.mode}{reason}: {MODE_MEANINGS[day.mode]}", MODE_TONES[day.mode])),
        ("Runs", Cell(standing.holder or "nothing", Tone.PLAIN if standing.holder else Tone.WARN)),
        ("Equity", Cell(worth)),
        ("Positions", Cell(held, gain(day.totals.pnl).tone)),
        ("Approvals", Cell(f"{day.pending} waiting", Tone.WARN if day.pending else Tone.PLAIN)),
        ("Day trades", left_cell(board.day_trades) if board.day_trades else Cell(DASH)),
        ("Market", Cell(opens)),
        ("Next", Cell(f"{command}  ({why})", Tone.BOLD)),
    )
    alarms = tuple(
        Line(text=cell.text, tone=cell.tone)
        for cell in alarm_cells(board, standing.alarms, standing.holder, says_mode=False)
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
