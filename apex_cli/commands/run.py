"""``apex run``: signals in, decisions out, once or in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated

import typer

from apex_cli.commands.options import Call, WaitOption, command, count, flag, option, session
from apex_cli.core.errors import InputError
from apex_cli.settings.sections import Settings


@command("run", "--once --signals signals.json --dry-run", live=True)
def run(
    call: Call,
    once: Annotated[bool, flag("Work off what is there, then end: for cron.", "--once")] = False,
    until: Annotated[str | None, option("HH:MM", "End at this time, New York; 00:00 is midnight.")] = None,
    signals: Annotated[
        list[str] | None, option("FILE", "Signal file, or - for standard input; repeatable.", "--signals", "-s")
    ] = None,
    dry_run: Annotated[bool, flag("Decide and show; change nothing at all.", "--dry-run")] = False,
    auto: Annotated[
        list[bool] | None,
        typer.Option("--auto/--manual", help="Execute, or ask for each trade. Default: execution.auto_execute."),
    ] = None,
    max_cycles: Annotated[int | None, count("End after this many cycles.", low=1)] = None,
    bars_until: Annotated[datetime | None, session("Simulation: play bars up to this day's close.")] = None,
    wait: WaitOption = 0,
) -> None:
    """Take signals in, decide, size, check, then execute or queue for approval."""
    from apex_cli.app import run_loop as running
    from apex_cli.notify import posting

    out, mode = call.out, one_mode(auto or ())
    settings = with_mode(call.settings, mode)
    call.warn_of_doubts()
    options = running.RunOptions(
        once=once or dry_run,
        until=until,
        signals=tuple(signals or ()),
        dry_run=dry_run,
        max_cycles=max_cycles,
        bars_until=bars_until.date() if bars_until else None,
        wait_s=wait,
    )
    post = nullcontext() if dry_run else posting(out, settings, is_run=True, listens=not once)
    with post:
        running.run(out, settings, options)


def one_mode(auto: Sequence[bool]) -> bool | None:
    """Return True for ``--auto``, False for ``--manual``, None for neither.

    Raises:
        InputError: both were given.
    """
    if len(set(auto)) > 1:
        raise InputError("usage", "--auto and --manual exclude each other.", hint="Give one of them, or none.")
    return auto[0] if auto else None


def with_mode(settings: Settings, is_auto: bool | None) -> Settings:
    """Return *settings* with ``--auto`` or ``--manual`` applied."""
    if is_auto is None:
        return settings
    from msgspec.structs import replace

    return settings.replace(execution=replace(settings.execution, auto_execute=is_auto))
