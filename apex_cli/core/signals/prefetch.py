"""Bars that have to be asked for, in memory before anybody reads them: a source, and the chore that fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta

from apex_cli.core.errors import ApexError, BrokerError
from apex_cli.core.model.market import Bar, bars_between
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalReport
from apex_cli.core.ports import SignalBatch, SignalSource

NOT_FETCHED = "bars_not_fetched"
"""Code of bars that were asked for and did not come; reported once for all symbols."""

Fetch = Callable[[str], Awaitable[Sequence[Bar]]]
"""Asks for the bars of one symbol, as slowly as the other side wants to be asked; ApexError when there are none."""

RoundOf = Callable[[datetime], datetime | None]
"""The end of the newest bar that can be had at a time: when it changes, everything is asked for again."""

RETRY = timedelta(minutes=10)
MOST_WAIT_S = 60.0
"""How long a run that does not come back waits for its bars."""


class Prefetch:
    """A ``BarSource`` and a ``Chore``: asks for the bars of a watch list in the background, and hands out what came.

    One symbol's trouble is not the others': it is tried again, reported once, and its older bars stay in use.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        fetch: Fetch,
        round_of: RoundOf,
        notice: Callable[[Reason, str], None],
        *,
        wait_s: float = 0,
    ) -> None:
        """Ask *fetch* for *symbols*; the first round is waited for, but no longer than *wait_s*."""
        self._symbols = tuple(symbols)
        self._fetch = fetch
        self._round_of = round_of
        self._notice = notice
        self._wait_s = wait_s
        self._known: dict[str, tuple[Bar, ...]] = {}
        self._failed: dict[str, ApexError] = {}
        self._task: asyncio.Task[None] | None = None
        self._round: datetime | None = None
        self._begun: datetime | None = None
        self.is_ready = False
        """True when a round brought bars, or was waited for long enough."""

    # Source

    def symbols(self) -> Sequence[str]:
        """Return the watch list."""
        return self._symbols

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first, as far as they were asked for.

        Raises:
            BrokerError: there are none yet.
        """
        known = self._known.get(symbol)
        if known is None:
            raise self._missing(symbol)
        return bars_between(known, after, until)

    def _missing(self, symbol: str) -> BrokerError:
        if symbol not in self._symbols:
            reported = f"Bars of {symbol} are not asked for: it is not in scanners.watch_list."
            return BrokerError("bars_missing", reported, hint="Add it there, or set prices.bars_dir.")
        error = self._failed.get(symbol)
        why = error.message if error is not None else "the broker has not answered yet."
        return BrokerError(NOT_FETCHED, f"There are no bars of {symbol} yet: {why}")

    # Chore

    async def tend(self, now: datetime) -> bool:
        """Begin a round when one is due; never True, as nothing of it concerns a trade."""
        if self._task is None and (todo := self._due(now)):
            self._round, self._begun = self._round_of(now), now
            self._task = asyncio.create_task(self._ask_for(todo))
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=0 if self.is_ready else self._wait_s)
            is_over = self._task.done() and bool(self._known)
            self.is_ready = self.is_ready or is_over or self._wait_s > 0
            if self._task.done():
                self._task = None
                self._report()
        return False

    def _due(self, now: datetime) -> tuple[str, ...]:
        if self._begun is None or self._round_of(now) != self._round:
            return self._symbols
        return tuple(self._failed) if now - self._begun >= RETRY else ()

    async def _ask_for(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            try:
                bars = tuple(await self._fetch(symbol))
            except ApexError as error:
                self._failed[symbol] = error
                continue
            except Exception as error:  # noqa: BLE001 - one symbol's trouble is not the others'
                self._failed[symbol] = BrokerError(NOT_FETCHED, f"{type(error).__name__}: {error}")
                continue
            self._known[symbol] = bars
            self._failed.pop(symbol, None)

    def _report(self) -> None:
        if not self._failed:
            return
        (symbol, error), *others = self._failed.items()
        also = f" Nor of {', '.join(name for name, _ in others)}." if others else ""
        minutes = int(RETRY.total_seconds() / 60)
        reported = f"No new bars of {symbol}: {error.message}{also} They are asked for again every {minutes} minutes."
        self._notice(Reason(code=NOT_FETCHED, message=reported), "prefetch")


class Awaiting:
    """A scanner that looks only when the bars of its watch list are there: it would not look again for a while."""

    def __init__(self, source: SignalSource, prefetch: Prefetch) -> None:
        """Hold *source* back until *prefetch* is ready."""
        self._source = source
        self._prefetch = prefetch

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield what the scanner finds; nothing before it has bars."""
        if self._prefetch.is_ready:
            yield from self._source.poll(now)

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Mark *batch* as done."""
        self._source.settle(batch, reports)
