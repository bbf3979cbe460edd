"""Requests of ``apex listen`` that read or act: each runs the function of a command."""

from __future__ import annotations

from functools import partial

from apex_cli.app.resources import open_store
from apex_cli.commands.options import do
from apex_cli.core.model.request import Answer, Answered
from apex_cli.listen.look_routes import Doing, Look
from apex_cli.presenters.screen.captured import Captured
from apex_cli.settings.sections import Settings

WAIT_S = 20.0
"""How long the process that trades may take to begin an answer, in seconds."""


def make_doing(settings: Settings, *, can_act: bool) -> Doing:
    """Return what may be read, and with *can_act* answered."""
    shown = {f"/{name}": Look(name, partial(do, name, settings=settings)) for name in ("status", "positions", "orders")}
    shown["/approvals"] = Look("approve", partial(_show_waiting, settings))
    answer = (lambda out, answer: _answer(settings, out, answer)) if can_act else None
    return Doing(shown, answer, lambda name: _is_known(settings, name))


def _show_waiting(settings: Settings, out: Captured) -> None:
    from apex_cli.commands.approve import show_waiting

    show_waiting(out, settings)


def _is_known(settings: Settings, name: str) -> bool:
    return name in open_store(settings).view().approvals


def _answer(settings: Settings, out: Captured, answer: Answer) -> None:
    """Answer one approval, the way of ``apex approve``."""
    from apex_cli.app.operator import Operator
    from apex_cli.notify import posting
    from apex_cli.presenters.approvals import answered_data

    with posting(out, settings):
        done = Operator(settings, out, wait_s=WAIT_S).do(answer).the(Answered)
    out.result(answered_data([done]))
