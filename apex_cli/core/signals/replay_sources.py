"""Signals of a replay: those of a file when their time has come, or those of a simple rule."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from apex_cli.core.market.calendar import LAST_SECOND, minute_digits
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.records import RejectedRow, SignalReport
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import BarSource, SignalBatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from apex_cli.core.analysis.frame import Floats

MOST_KEPT = 10_000
"""Signals that are kept for other settings."""

CHANNEL = 20
"""Bars of the channel that a close must break."""

RANGE_BARS = 14
STOP_RANGES, TARGET_RANGES = Decimal(2), Decimal(5)
"""Distance of stop and target from the entry, in average true ranges: reward:risk 2.5."""

LOOK_BACK = timedelta(days=75)
HOLDS_FOR = timedelta(hours=1)
CENT = Decimal("0.01")
PLACES = Decimal("0.0001")
LEAST_CONFIDENCE, MOST_CONFIDENCE = Decimal("0.65"), Decimal("0.90")
ONE = Decimal(1)


class TimedSource:
    """Signals read beforehand; each comes up once, when the clock has reached its time.

    A clock of bars stands one second before the end of a bar: a signal of that very end is known there, too.
    """

    def __init__(self, batches: Iterable[SignalBatch]) -> None:
        """Take the rows of *batches*, whatever their order."""
        rows = [pair for batch in batches for pair in zip(batch.signals, batch.where, strict=True)]
        self._rows = sorted(rows, key=lambda row: row[0].created_at)
        self._rejected: tuple[RejectedRow, ...] = tuple(row for batch in batches for row in batch.rejected)
        self._next = 0
        self._due: dict[datetime, list[str]] = {}

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield everything made up to *now* that was not yielded before."""
        first = self._next
        while self._next < len(self._rows) and self._rows[self._next][0].created_at <= now + LAST_SECOND:
            self._next += 1
        due = self._rows[first : self._next]
        if due or self._rejected:
            rejected, self._rejected = self._rejected, ()
            signals = tuple(replace(signal, created_at=min(signal.created_at, now)) for signal, _ in due)
            yield SignalBatch(name="replay", signals=signals, where=tuple(where for _, where in due), rejected=rejected)

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime]:
        """Return the first of *ends* at which each row is due."""
        for signal, _ in self._rows:
            place = bisect_left(ends, signal.created_at)
            if place < len(ends):
                self._due.setdefault(ends[place], []).append(signal.instrument.bars_name)
        return self._due.keys()

    def foresees(self) -> Mapping[datetime, Sequence[str]]:
        """Return the price histories of the signals that are due at which end of a bar."""
        return self._due

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Do nothing: nothing comes twice."""


class BreakoutRule:
    """Buys a close above the highest high of the twenty bars before, as a baseline to compare with.

    Stop two average true ranges below, target five above. A breakout counts on the bar that makes it, not on those
    that follow.

    Source:
        Richard Donchian's channel; the average true range over 14 bars, J. Welles Wilder, "New Concepts in Technical
        Trading Systems", 1978, here as a plain mean.
    """

    name = "breakout"

    def __init__(self, bars: BarSource) -> None:
        """Watch every symbol of *bars*."""
        self._bars = bars
        self._symbols = tuple(bars.symbols())
        self._last: datetime | None = None
        self._likely: dict[datetime, list[str]] | None = None
        """Symbols that may break out, by the end of the bar; None: any may at each."""

        self._found: dict[tuple[str, datetime], Signal | None] | None = None

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch a step of time, when a symbol breaks out."""
        if self._last is not None and now <= self._last:
            return
        self._last = now
        symbols = self._symbols if self._likely is None else self._likely.get(now + LAST_SECOND, ())
        found = [signal for symbol in symbols if (signal := self._look(symbol, now)) is not None]
        if found:
            yield SignalBatch(name=self.name, signals=tuple(found), where=("rule",) * len(found))

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Do nothing: nothing comes twice."""

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime] | None:
        """Return those of *ends* at which a symbol may break out, seen at once on arrays; None without numpy."""
        try:
            from apex_cli.core.analysis.frame import frame_of, moments  # noqa: PLC0415 - an extra
        except ImportError:
            return None
        self._found = _signals.setdefault(self._bars, {})
        likely: dict[datetime, list[str]] = {}
        for symbol in self._symbols:
            frame = frame_of(symbol, self._bars.bars(symbol))
            for end in moments(frame.ends[_may_break_out(frame.high, frame.close)]):
                likely.setdefault(end, []).append(symbol)
        self._likely = likely
        return [moment for moment in likely if ends[0] <= moment <= ends[-1]]

    def foresees(self) -> Mapping[datetime, Sequence[str]]:
        """Return which symbols may break out at which end of a bar, as far as that is known beforehand."""
        return self._likely or {}

    def _look(self, symbol: str, now: datetime) -> Signal | None:
        """Return the signal of *symbol* at *now*, found once for every setting that replays the same bars."""
        if self._found is None:
            return self._signal_of(symbol, now)
        if (symbol, now) in self._found:
            return self._found[symbol, now]
        signal = self._signal_of(symbol, now)
        if len(self._found) < MOST_KEPT:
            self._found[symbol, now] = signal
        return signal

    def _signal_of(self, symbol: str, now: datetime) -> Signal | None:
        known = self._bars.bars(symbol, after=now - LOOK_BACK, until=now + LAST_SECOND)[-CHANNEL - 2 :]
        if len(known) < CHANNEL + 2 or known[-1].end != now + LAST_SECOND:
            return None
        past = _past(known)
        channel = max(past.high[1:-1])
        if past.close[-1] <= channel or past.close[-2] > max(past.high[:-2]):
            return None
        return _signal(known[-1], past, channel * past.price_unit, now)


_signals: WeakKeyDictionary[BarSource, dict[tuple[str, datetime], Signal | None]] = WeakKeyDictionary()
"""Signals of the rule by symbol and time, for bars that never change."""


def _may_break_out(high: Floats, close: Floats) -> NDArray[np.bool_]:
    """Return at which bars the rule may find a breakout; it decides itself, by exact prices.

    Two prices that are different are never the other way round as floats, but may be the same one.
    """
    import numpy as np  # noqa: PLC0415 - an extra

    found = np.zeros(len(close), dtype=np.bool_)
    if len(close) > CHANNEL + 1:
        channel = np.lib.stride_tricks.sliding_window_view(high, CHANNEL).max(axis=1)
        now, before = channel[1:-1], channel[:-2]
        found[CHANNEL + 1 :] = (close[CHANNEL + 1 :] >= now) & (close[CHANNEL:-1] <= before)
    return found


class _Past(NamedTuple):
    """The last bars, in columns of whole numbers where the bars are arrays, else of decimals."""

    high: Sequence[Decimal]
    low: Sequence[Decimal]
    close: Sequence[Decimal]
    volume: Sequence[Decimal]
    price_unit: Decimal = ONE
    """What a 1 of the prices is worth."""

    volume_unit: Decimal = ONE


def _past(bars: Sequence[Bar]) -> _Past:
    whole: Callable[[], Sequence[Any]] | None = getattr(bars, "whole_numbers", None)
    if whole is not None:
        return _Past(*whole())
    high, low, close, volume = zip(*((bar.high, bar.low, bar.close, bar.volume) for bar in bars), strict=True)
    return _Past(high, low, close, volume)


def average_true_range(bars: Sequence[Bar]) -> Decimal:
    """Return the mean true range over all but the first of *bars*.

    true range = max(high, previous close) - min(low, previous close)
    """
    return _true_ranges(_past(tuple(bars)), len(bars) - 1) / (len(bars) - 1)


def _true_ranges(past: _Past, count: int) -> Decimal:
    """Return the sum of the last *count* true ranges."""
    tops = map(max, past.high[-count:], past.close[-count - 1 : -1])
    bottoms = map(min, past.low[-count:], past.close[-count - 1 : -1])
    return (sum(tops) - sum(bottoms)) * past.price_unit


def _signal(last: Bar, past: _Past, channel: Decimal, now: datetime) -> Signal | None:
    range_ = _true_ranges(past, RANGE_BARS) / RANGE_BARS
    stop = (last.close - STOP_RANGES * range_).quantize(CENT)
    target = (last.close + TARGET_RANGES * range_).quantize(CENT)
    if not 0 < stop < last.close < target:
        return None
    strength = min((last.close - channel) / range_, ONE)
    volumes = past.volume[-CHANNEL - 1 : -1]
    volume = sum(volumes) * past.volume_unit / CHANNEL
    dollars = sum(map(mul, volumes, past.close[-CHANNEL - 1 : -1])) * past.volume_unit * past.price_unit / CHANNEL
    return Signal(
        signal_id=f"{BreakoutRule.name}-{last.symbol}-{minute_digits(last.end)}",
        instrument=of_key(last.symbol),
        signal_type=SignalType.BUY,
        entry_price=last.close,
        stop_loss=Price(stop),
        target_prices=(Price(target),),
        confidence=(LEAST_CONFIDENCE + (MOST_CONFIDENCE - LEAST_CONFIDENCE) * strength).quantize(PLACES),
        strategy=BreakoutRule.name,
        source="replay",
        created_at=now,
        expires_at=now + HOLDS_FOR,
        metadata={
            "atr": float(range_.quantize(PLACES)),
            "avg_dollar_volume": float(dollars.quantize(CENT)),
            **({"volume_ratio": float((last.volume / volume).quantize(PLACES))} if volume else {}),
        },
    )


RULES = {BreakoutRule.name: BreakoutRule}
"""Built-in sources by name, each made from the bars of the replay."""
