"""The classic day-trade count over the stored fills, as the gate wants it.

apex's own fills and the imported history of the account are counted together; an execution that is in both counts
once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.day_trades.count import DayTradeCount, RunningCount, day_trade_status, start_positions, window_of
from apex_cli.core.day_trades.flow import Countable, in_trade_order
from apex_cli.core.day_trades.regimes import facts_of
from apex_cli.core.market.calendar import previous_sessions, session_date
from apex_cli.core.model.account import AccountFacts, AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.execution import SEC_TYPE_OF_MARKET, Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.state.tables import State, Table


def all_fills(state: State) -> tuple[Countable, ...]:
    """Return own fills, then the imported ones; a holding taken over was no trade, nor is the end of an option."""
    return (*_traded(state.fills.values()), *state.history_fills.values())


def _traded(fills: Iterable[Fill]) -> Iterable[Fill]:
    return (fill for fill in fills if fill.is_traded)


def held_before(state: State) -> dict[str, Decimal]:
    """Return the signed quantities held before the first of the stored fills.

    Own positions less own fills; for a security with an older imported execution, what the report says of it.
    """
    signed = {key: row.position.quantity * row.position.side.sign for key, row in state.positions.items()}
    for fill in state.fills.values():
        if fill.ends_untraded:
            key = fill.instrument.key
            signed[key] = signed.get(key, ZERO) - fill.quantity * fill.side.sign
    held = start_positions(_traded(state.fills.values()), signed)
    if state.history_fills:
        for row in _oldest(all_fills(state)):
            if isinstance(row, Execution) and row.held_before is not None:
                held[row.security] = row.held_before
    return held


def _oldest(fills: Iterable[Countable]) -> Iterable[Countable]:
    """Return the oldest execution of each security."""
    oldest: dict[str, Countable] = {}
    for fill in in_trade_order(fills):
        oldest.setdefault(fill.instrument.key if isinstance(fill, Fill) else fill.security, fill)
    return oldest.values()


def is_partial(state: State, session: date, limits: DayTradeLimits) -> bool:
    """Return whether the stored fills may not cover the whole window: apex is younger than that."""
    first, reported = previous_sessions(session, limits.window_sessions - 1)[0], state.counters.fills_since
    if reported and date.fromisoformat(reported) <= first:
        return False
    since = known_since(state)
    return since is None or since > first


def known_since(state: State) -> date | None:
    """Return the session from which on all trades are known; None when there was no session yet."""
    reported = state.counters.fills_since
    oldest = min((fill.filled_at for fill in state.fills.values()), default=None)
    known = [date.fromisoformat(reported)] if reported else []
    if oldest is not None:
        known.append(session_date(oldest))
    return min(known, default=None)


class DayTradeCounter:
    """The count for the gate: adds each fill that is booked, and recounts where it must."""

    def __init__(self, limits: DayTradeLimits) -> None:
        """Start without a count."""
        self._limits = limits
        self._fills: Table[Fill] | None = None
        self._seen = (0, 0)
        self._seen_history = (0, 0)
        self._running = RunningCount((), {})
        self._count: DayTradeCount | None = None
        """None: to be taken from what runs; of the window alone, or it would grow with every session."""
        self._status: tuple[tuple[object, ...], DayTradeStatus] | None = None

    def __call__(self, state: State, account: AccountSnapshot, now: datetime) -> DayTradeStatus:
        """Return the day trades left for an order sent *now*."""
        session = session_date(now)
        has_changed = self._look(state)
        facts = facts_of(account)
        asked = (session, *_what_matters(facts, self._limits))
        if self._status is None or has_changed or self._status[0] != asked:
            self._status = (asked, self._work_out(state, facts, session))
        return self._status[1]

    def _look(self, state: State) -> bool:
        """Bring the count up to date; True when there was something new."""
        fills, history = state.fills, state.history_fills
        seen, seen_history = (fills.additions, fills.rewrites), (history.additions, history.rewrites)
        if fills is self._fills and (seen, seen_history) == (self._seen, self._seen_history):
            return False
        if seen_history != self._seen_history or not self._has_gone_on(fills):
            self._running = RunningCount(all_fills(state), held_before(state))
        self._fills, self._seen, self._seen_history = fills, seen, seen_history
        self._count = None
        return True

    def _has_gone_on(self, fills: Table[Fill]) -> bool:
        """Add what is new; False when fills were corrected, or came late: those that left are old enough."""
        if fills is not self._fills or fills.rewrites != self._seen[1]:
            return False
        fresh = fills.newest(fills.additions - self._seen[0])
        return all(fill.is_traded and self._running.add(fill) for fill in fresh)

    def _work_out(self, state: State, facts: AccountFacts, session: date) -> DayTradeStatus:
        if self._count is None:
            self._running.forget(window_of(session, self._limits)[0])
            self._count = self._running.count()
        return day_trade_status(
            self._count,
            session=session,
            facts=facts,
            limits=self._limits,
            opened_today=self._running.opened_in(session),
            is_partial=is_partial(state, session, self._limits),
        )


def _what_matters(facts: AccountFacts, limits: DayTradeLimits) -> tuple[object, ...]:
    """Return what of the account changes the status: below the threshold the exact equity does not."""
    values = (facts.equity_now, facts.equity_prev_close, facts.net_liquidation)
    is_small = all(value is None or value < limits.equity_threshold for value in values)
    reported = (facts.broker_day_trades_remaining, facts.broker_summary_complete, facts.account_type)
    return (
        *reported,
        facts.flagged_pdt,
        facts.pdt_rejected,
        facts.net_deposits_since_close,
        *(() if is_small else values),
    )


def closing_warnings(
    state: State, keys: Iterable[str], status: DayTradeStatus, account: AccountSnapshot
) -> tuple[Reason, ...]:
    """Return what the day-trading rules warn of when positions are closed now; see ``warnings_by_key``."""
    return tuple(warning for found in warnings_by_key(state, keys, status, account).values() for warning in found)


def warnings_by_key(
    state: State, keys: Iterable[str], status: DayTradeStatus, account: AccountSnapshot
) -> dict[str, tuple[Reason, ...]]:
    """Return what the day-trading rules warn of when positions are closed now, whole or in part; they forbid nothing.

    Each one closed takes a day trade of its own: the later ones are looked at with what the earlier ones leave. *keys*
    are those of the positions, in the order they are closed.
    """
    from apex_cli.core.day_trades.cash_account import proceeds_settle_by_security

    warnings: dict[str, tuple[Reason, ...]] = {}
    settle_on = proceeds_settle_by_security(all_fills(state), date.fromisoformat(status.session_date))
    for key in keys:
        row: PositionRecord | None = state.positions.get(key)
        if row is None:
            continue
        warnings[key] = _closing_warnings(row, status, account, settle_on.get(key))
        if status.remaining is not None and status.remaining >= 0 and key in status.opened_today:
            status = replace(status, used=status.used + 1, remaining=max(0, status.remaining - 1))
    return warnings


def _closing_warnings(
    row: PositionRecord, status: DayTradeStatus, account: AccountSnapshot, settle_on: date | None
) -> tuple[Reason, ...]:
    from apex_cli.core.day_trades.gate import GateOrder, Ground, judge_order

    position = row.position
    instrument = position.instrument
    order = GateOrder(
        security=instrument.key,
        sec_type=SEC_TYPE_OF_MARKET[instrument.market_type],
        side=OrderSide.SELL if position.side.sign > 0 else OrderSide.BUY,
        quantity=position.quantity,
        price=row.current_price,
        multiplier=row.worth(instrument.multiplier),
    )
    ground = Ground(
        status=status,
        facts=facts_of(account),
        held=position.quantity * position.side.sign,
        proceeds_settle_on=settle_on,
    )
    return judge_order(order, ground).warnings
