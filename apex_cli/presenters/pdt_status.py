"""The day-trade count, the regime and the verdict on an order, for people and for scripts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from apex_cli.core.day_trades.count import SpreadDayTrades, following_sessions
from apex_cli.core.day_trades.deficits import Standing, deadlines_of
from apex_cli.core.day_trades.gate import GateDecision, GateVerdict
from apex_cli.core.day_trades.imports import Report
from apex_cli.core.day_trades.margin import Level
from apex_cli.core.day_trades.summary import BY_OPENINGS, PATTERN_SHARE, DayTradeReport
from apex_cli.core.market.calendar import FIRST_DAY, LAST_DAY, is_certain, is_half_day
from apex_cli.core.model.base import named
from apex_cli.core.model.decision import RULE_UNKNOWN, DayTradeStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.state.events.book_events import Imported
from apex_cli.presenters.screen.blocks import SECOND, Block, Cell, Fields, Grid, Head, Line, Tone, heads
from apex_cli.presenters.screen.formats import DASH, moment, money, number

REGIME_WORDS = {
    "classic": "pattern day trader (classic)",
    "intraday_margin": "intraday margin",
    "cash_settlement": "cash settlement",
    "portfolio_margin": "portfolio margin",
    "off": "off",
    "unknown": "unknown",
}
DECISION_TONES = {GateDecision.ALLOW: Tone.GOOD, GateDecision.WARN: Tone.WARN, GateDecision.BLOCK: Tone.BAD}


def day_trade_data(report: DayTradeReport) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    status = report.status
    return {
        "regimes": list(status.regimes),
        "regime_source": status.regime_source,
        "session_date": status.session_date,
        "window": list(status.window),
        "day_trades_by_session": {day: status.by_session.get(day, 0) for day in status.window},
        "window_count": status.used,
        "alternative_counts": report.alternative_counts,
        "uncertain": status.uncertain,
        "remaining": status.remaining,
        "forecast": list(report.forecast),
        "broker_forecast": list(report.broker_forecast),
        "broker_remaining": status.broker_remaining,
        "mismatch": bool(status.mismatch),
        "order": order_data(report.verdict) if report.verdict else None,
        "intraday": intraday_data(report.level),
        "partial": status.is_partial,
        "regime_at": report.as_of,
        "mismatch_reason": status.mismatch,
        "opened_today": list(status.opened_today),
        "leaves_window": {day: to and to.isoformat() for day, to in report.leaves_window.items()},
        "spreads": [named(spread, "session_date", "underlying", "day_trades", "as_units") for spread in report.spreads],
        "deficits": deficits_data(report.deficits),
    }


def deficits_data(found: Standing) -> dict[str, Any]:
    """Return the intraday margin deficits that are kept, and what they may lead to."""
    return {
        "outstanding": [
            {
                "session_date": row.session_date,
                "amount": row.amount,
                "de_minimis": row.is_de_minimis,
                "ideally_by": deadlines_of(row).ideally,
                "before_freeze_by": deadlines_of(row).before_freeze,
                "lapses_on": deadlines_of(row).lapses,
            }
            for row in found.outstanding
        ],
        "unmet_in_12_months": found.unmet,
        "frozen_until": found.frozen_until,
    }


def order_data(verdict: GateVerdict) -> dict[str, Any]:
    """Return the verdict on an order."""
    return {
        "decision": verdict.decision.value,
        "reasons": [{"code": reason.code, "message": reason.message} for reason in verdict.reasons],
        "closing_quantity": number(verdict.closing),
        "opening_quantity": number(verdict.opening),
        "offer_quantity": number(verdict.offer) if verdict.offer else None,
    }


def intraday_data(level: Level) -> dict[str, Any]:
    """Return the margin level around an order; null where it is not known."""
    is_known = level.after is not None
    return {
        "level_before": level.before,
        "level_after": level.after,
        "reducing": level.is_reducing if is_known else None,
        "deficit": level.deficit if is_known else None,
        "de_minimis": level.is_de_minimis if is_known else None,
    }


def report_warnings(report: DayTradeReport) -> tuple[Reason, ...]:
    """Return what was left out or may be wrong."""
    warnings: list[Reason] = []
    if report.later_executions:
        later = counted(report.later_executions, "execution")
        message = f"Left out: {later} after {moment(report.as_of)}."
        warnings.append(Reason(code="later_executions", message=message, value=str(report.later_executions)))
    session = report.status.session_date
    if not is_certain(date.fromisoformat(session)):
        message = (
            f"Session {session} lies outside the NYSE calendar, which covers {FIRST_DAY} to {LAST_DAY}: "
            "sessions follow the rule of regular hours, and a special closure may be missing."
        )
        warnings.append(Reason(code="calendar_uncertain", message=message, value=session))
    return tuple(warnings)


def file_warnings(report: Report) -> tuple[Reason, ...]:
    """Return what makes the count of a file less than exact."""
    return tuple(Reason(code="executions_inexact", message=text) for text in report.warnings)


def day_trade_blocks(report: DayTradeReport) -> tuple[Block, ...]:
    """Return the page: rule and count, a small calendar of the window, the forward view, the verdict."""
    blocks: list[Block] = [Fields(rows=tuple(_rows(report))), _calendar(report), _forward(report)]
    if report.deficits.outstanding:
        blocks.append(_deficits(report.deficits))
    blocks.extend(Line(text=spread_note(spread)) for spread in report.spreads)
    if report.verdict:
        blocks.extend(_verdict(report.verdict))
    return tuple(blocks)


def _rows(report: DayTradeReport) -> list[tuple[str, Cell]]:
    status = report.status
    regimes = " + ".join(REGIME_WORDS[name] for name in status.regimes)
    next_one = " (the next one)" if report.is_next_session else ""
    rows = [
        ("Rule", Cell(regimes, Tone.PLAIN if status.is_regime_known else Tone.BAD)),
        ("Known from", Cell(f"{status.regime_source}, {moment(report.as_of)}")),
        ("Session", Cell(f"{status.session_date}{next_one}")),
        ("Used", Cell(_used(report))),
        ("Remaining", remaining_cell(status)),
        ("Why", Cell(status.why)),
        ("Broker says", _broker_cell(status)),
    ]
    if status.opened_today:
        rows.append(("Opened today", Cell(", ".join(status.opened_today))))
    if status.used > status.limit and report.day_trade_share is not None:
        rows.append(("Pattern", Cell(_pattern(report.day_trade_share))))
    if report.deficits.frozen_until is not None:
        rows.append(("Frozen", Cell(f"until {report.deficits.frozen_until}: no new debit, no new short", Tone.BAD)))
    if report.level.before is not None:
        rows.append(("Margin level", _level_cell(report.level)))
    return rows


def _used(report: DayTradeReport) -> str:
    status = report.status
    notes = []
    other = report.alternative_counts.get(BY_OPENINGS, 0)
    if other != status.used:
        notes.append(f"up to {other} by another method")
    if status.uncertain:
        notes.append("the order of some executions is uncertain")
    if status.is_partial:
        notes.append("history is partial")
    return f"{status.used} in {len(status.window)} sessions" + (f" ({'; '.join(notes)})" if notes else "")


def remaining_cell(status: DayTradeStatus) -> Cell:
    """Return what is left, in words; by a rule that is not known nothing is."""
    if not status.is_regime_known:
        return Cell(RULE_UNKNOWN, Tone.BAD)
    match status.remaining:
        case None:
            return Cell("not applicable")
        case -1:
            return Cell("unlimited", Tone.GOOD)
        case 0:
            return Cell(f"0 of {status.limit}: nothing may be opened", Tone.BAD)
        case left:
            return Cell(f"{left} of {status.limit}", Tone.WARN if left == 1 else Tone.GOOD)


def _broker_cell(status: DayTradeStatus) -> Cell:
    reported = {None: "nothing", -1: "unlimited"}.get(status.broker_remaining, str(status.broker_remaining))
    ours = {None: "not applicable", -1: "unlimited"}.get(status.local_remaining, str(status.local_remaining))
    if not status.mismatch:
        return Cell(reported, Tone.DIM if status.broker_remaining is None else Tone.PLAIN)
    return Cell(f"{reported} remaining; our count says {ours}", Tone.WARN)


def _pattern(share: Decimal) -> str:
    word = "more" if share > PATTERN_SHARE else "not more"
    return f"{share * 100:.0f} % of the executions are day trades, {word} than 6 % (brokers ignore that)"


def _level_cell(level: Level) -> Cell:
    before = f"{money(level.before)} {account_currency()}" if level.before is not None else DASH
    if level.after is None:
        return Cell(before)
    estimate = " (estimate)" if level.is_estimate else ""
    return Cell(
        f"{before} now, {money(level.after)} after the order{estimate}", Tone.BAD if level.deficit else Tone.PLAIN
    )


def _calendar(report: DayTradeReport) -> Grid:
    """Return the sessions of the window, oldest first, with a dot for each day trade."""
    status = report.status
    rows = tuple(
        (
            Cell(day),
            Cell("●" * status.by_session.get(day, 0) or "·"),
            Cell(str(status.by_session.get(day, 0))),
            Cell(_weekday(date.fromisoformat(day))),
            Cell(_leaves(report, day)),
        )
        for day in status.window
    )
    return Grid(
        columns=(
            Head("Session"),
            Head("Day trades", SECOND),
            Head("Count", is_right=True),
            Head("Day", SECOND),
            Head("Free again"),
        ),
        rows=rows,
    )


def _weekday(day: date) -> str:
    return f"{day:%a}" + (", half day" if is_half_day(day) else "")


def _leaves(report: DayTradeReport, day: str) -> str:
    if day not in report.leaves_window:
        return ""
    to = report.leaves_window[day]
    return f"on {to}" if to else "after the calendar's end"


def spread_note(spread: SpreadDayTrades) -> str:
    """Return what another way to count spreads would say."""
    return (
        f"{spread.session_date}: {counted(spread.day_trades, 'day trade')} in options on {spread.underlying}; "
        f"{spread.as_units} if counted as a unit."
    )


def _deficits(found: Standing) -> Grid:
    """Return the deficits that must still be met."""
    rows = []
    for row in found.outstanding:
        due = deadlines_of(row)
        days = (due.ideally, due.before_freeze, due.lapses)
        small = "de minimis" if row.is_de_minimis else ""
        cells = (Cell(day.isoformat()) for day in days)
        rows.append((Cell(row.session_date), Cell(money(row.amount), Tone.BAD), *cells, Cell(small)))
    return Grid(
        columns=heads("Margin deficit", f">{account_currency()}", "Meet by", "Freeze after", "Lapses", ""),
        rows=tuple(rows),
    )


def _forward(report: DayTradeReport) -> Grid:
    """Return what is left today and on the next four sessions."""
    sessions = following_sessions(date.fromisoformat(report.status.session_date), len(report.forecast))
    reported = dict(enumerate(report.broker_forecast))
    rows = []
    for ahead, (session, left) in enumerate(zip(sessions, report.forecast, strict=True)):
        cells = [Cell(f"T+{ahead}"), Cell(session.isoformat()), _left_cell(left)]
        if reported:
            theirs = reported.get(ahead)
            cells.append(_left_cell(theirs, Tone.PLAIN if theirs in {left, None} else Tone.WARN))
        rows.append(tuple(cells))
    columns = ("Forward", "Session", ">Remaining", *((">Broker",) if reported else ()))
    return Grid(columns=heads(*columns), rows=tuple(rows))


def _left_cell(left: int | None, tone: Tone = Tone.PLAIN) -> Cell:
    return Cell({None: DASH, -1: "unlimited"}.get(left, str(left)), tone)


def _verdict(verdict: GateVerdict) -> list[Block]:
    """Return what the gate says of the order, every reason a line."""
    lines: list[Block] = [Line(text=f"Order: {verdict.decision}", tone=DECISION_TONES[verdict.decision])]
    marked = (("✗", Tone.BAD, verdict.blocks), ("!", Tone.WARN, verdict.warnings), ("·", Tone.PLAIN, verdict.notes))
    lines.extend(
        Line(text=f"{mark} {reason.message}", tone=tone) for mark, tone, reasons in marked for reason in reasons
    )
    return lines


def imported_data(imported: Imported, *, partial: bool) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        **named(imported, "added", "known", "too_old", "not_counted"),
        "covered_since": imported.covered_since or None,
        "partial": partial,
    }


def imported_blocks(imported: Imported, *, partial: bool) -> tuple[Block, ...]:
    """Return what an import changed."""
    covered = imported.covered_since or DASH
    return (
        Fields(
            rows=(
                ("Added", Cell(str(imported.added), Tone.GOOD if imported.added else Tone.PLAIN)),
                ("Known before", Cell(str(imported.known))),
                ("Too old", Cell(str(imported.too_old))),
                ("Not counted", Cell(str(imported.not_counted))),
                ("Covered since", Cell(covered + (" (still partial)" if partial else ""))),
            )
        ),
    )
