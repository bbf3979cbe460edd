"""The classic day-trade count over the stored fills, as the gate wants it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.outcome import DayTradeStatus
from apex_cli.core.rules.calendar import previous_sessions, session_date
from apex_cli.core.rules.pdt import DayTradeCount, RunningCount, count_day_trades, day_trade_status, start_positions
from apex_cli.core.state import State, Table


def count_in_state(state: State) -> DayTradeCount:
    """Return the day trades in the stored fills, seeded with what was held before the first of them."""
    return count_day_trades(state.fills.values(), held_before(state))


def held_before(state: State) -> dict[str, Decimal]:
    """Return the signed quantities held before the first of the stored fills."""
    signed = {key: row.position.quantity * row.position.side.sign for key, row in state.positions.items()}
    return start_positions(state.fills.values(), signed)


def is_partial(state: State, session: date, limits: DayTradeLimits) -> bool:
    """Tell whether the stored fills may not cover the whole window: apex is younger than that."""
    oldest = min((fill.filled_at for fill in state.fills.values()), default=None)
    if oldest is None:
        return True
    return session_date(oldest) > previous_sessions(session, limits.window_sessions - 1)[0]


class DayTradeCounter:
    """The count for the gate: goes on with each fill that is booked, and counts anew when it must."""

    def __init__(self, limits: DayTradeLimits) -> None:
        """Start without a count."""
        self._limits = limits
        self._fills: Table[Fill] | None = None
        self._version = self._size = 0
        self._running = RunningCount((), {})
        self._count = DayTradeCount()

    def __call__(self, state: State, account: AccountSnapshot, now: datetime) -> DayTradeStatus:
        """Return the day trades left for an order sent *now*."""
        fills = state.fills
        if fills is not self._fills or fills.version != self._version:
            if not self._has_gone_on(fills):
                self._running = RunningCount(fills.values(), held_before(state))
            self._fills, self._version, self._size = fills, fills.version, len(fills)
            self._count = self._running.count()
        return day_trade_status(self._count, session=session_date(now), account=account, limits=self._limits)

    def _has_gone_on(self, fills: Table[Fill]) -> bool:
        """Add what is new; False when more happened to *fills* than that later ones were added."""
        added = len(fills) - self._size
        if fills is not self._fills or fills.version - self._version != added:
            return False
        return all(map(self._running.add, fills.newest(added)))
