"""``apex halt``, ``apex reduce``, ``apex resume``: what apex may do, until someone says otherwise."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.operator import Operator
from apex_cli.commands.options import Call, command
from apex_cli.core.model.decision import TradingMode
from apex_cli.notify import posting
from apex_cli.presenters.day import MODE_MEANINGS
from apex_cli.presenters.screen.blocks import Cell, Fields, Tone
from apex_cli.presenters.screen.formats import DASH
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; shown wherever the state is.")]


@command("halt", '--reason "news at 14:00"')
def halt(
    call: Call,
    reason: ReasonOption = "",
) -> None:
    """Stop everything but cancels, protective exits and your own ``close``, until ``resume``."""
    change(call, TradingMode.HALTED, reason)


@command("reduce", '--reason "flat by the weekend"')
def reduce(
    call: Call,
    reason: ReasonOption = "",
) -> None:
    """Open nothing any more; exits only, until ``resume``."""
    change(call, TradingMode.REDUCING, reason)


@command("resume")
def resume(
    call: Call,
    reason: ReasonOption = "",
) -> None:
    """Trade again after ``halt`` or ``reduce``."""
    change(call, TradingMode.ACTIVE, reason)


def change(call: Call, mode: TradingMode, reason: str) -> None:
    """Change what apex may do, and report it."""
    with posting(call.out, call.settings):
        _record(call.out, call.settings, mode, reason)


def _record(out: Output, settings: Settings, mode: TradingMode, reason: str) -> None:
    operator = Operator(settings, out, wait_s=0)
    before = operator.set_mode(mode, reason)
    now = operator.view().trading.changed_at
    tone = Tone.GOOD if mode is TradingMode.ACTIVE else Tone.WARN
    rows = (
        ("State", Cell(f"{mode}: {MODE_MEANINGS[mode]}", tone)),
        ("Was", Cell(before.mode)),
        ("Reason", Cell(reason or DASH)),
        *((("Next", Cell("apex resume opens again")),) if mode is not TradingMode.ACTIVE else ()),
    )
    out.result({"state": mode, "was": before.mode, "reason": reason, "changed_at": now}, (Fields(rows=rows),))
