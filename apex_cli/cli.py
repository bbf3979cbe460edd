"""The Typer app: registers the commands, turns an error into an exit status.

Commands live in one module each and are imported when they are called, so that the start of
one command does not pay for the others.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from apex_cli import __version__
from apex_cli.commands import COMMANDS, GROUPS
from apex_cli.core.errors import EXIT_STATUS_MEANINGS, ApexError, ExitStatus, InputError
from apex_cli.presenters.envelope import INTERRUPTED
from apex_cli.presenters.screen.output import (
    Output,
    internal_error,
    out_of_means,
    point_nowhere,
    take_any_sign,
)


def exit_status_table() -> str:
    """Return the exit statuses as one line of help."""
    return "Exit status: " + "; ".join(f"{int(s)} {meaning}" for s, meaning in EXIT_STATUS_MEANINGS.items()) + "."


class LazyGroup(TyperGroup):
    """A command group that imports a command's module when it is asked for."""

    _is_named_only = False
    """True while a shell asks for names: no module is imported for them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - Typer's own type is private; Typer's signature
        """Return the command names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - Typer's own type is private; Typer's signature
        """Return the command, importing its module; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if self._is_named_only:
            about = next(group[cmd_name] for group in GROUPS.values() if cmd_name in group)
            return TyperCommand(cmd_name, short_help=about)
        try:
            import_module(f"apex_cli.commands.{COMMANDS[cmd_name]}")
        except KeyboardInterrupt:
            raise typer.Abort from None  # Typer would end without a word
        from apex_cli.commands.options import APPS  # noqa: PLC0415 - start-up is a feature

        command = get_command(APPS[cmd_name])
        command.name = cmd_name
        page = PAGES.get(cmd_name, cmd_name)
        _explain_itself(command, f"More: apex help {page}" if (DOCS / f"{page}.md").exists() else "")
        return command

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 - Typer's own types are private
        """Return the names that begin with *incomplete*."""
        self._is_named_only = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._is_named_only = False

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - Typer's own types are private; Typer's signature
        """Print the front page, which imports no command."""
        from apex_cli.commands.help_sheet import draw_help  # noqa: PLC0415 - start-up is a feature

        draw_help(self, ctx, GROUPS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - Typer's own type is private
        """Return the command that *args* begin with; for none, say which one may be meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - start-up is a feature

            near = get_close_matches(name.lower(), COMMANDS, n=3, cutoff=0.6)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise InputError("usage", f"No such command {name!r}.{meant}", hint="See: apex --help")
        return super().resolve_command(ctx, args)


DOCS = Path(__file__).with_name("docs")
"""Pages of documentation; the help of a command that has one names it."""

PAGES = {
    "positions": "management",
    "close": "management",
    "move-stop": "management",
    "cancel": "handles",
    "orders": "handles",
    "history": "report",
    "explain": "checks",
    "pdt-status": "day-trades",
    "import-fills": "day-trades",
    "locks": "protections",
    "new": "python",
    "learn": "learning",
    "model": "pipeline",
    "files": "prices",
    "init": "my-signals",
    "config": "configuration",
    "notify": "notifications",
    "heartbeat": "schedule",
    "mcp": "agents",
    "telegram": "notifications",
    "schema": "json",
}
"""The page of a command that has another name."""

VALUE_NAMES = {
    "text": "TEXT",
    "str": "TEXT",
    "integer": "NUMBER",
    "int": "NUMBER",
    "path": "FILE",
    "day": "DATE",
}
"""How help calls the value of an option that has no name of its own for it, by kind."""


