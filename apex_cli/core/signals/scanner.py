"""A scanner as a source of signals: looks over a watch list, each time its interval is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from operator import sub
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame, finite_bars, seconds
from apex_cli.core.analysis.indicators import Indicators, indicators_of
from apex_cli.core.analysis.technical import MIN_BARS
from apex_cli.core.market.calendar import LAST_SECOND, NEW_YORK, minute_digits, session_bounds
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, ceil_to_step, floor_to_step
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalReport
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import SignalBatch
from apex_cli.core.signals.bar_history import History, Known
from apex_cli.core.signals.bar_validity import valid_until
from apex_cli.core.signals.context import PipelineContext
from apex_cli.core.signals.prefetch import NOT_FETCHED

Scan = Callable[[Frame, Indicators, int], Floats]
"""Confidence at every bar for a direction, 0 where there is no signal."""

DIGITS = 6


@lru_cache(maxsize=8)
def polled(ends: tuple[datetime, ...], interval: timedelta, *, needs_open_market: bool) -> tuple[datetime, ...]:
    """Return those of *ends*, the moments of a clock of bars, at which a scanner looks."""
    found: list[datetime] = []
    for end in ends:
        is_over = not found or end - found[-1] >= interval
        if is_over and not (needs_open_market and not _is_open(end - LAST_SECOND)):
            found.append(end)
    return tuple(found)


def _is_open(now: datetime) -> bool:
    bounds = session_bounds(now.astimezone(NEW_YORK).date())
    return bounds is not None and bounds[0] <= now < bounds[1]


_confidences: WeakKeyDictionary[Frame, dict[tuple[Any, ...], Floats]] = WeakKeyDictionary()
"""Where a pattern is in a whole history, by the pattern with its bounds: settings with the same ones share it."""


class Levels(NamedTuple):
    """Distances from the entry in average true ranges."""

    stop_atr: Decimal = Decimal(2)
    target_atr: Decimal = Decimal(4)


class Scanner:
    """Looks for one pattern at the last complete bar of every symbol of the watch list.

    It looks while the market is open only: a signal found at night would be refused, and be a duplicate in the
    morning. Its ``signal_id`` names scanner, symbol, direction and end of the bar, so that the same bar looked at
    again, by this process or another, is a duplicate.
    """

    def __init__(
        self,
        name: str,
        scan: Scan,
        context: PipelineContext,
        history: History,
        *,
        interval: timedelta,
        signs: Sequence[int] = (1,),
        levels: Levels = Levels(),  # noqa: B008 - immutable
        needs_open_market: bool = True,
    ) -> None:
        """Keep the pattern and where to look."""
        self.name = name
        self._scan = scan
        self._watch_list = context.watch_list
        self._history = history
        self._interval = interval
        self._signs = signs
        self._levels = levels
        self._needs_open_market = needs_open_market
        self._notice = context.notice
        self._last: datetime | None = None
        self._looked: dict[str, int] = {}
        self._due: dict[datetime, list[str]] | None = None
        """What to look at, by the end of a bar, where that is known beforehand."""
        self._pattern: tuple[Any, ...] = (scan,)
        if isinstance(scan, partial):
            self._pattern = (scan.func, *scan.args, *sorted(scan.keywords.items()))

    def poll(self, now: datetime) -> Iterable[SignalBatch]:
        """Yield one batch of signals when the interval is over and something was found."""
        if self._due is not None:
            if symbols := self._due.get(now + LAST_SECOND):
                yield from self._batch(symbols, now)
            return
        if self._last is not None and now - self._last < self._interval:
            return
        if self._needs_open_market and not _is_open(now):
            return
        self._last = now
        yield from self._batch(self._watch_list, now)

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime] | None:
        """Return those of *ends*, the moments of a clock of bars, at which there may be something; None where it fails.

        The pattern is looked for once over each whole history; a symbol is due where there is a signal, and where
        something about its bars has to be said.
        """
        polls = polled(tuple(ends), self._interval, needs_open_market=self._needs_open_market)
        at = np.array([seconds(poll) for poll in polls], dtype=np.int64)
        due: dict[datetime, list[str]] = {}
        try:
            for symbol in self._watch_list:
                for number in self._due_polls(symbol, at):
                    due.setdefault(polls[number], []).append(symbol)
        except Exception:  # noqa: BLE001 - a pattern may be anybody's code: it is looked for bar by bar
            return None
        self._due = due
        return due.keys()

    def foresees(self) -> Mapping[datetime, Sequence[str]]:
        """Return which symbols may have a signal at which end of a bar, as far as that is known beforehand."""
        return self._due or {}

    def _due_polls(self, symbol: str, at: NDArray[np.int64]) -> list[int]:
        """Return the numbers of the polls, which are *at* these seconds, in which *symbol* has to be looked at."""
        frame = self._history.whole(symbol)
        if not len(at) or frame is None or not len(frame):
            return [0][: len(at)]
        newest = np.searchsorted(frame.ends, at, side="right") - 1
        is_new = np.append(newest[:1], np.diff(newest)) > 0
        is_new[0] = True
        hits = np.zeros(len(frame), dtype=np.bool_)
        for sign in self._signs:
            hits |= self._confidences(frame, sign) > 0
        said = (newest >= 0, newest >= finite_bars(frame), self._history.is_late(at - 1 - frame.ends[newest]))
        firsts = {int(each.argmax()) for each in said if each.any()}
        return sorted({0, *firsts, *np.flatnonzero(is_new & (newest >= 0) & hits[newest]).tolist()})

    def _batch(self, symbols: Iterable[str], now: datetime) -> Iterator[SignalBatch]:
        signals = tuple(signal for symbol in symbols for signal in self._try(symbol, now))
        if signals:
            name = f"scanner {self.name}"
            yield SignalBatch(name=name, signals=signals, where=(name,) * len(signals))

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Do nothing: a bar is looked at once, and its signals are known by their ids."""

    def _try(self, symbol: str, now: datetime) -> tuple[Signal, ...]:
        try:
            return tuple(self._look(symbol, now))
        except Exception as error:  # noqa: BLE001 - a pattern may be anybody's code, and other symbols wait
            what = f"The scanner {self.name} failed on {symbol}: {type(error).__name__}: {error}."
            self._notice(Reason(code="scanner_failed", message=what), f"{self.name} {symbol}")
            return ()

    def _look(self, symbol: str, now: datetime) -> Iterator[Signal]:
        """Yield the signals of one symbol; what is wrong with it is reported once, and the others still work."""
        known = self._history.known(symbol, now)
        if isinstance(known, Reason):
            if known.code != NOT_FETCHED:
                self._notice(known, symbol)
            return
        if known.length < MIN_BARS or known.length > finite_bars(known.frame):
            why = f"fewer than {MIN_BARS} bars" if known.length < MIN_BARS else "values that are no numbers"
            self._notice(Reason(code="bars_unusable", message=f"{symbol} cannot be scanned: it has {why}."), symbol)
            return
        if self._looked.get(symbol) == known.end:
            return
        self._looked[symbol] = known.end
        for sign in self._signs:
            confidence = float(self._confidences(known.frame, sign)[known.length - 1])
            signal = self._signal(known, sign, confidence, now) if confidence > 0 else None
            if signal is not None:
                yield signal

    def _confidences(self, frame: Frame, sign: int) -> Floats:
        """Return the pattern's confidence at each bar, found once for each frame."""
        known = _confidences.setdefault(frame, {})
        asked = *self._pattern, sign
        found = known.get(asked)
        if found is None:
            found = known[asked] = self._scan(frame, indicators_of(frame), sign)
        return found

    def _signal(self, known: Known, sign: int, confidence: float, now: datetime) -> Signal | None:
        """Return the proposal, None where its levels make no sense (no range, or a stop at or below zero)."""
        frame, at, facts = known.frame, known.length - 1, indicators_of(known.frame)
        instrument = of_key(frame.symbol)
        close, atr = (Decimal(repr(float(values[at]))) for values in (frame.close, facts.atr))
        prices = bracket_levels(close, atr, sign, instrument, self._levels)
        if prices is None:
            return None
        entry, stop, target = prices
        end = datetime.fromtimestamp(known.end, UTC)
        ends = frame.ends[max(at - 5, 0) : at + 1].tolist()
        signal_type = SignalType.BUY if sign > 0 else SignalType.SHORT
        return Signal(
            signal_id=f"{self.name}-{frame.symbol}-{minute_digits(end)}-{signal_type}",
            instrument=instrument,
            signal_type=signal_type,
            entry_price=entry,
            stop_loss=stop,
            target_prices=(target,),
            confidence=Decimal(f"{confidence:.4f}"),
            strategy=self.name,
            source="scanner",
            created_at=min(end, now),
            expires_at=valid_until(end, timedelta(seconds=min(map(sub, ends[1:], ends)))),
            metadata=_facts(self.name, facts, at, end),
        )


