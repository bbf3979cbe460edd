"""The classic day-trade count over the stored fills, as the gate wants it."""

from __future__ import annotations

from datetime import date, datetime

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.outcome import DayTradeStatus
from apex_cli.core.rules.calendar import previous_sessions, session_date
from apex_cli.core.rules.pdt import DayTradeCount, count_day_trades, day_trade_status, start_positions
from apex_cli.core.state import State, Table


def count_in_state(state: State) -> DayTradeCount:
    """Return the day trades in the stored fills, seeded with what was held before the first of them."""
    fills = state.fills.values()
    signed = {key: row.position.quantity * row.position.side.sign for key, row in state.positions.items()}
    return count_day_trades(fills, start_positions(fills, signed))


def is_partial(state: State, session: date, limits: DayTradeLimits) -> bool:
    """Tell whether the stored fills may not cover the whole window: apex is younger than that."""
    oldest = min((fill.filled_at for fill in state.fills.values()), default=None)
    if oldest is None:
        return True
    return session_date(oldest) > previous_sessions(session, limits.window_sessions - 1)[0]


class DayTradeCounter:
    """The count for the gate, worked out anew only when a fill was booked."""

    def __init__(self, limits: DayTradeLimits) -> None:
        """Start without a count."""
        self._limits = limits
        self._fills: Table[Fill] | None = None
        self._version = -1
        self._count = DayTradeCount()

    def __call__(self, state: State, account: AccountSnapshot, now: datetime) -> DayTradeStatus:
        """Return the day trades left for an order sent *now*."""
        if state.fills is not self._fills or state.fills.version != self._version:
            self._count = count_in_state(state)
            self._fills, self._version = state.fills, state.fills.version
        return day_trade_status(self._count, session=session_date(now), account=account, limits=self._limits)
