"""The broker's own client, unmodified, on the same wire."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

from kit.gateway import GatewayThread

PATIENCE = 30.0


class App(EWrapper, EClient):  # type: ignore[misc] # the package has no types
    """Writes down what it hears."""

    def __init__(self) -> None:
        EClient.__init__(self, wrapper=self)
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.next_id = 0

    def __getattribute__(self, name: str) -> Any:
        if name in LISTENED:
            return lambda *arguments: self.heard.append((name, arguments))
        return super().__getattribute__(name)

    def nextValidId(self, orderId: int) -> None:  # noqa: N802, N803 - the name is the protocol's
        self.next_id = orderId

    def all(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for heard, arguments in list(self.heard) if heard == name]

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, self.heard[-10:]
            time.sleep(0.005)
        return found


LISTENED = frozenset(
    {
        "managedAccounts",
        "contractDetails",
        "contractDetailsEnd",
        "marketRule",
        "tickPrice",
        "openOrder",
        "orderStatus",
        "execDetails",
        "execDetailsEnd",
        "commissionReport",
        "commissionAndFeesReport",
        "position",
        "positionEnd",
        "updateAccountValue",
        "updatePortfolio",
        "accountDownloadEnd",
        "accountSummary",
        "accountSummaryEnd",
        "completedOrder",
        "completedOrdersEnd",
        "openOrderEnd",
        "error",
    }
)


@pytest.fixture
def app(gateway: GatewayThread, caplog: pytest.LogCaptureFixture) -> Iterator[App]:
    app = App()
    with caplog.at_level(logging.ERROR):
        app.connect("127.0.0.1", gateway.port, clientId=3)
        thread = threading.Thread(target=app.run, daemon=True)
        thread.start()
        app.until(lambda: app.next_id)
        yield app
        app.disconnect()
        thread.join(PATIENCE)
    assert [record.message for record in caplog.records if "rror" not in record.message] == []
    assert [reports for reports in app.all("error") if reports[-3:] and 320 in reports] == []


def stock() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


def order(kind: str, action: str, quantity: int, **terms: Any) -> Order:
    made = Order()
    made.action, made.orderType, made.totalQuantity, made.tif = action, kind, Decimal(quantity), "GTC"
    for name, value in terms.items():
        setattr(made, name, value)
    return made


def test_it_connects_and_reads_contract_rules_and_account(app: App) -> None:
    assert app.serverVersion() == 176
    app.reqContractDetails(1, stock())
    app.until(lambda: app.all("contractDetailsEnd"))
    ((_, details),) = app.all("contractDetails")
    assert (details.contract.symbol, details.minTick) == ("AAPL", 0.0001)
    app.reqMarketRule(int(details.marketRuleIds.split(",")[0]))
    app.until(lambda: app.all("marketRule"))
    app.reqAccountSummary(2, "All", "NetLiquidation,BuyingPower")
    app.until(lambda: app.all("accountSummaryEnd"))
    assert {row[2]: row[3] for row in app.all("accountSummary")}["NetLiquidation"] == "100000.00"
    app.reqAccountUpdates(True, "DU1234567")
    app.until(lambda: app.all("accountDownloadEnd"))


def test_a_bracket_fills_in_parts_and_is_reported_of_later(app: App, gateway: GatewayThread) -> None:
    first = app.next_id
    app.placeOrder(first, stock(), order("LMT", "BUY", 90, lmtPrice=49, transmit=False, orderRef="i-E"))
    app.placeOrder(first + 1, stock(), order("LMT", "SELL", 90, lmtPrice=55, transmit=False, parentId=first))
    app.placeOrder(first + 2, stock(), order("STP", "SELL", 90, auxPrice=47, parentId=first, orderRef="i-S1"))
    app.until(lambda: len(app.all("openOrder")) >= 3)
    for _ in range(3):
        gateway.set_price("AAPL", "49.00", size=30)
    app.until(lambda: len(app.all("execDetails")) == 3)
    app.until(lambda: len(app.all("commissionReport") + app.all("commissionAndFeesReport")) == 3)
    assert [row[2].cumQty for row in app.all("execDetails")] == [30, 60, 90]
    moved = order("STP", "SELL", 90, auxPrice=48)
    app.placeOrder(first + 2, stock(), moved)
    app.until(lambda: gateway.books().order("i-S1").terms.aux_price == 48)
    app.reqPositions()
    app.until(lambda: app.all("positionEnd"))
    assert [row[2] for row in app.all("position")][-1] == 90
    app.cancelOrder(first + 1, OrderCancel())
    app.until(lambda: any(row[0] == first + 1 and row[1] == "Cancelled" for row in app.all("orderStatus")))
    app.reqAllOpenOrders()
    app.until(lambda: app.all("openOrderEnd"))
    gateway.set_price("AAPL", "47.50")
    app.until(lambda: any(row[0] == first + 2 and row[1] == "Filled" for row in app.all("orderStatus")))
    app.reqCompletedOrders(False)
    app.until(lambda: app.all("completedOrdersEnd"))
    assert len(app.all("completedOrder")) == 3
    app.reqExecutions(9, ExecutionFilter())
    app.until(lambda: app.all("execDetailsEnd"))


def test_a_preview_and_quotes(app: App, gateway: GatewayThread) -> None:
    number = app.next_id
    app.placeOrder(number, stock(), order("MKT", "BUY", 100, whatIf=True))
    reports = app.until(lambda: app.all("openOrder"))
    assert float(reports[0][3].initMarginChange) == 2500.0
    app.reqMktData(50, stock(), "", False, False, [])
    app.until(lambda: app.all("tickPrice"))
    gateway.set_price("AAPL", "51.00")
    app.until(lambda: [row for row in app.all("tickPrice") if row[2] == 51.0])
    app.cancelMktData(50)
