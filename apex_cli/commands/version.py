"""``apex version``: which apex this is, and what it runs on."""

from __future__ import annotations

import platform

from apex_cli import __version__
from apex_cli.commands.options import Call, command
from apex_cli.presenters.screen.blocks import Cell, Fields


@command("version", "--json", config=False)
def version(call: Call) -> None:
    """Show the version of apex, of Python and of the system."""
    data = {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
    rows = tuple((name.capitalize(), Cell(text)) for name, text in data.items())
    call.out.result(data, (Fields(rows=rows),))
