"""Approvals: what waits, what it was, what it is now."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apex_cli.core.model.decision import Decision
from apex_cli.core.model.order import OrderRecord, OrderRole
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.signal import Opportunity
from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Line, Tone, bar
from apex_cli.presenters.formats import DASH, clock_time, moment, money, number, price, ratio, units
from apex_cli.presenters.run import reason_data
from apex_cli.presenters.size import BINDING_WORDS

if TYPE_CHECKING:  # the desk brings the event loop along, which showing a value does not need
    from apex_cli.core.model.request import Answered, Preview

FULL_REWARD_RISK = Decimal(5)


def decision_data(decision: Decision, last: Decimal | None) -> dict[str, Any]:
    """Return one side of "was / now"."""
    sized = decision.sized
    return {
        "kind": decision.kind,
        "price": last,
        "quantity": number(sized.quantity) if sized else None,
        "binding": sized.binding if sized else None,
        "notional": sized.notional if sized else None,
        "risk_amount": sized.risk_amount if sized else None,
        "reward_risk": decision.reward_risk,
        "reasons": [reason_data(reason) for reason in decision.reasons],
        "warnings": [reason_data(warning) for warning in decision.warnings],
    }


def approval_data(approval: ApprovalRecord, preview: Preview | None = None) -> dict[str, Any]:
    """Return the stable names that scripts read; *now* is empty when it was not looked at again."""
    signal = approval.opportunity.signal
    sized = approval.decision.sized
    quantity = approval.quantity or (sized.quantity if sized else None)
    return {
        "approval_id": approval.approval_id,
        "signal_id": signal.signal_id,
        "symbol": signal.instrument.key,
        "side": signal.side,
        "quantity": number(quantity) if quantity is not None else None,
        "status": approval.status,
        "reason": approval.reason,
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "score": approval.opportunity.opportunity_score,
        "was": decision_data(approval.decision, approval.quoted_price),
        "now": decision_data(preview.decision, preview.price) if preview else {},
    }


def approvals_blocks(approvals: Iterable[ApprovalRecord]) -> tuple[Block, ...]:
    """Return what waits as a table."""
    rows = tuple(
        (
            Cell(a.opportunity.signal.instrument.key, Tone.BOLD),
            Cell(a.opportunity.signal.side),
            Cell(_quantity(a.decision)),
            Cell(price(a.quoted_price)),
            Cell(price(a.opportunity.signal.stop_loss)),
            Cell(price(a.opportunity.signal.target_prices[0]) if a.opportunity.signal.target_prices else DASH),
            Cell(ratio(a.decision.reward_risk)),
            Cell(f"{bar(float(a.opportunity.opportunity_score), 5)} {a.opportunity.opportunity_score:.2f}"),
            Cell(clock_time(a.expires_at)),
            Cell(a.status),
            Cell(a.approval_id),
        )
        for a in approvals
    )
    columns = (
        "Symbol",
        "Side",
        ">Qty",
        ">Price",
        ">Stop",
        ">Target",
        ">R:R",
        "Score",
        "Expires",
        "Status",
        "|Approval",
    )
    return (Grid(columns=columns, rows=rows, empty="Nothing waits for approval."),)


def answered_blocks(answered: Iterable[Answered]) -> tuple[Block, ...]:
    """Return what became of each answer."""
    rows = tuple(
        (
            Cell(done.approval.opportunity.signal.instrument.key, Tone.BOLD),
            Cell(done.approval.status, ANSWER_TONES.get(done.approval.status, Tone.PLAIN)),
            Cell(units(_filled(done)) if done.orders else DASH),
            Cell(price(_entry_price(done))),
            Cell(done.approval.reason),
            Cell(done.approval.approval_id),
        )
        for done in answered
    )
    return (Grid(columns=("Symbol", "Status", ">Filled", ">Price", "Reason", "Approval"), rows=rows),)


ANSWER_TONES = {
    ApprovalStatus.EXECUTED: Tone.GOOD,
    ApprovalStatus.REJECTED: Tone.DIM,
    ApprovalStatus.FAILED: Tone.BAD,
}


def _entries(done: Answered) -> list[OrderRecord]:
    return [record for record in done.orders if record.order.role is OrderRole.ENTRY]


def _filled(done: Answered) -> Decimal:
    return sum((record.filled_quantity for record in _entries(done)), Decimal(0))


def _entry_price(done: Answered) -> Decimal | None:
    filled = _filled(done)
    value = sum(
        (r.filled_quantity * r.average_price for r in _entries(done) if r.average_price is not None), Decimal(0)
    )
    return value / filled if filled else None


def preview_blocks(approval: ApprovalRecord, preview: Preview) -> tuple[Block, ...]:
    """Return one opportunity in full: prices, size, reward:risk, score, "was / now", what speaks against it."""
    signal = approval.opportunity.signal
    now = preview.decision
    sized = now.sized
    rows = [
        ("Order", Cell(f"{signal.side} {_quantity(now)} {signal.instrument.key}", Tone.BOLD)),
        ("Strategy", Cell(signal.strategy or DASH)),
        ("Entry / stop", Cell(f"{price(signal.entry_price)} / {price(signal.stop_loss)}")),
        ("Target", Cell(", ".join(map(price, signal.target_prices)) or DASH)),
        ("Reward:risk", reward_risk_cell(now.reward_risk)),
        ("Limited by", Cell(BINDING_WORDS[sized.binding] if sized else DASH)),
        ("Value", Cell(f"{money(sized.notional)} USD" if sized else DASH)),
        ("Loss at stop", Cell(f"{money(sized.risk_amount)} USD" if sized else DASH)),
        ("Day trades", Cell(preview.day_trade_effect)),
        ("Expires", Cell(moment(approval.expires_at))),
    ]
    verdict = tuple(Line(text=f"✗ {reason.message}", tone=Tone.BAD) for reason in preview.reasons)
    warnings = tuple(Line(text=f"! {warning.message}", tone=Tone.WARN) for warning in now.warnings)
    return (Fields(rows=tuple(rows)), was_now(approval, preview), score_grid(approval.opportunity), *warnings, *verdict)


def was_now(approval: ApprovalRecord, preview: Preview) -> Grid:
    """Return what changed since the opportunity was queued."""
    was, now = approval.decision, preview.decision
    pairs = (
        ("Price", price(approval.quoted_price), price(preview.price)),
        ("Quantity", _quantity(was), _quantity(now)),
        ("Reward:risk", ratio(was.reward_risk), ratio(now.reward_risk)),
    )
    rows = tuple(
        (
            Cell(name),
            Cell(old),
            Cell(new, Tone.PLAIN if old == new else Tone.WARN),
            Cell("" if old == new else "changed"),
        )
        for name, old, new in pairs
    )
    return Grid(columns=("", ">Was", ">Now", ""), rows=rows)


def score_grid(opportunity: Opportunity) -> Grid:
    """Return how the score came about: a bar a part, their sum, then what it is multiplied by."""
    rows = [
        (
            Cell(part.name.replace("_", " ")),
            Cell(f"{bar(float(part.value), 10)} {part.value:.2f}"),
            Cell(f"x {part.weight:.2f}"),
            Cell(f"{part.weight * part.value:.3f}"),
        )
        for part in opportunity.breakdown
    ]
    rows += [
        (Cell(factor.name.replace("_", " ")), Cell(factor.why), Cell(""), Cell(f"x {factor.value:.3f}"))
        for factor in opportunity.factors
    ]
    total = (Cell("score", Tone.BOLD), Cell(""), Cell(""), Cell(f"{opportunity.opportunity_score:.3f}", Tone.BOLD))
    return Grid(columns=("Score", "Part", ">Weight", ">Adds"), rows=(*rows, total))


def reward_risk_cell(value: Decimal | None) -> Cell:
    """Return reward:risk as a small bar, full at 5:1."""
    if value is None:
        return Cell(DASH, Tone.BAD)
    return Cell(f"{bar(float(value / FULL_REWARD_RISK), 10)} {value:.2f}")


def _quantity(decision: Decision) -> str:
    return units(decision.sized.quantity) if decision.sized else DASH
