"""The Typer app: registers the commands, turns an error into an exit status.

Commands live in one module each and are imported when they are called, so that the start of
one command does not pay for the others.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from apex_cli import __version__
from apex_cli.core.errors import EXIT_STATUS_MEANINGS, ApexError, ExitStatus, InputError
from apex_cli.presenters.output import INTERRUPTED, Output, internal_error, point_nowhere

COMMANDS = {
    "init": "init",
    "config": "config",
    "run": "run",
    "approve": "approve",
    "positions": "positions",
    "dashboard": "dashboard",
    "close": "close",
    "reconcile": "reconcile",
    "cash": "cash",
    "orders": "orders",
    "history": "history",
    "report": "report",
    "explain": "explain",
    "replay": "replay",
    "learn": "learn",
    "pdt-status": "pdt_status",
    "import-fills": "import_fills",
    "files": "files",
    "export": "export",
    "size": "size",
    "halt": "trading_state",
    "reduce": "trading_state",
    "resume": "trading_state",
    "model": "model",
    "notify": "notify",
    "telegram": "telegram",
    "heartbeat": "heartbeat",
    "state": "state",
    "doctor": "doctor",
    "gateway": "gateway",
}
"""Module under ``apex_cli.commands`` by command name, in the order of the help page."""


def exit_status_table() -> str:
    """Return the exit statuses as one line of help."""
    return "Exit status: " + "; ".join(f"{int(s)} {meaning}" for s, meaning in EXIT_STATUS_MEANINGS.items()) + "."


class LazyGroup(TyperGroup):
    """A command group that imports a command's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - Typer's own type is private; Typer's signature
        """Return the command names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - Typer's own type is private; Typer's signature
        """Return the command, importing its module; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"apex_cli.commands.{COMMANDS[cmd_name]}")
        sub_app: typer.Typer = getattr(module, "apps", {}).get(cmd_name) or module.app
        command = get_command(sub_app)
        command.name = cmd_name
        return command


RARELY = (50_000, 20, 20)
"""When to look for cycles: importing makes many objects, none of them garbage, and looking at them costs 5 %."""

COMPLETION_OPTIONS = {"--install-completion", "--show-completion", "--help", "-h"}


def make_app(*, with_completion: bool) -> typer.Typer:
    """Return the app; the completion options cost 10 ms of imports, so they are added where they can matter."""
    app = typer.Typer(
        name="apex",
        cls=LazyGroup,
        no_args_is_help=True,
        add_completion=with_completion,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=exit_status_table(),
    )
    app.callback()(apex)
    return app


def _print_version(value: bool) -> None:  # noqa: FBT001 - Typer's callback signature
    if value:
        sys.stdout.write(f"apex {__version__}\n")
        raise typer.Exit


def apex(
    version: Annotated[  # noqa: FBT002 - Typer options are booleans
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Decide, size, check, approve and execute trades, with protection and without losing track.

    Example: apex size --entry 50 --stop 48
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    out = Output(_command_name(arguments), as_json="--json" in arguments)
    completes = not arguments or "_APEX_COMPLETE" in os.environ or not COMPLETION_OPTIONS.isdisjoint(arguments)
    app = make_app(with_completion=completes)
    try:
        _require_text(arguments)
        status = get_command(app).main(list(arguments), prog_name="apex", standalone_mode=False)
    except typer.TyperException as error:
        return _usage_error(out, error)
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        point_nowhere(sys.stdout)  # who reads has read enough, such as head
        return ExitStatus.OK
    except (typer.Abort, KeyboardInterrupt):
        out.interrupted()
        return INTERRUPTED
    except ApexError as error:
        out.fail(error)
        return error.status
    except Exception as error:  # the last door: whatever comes here ends in a message, too
        if os.environ.get("APEX_DEBUG"):
            raise
        out.fail(internal_error(error))
        return ExitStatus.INTERNAL
    return status if isinstance(status, int) else ExitStatus.OK


def _command_name(arguments: Sequence[str]) -> str:
    return next((a for a in arguments if not a.startswith("-")), "apex")


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise InputError("not_utf8", f"The argument {argument!r} is not valid UTF-8.", hint="Type it anew.")


def _usage_error(out: Output, error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "apex"
    message = error.format_message()
    if not message:  # the help page that a bare ``apex`` prints
        return ExitStatus.USAGE
    out.command = path.removeprefix("apex").strip() or out.command
    out.fail(InputError("usage", message, hint=f"See: {path} --help"))
    return ExitStatus.USAGE


def main() -> None:
    """Run apex on the process's arguments."""
    gc.set_threshold(*RARELY)
    os.environ["PYTHONSAFEPATH"] = "1"  # processes that this one starts run no code of the current folder
    status = run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        point_nowhere(sys.stdout)
    sys.exit(status)
