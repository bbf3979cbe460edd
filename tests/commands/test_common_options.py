"""The options that every command takes are the same everywhere."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest
import typer
from typer.main import get_command

from apex_cli.cli import COMMANDS
from apex_cli.commands.options import APPS, Call, common

WITHOUT_CONFIG = {"gateway", "help", "init", "schema", "version"}


def leaves(name: str) -> list[tuple[str, Any]]:
    """Return every command under *name* with its options."""
    import_module(f"apex_cli.commands.{COMMANDS[name]}")
    made = get_command(APPS[name])
    under = getattr(made, "commands", None)
    return [(f"{name} {sub}", one) for sub, one in under.items()] if under else [(name, made)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_the_shared_options(name: str) -> None:
    for path, command in leaves(name):
        options = [parameter.opts[0] for parameter in command.params if parameter.opts[0] != "--help"]
        shared = ["--json", "--quiet", "--verbose"]
        assert options[-3:] == shared, path
        assert (options[-5:-3] == ["--config", "--profile"]) == (path not in WITHOUT_CONFIG), path


def test_a_command_is_called_with_its_own_options_and_the_call() -> None:
    heard: list[Any] = []

    @common("thing", live=True)
    def thing(call: Call, count: int = 1) -> None:
        """Do a thing."""
        heard.extend([call.out.command, call.out.quiet, count])

    app = typer.Typer()
    app.command()(thing)
    get_command(app).main(["--count", "3", "-q"], standalone_mode=False)
    assert heard == ["thing", True, 3]
    assert thing.__doc__ == "Do a thing."
    assert list(inspect.signature(thing).parameters) == [
        "count",
        "live",
        "config",
        "profile",
        "as_json",
        "quiet",
        "verbose",
    ]
