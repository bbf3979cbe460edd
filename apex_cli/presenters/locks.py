"""Locks after closed trades, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from apex_cli.core.model.protections import TradeLock
from apex_cli.core.positions.lock_rules import EVERYTHING
from apex_cli.presenters.screen.blocks import LAST, SECOND, Block, Cell, Line, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold
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
        Column(key="subject", value=lambda r: r.subject, title="Locked", shown=bold),
        Column(key="lock_id", value=lambda r: r.lock_id, title="Lock", rank=SECOND),
        Column(key="rule", value=lambda r: r.rule, title="Rule", shown=lambda rule: rule.replace("_", " ")),
        Column(key="scope", value=lambda r: r.scope, title="Of", rank=SECOND),
        Column(key="since", value=lambda r: r.since, title="Since", shown=moment, rank=LAST),
        Column(key="until", value=lambda r: r.until, title="Until", shown=moment),
        Column(
            key="status",
            value=lambda r: lock_status(r, now),
            title="Status",
            cell=lambda r: Cell(lock_status(r, now), tones[lock_status(r, now)]),
        ),
        Column(key="trades", value=lambda r: list(r.trades)),
        Column(key="limit", value=lambda r: r.limit),
        Column(key="value", value=lambda r: r.value, title="Why", wraps=True),
        Column(key="lifted_at", value=lambda r: r.lifted_at),
        Column(key="lifted_by", value=lambda r: r.lifted_by),
        Column(key="lifted_why", value=lambda r: r.lifted_why),
        empty="Nothing is locked.",
    )


def locks_data(
    locks: Iterable[TradeLock], lifted: Iterable[TradeLock], now: datetime, differing: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    table = _table(now)
    return {
        "locks": [table.data(lock) for lock in _ordered(locks)],
        "lifted": [table.data(lock) for lock in lifted],
        "differing": list(differing),
    }


def locks_blocks(locks: Iterable[TradeLock], now: datetime, differing: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return the locks as a table, the one that ends first first; *differing* is locked as the books differ."""
    names = ", ".join("everything" if key == EVERYTHING else key for key in differing)
    text = f"Nothing is opened in {names} either, as our books and the broker's differ: apex reconcile"
    notes = (Line(text=text, tone=Tone.WARN),) if differing else ()
    return (_table(now).grid(_ordered(locks)), *notes)


def _ordered(locks: Iterable[TradeLock]) -> list[TradeLock]:
    return sorted(locks, key=lambda lock: (lock.until, lock.lock_id))
