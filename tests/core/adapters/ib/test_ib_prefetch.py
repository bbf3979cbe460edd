"""Bars of a watch list, asked for over TCP before scanners look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.app.ib_market import make_prefetch
from apex_cli.core.errors import ApexError
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import SignalBatch
from apex_cli.core.signals.context import Once
from apex_cli.core.signals.prefetch import NOT_FETCHED, Awaiting, Prefetch
from apex_cli.settings.sections import Settings
from kit import FixedClock
from kit.bars import bars_of, sessions, wander
from kit.gateway import GatewayThread
from kit.ib import Session

COUNT = 120
MONDAY = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
FIRST = date(2025, 9, 8)
ENDS = [end for _, end in sessions(COUNT + 30, FIRST) if end < MONDAY + timedelta(days=1)]
BARS = {name: tuple(bars_of(wander(n, len(ENDS)), name, FIRST)) for n, name in enumerate(("AAPL", "MSFT"))}
WATCHED = Settings().replace(scanners=replace(Settings().scanners, watch_list=("AAPL", "NOPE", "MSFT")))
GENEROUS_S = 30.0


@pytest.fixture
def gateway(open_gateway: Callable[..., GatewayThread]) -> GatewayThread:
    return open_gateway(prices={"AAPL": "100", "MSFT": "100"}, bars=BARS)


class Asked:
    """A prefetch over a session, and what it said."""

    def __init__(self, session: Session, clock: FixedClock, *, waits: bool = True) -> None:
        self.said: list[Reason] = []
        self.clock = clock
        self.session = session
        made = make_prefetch(WATCHED, session.broker, clock, Once(self.said.append), waits=waits)
        assert made is not None
        self.prefetch = made

    def tend(self) -> None:
        assert not self.session.run(self.prefetch.tend(self.clock.now()))

    def tend_until(self, is_done: Callable[[], bool]) -> None:
        async def work() -> None:
            async with asyncio.timeout(GENEROUS_S):
                while not is_done():
                    await self.prefetch.tend(self.clock.now())
                    await asyncio.sleep(0.005)

        self.session.run(work())


def test_the_bars_of_the_watch_list_are_there_after_the_first_look(session: Session, clock: FixedClock) -> None:
    asked = Asked(session, clock)
    assert not asked.prefetch.is_ready
    asked.tend()
    assert asked.prefetch.is_ready
    for name, bars in BARS.items():
        got = asked.prefetch.bars(name, until=MONDAY)
        assert [(bar.end, bar.close) for bar in got] == [(b.end, b.close) for b in bars if b.end <= MONDAY]
    assert len(asked.prefetch.bars("AAPL", after=BARS["AAPL"][-5].end)) == len(
        [b for b in BARS["AAPL"][-4:] if b.end <= MONDAY]
    )


def test_one_symbol_without_bars_is_reported_once_and_the_others_go_on(session: Session, clock: FixedClock) -> None:
    asked = Asked(session, clock)
    for _ in range(3):
        asked.tend()
        clock.advance(minutes=11)
    (reported,) = asked.said
    assert reported.code == NOT_FETCHED
    assert "NOPE" in reported.message
    with pytest.raises(ApexError, match="no bars of NOPE yet"):
        asked.prefetch.bars("NOPE")
    with pytest.raises(ApexError, match="not in scanners"):
        asked.prefetch.bars("GOOG")


def test_a_loop_does_not_wait_for_an_answer(gateway: GatewayThread, session: Session, clock: FixedClock) -> None:
    gateway.fault("swallow", "reqHistoricalData")
    asked = Asked(session, clock, waits=False)
    asked.tend()
    assert not asked.prefetch.is_ready
    with pytest.raises(ApexError, match="not answered yet"):
        asked.prefetch.bars("AAPL")


def test_what_failed_is_tried_again_later(gateway: GatewayThread, session: Session, clock: FixedClock) -> None:
    gateway.fault("reject", "reqHistoricalData", times=2, code=162, text="Historical Market Data Service error")
    asked = Asked(session, clock, waits=False)
    asked.tend_until(lambda: bool(asked.said))
    assert not asked.prefetch.is_ready
    clock.advance(minutes=11)
    asked.tend_until(lambda: asked.prefetch.is_ready)
    assert asked.prefetch.bars("AAPL")
    assert asked.prefetch.bars("MSFT")


def test_after_a_close_the_new_session_is_asked_for(session: Session, clock: FixedClock) -> None:
    asked = Asked(session, clock)
    asked.tend()
    before = len(asked.prefetch.bars("AAPL"))
    clock.set(MONDAY.replace(hour=22))
    asked.tend_until(lambda: len(asked.prefetch.bars("AAPL")) > before)
    assert asked.prefetch.bars("AAPL")[-1].end == MONDAY.replace(hour=21)


def test_a_lost_connection_leaves_the_bars_that_are_there(session: Session, clock: FixedClock) -> None:
    asked = Asked(session, clock)
    asked.tend()
    before = asked.prefetch.bars("AAPL")
    session.run(session.broker.close())
    clock.set(MONDAY.replace(hour=22))
    asked.tend_until(lambda: any("AAPL" in reason.message for reason in asked.said) or len(asked.prefetch._failed) > 1)
    assert asked.prefetch.bars("AAPL") == before


class Source:
    def __init__(self) -> None:
        self.polls = 0

    def poll(self, now: datetime) -> Sequence[SignalBatch]:
        del now
        self.polls += 1
        return ()

    def settle(self, batch: SignalBatch, reports: Sequence[Any]) -> None:
        del batch, reports


def test_scanners_wait_until_bars_are_there() -> None:
    async def work() -> None:
        release = asyncio.Event()

        async def fetch(symbol: str) -> Sequence[Bar]:
            await release.wait()
            if symbol == "BAD":
                raise ValueError("something else")
            return BARS["AAPL"]

        said: list[Reason] = []
        prefetch = Prefetch(("BAD", "AAPL"), fetch, lambda _: None, Once(said.append))
        source = Source()
        waiting = Awaiting(source, prefetch)
        await prefetch.tend(MONDAY)
        assert list(waiting.poll(MONDAY)) == []
        assert source.polls == 0
        release.set()
        async with asyncio.timeout(GENEROUS_S):
            while not prefetch.is_ready:
                await prefetch.tend(MONDAY)
                await asyncio.sleep(0)
        list(waiting.poll(MONDAY))
        assert source.polls == 1
        assert "ValueError" in said[0].message
        assert prefetch.symbols() == ("BAD", "AAPL")

    asyncio.run(work())
