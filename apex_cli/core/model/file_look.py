"""How a file of prices, trades or signals was read."""

from __future__ import annotations

from enum import StrEnum

from apex_cli.core.model.base import Value


class FileKind(StrEnum):
    """What a file can be taken for."""

    PRICES = "prices"
    EXECUTIONS = "executions"
    SIGNALS = "signals"


class FileLook(Value, frozen=True, kw_only=True):
    """What one file was taken for, and what came of it."""

    name: str
    kind: FileKind
    is_usable: bool
    """False: the commands that read such files refuse it."""

    taken_as: tuple[str, ...] = ()
    """What was found out, a phrase each."""

    columns: dict[str, str] = {}
    """Our column -> the column of the file."""

    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """The first rows as they are read."""

    count: int = 0
    """Rows that are read."""

    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Our columns that no column of the file was taken for."""

    mapping: tuple[str, ...] = ()
    """Lines for the configuration that would help."""
