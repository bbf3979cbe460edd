from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import TimeInForce
from apex_cli.core.venue.engine import MatchingEngine

D = Decimal
T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def at(seconds: int = 0) -> datetime:
    return T0 + timedelta(seconds=seconds)


def price(engine: MatchingEngine, value: Any, second: int = 1, size: Any = None) -> Any:
    return engine.on_price("AAPL", Price(D(value)), at(second), size=None if size is None else D(size))


@pytest.fixture
def engine() -> MatchingEngine:
    return MatchingEngine(cash=Usd(D(3000)))


@pytest.mark.parametrize(
    ("value", "filled", "cancelled"),
    [("97", "S 10@97", "T CANCELLED"), ("105", "T 10@105", "S CANCELLED")],
)
def test_one_exit_fills_and_the_other_is_cancelled(  # noqa: PLR0917 - pytest gives fixtures by name
    engine: MatchingEngine, bracket: Any, reported: Any, value: Any, filled: Any, cancelled: Any
) -> None:
    engine.submit(bracket(), at())
    assert reported(price(engine, "100")) == ["E 10@100", "E FILLED"]
    assert reported(price(engine, value, 2)) == [filled, f"{filled[0]} FILLED", cancelled]
    assert engine.ledger.positions == {}


def test_a_short_bracket_is_the_mirror(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket("SELL", stop="102", target="96"), at())
    price(engine, "100")
    assert reported(price(engine, "103", 2)) == ["S 10@103", "S FILLED", "T CANCELLED"]
    assert engine.ledger.total_cash == 3000 - 30


def test_children_are_held_until_the_parent_fills(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="99"), at())
    assert reported(price(engine, "105")) == []
    assert reported(price(engine, "99", 2)) == ["E 10@99", "E FILLED"]


def test_a_split_ends_an_entry_and_what_waits_for_it_once(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="99"), at())
    assert reported(engine.split("AAPL", D(2), at(1))) == ["E CANCELLED", "S CANCELLED", "T CANCELLED"]


def test_an_unfilled_parent_takes_its_children_with_it(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="99"), at())
    assert reported(engine.cancel("E", at(1))) == ["E CANCELLED", "S CANCELLED", "T CANCELLED"]


def test_an_expired_parent_takes_its_gtc_children_with_it(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="99", time_in_force=TimeInForce.DAY), at())
    assert reported(engine.end_session(at(1))) == ["E EXPIRED", "S CANCELLED", "T CANCELLED"]


def test_cancelling_a_child_leaves_its_parent_and_sibling(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(), at())
    assert reported(engine.cancel("T", at(1))) == ["T CANCELLED"]
    price(engine, "100", 2)
    assert reported(price(engine, "98", 3)) == ["S 10@98", "S FILLED"]


def test_children_work_for_what_the_parent_has_filled(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="100"), at())
    assert reported(price(engine, "100", size="4")) == ["E 4@100"]
    assert reported(engine.cancel("E", at(2))) == ["E CANCELLED", "S WORKING", "T WORKING"]
    assert [update.quantity for update in engine.orders()] == [10, 4, 4]
    assert reported(price(engine, "97", 3)) == ["S 4@97", "S FILLED", "T CANCELLED"]


def test_a_stop_hit_while_the_parent_still_fills_covers_what_comes_later(
    engine: MatchingEngine, bracket: Any, reported: Any
) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="100"), at())
    price(engine, "100", size="4")
    assert reported(price(engine, "97", 2, size="4")) == ["S 4@97", "T WORKING"]
    assert reported(price(engine, "97", 3)) == ["E 6@97", "E FILLED", "S 6@97", "S FILLED", "T CANCELLED"]
    assert engine.ledger.positions == {}


def test_a_parent_cancelled_after_its_stop_sold_everything_leaves_nothing_working(
    engine: MatchingEngine, bracket: Any, reported: Any
) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="100"), at())
    price(engine, "100", size="4")
    price(engine, "97", 2, size="4")
    assert reported(engine.cancel("E", at(3))) == ["E CANCELLED", "S FILLED", "T CANCELLED"]


