"""Prints blocks as plain text, for a pipe, a log or ``TERM=dumb``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from apex_cli.presenters.screen.blocks import WIDE, Block, Cell, Fields, Grid, Line, Plot, spaced, without_empty

if TYPE_CHECKING:
    from apex_cli.core.model.account import AccountBadge


def render(blocks: Iterable[Block], *, badge: AccountBadge | None = None) -> str:
    """Return *blocks* as text without colour or escape codes, one block after the other; *badge* is the first line."""
    head = () if badge is None else (badge.text,)
    return "\n".join((*head, *(_render(block) for block in spaced(blocks))))


def _render(block: Block) -> str:
    match block:
        case Line():
            return block.text
        case Fields():
            return _titled(block.title, _fields(block.rows))
        case Grid():
            return _titled(block.title, _grid(block))
        case Plot():
            return "\n".join(line.text.rstrip() for line in block.lines(WIDE))


def _titled(title: str, body: str) -> str:
    return f"{title}\n{body}" if title else body


def _fields(rows: tuple[tuple[str, Cell], ...]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {cell.text}".rstrip() for name, cell in rows)


def _grid(grid: Grid) -> str:
    if not grid.rows:
        return grid.empty
    grid = without_empty(grid)
    names = [head.name for head in grid.columns]
    texts = [names, *([cell.text for cell in row] for row in grid.rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(names))]
    right = [head.is_right for head in grid.columns]
    return "\n".join(_row(row, widths, right) for row in texts)


def _row(texts: list[str], widths: list[int], right: list[bool]) -> str:
    cells = (f"{t:>{w}}" if r else f"{t:<{w}}" for t, w, r in zip(texts, widths, right, strict=True))
    return "  ".join(cells).rstrip()
