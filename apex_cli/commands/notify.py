"""``apex notify``: try the channels, and see how they stand."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import badge_of, make_system_clock
from apex_cli.commands.options import Call, command
from apex_cli.core.errors import ExitStatus, InputError, NothingToDo
from apex_cli.core.model.reason import Reason
from apex_cli.presenters.screen.blocks import Cell, Grid, Tone, heads

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Try the notification channels; see how they stand.")


@command("notify test", "--channel telegram", app=app)
def try_channels(
    call: Call,
    channel: Annotated[str | None, typer.Option(help="Only channels whose name begins with this.")] = None,
) -> None:
    """Send a test message on every channel and say what became of it."""
    out, settings = call.out, call.settings
    from apex_cli.notify import is_wanted

    if not is_wanted(settings):
        raise NothingToDo("no_channel", "No channel is set up.", hint="See: apex help notifications")
    from apex_cli.notify.direct import send_to_all
    from apex_cli.presenters.messages.notices import hello_notice

    reported = send_to_all(
        settings, hello_notice(make_system_clock(settings).now(), badge_of(settings)), say=out.note, only=channel
    )
    if not reported:
        raise InputError("channel_unknown", f"No channel begins with {channel!r}.", hint="apex notify status")
    rows = tuple(
        (Cell(name, Tone.BOLD), Cell(failure or "delivered", Tone.BAD if failure else Tone.GOOD))
        for name, failure in reported.items()
    )
    failed = [f"{name}: {failure}" for name, failure in reported.items() if failure]
    out.result(
        {"channels": [{"channel": name, "ok": not failure, "error": failure} for name, failure in reported.items()]},
        (Grid(columns=heads("Channel", "Result~"), rows=rows),),
        status=ExitStatus.UNAVAILABLE if failed else ExitStatus.OK,
        reasons=[Reason(code="not_delivered", message=sentence) for sentence in failed],
    )


@command("notify status", app=app)
def status(call: Call) -> None:
    """Show what each channel delivered, what failed, and how far it is behind; no network."""
    out, settings = call.out, call.settings
    from apex_cli.notify.channel_status import CHANNELS, standings

    found, problems = standings(settings)
    out.warn(*(Reason(code=problem.code, message=f"{problem.message} {problem.hint}") for problem in problems))
    out.result({"channels": CHANNELS.rows(found)}, (CHANNELS.grid(found),))
