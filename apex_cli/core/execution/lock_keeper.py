"""Looks after the locks of trades that were booked in another way, or before their protection was configured."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.ports import StateStore
from apex_cli.core.positions.lock_rules import locks_of
from apex_cli.core.positions.trade_locks import keep_locks
from apex_cli.core.state.tables import State


class LockKeeper:
    """A chore: looks when closed trades have changed since its last look, and at its first."""

    def __init__(self, store: StateStore, protections: Protections) -> None:
        """Look at nothing yet."""
        self._store = store
        self._protections = protections
        self._seen: tuple[int, int, int] | None = None

    async def tend(self, now: datetime) -> bool:
        """Keep what is missing; True when something was locked."""
        state = self._store.view()
        mark = (state.round_trips.additions, state.round_trips.rewrites, len(state.round_trips))
        if self._protections is NO_PROTECTIONS or mark == self._seen:
            return False
        self._seen = mark
        if not self._is_due(state, now):
            return False
        with self._store.transaction() as tx:
            return bool(keep_locks(tx, self._protections, now))

    def _is_due(self, state: State, now: datetime) -> bool:
        wanted = locks_of(state.round_trips.values(), self._protections, now)
        return any(lock.lock_id not in state.trade_locks for lock in wanted)
