"""Approvals: the states one can change to, and whether it still holds at the current price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Decision, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.wording import percent, percent_beside, price

TRANSITIONS: Mapping[ApprovalStatus, frozenset[ApprovalStatus]] = {
    ApprovalStatus.PENDING: frozenset(
        {ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED}
    ),
    ApprovalStatus.APPROVED: frozenset(
        {ApprovalStatus.EXECUTED, ApprovalStatus.FAILED, ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED}
    ),
}
"""What each status may become; the others are final. A yes may still lapse before its orders leave."""

_EXPIRING = frozenset({"approval_expired", "signal_expired"})
_VOIDING = _EXPIRING | {"price_drift", "reward_risk_min"}


class ApprovalVerdict(Value, frozen=True, kw_only=True):
    """The decision and the order that a yes to an approval would bring now."""

    status: ApprovalStatus
    """APPROVED: execute. PENDING: a check stands in the way, it may pass later. EXPIRED, SUPERSEDED: void."""

    decision: Decision
    """As it is now: the *now* of "was / now"."""

    reasons: tuple[Reason, ...] = ()
    """Why it is void, or what it waits for; empty when approved."""

    @property
    def is_void(self) -> bool:
        """True when it can never be approved any more."""
        return self.status in {ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED}


def is_expired(approval: ApprovalRecord, now: datetime) -> bool:
    """Return whether a pending approval waited too long."""
    return approval.status is ApprovalStatus.PENDING and now >= approval.expires_at


def transition(
    approval: ApprovalRecord,
    to: ApprovalStatus,
    *,
    now: datetime,
    by: str,
    reason: str = "",
) -> ApprovalRecord:
    """Return *approval* in its next status, its version raised by one.

    Args:
        approval: as it is.
        to: the next status.
        now: when it was decided.
        by: who decided.
        reason: why; the earlier reason stays when empty.

    Raises:
        ValueError: the step is not in ``TRANSITIONS``.
    """
    if to not in TRANSITIONS.get(approval.status, ()):
        raise ValueError(f"approval {approval.approval_id} is {approval.status}: it cannot become {to}")
    return replace(
        approval,
        status=to,
        version=approval.version + 1,
        decided_at=now,
        decided_by=by,
        reason=reason or approval.reason,
    )


def recheck_approval(
    approval: ApprovalRecord, snapshot: Snapshot, limits: Limits, quantity: Quantity | None = None
) -> ApprovalVerdict:
    """Return what a yes to *approval* would bring now.

    Size and reward:risk are worked out at the latest price; stop and targets stay. It is void when the approval
    (``approval_expired``) or its signal (``signal_expired``) expired, when the price drifted too far from the one it
    was queued at (``price_drift``: |price - quoted| / quoted > max_price_drift_pct), and when reward:risk fell below
    its minimum (``reward_risk_min``). Any other failed check leaves it pending.

    Args:
        approval: a pending or approved one.
        snapshot: taken now.
        limits: the user's limits.
        quantity: the person's own size; else the one kept in the approval; else it is sized again.
    """
    from apex_cli.core.decision.plan import decide_at

    quote = snapshot.quote
    decision = decide_at(
        approval.opportunity,
        snapshot,
        limits,
        entry_price=quote.price if quote else approval.opportunity.signal.entry_price,
        quantity=quantity if quantity is not None else approval.quantity,
    )
    found = (*_lapsed(approval, snapshot.taken_at), *_drifted(approval, quote, limits), *decision.reasons)
    void = tuple(reason for reason in found if reason.code in _VOIDING)
    if not void:
        status = ApprovalStatus.PENDING if decision.reasons else ApprovalStatus.APPROVED
        return ApprovalVerdict(status=status, decision=decision, reasons=decision.reasons)
    expired = any(reason.code in _EXPIRING for reason in void)
    status = ApprovalStatus.EXPIRED if expired else ApprovalStatus.SUPERSEDED
    return ApprovalVerdict(status=status, decision=decision, reasons=void)


def _lapsed(approval: ApprovalRecord, now: datetime) -> tuple[Reason, ...]:
    if now < approval.expires_at:
        return ()
    until = approval.expires_at.isoformat()
    message = f"The approval expired at {market_time(approval.expires_at)}."
    return (Reason(code="approval_expired", message=message, limit=until, value=now.isoformat()),)


def _drifted(approval: ApprovalRecord, quote: Quote | None, limits: Limits) -> tuple[Reason, ...]:
    if quote is None:
        return ()
    then, most = approval.quoted_price, limits.approval.max_price_drift_pct
    distance = abs(quote.price - then)
    if distance <= most * then:
        return ()
    found = percent_beside(distance / then, most)
    message = f"The price moved {found} since it was queued, from {price(then)} to {price(quote.price)}; "
    message += f"the limit is {percent(most)}."
    return (Reason(code="price_drift", message=message, limit=f"at most {percent(most)}", value=found),)
