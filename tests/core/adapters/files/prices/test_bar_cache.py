"""The cache of bars: fewer questions, the same answers, and no trust in a damaged file."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.files.prices.bar_cache import CachedBars
from apex_cli.core.errors import BrokerError
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from kit import FixedClock
from kit.bars import ListBars, bars_of, wander

BARS = bars_of(wander(3, 60), "AAPL")
HOUR = timedelta(hours=1)


class Slow(ListBars):
    """A source that says what it was asked, and fails when it is reported to."""

    def __init__(self, bars: dict[str, Sequence[Bar]]) -> None:
        super().__init__(bars)
        self.questions: list[tuple[str, datetime | None]] = []
        self.is_down = False

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        self.questions.append((symbol, after))
        if self.is_down:
            raise BrokerError("unreachable", "Nobody answers.")
        return super().bars(symbol, after=after, until=until)


class World:
    """A slow source, a clock, a folder, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.source = Slow({"AAPL": BARS})
        self.clock = FixedClock(BARS[39].end)
        self.folder = folder / "cache"
        self.said: list[Reason] = []

    def open(self, **how: Any) -> CachedBars:
        return CachedBars(
            self.source,
            self.folder,
            clock=self.clock,
            fresh_for=HOUR,
            notice=lambda reason, _: self.said.append(reason),
            **how,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_within_the_hour_nobody_is_asked_again_not_even_by_another_process(world: World) -> None:
    first = world.open()
    assert list(first.bars("AAPL")) == BARS[:40]
    world.clock.advance(minutes=59)
    assert list(first.bars("AAPL", after=BARS[9].end, until=BARS[19].end)) == BARS[10:20]
    assert list(world.open().bars("AAPL")) == BARS[:40]
    assert world.source.questions == [("AAPL", None)]
    assert list(world.open().symbols()) == ["AAPL"]


def test_after_it_only_what_came_since_is_asked_for(world: World) -> None:
    world.open().bars("AAPL")
    world.clock.set(BARS[49].end)
    assert list(world.open().bars("AAPL")) == BARS[:50]
    assert world.source.questions == [("AAPL", None), ("AAPL", BARS[34].end)]


def test_a_split_since_then_makes_it_ask_for_everything(world: World) -> None:
    cached = world.open()
    cached.bars("AAPL")
    halved = [replace(bar, close=Price(bar.close / 2)) for bar in BARS]
    world.source.by_symbol = {"AAPL": halved}
    world.clock.advance(HOUR)
    assert list(cached.bars("AAPL")) == halved[:40]
    assert world.source.questions[-1] == ("AAPL", None)


def test_a_bar_that_has_not_ended_is_never_kept(world: World) -> None:
    world.clock.set(BARS[40].end - timedelta(minutes=10))
    assert list(world.open().bars("AAPL"))[-1] == BARS[39]


@pytest.mark.parametrize("content", [b"", b"{", b'{"format":9}', b"\xff\x00", b'{"format":1,"symbol":"IBM"}'])
def test_a_damaged_file_is_ignored_with_a_warning(world: World, content: bytes) -> None:
    world.open().bars("AAPL")
    path = world.folder / "AAPL.json"
    path.write_bytes(content)
    assert list(world.open().bars("AAPL")) == BARS[:40]
    assert [reason.code for reason in world.said] == ["bar_cache_damaged"]
    assert str(path) in world.said[0].message
    world.open().bars("AAPL")
    assert len(world.source.questions) == 2


def test_when_the_source_fails_what_is_kept_stands_in(world: World) -> None:
    world.open().bars("AAPL")
    world.source.is_down = True
    world.clock.advance(2 * HOUR)
    assert list(world.open().bars("AAPL")) == BARS[:40]
    assert [reason.code for reason in world.said] == ["bars_not_refreshed"]
    assert "Nobody answers." in world.said[0].message
    with pytest.raises(BrokerError):
        world.open().bars("IBM")


def test_a_clock_set_back_makes_nothing_fresh_for_ever(world: World) -> None:
    world.open().bars("AAPL")
    world.clock.set(BARS[29].end)
    assert list(world.open().bars("AAPL")) == BARS[:30]


def test_a_clock_that_follows_bars_stands_a_second_early_and_misses_none(world: World) -> None:
    world.clock.set(BARS[39].end - timedelta(seconds=1))
    assert list(world.open().bars("AAPL")) == BARS[:40]


def test_files_are_private_and_their_names_harmless(world: World) -> None:
    odd = "../EUR/USD"
    world.source.by_symbol = {odd: [replace(bar, symbol=odd) for bar in BARS]}
    world.open().bars(odd)
    (path,) = world.folder.iterdir()
    assert path.name == "..%2FEUR%2FUSD.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(world.folder.stat().st_mode) == 0o700


def test_where_nothing_can_be_written_bars_come_all_the_same(world: World) -> None:
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file, no folder")
    assert list(world.open().bars("AAPL")) == BARS[:40]
    assert "bar_cache_unwritable" in [reason.code for reason in world.said]
    world.folder.unlink()
    assert list(world.open(read_only=True).bars("AAPL")) == BARS[:40]
    assert not world.folder.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 59), st.booleans()), min_size=1, max_size=6))
def test_the_answers_are_those_of_the_source(tmp_path_factory: Any, steps: list[tuple[int, bool]]) -> None:
    world = World(tmp_path_factory.mktemp("cache"))
    cached = world.open()
    for number, (day, is_new) in enumerate(sorted(steps)):
        world.clock.set(BARS[day].end + number * HOUR)
        cached = world.open() if is_new else cached
        known = [bar for bar in BARS if bar.end <= world.clock.now()]
        assert list(cached.bars("AAPL")) == known
    assert all(isinstance(bar.close, Decimal) for bar in cached.bars("AAPL"))
