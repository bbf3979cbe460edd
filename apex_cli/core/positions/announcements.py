"""Events for people that no fill causes: few day trades left, options near expiry, the summary of the day."""

from __future__ import annotations

from datetime import date, datetime

from msgspec.structs import replace

from apex_cli.core.market.calendar import NEW_YORK, session_bounds, session_date, session_end, session_start
from apex_cli.core.market.expiry import days_left
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.management import ManagementLimits, OptionRules
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.position import Position, RoundTrip
from apex_cli.core.model.records import ApprovalStatus, BracketRecord, PositionRecord
from apex_cli.core.model.side import PositionSide
from apex_cli.core.ports import StateStore
from apex_cli.core.positions.cash_flows import day_pnl
from apex_cli.core.positions.holding import expiry_deadline
from apex_cli.core.state.events.account_events import DaySummarised, DaySummary, DayTradeWarning
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State

FEW_DAY_TRADES = 1
"""Day trades left from which on a person is warned."""


def warn_of_day_trades(store: StateStore, status: DayTradeStatus, now: datetime) -> bool:
    """Report that day trades run out, once a session for each count; True when that was news."""
    if status.remaining is None or not 0 <= status.remaining <= FEW_DAY_TRADES:
        return False
    reported = warning_key(status, now)
    if store.view().counters.day_trades_told == reported:
        return False
    with store.transaction() as tx:
        if tx.counters.day_trades_told == reported:
            return False
        tx.counters = replace(tx.counters, day_trades_told=reported)
        tx.emit(DayTradeWarning(at=now, subject=status.session_date, data=status))
    return True


def warn_of_expiries(store: StateStore, management: ManagementLimits, now: datetime) -> bool:
    """Report once a session which options near their expiry; True when that was news."""
    state = store.view()
    near = {
        key: days
        for key, row in state.positions.items()
        if row.position.instrument.expiry is not None
        and (days := days_left(row.position.instrument, now)) is not None
        and 0 <= days <= _rules_of(state, row, management).warn_days
    }
    if not near:
        return False
    reported = " ".join((session_date(now).isoformat(), *sorted(near)))
    if store.view().counters.expiries_told == reported:
        return False
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, expiries_told=reported)
        for key, days in near.items():
            message = _expiry_words(tx.positions[key].position, days, _rules_of(tx, tx.positions[key], management))
            tx.emit(AlarmRaised(at=now, subject=key, data=Alarm(code="option_expires", message=message)))
    return True


def _rules_of(state: State, row: PositionRecord, management: ManagementLimits) -> OptionRules:
    bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id)
    return management.plan_for(bracket.strategy if bracket else "").options


def _expiry_words(position: Position, days: int, rules: OptionRules) -> str:
    """Return when an option ends, and what becomes of it if nobody does anything."""
    key = position.instrument.key
    when = {0: "today", 1: "in 1 day"}.get(days, f"in {days} days")
    due = expiry_deadline(position.instrument, rules)
    if due is not None:
        return f"{key} expires {when}; it is closed from {due.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York on."
    fate = "exercised" if position.side is PositionSide.LONG else "assigned"
    return f"{key} expires {when}. In the money it is {fate}, else it is worth nothing; apex close ends it before."


def warning_key(status: DayTradeStatus, at: datetime) -> str:
    """Return how a warning of this count is remembered."""
    return f"{session_date(at)}:{status.used}:{status.remaining}"


def close_the_day(store: StateStore, account: AccountSnapshot, now: datetime) -> bool:
    """Report the sum of a session once it is over and something was traded or held; True when that was news."""
    counters = store.view().counters
    day = counters.session_date
    if not day or counters.summary_for == day or not _is_over(date.fromisoformat(day), now):
        return False
    summary = summarise_day(store.view(), account, day)
    if not (summary.entries or summary.round_trips or summary.open_positions):
        return False
    with store.transaction() as tx:
        if tx.counters.summary_for == day or tx.counters.session_date != day:
            return False
        tx.counters = replace(tx.counters, summary_for=day)
        tx.emit(DaySummarised(at=now, subject=day, data=summary))
    return True


def _is_over(day: date, now: datetime) -> bool:
    bounds = session_bounds(day)
    return bounds is None or now >= bounds[1]


def summarise_day(state: State, account: AccountSnapshot, day: str) -> DaySummary:
    """Return the numbers of the session *day* (YYYY-MM-DD) as far as the hot tables know them."""
    from apex_cli.core.positions.performance import Tally
    from apex_cli.core.positions.position_views import position_views, totals_of

    session = date.fromisoformat(day)
    start, end = session_start(session), session_end(session)
    trips = state.round_trips.older_than(end, since=start)
    tally = Tally()
    for trip in trips:
        tally.add(trip)
    sums = tally.statistics()
    ranked = sorted(trips, key=lambda trip: trip.pnl)
    totals = totals_of(position_views(state))
    return DaySummary(
        session_date=day,
        entries=state.counters.entries_today,
        round_trips=sums.round_trips,
        wins=sums.wins,
        losses=sums.losses,
        breakeven=sums.breakeven,
        net_pnl=sums.net_pnl,
        commission=sums.commission,
        best=_named(ranked[-1]) if ranked else "",
        worst=_named(ranked[0]) if ranked else "",
        open_positions=totals.positions,
        open_pnl=totals.pnl,
        unprotected=totals.unprotected,
        approvals_pending=sum(1 for a in state.approvals.values() if a.status is ApprovalStatus.PENDING),
        equity=account.equity,
        change=day_pnl(state.counters, account.equity) if state.counters.session_start_equity else Usd(ZERO),
    )


def _named(trip: RoundTrip) -> str:
    return f"{trip.instrument.key} {trip.pnl:+,.2f}"
