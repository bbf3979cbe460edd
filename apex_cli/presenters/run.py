"""The result of a run, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.presenters.screen.blocks import LAST, THIRD, Block, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, toned
from apex_cli.presenters.screen.formats import DASH, money, number, score_text, signed, units

OUTCOME_TONES = {
    SignalOutcome.EXECUTED: Tone.GOOD,
    SignalOutcome.QUEUED: Tone.WARN,
    SignalOutcome.REFUSED: Tone.BAD,
    SignalOutcome.INVALID: Tone.BAD,
    SignalOutcome.EXPIRED: Tone.DIM,
    SignalOutcome.DUPLICATE: Tone.DIM,
    SignalOutcome.UNKNOWN: Tone.WARN,
}


SENTENCES = 2
"""Reasons reported in the table; ``explain`` and ``--json`` report all."""


def reason_data(reason: Reason) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    data = {"code": reason.code, "limit": reason.limit, "value": reason.value, "message": reason.message}
    return data if reason.lifts_at is None else {**data, "lifts_at": reason.lifts_at}


def outcome_counts(reports: Iterable[SignalReport]) -> dict[str, int]:
    """Return how many signals ended in each outcome, every outcome named; an unknown one where there is any."""
    counts = Counter(report.outcome for report in reports)
    return {
        outcome.value: counts[outcome]
        for outcome in OUTCOME_TONES
        if outcome is not SignalOutcome.UNKNOWN or counts[outcome]
    }


def why(report: SignalReport) -> str:
    """Return the first reasons in words, of an invalid row behind its place; the rest is counted."""
    sentences = [reason.message for reason in (*report.reasons, *report.warnings)]
    place = f"{report.where}: " if report.outcome is SignalOutcome.INVALID and report.where else ""
    shown = place + " ".join(sentences[:SENTENCES])
    return shown if len(sentences) <= SENTENCES else f"{shown} (+{len(sentences) - SENTENCES} more)"


SIGNALS = Table[SignalReport](
    Column("signal_id", "Signal", rank=LAST, place=3),
    Column("symbol", "Symbol", cell=lambda r: bold(r.key or r.symbol or "?")),
    Column("outcome", "Outcome", shown=toned(OUTCOME_TONES)),
    Column("reasons", "Why", lambda r: [reason_data(reason) for reason in r.reasons], cell=why, wraps=True, place=2),
    Column("warnings", value=lambda r: [reason_data(warning) for warning in r.warnings]),
    Column("approval_id"),
    Column("orders", value=lambda r: list(r.orders)),
    Column("score", "Score", shown=score_text, rank=THIRD, place=1),
    Column(
        "quantity",
        "Qty",
        lambda r: None if r.quantity is None else number(r.quantity),
        cell=lambda r: DASH if r.quantity is None else units(r.quantity),
        is_right=True,
    ),
    Column("where"),
    empty="No new signals.",
)

MOST_ROWS = 200
"""Signals shown one by one; a longer run is summed up, ``--json`` has them all."""


def run_blocks(
    reports: Sequence[SignalReport], summary: Mapping[str, Any], handles: Mapping[str, int] | None
) -> tuple[Block, ...]:
    """Return the table of signals and one line of sums; signals seen before are only counted.

    *handles* are the numbers that ``apex explain`` knows the signals by; without them there is no such column.
    """
    news = [report for report in reports if report.outcome is not SignalOutcome.DUPLICATE]
    shown = news[:MOST_ROWS]
    grid = SIGNALS.grid(shown, handles=[handles.get(each.signal_id, "") for each in shown] if handles else None)
    rest = len(news) - len(shown)
    more = (Line(text=f"... and {rest} more; use --json for all.", tone=Tone.DIM),) if rest > 0 else ()
    ends = (*more, *_asking(news, summary), *_mending(news, summary), *_stopped(summary["trading_state"]))
    return (grid, *ends, Line(text=summary_line(summary), tone=Tone.BOLD))


def _asking(reports: Sequence[SignalReport], summary: Mapping[str, Any]) -> tuple[Line, ...]:
    """Return how to answer what waits for it."""
    if summary.get("dry_run") or all(report.outcome is not SignalOutcome.QUEUED for report in reports):
        return ()
    return (Line(text="Queued: answer with apex approve.", tone=Tone.DIM),)


def _mending(reports: Sequence[SignalReport], summary: Mapping[str, Any]) -> tuple[Line, ...]:
    """Return what to do about rows that could not be used."""
    if all(report.outcome is not SignalOutcome.INVALID for report in reports):
        return ()
    moved = "" if summary.get("dry_run") else " A file of an inbox is now in its folder processed or rejected."
    return (Line(text=f"Invalid: correct the file; apex files FILE shows how it is read.{moved}", tone=Tone.DIM),)


def _stopped(mode: str) -> tuple[Line, ...]:
    """Return that trading is halted or reduced, where it is."""
    if mode == TradingMode.ACTIVE:
        return ()
    return (Line(text=f"Trading is {mode}: nothing is opened. Go on with: apex resume", tone=Tone.WARN),)


def summary_line(summary: Mapping[str, Any]) -> str:
    """Return the sums of a run in one line."""
    outcomes = [f"{count} {outcome}" for outcome, count in summary["outcomes"].items() if count]
    parts = [", ".join(outcomes) or "no signals"]
    if summary.get("fills"):
        parts.append(counted(summary["fills"], "fill"))
    if summary.get("round_trips"):
        closed = counted(summary["round_trips"], "round trip")
        parts.append(f"{closed} closed ({signed(summary['realized_pnl'])} {account_currency()})")
    parts.append(f"{summary['positions']} open")
    parts.append(f"equity {money(summary['equity'])} {account_currency()}")
    if summary.get("dry_run"):
        parts.append("dry run: nothing changed")
    return " · ".join(parts)
