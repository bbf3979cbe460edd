"""Renders ``apex files``: how one file is read."""

from __future__ import annotations

from typing import Any

from apex_cli.core.model.file_look import FileLook
from apex_cli.core.model.wording import counted
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, Tone, heads

DASH = "-"


def file_data(look: FileLook) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "file": look.name,
        "kind": look.kind.value,
        "usable": look.is_usable,
        "taken_as": list(look.taken_as),
        "columns": dict(look.columns),
        "rows": [dict(zip(look.heads, row, strict=True)) for row in look.rows],
        "count": look.count,
        "problems": list(look.problems),
        "missing": list(look.missing),
        "mapping": list(look.mapping),
    }


def file_blocks(look: FileLook) -> tuple[Block, ...]:
    """Return what the file was taken for, its columns, its first rows, and what to do about the rest."""
    near = f"not usable; nearest to {look.kind.value}" if look.missing else "not usable"
    verdict = f"{look.kind.value}, {counted(look.count, 'row')}" if look.is_usable else near
    columns = ", ".join(ours if ours == theirs else f"{ours} = {theirs}" for ours, theirs in look.columns.items())
    facts = [
        ("Read as", Cell(verdict, Tone.GOOD if look.is_usable else Tone.BAD)),
        ("Taken for", Cell("; ".join(look.taken_as) or DASH)),
        ("Columns", Cell(columns or DASH)),
    ]
    if look.missing:
        facts.append(("Missing", Cell(", ".join(look.missing), Tone.BAD)))
    blocks: list[Block] = [Fields(rows=tuple(facts))]
    if look.rows:
        rows = tuple(tuple(Cell(text) for text in row) for row in look.rows)
        blocks.append(Grid(title="First rows, times in UTC", columns=heads(*look.heads), rows=rows))
    tone = Tone.WARN if look.is_usable else Tone.BAD
    blocks.extend(Line(text=problem, tone=tone) for problem in look.problems)
    if look.mapping:
        blocks.append(Line(text="To say which column is which, write into the configuration:"))
        blocks.extend(Line(text=line, is_whole=True) for line in look.mapping)
    return tuple(blocks)
