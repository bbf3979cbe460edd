"""Every fault, as the unmodified clients meet it; the books say what is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit.gateway import GatewayThread, gateway_process


def test_a_swallowed_placement_is_known_to_nobody(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("swallow", "placeOrder", order_ref="lost")
    trade = client.place(client.order("LMT", "BUY", 1, lmtPrice=40, orderRef="lost"))
    client.ib.reqCurrentTime()
    assert trade.orderStatus.status == "PendingSubmit"
    assert gateway.books().orders == ()
    assert client.place(client.order("LMT", "BUY", 1, lmtPrice=40, orderRef="found"))
    client.until(lambda: [row.terms.order_ref for row in gateway.books().orders] == ["found"])


def test_a_hung_request_times_out_and_the_next_one_works(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("swallow", "reqPositions")
    client.ib.RequestTimeout = 0.2
    with pytest.raises(TimeoutError):
        client.ib.reqPositions()
    client.ib.RequestTimeout = 30
    assert client.ib.reqPositions() == []


@pytest.mark.parametrize("message", ["reqOpenOrders", "reqPositions"])
def test_a_request_that_hangs_while_connecting_leaves_a_connected_client(
    connect: Callable[..., Any], gateway: GatewayThread, message: str
) -> None:
    gateway.fault("swallow", message)
    assert connect(timeout=0.3).ib.isConnected()


def test_a_rejected_placement_has_its_code(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("reject", "placeOrder", code=201, text="Order rejected - reason:test")
    order = client.order("LMT", "BUY", 1, lmtPrice=40)
    client.place(order)
    client.until(lambda: (order.orderId, 201) in client.errors)
    assert gateway.books().orders == ()


def test_a_refused_change_looks_cancelled_but_the_order_is_live(client: Any, gateway: GatewayThread) -> None:
    order = client.order("LMT", "BUY", 1, lmtPrice=40, orderRef="live")
    trade = client.place(order)
    client.sees(trade, "Submitted")
    gateway.fault("reject", "modifyOrder", code=201, text="Order rejected - reason:test")
    order.lmtPrice = 41
    client.place(order)
    client.until(lambda: trade.orderStatus.status == "Cancelled")
    row = gateway.books().order("live")
    assert (row.is_open, row.terms.limit_price) == (True, 40)


def test_a_warning_on_a_live_order(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("warn", "placeOrder", code=10349, text="Order TIF was set to DAY based on order preset.")
    order = client.order("LMT", "BUY", 1, lmtPrice=40, orderRef="live")
    client.place(order)
    client.until(lambda: (order.orderId, 10349) in client.errors)
    assert gateway.books().order("live").is_open


@pytest.mark.parametrize(("action", "arrives"), [("cut_before", False), ("cut_after", True)])
def test_a_socket_cut_around_a_placement(client: Any, gateway: GatewayThread, action: str, arrives: bool) -> None:
    gateway.fault(action, "placeOrder")
    client.place(client.order("LMT", "BUY", 1, lmtPrice=40, orderRef="cut"))
    client.until(lambda: not client.ib.isConnected())
    assert [row.terms.order_ref for row in gateway.books().orders] == (["cut"] if arrives else [])


def test_a_socket_cut_after_the_first_fill_is_reported(
    client: Any, connect: Callable[..., Any], gateway: GatewayThread
) -> None:
    trade = client.place(client.order("LMT", "BUY", 10, lmtPrice=49, orderRef="half"))
    client.sees(trade, "Submitted")
    gateway.fault("cut_after", "execDetails")
    gateway.set_price("AAPL", "49.00", size=4)
    client.until(lambda: not client.ib.isConnected())
    assert trade.filled() == 4
    gateway.set_price("AAPL", "49.00", size=6)
    again = connect(7)
    assert sorted(fill.execution.shares for fill in again.ib.fills()) == [4, 6]
    assert [row.position for row in again.ib.positions()] == [10]


def test_executions_come_twice_and_corrected(client: Any, gateway: GatewayThread) -> None:
    trade = client.place(client.order("MKT", "BUY", 10))
    client.sees(trade, "Filled", 10)
    (execution,) = gateway.books().executions
    gateway.repeat(execution.exec_id)
    gateway.correct(execution.exec_id, "50.10")
    client.until(lambda: len(trade.fills) == 2)
    first, second = (fill.execution.execId for fill in trade.fills)
    assert first.rpartition(".")[0] == second.rpartition(".")[0]
    assert (first[-3:], second[-3:]) == (".01", ".02")


def test_statuses_and_executions_change_places(client: Any, gateway: GatewayThread) -> None:
    heard: list[str] = []
    client.ib.execDetailsEvent += lambda *_: heard.append("execution")
    client.ib.orderStatusEvent += lambda trade: heard.append(f"{trade.orderStatus.filled:g}")
    trade = client.place(client.order("LMT", "BUY", 10, lmtPrice=49))
    client.sees(trade, "Submitted")
    gateway.fault("hold", "execDetails")
    gateway.set_price("AAPL", "49.00", size=4)
    client.until(lambda: trade.fills)
    assert heard.index("4") < heard.index("execution")


def test_an_answer_comes_twice_or_late(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("duplicate", "orderStatus", times=0)
    gateway.fault("delay", "execDetails", seconds=0.1)
    trade = client.place(client.order("MKT", "BUY", 10))
    client.sees(trade, "Filled", 10)
    client.until(lambda: trade.filled() == 10)


def test_a_delayed_request_is_done_later(client: Any, gateway: GatewayThread) -> None:
    gateway.fault("delay", "placeOrder", seconds=0.1)
    trade = client.place(client.order("MKT", "BUY", 10))
    client.sees(trade, "Filled", 10)


def test_a_fill_arrives_after_the_cancel(client: Any, gateway: GatewayThread) -> None:
    trade = client.place(client.order("LMT", "BUY", 10, lmtPrice=49, orderRef="late"))
    client.sees(trade, "Submitted")
    seen: list[tuple[str, float]] = []
    trade.statusEvent += lambda reports: seen.append((reports.orderStatus.status, reports.orderStatus.filled))
    gateway.late_fill("late", 4)
    client.ib.cancelOrder(trade.order)
    client.until(lambda: trade.filled() == 4)
    client.sees(trade, "Cancelled", 4)
    assert ("Cancelled", 0.0) in seen
    assert gateway.books().positions == {"AAPL": 4}


def test_system_messages_reach_everybody(client: Any, connect: Callable[..., Any], gateway: GatewayThread) -> None:
    other = connect(8)
    for code in (1100, 1102):
        gateway.system(code)
        for one in (client, other):
            one.until(lambda one=one, code=code: (-1, code) in one.errors)
    assert client.ib.isConnected()


@pytest.mark.parametrize("code", [354, 10089, 10197])
def test_refused_market_data_leaves_an_empty_ticker(client: Any, gateway: GatewayThread, code: int) -> None:
    gateway.fault("reject", "reqMktData", code=code, text="refused")
    (ticker,) = client.ib.reqTickers(client.stock())
    assert ticker.last != ticker.last
    assert code in [found for _, found in client.errors]


def test_pacing_refuses_bars(client: Any, gateway: GatewayThread) -> None:
    gateway.fault(
        "reject", "reqHistoricalData", code=162, text="Historical Market Data Service error: pacing violation"
    )
    assert not client.ib.reqHistoricalData(client.stock(), "", "5 D", "1 day", "TRADES", True)


def test_a_read_only_gateway_takes_no_orders(client: Any, gateway: GatewayThread) -> None:
    gateway.set_policy(read_only=True)
    order = client.order("MKT", "BUY", 1)
    client.place(order)
    client.until(lambda: (order.orderId, 321) in client.errors)
    assert gateway.books().orders == ()


def test_after_a_restart_the_books_are_the_same_and_lost_ids_come_again(
    client: Any, connect: Callable[..., Any], gateway: GatewayThread
) -> None:
    entry, _, _ = client.bracket(10, 50, 55, 47)
    client.sees(entry, "Filled", 10)
    before = gateway.books()
    gateway.fault("swallow", "placeOrder")
    lost = client.order("LMT", "BUY", 1, lmtPrice=40)
    client.place(lost)
    client.ib.reqCurrentTime()
    gateway.restart()
    client.until(lambda: not client.ib.isConnected())
    after = gateway.books()
    assert (after.orders, after.executions, after.positions, after.cash) == (
        before.orders,
        before.executions,
        before.positions,
        before.cash,
    )
    again = connect(7)
    highest = max(row.order_id for row in after.orders)
    assert again.ib.client.getReqId() <= lost.orderId or highest < lost.orderId
    gateway.set_price("AAPL", "46.50")
    again.until(lambda: gateway.books().positions == {})


def test_ids_can_be_rolled_back_by_hand(client: Any, connect: Callable[..., Any], gateway: GatewayThread) -> None:
    trade = client.place(client.order("LMT", "BUY", 1, lmtPrice=40))
    client.sees(trade, "Submitted")
    gateway.set_next_id(9, 77)
    assert connect(9).ib.client.getReqId() >= 77


def test_a_killed_process_keeps_its_books(tmp_path: Path, connect: Callable[..., Any], library: ModuleType) -> None:
    if library.__name__ != "ib_insync":
        return  # a process is dear, and the wire is the same
    with gateway_process(state=tmp_path / "books" / "gateway.json") as process:
        process.set_policy(rejects_as="Cancelled")
        process.set_price("AAPL", "50.00")
        client = connect(to=process)
        entry, *_ = client.bracket(10, 50, 55, 47)
        client.sees(entry, "Filled", 10)
        before = process.books()
        process.restart()
        client.until(lambda: not client.ib.isConnected())
        assert process.books().positions == before.positions == {"AAPL": 10}
        again = connect(to=process)
        assert {trade.orderStatus.status for trade in again.ib.openTrades()} == {"Submitted", "PreSubmitted"}
        process.set_price("AAPL", "46.50")
        again.until(lambda: process.books().positions == {})
        again.ib.disconnect()
