from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.order import OrderStatus, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.book import VenueBook
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine

D = Decimal
T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def at(seconds: int = 0) -> datetime:
    return T0 + timedelta(seconds=seconds)


def priced(price: str = "100", **settings: Any) -> MatchingEngine:
    engine = MatchingEngine(cash=Usd(D(3000)), **settings)
    engine.on_price("AAPL", Price(D(price)), T0)
    return engine


def test_a_market_order_fills_at_once_at_the_known_price(order: Any, reported: Any) -> None:
    engine = priced()
    assert reported(engine.submit([order("E", "BUY", "MARKET")], at())) == ["E WORKING", "E 10@100", "E FILLED"]
    assert engine.ledger.total_cash == 2000
    assert engine.ledger.equity == 3000
    assert engine.ledger.positions == {"AAPL": D(10)}


def test_a_market_order_without_a_price_waits_for_the_next_one(order: Any, reported: Any) -> None:
    engine = MatchingEngine()
    assert reported(engine.submit([order("E", "BUY", "MARKET")], at())) == ["E WORKING"]
    assert reported(engine.on_price("AAPL", Price(D(50)), at(1))) == ["E 10@50", "E FILLED"]


def test_slippage_worsens_market_and_stop_fills_but_no_limit(order: Any, reported: Any) -> None:
    engine = priced(costs=CostModel(slippage_ticks=5))
    assert "E 10@100.05" in reported(engine.submit([order("E", "BUY", "MARKET")], at()))
    engine.submit([order("S", "SELL", "STOP", "5", stop_price="98")], at())
    engine.submit([order("T", "SELL", "LIMIT", "5", limit_price="104")], at())
    assert "S 5@97.95" in reported(engine.on_price("AAPL", Price(D(98)), at(1)))
    assert "T 5@104" in reported(engine.on_price("AAPL", Price(D(104)), at(2)))


def test_a_stop_limit_never_fills_beyond_its_limit(order: Any, reported: Any) -> None:
    engine = priced(costs=CostModel(slippage_ticks=50))
    engine.submit([order("E1", "BUY", "STOP_LIMIT", stop_price="101", limit_price="101.20")], at())
    assert "E1 10@101.20" in reported(engine.on_price("AAPL", Price(D(101)), at(1)))


def test_a_stop_limit_that_gaps_over_its_limit_rests_there(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "STOP_LIMIT", stop_price="101", limit_price="102")], at())
    assert reported(engine.on_price("AAPL", Price(D(105)), at(1))) == []
    assert reported(engine.on_price("AAPL", Price(D(102)), at(2))) == ["E 10@102", "E FILLED"]


def test_a_marketable_limit_fills_at_once_at_the_better_price(order: Any, reported: Any) -> None:
    engine = priced()
    assert "E 10@100" in reported(engine.submit([order("E", "BUY", "LIMIT", limit_price="101")], at()))


@pytest.mark.parametrize(
    ("kind", "quantity", "terms", "word"),
    [
        ("MARKET", "0", {}, "not positive"),
        ("MARKET", "-1", {}, "not positive"),
        ("MARKET", "NaN", {}, "not positive"),
        ("MARKET", "1.5", {}, "not a multiple"),
        ("LIMIT", "1", {}, "limit price"),
        ("LIMIT", "1", {"limit_price": "0"}, "limit price"),
        ("LIMIT", "1", {"limit_price": "NaN"}, "limit price"),
        ("STOP", "1", {}, "stop price"),
        ("STOP_LIMIT", "1", {"stop_price": "5"}, "limit price"),
        ("STOP_LIMIT", "1", {"limit_price": "5"}, "stop price"),
        ("TRAIL", "1", {}, "trail amount"),
        ("TRAIL", "1", {"trail_amount": "1", "stop_price": "-1"}, "stop price"),
    ],
)
def test_refuses_terms_that_no_venue_takes(order: Any, kind: str, quantity: str, terms: Any, word: str) -> None:
    engine = priced()
    (event,) = engine.submit([order("E", "BUY", kind, quantity, **terms)], at())
    assert event.status is OrderStatus.REJECTED
    assert word in event.reason


