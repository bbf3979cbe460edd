from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.errors import InputError
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions.performance import ratios_of
from apex_cli.core.reports.plans import PlanBook
from apex_cli.core.reports.tearsheet import (
    excursions,
    make_tearsheet,
    month_results,
    price_path,
    rolling_results,
)
from apex_cli.core.reports.trade_report import SessionValue, every_session
from apex_cli.core.state.events.event import UnreadEvent, read_event
from kit.bars import ListBars
from kit.rig import Prices, Rig, make_signal
from kit.trading_history import DailyBars, make_history

D = Decimal


def value(day: str, equity: int) -> SessionValue:
    return SessionValue(day=date.fromisoformat(day), equity=Usd(D(equity)))


def test_a_month_is_measured_from_the_end_of_the_one_before() -> None:
    curve = (value("2026-01-30", 100), value("2026-02-02", 90), value("2026-02-27", 120), value("2026-03-02", 60))
    assert [(m.year, m.month, round(m.change, 9)) for m in month_results(curve)] == [(2026, 2, 0.2), (2026, 3, -0.5)]
    assert month_results(()) == ()
    assert month_results((value("2026-01-30", 0), value("2026-02-02", 90))) == ()


def test_sessions_between_two_points_are_those_on_which_nothing_changed() -> None:
    filled = every_session((value("2026-01-15", 100), value("2026-01-21", 90)))
    assert [(f"{point.day:%d}", int(point.equity)) for point in filled] == [
        ("15", 100), ("16", 100), ("20", 100), ("21", 90),
    ]  # fmt: skip


def test_rolling_results_hold_their_intervals_and_need_twenty_trades() -> None:
    trips = make_history(40).trips
    assert rolling_results(trips[:19], 10) == ()
    found = rolling_results(trips, 10)
    assert len(found) == 31
    last = [float(trip.net_r_multiple or 0) for trip in trips[-10:]]
    assert found[-1].expectancy == pytest.approx(sum(last) / 10)
    assert found[-1].win_rate == sum(result > 0 for result in last) / 10
    for point in found:
        assert point.expectancy_low <= point.expectancy <= point.expectancy_high
        assert 0 <= point.win_rate_low < point.win_rate_high <= 1


def test_rolling_results_are_of_the_trades_whose_risk_is_known() -> None:
    trips = make_history(250).trips
    some = [trip if number % 10 == 0 else replace(trip, initial_risk=None) for number, trip in enumerate(trips)]
    sheet = make_tearsheet(some, {}, ())
    assert (sheet.window, len(sheet.rolling)) == (10, 16)


def test_a_win_rate_of_all_is_not_taken_for_certain() -> None:
    trips = [replace(trip, pnl=Usd(D(50))) for trip in make_history(20).trips]
    (point,) = rolling_results(trips, 20)
    assert (point.win_rate, round(point.win_rate_low, 3), round(point.win_rate_high, 3)) == (1, 0.881, 1)


def long_trip(bars: DailyBars, first: int, last: int, side: PositionSide = PositionSide.LONG) -> RoundTrip:
    every = bars.bars("SYM0")
    trip = make_history(1).trips[0]
    return replace(
        trip,
        side=side,
        entry_price=every[first].open,
        exit_price=every[last].close,
        entry_time=every[first].start,
        exit_time=every[last].end - timedelta(seconds=1),
        initial_risk=Usd(D(10)),
        quantity=D(10),
    )


def test_the_way_is_that_of_the_bars_between_and_of_the_exit() -> None:
    bars = DailyBars(["SYM0"], 60)
    every = bars.bars("SYM0")
    trip = long_trip(bars, 30, 34)
    path = price_path(trip, bars)
    assert path is not None
    assert (path.bars[path.entry], path.bars[path.exit]) == (every[30], every[34])
    worst, best = excursions(trip, path)
    lowest = min([bar.low for bar in every[30:34]] + [trip.exit_price, trip.entry_price])
    highest = max([bar.high for bar in every[30:34]] + [trip.exit_price, trip.entry_price])
    assert (worst, best) == (lowest - trip.entry_price, highest - trip.entry_price)
    short = long_trip(bars, 30, 34, PositionSide.SHORT)
    assert excursions(short, path) == (trip.entry_price - highest, trip.entry_price - lowest)
    assert excursions(replace(trip, initial_risk=None), path) == (None, None)


def test_a_trade_without_bars_of_its_time_has_no_path() -> None:
    bars = DailyBars(["SYM0"], 20)
    trip = make_history(1).trips[0]
    assert price_path(replace(trip, entry_time=trip.entry_time - timedelta(days=4000)), bars) is None
    assert price_path(trip, ListBars({})) is None


class Damaged(ListBars):
    def bars(self, symbol: str, **span: object) -> tuple[()]:  # type: ignore[override]
        raise InputError("bars_invalid", f"{symbol}.csv, line 3: no number.")


def test_bars_that_cannot_be_read_take_away_the_path_alone() -> None:
    history = make_history(3)
    sheet = make_tearsheet(history.trips, history.plans, history.curve, Damaged({}))
    assert [(trade.path, trade.worst) for trade in sheet.trades] == [(None, None)] * 3


def test_a_benchmark_starts_with_the_same_money() -> None:
    history = make_history(30)
    sheet = make_tearsheet(history.trips, history.plans, history.curve, history.bars, "SYM1")
    assert sheet.benchmark is not None
    closes = [float(bar.close) for bar in history.bars.bars("SYM1")]
    assert sheet.benchmark.values[0] == pytest.approx(30_000)
    assert sheet.benchmark.values[-1] == pytest.approx(30_000 * closes[-1] / closes[0])
    assert make_tearsheet(history.trips, {}, history.curve, history.bars, "NONE").benchmark is None
    assert make_tearsheet((), {}, (), history.bars, "SYM1").benchmark is None


def test_groups_add_up_to_every_trade() -> None:
    history = make_history(60)
    sheet = make_tearsheet(history.trips, history.plans, history.curve)
    for groups in (sheet.by_strategy, sheet.by_exit, sheet.by_symbol, sheet.by_weekday, sheet.by_hour):
        assert sum(group.statistics.round_trips for group in groups) == 60
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    assert [group.name for group in sheet.by_weekday] == [
        day for day in days if day in {g.name for g in sheet.by_weekday}
    ]
    assert ratios_of([point.equity for point in sheet.curve], []).sessions == len(sheet.curve) - 1


def test_a_plan_keeps_its_first_stop_and_where_it_was_moved_to() -> None:
    prices = Prices()
    rig = Rig(prices=prices, cash=D(30_000))
    prices.set("AAPL", "50", rig.clock.now())
    rig.feed(make_signal(now=rig.clock.now(), signal_id="planned"))
    rig.clock.advance(minutes=1)
    rig.price("54")
    rig.cycle()
    book = PlanBook()
    for row in rig.store.events:
        event = read_event(row)
        assert not isinstance(event, UnreadEvent)
        book.hear(event)
    (plan,) = book.plans.values()
    assert (plan.bracket.stop_price, plan.bracket.target_prices) == (Price(D(48)), (Price(D(54)),))
    assert plan.opportunity is not None
    assert plan.opportunity.signal.signal_id == "planned"
