"""``apex files``: how a file of prices, trades or signals is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import Call, command, option
from apex_cli.core.errors import ExitStatus, InputError


@command("files", "AAPL.csv")
def files(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Prices, trades or signals; - reads standard input.")],
    kind: Annotated[str | None, option("KIND", "prices, executions or signals. Default: found out.", "--as")] = None,
) -> None:
    """Show how a file is read: its kind, columns, first rows, problems, and the mapping to write. Changes nothing."""
    from apex_cli.app.file_report import look_at_file
    from apex_cli.core.adapters.system_clock import SystemClock
    from apex_cli.core.model.file_look import FileKind
    from apex_cli.presenters.files import file_blocks, file_data

    if kind is not None and kind not in set(FileKind):
        raise InputError("usage", f"--as {kind!r} is no kind of file.", hint=f"Known are: {', '.join(FileKind)}.")
    settings = call.any_settings
    look = look_at_file(settings, file, SystemClock().now(), FileKind(kind) if kind else None)
    status = ExitStatus.OK if look.is_usable else ExitStatus.USAGE
    call.out.result(file_data(look), file_blocks(look), status=status)
