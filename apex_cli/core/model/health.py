"""Findings of the checks of ``doctor`` and ``state check``."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from apex_cli.core.model.base import Value


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    """apex refuses to trade until it is repaired."""


class Finding(Value, frozen=True, kw_only=True):
    """One thing that was looked at."""

    code: str
    level: Level
    message: str
    path: str = ""
    hint: str = ""


class DriftNote(Value, frozen=True, kw_only=True):
    """What the last comparison of live trading with a replay came to."""

    at: datetime
    """When it was made, aware UTC."""

    first: date
    last: date
    """The sessions that were compared."""

    since: str = ""
    """Session of the first difference, YYYY-MM-DD; empty without one."""

    parted: tuple[str, ...] = ()
    """Why the two part, a sentence each; empty while they agree."""