def test_one_bad_child_rejects_the_whole_transmission(bracket: Any, reported: Any) -> None:
    engine = priced()
    orders = bracket()
    orders[1] = msgspec.structs.replace(orders[1], stop_price=None)
    assert reported(engine.submit(orders, at())) == ["E REJECTED", "S REJECTED", "T REJECTED"]
    assert engine.ledger.positions == {}


@pytest.mark.parametrize(
    "change",
    [
        {"parent_id": "nobody"},
        {"side": OrderSide.BUY},
        {"instrument": make_instrument("MSFT")},
        {"parent_id": "S"},
    ],
)
def test_rejects_a_child_that_does_not_fit_its_parent(bracket: Any, reported: Any, change: Any) -> None:
    engine = priced()
    orders = bracket()
    orders[2] = msgspec.structs.replace(orders[2], **change)
    assert reported(engine.submit(orders, at())) == ["E REJECTED", "S REJECTED", "T REJECTED"]


def test_a_duplicate_is_refused_and_the_first_keeps_its_state(order: Any, reported: Any) -> None:
    engine = priced()
    first = order("E", "BUY", "MARKET")
    engine.submit([first], at())
    (again,) = engine.submit([first], at(1))
    assert (again.status, again.reason) == (OrderStatus.FILLED, "duplicate client order id refused: E")
    assert engine.ledger.positions == {"AAPL": D(10)}
    assert reported(engine.submit([first, order("S", "SELL", "STOP", stop_price="90")], at(2))) == [
        "E FILLED",
        "S REJECTED",
    ]


def test_one_id_twice_in_a_transmission_is_rejected_once(order: Any, reported: Any) -> None:
    twice = order("E", "BUY", "MARKET")
    assert reported(priced().submit([twice, twice], at())) == ["E REJECTED"]


def test_cancelling_takes_the_order_off_the_market(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "LIMIT", limit_price="90")], at())
    assert reported(engine.cancel("E", at(1))) == ["E CANCELLED"]
    assert reported(engine.on_price("AAPL", Price(D(80)), at(2))) == []
    assert reported(engine.cancel("E", at(3))) == ["E CANCELLED"]


def test_cancelling_a_filled_order_repeats_that_it_is_filled(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "MARKET")], at())
    assert reported(engine.cancel("E", at(1))) == ["E FILLED"]


def test_an_order_the_venue_never_saw_is_named_so(order: Any, reported: Any) -> None:
    engine = priced()
    assert reported(engine.cancel("E", at())) == ["E NEVER_SENT"]
    assert reported(engine.modify(order("E", "BUY", "MARKET"), at())) == ["E NEVER_SENT"]


def test_a_moved_stop_works_at_its_new_price(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("S", "SELL", "STOP", stop_price="95")], at())
    (update,) = engine.modify(order("S", "SELL", "STOP", stop_price="99"), at(1))
    assert (update.status, update.stop_price, update.quantity) == (OrderStatus.WORKING, D(99), D(10))
    assert "S 10@98.5" in reported(engine.on_price("AAPL", Price(D("98.5")), at(2)))


def test_a_stop_moved_beyond_the_market_fills_at_once(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("S", "SELL", "STOP", stop_price="95")], at())
    moved = engine.modify(order("S", "SELL", "STOP", stop_price="101"), at(1))
    assert reported(moved) == ["S WORKING", "S 10@100", "S FILLED"]


@pytest.mark.parametrize(
    ("kind", "quantity", "terms", "word"),
    [
        ("LIMIT", "3", {"limit_price": "90"}, "below the filled 4"),
        ("LIMIT", "10", {}, "limit price"),
        ("STOP", "10", {"stop_price": "90"}, "cannot change"),
    ],
)
def test_a_refused_change_leaves_the_order_working(  # noqa: PLR0917 - pytest gives fixtures by name
    order: Any, reported: Any, kind: str, quantity: str, terms: Any, word: str
) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "LIMIT", limit_price="90")], at())
    engine.on_price("AAPL", Price(D(90)), at(1), size=D(4))
    (update,) = engine.modify(order("E", "BUY", kind, quantity, **terms), at(2))
    assert update.status is OrderStatus.WORKING
    assert update.quantity == 10
    assert word in update.reason
    assert reported(engine.on_price("AAPL", Price(D(90)), at(3))) == ["E 6@90", "E FILLED"]


