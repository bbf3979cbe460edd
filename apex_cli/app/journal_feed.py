"""The events of the journal as they are committed, each once and in order; a reader resumes at the last number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from apex_cli.app.resources import open_store
from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import OutboxRow
from apex_cli.settings.sections import Settings

LOOK_INTERVAL_S = 0.1


class JournalFeed:
    """Reads what came behind a sequence number; nothing is locked, and nobody waits for it."""

    def __init__(self, settings: Settings, after: int | None = None) -> None:
        """Begin behind event number *after*, 0 for the first there is; None: behind what is there now.

        Raises:
            InputError: the journal has not come to *after* yet: it is another one, or was restored.
            StateError: the state or its journal cannot be read.
        """
        self._places = JournalPlaces(settings.state.dir / "journal")
        if after is None:
            self._place = self._places.end()
            return
        newest = max(open_store(settings).view().last_seq, self._places.end().seq)
        if not 0 <= after <= newest:
            raise InputError(
                "event_unknown",
                f"There is no event number {after}: the newest is {newest}.",
                hint="Resume by the number of an event of this account; 0 begins with the first.",
            )
        self._place = self._places.after(after)

    @property
    def last_seq(self) -> int:
        """Number of the newest event that was given: where another reader would resume."""
        return self._place.seq

    def read(self) -> list[OutboxRow]:
        """Return the next events, some hundred at the most; none when there is nothing new.

        Raises:
            StateError: a file cannot be read.
        """
        found = self._places.read(self._place)
        if found:
            self._place = found[-1][1]
        return [event for event, _ in found]


def follow(
    feed: JournalFeed, *, is_over: Callable[[], bool] = lambda: False, interval_s: float = LOOK_INTERVAL_S
) -> Iterator[OutboxRow]:
    """Yield every event as soon as it is in the journal, until *is_over*; what is there by then is yielded first.

    Raises:
        StateError: a file cannot be read.
    """
    while True:
        is_last = is_over()
        rows = feed.read()
        yield from rows
        if is_last and not rows:
            return
        if not rows:
            time.sleep(interval_s)
