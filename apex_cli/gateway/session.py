"""One client's connection: its handshake, its subscriptions, and the messages it receives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from apex_cli.gateway import messages
from apex_cli.gateway.accounts import value_of
from apex_cli.gateway.faults import Action, Fault
from apex_cli.gateway.framing import ProtocolError, Splitter, frame
from apex_cli.gateway.hub import Hub
from apex_cli.gateway.messages import Fields, Message
from apex_cli.gateway.quotes import Standing, TickRequest, standing_messages, tick_messages
from apex_cli.gateway.rows import (
    CommissionReport,
    ErrorReport,
    ExecutionReport,
    OrderReport,
    OrderRow,
    PreviewReport,
    Report,
    StatusReport,
)

SERVER_VERSION = 176
NOT_STARTED = -1
LIVE = -1
"""Request id of executions nobody asked for."""


class Request(NamedTuple):
    """One request, ready to run."""

    name: str
    """The name that faults know it by."""

    request_id: int
    """The id that errors go to; -1 without."""

    order_ref: str
    """orderRef of the order it speaks of."""

    run: Callable[[Session], None]
    """Handles it on a session."""


RequestReader = Callable[["Session", list[str]], Request | None]


class Session(asyncio.Protocol):
    """Speaks with one client."""

    def __init__(self, gateway: Hub, request_of: RequestReader) -> None:
        """Wait for the client's greeting; *request_of* reads what it asks."""
        self.gateway = gateway
        self._request_of = request_of
        self.client_id = NOT_STARTED
        self.market_data_type = 1
        self.ticks: dict[int, TickRequest] = {}
        """Open quote requests by request id."""

        self.hears_positions = False
        self.hears_account = False
        self.multi_requests: set[int] = set()
        self.summary_requests: dict[int, frozenset[str]] = {}
        self._splitter = Splitter()
        self._is_greeted = False
        self._transport: asyncio.Transport | None = None
        self._held: list[bytes] = []
        self._cuts_after = False
        self._order_ref = ""
        """orderRef of the order that the running request or message speaks of."""

    # ------------------------------------------------------------- connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self.gateway.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._transport = None
        self.gateway.leave(self)

    def cut(self) -> None:
        """Cut the connection at once; what was not sent is lost."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self.gateway.leave(self)

    def close(self) -> None:
        """Close the connection after what was written has left."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        self.gateway.leave(self)

    @property
    def is_connected(self) -> bool:
        """False once the connection is gone."""
        return self._transport is not None

    def data_received(self, data: bytes) -> None:
        """Handle every complete message; one that cannot be read ends the connection."""
        self._splitter.feed(data)
        try:
            if not self._is_greeted and not self._greet():
                return
            for fields in self._splitter.messages():
                if not self.is_connected:
                    return
                self._receive(fields)
        except ProtocolError as error:
            self.gateway.log(f"client {self.client_id}: {error}; connection closed")
            self.send(messages.error(-1, 320, f"Server error when reading an API client request: {error}"))
            self.close()

    def _greet(self) -> bool:
        versions = self._splitter.greeting()
        if versions is None:
            return False
        if versions.highest < SERVER_VERSION:
            raise ProtocolError(f"the client speaks up to version {versions.highest}, needed is {SERVER_VERSION}")
        self._is_greeted = True
        now = self.gateway.now()
        self._write(frame([SERVER_VERSION, messages.wire_time(now, self.gateway.desk.policy.time_zone or "UTC")]))
        return True

    # --------------------------------------------------------------- requests

    def _receive(self, fields: list[str]) -> None:
        """Pass one message through the faults to its handler."""
        self.gateway.settle_expired()
        request = self._request_of(self, fields)
        if request is None:
            self.gateway.log(f"client {self.client_id}: message {fields[:2]} is not known here")
            return
        fault = self.gateway.faults.strike(request.name, self.client_id, request.order_ref)
        if fault is None:
            request.run(self)
        else:
            self._faulty(request, fault)

    def _faulty(self, request: Request, fault: Fault) -> None:
        """Do to a request what *fault* says."""
        if fault.action is Action.SWALLOW:
            return
        if fault.action is Action.CUT_BEFORE:
            self.cut()
        elif fault.action is Action.REJECT:
            self.send(messages.error(request.request_id, fault.code, fault.text))
            if fault.status:
                desk = self.gateway.desk
                desk.last_perm_id += 1
                status = messages.refused_status(request.request_id, self.client_id, fault.status, desk.last_perm_id)
                self.send(status)
        elif fault.action is Action.DELAY:
            asyncio.get_running_loop().call_later(fault.seconds, self._run_later, request)
        elif fault.action is Action.CUT_AFTER:
            self._cuts_after = True
            request.run(self)
            self.cut()
        else:
            request.run(self)
            if fault.action is Action.REFUSE_LATER:
                later = asyncio.get_running_loop().call_later
                later(fault.seconds, self.gateway.refuse, self.client_id, request.request_id, fault.code, fault.text)
            if fault.action is Action.WARN:
                self.send(messages.error(request.request_id, fault.code, fault.text))

    def _run_later(self, request: Request) -> None:
        if self.is_connected:
            request.run(self)

    # ---------------------------------------------------------------- answers

    def send(self, fields: Fields) -> None:
        """Send one message, unless a fault has it otherwise."""
        if self._cuts_after or self._transport is None:
            return
        name = fields[0].name if isinstance(fields[0], Message) else ""
        fault = self.gateway.faults.strike(name, self.client_id, self._order_ref)
        if fault is not None and fault.action is Action.SPOIL:
            fields, fault = [*fields[: fault.field], fault.text, *fields[fault.field + 1 :]], None
        data = frame(fields)
        if fault is None:
            self._write(data)
        elif fault.action is Action.CUT_BEFORE:
            self.cut()
        elif fault.action is Action.CUT_AFTER:
            self._write(data)
            self.close()
        elif fault.action is Action.DELAY:
            asyncio.get_running_loop().call_later(fault.seconds, self._write, data)
        elif fault.action is Action.DUPLICATE:
            self._write(data + data)
        elif fault.action is Action.HOLD:
            self._held.append(data)

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._held:
            held, self._held = self._held, []
            self._transport.write(b"".join(held))

    def report(self, report: Report) -> None:
        """Send one report of the desk."""
        account, zone = self.gateway.account, self.gateway.desk.policy.time_zone
        if isinstance(report, ErrorReport):
            self.send(messages.error(report.order_id, report.code, report.text))
            return
        self._order_ref = report.execution.order_ref if hasattr(report, "execution") else report.row.terms.order_ref
        match report:
            case OrderReport(row=row):
                self.send(self.open_order(row))
                self.send(self.order_status(row))
            case StatusReport(row=row):
                self.send(self.order_status(row))
            case ExecutionReport(execution=execution):
                self.send(messages.exec_details(execution, LIVE, account, zone))
            case CommissionReport(execution=execution):
                self.send(messages.commission_report(execution, self.gateway.desk.policy.first_commission))
            case PreviewReport(row=row, margins=margins):
                self.send(messages.open_order(row, 0, account, margins))
        self._order_ref = ""

    def open_order(self, row: OrderRow) -> Fields:
        """Return the ``openOrder`` of *row*."""
        return messages.open_order(row, self._parent_order_id(row), self.gateway.account)

    def order_status(self, row: OrderRow) -> Fields:
        """Return the ``orderStatus`` of *row*."""
        return messages.order_status(row, self._parent_order_id(row))

    def _parent_order_id(self, row: OrderRow) -> int:
        parent = self.gateway.desk.orders.get(row.parent_perm_id)
        return parent.order_id if parent else 0

    # ----------------------------------------------------------- subscriptions

    def tick(self, key: str) -> None:
        """Send the market of one security to the requests that want it."""
        quoted = self.gateway.quotes.get(key)
        for request in list(self.ticks.values()):
            if request.key == key and quoted is not None:
                for fields in tick_messages(request, quoted):
                    self.send(fields)
                self.send_standing(request)

    def send_standing(self, request: TickRequest) -> None:
        """Send whether the security of *request* trades, and what can be borrowed of it, where that is known."""
        for fields in standing_messages(request, self.gateway.standings.get(request.key, Standing())):
            self.send(fields)

    def send_position(self, key: str) -> None:
        """Send one position."""
        row = self.gateway.desk.holdings.positions.get(key)
        if row is not None:
            self.send(messages.position(row, self.gateway.account))

    def send_account(self) -> None:
        """Send account values, portfolio and time."""
        gateway = self.gateway
        for line in gateway.account_values():
            self.send(messages.account_value(line, gateway.account))
        prices = gateway.desk.holdings.prices()
        for row in gateway.desk.holdings.positions.values():
            value, unrealized = value_of(row, prices)
            price = prices.get(row.instrument.key, row.average_cost)
            self.send(messages.portfolio_value(row, gateway.account, price, value, unrealized))
        now = messages.wire_time(gateway.now(), gateway.desk.policy.time_zone)
        self.send([Message.ACCOUNT_TIME, 1, now.split(" ")[1][:5] if " " in now else now[9:14]])

    def refresh_account(self) -> None:
        """Send subscribers the account values that a fill changed."""
        gateway = self.gateway
        if self.hears_positions:
            for key in gateway.desk.holdings.positions:
                self.send_position(key)
        if self.hears_account:
            self.send_account()
        values = gateway.account_values()
        for request_id in self.multi_requests:
            for value in values:
                self.send(messages.account_update_multi(value, request_id, gateway.account))
        for request_id, tags in self.summary_requests.items():
            for value in values:
                if value.tag in tags:
                    self.send(messages.account_summary(value, request_id, gateway.account))
