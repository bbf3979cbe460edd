"""Orders that wait for the opening or the closing, and those that end at a time of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.market import Bar
from apex_cli.core.model.order import Order, OrderStatus, Phase, TimeInForce
from apex_cli.core.venue.book import VenueBook
from apex_cli.core.venue.engine import MatchingEngine

BOTH = (Phase.OPENING, Phase.CLOSING)
Make = Callable[..., Any]


@pytest.fixture
def at(bar: Make) -> datetime:
    return bar("1 1 1 1").start - timedelta(hours=1)  # type: ignore[no-any-return]


def play(engine: MatchingEngine, bar: Bar, auctions: Sequence[Phase] = BOTH) -> Any:
    return engine.on_bar("AAPL", bar, auctions=auctions)


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        ("MARKET_ON_CLOSE", None, ["E 10@103", "E FILLED"]),
        ("MARKET_ON_OPEN", None, ["E 10@101", "E FILLED"]),
        ("LIMIT_ON_CLOSE", "103", ["E 10@103", "E FILLED"]),
        ("LIMIT_ON_CLOSE", "102", ["E EXPIRED"]),
        ("LIMIT_ON_OPEN", "101.5", ["E 10@101", "E FILLED"]),
        ("LIMIT_ON_OPEN", "100", ["E EXPIRED"]),
    ],
)
def test_an_auction_fills_at_its_own_price_or_ends_the_order(
    at: datetime, order: Make, bar: Make, reported: Make, *, kind: str, limit: str | None, words: list[str]
) -> None:
    engine = MatchingEngine()
    engine.on_price("AAPL", bar("90 90 90 90").open, at)
    terms = {} if limit is None else {"limit_price": limit}
    assert reported(engine.submit([order("E", "BUY", kind, **terms)], at)) == ["E WORKING"]
    assert reported(engine.on_price("AAPL", bar("80 80 80 80").open, at)) == []
    assert reported(play(engine, bar("101 105 99 103"))) == words


def test_a_fill_is_dated_to_the_opening_or_the_last_second(at: datetime, order: Make, bar: Make) -> None:
    engine = MatchingEngine()
    engine.submit([order("E1", "BUY", "MARKET_ON_OPEN"), order("E2", "BUY", "MARKET_ON_CLOSE")], at)
    one = bar("101 105 99 103")
    times = {event.client_order_id: event.filled_at for event in play(engine, one) if isinstance(event, Fill)}
    assert times == {"E1": one.start, "E2": one.end - timedelta(seconds=1)}


def test_a_bar_in_the_middle_of_the_session_holds_no_auction(
    at: datetime, order: Make, bar: Make, reported: Make
) -> None:
    engine = MatchingEngine()
    engine.submit([order("E", "BUY", "MARKET_ON_CLOSE", time_in_force=TimeInForce.DAY)], at)
    assert reported(play(engine, bar("101 105 99 103"), ())) == []
    assert reported(play(engine, bar("103 105 99 104", 1), (Phase.CLOSING,))) == ["E 10@104", "E FILLED"]


def test_an_order_that_comes_after_the_opening_waits_for_the_next(order: Make, bar: Make, reported: Make) -> None:
    engine = MatchingEngine()
    first = bar("101 105 99 103")
    engine.submit(
        [order("E", "BUY", "MARKET_ON_OPEN", time_in_force=TimeInForce.DAY)], first.start + timedelta(1 / 1e6)
    )
    assert reported(play(engine, first)) == []
    assert reported(engine.end_session(first.end)) == []
    assert reported(play(engine, bar("104 105 99 103", 1))) == ["E 10@104", "E FILLED"]


def test_exits_of_an_entry_at_the_opening_have_the_whole_bar(
    at: datetime, bracket: Make, bar: Make, reported: Make
) -> None:
    engine = MatchingEngine()
    engine.submit(bracket(kind="MARKET_ON_OPEN"), at)
    assert reported(play(engine, bar("101 102 97 101"))) == [
        "E 10@101",
        "E FILLED",
        "S 10@98",
        "S FILLED",
        "T CANCELLED",
    ]


def test_exits_of_an_entry_at_the_closing_begin_with_the_next_bar(
    at: datetime, bracket: Make, bar: Make, reported: Make
) -> None:
    engine = MatchingEngine()
    engine.submit(bracket(kind="MARKET_ON_CLOSE"), at)
    assert reported(play(engine, bar("101 110 90 101"))) == ["E 10@101", "E FILLED"]
    assert reported(play(engine, bar("101 105 100 104", 1))) == ["T 10@104", "T FILLED", "S CANCELLED"]


def test_without_bars_an_auction_meets_the_price_that_is_given_or_the_last_one(
    at: datetime, order: Make, bar: Make, reported: Make
) -> None:
    for given, price in (({"AAPL": bar("7 7 7 7").open}, "7"), (None, "90")):
        engine = MatchingEngine()
        engine.on_price("AAPL", bar("90 90 90 90").open, at)
        engine.submit([order("E", "BUY", "MARKET_ON_CLOSE")], at)
        assert reported(engine.auction(Phase.OPENING, at + timedelta(1))) == []
        assert reported(engine.auction(Phase.CLOSING, at + timedelta(1), given)) == [f"E 10@{price}", "E FILLED"]


def test_an_auction_without_any_price_ends_the_order(at: datetime, order: Make, reported: Make) -> None:
    engine = MatchingEngine()
    engine.submit([order("E", "BUY", "MARKET_ON_CLOSE")], at)
    assert reported(engine.auction(Phase.CLOSING, at)) == ["E EXPIRED"]


def test_an_order_that_waits_can_be_cancelled_and_changed(at: datetime, order: Make, bar: Make, reported: Make) -> None:
    engine = MatchingEngine()
    engine.submit([order("E1", "BUY", "LIMIT_ON_CLOSE", limit_price="90"), order("E2", "BUY", "MARKET_ON_CLOSE")], at)
    assert reported(engine.modify(order("E1", "BUY", "LIMIT_ON_CLOSE", limit_price="105"), at)) == ["E1 WORKING"]
    assert reported(engine.cancel("E2", at)) == ["E2 CANCELLED"]
    assert reported(play(engine, bar("101 105 99 103"))) == ["E1 10@103", "E1 FILLED"]


def test_an_adaptive_order_works_as_what_it_is_made_of(at: datetime, order: Make, bar: Make, reported: Make) -> None:
    engine = MatchingEngine()
    engine.on_price("AAPL", bar("100 100 100 100").open, at)
    assert reported(engine.submit([order("E1", "BUY", "ADAPTIVE_MARKET")], at)) == [
        "E1 WORKING",
        "E1 10@100",
        "E1 FILLED",
    ]
    assert reported(engine.submit([order("E2", "BUY", "ADAPTIVE_LIMIT", limit_price="95")], at)) == ["E2 WORKING"]
    assert reported(engine.on_price("AAPL", bar("94 94 94 94").open, at)) == ["E2 10@94", "E2 FILLED"]


def good_till(terms: Order, end: datetime) -> Order:
    return replace(terms, time_in_force=TimeInForce.GTD, good_till=end)


def test_an_order_good_till_a_time_ends_then_and_not_with_the_session(
    at: datetime, order: Make, reported: Make
) -> None:
    engine = MatchingEngine()
    end = at + timedelta(hours=3)
    engine.submit([good_till(order("E", "BUY", "LIMIT", limit_price="90"), end)], at)
    assert reported(engine.end_session(at + timedelta(hours=1))) == []
    assert reported(engine.expire(end - timedelta(seconds=1))) == []
    assert reported(engine.expire(end)) == ["E EXPIRED"]


def test_a_bar_after_the_end_does_not_fill_it(at: datetime, order: Make, bar: Make, reported: Make) -> None:
    engine = MatchingEngine()
    late = bar("100 101 80 90")
    engine.submit([good_till(order("E", "BUY", "LIMIT", limit_price="90"), late.start)], at)
    assert reported(play(engine, late, ())) == ["E EXPIRED"]


def test_waiting_orders_and_their_ends_survive_a_restart(at: datetime, order: Make, bracket: Make, bar: Make) -> None:
    engine = MatchingEngine()
    engine.submit(bracket(kind="MARKET_ON_CLOSE"), at)
    engine.submit([good_till(order("E9", "BUY", "LIMIT", limit_price="50"), at + timedelta(days=9))], at)
    kept = msgspec.json.decode(msgspec.json.encode(engine.dump()), type=VenueBook)
    again = MatchingEngine.restored(kept)
    one = bar("101 105 99 103")
    assert play(again, one) == play(engine, one)
    assert again.expire(at + timedelta(days=9)) == engine.expire(at + timedelta(days=9))
    assert again.order("E9").status is OrderStatus.EXPIRED  # type: ignore[union-attr]
    assert again.ledger.positions == {"AAPL": Decimal(10)}
