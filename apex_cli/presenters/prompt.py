"""The interactive approver: a table, then a panel per opportunity, one key each."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Protocol

import typer
from rich.console import Console

from apex_cli.core.errors import ApexError
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answer, Answered, Choice, Preview
from apex_cli.presenters.approvals import answered_blocks, approvals_blocks, preview_blocks
from apex_cli.presenters.terminal import draw, panel

KEYS = "[a]pprove  [r]eject  [e]dit quantity  [s]kip  [q]uit"


class Operator(Protocol):
    """What the answers are given through."""

    def pending(self) -> tuple[ApprovalRecord, ...]:
        """Return what waits for an answer, best score first."""

    def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""

    def answer(self, answer: Answer) -> Answered:
        """Carry out a yes or a no."""


def ask_all(operator: Operator) -> bool:
    """Ask for everything that waits; False when nothing does."""
    console = Console(highlight=False)
    waiting = operator.pending()
    if not waiting:
        return False
    draw(approvals_blocks(waiting), console)
    for number, approval in enumerate(waiting, start=1):
        if not _ask_one(console, operator, approval, f"{number} of {len(waiting)}"):
            break
    return True


def _ask_one(console: Console, operator: Operator, approval: ApprovalRecord, place: str) -> bool:
    """Ask until there is an answer to *approval*; False when the person quits."""
    quantity: Quantity | None = None
    while True:
        preview = operator.preview(approval, quantity)
        _show(console, approval, preview, place)
        key = _key(console)
        if key == "q":
            return False
        if key == "s":
            return True
        if key == "e":
            quantity = _ask_quantity(quantity)
            continue
        if key == "a" and _carry_out(console, operator, _yes(approval, quantity)):
            return True
        if key == "r" and _carry_out(console, operator, _no(approval)):
            return True
        if preview.is_void:
            return True


def _show(console: Console, approval: ApprovalRecord, preview: Preview, place: str) -> None:
    signal = approval.opportunity.signal
    title = f"{signal.side} {signal.instrument.key} ({place})"
    console.print(panel(title, preview_blocks(approval, preview), subtitle=approval.approval_id))


def _key(console: Console) -> str:
    console.print(KEYS + " ", end="", style="bold", markup=False)
    while True:
        key = typer.getchar().lower()
        if key in {"a", "r", "e", "s", "q"}:
            console.print(key)
            return key
        if key in {"\x1b", "\x03", "\x04"}:
            console.print("q")
            return "q"


def _ask_quantity(before: Quantity | None) -> Quantity | None:
    """Return the new quantity; nothing typed keeps what was worked out."""
    text = typer.prompt("Quantity (empty: as worked out)", default="", show_default=False)
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_finite() and value > 0:
        return Quantity(value)
    typer.echo(f"{text!r} is not a positive number.", err=True)
    return before


def _yes(approval: ApprovalRecord, quantity: Quantity | None) -> Answer:
    return Answer(ids=(approval.approval_id,), choice=Choice.APPROVE, quantity=quantity)


def _no(approval: ApprovalRecord) -> Answer:
    reason = typer.prompt("Reason (may be empty)", default="", show_default=False)
    return Answer(ids=(approval.approval_id,), choice=Choice.REJECT, reason=reason)


def _carry_out(console: Console, operator: Operator, answer: Answer) -> bool:
    """Do it and tell; False when it was refused and may be asked again."""
    try:
        done = operator.answer(answer)
    except ApexError as error:
        console.print(f"✗ {error.message}", style="bold red", markup=False)
        if error.hint:
            console.print(f"  -> {error.hint}", markup=False)
        return error.code == "already_answered"
    draw(answered_blocks((done,)), console)
    return True
