"""Attempts of a recurring task: pauses between them, alarms that are reported once, events for the journal."""

from __future__ import annotations

from datetime import datetime, timedelta

from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.state.events.event import Event
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised

PAUSE = timedelta(seconds=30)
"""How long the loop waits before it asks again for what the broker did not confirm."""


class Attempts:
    """Remembers, for the life of a process, what went wrong and until when it is left alone."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        """Know of no trouble yet."""
        self._store = store
        self._clock = clock
        self._not_before: dict[str, datetime] = {}
        self._reported: dict[str, str] = {}

    def may(self, what: str, now: datetime) -> bool:
        """Return whether *what* may be tried now."""
        return now >= self._not_before.get(what, now)

    @property
    def has_trouble(self) -> bool:
        """Whether anything was ever put off."""
        return bool(self._not_before)

    def has_failed(self, what: str) -> bool:
        """Return whether *what* was put off before."""
        return what in self._not_before

    def put_off(self, what: str) -> None:
        """Leave *what* alone for a while."""
        self._not_before[what] = self._clock.now() + PAUSE

    def failed(self, what: str, *, code: str, message: str, subject: str) -> None:
        """Put *what* off; raise the alarm, once for the same reason."""
        self.put_off(what)
        message = message.strip()
        if self._reported.get(what) != message:
            self._reported[what] = message
            at = self._clock.now()
            self.note(AlarmRaised(at=at, subject=subject, data=Alarm(code=code, message=message)))

    def worked(self, what: str) -> None:
        """Forget the trouble with *what*: the next one is news."""
        self._reported.pop(what, None)

    def note(self, event: Event) -> None:
        """Put one event into the journal."""
        with self._store.transaction() as tx:
            tx.emit(event)
