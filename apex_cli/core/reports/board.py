"""The day at one glance, as values: what the dashboard, ``positions --watch`` and the status line of a run show.

Made of the committed state alone, so whoever looks needs no broker. Losses and risks are positive amounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.day_trades.count import forecast
from apex_cli.core.decision.inputs import exposures_of
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.account import AccountBadge, AccountSnapshot
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Exposure, TradingMode
from apex_cli.core.model.health import DriftNote
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import LearningState
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Price, Usd
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, EquityPoint
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions.cash_flows import day_pnl
from apex_cli.core.positions.position_views import PositionView, Totals, position_views, totals_of
from apex_cli.core.positions.trade_locks import locks_in_force
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.plans import StopPlace
from apex_cli.core.state.tables import State

STALE_AFTER = timedelta(minutes=5)
"""Without a running apex an account that changed no later than this is shown as old."""


class Day(Value, frozen=True, kw_only=True):
    """The day in one line: what may be done, what is open, what waits, what it earned."""

    now: datetime
    session_date: str
    mode: TradingMode
    mode_reason: str = ""
    totals: Totals
    pending: int
    """Approvals that wait and have not expired."""

    unknown_orders: int
    entries_today: int
    equity: Usd | None
    """None before the first run."""

    equity_at: datetime | None
    pnl: Usd | None
    """Equity less that at the session's start and what was paid in since; None when one of them is not known."""

    pnl_fraction: Decimal | None
    """The same as a part of the session's start, which deposits and withdrawals scale."""


class Gauge(Value, frozen=True, kw_only=True):
    """An amount beside the most it may be."""

    used: Usd
    limit: Usd

    @property
    def fraction(self) -> Decimal | None:
        """Part of the limit that is used; above 1 beyond it, None without a limit."""
        return self.used / self.limit if self.limit > 0 else None


class OpenRisk(Value, frozen=True, kw_only=True):
    """The loss if every stop is hit at once, positions and working entries together."""

    gauge: Gauge
    r: Decimal | None
    """The same in R, where 1 R is what one trade may lose: capital * max_risk_pct."""

    limit_r: Decimal | None


class MarketExposure(Value, frozen=True, kw_only=True):
    """Everything on one side of one market."""

    market: MarketType
    side: PositionSide
    count: int
    notional: Usd
    fraction: Decimal | None
    """Of equity; None while that is not known."""


class StrategyRisk(Value, frozen=True, kw_only=True):
    """What one strategy loses if all of its stops are hit, positions and working entries together."""

    strategy: str
    count: int
    risk: Usd
    fraction: Decimal | None
    """Of the most that may be at risk; None without a limit."""


class PositionHistory(Value, frozen=True, kw_only=True):
    """How an open position came to where it stands."""

    bars: tuple[Bar, ...] = ()
    """From before its entry up to now, oldest first; empty where there are none."""

    first_stop: Price | None = None
    stops: tuple[StopPlace, ...] = ()
    """Where its stop was moved to, oldest first."""


class Board(Value, frozen=True, kw_only=True):
    """Everything on the screen but the log."""

    day: Day
    is_stale: bool
    """True when the account last changed more than five minutes ago: it may be out of date unless a run is going."""

    cash: Usd | None
    daily_loss: Gauge | None
    """What the day has lost so far; None before the session's first run."""

    open_risk: OpenRisk
    risks: tuple[StrategyRisk, ...]
    """By strategy, the largest first."""

    exposures: tuple[MarketExposure, ...]
    day_trades: DayTradeStatus | None
    """None before the first run, and outside the calendar."""

    forecast: tuple[int | None, ...]
    positions: tuple[PositionView, ...]
    approvals: tuple[ApprovalRecord, ...]
    """What waits, best score first."""

    orders: tuple[OrderRecord, ...]
    """Working ones: unknown first, then entries, then exits by security."""

    curve: tuple[EquityPoint, ...]
    """Of the running session."""

    learning: LearningState
    """Where the learners stand."""

    round_trips: tuple[RoundTrip, ...]
    """The newest closed ones, oldest first."""

    locks: tuple[TradeLock, ...] = ()
    """What closed trades keep from being opened now."""

    drift: DriftNote | None = None
    """What the last comparison with a replay came to; None without one."""


class Seen(Value, frozen=True, kw_only=True):
    """What one look at a state gives."""

    board: Board
    lines: tuple[Activity, ...]
    """The log, oldest first."""

    alarms: tuple[Activity, ...]
    """Those of the running session, oldest first."""

    badge: AccountBadge
    """Which account it is."""

    holder: str
    """Who trades now; empty when nobody does."""


def make_day(state: State, now: datetime, views: tuple[PositionView, ...] | None = None) -> Day:
    """Return the day in one line; *views* when they are at hand already."""
    today = session_date(now).isoformat()
    counters, row = state.counters, state.account
    equity = row.account.equity if row else None
    start = counters.session_start_equity if row and row.session_date == counters.session_date == today else None
    return Day(
        now=now,
        session_date=today,
        mode=state.trading.mode,
        mode_reason=state.trading.reason,
        totals=totals_of(position_views(state) if views is None else views),
        pending=len(pending_approvals(state, now)),
        unknown_orders=sum(1 for r in state.orders.open() if r.status is OrderStatus.UNKNOWN),
        entries_today=counters.entries_today if counters.session_date == today else 0,
        equity=equity,
        equity_at=row.account.taken_at if row else None,
        pnl=day_pnl(counters, equity) if equity is not None and start else None,
        pnl_fraction=(equity - start) / start if equity is not None and start else None,
    )


