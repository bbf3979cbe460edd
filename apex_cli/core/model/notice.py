"""Notices: messages to a person, before channel and form are chosen."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum

from apex_cli.core.model.base import Value

Fact = str | int | bool | None


class NoticeKind(StrEnum):
    """What a notice is about; each has its loudness under the same name in ``EventSettings``."""

    ENTRY = "entry"
    EXIT = "exit"
    OPPORTUNITY = "opportunity"
    """A trade that waits for an answer."""

    APPROVAL = "approval"
    """What became of an opportunity that waited."""

    DAY_TRADES = "day_trades"
    REFUSAL = "refusal"
    ALARM = "alarm"
    RECONCILIATION = "reconciliation"
    ADAPTATION = "adaptation"
    SUMMARY = "summary"
    TRADING_STATE = "trading_state"
    HEARTBEAT = "heartbeat"


class News(Value, frozen=True, kw_only=True):
    """How a kind of event is reported to a person."""

    kind: NoticeKind
    priority: int = 2
    """1 now, 2 soon, 3 when it suits."""

    emoji: str = "🔔"
    words: str = ""
    """What the title says, where ``presenters/messages/notices`` has no words of its own; empty: the event's kind."""


class Loudness(StrEnum):
    """How a kind of notice is delivered."""

    ON = "on"
    SILENT = "silent"
    """Without a sound, where the channel can do that."""

    OFF = "off"


class EventSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.events``: on, silent or off, kind by kind."""

    entry: Loudness = Loudness.ON
    """An entry filled, in part or whole."""

    exit: Loudness = Loudness.ON
    """A position was closed, or a part of it."""

    opportunity: Loudness = Loudness.ON
    """A trade waits for your answer."""

    approval: Loudness = Loudness.ON
    """What became of it: executed, rejected, expired, void."""

    day_trades: Loudness = Loudness.ON
    """Day trades run out."""

    refusal: Loudness = Loudness.SILENT
    """A signal was refused for a reason that concerns the account."""

    alarm: Loudness = Loudness.ON
    """A stop is missing, an order is unknown, the broker is gone."""

    reconciliation: Loudness = Loudness.ON
    """Our books and the broker's differ."""

    adaptation: Loudness = Loudness.SILENT
    """A learner changed its weights."""

    summary: Loudness = Loudness.ON
    """The day in numbers, after the close."""

    trading_state: Loudness = Loudness.ON
    """Somebody halted, reduced or resumed trading; or closed trades locked something."""

    heartbeat: Loudness = Loudness.ON
    """No run succeeded for too long."""


LOW_PRIORITY = 3
"""From this priority on (1 is the most urgent) a notice waits for the end of the quiet hours."""


class Notice(Value, frozen=True, kw_only=True):
    """One message to a person."""

    event_id: int
    """Sequence number of its event: the same for every delivery of it, on every channel. 0: no event, a test."""

    kind: NoticeKind
    priority: int
    """1 now, 2 soon, 3 when it suits."""

    at: datetime
    subject: str = ""
    """Symbol, or what else it is about."""

    title: str
    lines: tuple[str, ...] = ()
    payload: dict[str, Fact] = {}
    """The same for programs; money and prices as text."""

    approval_id: str = ""
    approval_version: int = 0
    is_question: bool = False
    """True when it asks for an answer."""


class QuietHours(Value, frozen=True, kw_only=True):
    """When low priority waits, by the wall clock of one place; across midnight when *start* is after *end*."""

    start: time
    end: time

    def __contains__(self, clock: time) -> bool:
        """Return whether *clock*, a local time of day, is quiet.

        >>> time(23, 30) in QuietHours(start=time(22), end=time(7))
        True
        """
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end
