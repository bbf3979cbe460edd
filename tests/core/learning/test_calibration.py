from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.learning.reliability import LEAST_OF_ROW, MOST_ROWS, calibration
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
from kit import START

D = Decimal


def expected(lesson: Any, number: int, expectation: str, r: str, **changes: Any) -> Lesson:
    conditions = EntryConditions(score=D("0.5"), expected_r=D(expectation))
    found: Lesson = lesson(number, r, conditions=conditions, **changes)
    return found


def test_few_trades_make_few_rows(lesson: Any) -> None:
    seen = [expected(lesson, n, "0.1", "1") for n in range(1, 5)]
    assert calibration(seen) == ()
    assert len(calibration([*seen, expected(lesson, 9, "0.1", "1")])) == 1
    assert calibration([lesson(n) for n in range(9)]) == (), "nothing was expected of them"


def test_a_row_shows_what_came_beside_what_was_expected(lesson: Any) -> None:
    low = [expected(lesson, n, "-0.1", "-1" if n % 2 else "0.8") for n in range(1, 7)]
    high = [expected(lesson, n, "0.5", "-1", is_followed=n % 2 == 0) for n in range(7, 13)]
    one, two = calibration([*high, *low])
    assert (one.expected, one.realised, one.trades, one.followed, one.fits) == (D("-0.1"), D("-0.1"), 6, 0, True)
    assert (two.expected, two.realised, two.trades, two.followed, two.fits) == (D("0.5"), D("-1"), 3, 3, False)


@given(rows=st.lists(st.tuples(st.decimals(-2, 2, places=2), st.decimals(-5, 5, places=2)), max_size=120))
def test_every_trade_stands_in_one_row_and_rows_rise(rows: list[tuple[Decimal, Decimal]]) -> None:
    seen = [
        Lesson(
            round_trip_id=str(n), seq=n, side=PositionSide.LONG, closed_at=START, r=r,
            conditions=EntryConditions(score=D(0), expected_r=mean),
        )
        for n, (mean, r) in enumerate(rows)
    ]  # fmt: skip
    table = calibration(seen)
    assert sum(row.trades for row in table) == (len(rows) if len(rows) >= LEAST_OF_ROW else 0)
    assert len(table) <= MOST_ROWS
    assert all(row.trades >= LEAST_OF_ROW for row in table)
    assert all(one.expected_to <= two.expected_from for one, two in pairwise(table))
