"""Oddities of bars: each is found, none is imagined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli import demo
from apex_cli.core.adapters.files.prices.bar_columns import BarColumns, array_of, columns_from
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.analysis.quality import BarIssue, look_at
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from kit.bars import bars_of, wander

D = Decimal
GOOD = tuple(bars_of(wander(3, 60), "AAPL"))


def found(bars: object) -> dict[str, BarIssue]:
    assert isinstance(bars, tuple)
    return {issue.code: issue for issue in look_at(bars)}


def change(number: int, **values: object) -> tuple[Bar, ...]:
    return tuple(replace(bar, **values) if index == number else bar for index, bar in enumerate(GOOD))


def scaled(factor: str) -> tuple[Bar, ...]:
    """Return the bars with prices from bar 30 on multiplied by *factor*, each close joined to the next open."""
    after = []
    for index, bar in enumerate(GOOD):
        times = D(factor) if index >= 30 else D(1)
        prices = {name: Price(getattr(bar, name) * times) for name in ("open", "high", "low", "close")}
        after.append(replace(bar, **prices))
    opening = Price(GOOD[29].close * D(factor))
    bar = after[30]
    after[30] = replace(bar, open=opening, high=max(bar.high, opening), low=min(bar.low, opening))
    return tuple(after)


def test_good_bars_have_no_issue() -> None:
    assert look_at(GOOD) == ()
    assert look_at(()) == ()
    real = CsvBars(Path(demo.__file__).parent)
    assert [look_at(real.bars(symbol)) for symbol in real.symbols()] == [()] * 3


@pytest.mark.parametrize(
    ("bars", "code", "count", "words"),
    [
        ((*GOOD[:5], GOOD[4], *GOOD[5:]), "order", 1, "twice or out of order"),
        ((*GOOD[:5], GOOD[6], GOOD[5], *GOOD[7:]), "order", 1, "twice or out of order"),
        (change(9, close=Price(D("NaN"))), "not_a_number", 1, "no number"),
        (change(9, volume=D("Infinity")), "not_a_number", 1, "no number"),
        (change(9, low=Price(D(0))), "not_a_number", 1, "no positive price"),
        (change(9, close=Price(GOOD[9].high + 1)), "inconsistent", 1, "outside low and high"),
        ((*GOOD[:5], *GOOD[8:]), "gap", 3, f"{GOOD[5].start.date()}"),
        (scaled("0.5"), "jump", 1, "2 for 1"),
        (scaled("0.6667"), "jump", 0, ""),
        (scaled("0.1"), "jump", 1, "10 for 1"),
        (scaled("5"), "jump", 1, "1 for 5"),
        (scaled("0.4"), "jump", 1, "->"),
        (change(9, volume=D(0)), "zero_volume", 1, "without volume"),
        (tuple(replace(bar, volume=D(0)) for bar in GOOD), "no_volume", 60, "no bar has a volume"),
    ],
)
def test_each_oddity_is_counted_and_placed(bars: tuple[Bar, ...], code: str, count: int, words: str) -> None:
    issue = found(bars).get(code)
    assert (issue.count if issue else 0) == count
    assert words in (issue.message if issue else "")


def test_prices_that_stand_still_are_reported() -> None:
    still = dict.fromkeys(("open", "high", "low", "close"), Price(D(50)))
    bars = tuple(replace(bar, **still) if index >= 46 else bar for index, bar in enumerate(GOOD))
    assert found(bars)["still"].count == 14
    assert "still" not in found(bars[:59])


def in_columns(bars: Sequence[Bar]) -> BarColumns:
    rows = array_of(bars)
    assert rows is not None
    return columns_from(rows, bars[0].symbol)[0]


@given(dropped=st.sets(st.integers(1, 58), max_size=3), shifted=st.booleans())
def test_columns_are_looked_at_as_values_are(dropped: set[int], *, shifted: bool) -> None:
    kept = [bar for index, bar in enumerate(GOOD) if index not in dropped]
    if shifted:
        kept[30] = replace(kept[30], start=kept[30].start + timedelta(hours=1))
    assert look_at(in_columns(kept)) == look_at(kept)


@given(st.lists(st.integers(0, 700), min_size=2, max_size=40, unique=True).map(sorted))
def test_so_are_those_of_minutes(fives: list[int]) -> None:
    bars = intraday([5 * at for at in fives])
    assert look_at(in_columns(bars)) == look_at(bars)


def intraday(minutes: list[int]) -> tuple[Bar, ...]:
    start = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    return tuple(
        replace(GOOD[0], start=start + timedelta(minutes=at), end=start + timedelta(minutes=at + 5)) for at in minutes
    )


def test_a_hole_inside_a_session_is_a_gap_and_a_night_is_none() -> None:
    assert "gap" not in found(intraday([0, 5, 10, 24 * 60, 24 * 60 + 5]))
    assert found(intraday([0, 5, 20, 25]))["gap"].count == 1


def test_past_the_end_of_the_calendar_no_gap_is_imagined() -> None:
    late = tuple(replace(bar, start=bar.start.replace(year=2035), end=bar.end.replace(year=2035)) for bar in GOOD[:30])
    assert "gap" not in found(late)


@given(st.sets(st.integers(1, 58), max_size=12))
def test_missing_sessions_are_counted_exactly(dropped: set[int]) -> None:
    kept = tuple(bar for index, bar in enumerate(GOOD) if index not in dropped)
    issue = found(kept).get("gap")
    assert (issue.count if issue else 0) == len(dropped)


@pytest.mark.parametrize("spoil", [lambda bars: bars[::-1], lambda bars: bars + bars])
def test_whatever_the_order_it_only_reports(spoil: Callable[[tuple[Bar, ...]], tuple[Bar, ...]]) -> None:
    assert found(spoil(GOOD))["order"].count >= 1
