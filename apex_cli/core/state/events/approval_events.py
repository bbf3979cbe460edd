"""Approvals: queued, answered, expired."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, TypeAlias, assert_never

from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.state.events.base_event import BaseEvent


class ApprovalEvent(BaseEvent, frozen=True, kw_only=True):
    """An approval has another status."""

    news: ClassVar[News | None] = News(kind=NoticeKind.APPROVAL)
    data: ApprovalRecord


class ApprovalQueued(ApprovalEvent, frozen=True, kw_only=True, tag="approval_queued"):
    """An opportunity waits for a person."""

    news = News(kind=NoticeKind.OPPORTUNITY)


class ApprovalApproved(ApprovalEvent, frozen=True, kw_only=True, tag="approval_approved"):
    """A person approved it; nothing was sent yet."""

    news = None  # what comes of it follows at once


class ApprovalRejected(ApprovalEvent, frozen=True, kw_only=True, tag="approval_rejected"):
    """A person rejected it."""


class ApprovalExpired(ApprovalEvent, frozen=True, kw_only=True, tag="approval_expired"):
    """Nobody answered in time."""


class ApprovalSuperseded(ApprovalEvent, frozen=True, kw_only=True, tag="approval_superseded"):
    """The market or a newer signal made it void."""


class ApprovalExecuted(ApprovalEvent, frozen=True, kw_only=True, tag="approval_executed"):
    """Its orders were sent."""


class ApprovalFailed(ApprovalEvent, frozen=True, kw_only=True, tag="approval_failed"):
    """It was approved, and nothing came to the market."""


ApprovalChange: TypeAlias = (
    ApprovalQueued
    | ApprovalApproved
    | ApprovalRejected
    | ApprovalExpired
    | ApprovalSuperseded
    | ApprovalExecuted
    | ApprovalFailed
)


def approval_event(approval: ApprovalRecord, at: datetime) -> ApprovalChange:
    """Return the event of *approval* with the status that it has now; its subject is the signal."""
    match approval.status:
        case ApprovalStatus.PENDING:
            event_type: type[ApprovalChange] = ApprovalQueued
        case ApprovalStatus.APPROVED:
            event_type = ApprovalApproved
        case ApprovalStatus.REJECTED:
            event_type = ApprovalRejected
        case ApprovalStatus.EXPIRED:
            event_type = ApprovalExpired
        case ApprovalStatus.SUPERSEDED:
            event_type = ApprovalSuperseded
        case ApprovalStatus.EXECUTED:
            event_type = ApprovalExecuted
        case ApprovalStatus.FAILED:
            event_type = ApprovalFailed
        case _:
            assert_never(approval.status)
    return event_type(at=at, subject=approval.opportunity.signal.signal_id, data=approval)


Event: TypeAlias = (
    ApprovalQueued
    | ApprovalApproved
    | ApprovalRejected
    | ApprovalExpired
    | ApprovalSuperseded
    | ApprovalExecuted
    | ApprovalFailed
)
"""Any event of this module."""
