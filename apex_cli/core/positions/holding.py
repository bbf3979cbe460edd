"""Time exits: after a number of sessions or minutes, and before the close of a session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from apex_cli.core.market.calendar import (
    NEW_YORK,
    market_status,
    next_session,
    previous_sessions,
    session_bounds,
    session_date,
    session_start,
)
from apex_cli.core.market.expiry import last_trade_at
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.management import ManagementPlan, MaxHolding, OptionRules, is_in_days, read_lead
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderType
from apex_cli.core.model.position import Position
from apex_cli.core.positions.protection import is_unsure

TIME_EXIT = "time_exit"
BEFORE_EXPIRY = "before_expiry"
END_OF_DAY = "end_of_day"
NEVER = datetime.max.replace(tzinfo=UTC)


class TimeClose(Value, frozen=True, kw_only=True):
    """A close that is due."""

    reason: str
    """``time_exit``, ``end_of_day`` or ``before_expiry``: the round trip's exit reason."""

    due: datetime
    """Since when, aware UTC."""


def close_due(  # noqa: PLR0917 - what a decision reads, in one line
    position: Position,
    orders: Iterable[OrderRecord],
    plan: ManagementPlan,
    market: MarketStatus,
    mode: TradingMode,
    now: datetime,
) -> TimeClose | None:
    """Return the close that time asks for now; None without one, or while it is under way.

    Only while the market trades, and not while trading is halted: the stop stays, and the close comes later. *orders*
    are all of the instrument, *market* is it at *now*.
    """
    if not plan.closes or not market.is_open or mode is TradingMode.HALTED or any(map(_is_under_way, orders)):
        return None
    due: list[TimeClose] = []
    deadline = holding_deadline(position, plan.max_holding)
    if deadline is not None:
        due.append(TimeClose(reason=TIME_EXIT, due=deadline))
    before_expiry = expiry_deadline(position.instrument, plan.options)
    if before_expiry is not None:
        due.append(TimeClose(reason=BEFORE_EXPIRY, due=before_expiry))
    flat_at = flat_from(market, plan)
    if flat_at is not None:
        due.append(TimeClose(reason=END_OF_DAY, due=flat_at))
    first = min(due, key=lambda close: close.due, default=None)
    return first if first is not None and first.due <= now else None


def _is_under_way(record: OrderRecord) -> bool:
    """Return whether *record* is a market close that works, or may have filled already."""
    order = record.order
    is_close = order.role is OrderRole.CLOSE and order.order_type is OrderType.MARKET
    return is_unsure(record) or (is_close and record.is_open)


def flat_from(market: MarketStatus, plan: ManagementPlan) -> datetime | None:
    """Return from when on nothing may be held in the running session; None without an end, or when it is off."""
    if plan.flat_at_close is None or market.closes_at is None:
        return None
    return market.closes_at - timedelta(minutes=plan.flat_at_close)


def holding_deadline(position: Position, limit: MaxHolding) -> datetime | None:
    """Return until when *position* may be held; the earlier of two limits, None without any.

    Sessions: the opening of the n-th session after the one it was opened in. Minutes: as many with its market open,
    so nights, weekends and holidays do not count.
    """
    market_type = position.instrument.market_type
    deadlines = []
    if limit.sessions is not None:
        deadlines.append(_session_opening(market_type, position.entry_time, limit.sessions))
    if limit.minutes is not None:
        deadlines.append(open_minutes_after(market_type, position.entry_time, limit.minutes))
    return min(deadlines, default=None)


def expiry_deadline(instrument: Instrument, rules: OptionRules) -> datetime | None:
    """Return from when on *instrument* is to be closed before its expiry, aware UTC; None where it is not.

    Days: the opening of the last session that is so many calendar days, or more, before the last one. Hours and
    minutes: so long before the close of the last session.
    """
    last = last_trade_at(instrument)
    if last is None or rules.exit_before_expiry is None:
        return None
    lead = read_lead(rules.exit_before_expiry)
    if not is_in_days(rules.exit_before_expiry):
        return last - lead
    day = last.astimezone(NEW_YORK).date() - lead
    bounds = session_bounds(day) or session_bounds(previous_sessions(day, 1)[0])
    return bounds[0] if bounds is not None else None


def _session_opening(market_type: MarketType, entered: datetime, sessions: int) -> datetime:
    """Return when the *sessions*-th session after that of *entered* begins; NYSE's opening where it has one."""
    day = session_date(entered)
    for _ in range(sessions):
        day = next_session(day)
    bounds = session_bounds(day)
    if bounds is None or market_type in {MarketType.CRYPTO, MarketType.FOREX}:
        return session_start(day)
    return bounds[0]


def open_minutes_after(market_type: MarketType, start: datetime, minutes: int) -> datetime:
    """Return the moment at which the market has been open for *minutes* since *start*."""
    moment, left = start, timedelta(minutes=minutes)
    while True:
        market = market_status(market_type, moment)
        ends = (market.closes_at or NEVER) if market.is_open else moment
        if market.is_open and moment + left <= ends:
            return moment + left
        left -= ends - moment
        moment = market.opens_at or ends
