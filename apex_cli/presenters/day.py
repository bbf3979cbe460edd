"""The day at a glance: gauges, countdowns and tables of the dashboard and the status lines.

Values come from ``core.reports.board``; here they become words and bars. A tone is never the only sign: every
bar carries its number, every alarm its mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import RULE_UNKNOWN, DayTradeStatus, TradingMode
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.wording import account_currency, counted, visible
from apex_cli.core.positions.lock_rules import EVERYTHING
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.reports.activity import Activity, ActivityKind
from apex_cli.core.reports.board import Board, Day, Gauge
from apex_cli.presenters.approvals import APPROVALS, ApprovalRow
from apex_cli.presenters.orders import ORDERS
from apex_cli.presenters.positions import POSITIONS
from apex_cli.presenters.screen.blocks import FIRST, Cell, Grid, Head, Tone, bar, heads, picked
from apex_cli.presenters.screen.fit import places_that_fit
from apex_cli.presenters.screen.formats import DASH, clock_time, gain, moment, money, percent, share, short_time, signed

MODE_MEANINGS = {
    TradingMode.ACTIVE: "signals are decided and executed",
    TradingMode.REDUCING: "positions may be closed, nothing is opened",
    TradingMode.HALTED: "nothing but cancels, protective exits and your own close",
}
MODE_TONES = {TradingMode.ACTIVE: Tone.GOOD, TradingMode.REDUCING: Tone.WARN, TradingMode.HALTED: Tone.BAD}

HALF = Decimal("0.5")
NEAR, OVER = Decimal("0.8"), Decimal(1)
"""Parts of a limit from which on a gauge warns, and is over."""

Cells = tuple[Cell, ...]


class Sheet(Value, frozen=True, kw_only=True):
    """A table whose rows have names, so that a view keeps its place in it."""

    columns: tuple[Head, ...]
    rows: tuple[tuple[str, Cells], ...]
    empty: str


# Lines


def status_line(day: Day, badge: AccountBadge) -> str:
    """Return the day in one line: account, time, trading state, what is open, what waits, what it earned."""
    worth = "" if day.equity is None else f" · equity {money(day.equity)}"
    earned = "" if day.pnl is None else f" (day {signed(day.pnl)})"
    return (
        f"{badge.text} · {clock_time(day.now)} · {day.mode}"
        f" · {day.totals.positions} open {signed(day.totals.pnl)} {account_currency()}{worth}{earned}"
        f" · {day.pending} to approve · {counted(day.entries_today, 'entry')} today"
    )


BADGE_TONES = {AccountKind.SIMULATED: Tone.PLAIN, AccountKind.PAPER: Tone.WARN, AccountKind.LIVE: Tone.BAD}


def badge_cell(badge: AccountBadge) -> Cell:
    """Return which account one is in; a live one is framed."""
    text = f"┃ {badge.text} ┃" if badge.kind is AccountKind.LIVE else badge.text
    return Cell(text, BADGE_TONES[badge.kind])


def head_cells(board: Board, badge: AccountBadge, holder: str) -> Cells:
    """Return the head line: account, clock, trading state, who trades."""
    day = board.day
    reason = f" ({day.mode_reason})" if day.mode_reason else ""
    return (
        badge_cell(badge),
        Cell(clock_time(day.now), Tone.BOLD),
        Cell(f"{day.mode}{reason}", MODE_TONES[day.mode]),
        Cell(holder or "no run", Tone.DIM if holder else Tone.WARN),
    )


def alarm_cells(
    board: Board, alarms: Sequence[Activity], holder: str = "", *, says_mode: bool = True
) -> tuple[Cell, ...]:
    """Return what must be looked at now, the worst first; empty when all is well. *holder* is who trades."""
    texts = _alarm_texts(board, alarms, holder, says_mode=says_mode)
    return tuple(Cell(f"! {text}", tone) for tone, text in texts)


def _alarm_texts(
    board: Board, alarms: Sequence[Activity], holder: str, *, says_mode: bool
) -> Iterator[tuple[Tone, str]]:
    day, drift = board.day, board.drift
    if day.unknown_orders:
        yield Tone.BAD, f"{counted(day.unknown_orders, 'order')} of unknown outcome: apex orders"
    if day.totals.unprotected:
        yield Tone.BAD, f"{counted(day.totals.unprotected, 'position')} not fully protected by a working stop"
    if says_mode and day.mode is not TradingMode.ACTIVE:
        yield Tone.WARN, f"{day.mode}: {MODE_MEANINGS[day.mode]}"
    if alarms:
        count = f"{len(alarms)} alarms, newest" if len(alarms) > 1 else "alarm"
        yield Tone.BAD, f"{count} {clock_time(alarms[-1].at)}: {alarms[-1].text}"
    if board.locks:
        names = dict.fromkeys("the account" if lock.subject == EVERYTHING else lock.subject for lock in board.locks)
        yield Tone.WARN, f"locked after closed trades: {', '.join(names)}; until when: apex locks"
    if drift is not None and drift.parted:
        since = f" since {drift.since}" if drift.since else ""
        yield Tone.WARN, f"live trading and the replay part{since}: {' '.join(drift.parted)} Look: apex drift"
    if board.is_stale and not holder:
        yield Tone.WARN, f"no run is going: prices and equity are those of {moment(day.equity_at)}"


# Gauges


def gauge_tone(gauge: Gauge) -> Tone:
    """Return how a gauge feels: warned of from 80 % of its limit on."""
    fraction = gauge.fraction
    if fraction is None or fraction >= OVER:
        return Tone.BAD
    return Tone.WARN if fraction >= NEAR else Tone.PLAIN


def gauge_cell(gauge: Gauge, width: int = 10) -> Cell:
    """Return a bar with what is used, the part, and the limit; ``OVER`` or ``near`` in words, too."""
    fraction = gauge.fraction
    if fraction is None:
        return Cell(f"{money(gauge.used)} {account_currency()}, the limit is 0: OVER", Tone.BAD)
    word = " OVER" if fraction >= OVER else " near" if fraction >= NEAR else ""
    text = f"{bar(float(fraction), width)} {share(fraction)}{word} of {money(gauge.limit)}"
    return Cell(text, gauge_tone(gauge))


def equity_rows(board: Board, width: int = 10) -> tuple[tuple[str, Cells], ...]:
    """Return equity, the day's P&L and its loss against the limit."""
    day = board.day
    if day.equity is None:
        return (("Equity", (Cell("not known yet: start apex run", Tone.DIM),)),)
    pnl = (Cell(DASH),) if day.pnl is None else (gain(day.pnl), _signed_percent(day.pnl, day.pnl_fraction))
    loss = gauge_cell(board.daily_loss, width) if board.daily_loss else Cell("no session yet today", Tone.DIM)
    return (
        ("Equity", (Cell(money(day.equity), Tone.BOLD),)),
        ("Day", pnl),
        ("Day loss", (loss,)),
    )


