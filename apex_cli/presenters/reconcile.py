"""The findings of a comparison with the broker, for people and for scripts."""

from __future__ import annotations

from typing import Any

from apex_cli.core.model.reconciliation import Break, BreakStatus, CorrectionKind, Lock, Reconciliation
from apex_cli.presenters.screen.blocks import Block, Cell, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, facts, or_dash, words
from apex_cli.presenters.screen.formats import number

STATUS_TONES = {BreakStatus.OPEN: Tone.BAD, BreakStatus.REPAIRED: Tone.GOOD, BreakStatus.IGNORED: Tone.DIM}


BREAKS = Table[Break](
    Column("code", "Difference", shown=words, place=1),
    Column("symbol", "Symbol", lambda b: b.key, shown=bold),
    Column("subject"),
    Column("ours", "Here", shown=or_dash, wraps=True, place=2),
    Column("broker", "Broker", lambda b: b.theirs, shown=or_dash, wraps=True, place=2),
    Column("message"),
    Column(
        "correction",
        "Correction",
        lambda b: {
            "kind": b.correction.kind,
            "message": b.correction.message,
            "automatic": b.correction.kind not in {CorrectionKind.ASK, CorrectionKind.NONE},
        },
        cell=lambda b: b.correction.message if b.status is not BreakStatus.REPAIRED else "Done.",
        wraps=True,
        place=3,
    ),
    Column("status", "Status", shown=lambda status: Cell(status, STATUS_TONES[status]), place=4),
)
LOCKS = Table[Lock](
    Column("symbol", value=lambda lock: lock.key),
    Column("codes", value=lambda lock: list(lock.codes)),
    Column("ours"),
    Column("broker", value=lambda lock: lock.theirs),
    *facts("message", "since"),
)


def reconciled_data(found: Reconciliation) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "checked_at": found.at,
        "complete": found.is_complete,
        "breaks": BREAKS.rows(found.breaks),
        "locks": LOCKS.rows(found.locks),
        "ignored": [{"symbol": row.key, "quantity": number(row.quantity), "since": row.since} for row in found.ignored],
    }


def reconciled_blocks(found: Reconciliation) -> tuple[Block, ...]:
    """Return the differences as a table, or that there are none."""
    if not found.breaks:
        return (Line(text="Nothing differs: orders, fills and positions are as at the broker.", tone=Tone.GOOD),)
    grid = BREAKS.grid(found.breaks)
    locked = ", ".join("everything" if lock.key == "*" else lock.key for lock in found.locks)
    if not locked:
        return (grid,)
    return (grid, Line(text=f"Locked for openings: {locked}.", tone=Tone.WARN))
