"""What a comparison with the broker found, for people and for scripts."""

from __future__ import annotations

from typing import Any

from apex_cli.core.model.reconciliation import Break, BreakStatus, CorrectionKind, Lock, Reconciliation
from apex_cli.presenters.screen.blocks import Block, Cell, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold
from apex_cli.presenters.screen.formats import DASH, number

STATUS_TONES = {BreakStatus.OPEN: Tone.BAD, BreakStatus.REPAIRED: Tone.GOOD, BreakStatus.IGNORED: Tone.DIM}


BREAKS = Table[Break](
    Column(key="code", value=lambda b: b.code, title="Difference", shown=lambda code: code.replace("_", " "), place=1),
    Column(key="symbol", value=lambda b: b.key, title="Symbol", shown=bold),
    Column(key="subject", value=lambda b: b.subject),
    Column(key="ours", value=lambda b: b.ours, title="Here", shown=lambda text: text or DASH, wraps=True, place=2),
    Column(
        key="broker", value=lambda b: b.theirs, title="Broker", shown=lambda text: text or DASH, wraps=True, place=2
    ),
    Column(key="message", value=lambda b: b.message),
    Column(
        key="correction",
        value=lambda b: {
            "kind": b.correction.kind,
            "message": b.correction.message,
            "automatic": b.correction.kind not in {CorrectionKind.ASK, CorrectionKind.NONE},
        },
        title="Correction",
        cell=lambda b: Cell(b.correction.message if b.status is not BreakStatus.REPAIRED else "Done."),
        wraps=True,
        place=3,
    ),
    Column(
        key="status",
        value=lambda b: b.status,
        title="Status",
        shown=lambda status: Cell(status, STATUS_TONES[status]),
        place=4,
    ),
)
LOCKS = Table[Lock](
    Column(key="symbol", value=lambda lock: lock.key),
    Column(key="codes", value=lambda lock: list(lock.codes)),
    Column(key="ours", value=lambda lock: lock.ours),
    Column(key="broker", value=lambda lock: lock.theirs),
    Column(key="message", value=lambda lock: lock.message),
    Column(key="since", value=lambda lock: lock.since),
)


def reconciled_data(found: Reconciliation) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "checked_at": found.at,
        "complete": found.is_complete,
        "breaks": [BREAKS.data(each) for each in found.breaks],
        "locks": [LOCKS.data(lock) for lock in found.locks],
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
