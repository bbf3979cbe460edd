"""Handlers of the clients' requests: one function for each message of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.market.option_grid import grid_of
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.money import Price
from apex_cli.gateway import messages
from apex_cli.gateway.contracts import MARKET_RULES, Contract, read_contract, trading_hours
from apex_cli.gateway.framing import ProtocolError, Reader
from apex_cli.gateway.market_data import (
    cancel_market_data,
    historical_data,
    market_data,
    set_market_data_type,
)
from apex_cli.gateway.messages import INVALID, NO_DEFINITION, Message, ends
from apex_cli.gateway.rows import ExecutionRow, OrderRow
from apex_cli.gateway.session import NOT_STARTED, Request, Session
from apex_cli.gateway.terms import read_placement

NO_ID = -1


def request_of(session: Session, fields: list[str]) -> Request | None:
    """Return the request in *fields*; None for a message this venue does not know.

    Raises:
        ProtocolError: it cannot be read, or comes before ``startApi``.
    """
    entry = REQUESTS.get(fields[0] if fields else "")
    if entry is None:
        return None
    if session.client_id == NOT_STARTED and entry.name != "startApi":
        raise ProtocolError(f"{entry.name} before startApi")
    reader = Reader(fields[1:])
    reader.skip(entry.skip)
    return entry.read(entry.name, session, reader)


class Entry(NamedTuple):
    """How to read one message: fields to skip before its id or body (version numbers)."""

    name: str
    skip: int
    read: Callable[[str, Session, Reader], Request]


def plain(action: Callable[[Session, Reader], None]) -> Callable[[str, Session, Reader], Request]:
    """Return a reader of a message without request id."""

    def read(name: str, _: Session, fields: Reader) -> Request:
        return Request(name, NO_ID, "", lambda session: action(session, fields))

    return read


def by_id(action: Callable[[Session, int, Reader], None]) -> Callable[[str, Session, Reader], Request]:
    """Return a reader of a message that starts with its request id."""

    def read(name: str, _: Session, fields: Reader) -> Request:
        number = fields.integer()
        return Request(name, number, "", lambda session: action(session, number, fields))

    return read


# ------------------------------------------------------------------- connecting


def _start(session: Session, fields: Reader) -> None:
    gateway = session.gateway
    client_id = fields.integer()
    if client_id in gateway.sessions:
        text = "Unable to connect as the client id is already in use. Retry with a unique client id."
        session.send(messages.error(NO_ID, 326, text))
        session.close()
        return
    session.client_id = client_id
    gateway.sessions[client_id] = session
    gateway.log(f"client {client_id} connected")
    session.send(messages.accounts([gateway.account]))
    _next_id(session, fields)
    for code, what in ((2104, "Market data farm"), (2106, "HMDS data farm"), (2158, "Sec-def data farm")):
        session.send(messages.error(NO_ID, code, f"{what} connection is OK:paper"))


def _next_id(session: Session, _: Reader) -> None:
    session.send([Message.NEXT_VALID_ID, 1, session.gateway.desk.next_order_id(session.client_id)])


def _accounts(session: Session, _: Reader) -> None:
    session.send(messages.accounts([session.gateway.account]))


def _time(session: Session, _: Reader) -> None:
    session.send([Message.CURRENT_TIME, 1, int(session.gateway.now().timestamp())])


# ----------------------------------------------------------------------- orders


def _read_place(_: str, session: Session, fields: Reader) -> Request:
    placement = read_placement(fields)
    desk = session.gateway.desk
    is_change = not placement.terms.what_if and desk.row_of(session.client_id, placement.order_id) is not None
    name = "modifyOrder" if is_change else "whatIfOrder" if placement.terms.what_if else "placeOrder"

    def place(session: Session) -> None:
        gateway = session.gateway
        terms = placement.terms
        gateway.log(
            f"client {session.client_id} {name} {placement.order_id}: {terms.action} {terms.quantity} "
            f"{placement.contract.symbol} {terms.order_type} {terms.order_ref}"
        )
        listing = gateway.desk.listings.find(placement.contract)
        if listing is not None:
            gateway.price_option(listing)
        gateway.report(gateway.desk.place(session.client_id, placement, gateway.now()))

    return Request(name, placement.order_id, placement.terms.order_ref, place)


def _read_cancel(name: str, session: Session, fields: Reader) -> Request:
    order_id = fields.integer()
    row = session.gateway.desk.row_of(session.client_id, order_id)

    def cancel(session: Session) -> None:
        gateway = session.gateway
        gateway.log(f"client {session.client_id} cancelOrder {order_id}")
        gateway.report(gateway.desk.cancel(session.client_id, order_id, gateway.now()))

    return Request(name, order_id, row.terms.order_ref if row else "", cancel)


def _global_cancel(session: Session, _: Reader) -> None:
    gateway = session.gateway
    gateway.log(f"client {session.client_id} cancels every order")
    gateway.report(gateway.desk.cancel_all(gateway.now()))


def _open_orders(session: Session, _: Reader) -> None:
    if session.client_id == 0:
        session.gateway.desk.bind(0)
    _send_open(session, [row for row in session.gateway.desk.open_rows() if row.client_id == session.client_id])


def _all_open_orders(session: Session, _: Reader) -> None:
    _send_open(session, session.gateway.desk.open_rows())


def _auto_open_orders(session: Session, fields: Reader) -> None:
    if session.client_id == 0 and fields.flag():
        for row in session.gateway.desk.bind(0):
            session.send(session.open_order(row))
            session.send(session.order_status(row))


def _send_open(session: Session, rows: list[OrderRow]) -> None:
    for row in rows:
        session.send(session.open_order(row))
        session.send(session.order_status(row))
    session.send(ends(Message.OPEN_ORDER_END))


def _completed_orders(session: Session, fields: Reader) -> None:
    desk, policy = session.gateway.desk, session.gateway.desk.policy
    api_only = fields.flag()
    for row in desk.orders.values():
        if row.is_open or (api_only and row.is_manual):
            continue
        shows = policy.completed_shape == "both"
        session.send(
            messages.completed_order(
                row, session.gateway.account, row.parent_perm_id, policy.time_zone or "UTC", tells_total=shows
            )
        )
    session.send(ends(Message.COMPLETED_ORDERS_END, version=None))


def _executions(session: Session, number: int, fields: Reader) -> None:
    gateway = session.gateway
    wanted = _execution_filter(session, fields)
    found = [execution for execution in gateway.desk.holdings.executions if wanted(execution)]
    for execution in found:
        session.send(messages.exec_details(execution, number, gateway.account, gateway.desk.policy.time_zone))
    session.send(ends(Message.EXEC_DETAILS_END, number))
    for execution in found:
        session.send(messages.commission_report(execution))


def _execution_filter(session: Session, fields: Reader) -> Callable[[ExecutionRow], bool]:
    client_id, account, since = fields.integer(), fields.text(), fields.text()
    symbol, sec_type, _, side = fields.text(), fields.text(), fields.text(), fields.text()
    gateway = session.gateway
    start = messages.read_wire_time(since)
    takes_all = client_id == 0 and gateway.desk.policy.executions_of_zero_is_all

    def wanted(execution: ExecutionRow) -> bool:
        return (
            (takes_all or execution.client_id == client_id)
            and account in {"", gateway.account}
            and (start is None or execution.at >= start)
            and symbol in {"", execution.contract.symbol}
            and sec_type in {"", execution.contract.sec_type}
            and side in {"", execution.side, {"BOT": "BUY", "SLD": "SELL"}[execution.side]}
        )

    return wanted


# ---------------------------------------------------------------------- account


def _positions(session: Session, _: Reader) -> None:
    session.hears_positions = True
    for key, row in session.gateway.desk.holdings.positions.items():
        if row.quantity:
            session.send_position(key)
    session.send(ends(Message.POSITION_END))


def _cancel_positions(session: Session, _: Reader) -> None:
    session.hears_positions = False


def _account_updates(session: Session, fields: Reader) -> None:
    session.hears_account = fields.flag()
    if session.hears_account:
        session.send_account()
        session.send(ends(Message.ACCOUNT_DOWNLOAD_END, session.gateway.account))


def _account_multi(session: Session, number: int, _: Reader) -> None:
    session.multi_requests.add(number)
    for value in session.gateway.account_values():
        session.send(messages.account_update_multi(value, number, session.gateway.account))
    session.send(ends(Message.ACCOUNT_UPDATE_MULTI_END, number))


def _cancel_account_multi(session: Session, number: int, _: Reader) -> None:
    session.multi_requests.discard(number)


def _account_summary(session: Session, number: int, fields: Reader) -> None:
    fields.skip(1)
    tags = frozenset(fields.text().split(","))
    session.summary_requests[number] = tags
    for value in session.gateway.account_values():
        if value.tag in tags:
            session.send(messages.account_summary(value, number, session.gateway.account))
    session.send(ends(Message.ACCOUNT_SUMMARY_END, number))


def _cancel_account_summary(session: Session, number: int, _: Reader) -> None:
    session.summary_requests.pop(number, None)


# -------------------------------------------------------------------- contracts


def _contract_details(session: Session, number: int, fields: Reader) -> None:
    contract = read_contract(fields)
    listing = session.gateway.desk.listings.find(contract)
    if listing is None:
        session.send(messages.error(number, 200, NO_DEFINITION))
        return
    market, policy = listing.instrument.market_type, session.gateway.desk.policy
    hours = trading_hours(session.gateway.now(), market)
    is_plain = market is MarketType.CRYPTO and not policy.coins_rest
    types = messages.COIN_TYPES if is_plain else messages.ORDER_TYPES
    session.send(messages.contract_details(number, listing, contract.exchange, hours, order_types=types))
    session.send(ends(Message.CONTRACT_DETAILS_END, number))


def _option_parameters(session: Session, number: int, fields: Reader) -> None:
    """List the options on a stock: the grid around its price."""
    fields.skip(3)
    gateway, con_id = session.gateway, fields.integer()
    listing = gateway.desk.listings.find(Contract(con_id=con_id))
    quoted = gateway.quotes.get(listing.instrument.key) if listing is not None else None
    if listing is not None and quoted is not None:
        chain = grid_of(listing.instrument, Price(quoted.last), gateway.now().astimezone(NEW_YORK).date())
        session.send(messages.option_parameters(number, listing, chain))
    session.send([Message.OPTION_PARAMETERS_END, number])


def _market_rule(session: Session, fields: Reader) -> None:
    rule = fields.integer()
    if rule in MARKET_RULES:
        session.send(messages.market_rule(rule))
    else:
        session.send(messages.error(NO_ID, 321, f"{INVALID}Invalid market rule id: {rule}"))


def _ignore(_session: Session, _fields: Reader) -> None:
    """Take note of a message that changes nothing here."""


REQUESTS: dict[str, Entry] = {
    "1": Entry("reqMktData", 1, by_id(market_data)),
    "2": Entry("cancelMktData", 1, by_id(cancel_market_data)),
    "3": Entry("placeOrder", 0, _read_place),
    "4": Entry("cancelOrder", 1, _read_cancel),
    "5": Entry("reqOpenOrders", 1, plain(_open_orders)),
    "6": Entry("reqAccountUpdates", 1, plain(_account_updates)),
    "7": Entry("reqExecutions", 1, by_id(_executions)),
    "8": Entry("reqIds", 1, plain(_next_id)),
    "9": Entry("reqContractDetails", 1, by_id(_contract_details)),
    "14": Entry("setServerLogLevel", 1, plain(_ignore)),
    "15": Entry("reqAutoOpenOrders", 1, plain(_auto_open_orders)),
    "16": Entry("reqAllOpenOrders", 1, plain(_all_open_orders)),
    "17": Entry("reqManagedAccts", 1, plain(_accounts)),
    "20": Entry("reqHistoricalData", 0, by_id(historical_data)),
    "25": Entry("cancelHistoricalData", 1, plain(_ignore)),
    "49": Entry("reqCurrentTime", 1, plain(_time)),
    "58": Entry("reqGlobalCancel", 1, plain(_global_cancel)),
    "59": Entry("reqMarketDataType", 1, plain(set_market_data_type)),
    "61": Entry("reqPositions", 1, plain(_positions)),
    "62": Entry("reqAccountSummary", 1, by_id(_account_summary)),
    "63": Entry("cancelAccountSummary", 1, by_id(_cancel_account_summary)),
    "64": Entry("cancelPositions", 1, plain(_cancel_positions)),
    "71": Entry("startApi", 1, plain(_start)),
    "78": Entry("reqSecDefOptParams", 0, by_id(_option_parameters)),
    "76": Entry("reqAccountUpdatesMulti", 1, by_id(_account_multi)),
    "77": Entry("cancelAccountUpdatesMulti", 1, by_id(_cancel_account_multi)),
    "91": Entry("reqMarketRule", 0, plain(_market_rule)),
    "99": Entry("reqCompletedOrders", 0, plain(_completed_orders)),
}
"""Every message this venue answers, by the id on the wire."""
