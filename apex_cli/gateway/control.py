"""Commands of a test to a running gateway: one value each, in process or as a line of JSON.

Example: ``{"do": "price", "symbol": "AAPL", "price": "190.50"}``
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Union

import msgspec

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Usd
from apex_cli.gateway import messages
from apex_cli.gateway.contracts import STOCK, Contract
from apex_cli.gateway.faults import Fault
from apex_cli.gateway.hub import Hub
from apex_cli.gateway.option_desk import exercise
from apex_cli.gateway.quotes import Standing
from apex_cli.gateway.rows import CommissionReport, ExecutionReport, ExecutionRow, OrderRow, StatusReport
from apex_cli.gateway.terms import Terms


class BooksView(Value, frozen=True, kw_only=True):
    """What the gateway knows."""

    cash: Decimal
    orders: tuple[OrderRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    positions: dict[str, Decimal] = {}
    """Signed quantity by instrument key, without flat ones."""

    clients: tuple[int, ...] = ()
    """Connected client ids."""

    def order(self, order_ref: str) -> OrderRow:
        """Return the newest order whose orderRef ends with *order_ref*.

        Raises:
            KeyError: no such order.
        """
        for row in reversed(self.orders):
            if row.terms.order_ref.endswith(order_ref):
                return row
        raise KeyError(order_ref)

    def open_orders(self) -> list[OrderRow]:
        """Return the orders that may still fill."""
        return [row for row in self.orders if row.is_open]


SYSTEM_TEXTS = {
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:paper",
}


def books_of(gateway: Hub) -> BooksView:
    """Return what *gateway* knows."""
    desk = gateway.desk
    return BooksView(
        cash=desk.engine.ledger.total_cash,
        orders=tuple(desk.orders.values()),
        executions=tuple(desk.holdings.executions),
        positions={key: row.quantity for key, row in desk.holdings.positions.items() if row.quantity},
        clients=tuple(sorted(gateway.sessions)),
    )


def _row(gateway: Hub, order_ref: str, perm_id: int = 0) -> OrderRow:
    desk = gateway.desk
    if perm_id:
        return desk.orders[perm_id]
    return books_of(gateway).order(order_ref)


_ABOVE_ZERO = frozenset({"price", "quantity", "ratio", "limit_price", "aux_price"})
_NOT_BELOW_ZERO = frozenset({"bid", "ask", "size", "shortable"})


class Command(Value, frozen=True, kw_only=True, tag_field="do"):
    """One command."""

    def __post_init__(self) -> None:
        """Refuse numbers that no market and no account has.

        Raises:
            ValueError: an amount is not finite, a price, quantity or ratio is not above 0, another number of a market
                is below 0.
        """
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not isinstance(value, Decimal):
                continue
            if not value.is_finite() or (name in _ABOVE_ZERO and value <= 0) or (name in _NOT_BELOW_ZERO and value < 0):
                least = " above 0" if name in _ABOVE_ZERO else ", 0 or more" if name in _NOT_BELOW_ZERO else ""
                raise ValueError(f"{name} is {value}; needed is a number{least}")

    def act(self, gateway: Hub) -> BooksView | None:
        """Do it; only ``ShowBooks`` has an answer.

        Raises:
            KeyError: it speaks of an order, execution or symbol that is not known.
            ValueError: a switch of the policy does not exist.
        """
        raise NotImplementedError


class SetPrice(Command, frozen=True, kw_only=True, tag="price"):
    """Move the market of a security; at most *size* units fill. A new one is listed first.

    An option keeps a price that was set; the others follow their underlying by the model.
    """

    symbol: str
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    size: Decimal | None = None

    def act(self, gateway: Hub) -> None:
        listing = gateway.desk.listings.add(self.symbol)
        if listing.instrument.expiry is not None:
            gateway.own_prices.add(listing.instrument.key)
        gateway.set_price(listing, self.price, bid=self.bid, ask=self.ask, size=self.size)


class SetStanding(Command, frozen=True, kw_only=True, tag="standing"):
    """Report a stock as halted or trading, and how many of it can be borrowed."""

    symbol: str
    is_halted: bool = False
    shortable: Decimal | None = None

    def act(self, gateway: Hub) -> None:
        standing = Standing(is_halted=self.is_halted, shortable=self.shortable)
        gateway.set_standing(gateway.desk.listings.add(self.symbol), standing)


class HoldOrder(Command, frozen=True, kw_only=True, tag="hold"):
    """Report an order as held, such as for ``locate``; empty: as held no more."""

    order_ref: str
    why: str = ""

    def act(self, gateway: Hub) -> None:
        row = _row(gateway, self.order_ref)
        gateway.report([StatusReport(row=gateway.desk.put(msgspec.structs.replace(row, why_held=self.why)))])


class FillOrder(Command, frozen=True, kw_only=True, tag="fill"):
    """Fill part of one order wherever the market is; *order_ref* may be its end."""

    order_ref: str = ""
    perm_id: int = 0
    quantity: Decimal
    price: Decimal | None = None

    def act(self, gateway: Hub) -> None:
        row = _row(gateway, self.order_ref, self.perm_id)
        gateway.report(gateway.desk.fill(row.perm_id, self.quantity, self.price, gateway.now()))


class FillAfterCancel(Command, frozen=True, kw_only=True, tag="late_fill"):
    """Let an order fill *quantity* after its next cancel was reported."""

    order_ref: str
    quantity: Decimal

    def act(self, gateway: Hub) -> None:
        row = _row(gateway, self.order_ref)
        gateway.desk.late_fills[row.terms.order_ref] = self.quantity


class AddFault(Command, frozen=True, kw_only=True, tag="fault"):
    """Let a fault wait."""

    fault: Fault

    def act(self, gateway: Hub) -> None:
        gateway.faults.add(self.fault)


class ClearFaults(Command, frozen=True, kw_only=True, tag="clear_faults"):
    """Drop every fault that waits."""

    def act(self, gateway: Hub) -> None:
        gateway.faults.clear()


class TellSystem(Command, frozen=True, kw_only=True, tag="system"):
    """Send a system message to every client: 1100, 1101, 1102, 2103, ..."""

    code: int
    text: str = ""

    def act(self, gateway: Hub) -> None:
        text = self.text or SYSTEM_TEXTS.get(self.code, "")
        gateway.broadcast(self.code, text)


class TellError(Command, frozen=True, kw_only=True, tag="error"):
    """Send an error about one order to its client; the order stays as it is."""

    order_ref: str
    code: int
    text: str = ""

    def act(self, gateway: Hub) -> None:
        row = _row(gateway, self.order_ref)
        session = gateway.sessions.get(row.client_id)
        if session is not None:
            session.send(messages.error(row.order_id, self.code, self.text))


class Cut(Command, frozen=True, kw_only=True, tag="cut"):
    """Cut the socket of one client, or of all."""

    client_id: int | None = None

    def act(self, gateway: Hub) -> None:
        for client_id, session in list(gateway.sessions.items()):
            if self.client_id in {None, client_id}:
                session.cut()


class TradeByHand(Command, frozen=True, kw_only=True, tag="by_hand"):
    """Enter an order in TWS."""

    symbol: str
    action: str
    quantity: Decimal
    order_type: str = "MKT"
    limit_price: Decimal | None = None
    aux_price: Decimal | None = None
    tif: str = "GTC"

    def act(self, gateway: Hub) -> None:
        terms = Terms(
            action=self.action,
            quantity=self.quantity,
            order_type=self.order_type,
            limit_price=self.limit_price,
            aux_price=self.aux_price,
            tif=self.tif,
        )
        listing = gateway.desk.listings.known(self.symbol)
        contract = listing.contract if listing else Contract(symbol=self.symbol, sec_type=STOCK, currency="USD")
        gateway.report(gateway.desk.place_by_hand(contract, terms, gateway.now()))


class Split(Command, frozen=True, kw_only=True, tag="split"):
    """Split a security, *ratio* new units for each old one: orders end, quantity and price change."""

    symbol: str
    ratio: Decimal

    def act(self, gateway: Hub) -> None:
        listing = gateway.desk.listings.add(self.symbol)
        key = listing.instrument.key
        before = gateway.quotes.get(key)
        gateway.report(gateway.desk.split(key, self.ratio, gateway.now()))
        if before is not None:
            gateway.set_price(listing, before.last / self.ratio)


class Rename(Command, frozen=True, kw_only=True, tag="rename"):
    """Give a security another ticker over night; its number, its orders and its positions stay."""

    symbol: str
    to: str

    def act(self, gateway: Hub) -> None:
        gateway.desk.rename(gateway.desk.listings.add(self.symbol), self.to)


class Exercise(Command, frozen=True, kw_only=True, tag="exercise"):
    """Exercise an option that is held before its time, or assign one that was sold."""

    symbol: str

    def act(self, gateway: Hub) -> None:
        listing = gateway.desk.listings.add(self.symbol)
        gateway.settle(exercise(gateway.desk, listing.instrument, gateway.now()))


class CancelByHand(Command, frozen=True, kw_only=True, tag="cancel_by_hand"):
    """Cancel any order in TWS."""

    perm_id: int = 0
    order_ref: str = ""

    def act(self, gateway: Hub) -> None:
        row = _row(gateway, self.order_ref, self.perm_id)
        gateway.report(gateway.desk.cancel_row(row, gateway.now()))


class Correct(Command, frozen=True, kw_only=True, tag="correct"):
    """Send a correction of an execution: the same id but for its last part, another price, perhaps no shares."""

    exec_id: str
    price: Decimal
    shares: Decimal | None = None

    def act(self, gateway: Hub) -> None:
        corrected = gateway.desk.holdings.correct(self.exec_id, self.price, self.shares)
        if corrected is None:
            raise KeyError(self.exec_id)
        gateway.report([ExecutionReport(execution=corrected), CommissionReport(execution=corrected)])


class Repeat(Command, frozen=True, kw_only=True, tag="repeat"):
    """Send an execution and its commission once more."""

    exec_id: str

    def act(self, gateway: Hub) -> None:
        found = [row for row in gateway.desk.holdings.executions if row.exec_id == self.exec_id]
        if not found:
            raise KeyError(self.exec_id)
        gateway.report([ExecutionReport(execution=found[0]), CommissionReport(execution=found[0])])


class SetNextId(Command, frozen=True, kw_only=True, tag="next_id"):
    """Hand out order ids of a client from here on."""

    client_id: int
    order_id: int

    def act(self, gateway: Hub) -> None:
        gateway.desk.set_next_order_id(self.client_id, self.order_id)


class SetPolicy(Command, frozen=True, kw_only=True, tag="policy"):
    """Change switches of the policy."""

    changes: dict[str, Any]

    def act(self, gateway: Hub) -> None:
        policy = gateway.desk.policy
        changed = msgspec.convert({**msgspec.to_builtins(policy), **self.changes}, type(policy), strict=False)
        unknown = set(self.changes) - set(policy.__struct_fields__)
        if unknown:
            raise ValueError(f"the policy has no {', '.join(sorted(unknown))}")
        gateway.desk.policy = gateway.desk.holdings.policy = changed


class EndSession(Command, frozen=True, kw_only=True, tag="end_session"):
    """Hold the closing auction at the last prices, then expire every DAY order."""

    def act(self, gateway: Hub) -> None:
        gateway.report(gateway.desk.end_session(gateway.now()))


class MoveCash(Command, frozen=True, kw_only=True, tag="cash"):
    """Pay money in, or take it out."""

    amount: Decimal
    """Dollars; negative when they are taken out."""

    def act(self, gateway: Hub) -> None:
        gateway.desk.engine.ledger.move_cash(Usd(self.amount))


class OpenSession(Command, frozen=True, kw_only=True, tag="open_session"):
    """Hold the opening auction at the last prices."""

    def act(self, gateway: Hub) -> None:
        gateway.report(gateway.desk.open_session(gateway.now()))


class ShowBooks(Command, frozen=True, kw_only=True, tag="books"):
    """Return what the gateway knows."""

    def act(self, gateway: Hub) -> BooksView:
        return books_of(gateway)


_DECODER = msgspec.json.Decoder(Union[tuple(Command.__subclasses__())])  # noqa: UP007 - the classes above


def decode(line: bytes | str) -> Command:
    """Read one command from JSON.

    Raises:
        msgspec.DecodeError: the line is not a command.
    """
    command: Command = _DECODER.decode(line)
    return command
