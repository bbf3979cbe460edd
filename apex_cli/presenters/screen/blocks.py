"""Parts of a result, the same whether it is drawn or printed as plain text.

Every text of a block is made visible when the block is: whatever draws it may take it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

from msgspec.structs import force_setattr

from apex_cli.core.model.base import Value
from apex_cli.core.model.wording import visible


class Tone(StrEnum):
    """How a text should feel; never the only sign of its meaning."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"
    BOLD = "bold"


class Cell(Value, frozen=True):
    """A text with a tone."""

    text: str
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        """Make the text visible."""
        if not self.text.isprintable():
            force_setattr(self, "text", visible(self.text))


class Line(Value, frozen=True, kw_only=True):
    """One sentence."""

    text: str
    tone: Tone = Tone.PLAIN
    is_whole: bool = False
    """True for what is copied, such as YAML or a path: no line end is put into it."""

    is_heading: bool = False
    """True for what the next block belongs to."""

    def __post_init__(self) -> None:
        """Make the text visible."""
        force_setattr(self, "text", visible(self.text))


class Fields(Value, frozen=True, kw_only=True):
    """Names and values, one a line."""

    title: str = ""
    rows: tuple[tuple[str, Cell], ...]
    tone: Tone = Tone.DIM
    """How the names look."""

    def __post_init__(self) -> None:
        """Make title and names visible."""
        force_setattr(self, "title", visible(self.title))
        force_setattr(self, "rows", tuple((visible(name), cell) for name, cell in self.rows))


FIRST, SECOND, THIRD, LAST = 1, 2, 3, 9
"""Ranks of columns: where there is little room the highest rank goes first, and the first rank never goes."""


class Head(Value, frozen=True):
    """The head of a column."""

    name: str
    rank: int = FIRST
    is_right: bool = False
    """True where the values line up at their right ends, as numbers do."""

    wraps: bool = False
    """True where a value is a sentence that may take several lines."""


def heads(*names: str) -> tuple[Head, ...]:
    """Return heads of the first rank; ``>name`` is aligned to the right, ``name~`` holds sentences.

    >>> [(head.name, head.is_right, head.wraps) for head in heads("Symbol", ">Qty", "Why~")]
    [('Symbol', False, False), ('Qty', True, False), ('Why', False, True)]
    """
    return tuple(Head(n.strip(">~"), is_right=n.startswith(">"), wraps=n.endswith("~")) for n in names)


class Grid(Value, frozen=True, kw_only=True):
    """A table: its heads, and a cell for each head in every row."""

    title: str = ""
    columns: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "Nothing to show."
    """Said instead of a table without rows."""

    def __post_init__(self) -> None:
        """Make title and the sentence without rows visible."""
        force_setattr(self, "title", visible(self.title))
        force_setattr(self, "empty", visible(self.empty))


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


class Plot(Value, frozen=True, kw_only=True):
    """A drawing that fits the room there is."""

    lines: Callable[[int], Sequence[Line]]
    """Returns the lines for so many columns."""


WIDE = 80
"""Columns of a drawing where nobody says how much room there is."""

Block = Line | Fields | Grid | Plot


def spaced(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield *blocks* with an empty line before each table but the first, and before a heading below a table.

    >>> table = Fields(rows=(("Held", Cell("2")),))
    >>> sum_of_it, heading = Line(text="2 open"), Line(text="Orders", is_heading=True)
    >>> [block == Line(text="") for block in spaced([table, sum_of_it, table, heading, table])]
    [False, False, True, False, True, False, False]
    """
    before: Block | None = None
    has_table = False
    for block in blocks:
        is_table = _is_drawn_as_table(block)
        is_heading = isinstance(block, Line) and block.is_heading
        is_headed = isinstance(before, Line) and (before.is_heading or not before.text)
        if has_table and (is_table or is_heading) and not is_headed:
            yield Line(text="")
        yield block
        before, has_table = block, has_table or is_table


def _is_drawn_as_table(block: Block) -> bool:
    match block:
        case Line():
            return False
        case Fields() | Grid():
            return bool(block.rows)
        case Plot():
            return bool(block.lines(WIDE))


FULL, EMPTY = "█", "░"


class Figure(Value, frozen=True):
    """A number one looks at first, with what belongs to it: a row in the terminal, a card on a page.

    >>> Figure("Win rate", "50 %", remark="1 of 2", note="before costs", part=0.5).row[1].text
    '█████░░░░░ 50 % (1 of 2), before costs'
    """

    name: str
    value: str
    tone: Tone = Tone.PLAIN
    remark: str = ""
    """What it is made of."""

    note: str = ""
    """What it counts, or leaves out."""

    part: float | None = None
    """0..1, where a bar shows it."""

    @property
    def row(self) -> tuple[str, Cell]:
        """Return name and text: bar, value, remark in brackets, note."""
        drawn = f"{bar(self.part, 10)} " if self.part is not None else ""
        remark = f" ({self.remark})" if self.remark else ""
        note = f", {self.note}" if self.note else ""
        return self.name, Cell(f"{drawn}{self.value}{remark}{note}", self.tone)

    @property
    def below(self) -> str:
        """Return remark and note in one line."""
        return ", ".join(filter(None, (self.remark, self.note)))


def bar(fraction: float, width: int = 20) -> str:
    """Return a bar of *width* characters, filled to *fraction* (0..1, clipped).

    >>> bar(0.5, 4)
    '██░░'
    """
    clipped = min(max(fraction, 0.0), 1.0)
    filled = round(clipped * width)
    return FULL * filled + EMPTY * (width - filled)
