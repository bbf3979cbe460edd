"""Blocks drawn with Rich: what a person at a terminal sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Line, Tone

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.WARN: "yellow",
    Tone.DIM: "dim",
    Tone.BOLD: "bold",
}


def draw(blocks: Iterable[Block], console: Console | None = None) -> None:
    """Print *blocks* to *console*, by default standard output."""
    console = console or Console(highlight=False)
    for block in blocks:
        console.print(renderable(block))


def renderable(block: Block) -> RenderableType:
    """Return *block* as something Rich can print."""
    match block:
        case Line():
            return Text(block.text, style=STYLES[block.tone])
        case Fields():
            return _fields(block)
        case Grid():
            return _grid(block)


def panel(title: str, blocks: Iterable[Block], *, subtitle: str = "") -> RenderableType:
    """Return *blocks* in a frame with a title."""
    return Panel(
        Group(*map(renderable, blocks)), title=title, subtitle=subtitle or None, box=box.ROUNDED, padding=(0, 1)
    )


def _text(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.tone])


def _fields(block: Fields) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, title=block.title or None, title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, cell in block.rows:
        table.add_row(name, _text(cell))
    return table


def _grid(block: Grid) -> RenderableType:
    if not block.rows:
        return Text(block.empty, style="dim")
    table = Table(box=box.SIMPLE_HEAD, title=block.title or None, title_justify="left", pad_edge=False)
    for column in block.columns:
        if column.startswith(">"):
            table.add_column(column[1:], justify="right", no_wrap=True)
        elif column.startswith("|"):
            table.add_column(column[1:], no_wrap=True)
        else:
            table.add_column(column)
    for row in block.rows:
        table.add_row(*map(_text, row))
    return table
