"""Renders ``apex explain``: the full decision record of one signal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from apex_cli.core.model.base import named
from apex_cli.core.model.decision import Check
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.signal import Expectation, Opportunity
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.story import Story
from apex_cli.core.signals.ranker import is_tradeable
from apex_cli.core.state.events.signal_events import DecisionRecord
from apex_cli.presenters.approvals import proposal_rows, score_grid
from apex_cli.presenters.history import ROUND_TRIPS
from apex_cli.presenters.management_lines import management_line
from apex_cli.presenters.orders import ORDERS
from apex_cli.presenters.screen.blocks import LAST, SECOND, Block, Cell, Fields, Grid, Line, Tone, heads
from apex_cli.presenters.screen.columns import Column, Table, bold, price_column, words
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    gain,
    in_both,
    marked,
    moment,
    money,
    percent,
    price,
    r_multiple,
    rate_text,
    ratio,
    signed,
    units,
)
from apex_cli.presenters.size import BINDING_WORDS, bound_words

STAGE_MARKS: dict[str, tuple[str, ...]] = {
    "Scanner": ("scanner", "market_regime"),
    "Technical": ("technical_", "adjusted_confidence"),
    "Predictor": ("predictor_",),
    "Market": ("atr", "volume_ratio", "avg_dollar_volume"),
}
"""Beginnings of the names under which each stage puts its numbers."""


RECENT = Table[Activity](
    Column("signal_id", "Signal", lambda line: line.subject, rank=LAST, place=2),
    Column("symbol", "Symbol", shown=bold),
    Column("verdict", "Verdict", shown=words),
    Column("at", "When", shown=moment, rank=SECOND),
    Column("text", "Why", wraps=True, place=1),
    empty="No signals yet.",
)


def recent_blocks(recent: Sequence[Activity]) -> tuple[Block, ...]:
    """Return the recent signals, each with a number to name it by."""
    note = Line(text="To see every step of one: apex explain 1, a symbol, or the beginning of its id.", tone=Tone.DIM)
    return (RECENT.grid(recent, handles=count(1)), *((note,) if recent else ()))


def explain_data(stories: Iterable[Story]) -> dict[str, Any]:
    """Return the whole record; events carry their payloads as they stand in the journal."""
    return {
        "stories": [
            {
                "signal_id": story.subject,
                "decisions": [_decision_data(e, c) for e, c in zip(story.decisions, story.checks, strict=True)],
                "ended": msgspec.to_builtins(story.ended, builtin_types=()),
                "approvals": [
                    {"approval_id": a.approval_id, "status": a.status, "reason": a.reason} for a in story.approvals
                ],
                "orders": ORDERS.rows(story.orders),
                "fills": [msgspec.to_builtins(fill) for fill in story.fills],
                "round_trips": ROUND_TRIPS.rows(story.round_trips),
                "events": [
                    {"seq": e.seq, "at": e.at, "kind": e.kind, "data": msgspec.json.decode(e.data)}
                    for e in story.events
                ],
            }
            for story in stories
        ]
    }


def _decision_data(record: DecisionRecord, checks: tuple[Check, ...]) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(record.decision)
    data["taken_at"] = record.snapshot.taken_at
    data["is_tradeable"] = is_tradeable(record.decision)
    data["score"] = _score_data(record.opportunity)
    data["stages"] = dict(record.opportunity.signal.metadata)
    data["checks"] = [
        {"code": c.code, "passed": c.passed, "limit": c.limit, "value": c.value, "message": c.message}
        | ({} if c.lifts_at is None else {"lifts_at": c.lifts_at})
        for c in checks
    ]
    return data


def _score_data(opportunity: Opportunity) -> dict[str, Any]:
    return {
        "score": opportunity.opportunity_score,
        "plain_score": opportunity.plain_score,
        "weights_version": opportunity.weights_version,
        "components": [{"name": p.name, "weight": p.weight, "value": p.value} for p in opportunity.breakdown],
        "factors": [{"name": f.name, "value": f.value, "why": f.why} for f in opportunity.factors],
        "notes": list(opportunity.notes),
        "expected": _expected_data(opportunity.expected),
    }


def _expected_data(expected: Expectation | None) -> dict[str, Any] | None:
    if expected is None:
        return None
    return {
        "r": expected.mean,
        "low": expected.low,
        "high": expected.high,
        "default_r": expected.default,
        **named(expected, "orders", "trades", "followed", "loses", "next_look"),
    }


def explain_blocks(story: Story) -> tuple[Block, ...]:
    """Return the story from signal to result, section by section; empty sections are left out."""
    blocks: list[Block] = [Line(text=f"Signal {story.subject}", tone=Tone.BOLD, is_heading=True)]
    for event, checks in zip(story.decisions, story.checks, strict=True):
        blocks += (_signal_fields(event), *_stages(event), score_grid(event.opportunity), *_score_notes(event))
        blocks += (_decision_line(event), _checks_grid(checks))
    ended = () if story.decisions else story.ended  # fed again much later, a signal only expires again
    blocks += [Line(text=f"Ended: {e.outcome}. {' '.join(r.message for r in e.reasons)}") for e in ended]
    if story.approvals:
        steps = [f"{a.status}{f' ({a.reason})' if a.reason else ''}" for a in story.approvals]
        blocks.append(Line(text=f"Approval {story.approvals[0].approval_id}: {' -> '.join(steps)}"))
    if story.orders:
        blocks.append(ORDERS.grid(story.orders))
    if story.fills:
        blocks.append(_FILLS.grid(story.fills))
        if any(fill.is_theoretical for fill in story.fills):
            blocks.append(Line(text=THEORETICAL_NOTE, tone=Tone.DIM))
    blocks += [Line(text=line) for line in map(management_line, story.events) if line is not None]
    blocks += map(_result_line, story.round_trips)
    if not (story.decisions or story.ended):
        blocks += [Line(text=f"{moment(e.at)}  {e.kind}  {bytes(e.data).decode()}") for e in story.events]
    return tuple(blocks)


def _result_line(trip: RoundTrip) -> Line:
    """Return what one closed trade earned, and how it ended."""
    quoted = in_both(trip.instrument.currency, trip.quote_pnl, trip.rate)
    earned = ", ".join((*quoted, percent(trip.pnl_pct), r_multiple(trip.r_multiple)))
    exit_price = marked(trip.exit_price, is_theoretical=trip.is_theoretical)
    ended = f"closed by {trip.exit_reason} at {exit_price} on {moment(trip.exit_time)}"
    text = f"Result: {signed(trip.pnl)} {account_currency()} ({earned}), {ended}"
    return Line(text=text, tone=gain(trip.pnl).tone)


def _signal_fields(record: DecisionRecord) -> Fields:
    signal = record.opportunity.signal
    sized = record.decision.sized
    size = f"{units(sized.quantity)}, {bound_words(sized)}" if sized else DASH
    return Fields(
        rows=(
            (
                "Proposed",
                Cell(f"{signal.signal_type} {signal.instrument.key} at {price(signal.entry_price)}", Tone.BOLD),
            ),
            (
                "Stop / target",
                Cell(f"{price(signal.stop_loss)} / {', '.join(map(price, signal.target_prices)) or DASH}"),
            ),
            ("Confidence", Cell(ratio(signal.confidence))),
            *proposal_rows(signal),
            ("Seen", Cell(moment(signal.created_at))),
            ("Decided", Cell(moment(record.snapshot.taken_at))),
            ("Equity then", Cell(f"{money(record.snapshot.account.equity)} {account_currency()}")),
            ("Size", Cell(size)),
            *(
                (BINDING_WORDS[each.name].removeprefix("the ").capitalize(), Cell(f"x {each.value:.2f}: {each.why}"))
                for each in (sized.multipliers if sized else ())
            ),
            *(("Rate", Cell(rate_text(rate))) for rate in (record.snapshot.rate,) if rate is not None),
        )
    )


def _stages(record: DecisionRecord) -> tuple[Block, ...]:
    """Return the numbers that the stages put beside the signal."""
    metadata = record.opportunity.signal.metadata
    rows = tuple(
        (title, Cell(", ".join(found)))
        for title, marks in STAGE_MARKS.items()
        if (found := [f"{_short(name, marks)} {value}" for name, value in metadata.items() if name.startswith(marks)])
    )
    return (Fields(rows=rows),) if rows else ()


def _short(name: str, marks: tuple[str, ...]) -> str:
    """Return a number's name without the stage's own."""
    mark = next(mark for mark in marks if name.startswith(mark))
    return (name.removeprefix(mark) if mark.endswith("_") else name).replace("_", " ")


def _score_notes(record: DecisionRecord) -> tuple[Block, ...]:
    """Return what was missing, and what was learned."""
    opportunity = record.opportunity
    lines = [Line(text=f"Score: {note}.", tone=Tone.DIM) for note in opportunity.notes]
    plain = opportunity.plain_score
    if plain is not None and (opportunity.weights_version or plain != opportunity.opportunity_score):
        text = f"Weights version {opportunity.weights_version}; with nothing learned it would score {plain:.3f}."
        lines.append(Line(text=text, tone=Tone.DIM))
    if opportunity.expected is not None:
        lines.append(Line(text=expected_line(opportunity.expected)))
    return tuple(lines)


def expected_line(expected: Expectation) -> str:
    """Return expected R with its interval, and what it is known from."""
    known = f"{counted(expected.trades, 'trade')} and {counted(expected.followed, 'followed signal')} of its strategy"
    order = "" if expected.orders else " It is only reported: the score decides what goes first."
    return (
        f"Expected {expected.mean:+.2f} R after costs, with 90 % between {expected.low:+.2f} and {expected.high:+.2f} "
        f"on average, by {known}; the default weights alone promise {expected.default:+.2f} R.{order}"
    )


def _decision_line(record: DecisionRecord) -> Line:
    decision = record.decision
    why = " ".join(reason.message for reason in (*decision.reasons, *decision.warnings))
    return Line(text=f"Decision: {decision.kind}. {why}".rstrip(), tone=Tone.BOLD, is_heading=True)


def _checks_grid(checks: Iterable[Check]) -> Grid:
    rows = tuple(
        (
            Cell("✓" if check.passed else "✗", Tone.GOOD if check.passed else Tone.BAD),
            Cell(check.code.replace("_", " ")),
            Cell(_readable(check.value)),
            Cell(_readable(check.limit)),
        )
        for check in checks
    )
    return Grid(columns=heads("", "Check", "Found~", "Limit~"), rows=rows)


def _readable(text: str | None) -> str:
    """Return what a check found or allows; a moment in market time."""
    with suppress(ValueError):
        at = datetime.fromisoformat(text or "")
        return moment(at) if at.tzinfo is not None else text or DASH
    return text or DASH


_FILLS = Table[Fill](
    Column("", "Filled", lambda f: f.filled_at, shown=moment),
    Column("", "Role", lambda f: f.role, shown=lambda role: role.lower() if role else DASH),
    Column("", "Side", lambda f: f.side),
    Column("", "Qty", lambda f: f.quantity, shown=units, is_right=True),
    price_column("price", "Price"),
    Column("", "Commission", lambda f: f.cost, shown=money, rank=SECOND, is_right=True),
    Column("", "Execution", lambda f: f.exec_id, rank=LAST),
)
