"""Prices over TCP: dated, named by their source, and never a number that is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest

from apex_cli.core.adapters.ib.prices import IbPrices, last_close, quote_of
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.money import Price
from apex_cli.gateway.policy import Policy
from kit import FixedClock
from kit.gateway import GatewayThread
from kit.ib import AAPL, Session

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
FRIDAY_CLOSE = datetime(2026, 2, 27, 21, 0, tzinfo=UTC)


def ticker(**prices: Any) -> Any:
    empty = {"last": nan, "bid": nan, "ask": nan, "close": nan, "marketDataType": 1, "time": NOW}
    return SimpleNamespace(**{**empty, "halted": nan, "shortableShares": nan, **prices})


@pytest.mark.parametrize(
    ("prices", "price", "source", "age"),
    [
        ({"last": 100.25, "bid": 100.2, "ask": 100.3, "close": 99}, "100.25", "last", timedelta()),
        ({"last": 99.0, "bid": 100.2, "ask": 100.3}, "100.25", "midpoint", timedelta()),
        ({"bid": 100.2, "ask": 100.3}, "100.25", "midpoint", timedelta()),
        ({"last": 100.5, "bid": -1.0, "ask": -1.0}, "100.5", "last", timedelta()),
        ({"last": 100.5, "marketDataType": 3}, "100.5", "delayed last", timedelta(minutes=15)),
        ({"last": 100.5, "marketDataType": 2}, "100.5", "frozen last", NOW - FRIDAY_CLOSE),
        ({"close": 99.5}, "99.5", "close", NOW - FRIDAY_CLOSE),
    ],
)
def test_the_best_price_is_taken_with_its_age(
    prices: dict[str, float], price: str, source: str, age: timedelta
) -> None:
    assert quote_of(ticker(**prices), NOW) == Quote(price=Price(Decimal(price)), at=NOW - age, source=source)


@pytest.mark.parametrize(
    "prices", [{}, {"bid": -1.0, "ask": -1.0}, {"last": 0.0}, {"bid": 100.0}, {"bid": 2.0, "ask": 1.0}]
)
def test_nothing_is_made_of_what_is_no_price(prices: dict[str, float]) -> None:
    assert quote_of(ticker(**prices), NOW) is None


@pytest.mark.parametrize(
    ("reported", "is_halted", "shortable"),
    [
        ({}, None, None),
        ({"halted": -1.0}, None, None),
        ({"halted": 0.0, "shortableShares": 0.0}, False, 0),
        ({"halted": 1.0, "shortableShares": 1200.0, "shortable": 1.0}, True, 1200),
        ({"halted": 2.0, "shortable": 1.5}, True, 0),
        ({"shortable": 2.0}, None, None),
        ({"shortable": 3.0}, None, None),
    ],
)
def test_halts_and_what_can_be_borrowed_come_with_the_price(
    reported: dict[str, float], is_halted: bool | None, shortable: int | None
) -> None:
    quote = quote_of(ticker(last=100.0, **reported), NOW)
    assert quote is not None
    assert (quote.is_halted, quote.shortable) == (is_halted, shortable)


def test_the_last_close_skips_the_weekend() -> None:
    assert last_close(datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) == FRIDAY_CLOSE


@pytest.fixture
def prices(session: Session, clock: FixedClock) -> IbPrices:
    return IbPrices(session.broker, clock)


def test_prices_stream_once_they_are_asked_for(session: Session, prices: IbPrices, gateway: GatewayThread) -> None:
    session.run(prices.refresh([AAPL]))
    quote = prices.latest(AAPL, datetime.max.replace(tzinfo=UTC))
    assert quote is not None
    assert (quote.price, quote.source) == (100, "last")
    gateway.set_price("AAPL", "101.5")
    session.settled()
    session.run(prices.refresh([AAPL]))
    fresh = prices.latest(AAPL, datetime.max.replace(tzinfo=UTC))
    assert fresh is not None
    assert fresh.price == Decimal("101.5")


@pytest.mark.parametrize(("fault", "is_halted"), [("delay", True), ("swallow", None)])
def test_whether_a_stock_is_halted_is_waited_for_a_moment_after_its_price(
    session: Session, prices: IbPrices, gateway: GatewayThread, fault: str, is_halted: bool | None
) -> None:
    """Tick 49 is a message of its own: https://interactivebrokers.github.io/tws-api/tick_types.html."""
    gateway.set_standing("AAPL", is_halted=True)
    gateway.fault(fault, "tickGeneric", times=0, seconds=0.04)
    session.run(prices.refresh([AAPL]))
    quote = prices.latest(AAPL, datetime.max.replace(tzinfo=UTC))
    assert quote is not None
    assert (quote.price, quote.is_halted) == (100, is_halted)


def test_without_live_data_there_are_delayed_ones(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], clock: FixedClock
) -> None:
    session = connect(open_gateway(policy=Policy(has_live_data=False)).port)
    prices = IbPrices(session.broker, clock)
    session.run(prices.refresh([AAPL]))
    quote = prices.latest(AAPL, clock.now())
    assert quote is not None
    assert quote.source.startswith("delayed")
    assert quote.at <= clock.now() - timedelta(minutes=15)


def test_without_any_stream_the_last_close_is_asked_for(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], clock: FixedClock
) -> None:
    start = FRIDAY_CLOSE - timedelta(hours=6, minutes=30)
    one = Price(Decimal("97.5"))
    bars = (Bar(symbol="AAPL", start=start, end=FRIDAY_CLOSE, open=one, high=one, low=one, close=one),)
    gateway = open_gateway(policy=Policy(has_live_data=False), bars={"AAPL": bars})
    session = connect(gateway.port, market_data_type=1, quote_timeout_s=0.3)
    prices = IbPrices(session.broker, clock)
    session.run(prices.refresh([AAPL]))
    assert prices.latest(AAPL, clock.now()) == Quote(price=one, at=FRIDAY_CLOSE, source="close")


def test_a_silent_stream_is_waited_for_no_longer_than_configured(
    gateway: GatewayThread, connect: Callable[..., Session], clock: FixedClock
) -> None:
    session = connect(gateway.port, quote_timeout_s=0.2)
    gateway.fault("swallow", "reqMktData", times=0)
    gateway.fault("swallow", "reqHistoricalData", times=0)
    prices = IbPrices(session.broker, clock)
    session.run(prices.refresh([AAPL, make_instrument("NOPE")]))
    assert prices.latest(AAPL, clock.now()) is None


def test_a_new_connection_streams_again(gateway: GatewayThread, session: Session, prices: IbPrices) -> None:
    session.run(prices.refresh([AAPL]))
    gateway.cut()
    session.wait(lambda: session.broker.connections == 2)
    gateway.set_price("AAPL", "102")
    session.run(prices.refresh([AAPL]))
    quote = prices.latest(AAPL, datetime.max.replace(tzinfo=UTC))
    assert quote is not None
    assert quote.price == 102
