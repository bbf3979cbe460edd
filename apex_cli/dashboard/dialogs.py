"""Dialogs over the screen: help, details, and the confirmation before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from apex_cli.core.model.wording import visible
from apex_cli.dashboard.keys import help_text


class Dialog(ModalScreen[str | None]):
    """A framed text over the screen; Esc leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, title: str, body: RenderableType) -> None:
        """Show *body* under *title*."""
        super().__init__()
        self._title = title
        self._body = body

    def compose(self) -> ComposeResult:
        """Put title, body and the way out together."""
        with Vertical(classes="dialog") as box:
            box.border_title = Text(visible(self._title))
            with VerticalScroll(can_focus=True):
                yield Static(self._body)
            with Vertical(classes="foot"):
                yield from self.below()

    def below(self) -> ComposeResult:
        """Say how it ends."""
        yield Static("Esc: back", classes="hint")

    def action_leave(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)


class Help(Dialog):
    """What the keys and signs mean."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q", "leave", "Back", show=False)]

    def __init__(self) -> None:
        """Show the page."""
        super().__init__("apex dashboard: keys and signs", help_text())


class Confirm(Dialog):
    """Asks before something is done; gives back what was typed, or None."""

    def __init__(
        self,
        title: str,
        body: Sequence[RenderableType],
        *,
        doing: str,
        asking: str = "",
        tone: str = "primary",
        types_first: bool = True,
    ) -> None:
        """Ask whether to continue with *doing*, the word on the button.

        *tone* is ``error`` where something is lost by it; *asking* labels a line of text, if there is one; without
        *types_first* the button has the focus.
        """
        super().__init__(title, Group(*body))
        self._doing = doing
        self._asking = asking
        self._tone = tone
        self._types_first = types_first

    def below(self) -> ComposeResult:
        """Offer a line to type in, yes and no."""
        if self._asking:
            yield Input(placeholder=self._asking, id="typed")
        with Horizontal(classes="buttons"):
            yield Button(f"{self._doing} (Enter)", id="yes", variant="error" if self._tone == "error" else "primary")
            yield Button("Back (Esc)", id="no")

    def on_mount(self) -> None:
        """Focus the button that Enter presses."""
        self.query_one("#typed" if self._asking and self._types_first else "#yes").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on."""
        self.dismiss(event.value)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go on, or leave."""
        typed = self.query_one("#typed", Input).value if self._asking else ""
        self.dismiss(typed if event.button.id == "yes" else None)
