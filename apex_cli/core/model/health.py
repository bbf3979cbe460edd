"""What a check of the house finds."""

from __future__ import annotations

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
