"""What turns the tables of a state file of an older schema version into those of the next one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.spelling import respelled_key

PlainTables = dict[str, dict[str, Any]]


def one_spelling(tables: PlainTables) -> PlainTables:
    """Return the tables of version 1 with every security under its canonical name.

    Two positions that were one security in two spellings become one: quantities add up, and the entry price is the
    mean. Where one is long and the other short, both stay as they are, and the next comparison with the broker
    reports them.
    """
    found = dict(tables)
    if "positions" in tables:
        found["positions"] = _positions(tables["positions"])
    for name in ("locks", "ignored"):
        if name in tables:
            found[name] = _named(tables[name])
    for row in tables.get("requests", {}).values():
        _choose(row["work"])
    return found


def _choose(work: dict[str, Any]) -> None:
    """Give an answer its ``choice`` where an earlier version wrote ``yes`` and ``reject``."""
    if work["type"] == "Answer" and "choice" not in work:
        work["choice"] = "reject" if work.get("reject") else "approve"


def _positions(rows: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, row in rows.items():
        instrument = msgspec.convert(row["position"]["instrument"], Instrument)
        key = instrument.key
        row["position"]["instrument"] = msgspec.to_builtins(instrument)
        other = found.get(key)
        if other is None:
            found[key] = row
        elif other["position"]["side"] == row["position"]["side"]:
            found[key] = _joined(other, row)
        else:
            found[name] = row
    return found


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return one position of two, with the plan of the first."""
    ours, theirs = first["position"], second["position"]
    one, two = Decimal(ours["quantity"]), Decimal(theirs["quantity"])
    mean = (Decimal(ours["entry_price"]) * one + Decimal(theirs["entry_price"]) * two) / (one + two)
    sums = {
        name: str(Decimal(ours.get(name, "0")) + Decimal(theirs.get(name, "0")))
        for name in (
            "quantity",
            "opened_quantity",
            "opened_value",
            "closed_quantity",
            "closed_value",
            "realized_pnl",
            "commission",
        )
    }
    return {**first, "position": {**ours, **sums, "entry_price": f"{mean.quantize(Decimal('0.00000001')):f}"}}


def _named(rows: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, row in rows.items():
        key = name if name == "*" else respelled_key(name)
        found.setdefault(key, {**row, "key": key} if "key" in row else row)
    return found


MIGRATIONS: dict[int, Callable[[PlainTables], PlainTables]] = {1: one_spelling}
"""By the schema version that the tables are of."""
