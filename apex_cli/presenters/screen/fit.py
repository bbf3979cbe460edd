"""Fits a table into a width: the least important columns are left out first, and the most important are never cut."""

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


def lower_lines(
    grid: Grid, row: Sequence[Cell], lower: Sequence[int], width: int, widest: Sequence[int]
) -> list[list[tuple[str, Cell]]]:
    """Return the named values below the upper line of *row*, line by line.

    All of the first rank are there, and every sentence, on lines without other values. Of the others there are as many
    as fit on one line in every row; *widest* are the widths of the longest values, by column.
    """
    lines: list[list[tuple[str, Cell]]] = []
    room = 0
    sentences: list[list[tuple[str, Cell]]] = []
    for place in lower:
        head, cell = grid.columns[place], row[place]
        if head.wraps:
            if cell.text not in NOTHING:
                _add_sentence(sentences, (head.name, cell), width)
            continue
        taken = width_of(head.name) + 1 + widest[place] + GAP
        if not lines or taken > room:
            if head.rank != FIRST and (lines or head.rank == LAST or taken > width):
                continue
            lines.append([])
            room = width
        room -= taken
        if cell.text not in NOTHING:
            lines[-1].append(("" if cell.text.endswith(f" {head.name}") else head.name, cell))
    return [*filter(None, lines), *sentences]


def _add_sentence(sentences: list[list[tuple[str, Cell]]], named: tuple[str, Cell], width: int) -> None:
    """Put a sentence on the line of the one before where both fit, else on a line of its own."""
    before = sentences[-1] if sentences else []
    taken = sum(width_of(name) + 1 + width_of(cell.text) + GAP for name, cell in (*before, named))
    if before and taken <= width:
        sentences[-1].append(named)
    else:
        sentences.append([named])


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


def _total(need: Sequence[int], places: Sequence[int]) -> int:
    return sum(need[place] for place in places) + GAP * max(0, len(places) - 1)


def _texts(grid: Grid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.rows]
