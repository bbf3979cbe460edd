"""Between the wire's order terms and the matching engine's, and from the engine's states to the wire's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import (
    Order,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderTypeRow,
    TimeInForce,
    type_on_wire,
)
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.book import VenueOrder
from apex_cli.gateway.contracts import Listing
from apex_cli.gateway.messages import INVALID, read_wire_time
from apex_cli.gateway.rows import CANCELLED, FILLED, PRE_SUBMITTED, SUBMITTED, OrderRow
from apex_cli.gateway.terms import Terms

TIFS = {
    "": TimeInForce.DAY,
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "GTD": TimeInForce.GTD,
    "OPG": TimeInForce.DAY,
}
HUNDRED = Decimal(100)


def kind_of(terms: Terms) -> OrderType | None:
    """Return the order type of *terms*; None for one that is not traded here."""
    return type_on_wire(terms.order_type, terms.tif, terms.algo)


def good_till(terms: Terms) -> datetime | None:
    """Return the end of a GTD order as UTC; None where it is missing or not a time."""
    return read_wire_time(terms.good_till_date) if terms.tif == "GTD" else None


def terms_problem(terms: Terms, listing: Listing) -> tuple[int, str] | None:
    """Return code and text of why these terms are refused; None when they are fine."""
    if terms.action not in OrderSide.__members__:
        return 321, f"{INVALID}Invalid action: {terms.action}"
    kind = kind_of(terms)
    if kind is None:
        return 387, f"Unsupported order type for this exchange and security type: {terms.order_type}"
    if (problem := _time_problem(terms)) is not None:
        return problem
    if terms.quantity <= 0:
        return 434, "The order size cannot be zero."
    if terms.quantity % listing.instrument.quantity_step:
        return 10243, "Fractional-sized order cannot be placed via API. Please use desktop version to place this order."
    return _price_problem(terms, kind.row, listing)


def coin_problem(terms: Terms) -> tuple[int, str] | None:
    """Return why an order in a coin is refused as Interactive Brokers does; None when it is fine."""
    if terms.order_type not in {"MKT", "LMT"}:
        return 387, f"Unsupported order type for this exchange and security type: {terms.order_type}"
    if terms.order_type == "MKT" and terms.tif != "IOC":
        return 201, "Order rejected - reason:The crypto MKT order must be IOC"
    if terms.order_type == "MKT" and terms.action == "BUY":
        return 10289, "You must set Cash Quantity for this order."
    return None


def _time_problem(terms: Terms) -> tuple[int, str] | None:
    if terms.tif not in TIFS:
        return 201, f"Order rejected - reason:Invalid time in force: {terms.tif}"
    if terms.tif == "GTD" and good_till(terms) is None:
        return 321, f"{INVALID}Good till date is missing or no time: {terms.good_till_date}"
    return None


def _price_problem(terms: Terms, row: OrderTypeRow, listing: Listing) -> tuple[int, str] | None:
    if row.trails:
        if bool(terms.aux_price) == bool(terms.trailing_percent):
            return 321, f"{INVALID}Trailing order needs either amount or percent."
        prices = [terms.trail_stop_price]
    else:
        limit = terms.limit_price if row.needs_limit else None
        stop = terms.aux_price if row.needs_stop else None
        if (row.needs_limit or row.needs_stop) and not (limit or stop):
            return 321, f"{INVALID}Please enter a price."
        prices = [limit, stop]
    for price in prices:
        if price and not listing.is_on_tick(price):
            return 110, "The price does not conform to the minimum price variation for this contract."
    return None


def change_problem(row: OrderRow, terms: Terms, key: str) -> tuple[int, str] | None:
    """Return code and text of why *row* cannot become *terms* on the instrument *key*; None when it can."""
    if row.status == FILLED:
        return 104, "Cannot modify a filled order"
    if not row.is_open:
        return 103, "Duplicate order id"
    old = row.terms
    if (terms.action, kind_of(terms), key) != (old.action, kind_of(old), row.key):
        return 105, "Order being modified does not match original order"
    return None


FRACTION = Decimal("0.0001")
"""Smallest part of a share that TWS itself trades; the API takes whole shares."""


def to_order(row: OrderRow, listing: Listing, *, is_freed: bool = False) -> Order:
    """Return the matching engine's terms of *row*; checked terms are taken for granted.

    A child that *is_freed* of its final parent stands alone, in a group with its siblings.
    """
    terms = row.terms
    kind = kind_of(terms) or OrderType.MARKET
    is_trail = kind.row.trails
    stop = terms.trail_stop_price if is_trail else terms.aux_price
    parent = str(row.parent_perm_id) if row.parent_perm_id else None
    return Order(
        client_order_id=row.name,
        bracket_id=parent or row.name,
        role=_role(kind, is_child=parent is not None),
        instrument=replace(listing.instrument, quantity_step=FRACTION) if row.is_manual else listing.instrument,
        side=OrderSide(terms.action),
        order_type=kind,
        quantity=Quantity(terms.quantity),
        limit_price=_price(terms.limit_price) if kind.row.needs_limit else None,
        stop_price=_price(stop) if kind.row.has_trigger else None,
        trail_amount=_price(terms.aux_price) if is_trail and not terms.trailing_percent else None,
        trail_fraction=terms.trailing_percent / HUNDRED if is_trail and terms.trailing_percent else None,
        time_in_force=TIFS[terms.tif],
        good_till=good_till(terms),
        oca_group=_group(terms, parent, is_freed=is_freed),
        parent_id=None if is_freed else parent,
    )


def _group(terms: Terms, parent: str | None, *, is_freed: bool) -> str | None:
    """Return the engine's OCA group: as named, whoever is in it; freed siblings without a name keep together."""
    return terms.oca_group or (f"{parent}/freed" if is_freed else None)


def _role(kind: OrderType, *, is_child: bool) -> OrderRole:
    if not is_child:
        return OrderRole.ENTRY
    return OrderRole.STOP if kind.is_stop else OrderRole.TARGET


def _price(value: Decimal | None) -> Price | None:
    return Price(value) if value else None


def wire_status(order: VenueOrder) -> str:
    """Return the wire's status of an order of the engine.

    Held children and orders that wait for their trigger are PreSubmitted.
    """
    if order.status is OrderStatus.FILLED:
        return FILLED
    if order.status is not OrderStatus.WORKING:
        return CANCELLED
    return PRE_SUBMITTED if order.kind.row.has_trigger or not order.rank else SUBMITTED


def changed_terms(old: Terms, new: Terms) -> Terms:
    """Return the terms of a working order after a change: quantity, prices and time in force are taken over."""
    return msgspec.structs.replace(
        old,
        quantity=new.quantity,
        limit_price=new.limit_price,
        aux_price=new.aux_price,
        tif=new.tif or old.tif,
        good_till_date=new.good_till_date or old.good_till_date,
        trail_stop_price=new.trail_stop_price or old.trail_stop_price,
        trailing_percent=new.trailing_percent,
        outside_rth=new.outside_rth,
        order_ref=new.order_ref or old.order_ref,
        parent_id=new.parent_id,
    )