def _signed_percent(amount: Decimal, fraction: Decimal | None) -> Cell:
    return gain(amount, DASH if fraction is None else percent(fraction * 100))


def risk_rows(board: Board, width: int = 10) -> tuple[tuple[str, Cells], ...]:
    """Return open risk in R against its limit, and what is open."""
    risk = board.open_risk
    tone = gauge_tone(risk.gauge)
    in_r = DASH if risk.r is None or risk.limit_r is None else f"{risk.r:.1f} of {risk.limit_r:.1f} R"
    totals = board.day.totals
    return (
        ("Open risk", (Cell(in_r, tone), Cell(f"{money(risk.gauge.used)} {account_currency()}"))),
        ("At stops", (gauge_cell(risk.gauge, width),)),
        ("Open P&L", (gain(totals.pnl), Cell(f"{totals.positions} open"))),
    )


def exposure_rows(board: Board, width: int = 8) -> tuple[tuple[str, Cells], ...]:
    """Return what is held by market and side, each with its part of equity."""
    if not board.exposures:
        return (("Exposure", (Cell("none", Tone.DIM),)),)
    return tuple(
        (
            f"{row.market} {row.side}",
            (Cell(_part(row.fraction, width)), Cell(f"{money(row.notional)} ({row.count})")),
        )
        for row in board.exposures
    )


MOST_STRATEGIES = 6


def heat_rows(board: Board) -> tuple[tuple[str, Cells], ...]:
    """Return the open risk by strategy, each beside the most that may be at risk."""
    rows = tuple(
        (
            row.strategy or "no strategy",
            (Cell(_part(row.fraction, 10), _heat_tone(row.fraction)), Cell(f"{money(row.risk)} ({row.count})")),
        )
        for row in board.risks[:MOST_STRATEGIES]
    )
    more = len(board.risks) - len(rows)
    ends = (("more", (Cell(str(more), Tone.DIM),)),) if more > 0 else ()
    return (("Open risk", (Cell("by strategy", Tone.DIM),)), *rows, *ends) if rows else ()


def _heat_tone(fraction: Decimal | None) -> Tone:
    return Tone.PLAIN if fraction is None or fraction < HALF else Tone.WARN if fraction < NEAR else Tone.BAD


def _part(fraction: Decimal | None, width: int) -> str:
    return DASH if fraction is None else f"{bar(float(fraction), width)} {share(fraction):>5}"


def day_trade_rows(status: DayTradeStatus | None, numbers: Sequence[int | None]) -> tuple[tuple[str, Cells], ...]:
    """Return the day trades left now and on the sessions to come."""
    if status is None:
        return (("Day trades", (Cell("not known yet", Tone.DIM),)),)
    left = left_cell(status)
    used = f"{status.used} in {len(status.window)} sessions"
    ahead = " ".join(f"T+{n} {_left_text(number)}" for n, number in enumerate(numbers))
    return (("Day trades", (left,)), ("Used", (Cell(used),)), ("Ahead", (Cell(ahead),)))


