"""Connections, accounts, contracts and quotes through the unmodified clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread, running_gateway


def test_a_client_connects_and_finds_its_account(client: Any) -> None:
    assert client.ib.client.serverVersion() == 176
    assert client.ib.managedAccounts() == ["DU1234567"]
    values = {row.tag: row.value for row in client.ib.accountValues() if row.currency in {"USD", ""}}
    assert values["NetLiquidation"] == "100000.00"
    assert values["DayTradesRemaining"] == "3"
    summary = {row.tag: row.value for row in client.ib.accountSummary()}
    assert summary["BuyingPower"] == "200000.00"
    assert client.ib.reqCurrentTime() > datetime(2026, 1, 1, tzinfo=UTC)


def test_contract_details_name_the_steps_of_every_price_band(client: Any) -> None:
    contract = client.stock()
    assert (contract.symbol, contract.exchange, contract.primaryExchange) == ("AAPL", "SMART", "NASDAQ")
    (details,) = client.ib.reqContractDetails(contract)
    rules = dict(zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=True))
    bands = [(band.lowEdge, band.increment) for band in client.ib.reqMarketRule(int(rules["SMART"]))]
    assert bands == [(0.0, 0.0001), (1.0, 0.01)]
    assert details.minTick == 0.0001
    assert details.timeZoneId == "US/Eastern"
    assert len(details.liquidHours.split(";")) >= 5


def test_an_unknown_symbol_has_no_details(client: Any) -> None:
    assert client.ib.reqContractDetails(client.library.Stock("NOSUCH", "SMART", "USD")) == []
    assert [code for _, code in client.errors if code == 200] == [200]


def test_options_pairs_and_coins_have_contracts_too(client: Any) -> None:
    library = client.library
    wanted = [
        library.Option("AAPL", "20261218", 50, "C", "SMART"),
        library.Forex("EURUSD"),
        library.Crypto("BTC", "PAXOS", "USD"),
    ]
    assert [contract.conId > 0 for contract in client.ib.qualifyContracts(*wanted)] == [True, True, True]


def test_a_ticker_follows_the_market(client: Any, gateway: GatewayThread) -> None:
    ticker = client.ib.reqMktData(client.stock())
    client.until(lambda: ticker.last == 50.0)
    gateway.set_price("AAPL", "51.25", bid="51.20", ask="51.30")
    client.until(lambda: (ticker.bid, ticker.ask, ticker.last) == (51.20, 51.30, 51.25))
    assert (ticker.close, ticker.marketDataType) == (50.0, 1)
    client.ib.cancelMktData(client.stock())


def test_a_snapshot_ends(client: Any) -> None:
    (ticker,) = client.ib.reqTickers(client.stock())
    assert ticker.marketPrice() == 50.0


def test_delayed_quotes_come_only_when_asked_for(client: Any, gateway: GatewayThread) -> None:
    gateway.set_policy(has_live_data=False)
    (nothing,) = client.ib.reqTickers(client.stock())
    assert nothing.last != nothing.last
    assert 354 in [code for _, code in client.errors]
    client.ib.reqMarketDataType(3)
    (ticker,) = client.ib.reqTickers(client.stock())
    assert (ticker.last, ticker.marketDataType) == (50.0, 3)
    assert 10167 in [code for _, code in client.errors]


def test_a_snapshot_may_stay_open_for_a_while(client: Any, gateway: GatewayThread) -> None:
    gateway.set_policy(snapshot_seconds=0.2)
    (ticker,) = client.ib.reqTickers(client.stock())
    assert ticker.bid == 49.99


def test_bars_come_from_history(connect: Callable[..., Any]) -> None:
    bars = tuple(_daily(day, 40 + day) for day in range(2, 7))
    with running_gateway(prices={"AAPL": 50}, bars={"AAPL": bars}) as other:
        client = connect(to=other)
        question = ("3 D", "1 day", "TRADES", True)
        found = client.ib.reqHistoricalData(client.stock(), "20260307 00:00:00 US/Eastern", *question)
        assert [(str(bar.date), bar.close) for bar in found] == [
            ("2026-03-04", 44.5),
            ("2026-03-05", 45.5),
            ("2026-03-06", 46.5),
        ]
        assert len(client.ib.reqHistoricalData(client.stock(), "", "1 M", "1 day", "TRADES", True)) == 5
        assert not client.ib.reqHistoricalData(client.stock(), "20250307 00:00:00 US/Eastern", *question)
        assert [code for _, code in client.errors if code == 162] == [162]
        client.ib.disconnect()


def _daily(day: int, price: int) -> Bar:
    return Bar(
        symbol="AAPL",
        start=datetime(2026, 3, day, 14, 30, tzinfo=UTC),
        end=datetime(2026, 3, day, 21, 0, tzinfo=UTC),
        open=Price(Decimal(price)),
        high=Price(Decimal(price + 1)),
        low=Price(Decimal(price - 1)),
        close=Price(Decimal(price) + Decimal("0.5")),
    )


def test_a_second_client_sees_positions_and_asks_for_all_orders(
    client: Any, connect: Callable[..., Any], gateway: GatewayThread
) -> None:
    other = connect(8)
    client.place(client.order("MKT", "BUY", 10))
    resting = client.place(client.order("LMT", "BUY", 1, lmtPrice=40))
    client.sees(resting, "Submitted")
    other.until(lambda: [row.position for row in other.ib.positions()] == [10])
    assert other.ib.reqOpenOrders() == []
    (seen,) = other.ib.reqAllOpenOrders()
    assert (seen.order.clientId, seen.order.permId) == (7, resting.order.permId)
    assert other.ib.trades() == [seen]
    assert gateway.books().clients == (7, 8)


def test_another_clients_order_cannot_be_cancelled(client: Any, connect: Callable[..., Any]) -> None:
    resting = client.place(client.order("LMT", "BUY", 1, lmtPrice=40))
    client.sees(resting, "Submitted")
    other = connect(8)
    (seen,) = other.ib.reqAllOpenOrders()
    other.ib.client.cancelOrder(seen.order.orderId, "")
    other.until(lambda: (seen.order.orderId, 10147) in other.errors)
    assert resting.isActive()


def test_a_client_id_in_use_is_refused(client: Any, connect: Callable[..., Any], library: ModuleType) -> None:
    heard: list[int] = []
    second = library.IB()
    second.errorEvent += lambda _, code, *__: heard.append(code)
    with pytest.raises((TimeoutError, ConnectionError)):
        second.connect("127.0.0.1", client.ib.client.port, clientId=7, timeout=0.3)
    assert heard == [326]
    assert client.ib.isConnected()
    client.ib.disconnect()
    assert connect(7).ib.isConnected()


def test_client_zero_binds_what_was_ordered_by_hand(connect: Callable[..., Any], gateway: GatewayThread) -> None:
    gateway.trade_by_hand("AAPL", "BUY", 5, order_type="LMT", limit_price="45")
    stranger, owner = connect(9), connect(0)
    (unbound,) = stranger.ib.reqAllOpenOrders()
    assert stranger.ib.reqOpenOrders() == []
    (bound,) = owner.ib.reqOpenOrders()
    assert bound.order.orderId < 0
    assert bound.order.permId == unbound.order.permId
    owner.ib.cancelOrder(bound.order)
    owner.sees(bound, "Cancelled")


def test_the_master_client_hears_everybody(connect: Callable[..., Any], gateway: GatewayThread) -> None:
    gateway.set_policy(master_client_id=5)
    master, other = connect(5), connect(8)
    other.place(other.order("MKT", "BUY", 3, orderRef="theirs"))
    master.until(lambda: [fill.execution.orderRef for fill in master.ib.fills()] == ["theirs"])
    master.until(lambda: master.ib.fills()[0].commissionReport.commission == 1.0)


def test_the_account_can_look_live_and_leave_tags_out(connect: Callable[..., Any]) -> None:
    policy = Policy(day_trades_remaining=None, missing_tags=("BuyingPower",))
    with running_gateway(account="U7654321", cash=5000, is_margin=False, policy=policy) as other:
        client = connect(to=other)
        tags = {row.tag for row in client.ib.accountValues()}
        assert client.ib.managedAccounts() == ["U7654321"]
        assert not tags & {"BuyingPower", "DayTradesRemaining"}
        client.ib.disconnect()
