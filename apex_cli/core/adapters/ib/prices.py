"""Latest prices over the broker's connection: streamed and dated; a sentinel is never taken for a price.

One subscription for each instrument that is asked for. A price is the last trade, else the middle of bid and ask,
else the last close, each with when it was true: delayed ones are a quarter of an hour old, a close is of its session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.link import Link
from apex_cli.core.adapters.ib.numbers import to_decimal, to_price
from apex_cli.core.adapters.ib.shapes import IbTicker
from apex_cli.core.adapters.ib.tap import SHORTABLE
from apex_cli.core.errors import ApexError, BrokerError
from apex_cli.core.market.calendar import session_bounds, session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.ports import Clock

DELAY = timedelta(minutes=15)
BORROWABLE = "236"
"""Generic tick of a stock that asks what can be borrowed."""

NONE_TO_BORROW = Decimal("1.5")
"""Up to this grade of tick 46 nothing can be borrowed; above 2.5 it is at least 1000."""

MOST_STREAMS = 80
"""Subscriptions held at once: an account has 100 lines at least."""

HALT_GRACE_S = 0.1
"""How long after a first price a stock's tick 49, which comes with the first ticks, is waited for."""

POLL_S = 0.005
KINDS = {1: "", 2: "frozen ", 3: "delayed ", 4: "delayed frozen "}
"""How the broker numbers what it sends."""


class Stream(Value, frozen=True, kw_only=True):
    """One subscription."""

    ticker: IbTicker
    contract: Any
    cancel: Callable[[], None]


def quote_of(ticker: IbTicker, now: datetime) -> Quote | None:
    """Return the best price that *ticker* has, None when it has none.

    A trade outside of bid and ask is older than they are: then the middle holds.
    """
    quote = _price_of(ticker, now)
    return quote and replace(quote, is_halted=_is_halted(ticker), shortable=_shortable(ticker))


def _is_halted(ticker: IbTicker) -> bool | None:
    """Return what tick 49 says: 0 trades; 1, 2 and 3 are halts; -1 is not known."""
    value = to_decimal(ticker.halted)
    return None if value is None or value < ZERO else value > ZERO


def _shortable(ticker: IbTicker) -> Decimal | None:
    """Return the units that can be borrowed; tick 46 says without a number that there are none."""
    units = to_decimal(ticker.shortableShares)
    if units is not None and units >= ZERO:
        return units
    grade = to_decimal(getattr(ticker, SHORTABLE, None))
    return ZERO if grade is not None and ZERO <= grade <= NONE_TO_BORROW else None


def _price_of(ticker: IbTicker, now: datetime) -> Quote | None:
    kind = KINDS.get(ticker.marketDataType, "")
    last, bid, ask = to_price(ticker.last), to_price(ticker.bid), to_price(ticker.ask)
    heard_at = min(ticker.time or now, now)
    at = heard_at - DELAY if "delayed" in kind else heard_at
    if "frozen" in kind:
        at = min(at, last_close(now) or at)
    spread = (bid, ask) if bid is not None and ask is not None and bid <= ask else None
    if last is not None and (spread is None or spread[0] <= last <= spread[1]):
        return Quote(price=last, at=at, source=f"{kind}last")
    if spread is not None:
        return Quote(price=Price((spread[0] + spread[1]) / 2), at=at, source=f"{kind}midpoint")
    close = to_price(ticker.close)
    closed_at = last_close(now)
    if close is not None and closed_at is not None:
        return Quote(price=close, at=closed_at, source="close")
    return None


def last_close(now: datetime) -> datetime | None:
    """Return the end of the last session that is over; None when ten days had none."""
    day = session_date(now)
    for _ in range(10):
        bounds = session_bounds(day)
        if bounds is not None and bounds[1] <= now:
            return bounds[1]
        day -= timedelta(days=1)
    return None


