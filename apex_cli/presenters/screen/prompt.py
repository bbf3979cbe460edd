"""The questions at the terminal: a table of what waits, then a panel for each, answered by one key."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import typer
from rich.console import Console

from apex_cli.core.errors import ApexError
from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.money import Quantity, number_of
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answer, Answered, Choice, Preview, Work, WorkDone
from apex_cli.core.model.wording import visible
from apex_cli.presenters.approvals import ANSWERED, answer_blocks, approvals_blocks, preview_blocks
from apex_cli.presenters.screen.output import paged
from apex_cli.presenters.screen.terminal import draw, panel

KEYS = "[a]pprove  [r]eject  [e]dit quantity  [d]etails  [s]kip  [q]uit"


class Operator(Protocol):
    """What the answers are given through."""

    def numbers(self) -> Mapping[str, int]:
        """Return the number that each approval may be named by."""

    def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""

    def do(self, *works: Work) -> WorkDone:
        """Have *works* done and return what came of all of them."""


def ask_all(operator: Operator, badge: AccountBadge, waiting: Sequence[ApprovalRecord]) -> bool:
    """Ask for each of *waiting* in the account of *badge*; False when there is nothing."""
    console = Console(highlight=False)
    if not waiting:
        return False
    draw(approvals_blocks(waiting, operator.numbers()), console, badge=badge)
    for number, approval in enumerate(waiting, start=1):
        if not Question(console, operator, badge, approval, f"{number} of {len(waiting)}").ask():
            break
    return True


class Question:
    """One approval at the terminal, until there is an answer."""

    def __init__(
        self, console: Console, operator: Operator, badge: AccountBadge, approval: ApprovalRecord, place: str
    ) -> None:
        """Ask about *approval*, which stands at *place*."""
        self._console = console
        self._operator = operator
        self._badge = badge
        self._approval = approval
        self._place = place
        self._quantity: Quantity | None = None
        self._preview: Preview | None = None

    def ask(self) -> bool:
        """Ask until there is an answer; False when the person quits."""
        while True:
            self._preview = self._operator.preview(self._approval, self._quantity)
            self._show()
            key = self._key()
            if key in {"q", "s"}:
                return key == "s"
            if key == "e":
                self._quantity = _ask_quantity()
                continue
            try:
                done = self._operator.do(self._answer(key)).the(Answered)
            except ApexError as error:
                self._console.print(f"✗ {visible(error.message)}", style="bold red", markup=False)
                if error.hint:
                    self._console.print(f"  -> {visible(error.hint)}", markup=False)
                if error.code == "already_answered" or error.details.get("is_void"):
                    return True
            else:
                draw((ANSWERED.grid((done,)),), self._console)
                return True

    def _show(self) -> None:
        """Draw the order, what changed and the keys."""
        if self._preview is None:
            return
        proposed = self._approval.opportunity.signal
        title = f"{self._badge.text} · {proposed.side} {proposed.instrument.key} ({self._place})"
        blocks = answer_blocks(self._approval, self._preview)
        self._console.print(panel(title, blocks, subtitle=self._approval.approval_id, width=self._console.width))
        self._console.print(KEYS + " ", end="", style="bold", markup=False)

    def _key(self) -> str:
        """Return the key of an answer; details and a new size of the terminal are dealt with meanwhile."""
        with _redrawn_on_resize(self._redraw):
            while True:
                key = typer.getchar().lower()
                if key in {"a", "r", "e", "s", "q"}:
                    self._console.print(key)
                    return key
                if key in {"\x1b", "\x03", "\x04"}:
                    self._console.print("q")
                    return "q"
                if key == "d":
                    self._console.print(key)
                    self._page()
                elif key.isprintable() and key.strip():
                    self._console.print(f"\n{key!r} is none of the keys.", markup=False)
                    self._console.print(KEYS + " ", end="", style="bold", markup=False)

    def _page(self) -> None:
        """Show every number behind the order in a pager, then the question again."""
        if self._preview is None:
            return
        with paged(self._console):
            draw(preview_blocks(self._approval, self._preview), self._console, badge=self._badge)
        self._redraw()

    def _redraw(self) -> None:
        """Draw the question on an empty screen; while a key is waited for, the terminal adds no carriage returns."""
        self._console.clear()
        with self._console.capture() as drawn:
            self._show()
        sys.stdout.write(drawn.get().replace("\n", "\r\n"))
        sys.stdout.flush()

    def _answer(self, key: str) -> Answer:
        """Return what *key* means; a no is asked for its reason."""
        ids = (self._approval.approval_id,)
        if key == "a":
            return Answer(ids=ids, choice=Choice.APPROVE, quantity=self._quantity)
        reason = typer.prompt("Reason (may be empty)", default="", show_default=False)
        return Answer(ids=ids, choice=Choice.REJECT, reason=reason)


@contextmanager
def _redrawn_on_resize(redraw: Callable[[], None]) -> Iterator[None]:
    """Call *redraw* whenever the terminal changes its size, where the system says so."""
    resized = getattr(signal, "SIGWINCH", None)
    if resized is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(resized, lambda *_: redraw())
    try:
        yield
    finally:
        signal.signal(resized, before)


def _ask_quantity() -> Quantity | None:
    """Return the new quantity; nothing typed is the one that is worked out. What is no number is asked again."""
    problem = ""
    while True:
        text = typer.prompt(f"{problem}Quantity (empty: as worked out)", default="", show_default=False)
        if not text:
            return None
        value = number_of(text)
        if value is not None and value > 0:
            return Quantity(value)
        problem = f"{text!r} is not a positive number. "
