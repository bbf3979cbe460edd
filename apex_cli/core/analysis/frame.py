"""The bars of one symbol as arrays: what every indicator reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from itertools import takewhile
from typing import Any, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.model.market import Bar

FoundT = TypeVar("FoundT")
Floats = NDArray[np.float64]


@runtime_checkable
class HasColumns(Protocol):
    """Bars that are arrays already."""

    def floats(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the ends in whole seconds since 1970, and a row each of open, high, low, close, volume."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Frame:
    """Bars of one symbol, oldest first, as arrays of one length."""

    symbol: str
    ends: NDArray[np.int64]
    """End of each bar, whole seconds since 1970 UTC."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.close)

    def first(self, count: int) -> Frame:
        """Return the first *count* bars: what was known at the end of bar *count* - 1."""
        columns = {name: getattr(self, name)[:count] for name in ("ends", "open", "high", "low", "close", "volume")}
        return replace(self, **columns)

    @property
    def is_finite(self) -> bool:
        """True when every number is one: no NaN, no infinity."""
        return len(self) <= finite_bars(self)


def once_a_frame(compute: Callable[[Frame], FoundT]) -> Callable[[Frame], FoundT]:
    """Return *compute* with what it found for a frame remembered as long as that frame is there."""
    known: WeakKeyDictionary[Frame, FoundT] = WeakKeyDictionary()

    @wraps(compute)
    def look_up(frame: Frame) -> FoundT:
        found = known.get(frame)
        if found is None:
            found = known[frame] = compute(frame)
        return found

    return look_up


@once_a_frame
def finite_bars(frame: Frame) -> int:
    """Return how many bars from the first on hold numbers alone."""
    columns = (frame.open, frame.high, frame.low, frame.close, frame.volume)
    odd = ~np.isfinite(np.vstack(columns)).all(axis=0)
    return int(odd.argmax()) if odd.any() else len(frame)


def frame_of(symbol: str, bars: Sequence[Bar]) -> Frame:
    """Return *bars*, oldest first, as arrays; statistics work on floats, money never does."""
    ends, columns = columns_of(bars)
    return Frame(
        symbol=symbol,
        ends=ends,
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=columns[4],
    )


def columns_of(bars: Sequence[Bar]) -> tuple[NDArray[np.int64], Floats]:
    """Return the ends in whole seconds since 1970, and a row each of open, high, low, close, volume."""
    return bars.floats() if isinstance(bars, HasColumns) else _converted(bars)


def _converted(bars: Sequence[Bar]) -> tuple[NDArray[np.int64], Floats]:
    rows = np.array([(b.open, b.high, b.low, b.close, b.volume) for b in bars], dtype=np.float64).reshape(-1, 5)
    return np.array([seconds(bar.end) for bar in bars], dtype=np.int64), np.ascontiguousarray(rows.T)


def extended(frame: Frame, old: Sequence[Bar], bars: Sequence[Bar]) -> Frame:
    """Return the frame of *bars*, of which *frame* holds the *old* ones: only what came since is converted.

    Where *bars* do not continue *old*, as after a correction, everything is converted again.
    """
    fresh = sum(1 for _ in takewhile(lambda bar: bar.end > old[-1].end, reversed(bars)))
    gone = len(old) + fresh - len(bars)
    if gone < 0 or tuple(old[gone:]) != tuple(bars[: len(bars) - fresh]):
        return frame_of(frame.symbol, bars)
    if not fresh and not gone:
        return frame
    news = frame_of(frame.symbol, bars[len(bars) - fresh :])
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(frame, name)[gone:], getattr(news, name)))
        for name in ("ends", "open", "high", "low", "close", "volume")
    }
    return replace(frame, **columns)


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return *numbers* in order, each once; ``np.unique`` loads masked arrays for it, which takes 10 ms.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(numbers)
    is_new = np.ones(len(ordered), np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def moments(ends: NDArray[np.int64]) -> list[datetime]:
    """Return *ends*, whole seconds since 1970, as aware UTC."""
    return [datetime.fromtimestamp(end, UTC) for end in ends.tolist()]


def seconds(at: datetime) -> int:
    """Return *at*, aware, as whole seconds since 1970 UTC."""
    return int(at.timestamp())