def bracket_levels(
    entry: Decimal, atr: Decimal, sign: int, instrument: Instrument, levels: Levels
) -> tuple[Price, Price, Price] | None:
    """Return entry, stop and target on the tick grid; None when the stop would be at zero, or at the entry.

    The stop's distance is rounded down and the target follows from it, rounded up: reward over risk is never
    less than ``target_atr / stop_atr``.
    """
    if not atr.is_finite():
        return None
    tick = instrument.tick_at(entry + atr * max(levels.stop_atr, levels.target_atr))
    entry = floor_to_step(entry, tick)
    risk = floor_to_step(atr * levels.stop_atr, tick)
    reward = ceil_to_step(risk * levels.target_atr / levels.stop_atr, tick)
    stop, target = entry - sign * risk, entry + sign * reward
    if risk <= 0 or min(stop, target) <= 0:
        return None
    return Price(entry), Price(stop), Price(target)


def _facts(name: str, known: Indicators, at: int, end: datetime) -> dict[str, str | int | float | bool | None]:
    """Return why the scanner spoke up: the numbers its rule reads."""
    numbers = {
        "rsi": float(known.rsi[at]),
        "adx": float(known.adx[at]),
        "atr": float(known.atr[at]),
        "volume_ratio": float(known.volume_ratio[at]),
        "avg_dollar_volume": float(known.dollar_volume[at]),
    }
    rounded = {key: round(value, DIGITS) for key, value in numbers.items() if value == value}  # noqa: PLR0124 - NaN is not itself
    return {"scanner": name, "bar_end": end.isoformat(), "bars": at + 1, **rounded}
