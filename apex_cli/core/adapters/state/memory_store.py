"""A state without files: for replay, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events import Event
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


class UntoldState(State):
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

    def grouped(self) -> AbstractContextManager[None]:
        """Do nothing: what a transaction changes stands in memory at its end."""
        return nullcontext()

    def _commit(self, state: State) -> None:
        if any(table.get(key) != old for table in state.touched() for key, old in table.changed.items()):
            self.generation += 1
        state.settle()
        self._settled_seq = state.last_seq
        self.events.extend(state.outbox.values())
        state.outbox.load({})
