"""Tables at any width: what matters most is never cut, what matters least goes first."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module
from itertools import count
from pkgutil import walk_packages
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from apex_cli import presenters
from apex_cli.presenters.screen.blocks import FIRST, LAST, SECOND, THIRD, Cell, Grid, Head, heads
from apex_cli.presenters.screen.columns import Column, Table, bold
from apex_cli.presenters.screen.fit import column_widths, places_that_fit, width_of
from apex_cli.presenters.screen.formats import DASH
from apex_cli.presenters.screen.terminal import draw

WIDTHS = (60, 80, 100, 140)


class Held(NamedTuple):
    symbol: str
    quantity: int
    note: str = ""


HELD = Table[Held](
    Column("id", "Id", lambda h: f"id-{h.symbol}", rank=LAST, place=1),
    Column("symbol", "Symbol", shown=bold),
    Column("quantity", "Qty", is_right=True),
    Column("raw", value=lambda h: -h.quantity),
    Column("", "Note", lambda h: h.note, rank=SECOND, wraps=True),
    empty="Nothing is held.",
)


def tables() -> Iterator[tuple[str, Table[Any], type]]:
    """Yield every table of the presenters with the type of its rows."""
    for found in walk_packages(presenters.__path__, "apex_cli.presenters."):
        for name, table in vars(import_module(found.name)).items():
            if isinstance(table, Table) and isinstance(row := get_args(table.__orig_class__)[0], type):
                yield f"{found.name}.{name}", table, row


def test_a_column_without_a_value_of_its_own_names_an_attribute_of_its_row() -> None:
    found = [(name, column.key, row) for name, table, row in tables() for column in table.facts if column.value is None]
    assert len(found) > 100
    assert [name for name in found if not hasattr(name[2], name[1])] == []


def drawn(grid: Grid, width: int) -> list[str]:
    stream = io.StringIO()
    draw((grid,), Console(file=stream, width=width))
    return stream.getvalue().splitlines()


def test_one_list_of_columns_gives_the_json_and_the_table() -> None:
    row = Held("AAPL", 6, "from the inbox")
    assert HELD.data(row) == {"id": "id-AAPL", "symbol": "AAPL", "quantity": 6, "raw": -6}
    assert [head.name for head in HELD.heads] == ["Symbol", "Qty", "Note", "Id"]
    assert [cell.text for cell in HELD.cells(row)] == ["AAPL", "6", "from the inbox", "id-AAPL"]


def test_rows_may_be_numbered_so_that_a_person_can_name_them() -> None:
    assert drawn(HELD.grid([Held("AAPL", 6), Held("IBM", 1)], handles=count(1)), 80)[2:] == [
        "1  AAPL      6  id-AAPL",
        "2  IBM       1  id-IBM",
    ]


def test_a_table_without_rows_says_so() -> None:
    assert drawn(HELD.grid([]), 80) == ["Nothing is held."]


def test_numbers_line_up_at_the_right_and_words_at_the_left() -> None:
    assert drawn(HELD.grid([Held("AAPL", 1000), Held("F", 7)]), 25) == [
        "Symbol   Qty  Id",
        "─────────────────────",
        "AAPL    1000  id-AAPL",
        "F          7  id-F",
    ]


def test_a_column_that_says_nothing_in_any_row_is_not_drawn() -> None:
    rows = [Held("AAPL", 6), Held("F", 7)]
    assert "Note" not in drawn(HELD.grid(rows), 80)[0]
    assert "Note" in drawn(HELD.grid([*rows, Held("GE", 8, "late")]), 80)[0]


def test_what_matters_least_goes_first() -> None:
    grid = HELD.grid([Held("AAPL", 6, "a note of some length")])
    shown = {
        width: [grid.columns[place].name for place in places_that_fit(grid, width) or ()] for width in range(9, 60)
    }
    assert shown[59] == ["Symbol", "Qty", "Note", "Id"]
    assert shown[40] == ["Symbol", "Qty", "Note"]
    assert shown[20] == ["Symbol", "Qty"]
    assert shown[10] == []
    sizes = [len(names) for names in shown.values()]
    assert sizes == sorted(sizes)


def test_a_sentence_is_wrapped_into_the_room_that_is_left() -> None:
    lines = drawn(HELD.grid([Held("AAPL", 6, "one two three four five six seven eight nine ten")]), 72)
    assert len(lines) == 3
    lines = drawn(Grid(columns=heads("Symbol", "Why~"), rows=((Cell("AAPL"), Cell("word " * 30)),)), 75)
    assert len(lines) > 3
    assert all(line.startswith("        word") for line in lines[3:])


def test_a_narrow_screen_has_rows_of_several_lines() -> None:
    grid = Grid(
        columns=(Head("Symbol"), Head("P&L", is_right=True), Head("Entry", SECOND), Head("Note", SECOND, wraps=True)),
        rows=((Cell("AAPL 20261218C00150000"), Cell("-12,345.67"), Cell("23.04"), Cell("a sentence about it")),),
    )
    assert drawn(grid, 40) == [
        "Symbol                         P&L",
        "──────────────────────────────────",
        "AAPL 20261218C00150000  -12,345.67",
        "  Entry 23.04",
        "  Note a sentence about it",
    ]
    assert drawn(grid, 30)[2:] == [
        "AAPL 20261218C00150000",
        "  P&L -12,345.67  Entry 23.04",
        "  Note a sentence about it",
    ]


RANKS = (FIRST, SECOND, THIRD, LAST)
WORD = st.text(alphabet="ABCdef019.,+-█ü漢", min_size=1, max_size=22)
GRIDS = st.integers(1, 9).flatmap(
    lambda count: st.builds(
        Grid,
        columns=st.lists(
            st.builds(
                Head,
                name=st.sampled_from(("Symbol", "Qty", "P&L")),
                rank=st.sampled_from(RANKS),
                is_right=st.booleans(),
            ),
            min_size=count,
            max_size=count,
        ).map(tuple),
        rows=st.lists(st.lists(WORD.map(Cell), min_size=count, max_size=count).map(tuple), min_size=1, max_size=4).map(
            tuple
        ),
    )
)


@given(GRIDS, st.sampled_from(WIDTHS))
def test_no_cell_of_the_first_rank_is_ever_cut(grid: Grid, width: int) -> None:
    lines = drawn(grid, width)
    text = "\n".join(lines)
    for row in grid.rows:
        for head, cell in zip(grid.columns, row, strict=True):
            assert head.rank != FIRST or cell.text in text
    assert all(width_of(line) <= width for line in lines)


@given(GRIDS, st.integers(20, 200))
def test_columns_that_fit_fit(grid: Grid, width: int) -> None:
    places = places_that_fit(grid, width)
    if places is not None:
        need = column_widths(grid, width)
        assert sum(need[place] for place in places) + 2 * (len(places) - 1) <= width


@pytest.mark.parametrize("width", [10, 20])
def test_even_the_narrowest_screen_shows_everything_of_the_first_rank(width: int) -> None:
    grid = Grid(columns=heads("Symbol", "Side", "Qty"), rows=((Cell("BRK.B"), Cell("short"), Cell("1,000")),))
    text = " ".join(drawn(grid, width))
    assert all(word in text for word in ("BRK.B", "short", "1,000"))


def test_below_70_columns_every_row_names_the_same_values() -> None:
    columns = (Head("Symbol"), Head("Entry", SECOND), Head("Note of the day", SECOND), Head("%", THIRD))
    grid = Grid(
        columns=columns,
        rows=(
            (Cell("AAPL"), Cell("23.04"), Cell("short"), Cell("+1.00 %")),
            (Cell("MSFT"), Cell("26.50"), Cell("x" * 24), Cell("-0.50 %")),
            (Cell("IBM"), Cell(DASH), Cell("short"), Cell("+2.00 %")),
        ),
    )
    assert drawn(grid, 40)[3::2] == ["  Entry 23.04  +1.00 %", "  Entry 26.50  -0.50 %", "  +2.00 %"]
