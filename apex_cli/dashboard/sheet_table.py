"""A table that keeps its place: cursor and scroll stay where the reader is while rows come and go."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from apex_cli.dashboard.tones import Palette, text_of
from apex_cli.presenters.day import Cells, Sheet
from apex_cli.presenters.screen.blocks import Head


class SheetTable(DataTable[Text]):
    """Shows a ``Sheet``; only what changed is redrawn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", "First", show=False),
        Binding("end", "scroll_bottom", "Last", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        """Start empty."""
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, cursor_foreground_priority="renderable")
        self._columns: tuple[Head, ...] = ()
        self._shown: dict[str, Cells] = {}
        self._palette: Palette = {}

    @property
    def selected(self) -> str:
        """Key of the row under the cursor; empty without rows."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else ""

    def show(self, sheet: Sheet, palette: Palette) -> None:
        """Show *sheet*: cells that changed in place, or all of it when rows came, went or moved."""
        rows = dict(sheet.rows)
        if self._columns != sheet.columns or palette is not self._palette:
            self._rebuild(sheet, rows, palette)
        elif list(rows) != list(self._shown):
            self._refill(rows)
        else:
            self._touch_up(rows)
        self._shown = rows

    def _rebuild(self, sheet: Sheet, rows: dict[str, Cells], palette: Palette) -> None:
        here = self._place()
        self._columns, self._palette = sheet.columns, palette
        self.clear(columns=True)
        for head in sheet.columns:
            self.add_column(Text(head.name, justify="right" if head.is_right else "left"))
        self._fill(rows, here)

    def _refill(self, rows: dict[str, Cells]) -> None:
        here = self._place()
        self.clear()
        self._fill(rows, here)

    def _fill(self, rows: dict[str, Cells], here: tuple[str, int, int]) -> None:
        for key, cells in rows.items():
            self.add_row(*self._texts(cells), key=key)
        key, row, above = here
        if not rows:
            return
        is_at_top = row == 0 and above == 0
        keys = list(rows)
        target = 0 if is_at_top else keys.index(key) if key in rows else min(row, len(keys) - 1)
        self.move_cursor(row=target, animate=False, scroll=False)
        self.scroll_to(y=max(0, target - above), animate=False, force=True)

    def _place(self) -> tuple[str, int, int]:
        """Return the key under the cursor, its row, and how many rows are shown above it."""
        return self.selected, self.cursor_row, self.cursor_row - round(self.scroll_y)

    def _touch_up(self, rows: dict[str, Cells]) -> None:
        for number, (key, cells) in enumerate(rows.items()):
            for column, (old, new) in enumerate(zip(self._shown[key], cells, strict=True)):
                if old != new:
                    self.update_cell_at((number, column), self._text(column, cells), update_width=True)  # type: ignore[arg-type]

    def _texts(self, cells: Cells) -> list[Text]:
        return [self._text(column, cells) for column in range(len(cells))]

    def _text(self, column: int, cells: Cells) -> Text:
        return text_of(cells[column], self._palette, is_right=self._columns[column].is_right)
