"""Orders through the unmodified clients: brackets, partial fills, changes, cancels, triggers, previews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kit.gateway import GatewayThread


def test_a_bracket_fills_in_three_parts_and_ends_at_its_stop(client: Any, gateway: GatewayThread) -> None:
    entry, target, stop = client.bracket(90, 49, 55, 47)
    client.sees(entry, "Submitted")
    client.sees(stop, "PreSubmitted")
    for filled in (30, 60, 90):
        gateway.set_price("AAPL", "49.00", size=30)
        client.until(lambda filled=filled: entry.filled() == filled)
    client.sees(entry, "Filled", 90)
    client.sees(target, "Submitted")
    client.until(lambda: all(fill.commissionReport.execId for fill in entry.fills))
    assert sum(fill.commissionReport.commission for fill in entry.fills) == 1.0
    assert [fill.execution.cumQty for fill in entry.fills] == [30, 60, 90]
    assert len({fill.execution.execId for fill in entry.fills}) == 3

    gateway.set_price("AAPL", "46.80")
    client.sees(stop, "Filled", 90)
    client.sees(target, "Cancelled")
    client.until(lambda: stop.fills and stop.fills[0].commissionReport.execId)
    assert stop.fills[0].execution.price == 46.8
    assert stop.fills[0].commissionReport.realizedPNL == pytest.approx(90 * (46.8 - 49) - 2)
    assert gateway.books().positions == {}
    assert client.ib.reqPositions() == [] or all(row.position == 0 for row in client.ib.reqPositions())


def test_nothing_works_until_the_last_leg_is_transmitted(client: Any, gateway: GatewayThread) -> None:
    parent = client.order("LMT", "BUY", 10, lmtPrice=60, transmit=False)
    client.place(parent)
    client.ib.reqCurrentTime()
    assert gateway.books().orders == ()
    child = client.place(client.order("STP", "SELL", 10, auxPrice=45, parentId=parent.orderId))
    client.sees(child, "PreSubmitted")
    assert [row.status for row in gateway.books().orders] == ["Filled", "PreSubmitted"]


def test_a_held_parent_is_cancelled_with_its_children(client: Any, gateway: GatewayThread) -> None:
    parent = client.order("LMT", "BUY", 10, lmtPrice=49, transmit=False)
    trades = [client.place(parent)]
    trades.append(client.place(client.order("STP", "SELL", 10, auxPrice=45, parentId=parent.orderId, transmit=False)))
    client.ib.cancelOrder(parent)
    for trade in trades:
        client.sees(trade, "Cancelled")
    assert gateway.books().orders == ()


def test_a_moved_stop_is_reported_with_its_new_price(client: Any, gateway: GatewayThread) -> None:
    entry, _, stop = client.bracket(10, 50, 55, 47)
    client.sees(entry, "Filled", 10)
    moved = client.library.Order(
        orderId=stop.order.orderId, action="SELL", totalQuantity=10, orderType="STP", auxPrice=48.5, tif="GTC"
    )
    client.place(moved)
    client.until(lambda: str(gateway.books().order("S1").terms.aux_price) == "48.5")
    reports = {trade.order.orderId: trade.order for trade in client.ib.reqAllOpenOrders()}
    assert reports[stop.order.orderId].auxPrice == 48.5
    assert reports[stop.order.orderId].orderRef == "b-S1"
    gateway.set_price("AAPL", "48.40")
    client.sees(stop, "Filled", 10)


def test_a_change_that_names_a_filled_parent_is_refused_and_the_stop_lives_on(
    client: Any, gateway: GatewayThread
) -> None:
    entry, _, stop = client.bracket(10, 50, 55, 47)
    client.sees(entry, "Filled", 10)
    stop.order.auxPrice = 48
    client.place(stop.order)
    client.until(lambda: (stop.order.orderId, 135) in client.errors)
    row = gateway.books().order("S1")
    assert (row.is_open, row.terms.aux_price) == (True, 47)


def test_cancelling_a_child_leaves_the_rest(client: Any, gateway: GatewayThread) -> None:
    entry, target, stop = client.bracket(10, 49, 55, 47)
    client.sees(stop, "PreSubmitted")
    client.ib.cancelOrder(target.order)
    client.sees(target, "Cancelled")
    client.until(lambda: (target.order.orderId, 202) in client.errors)
    assert {row.terms.order_ref for row in gateway.books().open_orders()} == {"b-E", "b-S1"}
    client.ib.cancelOrder(entry.order)
    client.sees(stop, "Cancelled")


@pytest.mark.parametrize(
    ("terms", "trigger"),
    [({"auxPrice": 2.0}, 51.0), ({"trailingPercent": 4.0}, 50.88), ({"auxPrice": 2.0, "trailStopPrice": 49.5}, 51.0)],
)
def test_a_trailing_stop_follows_and_triggers(
    client: Any, connect: Callable[..., Any], gateway: GatewayThread, terms: dict[str, float], trigger: float
) -> None:
    client.place(client.order("MKT", "BUY", 10))
    trail = client.place(client.order("TRAIL", "SELL", 10, orderRef="trail", **terms))
    client.sees(trail, "PreSubmitted")
    gateway.set_price("AAPL", "53.00")
    client.until(lambda: float(gateway.books().order("trail").terms.trail_stop_price or 0) == trigger)
    (reports,) = connect(8).ib.reqAllOpenOrders()  # the own trade keeps the trigger it was placed with
    assert reports.order.trailStopPrice == trigger
    gateway.set_price("AAPL", "50.50")
    client.sees(trail, "Filled", 10)


def test_a_stop_limit_rests_as_a_limit_once_triggered(client: Any, gateway: GatewayThread) -> None:
    order = client.place(client.order("STP LMT", "BUY", 10, auxPrice=52, lmtPrice=52.5))
    client.sees(order, "PreSubmitted")
    gateway.set_price("AAPL", "53.00")
    gateway.set_price("AAPL", "52.40")
    client.sees(order, "Filled", 10)


def test_an_oca_pair_without_parent_cancels_the_other_leg(client: Any, gateway: GatewayThread) -> None:
    client.place(client.order("MKT", "BUY", 10))
    pair = {"ocaGroup": "pair-1", "ocaType": 1}
    target = client.place(client.order("LMT", "SELL", 10, lmtPrice=55, **pair))
    stop = client.place(client.order("STP", "SELL", 10, auxPrice=47, **pair))
    client.sees(stop, "PreSubmitted")
    gateway.set_price("AAPL", "55.10")
    client.sees(target, "Filled", 10)
    client.sees(stop, "Cancelled")


def test_a_what_if_reports_margins_and_places_nothing(client: Any, gateway: GatewayThread) -> None:
    state = client.ib.whatIfOrder(client.stock(), client.library.MarketOrder("BUY", 100, tif="DAY"))
    assert float(state.initMarginChange) == 2500.0
    assert float(state.equityWithLoanBefore) == 100000.0
    assert state.commission == 1.0
    assert gateway.books().orders == ()


def test_completed_orders_have_no_total_and_are_linked_by_perm_id(client: Any, gateway: GatewayThread) -> None:
    entry, target, _ = client.bracket(10, 50, 55, 47)
    client.sees(entry, "Filled", 10)
    gateway.set_price("AAPL", "55.00")
    client.sees(target, "Filled", 10)
    rows = {trade.order.orderRef: trade for trade in client.ib.reqCompletedOrders(False)}
    assert set(rows) == {"b-E", "b-T1", "b-S1"}
    assert rows["b-E"].order.totalQuantity == 0
    assert rows["b-E"].order.filledQuantity == 10
    assert rows["b-E"].order.permId == entry.order.permId
    assert {name: trade.orderStatus.status for name, trade in rows.items()} == {
        "b-E": "Filled",
        "b-T1": "Filled",
        "b-S1": "Cancelled",
    }


def test_executions_can_be_asked_for_again(client: Any, gateway: GatewayThread) -> None:
    client.place(client.order("MKT", "BUY", 10, orderRef="one"))
    client.place(client.order("MKT", "BUY", 5, orderRef="two"), client.stock("MSFT"))
    client.until(lambda: len(gateway.books().executions) == 2)
    asked = client.library.ExecutionFilter(symbol="MSFT")
    (fill,) = client.ib.reqExecutions(asked)
    assert (fill.execution.orderRef, fill.execution.shares, fill.contract.symbol) == ("two", 5, "MSFT")
    assert len(client.ib.reqExecutions()) == 2
    assert fill.execution.time.tzinfo is not None


def test_a_global_cancel_ends_every_order_of_everybody(client: Any, connect: Callable[..., Any]) -> None:
    other = connect(8)
    mine = client.bracket(10, 49, 55, 47)
    theirs = other.place(other.order("LMT", "BUY", 1, lmtPrice=40))
    client.sees(mine[-1], "PreSubmitted")
    other.sees(theirs, "Submitted")
    client.ib.reqGlobalCancel()
    for trade in mine:
        client.sees(trade, "Cancelled")
    other.sees(theirs, "Cancelled")


@pytest.mark.parametrize(
    ("kind", "terms", "code"),
    [
        ("LMT", {"lmtPrice": 50.005}, 110),
        ("LMT", {"lmtPrice": 0}, 321),
        ("PEG MKT", {}, 387),
        ("TRAIL", {"auxPrice": 1, "trailingPercent": 2}, 321),
        ("LMT", {"lmtPrice": 50, "quantity": 0.5}, 10243),
        ("LMT", {"lmtPrice": 50, "quantity": 0}, 434),
        ("LMT", {"lmtPrice": 50, "quantity": 100000}, 201),
        ("LMT", {"lmtPrice": 50, "tif": "XYZ"}, 201),
        ("STP", {"auxPrice": 47, "parentId": 999}, 135),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_its_code(
    client: Any, gateway: GatewayThread, kind: str, terms: dict[str, Any], code: int
) -> None:
    order = client.order(kind, "BUY", **{"quantity": 10, **terms})
    client.place(order)
    client.until(lambda: (order.orderId, code) in client.errors, f"{code} in {client.errors}")
    assert gateway.books().open_orders() == []


def test_an_order_without_time_in_force_is_live_though_the_library_calls_it_cancelled(
    client: Any, gateway: GatewayThread
) -> None:
    order = client.order("LMT", "BUY", 1, lmtPrice=40, tif="", orderRef="no-tif")
    client.place(order)
    client.until(lambda: (order.orderId, 10349) in client.errors)
    assert gateway.books().order("no-tif").is_open
