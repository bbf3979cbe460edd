"""Prices over time: bars of CSV files played one step after another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import groupby

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.market import Bar
from apex_cli.gateway.hub import Hub


class Tape:
    """Plays bars on a gateway; a session that ends expires its DAY orders."""

    def __init__(self, gateway: Hub, bars: CsvBars) -> None:
        """Start after the bars that the gateway has played before."""
        self._gateway = gateway
        self._bars = bars

    def show_last(self) -> None:
        """Quote the last close of every symbol: a market that stands still."""
        for symbol in self._bars.symbols():
            found = self._bars.bars(symbol)
            if found:
                self._gateway.quote(self._gateway.desk.listings.add(symbol), found[-1].close)
                self._gateway.play_bar(self._gateway.desk.listings.add(symbol), found[-1])

    def steps(self) -> Iterator[datetime]:
        """Play every bar, all bars with one end as one step, and yield each end."""
        start = self._gateway.played_until
        feeds = [self._bars.bars(symbol, after=start) for symbol in self._bars.symbols()]
        for end, bars in groupby(merge(*feeds, key=_order), key=lambda bar: bar.end):
            self._roll(end)
            for bar in bars:
                self._gateway.play_bar(self._gateway.desk.listings.add(bar.symbol), bar)
            self._gateway.played_until = end
            yield end

    def _roll(self, end: datetime) -> None:
        """End the session before the one of *end*."""
        before = self._gateway.played_until
        if before is not None and before.astimezone(NEW_YORK).date() < end.astimezone(NEW_YORK).date():
            self._gateway.report(self._gateway.desk.end_session(self._gateway.now()))

    async def play(self, pace_s: float) -> None:
        """Play one step each *pace_s* seconds until the bars end; then the market stands still."""
        for end in self.steps():
            self._gateway.log(f"bars of {end:%Y-%m-%d %H:%M} UTC")
            await asyncio.sleep(pace_s)
        self._gateway.log("no more bars: the market stands still")


def _order(bar: Bar) -> tuple[datetime, str]:
    return (bar.end, bar.symbol)