def test_a_partial_target_reduces_the_stop(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    engine.submit(bracket(), at())
    price(engine, "100")
    assert reported(price(engine, "104", 2, size="3")) == ["T 3@104", "S WORKING"]
    assert engine.orders()[1].quantity == 7
    assert reported(price(engine, "98", 3)) == ["S 7@98", "S FILLED", "T CANCELLED"]
    assert engine.ledger.positions == {}


def two_tranches(bracket: Any, order: Any) -> Any:
    entry, _, _ = bracket(kind="LIMIT", limit_price="100")
    legs = []
    for tranche, quantity, target in ((1, "6", "104"), (2, "4", "108")):
        terms = {"quantity": quantity, "parent_id": "E", "tranche": tranche}
        legs += [
            order(f"S{tranche}", "SELL", "STOP", stop_price="98", **terms),
            order(f"T{tranche}", "SELL", "LIMIT", limit_price=target, **terms),
        ]
    return [entry, *legs]


def test_each_tranche_is_its_own_pair_even_without_a_group_name(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    engine.submit(two_tranches(bracket, order), at())
    price(engine, "100")
    assert reported(price(engine, "104", 2)) == ["T1 6@104", "T1 FILLED", "S1 CANCELLED"]
    assert reported(price(engine, "97", 3)) == ["S2 4@97", "S2 FILLED", "T2 CANCELLED"]
    assert engine.ledger.positions == {}


def test_a_partly_filled_parent_protects_the_first_tranche_first(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    engine.submit(two_tranches(bracket, order), at())
    price(engine, "100", size="8")
    assert reported(engine.cancel("E", at(2))) == ["E CANCELLED", "S2 WORKING", "T2 WORKING"]
    assert [update.quantity for update in engine.orders()] == [10, 6, 6, 2, 2]
    price(engine, "97", 3)
    assert engine.ledger.positions == {}


def test_a_tranche_the_parent_never_reached_is_cancelled(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    engine.submit(two_tranches(bracket, order), at())
    price(engine, "100", size="5")
    events = reported(engine.cancel("E", at(2)))
    assert events == ["E CANCELLED", "S1 WORKING", "T1 WORKING", "S2 CANCELLED", "T2 CANCELLED"]


def test_a_stop_can_be_replaced_in_its_group(engine: MatchingEngine, bracket: Any, order: Any, reported: Any) -> None:
    engine.submit(bracket(), at())
    price(engine, "100")
    engine.cancel("S", at(2))
    engine.submit([order("S2", "SELL", "STOP", stop_price="99", oca_group="oca")], at(3))
    assert reported(price(engine, "99", 4)) == ["S2 10@99", "S2 FILLED", "T CANCELLED"]


def test_a_late_exit_for_a_finished_group_is_rejected(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    engine.submit(bracket(), at())
    price(engine, "100")
    price(engine, "104", 2)
    (event,) = engine.submit([order("S2", "SELL", "STOP", stop_price="99", oca_group="oca")], at(3))
    assert reported([event]) == ["S2 REJECTED"]
    assert "finished" in event.reason


def test_an_exit_cannot_grow_beyond_what_the_entry_holds(engine: MatchingEngine, bracket: Any, order: Any) -> None:
    engine.submit(bracket(), at())
    price(engine, "100")
    (event,) = engine.modify(order("S", "SELL", "STOP", "11", stop_price="98"), at(2))
    assert event.quantity == 10
    assert "more than the 10 the entry holds" in event.reason


def test_a_market_order_that_joins_the_exits_of_two_tranches_ends_those_of_one(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    engine.submit(bracket(), at())
    price(engine, "100")
    events = engine.submit([order("C", "SELL", "MARKET", "12", oca_group="oca")], at(2))
    assert reported(events) == ["C WORKING", "C 12@100", "C FILLED", "S CANCELLED", "T CANCELLED"]


def test_exits_larger_than_the_entry_are_cut_to_it(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    orders = bracket(kind="LIMIT", limit_price="100")
    orders[0] = msgspec.structs.replace(orders[0], quantity=Quantity(D(6)))
    engine.submit(orders, at())
    assert reported(price(engine, "100")) == ["E 6@100", "E FILLED", "S WORKING", "T WORKING"]
    price(engine, "90", 2)
    assert engine.ledger.positions == {}


def test_entries_in_one_group_are_alternatives(engine: MatchingEngine, order: Any, reported: Any) -> None:
    engine.submit(
        [
            order("E1", "BUY", "LIMIT", limit_price="95", oca_group="either"),
            order("E2", "BUY", "STOP", stop_price="105", oca_group="either"),
        ],
        at(),
    )
    assert reported(price(engine, "106")) == ["E2 10@106", "E2 FILLED", "E1 CANCELLED"]


def test_a_trailing_child_starts_at_the_entry_and_follows(
    engine: MatchingEngine, bracket: Any, order: Any, reported: Any
) -> None:
    entry, _, target = bracket()
    trail = order("S", "SELL", "TRAIL", trail_amount="2", parent_id="E", oca_group="oca")
    engine.submit([entry, trail, target], at())
    price(engine, "100")
    assert engine.orders()[1].stop_price == 98
    price(engine, "103", 2)
    assert engine.orders()[1].stop_price == 101
    assert reported(price(engine, "102", 3)) == []
    assert reported(price(engine, "100.5", 4)) == ["S 10@100.5", "S FILLED", "T CANCELLED"]


def test_a_trailing_buy_follows_the_price_down(engine: MatchingEngine, order: Any, reported: Any) -> None:
    price(engine, "100", 0)
    engine.submit([order("S", "BUY", "TRAIL", trail_amount="2", stop_price="103")], at())
    price(engine, "99")
    assert engine.orders()[0].stop_price == 101
    assert reported(price(engine, "101", 2)) == ["S 10@101", "S FILLED"]


def test_changing_the_size_of_a_trailing_stop_keeps_its_trigger(engine: MatchingEngine, order: Any) -> None:
    price(engine, "100", 0)
    terms = {"trail_amount": "2", "stop_price": "97"}
    engine.submit([order("S", "SELL", "TRAIL", **terms)], at())
    price(engine, "105")
    (update,) = engine.modify(order("S", "SELL", "TRAIL", "5", **terms), at(2))
    assert (update.stop_price, update.quantity) == (103, 5)


def test_a_trail_in_percent_keeps_its_distance_rounded_away_from_the_market(
    engine: MatchingEngine, order: Any, reported: Any
) -> None:
    price(engine, "100", 0)
    engine.submit([order("S", "SELL", "TRAIL", trail_fraction=Decimal("0.025"))], at())
    price(engine, "100.30")
    assert engine.orders()[0].stop_price == Decimal("97.79")
    price(engine, "110", 2)
    assert engine.orders()[0].stop_price == Decimal("107.25")
    assert reported(price(engine, "107", 3)) == ["S 10@107", "S FILLED"]


@pytest.mark.parametrize(
    "terms",
    [
        {"trail_fraction": Decimal(0)},
        {"trail_fraction": Decimal(1)},
        {"trail_fraction": Decimal("0.1"), "trail_amount": "2"},
        {},
    ],
)
def test_a_trail_has_one_distance_that_makes_sense(engine: MatchingEngine, order: Any, terms: dict[str, Any]) -> None:
    (update,) = engine.submit([order("S", "SELL", "TRAIL", **terms)], at())
    assert update.status == "REJECTED"


def test_one_order_is_filled_by_hand_no_more_than_it_may(engine: MatchingEngine, bracket: Any, reported: Any) -> None:
    price(engine, "100", 0)
    engine.submit(bracket(kind="LIMIT", limit_price="90"), at())
    assert reported(engine.execute("S", Price(Decimal(98)), Quantity(Decimal(5)), at(1))) == []
    assert reported(engine.execute("E", Price(Decimal(90)), Quantity(Decimal(4)), at(2))) == ["E 4@90"]
    assert reported(engine.execute("S", Price(Decimal(98)), Quantity(Decimal(9)), at(3)))[0] == "S 4@98"
    assert reported(engine.execute("nobody", Price(Decimal(1)), Quantity(Decimal(1)), at(4))) == []
    kept = engine.order("E")
    assert kept is not None
    assert (kept.filled_quantity, engine.order("nobody")) == (4, None)
