"""Locks after closed trades, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import CENT
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.positions.lock_rules import EVERYTHING, Finding
from apex_cli.presenters.screen.blocks import LAST, SECOND, Block, Cell, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, words
from apex_cli.presenters.screen.formats import moment


def lock_status(lock: TradeLock, now: datetime) -> str:
    """Return ``holds``, ``over`` or ``lifted``."""
    if lock.lifted_at is not None:
        return "lifted"
    return "holds" if lock.holds(now) else "over"


def _table(now: datetime) -> Table[TradeLock]:
    """Return the table of locks as they stand at *now*."""
    tones = {"holds": Tone.WARN, "lifted": Tone.DIM, "over": Tone.DIM}
    return Table[TradeLock](
        Column("subject", "Locked", shown=bold),
        Column("lock_id", "Lock", rank=SECOND),
        Column("rule", "Rule", shown=words),
        Column("scope", "Of", rank=SECOND),
        Column("since", "Since", shown=moment, rank=LAST),
        Column("until", "Until", shown=moment),
        Column(
            "status",
            "Status",
            lambda r: lock_status(r, now),
            cell=lambda r: Cell(lock_status(r, now), tones[lock_status(r, now)]),
        ),
        Column("trades", value=lambda r: list(r.trades)),
        Column("limit"),
        Column("value", "Why", wraps=True),
        Column("lifted_at"),
        Column("lifted_by"),
        Column("lifted_why"),
        empty="Nothing is locked.",
    )


NEAR = Table[Finding](
    Column("subject", "Near a lock", shown=bold),
    Column("rule", "Rule", shown=words),
    Column("scope", "Of", rank=SECOND),
    Column("found", value=lambda f: f.found.quantize(CENT)),
    Column("most"),
    Column("value", "Found", wraps=True),
    Column("limit", "Limit", wraps=True),
)
"""How near closed trades are to locks that are configured."""


class LocksView(Value, frozen=True, kw_only=True):
    """Everything that ``apex locks`` shows."""

    now: datetime
    locks: tuple[TradeLock, ...]
    lifted: tuple[TradeLock, ...] = ()
    """By this command."""

    near: tuple[Finding, ...] = ()
    """What counts towards a lock now."""

    differing: tuple[str, ...] = ()
    """Securities that are locked as our books and the broker's differ."""


def locks_data(view: LocksView) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    table = _table(view.now)
    return {
        "locks": table.rows(_ordered(view.locks)),
        "lifted": table.rows(view.lifted),
        "near": NEAR.rows(view.near),
        "differing": list(view.differing),
    }


def locks_blocks(view: LocksView) -> tuple[Block, ...]:
    """Return the locks as a table, the one that ends first first, and what is near to one."""
    said = (Line(text=f"Lifted: {', '.join(lock.lock_id for lock in view.lifted)}."),) if view.lifted else ()
    names = ", ".join("everything" if key == EVERYTHING else key for key in view.differing)
    text = f"Nothing is opened in {names} either, as our books and the broker's differ: apex reconcile"
    notes = (Line(text=text, tone=Tone.WARN),) if view.differing else ()
    near = (NEAR.grid(view.near),) if view.near else ()
    return (*said, _table(view.now).grid(_ordered(view.locks)), *near, *notes)


def _ordered(locks: Iterable[TradeLock]) -> list[TradeLock]:
    return sorted(locks, key=lambda lock: (lock.until, lock.lock_id))
