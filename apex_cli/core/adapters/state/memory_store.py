"""A state without files: for replay, and for tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events.event import Event
from apex_cli.core.state.tables import State

OnEvent = Callable[[Event], None]
"""Hears an event."""


class SequentialIds:
    """Ids of 26 characters that count up: valid ULIDs, the same in every run."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        """Begin with 1."""
        self._next = 1

    def new(self) -> str:
        """Return the next id."""
        number = self._next
        self._next += 1
        return f"{number:026d}"


class CountingState(State):
    """A state that counts its events and keeps none: a replay of years would fill the memory with them."""

    def __init__(self, on_event: OnEvent) -> None:
        """Start empty; *on_event* hears each event at once, even of a transaction that fails later."""
        super().__init__()
        self._on_event = on_event

    def emit(self, event: Event) -> int:
        """Count one event and return its sequence number."""
        self.last_seq += 1
        self._on_event(event)
        return self.last_seq


class _Transaction:
    """One transaction of a ``MemoryStore``."""

    __slots__ = ("_seq", "_store")

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seq = 0

    def __enter__(self) -> State:
        state = self._store._begin()  # noqa: SLF001 - its own store
        self._seq = state.last_seq
        return state

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._store._end(self._seq, keeps=kind is None)  # noqa: SLF001 - its own store


class MemoryStore:
    """A ``StateStore`` without files; ``events`` stands for the journal."""

    __slots__ = ("_is_in_transaction", "_settled_seq", "_state", "events", "generation")

    def __init__(self, state: State | None = None) -> None:
        """Start with *state*, else empty."""
        self._state = State() if state is None else state
        self._settled_seq = 0
        self._is_in_transaction = False
        self.events: list[OutboxRow] = []
        self.generation = 0
        """Counts transactions that wrote or removed a row."""

    def view(self) -> State:
        """Return the latest committed state, for reading until the next transaction."""
        if not self._is_in_transaction:
            return self._state
        committed = self._state.committed()
        committed.last_seq = self._settled_seq
        return committed

    def transaction(self) -> AbstractContextManager[State]:
        """Lend the state; keep its changes at the end, or none when the block raises.

        Raises:
            RuntimeError: there is a transaction inside this one.
        """
        return _Transaction(self)

    def _begin(self) -> State:
        if self._is_in_transaction:
            raise RuntimeError("a transaction is open already in this process: use the state it lent, or end it first")
        self._is_in_transaction = True
        return self._state

    def _end(self, seq: int, *, keeps: bool) -> None:
        """Keep what changed since event *seq*, or undo it."""
        state = self._state
        try:
            if keeps:
                self._commit(state)
            else:
                state.rollback()
                state.last_seq = seq
        finally:
            self._is_in_transaction = False

    def grouped(self) -> AbstractContextManager[None]:
        """Do nothing: what a transaction changes stands in memory at its end."""
        return nullcontext()

    def _commit(self, state: State) -> None:
        if state.touched():
            self.generation += 1
            state.settle()
        self._settled_seq = state.last_seq
        if state.outbox:
            self.events.extend(state.outbox.values())
            state.outbox.load({})
