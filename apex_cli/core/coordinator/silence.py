"""The heartbeat of runs: each run records that it did its work, so that missing runs can be reported."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from apex_cli.core.model.records import Counters
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised, RunOverdue

BEAT = timedelta(minutes=1)
"""How often a loop writes down that it works."""

REPEAT_AFTER = timedelta(hours=6)
"""Minimum time between two overdue-run alarms."""


def record_run(store: StateStore, now: datetime) -> None:
    """Write down that a run did its work."""
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, last_run_at=now)


class Pulse:
    """The ``Chore`` that lets a loop beat."""

    def __init__(self, store: StateStore, wall: Clock) -> None:
        """Beat by the *wall* clock, whatever time the market has."""
        self._store = store
        self._wall = wall

    async def tend(self, now: datetime) -> bool:
        """Beat if it is time; that is no change worth another cycle."""
        del now
        wall, last = self._wall.now(), self._store.view().counters.last_run_at
        if last is None or wall - last >= BEAT:
            record_run(self._store, wall)
        return False


def silence(counters: Counters, now: datetime) -> timedelta | None:
    """Return how long ago the last run did its work; None when none ever did."""
    return None if counters.last_run_at is None else max(timedelta(), now - counters.last_run_at)


def report_overdue(store: StateStore, message: str, now: datetime) -> bool:
    """Report that runs are overdue, unless that was reported a short while ago; True when it was reported."""
    with store.transaction() as tx:
        reported = tx.counters.overdue_told
        if reported is not None and now - reported < REPEAT_AFTER and reported >= (tx.counters.last_run_at or reported):
            return False
        tx.counters = replace(tx.counters, overdue_told=now)
        tx.emit(RunOverdue(at=now, subject="apex run", data=Alarm(code="run_overdue", message=message)))
    return True


def report_outage(store: StateStore, message: str, now: datetime) -> None:
    """Raise the alarm that the broker is out of reach, once for the runs of one outage: a run that works ends it."""
    with store.transaction() as tx:
        reported, last = tx.counters.outage_told, tx.counters.last_run_at
        if reported is not None and (last is None or last <= reported):
            return
        tx.counters = replace(tx.counters, outage_told=now)
        alarm = Alarm(code="broker_unavailable", message=message)
        tx.emit(AlarmRaised(at=now, subject="broker", data=alarm))