class IbPrices:
    """The ``PriceSource`` port over a broker's connection."""

    def __init__(self, broker: IbBroker, clock: Clock) -> None:
        """Subscribe over the connection of *broker*."""
        self._broker = broker
        self._clock = clock
        self._link: Link | None = None
        self._streams: dict[str, Stream] = {}
        self._closes: dict[str, Quote | None] = {}

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Have a price of each ready; waits for first prices only, and for those not longer than configured.

        What the broker does not report has no price: that is no error.
        """
        wanted = {instrument.key: instrument for instrument in instruments}
        try:
            link = self._broker.link
        except ApexError:
            return
        self._use(link)
        fresh = [instrument for key, instrument in wanted.items() if key not in self._streams]
        if not fresh:
            return
        await asyncio.gather(*(self._subscribe(link, instrument) for instrument in fresh))
        await self._wait_for(fresh)
        silent = [i for i in fresh if self._streamed(i, self._clock.now()) is None and i.key not in self._closes]
        await asyncio.gather(*(self._ask_close(link, instrument) for instrument in silent))

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the newest price known at *at*, None when there is none."""
        quote = self._streamed(instrument, at) or self._closes.get(instrument.key)
        return quote if quote is not None and quote.at <= at else None

    def _use(self, link: Link) -> None:
        """Begin again on a new connection: subscriptions do not survive."""
        if link is not self._link:
            self._link = link
            self._streams.clear()
            with suppress(ConnectionError):
                link.ib.reqMarketDataType(self._broker.config.market_data_type)

    async def _subscribe(self, link: Link, instrument: Instrument) -> None:
        with suppress(BrokerError, ConnectionError):  # the link may have gone since it was asked for
            contract = await self._broker.catalog.quoted(instrument)
            while len(self._streams) >= MOST_STREAMS:
                oldest = next(iter(self._streams))
                self._streams.pop(oldest).cancel()
            extra = BORROWABLE if instrument.market_type is MarketType.EQUITY else ""
            ticker = link.ib.reqMktData(contract, extra, False, False)  # noqa: FBT003 - the library's own arguments
            self._streams[instrument.key] = Stream(
                ticker=ticker, contract=contract, cancel=lambda: link.ib.cancelMktData(contract)
            )

    async def _wait_for(self, instruments: list[Instrument]) -> None:
        """Wait for first prices, and then for a moment whether each stock is halted: its tick may come after them."""
        await self._while(self._is_silent, instruments, self._broker.config.quote_timeout_s)
        stocks = [instrument for instrument in instruments if instrument.market_type is MarketType.EQUITY]
        await self._while(self._may_be_halted, stocks, HALT_GRACE_S)

    async def _while(self, is_so: Callable[[Instrument], bool], instruments: list[Instrument], most_s: float) -> None:
        waited = 0.0
        while waited < most_s and any(map(is_so, instruments)):
            await asyncio.sleep(POLL_S)
            waited += POLL_S

    def _may_be_halted(self, instrument: Instrument) -> bool:
        """Return whether prices of a stock come, and nothing said yet that it trades or is halted; -1 says so too."""
        quote = self._streamed(instrument, self._clock.now())
        return quote is not None and to_decimal(self._streams[instrument.key].ticker.halted) is None

    def _is_silent(self, instrument: Instrument) -> bool:
        """Return whether a first price may still come."""
        stream = self._streams.get(instrument.key)
        if stream is None:
            return False
        quote = quote_of(stream.ticker, self._clock.now())
        return quote is None or quote.source == "close"

    def _streamed(self, instrument: Instrument, now: datetime) -> Quote | None:
        stream = self._streams.get(instrument.key)
        return None if stream is None else quote_of(stream.ticker, now)

    async def _ask_close(self, link: Link, instrument: Instrument) -> None:
        """Take the last daily close where no price is streamed."""
        self._closes[instrument.key] = None
        stream = self._streams.get(instrument.key)
        if stream is None:
            return
        with suppress(BrokerError):
            bars = await link.ask(
                f"the last close of {instrument.key}",
                lambda: link.ib.reqHistoricalDataAsync(
                    stream.contract,
                    endDateTime="",
                    durationStr="5 D",
                    barSizeSetting="1 day",
                    whatToShow="TRADES",
                    useRTH=True,
                    timeout=self._broker.config.quote_timeout_s,
                ),
            )
            self._closes[instrument.key] = _close_of(list(bars), self._clock.now())


def _close_of(bars: list[Any], now: datetime) -> Quote | None:
    """Return the close of the newest bar whose session is over."""
    for bar in reversed(bars):
        day = bar.date.date() if isinstance(bar.date, datetime) else bar.date
        price = to_price(bar.close)
        bounds = session_bounds(day)
        if price is not None and bounds is not None and bounds[1] <= now:
            return Quote(price=price, at=bounds[1], source="close")
    return None
