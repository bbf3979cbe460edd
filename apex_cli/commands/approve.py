"""``apex approve``: answer waiting approvals, at the terminal or from a script."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.completion import pending_names
from apex_cli.commands.options import Call, HandOverOption, command, flag, positive
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Answer, Answered, Choice
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator


@command("approve", "01J9ZC --yes --quantity 2", live=True)
def approve(
    call: Call,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Numbers of the list, symbols, or approval ids.", autocompletion=pending_names
        ),
    ] = None,
    yes: Annotated[bool, flag("Approve.", "--yes", "-y")] = False,
    reject: Annotated[bool, flag("Reject.", "--reject")] = False,
    reason: Annotated[str, typer.Option(help="Why it is rejected.")] = "",
    everything: Annotated[bool, flag("Everything that waits.", "--all")] = False,
    quantity: Annotated[Decimal | None, positive("UNITS", "Another size than the one worked out.")] = None,
    wait: HandOverOption = 30,
) -> None:
    """Approve or reject. Price, size and every check are looked at again first.

    At a terminal it asks for each with one key, or for those with an ID; elsewhere it shows what waits.
    """
    out, settings = call.out, call.settings
    call.warn_of_doubts()
    names = tuple(ids or ())
    choice = _choice(names, yes=yes, reject=reject, everything=everything, quantity=quantity)
    from apex_cli.app.operator import Operator
    from apex_cli.notify import posting

    operator = Operator(settings, out, wait_s=wait)
    if choice is not None:
        units = None if quantity is None else Quantity(quantity)
        with posting(out, settings):
            _answer(out, operator, Answer(choice=choice, ids=operator.ids_of(names), reason=reason, quantity=units))
    elif out.can_prompt:
        with posting(out, settings):
            _ask(out, operator, names)
    else:
        _list(out, operator, names)


def _choice(
    names: tuple[str, ...], *, yes: bool, reject: bool, everything: bool, quantity: Decimal | None
) -> Choice | None:
    """Return what the options answer; None when they answer nothing."""
    if yes and reject:
        raise InputError("yes_and_no", "--yes and --reject exclude each other.", hint="Give one of them.")
    if (yes or reject) and bool(names) == everything:
        problem = "Name approvals, or --all, not both." if everything else "Say which approvals: name them, or --all."
        raise InputError("approve_what", problem, hint="apex approve lists what waits.")
    if quantity is not None and (len(names) != 1 or not yes):
        raise InputError(
            "quantity_for_one", "--quantity needs one ID and --yes.", hint="apex approve ID --yes --quantity 2"
        )
    if yes:
        return Choice.APPROVE
    return Choice.REJECT if reject else None


def _list(out: Output, operator: Operator, names: tuple[str, ...]) -> None:
    """Show what waits, as it is now, and change nothing."""
    from apex_cli.presenters.approvals import ApprovalRow, approvals_blocks, approvals_data, preview_blocks

    shown = tuple(operator.find(name) for name in names) or operator.pending()
    if not shown:
        raise NothingToDo("nothing_pending", "Nothing waits for approval.")
    previews = operator.preview_all(shown)
    rows = [ApprovalRow(approval, preview) for approval, preview in zip(shown, previews, strict=True)]
    blocks = approvals_blocks(shown, operator.numbers())
    if not out.as_json and shown[0].status is ApprovalStatus.PENDING:
        out.note(_how_to_answer(shown[0], operator.numbers()))
    if names:
        blocks = tuple(
            block
            for row, preview in zip(rows, previews, strict=True)
            for block in preview_blocks(row.approval, preview)
        )
    out.result(approvals_data(rows), blocks)


def show_waiting(out: Output, settings: Settings) -> None:
    """Give what waits as it was decided, for programs: nothing is an empty list."""
    from apex_cli.app.operator import Operator
    from apex_cli.presenters.approvals import ApprovalRow, approvals_data

    pending = Operator(settings, out, wait_s=0).pending()
    out.result(approvals_data([ApprovalRow(approval) for approval in pending]))


def _how_to_answer(approval: ApprovalRecord, numbers: Mapping[str, int]) -> str:
    number, symbol = numbers[approval.approval_id], approval.opportunity.signal.instrument.key
    return f"To answer: apex approve {number} --yes, or apex approve {symbol} --reject: number, symbol or id."


def _answer(out: Output, operator: Operator, answer: Answer) -> None:
    """Answer from a script: every outcome is reported, the first failure is the exit status."""
    from apex_cli.presenters.approvals import ANSWERED, answered_data

    if answer.choice is Choice.APPROVE and not answer.ids:
        _warn_of_proposals(out, operator)
    done = operator.do(answer)
    done.require_results()
    answered = done.all_of(Answered)
    out.warn(*(warning for each in answered if each.preview for warning in each.preview.decision.warnings))
    out.result(answered_data(answered), (ANSWERED.grid(answered),), status=done.status, reasons=done.reasons)


def _warn_of_proposals(out: Output, operator: Operator) -> None:
    """Say that --all leaves out what agents proposed."""
    left = [each for each in operator.pending() if each.opportunity.signal.proposal is not None]
    if left:
        ids = ", ".join(each.approval_id for each in left)
        message = f"--all approves no proposal of an agent; to approve one, name it: {ids}."
        out.warn(Reason(code="proposals_left", message=message))


def _ask(out: Output, operator: Operator, names: tuple[str, ...]) -> None:
    """Ask one by one, of all or of those named; nothing is held while the person thinks."""
    from apex_cli.presenters.screen.prompt import ask_all

    waiting = tuple(operator.find(name) for name in names) or operator.pending()
    if any(each.status is not ApprovalStatus.PENDING for each in waiting):
        _list(out, operator, names)  # what is answered is only looked at
        return
    if not ask_all(operator, operator.badge(), waiting):
        raise NothingToDo("nothing_pending", "Nothing waits for approval.")