def make_board(
    state: State,
    limits: Limits,
    now: datetime,
    day_trades: DayTradeStatus | None,
    *,
    drift: DriftNote | None = None,
) -> Board:
    """Return the screen at *now*.

    *day_trades* is the count for an order sent now, None when it is not known; *drift* is what the last comparison with
    a replay came to.
    """
    views = position_views(state)
    day = make_day(state, now, views)
    row = state.account
    return Board(
        day=day,
        is_stale=day.equity_at is not None and now - day.equity_at > STALE_AFTER,
        cash=row.account.cash if row else None,
        daily_loss=_daily_loss(state, day, limits.risk),
        open_risk=open_risk(exposures_of(state), limits.risk),
        risks=strategy_risks(state, limits.risk),
        exposures=market_exposures(state, row.account if row else None),
        day_trades=day_trades,
        forecast=forecast(day_trades) if day_trades else (),
        positions=views,
        approvals=pending_approvals(state, now),
        orders=working_orders(state),
        curve=row.curve if row else (),
        learning=state.learning,
        round_trips=closed_trips(state),
        locks=locks_in_force(state, now),
        drift=drift,
    )


def pending_approvals(state: State, now: datetime) -> tuple[ApprovalRecord, ...]:
    """Return what waits for an answer at *now*, best score first."""
    waiting = [a for a in state.approvals.values() if a.status is ApprovalStatus.PENDING and a.expires_at > now]
    return tuple(sorted(waiting, key=lambda a: (-a.opportunity.opportunity_score, a.approval_id)))


def working_orders(state: State) -> tuple[OrderRecord, ...]:
    """Return what may still fill: unknown first, then entries, then exits, each by security."""
    return tuple(sorted(state.orders.open(), key=_order_rank))


def closed_trips(state: State) -> tuple[RoundTrip, ...]:
    """Return the closed round trips that are at hand, oldest first."""
    return tuple(sorted(state.round_trips.values(), key=lambda trip: (trip.exit_time, trip.round_trip_id)))


def open_risk(exposures: Iterable[Exposure], limits: RiskLimits) -> OpenRisk:
    """Return the loss if every stop is hit, beside the most that may be at risk.

    in R = loss / (capital * max_risk_pct): the unit a new trade is sized by.
    """
    used = sum((exposure.risk for exposure in exposures), ZERO)
    one_r = limits.capital * limits.max_risk_pct
    most = limits.max_open_risk_pct * limits.capital
    return OpenRisk(
        gauge=Gauge(used=Usd(used), limit=Usd(most)),
        r=used / one_r if one_r else None,
        limit_r=most / one_r if one_r else None,
    )


def strategy_risks(state: State, limits: RiskLimits) -> tuple[StrategyRisk, ...]:
    """Return the open risk by strategy, the largest first."""
    sums: dict[str, list[Decimal]] = {}
    for exposure in exposures_of(state):
        sums.setdefault(exposure.strategy, []).append(exposure.risk)
    most = limits.max_open_risk_pct * limits.capital
    rows = []
    for name, risks in sums.items():
        risk = Usd(sum(risks, ZERO))
        fraction = risk / most if most else None
        rows.append(StrategyRisk(strategy=name, count=len(risks), risk=risk, fraction=fraction))
    return tuple(sorted(rows, key=lambda row: (-row.risk, row.strategy)))


def market_exposures(state: State, account: AccountSnapshot | None) -> tuple[MarketExposure, ...]:
    """Return positions and working entries summed by market and side, the largest first."""
    markets = {key: row.position.instrument.market_type for key, row in state.positions.items()}
    markets |= {r.order.instrument.key: r.order.instrument.market_type for r in state.orders.open()}
    sums: dict[tuple[MarketType, PositionSide], list[Decimal]] = {}
    for exposure in exposures_of(state):
        sums.setdefault((markets[exposure.key], exposure.side), []).append(exposure.notional)
    equity = account.equity if account else ZERO
    rows = [
        MarketExposure(
            market=market,
            side=side,
            count=len(values),
            notional=Usd(sum(values, ZERO)),
            fraction=sum(values, ZERO) / equity if equity > 0 else None,
        )
        for (market, side), values in sums.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.notional, row.market, row.side)))


def _daily_loss(state: State, day: Day, limits: RiskLimits) -> Gauge | None:
    """Return the loss since the session's start beside the most it may be, as the daily-loss check has it."""
    if day.equity is None or day.pnl is None:
        return None
    start = state.counters.session_start_equity
    return Gauge(used=Usd(max(ZERO, start - day.equity)), limit=Usd(limits.max_daily_loss_pct * start))


def _order_rank(record: OrderRecord) -> tuple[bool, bool, str, OrderRole, int]:
    order = record.order
    is_known = record.status is not OrderStatus.UNKNOWN
    return is_known, order.role is not OrderRole.ENTRY, order.instrument.key, order.role, order.tranche
