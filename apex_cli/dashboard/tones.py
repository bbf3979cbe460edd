"""Colours of the tones, legible on dark and light backgrounds."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from apex_cli.presenters.screen.blocks import Cell, Tone

Palette = dict[Tone, str]

DARK: Palette = {
    Tone.PLAIN: "",
    Tone.GOOD: "#8fd694",
    Tone.BAD: "bold #ff9a8f",
    Tone.WARN: "#f2c572",
    Tone.DIM: "#9aa4ad",
    Tone.BOLD: "bold",
}
LIGHT: Palette = {
    Tone.PLAIN: "",
    Tone.GOOD: "#0b6b2d",
    Tone.BAD: "bold #a3170c",
    Tone.WARN: "#7a5200",
    Tone.DIM: "#5a646d",
    Tone.BOLD: "bold",
}


def text_of(cell: Cell, palette: Palette, *, is_right: bool = False) -> Text:
    """Return *cell* in its colour."""
    return Text(cell.text, style=palette[cell.tone], justify="right" if is_right else "left", no_wrap=True)


def line_of(cells: Iterable[Cell], palette: Palette, between: str = "  ") -> Text:
    """Return *cells* one after the other on one line."""
    return Text(between, no_wrap=True, overflow="ellipsis").join(text_of(cell, palette) for cell in cells)


def fields_of(rows: Iterable[tuple[str, tuple[Cell, ...]]], palette: Palette) -> Table:
    """Return names and values, one pair a line."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, cells in rows:
        table.add_row(Text(name, style=palette[Tone.DIM]), line_of(cells, palette))
    return table
