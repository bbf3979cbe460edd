"""apex itself: what it may do, its alarms, what processes and agents ask of it, its repairs."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.agent import AgentCall
from apex_cli.core.model.base import Value
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.records import TradingState
from apex_cli.core.model.repair import Restored
from apex_cli.core.model.request import RequestRecord
from apex_cli.core.state.events.base_event import BaseEvent, Remark


class TradingStateChanged(BaseEvent, frozen=True, kw_only=True, tag="trading_state_changed"):
    """apex may do more or less than before."""

    news = News(kind=NoticeKind.TRADING_STATE)
    data: TradingState


class Alarm(Value, frozen=True, kw_only=True):
    """Something a person must know now."""

    code: str
    message: str = ""


class AlarmRaised(BaseEvent, frozen=True, kw_only=True, tag="alarm"):
    """A person must look."""

    news = News(kind=NoticeKind.ALARM, priority=1, emoji="🚨")
    data: Alarm


class RunOverdue(BaseEvent, frozen=True, kw_only=True, tag="run_overdue"):
    """No run has done its work for too long."""

    news = News(kind=NoticeKind.ALARM, priority=1, emoji="🚨")
    data: Alarm


class RequestMade(Remark, frozen=True, kw_only=True, tag="request_made"):
    """A command asked the process that holds the executor to do its work."""

    data: RequestRecord


class AgentCalled(Remark, frozen=True, kw_only=True, tag="agent_called"):
    """An agent asked for something; its subject is the signal, approval or security that this was about."""

    data: AgentCall


class StateRestored(Remark, frozen=True, kw_only=True, tag="state_restored"):
    """The state was rebuilt from a backup and the journal."""

    data: Restored


Event: TypeAlias = TradingStateChanged | AlarmRaised | RunOverdue | RequestMade | AgentCalled | StateRestored
"""Any event of this module."""
