"""How a table fits into a width: what matters least is left out first, and what matters most is never cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from apex_cli.presenters.screen.blocks import FIRST, LAST, Cell, Grid

GAP = 2
"""Blanks between two columns."""

NARROW = 70
"""Columns below which a row that does not fit takes two lines."""

LEAST_TEXT = 24
"""Columns below which a sentence is not worth wrapping."""


NOTHING = {"", "–"}
"""Values that are not worth their names below a row."""


class Stacked(NamedTuple):
    """A table whose rows take several lines: the first ones of a row line up, the rest are named values."""

    upper: tuple[int, ...]
    """Places of the columns on the upper line."""

    lower: tuple[int, ...]
    """Places of the columns that follow as named values, the most important first."""


def width_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes.

    >>> width_of("AAPL"), width_of("トヨタ")
    (4, 6)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def widths_of(grid: Grid) -> list[int]:
    """Return the width that each column needs for its head and all of its values."""
    columns = zip(*([head.name for head in grid.columns], *_texts(grid)), strict=True)
    return [max(map(width_of, column)) for column in columns]


def places_that_fit(grid: Grid, width: int) -> tuple[int, ...] | None:
    """Return the places of the columns to show in *width*; None when not even those of the first rank fit."""
    need = [
        min(natural, max(LEAST_TEXT, width_of(head.name))) if head.wraps else natural
        for head, natural in zip(grid.columns, widths_of(grid), strict=True)
    ]
    places = list(range(len(grid.columns)))
    while _total(need, places) > width:
        least = max(places, key=lambda place: (grid.columns[place].rank, place))
        if grid.columns[least].rank == FIRST:
            return None
        places.remove(least)
    return tuple(places)


def stacked(grid: Grid, width: int) -> Stacked:
    """Return how to put each row of *grid* on several lines of *width*."""
    need = widths_of(grid)
    upper: list[int] = []
    for place, head in enumerate(grid.columns):
        if head.rank == FIRST and not head.wraps and _total(need, [*upper, place]) <= width:
            upper.append(place)
    rest = [place for place in range(len(grid.columns)) if place not in upper]
    return Stacked(tuple(upper), tuple(sorted(rest, key=lambda place: grid.columns[place].rank)))


def lower_lines(grid: Grid, row: Sequence[Cell], lower: Sequence[int], width: int) -> list[list[tuple[str, Cell]]]:
    """Return the named values below the upper line of *row*, line by line.

    All of the first rank are there, and every sentence, on lines without other values. Of the others there are as many
    as fit on one line.
    """
    lines: list[list[tuple[str, Cell]]] = []
    shown = [(grid.columns[place], row[place]) for place in lower if row[place].text not in NOTHING]
    for head, cell in shown:
        taken = width_of(head.name) + width_of(cell.text) + GAP
        begins = head.rank == FIRST or (not lines and head.rank < LAST and taken <= width)
        if head.wraps:
            continue
        if lines and taken + GAP <= width - _width_of_line(lines[-1]):
            lines[-1].append((head.name, cell))
        elif begins:
            lines.append([(head.name, cell)])
    sentences: list[list[tuple[str, Cell]]] = []
    for head, cell in shown:
        taken = width_of(head.name) + width_of(cell.text) + GAP
        if head.wraps and sentences and taken + GAP <= width - _width_of_line(sentences[-1]):
            sentences[-1].append((head.name, cell))
        elif head.wraps:
            sentences.append([(head.name, cell)])
    return [*lines, *sentences]


def _width_of_line(line: Sequence[tuple[str, Cell]]) -> int:
    return sum(width_of(name) + 1 + width_of(cell.text) + GAP for name, cell in line)


def column_widths(grid: Grid, width: int) -> list[int]:
    """Return the width of each column of a *grid* that fits into *width*; sentences share what is left."""
    need = widths_of(grid)
    sentences = [place for place, head in enumerate(grid.columns) if head.wraps]
    room = width - _total(need, [place for place in range(len(need)) if place not in sentences])
    room -= GAP * min(len(sentences), len(need) - 1)
    for left, place in zip(range(len(sentences), 0, -1), sorted(sentences, key=need.__getitem__), strict=True):
        need[place] = max(1, min(need[place], room // left))
        room -= need[place]
    return need


def picked(grid: Grid, places: Sequence[int]) -> Grid:
    """Return *grid* with the columns at *places* only."""
    return Grid(
        title=grid.title,
        columns=tuple(grid.columns[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in grid.rows),
        empty=grid.empty,
    )


def without_empty(grid: Grid) -> Grid:
    """Return *grid* without the columns that say nothing in any row."""
    filled = [place for place in range(len(grid.columns)) if any(row[place].text for row in grid.rows)]
    return picked(grid, filled) if grid.rows and len(filled) < len(grid.columns) else grid


def _total(need: Sequence[int], places: Sequence[int]) -> int:
    return sum(need[place] for place in places) + GAP * max(0, len(places) - 1)


def _texts(grid: Grid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.rows]
