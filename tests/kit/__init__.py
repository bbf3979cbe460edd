"""What tests start from: a clock that stands still, ids in order, a state without files, an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from apex_cli.core.adapters.state.memory_store import MemoryStore, SequentialIds
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events.event import Event
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised

__all__ = ["START", "FixedClock", "MemoryStore", "SequentialIds", "a_row", "an_event"]

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""


def an_event(subject: str = "", code: str = "counted", message: str = "", at: datetime = START) -> AlarmRaised:
    """Return an event for tests that care only that there is one."""
    return AlarmRaised(at=at, subject=subject, data=Alarm(code=code, message=message))


def a_row(event: Event) -> OutboxRow:
    """Return *event* as its line of the journal holds it."""
    data = msgspec.Raw(msgspec.json.encode(event.data))
    return OutboxRow(seq=event.seq, at=event.at, kind=event.kind, subject=event.subject, data=data)


class FixedClock:
    """A clock that moves only when reported to."""

    __slots__ = ("_now",)

    def __init__(self, start: datetime = START) -> None:
        """Stand at *start*, aware."""
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time it was set to, aware UTC."""
        return self._now

    def advance(self, by: timedelta | None = None, *, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move on by *by* plus *minutes* and *seconds*, and return the new time."""
        self._now += (by or timedelta()) + timedelta(minutes=minutes, seconds=seconds)
        return self._now

    def set(self, now: datetime) -> None:
        """Stand at *now*, aware; it may lie in the past."""
        self._now = now.astimezone(UTC)
