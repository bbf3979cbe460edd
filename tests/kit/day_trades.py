"""The count of day trades for tests."""

from __future__ import annotations

from apex_cli.core.day_trades.count import DayTradeCount, RunningCount
from apex_cli.core.day_trades.counter import all_fills, held_before
from apex_cli.core.state.tables import State


def count_in_state(state: State) -> DayTradeCount:
    """Return the day trades in the stored fills, seeded with what was held before the first of them."""
    return RunningCount(all_fills(state), held_before(state)).count()