def _explain_itself(command: Any, more: str) -> None:  # noqa: ANN401 - Typer's own type is private
    """Let *command* draw our help sheet, without the names of types, such as ``<int>``; it ends with *more*."""
    for option in command.params:
        if option.param_type_name == "option" and option.metavar is None and not option.is_flag:
            option.metavar = VALUE_NAMES.get(option.type.name)
        elif option.param_type_name == "argument" and option.metavar is None:
            option.metavar = option.name.upper() + ("..." if option.nargs != 1 else "")
    command.epilog = "\n\n".join(filter(None, (command.epilog, more)))
    command.short_help = (command.help or "").partition("\n\n")[0].replace("\n", " ")
    command.format_help = partial(_draw_help, command)
    for inner in getattr(command, "commands", {}).values():
        _explain_itself(inner, more)


def _draw_help(command: Any, context: Any, formatter: Any) -> None:  # noqa: ANN401, ARG001 - Typer's own types are private; Typer's signature
    from apex_cli.commands.help_sheet import draw_help  # noqa: PLC0415 - start-up is a feature

    draw_help(command, context)


COMPLETION_OPTIONS = {"--install-completion", "--show-completion", "--help", "-h"}


def make_app(*, with_completion: bool) -> typer.Typer:
    """Return the app; the completion options cost 10 ms of imports, so they are added where they can matter."""
    app = typer.Typer(
        name="apex",
        cls=LazyGroup,
        invoke_without_command=True,
        add_completion=with_completion,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"More: apex COMMAND --help, and apex help for pages to read.\n\n{exit_status_table()}",
    )
    app.callback()(apex)
    return app


def _print_version(value: bool) -> None:  # noqa: FBT001 - Typer's callback signature
    if value:
        sys.stdout.write(f"apex {__version__}\n")
        raise typer.Exit


def apex(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001, FBT002 - its callback prints it; Typer options are booleans
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Decide, size, check, approve and execute trades, with protection and without losing track.

    apex alone shows where things stand. To try it: apex init demo --demo
    """
    if ctx.invoked_subcommand is None:
        from apex_cli.commands.status import show_start  # noqa: PLC0415 - start-up is a feature

        show_start(GROUPS)


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
    except Exception as error:  # whatever comes here ends in a message, too
        if os.environ.get("APEX_DEBUG"):
            raise
        found = out_of_means(error) or internal_error(error)
        out.fail(found)
        return found.status
    return status if isinstance(status, int) else ExitStatus.OK


def _command_name(arguments: Sequence[str]) -> str:
    return next((a for a in arguments if not a.startswith("-")), "apex")


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise InputError("not_utf8", f"The argument {argument!r} is not valid UTF-8.", hint="Type it again.")


def _usage_error(out: Output, error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "apex"
    message = " ".join(line.strip() for line in error.format_message().splitlines())
    if not message:  # the help page that a bare ``apex`` prints
        return ExitStatus.USAGE
    negative = message.removeprefix("No such option: ")
    if negative[:1] == "-" and negative[1:2].isdigit():
        message = f"No negative number is taken here: {negative}"
    if message.startswith("Invalid value for '["):  # an argument that may be left out
        message = message.replace("[", "", 1).replace("]", "", 1)
    out.command = path.removeprefix("apex").strip() or out.command
    out.fail(InputError("usage", message, hint=f"See: {path} --help"))
    return ExitStatus.USAGE


def main() -> None:
    """Run apex on the process's arguments."""
    take_any_sign(sys.stdout, sys.stderr)
    os.environ["PYTHONSAFEPATH"] = "1"  # processes that this one starts run no code of the current folder
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads that no arrays of ours are worth
    status = run(sys.argv[1:])
    if not _is_held_up():
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter calls at its end, and it has no other name
    _flush()
    if sys.getprofile() is not None:
        sys.exit(status)  # whoever measures has something to say yet
    os._exit(status)  # taking the interpreter apart, module by module, would take longer than many a command


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or it is closed
            point_nowhere(stream)


def _is_held_up() -> bool:
    """Return whether the interpreter would wait for a thread of somebody's code: all of ours have ended."""
    threading = sys.modules.get("threading")
    if threading is None:
        return False
    return any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread())
