"""The grid of options that simulation and paper venue list."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from apex_cli.core.market.calendar import FRIDAY, nth_weekday
from apex_cli.core.market.option_grid import expiries, grid_of, strikes
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price


def test_fridays_of_nine_weeks_and_third_fridays_of_a_year() -> None:
    days = expiries(date(2026, 3, 25))
    assert days[:3] == (date(2026, 3, 27), date(2026, 4, 2), date(2026, 4, 10))  # April 3 is Good Friday
    assert days[8] == date(2026, 5, 22)
    assert days[9:] == tuple(
        day if day != date(2026, 6, 19) else date(2026, 6, 18)  # Juneteenth
        for day in (nth_weekday(2026 + (month > 12), month - 12 * (month > 12), FRIDAY, 3) for month in range(6, 16))
    )
    assert date(2026, 3, 20) not in days


@pytest.mark.parametrize(
    ("price", "step", "first", "last"),
    [
        ("20", "0.5", "14", "26"),
        ("50", "1", "35", "65"),
        ("150", "2.5", "105", "195"),
        ("400", "5", "280", "520"),
        ("1000", "10", "700", "1300"),
    ],
)
def test_strikes_lie_around_the_price(price: str, step: str, first: str, last: str) -> None:
    found = strikes(Price(Decimal(price)))
    assert (found[0], found[-1], found[1] - found[0]) == (Decimal(first), Decimal(last), Decimal(step))
    assert strikes(Price(Decimal("0.1"))) == ()


def test_a_chain_has_both() -> None:
    chain = grid_of(make_instrument("AAPL"), Price(Decimal(100)), date(2026, 3, 2))
    assert (chain.underlying.key, chain.expiries[0], len(chain.strikes)) == ("AAPL", "2026-03-06", 25)
