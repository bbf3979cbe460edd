"""What an agent may do beside reading and proposing, where ``agents.may`` names it: a person's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apex_cli.app.resources import open_store
from apex_cli.commands.options import Call, do
from apex_cli.core.errors import InputError, RefusedError
from apex_cli.core.model.agent import MOST_REASON, harmless
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.request import Answer, Answered, Choice

if TYPE_CHECKING:
    from apex_cli.agents import arguments as given_as
    from apex_cli.agents.tool import Asked

WAIT_S = 30.0
"""How long the process that trades may take to begin what is handed to it."""

CONFIGURABLE = ("risk.", "approval.", "management.")
"""Beginnings of the keys that an agent may change: never where orders go, who may do what, or which files are read."""


def withdraw(asked: Asked) -> None:
    """Take back what the agent proposed itself.

    Raises:
        RefusedError: somebody else proposed it.
    """
    from apex_cli.app.operator import Operator

    given: given_as.AnswerArguments = asked.arguments
    approval = Operator(asked.settings, asked.out, wait_s=0).find(given.approval_id)
    mark = approval.opportunity.signal.proposal
    if mark is None or mark.agent != asked.mark.agent:
        raise RefusedError(
            "not_your_proposal", f"{approval.approval_id} is no proposal of {asked.mark.agent}.", hint="List approvals."
        )
    _answer(asked, Choice.REJECT, approval.approval_id)


def approve(asked: Asked) -> None:
    """Approve in the person's place."""
    _answer(asked, Choice.APPROVE, _exact(asked))


def reject(asked: Asked) -> None:
    """Reject in the person's place."""
    _answer(asked, Choice.REJECT, _exact(asked))


def _exact(asked: Asked) -> str:
    """Return the id of what waits; a number or a symbol may mean something else by now."""
    given: given_as.AnswerArguments = asked.arguments
    if given.approval_id not in open_store(asked.settings).view().approvals:
        name = harmless(given.approval_id, 64)
        raise InputError(
            "approval_unknown", f"Approval {name} is not known.", hint="List approvals; give the whole id."
        )
    return given.approval_id


def _answer(asked: Asked, choice: Choice, approval_id: str) -> None:
    from apex_cli.app.operator import Operator
    from apex_cli.notify import posting
    from apex_cli.presenters.approvals import answered_data

    given: given_as.AnswerArguments = asked.arguments
    answer = Answer(choice=choice, ids=(approval_id,), reason=_said(asked, given.reason), by=_name(asked))
    with posting(asked.out, asked.settings):
        done = Operator(asked.settings, asked.out, wait_s=WAIT_S).do(answer).the(Answered)
    asked.out.result(answered_data((done,)))


def close(asked: Asked) -> None:
    """Close a position, or a part of it."""
    given: given_as.CloseArguments = asked.arguments
    do(
        "close",
        asked.out,
        asked.settings,
        symbols=[given.symbol],
        fraction=given.fraction,
        reason=_name(asked),
        yes=True,
        wait=WAIT_S,
    )


def halt(asked: Asked) -> None:
    """Stop opening, and everything else that is no exit."""
    _set_mode(asked, TradingMode.HALTED)


def resume(asked: Asked) -> None:
    """Trade again."""
    _set_mode(asked, TradingMode.ACTIVE)


def _set_mode(asked: Asked, mode: TradingMode) -> None:
    from apex_cli.commands.trading_state import change

    given: given_as.ReasonArguments = asked.arguments
    change(Call.of(asked.out, asked.settings), mode, _said(asked, given.reason))


def configure(asked: Asked) -> None:
    """Change one key of the configuration.

    Raises:
        InputError: the key is not one that an agent may change.
    """
    from apex_cli.commands.config import set_

    given: given_as.ConfigureArguments = asked.arguments
    if not given.key.startswith(CONFIGURABLE):
        allowed = ", ".join(f"{start}*" for start in CONFIGURABLE)
        raise InputError(
            "key_not_yours", f"{harmless(given.key, 64)!r} is no key of yours.", hint=f"Allowed: {allowed}"
        )
    set_.body(  # type: ignore[attr-defined]  # the command without its options
        Call.of(asked.out, asked.settings), key=given.key, value=given.value
    )


def _name(asked: Asked) -> str:
    return f"agent {asked.mark.agent}"


def _said(asked: Asked, reason: str) -> str:
    """Return an agent's words as they are kept: with its name, between quotation marks."""
    return f'{_name(asked)}: "{harmless(reason, MOST_REASON)}"'
