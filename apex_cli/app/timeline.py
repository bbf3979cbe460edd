"""The moments of a replay, and which of them can be passed over because nothing can happen there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from apex_cli.core.market.calendar import LAST_SECOND, session_date, session_end
from apex_cli.core.ports import SignalSource


class Timeline:
    """Every end of a bar, oldest first, and those at which a source may have signals."""

    def __init__(self, ends: Sequence[datetime], sources: Iterable[SignalSource]) -> None:
        """Ask *sources* at which of *ends* they may have something; one that cannot say may at each."""
        self.ends = ends
        self._wakes = _wakes_of(ends, sources)
        self._session_last = -1

    def __len__(self) -> int:
        """Return how many moments there are."""
        return len(self.ends)

    def next_wake(self, number: int) -> int:
        """Return the number of the first moment after *number* at which a source may have signals; else their count."""
        if self._wakes is None:
            return number + 1
        at = bisect_right(self._wakes, number)
        return self._wakes[at] if at < len(self._wakes) else len(self.ends)

    def at(self, moment: datetime | None) -> int:
        """Return the number of the first moment from *moment* on; their count for None."""
        return len(self.ends) if moment is None else bisect_left(self.ends, moment)

    def session_last(self, number: int) -> int:
        """Return the number of the last moment in the session of moment *number*."""
        if not 0 <= self._session_last - number < 1 or not number:
            end = session_end(session_date(self.ends[number] - LAST_SECOND))
            self._session_last = max(bisect_right(self.ends, end) - 1, number)
        return self._session_last

    def session_lasts(self, first: int, beyond: int) -> Iterator[int]:
        """Yield the number of the last moment of each session from *first* on, no moment from *beyond* on."""
        while first < beyond:
            last = min(self.session_last(first), beyond - 1)
            yield last
            first = last + 1


def _wakes_of(ends: Sequence[datetime], sources: Iterable[SignalSource]) -> list[int] | None:
    """Return the numbers of the moments at which *sources* may have something; None for every one."""
    numbers: set[int] = set()
    for source in sources:
        ask: Callable[[Sequence[datetime]], Iterable[datetime] | None] | None = getattr(source, "wakes", None)
        found = ask(ends) if ask is not None else None
        if found is None:
            return None
        places = ((moment, bisect_left(ends, moment)) for moment in found)
        numbers.update(at for moment, at in places if at < len(ends) and ends[at] == moment)
    return sorted(numbers)
