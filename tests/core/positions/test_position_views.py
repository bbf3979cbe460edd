from __future__ import annotations

from decimal import Decimal

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions.position_views import position_views, totals_of
from kit.rig import Prices, Rig, make_signal

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
    assert (view.symbol, view.quantity, view.notional) == ("AAPL@options unspecified", 3, 600)


def test_totals_add_up() -> None:
    rig = Rig()
    rig.feed(*(make_signal(symbol, now=rig.clock.now()) for symbol in ("A", "B")))
    rig.run(rig.venue.cancel(rig.orders("B")[1].order.client_order_id))
    rig.execution.orders.sync()
    totals = totals_of(position_views(rig.state))
    assert (totals.positions, totals.notional, totals.pnl, totals.unprotected) == (2, 1500, 0, 1)
    assert [view.symbol for view in position_views(rig.state)] == ["A", "B"]
