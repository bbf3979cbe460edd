"""Reasons: a code for scripts, and a sentence for people."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value


class Reason(Value, frozen=True, kw_only=True):
    """Why: a stable code for scripts and a sentence for people."""

    code: str
    message: str
    limit: str | None = None
    """The bound, as text with its unit."""

    value: str | None = None
    """What was found, as text with its unit."""

    lifts_at: datetime | None = None
    """When it does not hold any more by itself; None where it ends with something else than time."""
