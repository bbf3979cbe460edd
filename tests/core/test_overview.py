from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import PositionSide, RoundTrip
from apex_cli.core.overview import Tally, position_views, totals_of
from apex_cli.testing import START
from apex_cli.testing_rig import Prices, Rig, make_signal

D = Decimal


def test_a_position_is_shown_at_its_latest_price() -> None:
    prices = Prices()
    rig = Rig(prices=prices)
    prices.set("AAPL", "50", rig.clock.now())
    rig.feed(make_signal(now=rig.clock.now(), targets=("55", "58", "60")))
    rig.clock.advance(minutes=1)
    prices.set("AAPL", "51", rig.clock.now())
    rig.cycle()
    (view,) = position_views(rig.state)
    assert (view.symbol, view.quantity, view.entry_price, view.current_price) == ("AAPL", 15, 50, 51)
    assert (view.pnl, view.pnl_pct, view.r_multiple, view.notional) == (15, 2, D("0.5"), 765)
    assert (view.stop_price, view.target_prices) == (48, (55, 58, 60))
    assert (view.protected_quantity, view.protected_overnight, view.signal_id) == (15, True, "sig-AAPL")


def test_a_short_earns_when_the_price_falls() -> None:
    prices = Prices()
    rig = Rig(prices=prices)
    prices.set("AAPL", "50", rig.clock.now())
    rig.feed(make_signal(now=rig.clock.now(), side="SHORT", stop="52", targets=("46",)))
    prices.set("AAPL", "49", rig.clock.advance(minutes=1))
    rig.cycle()
    (view,) = position_views(rig.state)
    assert (view.side, view.pnl, view.pnl_pct, view.r_multiple) == (PositionSide.SHORT, 15, 2, D("0.5"))


def test_an_option_counts_a_hundred_times() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now(), market=MarketType.OPTIONS, entry="2", stop="1.90", targets=("2.40",)))
    (view,) = position_views(rig.state)
    assert (view.symbol, view.quantity, view.notional) == ("AAPL@options", 3, 600)


def test_totals_add_up() -> None:
    rig = Rig()
    rig.feed(*(make_signal(symbol, now=rig.clock.now()) for symbol in ("A", "B")))
    rig.run(rig.venue.cancel(rig.orders("B")[1].order.client_order_id))
    rig.executor.sync()
    totals = totals_of(position_views(rig.state))
    assert (totals.positions, totals.notional, totals.pnl, totals.unprotected) == (2, 1500, 0, 1)
    assert [view.symbol for view in position_views(rig.state)] == ["A", "B"]


def trip(pnl: str, risk: str | None = "10", commission: str = "0") -> RoundTrip:
    return RoundTrip(
        round_trip_id="1",
        instrument=make_instrument("AAPL"),
        side=PositionSide.LONG,
        quantity=Quantity(D(1)),
        entry_price=Price(D(50)),
        exit_price=Price(D(50)),
        entry_time=START,
        exit_time=START + timedelta(hours=1),
        pnl=Usd(D(pnl)),
        pnl_pct=D(0),
        commission=Usd(D(commission)),
        initial_risk=None if risk is None else Usd(D(risk)),
    )


def statistics(*trips: RoundTrip) -> object:
    tally = Tally()
    for each in trips:
        tally.add(each)
    return tally.statistics()


def test_statistics_of_some_round_trips() -> None:
    found = statistics(trip("20", commission="1"), trip("-10", commission="1"), trip("0"), trip("10", risk=None))
    assert found == type(found)(
        round_trips=4,
        wins=2,
        losses=1,
        win_rate=D(2) / 3,
        pnl=Usd(D(20)),
        commission=Usd(D(2)),
        net_pnl=Usd(D(18)),
        profit_factor=D(3),
        expectancy_r=(D(2) - D(1) + D(0)) / 3,
    )


def test_statistics_of_nothing_claim_nothing() -> None:
    found = statistics()
    assert (found.win_rate, found.profit_factor, found.expectancy_r) == (None, None, None)  # type: ignore[attr-defined]
    only_gains = statistics(trip("5"))
    assert (only_gains.win_rate, only_gains.profit_factor) == (1, None)  # type: ignore[attr-defined]


@given(st.lists(st.integers(-50, 50), max_size=20))
def test_gains_less_losses_are_the_pnl(results: list[int]) -> None:
    tally = Tally()
    for result in results:
        tally.add(trip(str(result)))
    found = tally.statistics()
    assert found.pnl == sum(results)
    assert found.wins + found.losses <= found.round_trips == len(results)
