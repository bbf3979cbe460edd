from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.account import CashFlow
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import Counters, OutboxRow
from apex_cli.core.reports.trade_report import KINDS, ReportBuilder, Span, TradeReport
from kit.rig import Prices, Rig, make_signal, manual
from kit.statistics import statistics_of

D = Decimal
START = datetime(2026, 3, 2, 15, tzinfo=UTC)


def report(rig: Rig, span: Span | None = None, **options: Any) -> TradeReport:
    builder = ReportBuilder(span or Span(), capital=Usd(D(3000)), **options)
    builder.add_all(rig.store.events)
    return builder.report()


def _row(kind: str, data: object) -> OutboxRow:
    return OutboxRow(seq=1, at=START, kind=kind, data=msgspec.Raw(msgspec.json.encode(data)))


def trade(rig: Rig, exit_price: str, *, entry: str = "50", strategy: str = "breakout", target: str = "54") -> None:
    """Open at *entry* (seen at 50) and meet *exit_price*."""
    number = len(rig.store.events)
    prices = rig.prices
    assert isinstance(prices, Prices)
    prices.set("AAPL", entry, rig.clock.advance(minutes=1))
    rig.price(entry)
    rig.feed(make_signal(now=rig.clock.now(), signal_id=f"s-{number}", strategy=strategy, targets=(target,)))
    rig.clock.advance(minutes=1)
    rig.price(exit_price)
    rig.cycle()
    if rig.state.positions:
        rig.close()


def a_week(*results: str) -> Rig:
    rig = Rig(prices=Prices(), cash=D(30_000))  # enough that day trades are not limited
    for result in results:
        trade(rig, result, strategy="breakout" if result == "54" else "fade")
    return rig


def test_closed_trades_are_counted_by_strategy_exit_and_month() -> None:
    rig = a_week("54", "47", "54", "51")
    found = report(rig)
    trips = list(rig.state.round_trips.values())
    assert found.statistics == statistics_of(trips)
    assert {g.name: g.statistics.round_trips for g in found.by_strategy} == {"breakout": 2, "fade": 2}
    assert {g.name: g.statistics.round_trips for g in found.by_exit_reason} == {"target": 2, "stop": 1, "manual": 1}
    assert [(g.name, g.statistics.round_trips) for g in found.by_month] == [("2026-03", 4)]
    assert found.start_equity == 30_000
    assert found.curve[-1].equity == 30_000 + sum(trip.net_pnl for trip in trips)
    assert found.day_trades == 4
    assert sum(found.r_distribution.counts) == 4


def test_the_drawdown_is_that_of_the_curve_trade_by_trade() -> None:
    found = report(a_week("54", "47", "47", "54"))
    assert found.drawdown.amount == 2 * 15 * 3
    assert found.drawdown.fraction == D(90) / (30_000 + 15 * 4)


def test_a_fall_of_what_is_open_is_in_the_curve() -> None:
    prices = Prices()
    rig = Rig(prices=prices, cash=D(30_000))
    prices.set("ZM", "50", rig.clock.now())
    rig.feed(make_signal("ZM", now=rig.clock.now(), stop="40", targets=("80",)))
    held = rig.state.positions["ZM"].position.quantity
    for price in ("50", "44", "58", "80"):
        rig.clock.advance(timedelta(days=1))
        prices.set("ZM", price, rig.clock.now())
        rig.price(price, "ZM")
        rig.cycle()
    found = report(rig)
    assert not rig.state.positions
    assert found.knows_open
    assert found.drawdown.amount == 6 * held
    assert min(point.equity for point in found.curve) == 30_000 - 6 * held


def test_a_session_that_began_with_the_money_gone_is_no_fall() -> None:
    builder = ReportBuilder(Span(), capital=Usd(D(10_000)))
    builder.add_all(each for each in a_week("54").store.events if each.kind == "round_trip_closed")
    for day, equity in (("2026-03-02", "10000"), ("2026-03-03", "10100"), ("2026-03-04", "5100")):
        builder.add(_row("session_started", Counters(session_date=day, session_start_equity=Usd(D(equity)))))
    flow = CashFlow(amount=Usd(D(-5_000)), equity_before=Usd(D(10_100)), equity_after=Usd(D(5_100)))
    builder.add(_row("cash_moved", flow))
    assert builder.report().drawdown.amount == 0


def test_money_that_is_paid_in_or_taken_out_is_no_gain_and_no_fall() -> None:
    builder = ReportBuilder(Span(), capital=Usd(D(10_000)))
    equities = ("10000", "10100", "5100", "5200")
    days = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
    rig = a_week("54")
    builder.add_all(each for each in rig.store.events if each.kind == "round_trip_closed")
    for day, equity in zip(days, equities, strict=True):
        if day == "2026-03-04":
            flow = CashFlow(amount=Usd(D(-5_000)), equity_before=Usd(D(10_100)), equity_after=Usd(D(5_100)))
            builder.add(_row("cash_moved", flow))
        counters = Counters(session_date=day, session_start_equity=Usd(D(equity)))
        builder.add(_row("session_started", counters))
    found = builder.report()
    assert found.drawdown.amount == 0
    assert [point.equity for point in found.curve] == [10_100, 10_100, 10_200, 10_200]


def test_nothing_traded_is_nothing_claimed() -> None:
    found = report(Rig())
    assert (found.statistics.round_trips, found.curve, found.ratios.sharpe) == (0, (), None)
    assert (found.slippage.orders, found.slippage.spread, found.slippage.total) == (0, None, 0)


