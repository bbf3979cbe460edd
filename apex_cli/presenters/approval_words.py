"""An approval in words: the question, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping

from apex_cli.core.model.notice import Fact
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.presenters.formats import DASH, clock_time, moment, money, price, ratio, units


def question_lines(approval: ApprovalRecord) -> tuple[str, ...]:
    """Return what a person needs to answer."""
    signal, decision = approval.opportunity.signal, approval.decision
    sized = decision.sized
    targets = ", ".join(map(price, signal.target_prices)) or DASH
    loss = f" · loss at stop {money(sized.risk_amount)}" if sized else ""
    value = f"Value {money(sized.notional)} {signal.instrument.currency}{loss}" if sized else ""
    return (
        f"Price {price(approval.quoted_price)} · stop {price(signal.stop_loss)} · target {targets}",
        f"Reward:risk {ratio(decision.reward_risk)} · score {approval.opportunity.opportunity_score:.2f}",
        value,
        f"Strategy {signal.strategy}" if signal.strategy else "",
        *(f"! {warning.message}" for warning in decision.warnings),
        f"Expires {moment(approval.expires_at)}",
    )


def approval_name(approval: ApprovalRecord) -> str:
    """Return side, quantity and security in one phrase."""
    signal, sized = approval.opportunity.signal, approval.decision.sized
    quantity = approval.quantity or (sized.quantity if sized else None)
    return f"{signal.side} {units(quantity) if quantity else '?'} {signal.instrument.key}"


ANSWER_WORDS: Mapping[ApprovalStatus, tuple[str, str]] = {
    ApprovalStatus.APPROVED: ("⏳", "approved, orders are leaving"),
    ApprovalStatus.EXECUTED: ("✅", "approved and executed"),
    ApprovalStatus.REJECTED: ("🚫", "rejected"),
    ApprovalStatus.EXPIRED: ("⌛", "expired"),
    ApprovalStatus.SUPERSEDED: ("↩️", "void"),
    ApprovalStatus.FAILED: ("⚠️", "approved, but nothing was opened"),
}


def answer_lines(approval: ApprovalRecord) -> tuple[str, ...]:
    """Return who decided, when and why."""
    who = f"By {approval.decided_by}" if approval.decided_by else ""
    when = f"{' at ' if who else 'At '}{clock_time(approval.decided_at)}" if approval.decided_at else ""
    return (f"{who}{when}", approval.reason)


def approval_payload(approval: ApprovalRecord) -> dict[str, Fact]:
    """Return an approval for programs."""
    signal, sized = approval.opportunity.signal, approval.decision.sized
    return {
        "approval_id": approval.approval_id,
        "signal_id": signal.signal_id,
        "symbol": signal.instrument.key,
        "side": signal.side,
        "quantity": text_or_none(approval.quantity or (sized.quantity if sized else None)),
        "entry_price": str(signal.entry_price),
        "stop_loss": str(signal.stop_loss),
        "target_price": str(signal.target_prices[0]) if signal.target_prices else None,
        "risk_reward": text_or_none(approval.decision.reward_risk),
        "strategy": signal.strategy,
        "score": str(approval.opportunity.opportunity_score),
        "status": approval.status,
        "decided_by": approval.decided_by,
        "reason": approval.reason,
        "expires_at": approval.expires_at.isoformat(),
    }


def text_or_none(value: object) -> str | None:
    """Return *value* as text, None where there is none."""
    return None if value is None else str(value)
