from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinydb import where

from apex_cli.core.adapters.state.query import DEEPEST, database, parse_condition, query
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import InputError, StateError
from kit import FixedClock
from kit.rig import Rig, make_signal

ROWS: dict[str, dict[str, Any]] = {
    "a": {"status": "WORKING", "order": {"quantity": "10", "role": "ENTRY"}, "number": 3, "is_new": True},
    "b": {"status": "FILLED", "order": {"quantity": "9.50", "role": "STOP"}, "number": 4, "is_new": False},
    "c": {"status": "or", "order": None, "at": "2026-11-24T10:00:00Z"},
}


@pytest.fixture
def store(tmp_path: Path) -> TinyDbStore:
    return TinyDbStore(tmp_path / "state", clock=FixedClock())


def found(condition: str) -> str:
    meets = parse_condition(condition)
    return "".join(key for key, row in ROWS.items() if meets(row))


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("status == WORKING", "a"),
        ("status != WORKING", "bc"),
        ("order.quantity == 9.5", "b"),
        ("order.quantity >= 9.5", "ab"),
        ("order.quantity < 10", "b"),
        ("number > 3", "b"),
        ("number <= '3'", ""),
        ("is_new == true", "a"),
        ("order == null", "c"),
        ("status == 'or'", "c"),
        ('status == "WORKING" AND number == 3', "a"),
        ("status == FILLED or status == WORKING and number == 4", "b"),
        ("(status == FILLED or status == WORKING) and number < 4", "a"),
        ("not status == FILLED", "ac"),
        ("not (number == 3 or number == 4)", "c"),
        ("at >= 2026-11-24", "c"),
        ("nothing.at.all == 1", ""),
        ("number > text", ""),
    ],
)
def test_a_condition_finds_its_rows(condition: str, keys: str) -> None:
    assert found(condition) == keys


@pytest.mark.parametrize(
    "condition",
    [
        "status",
        "status ==",
        "== WORKING",
        "status = WORKING",
        "order.quantity >= 9,5",
        "order.quantity > 1,000.50",
        "status == A B",
        "(status == A",
        "status == A)",
        "'status' == A",
        "status == A and",
        "not",
        "status == 'A",
        "__import__('os').system('x') == 1",
        "()" * 10,
        "(" * (DEEPEST + 1) + "a == 1" + ")" * (DEEPEST + 1),
        "not " * 100_000 + "a == 1",
    ],
)
def test_what_is_no_condition_is_refused_with_the_place(condition: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_condition(condition)
    assert caught.value.code == "condition_invalid"
    assert caught.value.message.startswith("The condition cannot be read: ")


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_input_error(text: str) -> None:
    with suppress(InputError):
        found(text)


def test_rows_are_found_by_key_and_with_their_amounts(store: TinyDbStore) -> None:
    rig = Rig(store=store)
    for symbol in ("AAPL", "MSFT"):
        rig.feed(make_signal(symbol, now=rig.clock.now()))
    assert [key for key, _ in query(store, "positions")] == ["AAPL", "MSFT"]
    ((key, row),) = query(store, "positions", "position.instrument.symbol == MSFT and position.quantity > 0")
    assert key == "MSFT"
    assert Decimal(row["position"]["quantity"]) == store.view().positions["MSFT"].position.quantity


def test_a_table_that_is_none_is_named_with_those_that_are(store: TinyDbStore) -> None:
    assert query(store, "orders") == []
    with pytest.raises(InputError, match="no table 'ordres'") as caught:
        query(store, "ordres")
    assert "orders" in caught.value.hint


def test_the_database_is_tinydb_sees_what_is_committed_and_refuses_to_write(store: TinyDbStore) -> None:
    Rig(store=store).feed(make_signal("AAPL", now=store.clock.now()))
    with database(store) as opened:
        assert opened.table("orders").count(where("status") == "WORKING") > 0
        with store.transaction() as tx:
            tx.counters = msgspec.structs.replace(tx.counters, entries_today=7)
        assert [row["entries_today"] for row in opened.table("counters")] == [7]
        for write in (
            lambda: opened.table("counters").insert({"entries_today": 8}),
            opened.drop_tables,
            lambda: opened.table("orders").truncate(),
        ):
            with pytest.raises(StateError, match="reading only"):
                write()
    assert store.view().counters.entries_today == 7


def test_what_is_damaged_is_not_queried(store: TinyDbStore) -> None:
    Rig(store=store).feed(make_signal("AAPL", now=store.clock.now()))
    store.path.write_bytes(store.path.read_bytes()[:-5])
    with pytest.raises(StateError):
        query(TinyDbStore(store.state_dir, clock=store.clock), "orders")
