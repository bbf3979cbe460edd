"""The layout of the screen, by its size."""

from __future__ import annotations

from msgspec.structs import replace
from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Input, Static

from apex_cli.core.model.wording import visible
from apex_cli.core.reports.activity import Activity
from apex_cli.dashboard.plot_widgets import CurvePlot, HistogramPlot
from apex_cli.dashboard.sheet_table import SheetTable
from apex_cli.presenters.screen.blocks import Cell

LOOK_EVERY_S = 0.25
"""How often the header of the state file is read: a few bytes."""

WIDE_FROM, TALL_FROM = 160, 40
"""Columns and rows from which on everything is on the screen at once."""

MEDIUM_FROM = 34
"""Rows from which on the positions stay on the screen above any other pane."""

TABLE_EDGE = 6
"""Columns beside a table's own: the frame, the scrollbar, and the blanks around the row."""

LEFT_PART = 0.6
"""Part of a wide screen that the left side has."""

MOST_LOG_ROWS = 200
MOST_ALARMS = 5
SIDES = {"left": ("positions", "orders", "log"), "right": ("approvals", "curves")}
THEMES = {"dark": "textual-dark", "light": "textual-light"}
READ_ONLY = "Read-only. Press c to take control first."


def pane_of(name: str, *children: SheetTable | Input | Static | CurvePlot | HistogramPlot) -> Vertical:
    """Return a frame with a name around *children*."""
    return Vertical(*children, id=f"{name}-pane", classes="pane")


def fitting(cells: tuple[Cell, ...], most: int) -> tuple[Cell, ...]:
    """Return the first *most* of *cells*; the last one says how many are left out."""
    if len(cells) <= most:
        return cells
    last = cells[most - 1]
    return (*cells[: most - 1], replace(last, text=f"{last.text}  (+{len(cells) - most} more)"))


def all_of(line: Activity) -> Text:
    """Return all there is to say about a line of the log."""
    explained = f"\n\napex explain {visible(line.subject)}" if line.subject else ""
    reported = f"{visible(line.symbol)} {visible(line.verdict).replace('_', ' ')}\n{visible(line.text)}"
    return Text(f"{reported}{explained}".strip())
