"""What a test may do to a running gateway: one value for each command, in process or as a line of JSON.

Example: ``{"do": "price", "symbol": "AAPL", "price": "190.50"}``
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

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


class Command(Value, frozen=True, kw_only=True, tag_field="do"):
    """One command."""


class SetPrice(Command, frozen=True, kw_only=True, tag="price"):
    """Move the market of a security; at most *size* units fill. A new one is listed first.

    An option keeps a price that was set; the others follow their underlying by the model.
    """

    symbol: str
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    size: Decimal | None = None


class SetStanding(Command, frozen=True, kw_only=True, tag="standing"):
    """Report a stock as halted or trading, and how many of it can be borrowed."""

    symbol: str
    is_halted: bool = False
    shortable: Decimal | None = None


class HoldOrder(Command, frozen=True, kw_only=True, tag="hold"):
    """Report an order as held, such as for ``locate``; empty: as held no more."""

    order_ref: str
    why: str = ""


class FillOrder(Command, frozen=True, kw_only=True, tag="fill"):
    """Fill part of one order wherever the market is; *order_ref* may be its end."""

    order_ref: str = ""
    perm_id: int = 0
    quantity: Decimal
    price: Decimal | None = None


class FillAfterCancel(Command, frozen=True, kw_only=True, tag="late_fill"):
    """Let an order fill *quantity* after its next cancel was reported."""

    order_ref: str
    quantity: Decimal


class AddFault(Command, frozen=True, kw_only=True, tag="fault"):
    """Let a fault wait."""

    fault: Fault


class ClearFaults(Command, frozen=True, kw_only=True, tag="clear_faults"):
    """Drop every fault that waits."""


class TellSystem(Command, frozen=True, kw_only=True, tag="system"):
    """Send a system message to every client: 1100, 1101, 1102, 2103, ..."""

    code: int
    text: str = ""


class TellError(Command, frozen=True, kw_only=True, tag="error"):
    """Send an error about one order to its client; the order stays as it is."""

    order_ref: str
    code: int
    text: str = ""


class Cut(Command, frozen=True, kw_only=True, tag="cut"):
    """Cut the socket of one client, or of all."""

    client_id: int | None = None


class TradeByHand(Command, frozen=True, kw_only=True, tag="by_hand"):
    """Enter an order in TWS."""

    symbol: str
    action: str
    quantity: Decimal
    order_type: str = "MKT"
    limit_price: Decimal | None = None
    aux_price: Decimal | None = None
    tif: str = "GTC"


class Split(Command, frozen=True, kw_only=True, tag="split"):
    """Split a security, *ratio* new units for each old one: orders end, quantity and price change."""

    symbol: str
    ratio: Decimal


class Rename(Command, frozen=True, kw_only=True, tag="rename"):
    """Give a security another ticker over night; its number, its orders and its positions stay."""

    symbol: str
    to: str


class Exercise(Command, frozen=True, kw_only=True, tag="exercise"):
    """Exercise an option that is held before its time, or assign one that was sold."""

    symbol: str


class CancelByHand(Command, frozen=True, kw_only=True, tag="cancel_by_hand"):
    """Cancel any order in TWS."""

    perm_id: int = 0
    order_ref: str = ""


class Correct(Command, frozen=True, kw_only=True, tag="correct"):
    """Send a correction of an execution: the same id but for its last part, another price."""

    exec_id: str
    price: Decimal


class Repeat(Command, frozen=True, kw_only=True, tag="repeat"):
    """Send an execution and its commission once more."""

    exec_id: str


class SetNextId(Command, frozen=True, kw_only=True, tag="next_id"):
    """Hand out order ids of a client from here on."""

    client_id: int
    order_id: int


class SetPolicy(Command, frozen=True, kw_only=True, tag="policy"):
    """Change switches of the policy."""

    changes: dict[str, Any]


class EndSession(Command, frozen=True, kw_only=True, tag="end_session"):
    """Hold the closing auction at the last prices, then expire every DAY order."""


class MoveCash(Command, frozen=True, kw_only=True, tag="cash"):
    """Pay money in, or take it out."""

    amount: Decimal
    """Dollars; negative when they are taken out."""


class OpenSession(Command, frozen=True, kw_only=True, tag="open_session"):
    """Hold the opening auction at the last prices."""


class ShowBooks(Command, frozen=True, kw_only=True, tag="books"):
    """Return what the gateway knows."""


AnyCommand = (
    SetPrice
    | SetStanding
    | HoldOrder
    | FillOrder
    | FillAfterCancel
    | AddFault
    | ClearFaults
    | TellSystem
    | TellError
    | Cut
    | TradeByHand
    | CancelByHand
    | Split
    | Rename
    | Exercise
    | Correct
    | Repeat
    | SetNextId
    | SetPolicy
    | EndSession
    | OpenSession
    | MoveCash
    | ShowBooks
)


def decode(line: bytes | str) -> AnyCommand:
    """Read one command from JSON.

    Raises:
        msgspec.DecodeError: the line is not a command.
    """
    command: AnyCommand = msgspec.json.decode(line, type=AnyCommand)
    return command


def execute(gateway: Hub, command: AnyCommand) -> BooksView | None:
    """Do *command*; ``ShowBooks`` has an answer.

    Raises:
        KeyError: it speaks of an order, execution or symbol that is not known.
        ValueError: a switch of the policy does not exist.
    """
    if isinstance(command, ShowBooks):
        return books_of(gateway)
    _DO[type(command)](gateway, command)
    return None


def books_of(gateway: Hub) -> BooksView:
    """Return what *gateway* knows."""
    desk = gateway.desk
    return BooksView(
        cash=desk.engine.cash,
        orders=tuple(desk.orders.values()),
        executions=tuple(desk.holdings.executions),
        positions={key: row.quantity for key, row in desk.holdings.positions.items() if row.quantity},
        clients=tuple(sorted(gateway.sessions)),
    )


def _move_cash(gateway: Hub, command: MoveCash) -> None:
    gateway.desk.engine.move_cash(Usd(command.amount))


def _price(gateway: Hub, command: SetPrice) -> None:
    listing = gateway.desk.listings.add(command.symbol)
    if listing.instrument.expiry is not None:
        gateway.own_prices.add(listing.instrument.key)
    gateway.set_price(listing, command.price, bid=command.bid, ask=command.ask, size=command.size)


def _standing(gateway: Hub, command: SetStanding) -> None:
    standing = Standing(is_halted=command.is_halted, shortable=command.shortable)
    gateway.set_standing(gateway.desk.listings.add(command.symbol), standing)


def _hold(gateway: Hub, command: HoldOrder) -> None:
    row = _row(gateway, command.order_ref)
    gateway.report([StatusReport(row=gateway.desk.put(msgspec.structs.replace(row, why_held=command.why)))])


def _row(gateway: Hub, order_ref: str, perm_id: int = 0) -> OrderRow:
    desk = gateway.desk
    if perm_id:
        return desk.orders[perm_id]
    return books_of(gateway).order(order_ref)


def _fill(gateway: Hub, command: FillOrder) -> None:
    row = _row(gateway, command.order_ref, command.perm_id)
    gateway.report(gateway.desk.fill(row.perm_id, command.quantity, command.price, gateway.now()))


def _late_fill(gateway: Hub, command: FillAfterCancel) -> None:
    row = _row(gateway, command.order_ref)
    gateway.desk.late_fills[row.terms.order_ref] = command.quantity


def _fault(gateway: Hub, command: AddFault) -> None:
    gateway.faults.add(command.fault)


def _clear(gateway: Hub, _: ClearFaults) -> None:
    gateway.faults.clear()


def _system(gateway: Hub, command: TellSystem) -> None:
    text = command.text or SYSTEM_TEXTS.get(command.code, "")
    gateway.broadcast(command.code, text)


SYSTEM_TEXTS = {
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:paper",
}


def _error(gateway: Hub, command: TellError) -> None:
    row = _row(gateway, command.order_ref)
    session = gateway.sessions.get(row.client_id)
    if session is not None:
        session.send(messages.error(row.order_id, command.code, command.text))


def _cut(gateway: Hub, command: Cut) -> None:
    for client_id, session in list(gateway.sessions.items()):
        if command.client_id in {None, client_id}:
            session.cut()


def _by_hand(gateway: Hub, command: TradeByHand) -> None:
    terms = Terms(
        action=command.action,
        quantity=command.quantity,
        order_type=command.order_type,
        limit_price=command.limit_price,
        aux_price=command.aux_price,
        tif=command.tif,
    )
    listing = gateway.desk.listings.known(command.symbol)
    contract = listing.contract if listing else Contract(symbol=command.symbol, sec_type=STOCK, currency="USD")
    gateway.report(gateway.desk.place_by_hand(contract, terms, gateway.now()))


def _split(gateway: Hub, command: Split) -> None:
    listing = gateway.desk.listings.add(command.symbol)
    key = listing.instrument.key
    before = gateway.quotes.get(key)
    gateway.report(gateway.desk.split(key, command.ratio, gateway.now()))
    if before is not None:
        gateway.set_price(listing, before.last / command.ratio)


def _rename(gateway: Hub, command: Rename) -> None:
    gateway.desk.rename(gateway.desk.listings.add(command.symbol), command.to)


def _exercise(gateway: Hub, command: Exercise) -> None:
    listing = gateway.desk.listings.add(command.symbol)
    gateway.settle(exercise(gateway.desk, listing.instrument, gateway.now()))


def _cancel_by_hand(gateway: Hub, command: CancelByHand) -> None:
    row = _row(gateway, command.order_ref, command.perm_id)
    gateway.report(gateway.desk.cancel_row(row, gateway.now()))


def _correct(gateway: Hub, command: Correct) -> None:
    corrected = gateway.desk.holdings.correct(command.exec_id, command.price)
    if corrected is None:
        raise KeyError(command.exec_id)
    gateway.report([ExecutionReport(execution=corrected), CommissionReport(execution=corrected)])


def _repeat(gateway: Hub, command: Repeat) -> None:
    found = [row for row in gateway.desk.holdings.executions if row.exec_id == command.exec_id]
    if not found:
        raise KeyError(command.exec_id)
    gateway.report([ExecutionReport(execution=found[0]), CommissionReport(execution=found[0])])


def _next_id(gateway: Hub, command: SetNextId) -> None:
    gateway.desk.set_next_order_id(command.client_id, command.order_id)


def _policy(gateway: Hub, command: SetPolicy) -> None:
    policy = gateway.desk.policy
    changed = msgspec.convert({**msgspec.to_builtins(policy), **command.changes}, type(policy), strict=False)
    unknown = set(command.changes) - set(policy.__struct_fields__)
    if unknown:
        raise ValueError(f"the policy has no {', '.join(sorted(unknown))}")
    gateway.desk.policy = gateway.desk.holdings.policy = changed


def _end_session(gateway: Hub, _: EndSession) -> None:
    gateway.report(gateway.desk.end_session(gateway.now()))


def _open_session(gateway: Hub, _: OpenSession) -> None:
    gateway.report(gateway.desk.open_session(gateway.now()))


_DO: dict[type, Callable[[Hub, Any], None]] = {
    SetPrice: _price,
    SetStanding: _standing,
    HoldOrder: _hold,
    FillOrder: _fill,
    FillAfterCancel: _late_fill,
    AddFault: _fault,
    ClearFaults: _clear,
    TellSystem: _system,
    TellError: _error,
    Cut: _cut,
    TradeByHand: _by_hand,
    CancelByHand: _cancel_by_hand,
    Split: _split,
    Rename: _rename,
    Exercise: _exercise,
    Correct: _correct,
    Repeat: _repeat,
    SetNextId: _next_id,
    SetPolicy: _policy,
    EndSession: _end_session,
    MoveCash: _move_cash,
    OpenSession: _open_session,
}
