"""What a result looks like, before anyone decides whether it is drawn or printed plainly."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from apex_cli.core.model.base import Value


class Tone(StrEnum):
    """How a text should feel; never the only sign of its meaning."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"
    BOLD = "bold"


class Cell(NamedTuple):
    """A text with a tone."""

    text: str
    tone: Tone = Tone.PLAIN


class Line(Value, frozen=True, kw_only=True):
    """One sentence."""

    text: str
    tone: Tone = Tone.PLAIN


class Fields(Value, frozen=True, kw_only=True):
    """Names and values, one a line."""

    title: str = ""
    rows: tuple[tuple[str, Cell], ...]


class Grid(Value, frozen=True, kw_only=True):
    """A table. A column named ``>...`` is aligned to the right, one named ``|...`` is never wrapped."""

    title: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "Nothing to show."
    """Said instead of a table without rows."""


Block = Line | Fields | Grid

FULL = "█"


def bar(fraction: float, width: int = 20) -> str:
    """Return a bar of *width* characters, filled to *fraction* (0..1, clipped).

    >>> bar(0.5, 4)
    '██░░'
    """
    clipped = min(max(fraction, 0.0), 1.0)
    filled = round(clipped * width)
    return FULL * filled + "░" * (width - filled)
