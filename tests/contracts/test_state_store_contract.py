from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.model.side import OrderSide
from apex_cli.core.state.tables import State
from kit import START, FixedClock, MemoryStore, an_event

Store = TinyDbStore | MemoryStore


def in_memory(_folder: Path) -> Store:
    return MemoryStore()


def on_disk(folder: Path) -> Store:
    return TinyDbStore(folder / "state", clock=FixedClock())


def in_batches(folder: Path) -> Store:
    return TinyDbStore(folder / "state", clock=FixedClock(), commit_every=4)


MAKERS = [in_memory, on_disk, in_batches]


def events(store: Store) -> list[OutboxRow]:
    if isinstance(store, MemoryStore):
        return store.events
    store.flush()
    return list(store.journal.events())


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = request.param(tmp_path)
    yield made
    if isinstance(made, TinyDbStore):
        made.close()


def a_fill(number: int) -> Fill:
    return Fill(
        exec_id=f"0001.{number}.01",
        instrument=make_instrument("AAPL"),
        side=OrderSide.BUY,
        quantity=Quantity(Decimal(number)),
        price=Price(Decimal("189.37")),
        filled_at=START,
    )


class Boom(BaseException):
    """Like a keyboard interrupt: no ordinary exception."""


def test_a_new_state_is_empty(store: Store) -> None:
    state = store.view()
    assert all(len(table) == 0 for table in state.tables())
    assert state.last_seq == 0


def test_what_a_transaction_changed_is_in_the_next_view(store: Store) -> None:
    with store.transaction() as state:
        state.fills["a"] = a_fill(1)
        state.counters = msgspec.structs.replace(state.counters, entries_today=7)
        state.emit(an_event("AAPL"))
    view = store.view()
    assert view.fills["a"] == a_fill(1)
    assert view.counters.entries_today == 7
    assert view.last_seq == 1
    assert store.generation == (0 if isinstance(store, TinyDbStore) and store._commit_every > 1 else 1)


def test_nothing_is_kept_of_a_transaction_that_raises(store: Store) -> None:
    with store.transaction() as state:
        state.fills["a"] = a_fill(1)
        state.emit(an_event("kept"))
    with pytest.raises(Boom), store.transaction() as state:  # noqa: PT012 - the block is what fails
        state.fills["a"] = a_fill(2)
        state.fills["b"] = a_fill(3)
        state.emit(an_event("lost"))
        raise Boom
    assert dict(store.view().fills) == {"a": a_fill(1)}
    with store.transaction() as state:
        assert state.last_seq == 1
        state.emit(an_event("kept too"))
    assert [(row.seq, row.subject) for row in events(store)] == [(1, "kept"), (2, "kept too")]


def test_a_view_inside_a_transaction_shows_what_is_committed(store: Store) -> None:
    with store.transaction() as state:
        state.fills["a"] = a_fill(1)
    with store.transaction() as state:
        state.fills["b"] = a_fill(2)
        assert list(store.view().fills) == ["a"]
    assert list(store.view().fills) == ["a", "b"]


def test_a_transaction_inside_a_transaction_is_refused(store: Store) -> None:
    with store.transaction() as state:
        state.fills["a"] = a_fill(1)
        with pytest.raises(RuntimeError, match="open already"), store.transaction():
            pytest.fail("nested")
    assert list(store.view().fills) == ["a"]


def test_events_leave_the_outbox_once_and_in_order(store: Store) -> None:
    for number in range(5):
        with store.transaction() as state:
            state.emit(an_event(str(number), message="first"))
            state.emit(an_event(str(number), message="second"))
    found = events(store)
    assert [row.seq for row in found] == list(range(1, 11))
    assert [row.subject for row in found] == [str(number) for number in range(5) for _ in range(2)]
    assert bytes(found[2].data) == b'{"code":"counted","message":"first"}'
    assert len(store.view().outbox) == 0


Change = tuple[str, int]
CHANGES = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 3)), max_size=5)


def apply(state: State, changes: list[Change], expected: dict[str, Fill]) -> None:
    for key, number in changes:
        if number:
            state.fills[key] = expected[key] = a_fill(number)
        elif key in state.fills:
            del state.fills[key], expected[key]
        state.emit(an_event(key))


@pytest.mark.parametrize("make", MAKERS, ids=lambda maker: maker.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transactions=st.lists(st.tuples(CHANGES, st.booleans()), max_size=8))
def test_any_run_of_transactions_leaves_what_the_committed_ones_say(
    make: Callable[[Path], Store], transactions: list[tuple[list[Change], bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = make(Path(folder))
        expected: dict[str, Fill] = {}
        emitted = 0
        for changes, fails in transactions:
            trial = dict(expected)
            with suppress(Boom), store.transaction() as state:
                apply(state, changes, trial)
                if fails:
                    raise Boom
            if fails:
                continue
            expected = trial
            emitted += len(changes)
            assert dict(store.view().fills) == expected
        assert [row.seq for row in events(store)] == list(range(1, emitted + 1))
        if isinstance(store, TinyDbStore):
            assert dict(TinyDbStore(store.state_dir, clock=FixedClock()).view().fills) == expected


def test_transactions_in_a_group_see_each_other_and_stand_together(store: Store) -> None:
    with store.grouped():
        for number in (1, 2, 3):
            with store.transaction() as tx:
                tx.fills[str(number)] = a_fill(number)
                tx.emit(an_event(subject=f"{number}"))
            assert len(store.view().fills) == number
    assert list(store.view().fills) == ["1", "2", "3"]
    assert [event.subject for event in events(store)] == ["1", "2", "3"]
