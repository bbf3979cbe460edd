"""What mending the state came to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from apex_cli.core.model.base import Value


class Restored(Value, frozen=True, kw_only=True):
    """What a restore did."""

    from_generation: int
    """Of the base; 0 when the journal alone was used."""

    generation: int
    """Of the file that is in place now."""

    last_seq: int
    set_aside: str | None
    """Where the file that stood there is kept."""

    replayed: int = 0
    """Events of the journal that were applied to the base."""

    missing: tuple[tuple[int, int], ...] = ()
    """First and last number of each run of events that the base does not hold and the journal does not tell."""

    repaired: tuple[str, ...] = ()
    """What else was mended, a sentence each."""

    notes: tuple[str, ...] = ()
    """What a person should know or do, a sentence each."""


class Migrated(Value, frozen=True, kw_only=True):
    """What a migration did."""

    from_version: int
    to_version: int
    copy: str | None = None
    """Where the file of the old schema is kept; None when there was nothing to do."""


class ClockReset(Value, frozen=True, kw_only=True):
    """The state's time, set anew."""

    was: datetime
    """Latest time that the state had seen."""

    now: datetime


def spans(missing: Iterable[tuple[int, int]]) -> str:
    """Return runs of numbers as people write them.

    >>> spans([(3, 3), (7, 9)])
    '3, 7-9'
    """
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in missing)
