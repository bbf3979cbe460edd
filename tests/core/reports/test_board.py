from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.inputs import exposures_of
from apex_cli.core.execution.upkeep import keep_account
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.reports.board import Board, Gauge, make_board, make_day, open_risk, strategy_risks
from apex_cli.core.state.tables import State
from kit import START
from kit.rig import ROOMY, Prices, Rig, make_signal, manual

D = Decimal


def board(rig: Rig, limits: Limits | None = None) -> Board:
    now = rig.clock.now()
    row = rig.state.account
    count = rig.gatherer._day_trades(rig.state, row.account, now) if row else None
    return make_board(rig.state, limits or rig.limits, now, count)


def test_the_day_of_a_fresh_state_claims_nothing() -> None:
    day = make_day(State(), START)
    assert (day.equity, day.pnl, day.pnl_fraction, day.pending, day.entries_today) == (None, None, None, 0, 0)
    empty = make_board(State(), Limits(), START, None)
    assert (empty.daily_loss, empty.exposures, empty.forecast, empty.curve) == (None, (), (), ())


def test_pnl_and_loss_of_the_day_are_measured_from_the_sessions_start() -> None:
    prices = Prices()
    rig = Rig(prices=prices)
    prices.set("AAPL", "50", rig.clock.now())
    rig.feed(make_signal(now=rig.clock.now()))
    prices.set("AAPL", "49", rig.clock.advance(minutes=1))
    rig.cycle()
    rig.price("49")
    rig.cycle()
    found = board(rig)
    assert (found.day.equity, found.day.pnl, found.day.pnl_fraction) == (2985, -15, D("-0.005"))
    assert found.daily_loss == Gauge(used=Usd(D(15)), limit=Usd(D(300)))
    assert found.daily_loss.fraction == D("0.05")
    assert found.day.totals.pnl == -15


def test_the_loss_of_the_day_is_exact_to_the_cent() -> None:
    rig = Rig()
    rig.cycle()
    with rig.store.transaction() as tx:
        tx.counters = replace(tx.counters, session_start_equity=Usd(D("3000.05")))
    found = board(rig)
    assert found.daily_loss is not None
    assert found.daily_loss.used == D("0.05")


def test_the_account_of_an_earlier_session_is_not_the_day_of_this_one() -> None:
    rig = Rig()
    rig.cycle()
    tomorrow = rig.clock.now() + timedelta(days=1)
    day = make_day(rig.state, tomorrow)
    assert (day.equity, day.pnl, day.entries_today) == (3000, None, 0)
    assert make_board(rig.state, rig.limits, tomorrow, None).is_stale


def test_open_risk_is_reported_in_r() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    found = board(rig, Limits(risk=replace(ROOMY, max_open_risk_pct=D("0.10")))).open_risk
    assert (found.gauge.used, found.gauge.limit, found.r, found.limit_r) == (30, 300, 1, 10)
    assert open_risk([], RiskLimits(capital=Usd(D(0)))).r is None


def test_a_limit_of_nothing_has_no_fraction() -> None:
    assert Gauge(used=Usd(D(1)), limit=Usd(D(0))).fraction is None


def test_exposure_is_summed_by_market_and_side() -> None:
    rig = Rig(cash=Usd(D(10_000)))
    now = rig.clock.now()
    rig.feed(make_signal("A", now=now), make_signal("B", now=now))
    rig.feed(make_signal("C", now=now, side="SHORT", stop="52", targets=("46",)))
    rig.feed(make_signal("X", now=now, market=MarketType.OPTIONS, entry="2", stop="1.9", targets=("2.4",)))
    keep_account(rig.store, rig.run(rig.broker.account()), now)
    rows = board(rig).exposures
    assert [(row.market, row.side, row.count) for row in rows] == [
        (MarketType.EQUITY, PositionSide.LONG, 2),
        (MarketType.EQUITY, PositionSide.SHORT, 1),
        (MarketType.OPTIONS, PositionSide.LONG, 1),
    ]
    assert rows[0].notional == 1500
    assert rows[0].fraction == D("0.15")


def test_what_waits_is_best_first_and_gone_when_its_time_is_over() -> None:
    rig = Rig(limits=manual())
    now = rig.clock.now()
    rig.feed(make_signal("A", now=now, confidence="0.7"), make_signal("B", now=now, confidence="0.9"))
    assert [a.opportunity.signal.symbol for a in board(rig).approvals] == ["B", "A"]
    rig.clock.advance(minutes=30)
    assert board(rig).approvals == ()
    assert board(rig).day.pending == 0


def test_orders_of_unknown_fate_come_first_then_entries() -> None:
    rig = Rig()
    for symbol in ("B", "A"):
        rig.feed(make_signal(symbol, now=rig.clock.now()))
    target = next(r for r in rig.orders("B") if r.order.role is OrderRole.TARGET)
    with rig.store.transaction() as tx:
        tx.orders[target.order.client_order_id] = replace(target, status=OrderStatus.UNKNOWN)
    found = board(rig)
    assert [(r.order.instrument.key, r.order.role) for r in found.orders] == [
        ("B", OrderRole.TARGET),
        ("A", OrderRole.STOP),
        ("A", OrderRole.TARGET),
        ("B", OrderRole.STOP),
    ]
    assert found.day.unknown_orders == 1


def test_mode_and_forecast_are_those_of_the_state_and_the_count() -> None:
    rig = Rig()
    rig.cycle()
    found = board(rig)
    assert found.day.mode is TradingMode.ACTIVE
    assert found.forecast == (3, 3, 3, 3, 3)


def test_a_time_outside_the_calendar_is_shown_with_its_date() -> None:
    far = datetime(2300, 1, 2, tzinfo=UTC)
    assert make_day(State(), far).session_date == "2300-01-02"


def test_open_risk_is_summed_by_strategy() -> None:
    rig = Rig(cash=D(30_000))
    for number, (symbol, strategy) in enumerate((("AAPL", "fade"), ("MSFT", "breakout"), ("IBM", "breakout"))):
        rig.feed(make_signal(symbol, now=rig.clock.now(), strategy=strategy, signal_id=f"risk-{number}"))
    limits = rig.limits.risk
    found = strategy_risks(rig.state, limits)
    assert [(row.strategy, row.count) for row in found] == [("breakout", 2), ("fade", 1)]
    assert sum(row.risk for row in found) == open_risk(exposures_of(rig.state), limits).gauge.used
    assert found[0].fraction == found[0].risk / (limits.max_open_risk_pct * limits.capital)
    assert strategy_risks(Rig().state, limits) == ()
