"""What becomes of a trade from each bar on: does its target come before its stop?

From each bar a long and a short trade are entered at the close, stop and target some average true ranges away. A bar
that reaches both counts for the stop, as at the venue. A trade that reaches neither in time is left out.

Source:
    M. Lopez de Prado, *Advances in Financial Machine Learning*, 2018, chapter 3, the triple-barrier method.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.features import FEATURES, Samples, features
from apex_cli.core.analysis.frame import Floats, Frame
from apex_cli.core.analysis.indicators import indicators

STOPS = (0.5, 1.0, 2.0, 3.0)
"""Distances of stops, in average true ranges."""

REWARDS = (1.0, 2.0, 3.0)
"""Distances of targets, as multiples of the stop's."""

MOST_BARS = 120
"""Bars within which a trade must end to be learned from."""

ALONG = tuple(f"along_{name}" for name in FEATURES)
"""The same features times the side: what a long wants of them, a short wants the other way round."""

TERMS = ("side", "stop_ranges", "target_ranges", "fair_log_odds")
COLUMNS = (*FEATURES, *ALONG, *TERMS)
"""Names of the columns of a trade."""

_PLANS = tuple((stop, stop * reward) for stop in STOPS for reward in REWARDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades(Samples):
    """Trades of all symbols by the bar they were entered at: columns as ``COLUMNS``, 1 where the target came first."""

    until: NDArray[np.int64]
    """End of the bar that decided it."""


def trade_row(row: Floats, side: int, stop_ranges: float, target_ranges: float) -> Floats:
    """Return the features of a bar, *row*, with the terms of a trade from it.

    ``fair_log_odds`` is ln(stop / target): of a price without drift the target comes first with stop / (stop + target).
    """
    terms = [side, stop_ranges, target_ranges, np.log(stop_ranges / target_ranges)]
    return np.concatenate([row, row * side, terms])


def trades_of(frames: Iterable[Frame]) -> Trades:
    """Return every decided trade of *frames*; each bar takes the next of the plans, in turn, for both sides."""
    found = [_trades(frame) for frame in frames if len(frame) > 1 and frame.is_finite]
    if not found:
        empty = np.zeros(0, dtype=np.int64)
        return Trades(rows=np.zeros((0, len(COLUMNS))), targets=empty, ends=empty, until=empty)
    return Trades.joined(found)


def _trades(frame: Frame) -> Trades:
    table, ranges = features(frame), indicators(frame).atr
    plans = np.array([_PLANS[place % len(_PLANS)] for place in range(len(frame))])
    usable = np.isfinite(table).all(axis=1) & np.isfinite(ranges) & (np.nan_to_num(ranges) > 0)
    parts = []
    for side in (1, -1):
        won, last = decided(frame, plans * np.where(usable, ranges, 1.0)[:, None], side)
        good = usable & (last >= 0)
        terms = np.column_stack([np.full(len(frame), float(side)), plans, np.log(plans[:, 0] / plans[:, 1])])
        rows = np.hstack([table, table * side, terms])[good]
        parts.append(Trades(rows=rows, targets=won[good], ends=frame.ends[good], until=frame.ends[last[good]]))
    return Trades.joined(parts)


def decided(frame: Frame, distances: Floats, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return whether the target came first from each bar on, 1 or 0, and the bar that decided it, -1 for none.

    *distances* are those of stop and target from the close, a row a bar, in prices; *side* is 1 for long, -1 for short.
    """
    count = len(frame)
    against, along = (frame.low, frame.high) if side > 0 else (-frame.high, -frame.low)
    start = frame.close * side
    stopped = _first(against, start - distances[:, 0], is_above=False)
    reached = _first(along, start + distances[:, 1], is_above=True)
    last = np.minimum(stopped, reached)
    places = np.arange(count) + 1 + last
    return (reached < stopped).astype(np.int64), np.where(last < MOST_BARS, places, -1).astype(np.int64)


def _first(extremes: Floats, levels: Floats, *, is_above: bool) -> NDArray[np.int64]:
    """Return how many bars after each one's next the level is first reached; ``MOST_BARS`` for never."""
    padding = np.full(MOST_BARS, -np.inf if is_above else np.inf)
    following = np.lib.stride_tricks.sliding_window_view(np.concatenate([extremes[1:], padding]), MOST_BARS)
    hit = following >= levels[:, None] if is_above else following <= levels[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), MOST_BARS).astype(np.int64)
