"""``apex state``: check, back up, restore and export what apex remembers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.core.errors import ExitStatus, InputError, NothingToDo
from apex_cli.core.model.health import Finding
from apex_cli.core.model.outcome import Reason
from apex_cli.presenters.blocks import Cell, Fields, Grid, Tone
from apex_cli.presenters.output import Output, write_line
from apex_cli.wiring import open_store, read_settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check, back up, restore and export the state.")

LEVEL_TONES = {"ok": Tone.GOOD, "warning": Tone.WARN, "error": Tone.BAD}


@app.command(epilog="Example: apex state check")
def check(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Look at file, checksum, journal, backups and modes; change nothing."""
    with Output("state check", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        findings = open_store(read_settings(config)).check()
        errors = [finding for finding in findings if finding.level == "error"]
        reasons = [
            Reason(
                code=finding.code, message=f"{finding.message} {f'-> {finding.hint}' if finding.hint else ''}".strip()
            )
            for finding in errors
        ]
        rows = [
            {"code": f.code, "level": f.level, "message": f.message, "path": f.path, "hint": f.hint} for f in findings
        ]
        status = ExitStatus.STATE_DAMAGED if errors else ExitStatus.OK
        out.result({"findings": rows}, (findings_grid(findings),), status=status, reasons=reasons)


def findings_grid(findings: Iterable[Finding]) -> Grid:
    """Return findings as a table; the mark says what the colour says."""
    marks = {"ok": "✓", "warning": "!", "error": "✗"}
    rows = tuple(
        (
            Cell(marks[finding.level], LEVEL_TONES[finding.level]),
            Cell(finding.code.replace("_", " ")),
            Cell(finding.message),
            Cell(finding.hint, Tone.DIM),
        )
        for finding in findings
    )
    return Grid(columns=("", "What", "Found", "Do"), rows=rows)


@app.command(epilog="Example: apex state backup")
def backup(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Keep a copy of the present generation."""
    with Output("state backup", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        kept = open_store(read_settings(config)).backup_now()
        if kept is None:
            raise NothingToDo("nothing_to_back_up", "Nothing was saved yet.")
        rows = (("Generation", Cell(str(kept.generation))), ("File", Cell(str(kept.path))))
        out.result({"generation": kept.generation, "path": str(kept.path)}, (Fields(rows=rows),))


@app.command(epilog="Example: apex state restore --to 120 --yes")
def restore(
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="GENERATION", help="Default: the newest sound backup.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Put a backup in place; the file that stands there is kept aside."""
    with Output("state restore", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        store = open_store(read_settings(config))
        if not yes and not out.can_prompt:
            raise InputError("confirmation_needed", "Restoring replaces the state.", hint="Add --yes.")
        if not yes and not typer.confirm("Replace the state by a backup?", err=True):
            raise NothingToDo("not_confirmed", "Nothing was restored.")
        done = store.restore(to)
        rows = (
            ("From generation", Cell(str(done.from_generation))),
            ("Now generation", Cell(str(done.generation))),
            ("Kept aside", Cell(str(done.set_aside or "-"))),
        )
        data = {
            "from_generation": done.from_generation,
            "generation": done.generation,
            "last_seq": done.last_seq,
            "set_aside": str(done.set_aside) if done.set_aside else None,
        }
        out.result(data, (Fields(rows=rows),))


@app.command(epilog="Example: apex state export > state-copy.json")
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Default: standard output.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write every table as readable JSON."""
    with Output("state export", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        content = open_store(read_settings(config)).export()
        if file is None and not as_json:
            write_line(sys.stdout, content.decode().rstrip("\n"))
            return
        if file is None:
            raise InputError(
                "export_needs_file", "--json needs a FILE to export into.", hint="apex state export FILE --json"
            )
        try:
            with file.open("xb") as stream:
                stream.write(content)
        except OSError as error:
            raise InputError(
                "export_failed",
                f"{file} cannot be written: {error.strerror}.",
                hint="Name a new file in an existing folder.",
            ) from None
        out.result({"path": str(file), "bytes": len(content)}, (Fields(rows=(("Wrote", Cell(str(file))),)),))
