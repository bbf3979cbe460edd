"""The events of the journal as they are committed, each once and in order; a reader resumes at the last number."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from apex_cli.app.resources import open_store
from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import OutboxRow
from apex_cli.settings.sections import Settings

LOOK_INTERVAL_S = 0.1
"""How often a feed that is up to date looks for more."""

NEAR_END_BYTES = 1 << 20


class JournalFeed:
    """Reads what came behind a sequence number; nothing is locked, and nobody waits for it.

    Numbers rise for the life of a state, through months and restorations: whoever keeps the number of the last event
    that was dealt with continues there, and misses none. A file that cannot be read is a StateError.
    """

    def __init__(self, settings: Settings, after: int | None = None, kinds: Collection[str] = ()) -> None:
        """Begin behind event number *after*, 0 for the first there is; None: behind what is there now.

        Without *kinds* every kind is given.
        """
        self._places = JournalPlaces(settings.state.dir / "journal")
        self._kinds = frozenset(kinds)
        self._place = self._places.end() if after is None else self._places.behind(after)

    @property
    def last_seq(self) -> int:
        """Number of the newest event that was read: where another reader would resume."""
        return self._place.seq

    def step_back(self, count: int) -> None:
        """Let the newest *count* events near the end of the journal be read again; all, where none is near it."""
        self._place = self._places.near_end(NEAR_END_BYTES)
        found: list[int] = []
        while rows := self.read():
            found += [row.seq for row in rows]
        self._place = self._places.behind(found[-count:][0] - 1 if found else 0)

    def read(self) -> list[OutboxRow]:
        """Return the next events, some hundred at the most; none when there is nothing new."""
        while found := self._places.read(self._place):
            self._place = found[-1][1]
            if rows := [row for row, _ in found if not self._kinds or row.kind in self._kinds]:
                return rows
        return []


def feed_after(settings: Settings, after: int | None) -> JournalFeed:
    """Return a feed from an event that the caller knows.

    Raises:
        InputError: the journal has not come to *after* yet: it is another one, or was restored.
        StateError: the state or its journal cannot be read.
    """
    if after is not None:
        newest = max(open_store(settings).view().last_seq, JournalFeed(settings).last_seq)
        if not 0 <= after <= newest:
            raise InputError(
                "event_unknown",
                f"There is no event number {after}: the newest is {newest}.",
                hint="Resume by the number of an event of this account; 0 begins with the first.",
            )
    return JournalFeed(settings, after)


def follow(
    feed: JournalFeed, *, waits: bool = True, is_over: Callable[[], bool] = lambda: False
) -> Iterator[OutboxRow]:
    """Yield every event as soon as it is in the journal, until *is_over*; without *waits* only what is there by now."""
    while not is_over():
        rows = feed.read()
        yield from rows
        if not rows:
            if not waits:
                return
            time.sleep(LOOK_INTERVAL_S)
