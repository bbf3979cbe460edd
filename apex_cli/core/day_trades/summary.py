"""The whole picture of an account's day trades at one moment: what ``pdt-status`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from apex_cli.core.day_trades.cash_account import proceeds_settle_on
from apex_cli.core.day_trades.count import (
    RunningCount,
    SpreadDayTrades,
    day_trade_status,
    forecast,
    leaves_window_on,
    spread_day_trades,
)
from apex_cli.core.day_trades.deficits import Standing, standing
from apex_cli.core.day_trades.flow import Countable, in_trade_order, opening_transactions, security_of
from apex_cli.core.day_trades.gate import GateOrder, GateVerdict, Ground, judge_order
from apex_cli.core.day_trades.margin import Level, margin_level
from apex_cli.core.market.calendar import NEW_YORK, session_date
from apex_cli.core.model.account import AccountFacts, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.records import DeficitRecord

BY_OPENINGS = "interpretation_01"
"""Name of the other method's count: opening transactions that were liquidated the same day."""

PATTERN_SHARE = Decimal("0.06")
"""FINRA Rule 4210(f)(8)(B)(ii): day trades up to 6 % of all trades make no pattern. Only shown: brokers ignore it."""


class DayTradeReport(Value, frozen=True, kw_only=True):
    """Count, regime, forecast, and the verdict on one order."""

    as_of: datetime
    is_next_session: bool
    """True after 20:00 New York and on closed days: everything is about the next session."""

    status: DayTradeStatus
    forecast: tuple[int | None, ...]
    broker_forecast: tuple[int | None, ...]
    """The broker's own numbers for the same sessions; empty where it reports today alone, or nothing."""

    alternative_counts: dict[str, int]
    leaves_window: dict[str, date | None]
    """Session with day trades to the first session whose window is without it."""

    executions_in_window: int
    later_executions: int
    """Executions after *as_of*, left out."""

    verdict: GateVerdict | None
    """None when there was no order to judge."""

    level: Level
    deficits: Standing = Standing()
    """Intraday margin deficits that are kept."""

    spreads: tuple[SpreadDayTrades, ...] = ()
    """Option day trades of one underlying in one session that a broker may count as one."""

    @property
    def day_trade_share(self) -> Decimal | None:
        """Day trades over executions in the window; None without executions."""
        return Decimal(self.status.used) / self.executions_in_window if self.executions_in_window else None


def make_report(
    *,
    executions: Iterable[Countable],
    start: Mapping[str, Decimal],
    facts: AccountFacts,
    limits: DayTradeLimits,
    as_of: datetime,
    order: GateOrder | None = None,
    preview: MarginPreview | None = None,
    is_partial: bool = False,
    deficits: Iterable[DeficitRecord] = (),
) -> DayTradeReport:
    """Return the picture at *as_of*.

    Args:
        executions: in any order and repetition; later ones than *as_of* are left out.
        start: signed quantities held before the first of them, by security.
        facts: the account as reported now.
        limits: the user's regime, limit, window and threshold.
        as_of: aware.
        order: judged when given.
        preview: the broker's "what if" for it.
        is_partial: True when the executions may not cover the whole window.
        deficits: intraday margin deficits that are kept.
    """
    rows = in_trade_order(executions)
    seen = [fill for fill in rows if fill.filled_at <= as_of]
    session = session_date(as_of)
    running = RunningCount(seen, start)
    count = running.count()
    opened = running.opened_in(session)
    status = day_trade_status(
        count, session=session, facts=facts, limits=limits, opened_today=opened, is_partial=is_partial
    )
    verdict = None
    if order:
        settles = proceeds_settle_on(seen, order.security, session) if _is_cash(status) else None
        held = running.held(order.security)
        ground = Ground(status=status, facts=facts, held=held, preview=preview, proceeds_settle_on=settles)
        verdict = judge_order(order, ground)
    return DayTradeReport(
        as_of=as_of,
        is_next_session=as_of.astimezone(NEW_YORK).date() != session,
        status=status,
        forecast=forecast(status),
        broker_forecast=_brokers_forecast(facts),
        alternative_counts=_alternatives(seen, start, status),
        leaves_window={
            day: leaves_window_on(date.fromisoformat(day), limits) for day, found in status.by_session.items() if found
        },
        executions_in_window=sum(1 for fill in seen if _is_in_window(fill, status)),
        later_executions=len(rows) - len(seen),
        verdict=verdict,
        level=verdict.level if verdict else _level_now(facts, status),
        deficits=standing(deficits, session),
        spreads=spread_day_trades(count, status.window),
    )


def _brokers_forecast(facts: AccountFacts) -> tuple[int | None, ...]:
    ahead = facts.broker_day_trades_ahead
    return (facts.broker_day_trades_remaining, *ahead) if ahead else ()


def _is_cash(status: DayTradeStatus) -> bool:
    return Regime.CASH_SETTLEMENT in status.regimes


def _level_now(facts: AccountFacts, status: DayTradeStatus) -> Level:
    """Return the margin level where margin matters."""
    if _is_cash(status):
        return Level()
    return margin_level(facts, None, None, opens=False)


def _alternatives(seen: list[Countable], start: Mapping[str, Decimal], status: DayTradeStatus) -> dict[str, int]:
    """Return the window's count by the other method."""
    by_session = opening_transactions(seen, start)
    return {BY_OPENINGS: sum(by_session.get(day, 0) for day in status.window)}


def _is_in_window(fill: Countable, status: DayTradeStatus) -> bool:
    return security_of(fill) is not None and session_date(fill.filled_at).isoformat() in status.window
