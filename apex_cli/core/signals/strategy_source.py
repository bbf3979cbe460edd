"""A strategy as a source of signals: called once for each bar that ends, the same way in a run and in a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from apex_cli.core.errors import ApexError
from apex_cli.core.market.calendar import LAST_SECOND, market_status
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalReport
from apex_cli.core.model.signal import Signal as ReadSignal
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import BarSource, SignalBatch
from apex_cli.core.signals.bar_validity import valid_until
from apex_cli.core.signals.context import PipelineContext
from apex_cli.core.signals.plugin_limits import DEFAULT_TIME_S, LeftOutError, Limits, described
from apex_cli.core.signals.prefetch import NOT_FETCHED
from apex_cli.core.signals.strategy import Context, OnBar, Signal, give_arrays, has_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Columns = tuple[NDArray[np.int64], NDArray[np.float64]]

ReadProposed = Callable[[Signal, datetime, str], ReadSignal | RejectedRow]
"""Reads what a strategy returned as a row of a signal file, at a time, with where it came from."""

STEPS = 5
"""Newest bars whose shortest distance is the length of a bar."""

MOST_ID = 64
"""Characters of an id; a longer one is made of the content instead."""


class StrategySource:
    """Calls a strategy for every symbol whose newest bar is new; what it returns goes the way of every signal.

    A bar's signal has one id, so that the same bar seen again, by this process or another, is a duplicate. Where orders
    wait for an open market, so does the strategy: what it sees at night would be refused, and be a duplicate in the
    morning. What fails is reported with the bar and asked again at the next one; what does not answer in time, or takes
    more memory than it may, is left out for the rest of the run.
    """

    def __init__(
        self,
        name: str,
        on_bar: OnBar,
        context: PipelineContext,
        read: ReadProposed,
        *,
        symbols: Sequence[str],
        length: int,
        max_age: timedelta | None,
        needs_open_market: bool,
        parameters: Mapping[str, int | float] | None,
        raises: bool,
    ) -> None:
        """Keep what to call and where to look.

        Args:
            name: of the strategy, as signals and messages say it.
            on_bar: what is called.
            context: bars, limits, and who hears what went wrong.
            read: judges what is returned.
            symbols: what is looked at.
            length: the most bars that are shown.
            max_age: of the newest bar; None: any.
            needs_open_market: whether a symbol is looked at while its market is open only.
            parameters: handed on.
            raises: True: an error of the strategy ends the run, and nothing limits its time: for who writes it.
        """
        self.name = name
        self._on_bar = on_bar
        self._context = context
        self._read = read
        self._symbols = tuple(symbols)
        self._length = length
        self._max_age = max_age
        self._needs_open_market = needs_open_market
        self._parameters = parameters or {}
        self._raises = raises
        self._limits = context.limits or Limits(DEFAULT_TIME_S)
        self._looked: dict[str, datetime] = {}
        self._is_left_out = False
        self._wants_columns = False
        self._wholes: dict[str, Columns] = {}

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch of all that the bars which ended by *now* make the strategy propose."""
        where = f"strategy {self.name}"
        found = [self._read(signal, now, f"{where} {at}") for signal, at in self.proposals(now)]
        if found:
            signals = tuple(each for each in found if isinstance(each, ReadSignal))
            rejected = tuple(each for each in found if isinstance(each, RejectedRow))
            yield SignalBatch(name=where, signals=signals, where=(where,) * len(signals), rejected=rejected)

    def proposals(self, now: datetime) -> Iterator[tuple[Signal, str]]:
        """Yield what the strategy proposes for bars that ended by *now* and were not looked at, each with its bar."""
        due = [(symbol, bars) for symbol in self._symbols if (bars := self._due_bars(symbol, now))]
        shown = [self._context_of(symbol, bars) for symbol, bars in due]
        for ctx, (symbol, bars), answer in zip(shown, due, self._answers(shown), strict=False):
            self._wants_columns = self._wants_columns or has_arrays(ctx)
            if isinstance(answer, Signal):
                yield self.completed(answer, bars, now), f"{symbol} {_minute(bars[-1].end)}"
            elif answer is not None:
                self._failed(symbol, bars[-1].end, answer)

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Do nothing: a bar is looked at once, and its signals are known by their ids."""

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime] | None:
        """Return those of *ends* at which a bar of a symbol ends; None where every one may be such."""
        source = self._context.bars
        if source is None or set(source.symbols()) <= set(self._symbols):
            return None
        found = {bar.end for symbol in self._symbols for bar in source.bars(symbol)}
        return [end for end in ends if end in found]

    def _due_bars(self, symbol: str, now: datetime) -> Sequence[Bar]:
        """Return the bars of *symbol* where it is to be looked at, else none; what fails stops no other symbol."""
        if self._is_left_out or (self._needs_open_market and not _is_open(symbol, now)):
            return ()
        try:
            return self._new_bars(symbol, now)
        except ApexError as error:
            self._say(Reason(code=error.code, message=error.message), symbol)
            return ()

    def _context_of(self, symbol: str, bars: Sequence[Bar]) -> Context:
        shown = Context(symbol, bars, position=self._position(symbol), parameters=self._parameters)
        give_arrays(shown, self._columns(symbol, bars))
        return shown

    def _answers(self, shown: Sequence[Context]) -> Sequence[Any]:
        """Return what the strategy returns for each, or the error that it raises; fewer where it is left out."""
        if not self._raises:
            return self._limits.call_each([partial(self._on_bar, ctx) for ctx in shown])
        return [self._answer(ctx) for ctx in shown]

    def _answer(self, ctx: Context) -> Signal | None:
        """Return what the strategy returns, without limits; an error passes through, and names the bar."""
        where = f"strategy {self.name}, {ctx.symbol}, bar that ended {_minute(ctx.now)} UTC"
        try:
            answer: Any = self._on_bar(ctx)
        except Exception as error:
            error.add_note(where)
            raise
        if answer is None or isinstance(answer, Signal):
            return answer
        raise TypeError(f"{where}: {_no_signal(answer)}")

    def completed(self, signal: Signal, bars: Sequence[Bar], now: datetime) -> Signal:
        """Return *signal* with what the bar says of it, where it does not say that itself."""
        end = bars[-1].end
        strategy = signal.strategy or self.name
        at = signal.timestamp or min(end, now)
        named = f"{strategy}-{signal.symbol}-{end:%Y%m%dT%H%M}-{signal.signal_type.upper()}"
        return replace(
            signal,
            strategy=strategy,
            source=signal.source or "strategy",
            timestamp=at,
            expires_at=signal.expires_at or valid_until(end, _step(bars)),
            signal_id=signal.signal_id or _as_id(named),
        )

    def _new_bars(self, symbol: str, now: datetime) -> Sequence[Bar]:
        """Return the bars of *symbol*, or none where there is nothing new."""
        source = self._context.bars
        if source is None:
            self._say(Reason(code="bars_missing", message="No price history is configured: set prices.bars_dir."), "")
            return ()
        bars = _prefix(source, symbol, now + LAST_SECOND, self._length)
        if not bars:
            self._say(Reason(code="bars_missing", message=f"There are no bars of {symbol}."), symbol)
            return ()
        end = bars[-1].end
        if self._looked.get(symbol) == end:
            return ()
        if self._max_age is not None and now - end > self._max_age:
            message = f"The newest bar of {symbol} ended {_minute(end)} UTC, more than {self._max_age.days} days ago."
            self._say(Reason(code="bars_stale", message=message), symbol)
            return ()
        self._looked[symbol] = end
        return bars

    def _columns(self, symbol: str, bars: Sequence[Bar]) -> Columns | None:
        """Return *bars* as arrays of their own, cut from the whole history where that never changes.

        None where arrays were never asked for: then the strategy makes its own, as it does the first time.
        """
        source = self._context.bars
        if not self._wants_columns or not self._context.are_bars_fixed or source is None:
            return None
        from apex_cli.core.analysis.frame import columns_of, seconds  # noqa: PLC0415 - an extra

        if symbol not in self._wholes:
            self._wholes[symbol] = columns_of(source.bars(symbol))
        ends, floats = self._wholes[symbol]
        last = int(ends.searchsorted(seconds(bars[-1].end), side="right"))
        rows = slice(last - len(bars), last)
        return ends[rows].copy(), floats[:, rows].copy()

    def _position(self, symbol: str) -> Any:  # noqa: ANN401 - a view, or None
        ask = self._context.position_of
        return None if ask is None else ask(symbol)

    def _failed(self, symbol: str, end: datetime, answer: object) -> None:
        """Report an error, or an answer that is no signal."""
        what = _no_signal(answer)
        if isinstance(answer, LeftOutError):
            self._is_left_out = True
            what = f"{answer}, and is left out from now on"
        elif isinstance(answer, Exception):
            hint = f" {answer.hint}" if isinstance(answer, ApexError) and answer.hint else ""
            what = f"{described(answer)}{hint}"
        message = f"The strategy {self.name} failed on {symbol} at the bar that ended {_minute(end)} UTC: {what}."
        self._say(Reason(code="strategy_failed", message=message), f"{symbol} {what}")

    def _say(self, reason: Reason, subject: str) -> None:
        if reason.code != NOT_FETCHED:
            self._context.notice(reason, f"{self.name} {subject}")


def _no_signal(answer: object) -> str:
    return f"it returned {type(answer).__name__} instead of a Signal or None"


def _is_open(symbol: str, now: datetime) -> bool:
    return market_status(of_key(symbol).market_type, now).is_open


def _prefix(source: BarSource, symbol: str, until: datetime, length: int) -> Sequence[Bar]:
    """Return the newest bars that ended by *until*, without a way to those that follow."""
    bars = source.bars(symbol, until=until)[-length:]
    alone: Callable[[], Sequence[Bar]] | None = getattr(bars, "alone", None)
    return bars if alone is None else alone()


def _step(bars: Sequence[Bar]) -> timedelta:
    """Return the length of a bar: the shortest distance between two of the newest."""
    newest = [bar.end for bar in bars[-STEPS - 1 :]]
    return min((after - before for before, after in pairwise(newest)), default=bars[-1].end - bars[-1].start)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _as_id(text: str) -> str:
    """Return *text* as the id of a signal: other signs than letters, digits and ``._:-`` become ``_``."""
    clean = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._:-") else "_" for sign in text)
    return clean.lstrip("._:-") if len(clean) <= MOST_ID else ""
