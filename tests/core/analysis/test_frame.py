"""A frame that goes on from the one before is the frame made anew."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.analysis.frame import Frame, distinct, extended, frame_of
from apex_cli.core.analysis.indicators import indicators_of
from apex_cli.core.model.money import Price
from kit.bars import bars_of, wander

BARS = bars_of(wander(7, 60))
NAMES = ("ends", "open", "high", "low", "close", "volume")


def same(one: Frame, other: Frame) -> bool:
    return one.symbol == other.symbol and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in NAMES
    )


@given(st.data())
def test_any_later_window_is_what_it_would_be_from_scratch(data: st.DataObject) -> None:
    end = data.draw(st.integers(1, 60))
    old = BARS[data.draw(st.integers(0, end - 1)) : end]
    until = data.draw(st.integers(1, 60))
    bars = BARS[data.draw(st.integers(0, until - 1)) : until]
    assert same(extended(frame_of("WALK", old), old, bars), frame_of("WALK", bars))


@given(st.integers(0, 58))
def test_a_bar_that_was_corrected_is_seen(number: int) -> None:
    bars = list(BARS)
    bars[number] = replace(bars[number], volume=bars[number].volume + 1, close=Price(bars[number].close + Decimal(1)))
    assert same(extended(frame_of("WALK", BARS[:59]), BARS[:59], bars), frame_of("WALK", bars))


def test_the_same_bars_are_the_same_frame_and_its_indicators_are_computed_once() -> None:
    frame = frame_of("WALK", BARS)
    assert extended(frame, BARS, list(BARS)) is frame
    assert indicators_of(frame) is indicators_of(frame)
    assert indicators_of(extended(frame, BARS, BARS[1:])) is not indicators_of(frame)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_are_put_in_order_each_once(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, dtype=np.int64)).tolist() == sorted(set(numbers))
