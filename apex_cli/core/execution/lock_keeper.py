"""Adds locks for trades that were booked in another way, or before their protection was configured."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.ports import StateStore
from apex_cli.core.positions.lock_rules import locks_of
from apex_cli.core.positions.trade_locks import keep_locks
from apex_cli.core.state.tables import State, Table


class LockKeeper:
    """A chore: looks when closed trades have changed since its last look, and at its first."""

    def __init__(self, store: StateStore, protections: Protections) -> None:
        """Look at nothing yet."""
        self._store = store
        self._protections = protections
        self._seen: tuple[Table[RoundTrip], tuple[int, int, int]] | None = None
        """The closed trades at the last look, another table after another process has committed, and their mark."""

    async def tend(self, now: datetime) -> bool:
        """Keep what is missing; True when something was locked."""
        state = self._store.view()
        trips, seen = state.round_trips, self._seen
        is_same = seen is not None and seen[0] is trips and seen[1] == trips.mark
        if self._protections is NO_PROTECTIONS or is_same:
            return False
        self._seen = trips, trips.mark
        if not self._is_due(state, now):
            return False
        with self._store.transaction() as tx:
            return bool(keep_locks(tx, self._protections, now))

    def _is_due(self, state: State, now: datetime) -> bool:
        wanted = locks_of(state.round_trips.values(), self._protections, now)
        return any(lock.lock_id not in state.trade_locks for lock in wanted)
