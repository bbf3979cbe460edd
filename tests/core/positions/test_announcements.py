"""The day's sum takes the trades of its own session."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from apex_cli.core.market.calendar import NEW_YORK, session_date
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.money import Usd
from apex_cli.core.positions.announcements import summarise_day
from apex_cli.core.state.tables import State
from kit.trips import a_trip

FRIDAY, MONDAY = "2026-03-06", "2026-03-09"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-05 19:59:59", "2026-03-05"),
        ("2026-03-05 20:00", FRIDAY),
        ("2026-03-06 19:59:59", FRIDAY),
        ("2026-03-06 20:00", MONDAY),
        ("2026-03-07 12:00", MONDAY),
        ("2026-03-09 19:59:59", MONDAY),
    ],
)
def test_a_trade_counts_in_the_session_that_it_ended_in(moment: str, day: str) -> None:
    ended = datetime.fromisoformat(moment).replace(tzinfo=NEW_YORK)
    assert session_date(ended).isoformat() == day
    state = State()
    trip = a_trip(pnl="-30", at=ended)
    state.round_trips[trip.round_trip_id] = trip
    worth = Usd(Decimal(3000))
    account = AccountSnapshot(equity=worth, cash=worth, buying_power=worth, taken_at=ended)
    found = {each: summarise_day(state, account, each).losses for each in ("2026-03-05", FRIDAY, MONDAY)}
    assert found == {"2026-03-05": 0, FRIDAY: 0, MONDAY: 0} | {day: 1}
