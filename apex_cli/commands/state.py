"""``apex state``: check, query, back up, restore, migrate and export what apex remembers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from apex_cli.app.resources import executor_lock, make_replay, open_store
from apex_cli.commands.options import Call, YesOption, command, flag, option
from apex_cli.core.errors import ExitStatus, InputError, NothingToDo
from apex_cli.core.model.base import named
from apex_cli.core.model.health import Finding
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.repair import Restored, spans
from apex_cli.core.model.wording import money
from apex_cli.presenters.screen.blocks import Cell, Fields, Grid, Tone, heads
from apex_cli.presenters.screen.output import write_line

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check, query, back up, restore, migrate and export the state."
)

LEVEL_TONES = {"ok": Tone.GOOD, "warning": Tone.WARN, "error": Tone.BAD}


@command("state check", app=app)
def check(call: Call) -> None:
    """Look at file, checksum, journal, backups and modes; change nothing."""
    from apex_cli.core.adapters.state.check import check as check_state

    out = call.out
    findings = check_state(open_store(call.settings))
    errors = [finding for finding in findings if finding.level == "error"]
    reasons = [
        Reason(code=finding.code, message=f"{finding.message} {f'-> {finding.hint}' if finding.hint else ''}".strip())
        for finding in errors
    ]
    rows = [{"code": f.code, "level": f.level, "message": f.message, "path": f.path, "hint": f.hint} for f in findings]
    status = ExitStatus.STATE_DAMAGED if errors else ExitStatus.OK
    out.result({"findings": rows}, (findings_grid(findings),), status=status, reasons=reasons)


def findings_grid(findings: Iterable[Finding]) -> Grid:
    """Return findings as a table; the mark says what the colour says."""
    marks = {"ok": "✓", "warning": "!", "error": "✗"}
    rows = tuple(
        (
            Cell(marks[finding.level], LEVEL_TONES[finding.level]),
            Cell(finding.code.replace("_", " ")),
            Cell(f"{finding.message}  -> {finding.hint}" if finding.hint else finding.message),
        )
        for finding in findings
    )
    return Grid(columns=heads("", "What", "Found~"), rows=rows)


@command("state query", "orders 'status == WORKING and order.role == STOP'", app=app)
def query(
    call: Call,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Such as orders, positions, signals.")],
    condition: Annotated[
        str, typer.Argument(metavar="[CONDITION]", help="FIELD == VALUE, joined by and, or, not.")
    ] = "",
) -> None:
    """Show the rows of one table that meet a condition; change nothing.

    A field is a name or a path with dots. Signs: == != < <= > >=. Amounts compare as numbers.
    """
    from apex_cli.core.adapters.state.query import query as query_state

    out = call.out
    rows = query_state(open_store(call.settings), table, condition)
    data = {"table": table, "count": len(rows), "rows": [{"key": key, "row": row} for key, row in rows]}
    lines = tuple((Cell(key), Cell(_one_line(row))) for key, row in rows)
    drawn = Grid(columns=heads("Key", "Row~"), rows=lines, empty="No row meets the condition.")
    out.result(data, (drawn,))


def _one_line(row: Mapping[str, object]) -> str:
    import json

    return json.dumps(row, ensure_ascii=False)


@command("state backup", app=app)
def backup(call: Call) -> None:
    """Keep a copy of the present generation."""
    out = call.out
    kept = open_store(call.settings).backup_now()
    if kept is None:
        raise NothingToDo("nothing_to_back_up", "Nothing was saved yet.")
    rows = (("Generation", Cell(str(kept.generation))), ("File", Cell(str(kept.path))))
    out.result({"generation": kept.generation, "path": str(kept.path)}, (Fields(rows=rows),))


@command("state restore", "--yes", app=app)
def restore(
    call: Call,
    to: Annotated[int | None, option("GENERATION", "Begin with this backup.", "--to")] = None,
    from_journal: Annotated[bool, flag("Begin with nothing but the journal.", "--from-journal")] = False,
    yes: YesOption = False,
) -> None:
    """Mend a damaged state: newest sound backup, then all that the journal reports since.

    A state that is sound stays as it is. What stood there is kept aside.
    """
    from apex_cli.core.adapters.state import restoration

    out = call.out
    if to is not None and from_journal:
        raise InputError("to_or_journal", "--to and --from-journal exclude each other.", hint="Give one of them.")
    settings = call.settings
    if not yes:
        out.require_yes("Replace the state?", "Restoring replaces the state.", "Nothing was restored.")
    with executor_lock(settings):
        done = restoration.restore(open_store(settings), to, replay=make_replay(), is_from_journal=from_journal)
    for text in (*done.repaired, *done.notes):
        out.note(text)
    data = {
        **named(done, "from_generation", "generation", "last_seq", "set_aside", "replayed"),
        "missing": [list(gap) for gap in done.missing],
        "repaired": list(done.repaired),
        "notes": list(done.notes),
    }
    out.result(data, (Fields(rows=_restored_rows(done)),))


def _restored_rows(done: Restored) -> tuple[tuple[str, Cell], ...]:
    base = f"generation {done.from_generation}" if done.from_generation else "the journal alone"
    lost = Cell(spans(done.missing), Tone.BAD) if done.missing else Cell("none")
    return (
        ("Base", Cell(base)),
        ("Now generation", Cell(str(done.generation))),
        ("Events replayed", Cell(str(done.replayed))),
        ("Events missing", lost),
        ("Kept aside", Cell(str(done.set_aside or "-"))),
    )


@command("state migrate", app=app)
def migrate(call: Call) -> None:
    """Bring the state to the schema of this version; the file as it was is kept.

    The first change by a newer apex does the same, and says so.
    """
    from apex_cli.core.adapters.state import restoration

    out = call.out
    done = restoration.migrate(open_store(call.settings))
    data = {"from_version": done.from_version, "to_version": done.to_version, "copy": done.copy}
    text = f"schema version {done.to_version}" if done.copy else f"schema version {done.to_version} already"
    out.result(data, (Fields(rows=(("State", Cell(text)), ("Kept", Cell(done.copy or "-")))),))


@command("state reset-clock", "--yes", app=app)
def reset_clock(
    call: Call,
    yes: YesOption = False,
) -> None:
    """Let time begin again with this machine's clock, after it was wrongly ahead.

    Otherwise apex never goes back behind the latest time that the state has seen.
    """
    from apex_cli.core.adapters.state import restoration

    out, settings = call.out, call.settings
    if not yes:
        out.require_yes(
            "Is this machine's clock right now?",
            "This sets the state's time back.",
            "Nothing was changed.",
            hint="Set the machine's clock right first.",
        )
    with executor_lock(settings):
        done = restoration.reset_clock(open_store(settings))
    if done is None:
        raise NothingToDo("nothing_saved", "Nothing was saved yet.")
    times = (("Time was", done.was), ("Time is", done.now))
    rows = tuple((label, Cell(f"{at:%Y-%m-%d %H:%M:%S} UTC")) for label, at in times)
    out.result({"was": done.was, "now": done.now}, (Fields(rows=rows),))


@command("state reset-peak", '--yes --reason "40,000 taken out"', app=app)
def reset_peak(
    call: Call,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the journal.")] = "",
    yes: YesOption = False,
) -> None:
    """Measure the day's loss and the drawdown from what the account is worth now.

    Deposits and withdrawals are recognised by themselves where nothing was traded meanwhile; this is for the rest.
    """
    from apex_cli.app.compose import look_at_account, make_parts
    from apex_cli.core.adapters import event_loop
    from apex_cli.core.execution.upkeep import reset_marks

    out, settings = call.out, call.settings
    if not yes:
        out.require_yes(
            "Forget what the account lost until now?",
            "This forgets what the account lost until now.",
            "Nothing was changed.",
            hint="The limits hold as before.",
        )
    parts = make_parts(settings, read_only=True)
    account = event_loop.run(look_at_account(parts))
    change = reset_marks(open_store(settings), account, reason, parts.clock.now())
    rows = (
        ("Peak was", money(round(change.equity_before, 2))),
        ("Peak is", money(round(change.equity_after, 2))),
        ("Reason", reason or "-"),
    )
    data = {"was": change.equity_before, "now": change.equity_after, "reason": reason}
    out.result(data, (Fields(rows=tuple((label, Cell(text)) for label, text in rows)),))


@command("state export", "> state-copy.json", app=app)
def export(
    call: Call,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Default: standard output.")] = None,
) -> None:
    """Write every table as readable JSON."""
    from apex_cli.core.adapters.state import restoration

    out = call.out
    content = restoration.export(open_store(call.settings))
    if file is None and not out.as_json:
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
