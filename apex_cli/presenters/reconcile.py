"""What a comparison with the broker found, for people and for scripts."""

from __future__ import annotations

from typing import Any

from apex_cli.core.model.reconciliation import Break, BreakStatus, CorrectionKind, Lock, Reconciliation
from apex_cli.presenters.blocks import Block, Cell, Grid, Line, Tone
from apex_cli.presenters.formats import DASH, number

STATUS_TONES = {BreakStatus.OPEN: Tone.BAD, BreakStatus.REPAIRED: Tone.GOOD, BreakStatus.IGNORED: Tone.DIM}


def reconciled_data(found: Reconciliation) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "checked_at": found.at,
        "complete": found.is_complete,
        "breaks": [break_data(each) for each in found.breaks],
        "locks": [_lock_data(lock) for lock in found.locks],
        "ignored": [{"symbol": row.key, "quantity": number(row.quantity), "since": row.since} for row in found.ignored],
    }


def break_data(each: Break) -> dict[str, Any]:
    """Return one difference."""
    return {
        "code": each.code,
        "symbol": each.key,
        "subject": each.subject,
        "ours": each.ours,
        "broker": each.theirs,
        "message": each.message,
        "correction": {
            "kind": each.correction.kind,
            "message": each.correction.message,
            "automatic": each.correction.kind not in {CorrectionKind.ASK, CorrectionKind.NONE},
        },
        "status": each.status,
    }


def _lock_data(lock: Lock) -> dict[str, Any]:
    return {
        "symbol": lock.key,
        "codes": list(lock.codes),
        "ours": lock.ours,
        "broker": lock.theirs,
        "message": lock.message,
        "since": lock.since,
    }


def reconciled_blocks(found: Reconciliation) -> tuple[Block, ...]:
    """Return the differences as a table, or that there are none."""
    if not found.breaks:
        return (Line(text="Nothing differs: orders, fills and positions are as at the broker.", tone=Tone.GOOD),)
    grid = Grid(
        columns=("Symbol", "Difference", "Here", "Broker", "Correction", "Status"),
        rows=tuple(map(_row, found.breaks)),
    )
    locked = ", ".join("everything" if lock.key == "*" else lock.key for lock in found.locks)
    if not locked:
        return (grid,)
    return (grid, Line(text=f"Locked for openings: {locked}.", tone=Tone.WARN))


def _row(each: Break) -> tuple[Cell, ...]:
    correction = each.correction.message if each.status is not BreakStatus.REPAIRED else "Done."
    return (
        Cell(each.key, Tone.BOLD),
        Cell(each.code.replace("_", " ")),
        Cell(each.ours or DASH),
        Cell(each.theirs or DASH),
        Cell(correction),
        Cell(each.status, STATUS_TONES[each.status]),
    )
