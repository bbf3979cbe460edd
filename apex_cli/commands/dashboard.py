"""``apex dashboard``: the day on one screen, at a terminal or in a browser."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from apex_cli.commands.options import ConfigOption, HandOverOption, JsonOption, QuietOption, VerboseOption
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.presenters.output import Output
from apex_cli.settings import Settings
from apex_cli.wiring import read_settings

app = typer.Typer(add_completion=False)


class Theme(StrEnum):
    """Ground of the screen."""

    DARK = "dark"
    LIGHT = "light"


@app.command(epilog="Example: apex dashboard --control")
def dashboard(
    control: Annotated[
        bool, typer.Option("--control", help="Let keys approve, reject, halt, reduce and resume; each asks first.")
    ] = False,
    theme: Annotated[Theme, typer.Option(help="Ground of the screen; key t changes it.")] = Theme.DARK,
    wait: HandOverOption = 30,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Watch the day live: P&L, risk, positions, approvals, orders, decisions. Read-only unless you take control."""
    with Output("dashboard", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        settings = read_settings(config)
        require_textual()
        if as_json or not out.can_prompt:
            raise InputError(
                "dashboard_needs_terminal",
                "The dashboard draws on a terminal.",
                hint="For scripts: apex positions --json, apex report --json. In a browser: apex dashboard --serve.",
            )
        _show(settings, control=control, theme=theme.value, wait_s=wait)


def require_textual() -> None:
    """Say which extra is missing.

    Raises:
        ConfigError: textual is not installed.
    """
    from importlib.util import find_spec

    if find_spec("textual") is None or find_spec("textual_plotext") is None:
        raise ConfigError(
            "extra_missing",
            "The dashboard needs the extra 'dashboard', which is not installed.",
            hint="pip install 'apex-cli[dashboard]'",
        )


def _show(settings: Settings, *, control: bool, theme: str, wait_s: float) -> None:
    from apex_cli.dashboard.app import DashboardApp
    from apex_cli.watching import Hands, Watch

    watch = Watch(settings)
    watch.look()
    DashboardApp(watch, Hands(settings, wait_s), has_control=control, theme=theme).run()
