"""Listings in London that the broker quotes in pence, and those that it quotes in pounds (its price magnifier)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.errors import SecurityError
from apex_cli.core.model.instrument import Instrument, make_instrument
from apex_cli.core.model.order import Order
from kit.gateway import GatewayThread
from kit.ib import Session, fills, order

IN_POUNDS = replace(make_instrument("VOD"), currency="GBP")
IN_PENCE = replace(make_instrument("VOD"), currency="GBX")
MAGNIFIER = 17
"""Number of the field of ``contractDetails``, server version 176."""


@pytest.fixture
def pence(open_gateway: Callable[..., GatewayThread]) -> GatewayThread:
    """A gateway at which VOD is quoted in pence: at 110."""
    gateway = open_gateway(prices={"GBP.USD": "1.25", "VOD@GBP": "110"})
    gateway.fault("spoil", "contractDetails", times=0, field=MAGNIFIER, text="100")
    return gateway


@pytest.fixture
def london(pence: GatewayThread, connect: Callable[..., Session]) -> Session:
    """A broker behind which VOD is quoted in pence."""
    return connect(pence.port)


def of(instrument: Instrument, name: str, side: str, kind: str, **terms: str) -> Order:
    return replace(order(name, side, kind, **terms), instrument=instrument)


def test_prices_in_pounds_are_refused_where_the_broker_quotes_pence(london: Session) -> None:
    with pytest.raises(SecurityError, match="quotes VOD in GBX") as caught:
        london.run(london.broker.identify(IN_POUNDS))
    assert "currency: GBX" in caught.value.hint
    with pytest.raises(SecurityError, match="quotes VOD in GBX"):
        london.run(london.broker.submit([of(IN_POUNDS, "E", "BUY", "LIMIT", limit_price="1.10")]))


def test_prices_in_pence_are_refused_where_the_broker_quotes_pounds(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session]
) -> None:
    session = connect(open_gateway(prices={"VOD@GBP": "1.10"}).port)
    with pytest.raises(SecurityError, match="quotes VOD in GBP") as caught:
        session.run(session.broker.identify(IN_PENCE))
    assert "currency: GBP" in caught.value.hint
    assert session.run(session.broker.identify(IN_POUNDS)).key == "VOD@GBP"


def test_a_stock_in_pence_is_ordered_filled_and_held_in_pence(london: Session) -> None:
    found = london.run(london.broker.identify(IN_PENCE))
    assert (found.key, found.con_id > 0) == ("VOD@GBX", True)
    london.run(london.broker.submit([of(found, "E", "BUY", "MARKET")]))
    assert fills(london.settled()) == [("E", 10, 110)]
    snapshot = london.run(london.broker.snapshot())
    assert snapshot.positions == {"VOD@GBX": 10}
    assert [fill.instrument.currency for fill in snapshot.fills] == ["GBX"]


def test_price_steps_are_those_of_the_currency_in_pence(london: Session) -> None:
    listing = london.run(london.broker.catalog.listing(IN_PENCE))
    assert listing.step_at(Decimal(110)) == 1, "a step of 0.01 pounds"


def test_what_is_held_under_the_other_unit_can_be_sold_at_market(london: Session) -> None:
    london.run(london.broker.submit([of(IN_POUNDS, "C", "SELL", "MARKET")]))
    assert fills(london.settled()) == [("C", 10, 110)]


def test_what_others_hold_in_pence_is_found_in_pence(london: Session, pence: GatewayThread) -> None:
    pence.trade_by_hand("VOD@GBP", "BUY", 7)
    assert london.run(london.broker.snapshot()).positions == {"VOD@GBX": 7}


def test_what_others_hold_in_pounds_is_found_in_pounds(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session]
) -> None:
    gateway = open_gateway(prices={"GBP.USD": "1.25", "VOD@GBP": "1.10"})
    session = connect(gateway.port)
    gateway.trade_by_hand("VOD@GBP", "BUY", 7)
    (holding,) = session.run(session.broker.snapshot()).holdings
    assert (holding.instrument.key, holding.average_price) == ("VOD@GBP", Decimal("1.1"))


def test_trades_and_orders_of_others_in_pence_are_found_in_pence(london: Session, pence: GatewayThread) -> None:
    pence.trade_by_hand("VOD@GBP", "BUY", 7)
    pence.trade_by_hand("VOD@GBP", "SELL", 7)
    snapshot = london.run(london.broker.snapshot())
    assert [(fill.instrument.key, fill.quantity) for fill in snapshot.foreign_fills] == [("VOD@GBX", 7), ("VOD@GBX", 7)]
    assert snapshot.positions == {}


@pytest.mark.parametrize("is_held", [True, False])
def test_pounds_of_older_books_bar_pence_only_while_they_are_held(
    pence: GatewayThread, connect: Callable[..., Session], is_held: bool
) -> None:
    first = connect(pence.port)
    number = first.run(first.broker.identify(IN_PENCE)).con_id
    old = replace(IN_POUNDS, con_id=number)
    books = {"known": lambda: (old,), "held": lambda: (old,) if is_held else ()}
    session = connect(pence.port, client_id=2, books=books)
    if not is_held:
        assert session.run(session.broker.identify(IN_PENCE)).key == "VOD@GBX"
        return
    with pytest.raises(SecurityError, match="VOD@GBP is held or on order") as caught:
        session.run(session.broker.identify(IN_PENCE))
    assert "Close 'VOD@GBP' first" in caught.value.hint
