"""A table written once, as columns: the same list gives the rows of the JSON and the drawn table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import compress
from typing import Any, Generic, TypeVar

from apex_cli.core.model.base import Value
from apex_cli.presenters.screen.blocks import FIRST, Cell, Fields, Grid, Head, Tone
from apex_cli.presenters.screen.formats import DASH, marked, number, units

T = TypeVar("T")


class Column(Value, Generic[T], frozen=True):
    """One fact about each row: its key, its title and its value, then how it is drawn."""

    key: str
    """Its name in the JSON; empty: it is only drawn."""

    title: str | None = None
    """Its head in the drawn table; None: it is only in the JSON."""

    value: Callable[[T], Any] | None = None
    """Returns it; None: it is the row's attribute of the name *key*."""

    shown: Callable[[Any], str | Cell] = str
    """The value in the drawn table."""

    cell: Callable[[T], str | Cell] | None = None
    """The row's cell in the drawn table, where the value alone does not make it."""

    rank: int = FIRST
    is_right: bool = False
    wraps: bool = False
    is_optional: bool = False
    """True: it is drawn only where a row has a value."""

    place: int = 0
    """Columns are drawn in the order of their places, those of one place in the order of the JSON; ids come last."""

    def of(self, row: T) -> Any:  # noqa: ANN401 - a value of any kind
        """Return the fact about *row*."""
        return getattr(row, self.key) if self.value is None else self.value(row)


def facts(*keys: str) -> tuple[Column[Any], ...]:
    """Return columns that are only in the JSON: attributes of the row."""
    return tuple(map(Column, keys))


def price_column(key: str, title: str, rank: int = FIRST, *, model: str = "is_theoretical") -> Column[Any]:
    """Return the column of a price, which has a mark where the attribute *model* says that a model made it."""
    return Column(
        key,
        title,
        cell=lambda row: marked(getattr(row, key), is_theoretical=getattr(row, model)),
        rank=rank,
        is_right=True,
    )


def units_column(key: str, title: str = "Qty", *, place: int = 0, rank: int = FIRST) -> Column[Any]:
    """Return the column of a quantity: a number in the JSON."""
    return Column(
        key,
        title,
        lambda row: number(getattr(row, key)),
        cell=lambda row: units(getattr(row, key)),
        rank=rank,
        is_right=True,
        place=place,
    )


class Table(Generic[T]):
    """The columns of one kind of row."""

    def __init__(self, *columns: Column[T], empty: str = "Nothing to show.") -> None:
        """Keep *columns* in the order of the JSON; *empty* is said instead of a table without rows."""
        self.facts = tuple(column for column in columns if column.key)
        shown = [column for column in columns if column.title is not None]
        self._drawn = tuple(sorted(shown, key=lambda column: column.place))
        self._empty = empty

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of the drawn table."""
        return tuple(Head(c.title or "", c.rank, c.is_right, c.wraps) for c in self._drawn)

    def data(self, row: T) -> dict[str, Any]:
        """Return *row* under the stable names that scripts read."""
        return {column.key: column.of(row) for column in self.facts}

    def rows(self, rows: Iterable[T]) -> list[dict[str, Any]]:
        """Return *rows* as a list of the JSON."""
        return [self.data(row) for row in rows]

    def cells(self, row: T) -> tuple[Cell, ...]:
        """Return *row* as it is drawn."""
        return tuple(_cell(column, row) for column in self._drawn)

    def fields(self, row: T) -> Fields:
        """Return *row* as names and values, one a line."""
        return Fields(rows=tuple(zip([head.name for head in self.heads], self.cells(row), strict=True)))

    def grid(self, rows: Iterable[T], *, title: str = "", handles: Iterable[int | str] | None = None) -> Grid:
        """Return *rows* as a table; *handles*, one a row, are names that a person may type."""
        rows = list(rows)
        kept = [not column.is_optional or any(column.of(row) is not None for row in rows) for column in self._drawn]
        heads = tuple(compress(self.heads, kept))
        cells = [tuple(compress(self.cells(row), kept)) for row in rows]
        if handles is None:
            return Grid(title=title, columns=heads, rows=tuple(cells), empty=self._empty)
        numbered = tuple((Cell(str(handle), Tone.DIM), *row) for handle, row in zip(handles, cells, strict=False))
        return Grid(title=title, columns=(Head("#", is_right=True), *heads), rows=numbered, empty=self._empty)


def _cell(column: Column[T], row: T) -> Cell:
    shown = column.shown(column.of(row)) if column.cell is None else column.cell(row)
    return shown if isinstance(shown, Cell) else Cell(shown)


def bold(text: str) -> Cell:
    """Return *text* as what the eye looks for in a row."""
    return Cell(text, Tone.BOLD)


def or_dash(text: str) -> str:
    """Return *text*, or a dash where there is none."""
    return text or DASH


def words(code: str) -> str:
    """Return a code as words."""
    return code.replace("_", " ")


def toned(tones: Mapping[Any, Tone]) -> Callable[[str], Cell]:
    """Return what draws a word in its tone."""
    return lambda word: Cell(word, tones.get(word, Tone.PLAIN))
