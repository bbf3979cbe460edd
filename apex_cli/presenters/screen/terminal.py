"""Draws blocks with Rich, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.model.wording import visible
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, Plot, Tone, picked, spaced, without_empty
from apex_cli.presenters.screen.fit import (
    GAP,
    LEAST_TEXT,
    NARROW,
    Stacked,
    column_widths,
    lower_lines,
    places_that_fit,
    stacked,
    width_of,
    widths_of,
)

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType, RenderResult

STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.WARN: "yellow",
    Tone.DIM: "dim",
    Tone.BOLD: "bold",
}


MOST_FRAME = 100
"""Columns of a frame, above which its lines are hard to follow."""

BADGE_STYLES = {
    AccountKind.SIMULATED: "reverse",
    AccountKind.PAPER: "bold black on yellow",
    AccountKind.LIVE: "bold white on red",
}


def draw(blocks: Iterable[Block], console: Console | None = None, *, badge: AccountBadge | None = None) -> None:
    """Print *blocks* to *console*, by default standard output; *badge* stands above them."""
    console = console or Console(highlight=False)
    if badge is not None:
        console.print(badge_text(badge))
    for block in spaced(blocks):
        console.print(renderable(block), soft_wrap=isinstance(block, Line) and block.is_whole)


def badge_text(badge: AccountBadge) -> Text:
    """Return which account one is in, a live one in a frame; its words say it where there are no colours."""
    frame = "┃" if badge.kind is AccountKind.LIVE else ""
    return Text(f"{frame} {visible(badge.text)} {frame}", style=BADGE_STYLES[badge.kind])


def renderable(block: Block) -> RenderableType:
    """Return *block* as something Rich can print."""
    match block:
        case Line():
            return Text(block.text, style=STYLES[block.tone])
        case Fields():
            return FittingFields(block)
        case Grid():
            return FittingGrid(block)
        case Plot():
            return FittingPlot(block)


class FittingPlot:
    """A drawing that is made when its room is known."""

    def __init__(self, plot: Plot) -> None:
        """Keep *plot*."""
        self._plot = plot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield its lines, none of them wrapped."""
        for line in self._plot.lines(options.max_width):
            yield Text(line.text, style=STYLES[line.tone], no_wrap=True, overflow="crop")


def panel(title: str, blocks: Iterable[Block], *, subtitle: str, width: int) -> RenderableType:
    """Return *blocks* in a frame with a title, as wide as a terminal of *width* and the eye allow."""
    return Panel(
        Group(*map(renderable, blocks)),
        title=Text(visible(title)),
        subtitle=Text(visible(subtitle)) if subtitle else None,
        box=box.ROUNDED,
        padding=(0, 1),
        width=min(width, MOST_FRAME),
    )


class FittingFields:
    """Names and values that are laid out when their room is known."""

    def __init__(self, block: Fields) -> None:
        """Keep *block*."""
        self._block = block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the names, with the values beside them."""
        block = self._block
        if block.title:
            yield Text(block.title, style="bold")
        names = max((width_of(name) for name, _ in block.rows), default=0)
        room = max(options.max_width - names - GAP, LEAST_TEXT)
        for name, cell in block.rows:
            for number, part in enumerate(_text(cell).wrap(console, room) or [Text()]):
                head = "" if number else name
                gap = " " * (names + GAP - width_of(head))
                line = Text.assemble((head, STYLES[block.tone]), gap, part, no_wrap=True, overflow="ignore")
                line.rstrip()
                yield line


class FittingGrid:
    """A table that is laid out when its room is known."""

    def __init__(self, grid: Grid) -> None:
        """Keep *grid*."""
        self._grid = grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, as wide as there is room."""
        grid, width = without_empty(self._grid), options.max_width
        if not grid.rows:
            yield Text(grid.empty, style="dim")
            return
        if grid.title:
            yield Text(grid.title, style="bold")
        places = places_that_fit(grid, width)
        if places is not None and (width >= NARROW or len(places) == len(grid.columns)):
            yield from _table(console, picked(grid, places), width)
        else:
            yield from _stack(console, grid, stacked(grid, width), width)


def _text(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.tone])


def _table(console: Console, grid: Grid, width: int) -> Iterator[Text]:
    """Yield the table, a line for each row, or several where a sentence needs them."""
    widths = column_widths(grid, width)
    places = range(len(grid.columns))
    yield from _heading(grid, places, widths)
    for row in grid.rows:
        wrapped = [_text(cell).wrap(console, widths[place]) for place, cell in enumerate(row)]
        for number in range(max((len(lines) for lines in wrapped), default=0)):
            texts = [lines[number] if number < len(lines) else Text() for lines in wrapped]
            yield _line(grid, texts, places, widths)


def _stack(console: Console, grid: Grid, how: Stacked, width: int) -> Iterator[Text]:
    """Yield each row as a line of columns, and lines of named values below it."""
    widths = widths_of(grid)
    longest = [max(width_of(row[place].text) for row in grid.rows) for place in range(len(grid.columns))]
    yield from _heading(grid, how.upper, widths)
    for row in grid.rows:
        yield _line(grid, list(map(_text, row)), how.upper, widths)
        for named in lower_lines(grid, row, how.lower, width, longest):
            for part in _named(named).wrap(console, width - GAP):
                yield Text(" " * GAP) + part


def _heading(grid: Grid, places: Sequence[int], widths: Sequence[int]) -> Iterator[Text]:
    heads = [Text(head.name, style="bold") for head in grid.columns]
    yield _line(grid, heads, places, widths)
    yield Text("─" * (sum(widths[place] for place in places) + GAP * (len(places) - 1)), style="dim")


def _line(grid: Grid, texts: Sequence[Text], places: Sequence[int], widths: Sequence[int]) -> Text:
    cells = []
    for place in places:
        text = texts[place].copy()
        text.rstrip()
        text.align("right" if grid.columns[place].is_right else "left", widths[place])
        cells.append(text)
    line = Text(" " * GAP, no_wrap=True, overflow="ignore").join(cells)
    line.rstrip()
    return line


def _named(cells: Iterable[tuple[str, Cell]]) -> Text:
    parts = [Text.assemble((f"{name} " if name else "", "dim"), _text(cell)) for name, cell in cells]
    return Text(" " * GAP).join(parts)
