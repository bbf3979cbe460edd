"""What is known of a followed signal from look to look is what a look at all bars finds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from apex_cli.core.learning.followed import Course, result_of
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.lesson import EntryConditions, Followed
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import OrderSide
from kit import START

DAY = timedelta(days=1)


def price(number: float) -> Price:
    return Price(Decimal(f"{number:.2f}"))


def random_bars(dice: Random, count: int) -> list[Bar]:
    """Return daily bars with gaps, some of them as far as a split."""
    bars, close = [], 50.0
    for day in range(count):
        opening = close * (1 + dice.gauss(0, 0.03)) * (0.4 if dice.random() < 0.02 else 1)
        close = opening * (1 + dice.gauss(0, 0.03))
        high, low = max(opening, close) * (1 + dice.random() / 50), min(opening, close) * (1 - dice.random() / 50)
        prices = {"open": price(opening), "high": price(high), "low": price(low), "close": price(close)}
        start = START + DAY * day
        bars.append(Bar(symbol="ACME", start=start, end=start + DAY / 2, volume=Decimal(100), **prices))
    return bars


def random_row(dice: Random) -> Followed:
    side = dice.choice([OrderSide.BUY, OrderSide.SELL])
    away = sorted(dice.uniform(1, 12) for _ in range(dice.randrange(4)))
    since = START - DAY + DAY * dice.randrange(3)
    return Followed(
        signal_id="1",
        instrument=make_instrument("ACME"),
        side=side,
        entry_price=price(50),
        stop_loss=price(50 - side.sign * dice.uniform(1, 8)),
        target_prices=tuple(price(50 + side.sign * each) for each in away),
        since=since,
        until=since + DAY * dice.randrange(3, 30),
        cost_r=Decimal("0.02"),
        conditions=EntryConditions(score=Decimal("0.5")),
    )


@pytest.mark.parametrize("seed", range(200))
def test_a_course_tells_at_every_look_what_all_bars_tell(seed: int) -> None:
    dice = Random(seed)
    row, bars = random_row(dice), random_bars(dice, 35)
    course, number = Course(row), 0
    while number <= len(bars):
        now = START + DAY * number
        known = [bar for bar in bars[:number] if bar.end <= min(now, row.until)]
        found = course.go_on(known, now)
        assert found == result_of(row, known, now)
        if found is not None:
            return
        number += dice.choice([1, 1, 2, 7])


def test_bars_that_are_corrected_or_come_late_are_looked_at_anew() -> None:
    dice = Random(5)
    row = replace(random_row(dice), side=OrderSide.BUY, stop_loss=price(1), target_prices=(), since=START)
    bars, now = random_bars(dice, 6), START + DAY * 5
    course = Course(row)
    assert course.go_on(bars[:3], now) is None
    assert course.go_on(bars[:2], now) is None
    corrected = [*bars[:1], replace(bars[1], close=price(20), low=price(0.5)), *bars[2:5]]
    assert course.go_on(corrected, now) == result_of(row, corrected, now)