def test_a_change_to_the_filled_quantity_completes_the_order(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "LIMIT", limit_price="90")], at())
    engine.on_price("AAPL", Price(D(90)), at(1), size=D(4))
    assert reported(engine.modify(order("E", "BUY", "LIMIT", "4", limit_price="90"), at(2))) == ["E FILLED"]


def test_day_orders_expire_with_the_session_and_gtc_orders_stay(order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit([order("E1", "BUY", "LIMIT", limit_price="90", time_in_force=TimeInForce.DAY)], at())
    engine.submit([order("E2", "BUY", "LIMIT", limit_price="90")], at())
    assert reported(engine.end_session(at(9))) == ["E1 EXPIRED"]
    assert reported(engine.on_price("AAPL", Price(D(90)), at(10))) == ["E2 10@90", "E2 FILLED"]


def test_the_size_of_a_price_is_shared_in_order_of_arrival(order: Any, reported: Any) -> None:
    engine = priced()
    for name in ("E1", "E2"):
        engine.submit([order(name, "BUY", "LIMIT", limit_price="90")], at())
    assert reported(engine.on_price("AAPL", Price(D(90)), at(1), size=D(14))) == ["E1 10@90", "E1 FILLED", "E2 4@90"]


def test_the_minimum_commission_is_charged_once_an_order(order: Any) -> None:
    engine = priced(costs=CostModel(plan=CommissionPlan.IB_FIXED))
    engine.submit([order("E", "BUY", "LIMIT", "300", limit_price="90")], at())
    for second, size in enumerate((50, 100, 150)):
        engine.on_price("AAPL", Price(D(90)), at(second + 1), size=D(size))
    assert [fill.commission for fill in engine.ledger.fills] == [D("1.00"), 0, D("0.50")]
    assert engine.ledger.total_cash == 3000 - 300 * 90 - D("1.50")


def test_execution_ids_rise(order: Any) -> None:
    engine = priced()
    for number in range(3):
        engine.submit([order(f"E{number}", "BUY", "MARKET", "1")], at())
    assert [fill.exec_id for fill in engine.ledger.fills] == ["SIM00000001.01", "SIM00000002.01", "SIM00000003.01"]


def test_a_short_position_loses_when_the_price_rises(order: Any) -> None:
    engine = priced()
    engine.submit([order("E", "SELL", "MARKET")], at())
    assert (engine.ledger.total_cash, engine.ledger.equity, engine.ledger.gross_value) == (4000, 3000, 1000)
    engine.on_price("AAPL", Price(D(110)), at(1))
    assert (engine.ledger.equity, engine.ledger.gross_value) == (2900, 1100)


def test_an_option_counts_with_its_multiplier(order: Any) -> None:
    option = make_instrument("AAPL", MarketType.OPTIONS)
    engine = MatchingEngine(cash=Usd(D(3000)))
    engine.on_price(option.key, Price(D("2.50")), T0)
    engine.submit([order("E", "BUY", "MARKET", "2", instrument=option)], at())
    assert (engine.ledger.total_cash, engine.ledger.equity) == (2500, 3000)


def test_time_never_runs_back(order: Any) -> None:
    engine = priced()
    engine.submit([order("E", "BUY", "MARKET")], at(60))
    events = engine.submit([order("C", "SELL", "MARKET")], at(30))
    assert {event.at for event in events if isinstance(event, OrderUpdate)} == {at(60)}


def test_an_empty_book_survives_a_round_trip() -> None:
    book = MatchingEngine(cash=Usd(D(7))).dump()
    again = msgspec.json.decode(msgspec.json.encode(book), type=VenueBook)
    assert again == book
    assert MatchingEngine.restored(again).dump() == book


def test_forgetting_keeps_what_still_matters(bracket: Any, order: Any, reported: Any) -> None:
    engine = priced()
    engine.submit(bracket(), at())
    engine.submit([order("E9", "BUY", "MARKET", "1")], at())
    engine.forget(at(3600))
    assert [update.client_order_id for update in engine.orders()] == ["E", "S", "T"]
    assert engine.ledger.fills == []
    assert "S 10@98" in reported(engine.on_price("AAPL", Price(D(98)), at(3601)))
    engine.forget(at(7200))
    assert engine.orders() == []
    assert engine.ledger.positions == {"AAPL": D(1)}
