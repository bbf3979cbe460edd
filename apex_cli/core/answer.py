"""An answer to approvals, wherever it was given."""

from __future__ import annotations

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Quantity


class Answer(Value, frozen=True, kw_only=True):
    """Yes or no to some approvals, or to all that wait."""

    ids: tuple[str, ...] = ()
    everything: bool = False
    yes: bool = False
    reject: bool = False
    reason: str = ""
    """Why it is rejected."""

    quantity: Quantity | None = None
    """Another size than the one worked out."""