def test_only_sessions_of_the_span_count() -> None:
    rig = a_week("54")
    rig.clock.advance(timedelta(days=1))
    trade(rig, "47")
    monday, tuesday = date(2026, 3, 2), date(2026, 3, 3)
    first = report(rig, Span(last=monday))
    second = report(rig, Span(first=tuesday))
    assert (first.statistics.pnl, second.statistics.pnl) == (60, -45)
    assert (first.day_trades, second.day_trades) == (1, 1)
    assert (second.curve[0].day, second.curve[0].equity) == (tuesday, 30_060 - 45)
    assert report(rig, Span(first=monday, last=tuesday)).statistics == report(rig).statistics
    assert sum(first.decisions.values()) + sum(second.decisions.values()) == sum(report(rig).decisions.values())


def test_refusals_are_counted_by_every_reason() -> None:
    rig = Rig()
    now = rig.clock.now()
    rig.feed(make_signal("A", now=now, confidence="0.1"), make_signal("B", now=now, confidence="0.1", targets=("51",)))
    rig.feed(make_signal("C", now=now, minutes=-1))
    found = report(rig)
    counts = {row.code: row.count for row in found.refusals}
    assert counts["min_confidence" if "min_confidence" in counts else "confidence_min"] == 2
    assert counts["signal_expired"] == 1
    assert found.decisions == {"expired": 1, "refuse": 2}
    assert [row.count for row in found.refusals] == sorted(counts.values(), reverse=True)


def test_answers_and_approvals_that_ended_are_counted() -> None:
    rig = Rig(limits=manual())
    rig.feed(*(make_signal(symbol, now=rig.clock.now()) for symbol in ("A", "B", "C")))
    first, second, _ = rig.desk.pending()
    rig.run(rig.desk.approve(first))
    rig.desk.reject(second, reason="earnings")
    rig.clock.advance(minutes=31)
    rig.cycle()
    found = report(rig)
    assert found.decisions == {"approval expired": 1, "approval rejected": 1, "execute (answer)": 1, "queue": 3}
    assert {row.code for row in found.refusals} >= {"approval_rejected", "approval_expired"}


def test_delay_is_what_the_price_moved_between_signal_and_decision() -> None:
    rig = Rig(prices=Prices(), cash=D(3000))
    trade(rig, "58", entry="50.40", target="58")
    found = report(rig).slippage
    quantity = next(iter(rig.state.round_trips.values())).quantity
    assert found.delay == D("0.40") * quantity
    assert found.execution == 0
    assert found.total == found.delay


def test_a_stop_that_fills_beyond_its_trigger_costs() -> None:
    rig = Rig(prices=Prices(), cash=D(3000))
    trade(rig, "47")
    found = report(rig).slippage
    assert found.by_role["stop"] == 15
    assert found.execution == 15


def test_the_spread_is_taken_out_of_execution_where_the_quote_reports_it() -> None:
    rig = Rig(prices=Prices(), cash=D(3000))
    trade(rig, "54")
    builder = ReportBuilder(Span(), capital=Usd(D(3000)))
    quote = b'"source":"last"'
    for event in rig.store.events:
        data = bytes(event.data).replace(quote, quote + b',"bid":"49.90","ask":"50.10"')
        builder.add(replace(event, data=type(event.data)(data)))
    found = builder.report().slippage
    assert found.spread == D("0.10") * 15
    assert found.execution == D("-0.10") * 15
    assert found.total == 0


def test_a_corrected_trade_counts_once() -> None:
    rig = a_week("54")
    closed = next(event for event in rig.store.events if event.kind == "round_trip_closed")
    anew = replace(closed, seq=closed.seq + 1000)
    builder = ReportBuilder(Span(), capital=Usd(D(3000)))
    fill = next(event for event in rig.store.events if event.kind == "fill")
    builder.add(replace(fill, kind="fill_corrected"))
    assert builder.has_corrections
    key = next(iter(rig.state.round_trips))
    counted = ReportBuilder(Span(), capital=Usd(D(3000)), final={key: anew.seq})
    counted.add_all([closed, anew])
    assert counted.report().statistics.round_trips == 1
    voided = ReportBuilder(Span(), capital=Usd(D(3000)), final={key: 0})
    voided.add_all([closed, anew])
    assert voided.report().statistics.round_trips == 0


def test_payloads_of_another_version_and_other_kinds_are_passed_over() -> None:
    builder = ReportBuilder(Span(), capital=Usd(D(3000)))
    event = next(iter(a_week("54").store.events))
    for kind in (*KINDS, "something_new"):
        builder.add(replace(event, kind=kind, data=type(event.data)(b'["average_price"]')))
    assert builder.report().statistics.round_trips == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["54", "47", "51", "49"]), max_size=5))
def test_a_report_of_two_halves_adds_up(results: list[str]) -> None:
    rig = a_week(*results)
    found = report(rig)
    assert found.statistics.net_pnl == sum((g.statistics.net_pnl for g in found.by_strategy), D(0))
    assert found.statistics.net_pnl == sum((g.statistics.net_pnl for g in found.by_exit_reason), D(0))


def test_sharpe_needs_twenty_sessions_and_counts_the_quiet_ones() -> None:
    rig = a_week("54")
    rig.clock.advance(timedelta(days=14))
    trade(rig, "47")
    assert report(rig).ratios.sharpe is None
    rig.clock.advance(timedelta(days=28))
    trade(rig, "54")
    assert report(rig).ratios.sharpe is not None
