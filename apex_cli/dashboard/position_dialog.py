"""The dialog of one position: its chart, plan and history, and the actions on it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Static

from apex_cli.core.market.calendar import day_of_bar
from apex_cli.core.model.money import Price, Quantity, number_of
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.board import PositionHistory
from apex_cli.dashboard.dialogs import Dialog
from apex_cli.dashboard.tones import Palette, line_of, text_of
from apex_cli.presenters.day import log_sheet
from apex_cli.presenters.positions import position_chart, position_fields, position_summary, r_ladder
from apex_cli.presenters.screen.blocks import Cell, Tone
from apex_cli.presenters.screen.formats import price
from apex_cli.presenters.screen.terminal import renderable

STORY_LINES = 12


class Act(NamedTuple):
    """Something that may be done with what a dialog shows."""

    key: str
    name: str
    label: str


POSITION_ACTS = (
    Act("x", "close", "Close"),
    Act("h", "half", "Half"),
    Act("p", "part", "Part"),
    Act("b", "breakeven", "Break-even"),
    Act("s", "stop", "Move stop"),
)
ORDER_ACTS = (Act("n", "cancel", "Cancel entry"),)


class ActDialog(Dialog):
    """Shows something with a row of buttons; gives back the name of the one that was chosen."""

    def __init__(self, title: str, body: RenderableType, acts: Sequence[Act], read_only: str) -> None:
        """Offer *acts*; with *read_only* none of them, and that sentence instead."""
        super().__init__(title, body)
        self._acts = () if read_only else tuple(acts)
        self._read_only = read_only

    def below(self) -> ComposeResult:
        """Offer what may be done, and the way out."""
        yield Static(self._read_only or "Each asks first.", classes="hint")
        with Horizontal(classes="acts"):
            for act in self._acts:
                yield Button(f"{act.key} {act.label}", id=act.name, compact=True)
            yield Button("Esc Back", id="back", compact=True)

    def on_key(self, event: events.Key) -> None:
        """Choose by key."""
        act = next((act for act in self._acts if act.key == event.key), None)
        if act is not None:
            event.stop()
            self.dismiss(act.name)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Choose by mouse."""
        self.dismiss(None if event.button.id == "back" else event.button.id)


def position_body(
    view: PositionView, history: PositionHistory, lines: Sequence[Activity], palette: Palette
) -> RenderableType:
    """Return chart, ladder, numbers and story of a position."""
    story = [line for line in lines if line.symbol == view.symbol][-STORY_LINES:]
    rows = [line_of(cells, palette) for _, cells in log_sheet(story).rows]
    parts: list[RenderableType] = [line_of(cells, palette) for cells in position_summary(view)]
    parts += _chart(view, history, palette)
    ladder = r_ladder(view, history)
    if ladder:
        parts += [Text(""), line_of(ladder, palette)]
    parts += [Text(""), renderable(position_fields(view))]
    if rows:
        parts += [Text(""), text_of(Cell("Story, the newest first", Tone.BOLD), palette), *rows]
    return Group(*parts)


def _chart(view: PositionView, history: PositionHistory, palette: Palette) -> list[Text]:
    if not history.bars:
        return [text_of(Cell("No bars of it: prices.bars_dir names the folder they are read from.", Tone.DIM), palette)]
    found = []
    for row in position_chart(view, history):
        named = f" {price(row.level.price)} {row.level.name}" if row.level else ""
        tone = row.level.tone if row.level else Tone.PLAIN
        line = Text(row.text, no_wrap=True)
        line.append_text(text_of(Cell(named, tone), palette))
        found.append(line)
    first, last = history.bars[0], history.bars[-1]
    span = f"{day_of_bar(first.end)} to {day_of_bar(last.end)}; ▔ the stop's way"
    return [*found, text_of(Cell(span, Tone.DIM), palette)]


def part_of(typed: str) -> Decimal | None:
    """Return the part that a person typed, above 0 up to 1; None where it is none.

    >>> part_of("25 %"), part_of("0.5"), part_of("0"), part_of("all")
    (Decimal('0.25'), Decimal('0.5'), None, None)
    """
    text = typed.strip()
    number = number_of(text.removesuffix("%"))
    part = number / 100 if number is not None and text.endswith("%") else number
    return part if part is not None and 0 < part <= 1 else None


def price_of(typed: str) -> Price | None:
    """Return the price that a person typed; None where it is none.

    >>> price_of(" 49.50 "), price_of("-3"), price_of("x")
    (Decimal('49.50'), None, None)
    """
    number = number_of(typed)
    return Price(number) if number is not None and number > 0 else None


def quantity_of(typed: str) -> Quantity | None:
    """Return the units that a person typed; None where it is no number of units."""
    number = number_of(typed)
    return Quantity(number) if number is not None and number > 0 else None
