"""Historical bars over the broker's connection, paced so that the broker never has to say stop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.numbers import to_decimal, to_price
from apex_cli.core.errors import BrokerError
from apex_cli.core.market.calendar import session_bounds
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO

MOST_REQUESTS, WINDOW_S = 55, 600.0
"""The broker allows 60 requests in 10 minutes."""

PACING = 162
"""The number of a refused request for history, "pacing violation" in its text."""

BACK_OFF_S = 15.0
_WHAT = {MarketType.FOREX: "MIDPOINT", MarketType.CRYPTO: "AGGTRADES"}
_DAYS_A_YEAR = 365


class IbHistory:
    """Daily bars of any instrument, each series asked for once."""

    def __init__(self, broker: IbBroker, *, window_s: float = WINDOW_S, back_off_s: float = BACK_OFF_S) -> None:
        """Ask over the connection of *broker*."""
        self._broker = broker
        self._window_s = window_s
        self._back_off_s = back_off_s
        self._asked: deque[float] = deque()
        self._known: dict[tuple[str, int], tuple[Bar, ...]] = {}

    async def daily_bars(self, instrument: Instrument, *, days: int = 30) -> Sequence[Bar]:
        """Return the daily bars of the last *days* calendar days whose sessions are over, oldest first.

        Raises:
            BrokerError: there is no connection, no such security, or no answer.
        """
        key = (instrument.key, days)
        if key not in self._known:
            self._known[key] = await self._ask(instrument, days)
        return self._known[key]

    def forget(self) -> None:
        """Ask for every series again the next time; how often was asked is not forgotten."""
        self._known.clear()

    async def _ask(self, instrument: Instrument, days: int) -> tuple[Bar, ...]:
        """Ask, and once more after a pause when the broker says that it was too much."""
        try:
            return await self._ask_once(instrument, days)
        except BrokerError as error:
            is_pacing = error.details.get("ib_code") == PACING and "pacing" in error.message.lower()
            if not is_pacing:
                raise
        await asyncio.sleep(self._back_off_s)
        return await self._ask_once(instrument, days)

    async def _ask_once(self, instrument: Instrument, days: int) -> tuple[Bar, ...]:
        link = self._broker.link
        contract = await self._broker.catalog.quoted(instrument)
        await self._wait_for_a_turn()
        duration = f"{days} D" if days <= _DAYS_A_YEAR else f"{-(-days // _DAYS_A_YEAR)} Y"
        reported = await link.ask(
            f"the daily bars of {instrument.key}",
            lambda: link.ib.reqHistoricalDataAsync(
                contract,
                endDateTime="",
                durationStr=duration,
                barSizeSetting="1 day",
                whatToShow=_WHAT.get(instrument.market_type, "TRADES"),
                useRTH=True,
                timeout=0,
            ),
            timeout_s=self._broker.config.request_timeout_s,
        )
        bars = (_daily_bar(instrument, bar) for bar in reported)
        return tuple(bar for bar in bars if bar is not None and bar.end <= self._broker.clock.now())

    async def _wait_for_a_turn(self) -> None:
        """Wait while the requests of the last window are as many as the broker takes."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            while self._asked and now - self._asked[0] >= self._window_s:
                self._asked.popleft()
            if len(self._asked) < MOST_REQUESTS:
                self._asked.append(now)
                return
            await asyncio.sleep(self._asked[0] + self._window_s - now)


def _daily_bar(instrument: Instrument, reported: Any) -> Bar | None:  # noqa: ANN401 - either library's bar
    """Return one bar over its session; None for a day without one, or without prices."""
    day = reported.date.date() if isinstance(reported.date, datetime) else reported.date
    prices = [to_price(value) for value in (reported.open, reported.high, reported.low, reported.close)]
    bounds = _bounds(instrument, day)
    if bounds is None or None in prices:
        return None
    first, high, low, last = (price for price in prices if price is not None)
    volume = to_decimal(reported.volume) or ZERO
    return Bar(
        symbol=instrument.symbol,
        start=bounds[0],
        end=bounds[1],
        open=first,
        high=high,
        low=low,
        close=last,
        volume=max(volume, ZERO),
    )


def _bounds(instrument: Instrument, day: date) -> tuple[datetime, datetime] | None:
    """Return begin and end of *day*: its session, or the whole day where the market has none."""
    if instrument.market_type in _WHAT:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return start, start.replace(hour=23, minute=59, second=59)
    return session_bounds(day)
