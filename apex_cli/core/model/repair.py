"""Results of repairs of the state."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    """First and last number of each run of events that neither the base nor the journal holds."""

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
    """The state's time after the reset."""

    was: datetime
    """Latest time that the state had seen."""

    now: datetime


def spans(missing: Iterable[tuple[int, int]]) -> str:
    """Return runs of numbers as people write them.

    >>> spans([(3, 3), (7, 9)])
    '3, 7-9'
    """
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in missing)


MOST_GAPS = 100
"""Runs of missing numbers that are kept one by one; the others are counted."""


class Gaps:
    """Runs of missing sequence numbers, in bounded memory however far apart they lie."""

    def __init__(self, present: Collection[int]) -> None:
        """Start without any; numbers in *present* are not missing."""
        self.found: list[tuple[int, int]] = []
        self.more = 0
        """Runs beyond those in *found*."""

        self._present = present

    def add(self, first: int, last: int) -> None:
        """Note that *first* to *last* are missing; nothing when *last* comes first, or all of them are present."""
        if last < first or (
            last - first < len(self._present) and all(seq in self._present for seq in range(first, last + 1))
        ):
            return
        if len(self.found) < MOST_GAPS:
            self.found.append((first, last))
        else:
            self.more += 1

    def __str__(self) -> str:
        """Return the runs as people write them."""
        return spans(self.found) + (f" and {self.more} more runs" if self.more else "")
