"""Sends, changes and cancels orders over a connection; what sends is never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.ib.callbacks import OpenOrder
from apex_cli.core.adapters.ib.catalog import rounded
from apex_cli.core.adapters.ib.connection import IbConnection
from apex_cli.core.adapters.ib.known_order import Known
from apex_cli.core.adapters.ib.link import Link, read_only_api
from apex_cli.core.adapters.ib.order_terms import (
    in_sending_order,
    order_fields,
    parent_ids,
    problem_with,
    protocol_order,
)
from apex_cli.core.errors import BrokerError, OutcomeUnknownError
from apex_cli.core.market.quiet_hours import quiet_now
from apex_cli.core.model.broker_events import OTHER_ACCOUNT, RIGHT_ACCOUNT
from apex_cli.core.model.order import (
    MEANWHILE,
    Exchange,
    Meets,
    Order,
    OrderRole,
    OrderStatus,
    Phase,
    TimeInForce,
)

LOOK_S = 0.005
CANCELS = 4
"""How often the cancel of a leg that was never released is asked for, within the time for an acknowledgement."""

MARKET_FILL_S = 2.0
"""How long the fill of a market order is waited for, so that a command that ends right after it has seen it."""


class Sender(IbConnection):
    """Everything that changes something at the broker."""

    async def submit(self, orders: Sequence[Order]) -> None:
        """Send *orders* as one transmission, and wait until the broker has each of them.

        The protective stop goes last and releases the rest. Orders the broker knows already are not sent again:
        their state is reported again.
        """
        await self.exchange(Exchange(orders=tuple(orders)))

    async def exchange(self, exchange: Exchange) -> None:
        """Send orders in one piece with cancels and changes, and wait until the broker has each of the orders.

        All of it is one write to the socket: who is killed has done all of it or nothing.
        """
        self._ready_to_send()
        orders = exchange.orders
        again = [order.client_order_id for order in orders if order.client_order_id in self.tracker.orders]
        if again:
            for ref in again:
                self.tracker.report_again(ref)
            return
        problem = next((problem for order in (*orders, *exchange.change) if (problem := problem_with(order))), "")
        if problem:
            self.tracker.refuse(orders, f"Not sent: {problem}.")
            return
        legs = [await self.fitted(order) for order in in_sending_order(orders)]
        contracts = [await self.catalog.contract(order.instrument) for order in legs]
        changes = [await self.fitted(order) for order in exchange.change]
        changed = [await self.catalog.contract(order.instrument) for order in changes]
        link = self._ready_to_send()
        going = [self._to_change(name) for name in exchange.cancel]
        changing = [self._to_change(order.client_order_id) for order in exchange.change]
        group, problem = self._group_beside(exchange)
        if problem or self.tracker.has_news_of({*(known.ref for known in (*going, *changing)), *exchange.beside}):
            self.tracker.refuse(orders, f"Not sent: {problem or MEANWHILE}.")
            return
        if group:
            legs = [replace(leg, oca_group=group) for leg in legs]
        with _in_one_write(link.ib.client):
            for known in (known for known in going if known.is_open):
                known.was_asked_to_cancel = True
                self._send_cancel(link, known)
            for known, order, contract in zip(changing, changes, changed, strict=True):
                if known.is_open:
                    self._place_change(link, known, order, contract)
            sent = self._transmit(link, legs, contracts)
        await self._await_answers(link, sent)
        at_market = [known for known, leg in zip(sent, legs, strict=True) if _fills_at_once(leg)]
        await self._until(link, lambda: all(not known.is_open for known in at_market), MARKET_FILL_S)
        await self.free_exits()

    def _to_change(self, client_order_id: str) -> Known:
        self._link_to_change(client_order_id)
        return self.tracker.orders[client_order_id]

    def _group_beside(self, exchange: Exchange) -> tuple[str, str]:
        """Return the OCA group that the broker has the legs in that orders are to rest beside, or what is wrong.

        A server may group exits under a name of its own.
        """
        if not exchange.beside:
            return "", ""
        legs = [known for name in exchange.beside if (known := self.tracker.orders.get(name)) and known.is_open]
        groups = {known.terms.oca_group for known in legs if known.terms is not None}
        if len(groups) == 1 and (name := groups.pop()):
            return name, ""
        return "", "the exits are in no OCA group at the broker" if legs else MEANWHILE

    async def require_ready(self, client_order_ids: Iterable[str] = ()) -> None:
        """Make sure that orders can be sent now, and that *client_order_ids* are ours to change."""
        self._ready_to_send()
        for name in client_order_ids:
            self._link_to_change(name)

    def _ready_to_send(self) -> Link:
        """Return the link if orders may leave now."""
        if self.read_only:
            raise BrokerError("ib_looks_only", "This connection only looks; nothing was sent.")
        link = self.link
        if link.is_read_only_api:
            raise read_only_api(self.config)
        if not self.is_own_account(link.account):
            raise BrokerError("account_differs", f"{OTHER_ACCOUNT} Nothing was sent.", hint=RIGHT_ACCOUNT)
        if link.has_lost_broker or link.must_renew:
            raise BrokerError(
                "ib_broker_lost",
                "TWS has lost its line to Interactive Brokers; nothing was sent.",
                hint="It comes back by itself; stops that rest at the exchange stay there.",
            )
        window = quiet_now(self.config.quiet_hours, self.clock.now())
        if window is not None:
            raise BrokerError(
                "ib_quiet_hours",
                f"From {window} the gateway or the broker restarts, and orders vanish unanswered; nothing was sent.",
                hint="Try again after it. The window is broker.ib.quiet_hours.",
            )
        return link

    async def fitted(self, order: Order) -> Order:
        """Return *order* with its prices on the broker's own steps."""
        if order.limit_price is None and order.stop_price is None and order.trail_amount is None:
            return order
        return rounded(order, await self.catalog.listing(order.instrument))

    def _transmit(self, link: Link, legs: Sequence[Order], contracts: Sequence[object]) -> list[Known]:
        """Write all legs to the socket in one go: ids first, and only the last one lets them loose.

        Orders that are no children of each other leave one by one: the last one would let loose itself alone.
        """
        ids = {order.client_order_id: link.ib.client.getReqId() for order in legs}
        parents = parent_ids(legs, ids)
        sent = []
        for order, contract in zip(legs, contracts, strict=True):
            ref = order.client_order_id
            is_last = order is legs[-1] or not any(parents.values())
            sent.append(self.tracker.sent(order, client_id=link.client_id, order_id=ids[ref]))
            self._place(link, order, contract, ids[ref], parent_id=parents[ref], transmit=is_last)
        return sent

    def _place(
        self, link: Link, order: Order, contract: object, order_id: int, *, parent_id: int, transmit: bool = True
    ) -> None:
        fields = order_fields(
            order,
            order_id=order_id,
            account=link.account,
            parent_id=parent_id,
            transmit=transmit,
            outside_rth=self.config.outside_rth,
            trigger_method=self.config.trigger_method,
        )
        link.ib.client.placeOrder(order_id, contract, protocol_order(link.library, fields))

    async def _await_answers(self, link: Link, sent: Sequence[Known]) -> None:
        """Wait until each leg was seen or has ended; where the last one was refused, take the others back."""
        if await self._until(link, lambda: all(_is_answered(known) for known in sent) or self._is_stuck(sent)):
            if not self._is_stuck(sent):
                return
            if await self._take_back(link, sent):
                return
        missing = ", ".join(known.ref for known in sent if not _is_answered(known))
        raise OutcomeUnknownError(
            "ib_no_acknowledgement",
            f"The broker did not acknowledge {missing} within {self.config.ack_timeout_s:g} s.",
            hint="Nothing is sent again before the broker itself has reported what became of it.",
        )

    async def _take_back(self, link: Link, sent: Sequence[Known]) -> bool:
        """Cancel legs that wait for one that was refused; False when that is not confirmed.

        TWS may say nothing of the cancel of an order that was never released: to be asked again, it says that there
        is nothing to cancel.
        """
        why = f"Not released, as its stop was refused: {sent[-1].reason}"
        for _ in range(CANCELS):
            for known in (known for known in sent if known.is_open):
                known.reason, known.was_never_released = why, True
                self._send_cancel(link, known)
            pause = self.config.ack_timeout_s / CANCELS
            if await self._until(link, lambda: all(not known.is_open for known in sent), pause):
                return True
        return False

    @staticmethod
    def _is_stuck(sent: Sequence[Known]) -> bool:
        """Return whether the last leg was refused, so that those before it were never released.

        TWS may report the refused leg as inactive; those before it are not reported at all before their release.
        """
        *before, last = sent
        return last.ended is OrderStatus.REJECTED and any(known.is_open and not known.was_seen for known in before)

    async def _until(self, link: Link, is_done: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Take in what is heard until *is_done*; False when that took too long.

        Where the connection is lost meanwhile, the next one says what it finds; what it does not find stays open.
        """
        made = self.connections
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.ack_timeout_s if limit_s is None else limit_s):
                while True:
                    self.take_in(link)
                    if is_done():
                        return True
                    if self.connections > made:
                        return False
                    await asyncio.sleep(LOOK_S)
        return False

    async def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel; what has ended already is reported again.

        Raises:
            BrokerError: it is not known to the broker, or another client placed it.
        """
        link = self._link_to_change(client_order_id)
        known = self.tracker.orders[client_order_id]
        if not known.is_open:
            self.tracker.report_again(client_order_id)
            return
        known.was_asked_to_cancel = True
        self._send_cancel(link, known)

    def _link_to_change(self, client_order_id: str) -> Link:
        if self.read_only:
            raise BrokerError("ib_looks_only", "This connection only looks; nothing was sent.")
        link = self.link
        self.take_in(link)
        known = self.tracker.orders.get(client_order_id)
        if known is None:
            raise BrokerError("ib_order_unknown", f"The broker knows no open order {client_order_id}.")
        if known.is_open and known.client_id != link.client_id:
            raise BrokerError(
                "ib_order_of_other_client",
                f"{client_order_id} was placed by client {known.client_id}, this is client {link.client_id}; "
                "only who placed an order can change it.",
                hint=f"Set broker.ib.ib_client_id: {known.client_id}, or change the order in TWS.",
            )
        return link

    @staticmethod
    def _send_cancel(link: Link, known: Known) -> None:
        link.ib.client.cancelOrder(known.order_id, "")

    async def modify(self, order: Order) -> None:
        """Ask for new terms of a working order; the broker's list confirms them, an error never ends the order.

        Raises:
            BrokerError: it is not known, not ours to change, or nothing may leave now.
        """
        self._link_to_change(order.client_order_id)
        known = self.tracker.orders[order.client_order_id]
        problem = problem_with(order)
        if problem or not known.is_open:
            self.tracker.report_again(order.client_order_id, f"Not changed: {problem}." if problem else "")
            return
        fitted = await self.fitted(order)
        contract = await self.catalog.contract(order.instrument)
        self._place_change(self._ready_to_send(), known, fitted, contract)

    def _place_change(self, link: Link, known: Known, order: Order, contract: object) -> None:
        parent = self.tracker.orders.get(order.parent_id or "")
        parent_id = parent.order_id if parent is not None and parent.is_open else 0
        known.order = order if known.order is None else known.order
        self._place(link, order, contract, known.order_id, parent_id=parent_id)

    async def free_exits(self) -> None:
        """Let exits stand alone that share an entry which has ended.

        A server may take all that waits for one order for one group, whatever group each names: the first target would
        then end the stops of the others.
        """
        with suppress(BrokerError):
            link = self._ready_to_send()
            for known in self.tracker.bound_exits():
                order = _alone(known.terms) if known.terms else None
                if order is not None:
                    contract = await self.catalog.contract(order.instrument)
                    known.is_set_free = True
                    self._place(link, order, contract, known.order_id, parent_id=0)


class _Gathered:
    """Stands in for the library's connection, and keeps what it is given to send."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def sendMsg(self, message: bytes) -> None:  # noqa: N802 - the library's name
        """Keep *message*."""
        self.messages.append(message)


@contextmanager
def _in_one_write(client: Any) -> Iterator[None]:  # noqa: ANN401 - the client of either library
    """Send everything that *client* is given inside with one write, at the end.

    Messages that leave together cannot be cut apart by the end of this process. Nothing leaves when the block raises.
    """
    connection, gathered = client.conn, _Gathered()
    client.conn = gathered
    try:
        yield
    finally:
        client.conn = connection
    if gathered.messages:
        connection.sendMsg(b"".join(gathered.messages))


def _fills_at_once(order: Order) -> bool:
    row = order.order_type.row
    return row.meets is Meets.AT_ONCE and row.phase is Phase.ANY and not row.wire.algo and order.parent_id is None


def _alone(terms: OpenOrder) -> Order | None:
    """Return the exit that *terms* are, without its entry; None for a trailing stop, whose distance they do not say."""
    kind = terms.order_type
    if kind is None or kind.row.trails:
        return None
    return Order(
        client_order_id=terms.ref,
        bracket_id="",
        role=OrderRole.STOP if kind.is_stop else OrderRole.TARGET,
        instrument=terms.instrument,
        side=terms.side,
        order_type=kind,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        time_in_force=TimeInForce.GTC,
        oca_group=terms.oca_group or None,
    )


def _is_answered(known: Known) -> bool:
    """Return whether the broker has spoken of an order."""
    return known.was_seen or not known.is_open
