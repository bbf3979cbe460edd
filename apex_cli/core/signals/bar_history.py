"""The bars known at a moment, as a frame: one way for every step and scanner, with one look at their state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Frame, extended, frame_of, seconds
from apex_cli.core.analysis.quality import look_at
from apex_cli.core.errors import ApexError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import BarSource

_wholes: WeakKeyDictionary[BarSource, dict[str, Frame]] = WeakKeyDictionary()
"""Whole histories of sources that never change: shared by every step, scanner and setting that reads them."""


class History:
    """Gives frames of the latest bars; never a bar that has not ended."""

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
        self._looked_over: set[str] = set()
        self._bars = bars
        self._length = length
        self._max_age = max_age
        self._notice = notice
        self._frames: dict[str, tuple[Sequence[Bar], Frame]] = {}

    def frame(self, symbol: str, at: datetime) -> Frame | Reason:
        """Return the frame of *symbol* as of *at*, or why there is none."""
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
        return frame

    def _beginning(self, source: BarSource, symbol: str, at: datetime) -> Frame | Reason:
        """Return what of the whole history of *symbol* was known at *at*."""
        whole = self._whole(source, symbol)
        if symbol not in self._looked_over:
            self._looked_over.add(symbol)
            self._look_over(symbol, source.bars(symbol, until=at + LAST_SECOND))
        count = int(np.searchsorted(whole.ends, seconds(at + LAST_SECOND), side="right"))
        end = datetime.fromtimestamp(int(whole.ends[count - 1]), UTC) if count else None
        trouble = self._trouble(symbol, end, at)
        if trouble is not None:
            return trouble
        known = self._frames.get(symbol)
        if known is None or len(known[1]) != count:
            known = self._frames[symbol] = (), whole.first(count)
        return known[1]

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