def left_cell(status: DayTradeStatus) -> Cell:
    """Return the day trades left, in words."""
    remaining = status.remaining
    if not status.is_regime_known:
        return Cell(RULE_UNKNOWN, Tone.BAD)
    if remaining is None:
        return Cell("not counted")
    if remaining < 0:
        return Cell("unlimited", Tone.GOOD)
    return Cell(f"{remaining} of {status.limit} left", Tone.BAD if remaining == 0 else Tone.PLAIN)


def _left_text(number: int | None) -> str:
    return DASH if number is None else "∞" if number < 0 else str(number)


def brief_lines(board: Board) -> tuple[Cells, ...]:
    """Return the gauges in four lines, for a small screen."""
    worth, risk = dict(equity_rows(board, 8)), dict(risk_rows(board, 8))
    trades = dict(day_trade_rows(board.day_trades, board.forecast))
    exposure = [Cell(f"{name} {cells[0].text}", cells[0].tone) for name, cells in exposure_rows(board, 4)[:3]]
    return (
        _named("Equity", worth["Equity"], "day", worth.get("Day", ()), "loss", worth.get("Day loss", ())),
        _named("Open risk", risk["Open risk"][:1], "", risk["At stops"], "P&L", risk["Open P&L"][:1]),
        _named("Day trades", trades["Day trades"], "ahead", trades.get("Ahead", ())),
        _named("Held", tuple(exposure)),
    )


def _named(*parts: str | Cells) -> Cells:
    """Return names, dim, before their values."""
    found: list[Cell] = []
    for name, cells in zip(parts[::2], parts[1::2], strict=True):
        if cells:
            found += [Cell(str(name), Tone.DIM)] if name else []
            found += [cell for cell in cells if isinstance(cell, Cell)]
    return tuple(found)


# Tables


def positions_sheet(views: Sequence[PositionView], width: int) -> Sheet:
    """Return the positions, as much of them as *width* has room for."""
    return _sheet(POSITIONS.grid(views), [view.symbol for view in views], width)


def orders_sheet(records: Sequence[OrderRecord], width: int) -> Sheet:
    """Return the working orders, as much of them as *width* has room for."""
    return _sheet(ORDERS.grid(records), [record.order.client_order_id for record in records], width)


def approvals_sheet(approvals: Sequence[ApprovalRecord], now: datetime, width: int) -> Sheet:
    """Return what waits for an answer, with a countdown."""
    grid = APPROVALS.grid(ApprovalRow(approval, now=now) for approval in approvals)
    return _sheet(grid, [approval.approval_id for approval in approvals], width)


def _sheet(grid: Grid, names: Sequence[str], width: int) -> Sheet:
    first = [place for place, head in enumerate(grid.columns) if head.rank == FIRST]
    shown = picked(grid, places_that_fit(grid, width) or first)
    return Sheet(columns=shown.columns, rows=tuple(zip(names, shown.rows, strict=True)), empty=grid.empty)


LOG_COLUMNS = heads("Time", "What", "Symbol", "Verdict", "Why")
_VERDICT_TONES = {
    "execute": Tone.GOOD,
    "executed": Tone.GOOD,
    "queue": Tone.WARN,
    "queued": Tone.WARN,
    "refuse": Tone.BAD,
    "failed": Tone.BAD,
    "invalid": Tone.BAD,
}


def log_sheet(lines: Sequence[Activity]) -> Sheet:
    """Return the log, the newest first."""
    newest = lines[-1].at if lines else None
    rows = tuple((str(line.seq), _log_row(line, newest)) for line in reversed(lines))
    return Sheet(columns=LOG_COLUMNS, rows=rows, empty="Nothing happened yet.")


def _log_row(line: Activity, newest: datetime | None) -> Cells:
    is_alarm = line.kind is ActivityKind.ALARM
    return (
        Cell(short_time(line.at, newest)),
        Cell("! alarm" if is_alarm else line.kind, Tone.BAD if is_alarm else Tone.DIM),
        Cell(line.symbol, Tone.BOLD),
        Cell(line.verdict.replace("_", " "), _VERDICT_TONES.get(line.verdict, Tone.PLAIN)),
        Cell(line.text),
    )


def matching(sheet: Sheet, words: str) -> Sheet:
    """Return the rows of *sheet* that have all *words* somewhere, in any case."""
    wanted = words.lower().split()
    if not wanted:
        return sheet
    rows = tuple(
        row for row in sheet.rows if all(word in " ".join(cell.text for cell in row[1]).lower() for word in wanted)
    )
    return replace(sheet, rows=rows, empty=f"Nothing here has {visible(words)}.")


def is_shown(line: Activity, kind: ActivityKind | None, words: str) -> bool:
    """Return whether the log shows *line*: of *kind*, with every one of *words* somewhere in it."""
    if kind is not None and line.kind is not kind:
        return False
    text = f"{line.kind} {line.symbol} {line.verdict} {line.text} {line.subject}".lower()
    return all(word in text for word in words.lower().split())
