"""Fakes that anyone may import: a clock that stands still, ids in order, a state without files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state import State

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""


class FixedClock:
    """A clock that moves only when told to."""

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


class SequentialIds:
    """Ids of 26 characters that count up: valid ULIDs, the same in every run."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 1) -> None:
        """Begin with *first*."""
        self._next = first

    def new(self) -> str:
        """Return the next id."""
        number = self._next
        self._next += 1
        return f"{number:026d}"


class MemoryStore:
    """A ``StateStore`` without files; ``events`` stands for the journal."""

    __slots__ = ("_is_in_transaction", "_settled_seq", "_state", "events", "generation")

    def __init__(self) -> None:
        """Start empty."""
        self._state = State()
        self._settled_seq = 0
        self._is_in_transaction = False
        self.events: list[OutboxRow] = []
        self.generation = 0
        """Counts transactions that changed something."""

    def view(self) -> State:
        """Return the latest committed state, for reading until the next transaction."""
        if not self._is_in_transaction:
            return self._state
        committed = self._state.committed()
        committed.last_seq = self._settled_seq
        return committed

    @contextmanager
    def transaction(self) -> Iterator[State]:
        """Lend the state; keep its changes at the end, or none when the block raises.

        Raises:
            RuntimeError: there is a transaction inside this one.
        """
        if self._is_in_transaction:
            raise RuntimeError("a transaction is open already in this process: use the state it lent, or end it first")
        state, seq = self._state, self._state.last_seq
        self._is_in_transaction = True
        try:
            yield state
        except BaseException:
            state.rollback()
            state.last_seq = seq
            raise
        else:
            self._commit(state)
        finally:
            self._is_in_transaction = False

    def _commit(self, state: State) -> None:
        if any(table.get(key) != old for table in state.tables() for key, old in table.changed.items()):
            self.generation += 1
        state.settle()
        self._settled_seq = state.last_seq
        self.events.extend(state.outbox.values())
        state.outbox.load({})
