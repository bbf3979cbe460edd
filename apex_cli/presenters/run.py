"""What a run did, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apex_cli.core.model.decision import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.presenters.blocks import Block, Cell, Grid, Line, Tone, bar
from apex_cli.presenters.formats import DASH, money, number, units

OUTCOME_TONES = {
    SignalOutcome.EXECUTED: Tone.GOOD,
    SignalOutcome.QUEUED: Tone.WARN,
    SignalOutcome.REFUSED: Tone.BAD,
    SignalOutcome.INVALID: Tone.BAD,
    SignalOutcome.EXPIRED: Tone.DIM,
    SignalOutcome.DUPLICATE: Tone.DIM,
}


SENTENCES = 2
"""Reasons told in the table; ``explain`` and ``--json`` tell all."""


def reason_data(reason: Reason) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"code": reason.code, "limit": reason.limit, "value": reason.value, "message": reason.message}


def report_data(report: SignalReport) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "signal_id": report.signal_id,
        "symbol": report.symbol,
        "outcome": report.outcome,
        "reasons": [reason_data(reason) for reason in report.reasons],
        "warnings": [reason_data(warning) for warning in report.warnings],
        "approval_id": report.approval_id,
        "orders": list(report.orders),
        "score": report.score,
        "quantity": None if report.quantity is None else number(report.quantity),
        "where": report.where,
    }


def outcome_counts(reports: Iterable[SignalReport]) -> dict[str, int]:
    """Return how many signals ended in each outcome, every outcome named."""
    counts = Counter(report.outcome for report in reports)
    return {outcome.value: counts[outcome] for outcome in OUTCOME_TONES}


def report_row(report: SignalReport) -> tuple[Cell, ...]:
    """Return one signal as a line of the result table."""
    return (
        Cell(report.symbol or "?", Tone.BOLD),
        Cell(report.outcome, OUTCOME_TONES.get(report.outcome, Tone.PLAIN)),
        Cell(units(report.quantity) if report.quantity is not None else DASH),
        Cell(f"{bar(float(report.score), 5)} {report.score:.2f}" if report.score is not None else DASH),
        Cell(why(report)),
        Cell(report.signal_id or report.where),
    )


def why(report: SignalReport) -> str:
    """Return the first reasons in words; the rest is counted."""
    sentences = [reason.message for reason in (*report.reasons, *report.warnings)]
    shown = " ".join(sentences[:SENTENCES])
    return shown if len(sentences) <= SENTENCES else f"{shown} (+{len(sentences) - SENTENCES} more)"


MOST_ROWS = 200
"""Signals shown one by one; a longer run is summed up, ``--json`` has them all."""


def run_blocks(reports: Sequence[SignalReport], summary: Mapping[str, Any]) -> tuple[Block, ...]:
    """Return the table of signals and one line of sums; signals seen before are only counted."""
    columns = ("Symbol", "Outcome", ">Qty", "Score", "Why", "Signal")
    news = [report for report in reports if report.outcome is not SignalOutcome.DUPLICATE]
    shown = news[:MOST_ROWS]
    grid = Grid(columns=columns, rows=tuple(map(report_row, shown)), empty="No new signals.")
    rest = len(news) - len(shown)
    more = (Line(text=f"... and {rest} more; use --json for all.", tone=Tone.DIM),) if rest > 0 else ()
    return (grid, *more, Line(text=summary_line(summary), tone=Tone.BOLD))


def summary_line(summary: Mapping[str, Any]) -> str:
    """Return the sums of a run in one line."""
    counted = [f"{count} {outcome}" for outcome, count in summary["outcomes"].items() if count]
    parts = [", ".join(counted) or "no signals"]
    if summary.get("fills"):
        parts.append(f"{summary['fills']} fills")
    if summary.get("round_trips"):
        parts.append(f"{summary['round_trips']} round trips closed ({summary['realized_pnl']:+,.2f} USD)")
    parts.append(f"{summary['positions']} open")
    parts.append(f"equity {money(summary['equity'])} USD")
    if summary.get("dry_run"):
        parts.append("dry run: nothing changed")
    return " · ".join(parts)
