"""What happened, event by event, from any number on: for programs that follow the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.model.records import OutboxRow
from apex_cli.settings.sections import Settings

LOOK_S = 0.1
"""How often a feed that is up to date looks for more."""

NEAR_END_BYTES = 1 << 20


class EventFeed:
    """Events of one journal in their order, each once.

    Numbers rise for the life of a state, through months and restorations: whoever keeps the number of the last event
    that was dealt with continues there, and misses none.
    """

    def __init__(self, settings: Settings, kinds: Collection[str] = ()) -> None:
        """Read nothing yet; without *kinds* every kind is given."""
        self._places = JournalPlaces(settings.state.dir / "journal")
        self._kinds = frozenset(kinds)

    def last_seq(self) -> int:
        """Return the number of the newest event."""
        return self._places.end().seq

    def newest(self, count: int) -> int:
        """Return the number behind which the newest *count* events of the wanted kinds stand."""
        if not count:
            return self.last_seq()
        found = [row.seq for row in self._read(self._places.near_end(NEAR_END_BYTES).seq)]
        return found[-count] - 1 if len(found) >= count else (found[0] - 1 if found else 0)

    def after(self, seq: int) -> Iterator[OutboxRow]:
        """Yield what there is behind the event *seq*, then end.

        Raises:
            StateError: the journal cannot be read.
        """
        yield from self._read(seq)

    def follow(self, seq: int, is_over: Callable[[], bool]) -> Iterator[OutboxRow]:
        """Yield what there is behind the event *seq*, and what comes, until *is_over*.

        Raises:
            StateError: the journal cannot be read.
        """
        place = self._places.behind(seq)
        while not is_over():
            found = self._places.read(place)
            for row, place in found:  # noqa: B007 - the last one is where to continue
                if self._is_wanted(row):
                    yield row
            if not found:
                time.sleep(LOOK_S)

    def _read(self, seq: int) -> Iterator[OutboxRow]:
        place = self._places.behind(seq)
        while found := self._places.read(place):
            for row, place in found:  # noqa: B007 - same
                if self._is_wanted(row):
                    yield row

    def _is_wanted(self, row: OutboxRow) -> bool:
        return not self._kinds or row.kind in self._kinds
