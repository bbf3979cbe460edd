"""The bars known at a moment, as arrays: one way for every step and scanner, with one look at their state."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Frame, distinct, extended, frame_of, seconds
from apex_cli.core.analysis.quality import look_at
from apex_cli.core.errors import ApexError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import BarSource

_wholes: WeakKeyDictionary[BarSource, dict[str, Frame]] = WeakKeyDictionary()
"""Whole histories of sources that never change: shared by every step, scanner and setting that reads them."""


class Known(NamedTuple):
    """What is known of a symbol at a moment: the first *length* bars of *frame*.

    In a replay the frame is the whole history. What is computed of it at a bar depends on no later one, so that it is
    computed once, and looked up where it is known: at bar ``length - 1``.
    """

    frame: Frame
    length: int

    @property
    def end(self) -> int:
        """End of the newest bar, whole seconds since 1970 UTC."""
        return int(self.frame.ends[self.length - 1])


class History:
    """Gives the latest bars; never one that has not ended."""

    def __init__(
        self,
        bars: BarSource | None,
        *,
        length: int = 1000,
        max_age: timedelta | None = None,
        notice: Callable[[Reason, str], None] | None = None,
        are_fixed: bool = False,
    ) -> None:
        """Read *bars*, the last *length* of them; a symbol whose newest is older than *max_age* is not usable.

        Args:
            bars: the source; None without any.
            length: how many bars are read at the most.
            max_age: of the newest bar.
            notice: hears, once a symbol, what is odd about its bars.
            are_fixed: the source never changes, as in a replay: each symbol is read once, and a frame is the
                beginning of its whole history, however long.
        """
        self._are_fixed = are_fixed
        self._bars = bars
        self._length = length
        self._max_age = max_age
        self._notice = notice
        self._frames: dict[str, tuple[Sequence[Bar], Frame]] = {}
        self._wholes: dict[str, tuple[Frame, memoryview[int]]] = {}

    def frame(self, symbol: str, at: datetime) -> Frame | Reason:
        """Return the bars of *symbol* as of *at* alone, or why there are none."""
        known = self.known(symbol, at)
        if isinstance(known, Reason) or known.length == len(known.frame):
            return known if isinstance(known, Reason) else known.frame
        return known.frame.first(known.length)

    def known(self, symbol: str, at: datetime) -> Known | Reason:
        """Return what is known of *symbol* at *at*, or why nothing can be used."""
        if self._bars is None:
            return Reason(code="bars_missing", message="No price history is configured: set prices.bars_dir.")
        try:
            if self._are_fixed:
                return self._beginning(self._bars, symbol, at)
            bars = self._bars.bars(symbol, until=at + LAST_SECOND)[-self._length :]
        except ApexError as error:
            return Reason(code=error.code, message=error.message)
        trouble = self._trouble(symbol, bars[-1].end if bars else None, at)
        if trouble is not None:
            return trouble
        self._look_over(symbol, bars)
        known = self._frames.get(symbol)
        frame = frame_of(symbol, bars) if known is None else extended(known[1], known[0], bars)
        self._frames[symbol] = bars, frame
        return Known(frame, len(frame))

    def _beginning(self, source: BarSource, symbol: str, at: datetime) -> Known | Reason:
        """Return what of the whole history of *symbol* was known at *at*."""
        known = self._wholes.get(symbol)
        if known is None:
            frame = self._whole(source, symbol)
            known = self._wholes[symbol] = frame, frame.ends.data
            self._look_over(symbol, source.bars(symbol, until=at + LAST_SECOND))
        frame, ends = known
        count = bisect_right(ends, seconds(at + LAST_SECOND))
        end = datetime.fromtimestamp(ends[count - 1], UTC) if count else None
        return self._trouble(symbol, end, at) or Known(frame, count)

    def rows(self, symbol: str, moments: Iterable[datetime]) -> NDArray[np.int64]:
        """Return the numbers of the newest bars of *symbol* at *moments*; none where the source may change."""
        try:
            whole = self.whole(symbol)
        except ApexError:
            whole = None
        at = np.array([seconds(moment) for moment in moments], dtype=np.int64)
        found = np.searchsorted(whole.ends if whole is not None else at[:0], at, side="right") - 1
        return distinct(found[found >= 0])

    def whole(self, symbol: str) -> Frame | None:
        """Return the whole history of *symbol* where the source never changes, whatever the time is; else None.

        Raises:
            ApexError: it cannot be read.
        """
        return self._whole(self._bars, symbol) if self._are_fixed and self._bars is not None else None

    def is_late(self, ages: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of *ages* of a newest bar, in seconds, are too much."""
        return np.zeros(len(ages), np.bool_) if self._max_age is None else ages > self._max_age.total_seconds()

    def _whole(self, source: BarSource, symbol: str) -> Frame:
        wholes = _wholes.setdefault(source, {})
        whole = wholes.get(symbol)
        if whole is None:
            whole = wholes[symbol] = frame_of(symbol, source.bars(symbol))
        return whole

    def _trouble(self, symbol: str, newest: datetime | None, at: datetime) -> Reason | None:
        """Return why bars that end at *newest* cannot be used at *at*."""
        if newest is None:
            return Reason(code="bars_missing", message=f"There are no bars of {symbol}.")
        age = at - newest
        if self._max_age is None or age <= self._max_age:
            return None
        return Reason(
            code="bars_stale",
            message=f"The newest bar of {symbol} ended {newest:%Y-%m-%d %H:%M} UTC, "
            f"more than {self._max_age.days} days ago.",
            limit=f"{self._max_age.days} days",
            value=f"{age.days} days",
        )

    def _look_over(self, symbol: str, bars: Sequence[Bar]) -> None:
        """Report what is odd about the bars of *symbol* when they are first read."""
        if self._notice is None or symbol in self._frames:
            return
        repairs = getattr(self._bars, "repairs", None)
        told_by_source: Sequence[str] = repairs(symbol) if repairs is not None else ()
        odd = [*(issue.message for issue in look_at(bars)), *told_by_source]
        if odd:
            more = f" (+{len(odd) - 1} more: apex doctor)" if len(odd) > 1 else ""
            reported = f"The bars of {symbol} look odd: {odd[0]}{more}."
            self._notice(Reason(code="bars_suspect", message=reported), symbol)
