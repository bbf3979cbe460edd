from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.errors import ApexError, NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.management.stop_mover import movable_stops, moved
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.request import StopRequest, StopsMoved
from apex_cli.core.positions.protection import orders_of
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.management_events import StopMoved
from kit.rig import Prices, Rig, auto, make_signal

D = Decimal


def held(price: str = "52", **signal: Any) -> Rig:
    """Hold AAPL from 50 with a stop at 48, while it stands at *price*."""
    prices = Prices()
    rig = Rig(prices=prices, cash=D(30_000))
    prices.set("AAPL", signal.get("entry", "50"), rig.clock.now())
    rig.feed(make_signal(now=rig.clock.now(), **signal))
    prices.set("AAPL", price, rig.clock.advance(minutes=1))
    rig.price(price)
    return rig


def move(rig: Rig, to: str | None, *, widens: bool = False) -> StopsMoved:
    price = None if to is None else Price(D(to))
    found: StopsMoved = rig.run(rig.mover.move(StopRequest(symbol="AAPL", stop_price=price, widens=widens)))
    return found


def refusal(rig: Rig, to: str | None, **request: Any) -> str:
    before = [record.order.stop_price for record in rig.orders("AAPL")]
    with pytest.raises(ApexError) as caught:
        move(rig, to, **request)
    assert [record.order.stop_price for record in rig.orders("AAPL")] == before
    return caught.value.code


def stops(rig: Rig) -> list[Decimal | None]:
    return [r.order.stop_price for r in rig.orders("AAPL") if r.order.role is OrderRole.STOP and r.is_open]


def test_a_stop_goes_to_where_a_person_wants_it() -> None:
    rig = held()
    done = move(rig, "49.5")
    assert (done.symbol, done.from_price, done.to_price) == ("AAPL", D(48), D("49.5"))
    assert done.quantity == rig.state.positions["AAPL"].position.quantity
    assert stops(rig) == [D("49.5")]
    (event,) = [e for row in rig.store.events if isinstance(e := read_event(row), StopMoved)]
    assert (event.data.why, event.data.from_price, event.data.r_multiple) == ("hand", D(48), D(1))


def test_without_a_price_it_goes_to_the_entry() -> None:
    rig = held()
    assert move(rig, None).to_price == 50
    assert refusal(rig, None) == "stop_there"


def test_every_tranche_has_its_stop_moved() -> None:
    rig = held(targets=("54", "58"))
    move(rig, "49")
    assert set(stops(rig)) == {D(49)}
    protected = sum(r.open_quantity for r in rig.orders("AAPL") if r.order.role is OrderRole.STOP and r.is_open)
    assert protected == rig.state.positions["AAPL"].position.quantity


def test_more_is_risked_only_when_a_person_said_so() -> None:
    rig = held()
    assert refusal(rig, "47") == "stop_widens"
    assert move(rig, "47", widens=True).to_price == 47
    short = held(price="48", side="SHORT", stop="52", targets=("44",))
    assert refusal(short, "53") == "stop_widens"
    assert move(short, "51").to_price == 51


@pytest.mark.parametrize("to", ["52", "60", "-1"])
def test_a_stop_that_the_price_has_passed_is_refused(to: str) -> None:
    assert refusal(held(), to, widens=True) == "stop_passed"


def test_break_even_is_refused_while_the_trade_loses() -> None:
    assert refusal(held(price="49"), None) == "stop_passed"


def test_a_stop_stands_on_the_grid_of_ticks() -> None:
    assert move(held(), "49.123").to_price == D("49.13")  # towards the price


def test_without_position_stop_or_certainty_nothing_is_moved() -> None:
    with pytest.raises(NothingToDo):
        move(Rig(), "49")
    rig = held()
    records = orders_of(rig.state, "AAPL")
    position = rig.state.positions["AAPL"].position
    with pytest.raises(RefusedError, match="no working stop"):
        movable_stops(position, [r for r in records if r.order.role is not OrderRole.STOP])
    unsure = [replace(r, status=OrderStatus.UNKNOWN) for r in records if r.order.role is OrderRole.STOP]
    with pytest.raises(OutcomeUnknownError):
        movable_stops(position, unsure)
    trailing = [replace(r, order=replace(r.order, order_type=OrderType.TRAIL)) for r in records if r.order.stop_price]
    with pytest.raises(RefusedError, match="follows the price"):
        movable_stops(position, trailing)


def test_a_limit_moves_along_with_its_trigger() -> None:
    rig = held()
    (stop,) = [r.order for r in rig.orders("AAPL") if r.order.role is OrderRole.STOP]
    limited = replace(stop, order_type=OrderType.STOP_LIMIT, limit_price=Price(D("47.5")))
    found = moved(rig.state.positions["AAPL"].position, limited, Price(D(49)))
    assert (found.stop_price, found.limit_price) == (D(49), D("48.5"))


def test_the_rest_of_an_entry_is_cancelled() -> None:
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
    rig.feed(make_signal(now=rig.clock.now(), entry="50"))
    names = [r.order.client_order_id for r in rig.orders("AAPL") if r.order.role is OrderRole.ENTRY and r.is_open]
    if names:
        done = rig.run(rig.closer.cancel_entries("AAPL"))
        assert list(done.client_order_ids) == names
    assert not [r for r in rig.orders("AAPL") if r.order.role is OrderRole.ENTRY and r.is_open]
    with pytest.raises(NothingToDo, match="No entry"):
        rig.run(rig.closer.cancel_entries("AAPL"))
