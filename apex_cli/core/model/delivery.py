"""The progress of delivery of notices, by channel."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value
from apex_cli.core.model.notice import Notice


class Place(Value, frozen=True, kw_only=True):
    """How far the journal was read."""

    seq: int = 0
    """Sequence number of the newest event that was read."""

    file: str = ""
    offset: int = 0
    """Where the next line begins; a hint that saves reading the file again."""


class Delivery(Value, frozen=True, kw_only=True):
    """Where a channel stands."""

    place: Place = Place()
    """Everything up to here is delivered, held back or passed over."""

    sending: int = 0
    """Event that is being sent, or was when a process died: it may have arrived. 0: none."""

    attempts: int = 0
    """Failed attempts at the next notice."""

    delivered: int = 0
    failures: int = 0
    """Failed attempts ever."""

    given_up: int = 0
    """Notices that the channel will never take."""

    last_error: str = ""
    last_error_at: datetime | None = None
    last_success_at: datetime | None = None
    next_try_at: datetime | None = None
    held: tuple[Notice, ...] = ()
    """Low priority that waits for the end of the quiet hours."""

    held_over: int = 0
    """Held notices that there was no room for."""
