"""The ``Broker`` port over Interactive Brokers.

One connection at a time. A task of its own takes in what is heard, settles doubts by asking again, and keeps the
connection alive; after each loss it connects anew, asks for everything, and only then lets orders leave. Reads are
repeated; what sends is never repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.adapters.ib.account_values import AccountValues, account_snapshot
from apex_cli.core.adapters.ib.catalog import Catalog, rounded
from apex_cli.core.adapters.ib.config import IbConfig
from apex_cli.core.adapters.ib.link import Link, lost, open_link, read_only_api
from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.quiet import quiet_now
from apex_cli.core.adapters.ib.survey import Survey, survey
from apex_cli.core.adapters.ib.terms import in_sending_order, order_fields, parent_ids, problem_with
from apex_cli.core.adapters.ib.tracking import Known, Tracker
from apex_cli.core.errors import ApexError, BrokerError, OutcomeUnknownError
from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import Order
from apex_cli.core.ports import BrokerSnapshot, Clock

FIRST_PAUSE_S = 0.5
LOOK_PAUSES_S = (0.0, 0.1, 0.3, 1.0, 3.0)
"""How long to wait before each next look at a doubt that the last one did not settle."""

PREVIEW_ATTEMPTS = 3


class IbBroker:
    """Orders, fills and account of one Interactive Brokers account."""

    def __init__(
        self,
        config: IbConfig,
        clock: Clock,
        *,
        read_only: bool = False,
        is_ours: Callable[[str], bool] | None = None,
    ) -> None:
        """Keep what is needed to connect.

        Args:
            config: where, which account, and how long to wait.
            clock: the time of decisions.
            read_only: nothing can ever be sent.
            is_ours: tells by its client order id whether this apex has asked for an order; by default every name
                that apex gives counts.
        """
        self.config = config
        self.read_only = read_only
        self._clock = clock
        self._link: Link | None = None
        self._catalog: Catalog | None = None
        self._tracker = Tracker(clock.now, is_ours)
        self._connections = 0
        self._keeper: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._failure: ApexError | None = None
        self._is_closed = False

    # connection

    @property
    def connections(self) -> int:
        """Return how often a connection was made."""
        return self._connections

    @property
    def is_connected(self) -> bool:
        """True while a connection is up."""
        return self._link is not None and self._link.is_up

    @property
    def has_given_up(self) -> bool:
        """True when trying to connect again cannot help: what came back is not our account."""
        return self._failure is not None

    @property
    def link(self) -> Link:
        """The connection that is up.

        Raises:
            BrokerError: there is none now.
        """
        if self._failure is not None:
            raise self._failure
        if self._link is None or not self._link.is_up:
            raise lost(self.config)
        return self._link

    @property
    def catalog(self) -> Catalog:
        """What is known of securities over the connection that is up.

        Raises:
            BrokerError: there is none now.
        """
        link = self.link
        if self._catalog is None:
            self._catalog = Catalog(link)
        return self._catalog

    async def connect(self) -> None:
        """Connect, check the account, ask for everything, and keep the connection from now on.

        Raises:
            BrokerError: it cannot be reached, or did not answer everything: an unknown state is no state to trade on.
            ConfigError: the library is missing, or it is another account.
            RefusedError: a live account without the word for it.
        """
        await self._make_link()
        self._keeper = asyncio.create_task(self._keep())

    async def _make_link(self) -> None:
        link = await open_link(self.config, read_only=self.read_only)
        try:
            self._tracker.client_id, self._tracker.account = link.client_id, link.account
            self._link, self._catalog = link, None
            if self._connections:
                self._tracker.doubt_all_open()
            found = await self._survey()
            if not self.read_only:
                found.require_complete(self.config)
        except BaseException:
            self._link = None
            link.close()
            raise
        self._connections += 1

    async def close(self) -> None:
        """End the task and the connection; safe to call twice."""
        self._is_closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            self._take_in(link)
            link.close()

    async def _keep(self) -> None:
        """Take in, settle doubts, notice a dead connection, and make a new one."""
        while not self._is_closed:
            link = self._link
            if link is None or not link.is_up or link.must_renew:
                await self._reconnect()
                continue
            try:
                await asyncio.wait_for(link.tap.news.wait(), self.config.heartbeat_s)
                link.tap.news.clear()
                self._take_in(link)
                await self._settle_doubts()
            except TimeoutError:
                await self._beat(link)
            except BrokerError:
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _beat(self, link: Link) -> None:
        """Ask for the time; who does not answer is not there."""
        try:
            await link.ask("the time", link.ib.reqCurrentTimeAsync)
        except BrokerError:
            link.close()

    async def _reconnect(self) -> None:
        """Connect again, with growing pauses; give up only where trying cannot help."""
        if self._link is not None:
            self._take_in(self._link)
            self._link.close()
            self._link = None
        pause = FIRST_PAUSE_S
        while not self._is_closed:
            try:
                await self._make_link()
            except BrokerError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.config.reconnect_max_s)
            except ApexError as error:
                self._failure = error
                self._is_closed = True
            else:
                return

    # what is heard

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what happened since the last call, without waiting."""
        if self._link is not None:
            self._take_in(self._link)
        return self._tracker.drain()

    @property
    def is_in_doubt(self) -> bool:
        """True while the fate of an order is being asked for."""
        return bool(self._tracker.doubts) or (self._link is not None and bool(self._link.tap.heard))

    def _take_in(self, link: Link) -> None:
        heard = link.tap.heard
        while heard:
            self._tracker.hear(heard.popleft())

    async def _settle_doubts(self) -> None:
        """Look until no doubt is left, or looking does not help for now."""
        for pause in LOOK_PAUSES_S:
            if not self._tracker.doubts:
                return
            await asyncio.sleep(pause)
            await self._survey(light=True)
        if self._tracker.doubts and self._link is not None:
            self._link.tap.news.set()

    async def _survey(self, *, light: bool = False) -> Survey:
        """Ask the broker for everything, take it in, and settle doubts by it.

        A *light* one asks for open orders, and for the rest only when that leaves something to ask.
        """
        async with self._looking:
            link = self._link
            if link is None or not link.is_up:
                raise lost(self.config)
            self._take_in(link)
            found = await survey(link, self._tracker, light=light)
            self._take_in(link)
            if found.orders_told and not link.has_lost_broker:
                self._tracker.confirm(found.live)
            for known in self._tracker.revenants(found.live):
                self._send_cancel(link, known)
            return found

    # sending

    async def submit(self, orders: Sequence[Order]) -> None:
        """Send *orders* as one transmission, and wait until the broker has each of them.

        The protective stop goes last and releases the rest. Orders the broker knows already are not sent again:
        their state is told again.

        Raises:
            BrokerError: surely nothing was sent.
            OutcomeUnknownError: at least one leg was not acknowledged in time.
        """
        link = self._ready_to_send()
        again = [order.client_order_id for order in orders if order.client_order_id in self._tracker.orders]
        if again:
            for ref in again:
                self._tracker.tell_again(ref)
            return
        problem = next((problem for order in orders if (problem := problem_with(order))), "")
        if problem:
            self._tracker.refuse(orders, f"Not sent: {problem}.")
            return
        legs = [await self._fitted(order) for order in in_sending_order(orders)]
        contracts = [await self.catalog.contract(order.instrument) for order in legs]
        self._ready_to_send()
        sent = self._transmit(link, legs, contracts)
        await self._await_answers(link, sent)

    def _ready_to_send(self) -> Link:
        """Return the link if orders may leave now.

        Raises:
            BrokerError: there is no connection, it is read-only, or it is an hour in which orders vanish.
        """
        if self.read_only:
            raise BrokerError("ib_looks_only", "This connection only looks; nothing was sent.")
        link = self.link
        if link.is_read_only_api:
            raise read_only_api(self.config)
        if link.has_lost_broker or link.must_renew:
            raise BrokerError(
                "ib_broker_lost",
                "TWS has lost its line to Interactive Brokers; nothing was sent.",
                hint="It comes back by itself; stops that rest at the exchange stay there.",
            )
        window = quiet_now(self.config.quiet_hours, self._clock.now())
        if window is not None:
            raise BrokerError(
                "ib_quiet_hours",
                f"From {window} the gateway or the broker restarts, and orders vanish unanswered; nothing was sent.",
                hint="Try again after it. The window is broker.ib.quiet_hours.",
            )
        return link

    async def _fitted(self, order: Order) -> Order:
        """Return *order* with its prices on the broker's own steps."""
        if order.limit_price is None and order.stop_price is None and order.trail_amount is None:
            return order
        return rounded(order, await self.catalog.listing(order.instrument))

    def _transmit(self, link: Link, legs: Sequence[Order], contracts: Sequence[object]) -> list[Known]:
        """Write all legs to the socket in one go: ids first, and only the last one lets them loose."""
        ids = {order.client_order_id: link.ib.client.getReqId() for order in legs}
        parents = parent_ids(legs, ids)
        sent = []
        for order, contract in zip(legs, contracts, strict=True):
            ref = order.client_order_id
            is_last = order is legs[-1]
            sent.append(self._tracker.sent(order, client_id=link.client_id, order_id=ids[ref]))
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
        )
        link.ib.client.placeOrder(order_id, contract, link.library.Order(**fields))

    async def _await_answers(self, link: Link, sent: Sequence[Known]) -> None:
        """Wait until each leg was seen or has ended; where the last one was refused, take the others back."""
        if await self._until(link, lambda: all(_is_answered(known) for known in sent) or self._is_stuck(sent)):
            if not self._is_stuck(sent):
                return
            for known in sent[:-1]:
                known.reason = f"Not released, as its stop was refused: {sent[-1].reason}"
                known.was_never_released = True
                self._send_cancel(link, known)
            if await self._until(link, lambda: all(not known.is_open for known in sent)):
                return
        missing = ", ".join(known.ref for known in sent if not _is_answered(known))
        raise OutcomeUnknownError(
            "ib_no_acknowledgement",
            f"The broker did not acknowledge {missing} within {self.config.ack_timeout_s:g} s.",
            hint="Nothing is sent again before the broker itself has told what became of it.",
        )

    @staticmethod
    def _is_stuck(sent: Sequence[Known]) -> bool:
        """Tell whether the last leg was refused, so that those before it were never released."""
        last = sent[-1]
        return len(sent) > 1 and not last.is_open and not last.was_seen and any(known.is_open for known in sent)

    async def _until(self, link: Link, is_done: Callable[[], bool]) -> bool:
        """Take in what is heard until *is_done*; False when that took too long or the connection went."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.ack_timeout_s):
                while True:
                    self._take_in(link)
                    if is_done():
                        return True
                    if not link.is_up:
                        return False
                    await asyncio.sleep(0.005)
        return False

    async def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel; what has ended already is told again.

        Raises:
            BrokerError: it is not known to the broker, or another client placed it.
        """
        link = self._link_to_change(client_order_id)
        known = self._tracker.orders[client_order_id]
        if not known.is_open:
            self._tracker.tell_again(client_order_id)
            return
        known.was_asked_to_cancel = True
        self._send_cancel(link, known)

    def _link_to_change(self, client_order_id: str) -> Link:
        if self.read_only:
            raise BrokerError("ib_looks_only", "This connection only looks; nothing was sent.")
        link = self.link
        self._take_in(link)
        known = self._tracker.orders.get(client_order_id)
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
        known = self._tracker.orders[order.client_order_id]
        problem = problem_with(order)
        if problem or not known.is_open:
            self._tracker.tell_again(order.client_order_id, f"Not changed: {problem}." if problem else "")
            return
        link = self._ready_to_send()
        fitted = await self._fitted(order)
        contract = await self.catalog.contract(order.instrument)
        parent = self._tracker.orders.get(order.parent_id or "")
        parent_id = parent.order_id if parent is not None and parent.is_open else 0
        known.order = fitted if known.order is None else known.order
        self._place(link, fitted, contract, known.order_id, parent_id=parent_id)

    # asking

    async def account(self) -> AccountSnapshot:
        """Return what the account is worth, as the broker keeps telling.

        Raises:
            BrokerError: no connection, or not every value was told.
        """
        link = self.link
        values = AccountValues(link.ib.accountValues(link.account), link.account)
        return account_snapshot(
            values,
            self._clock.now(),
            account_type=self.config.account_type,
            pdt_rejected=self._tracker.pdt_rejected,
        )

    async def snapshot(self) -> BrokerSnapshot:
        """Return orders, fills and positions as the broker tells them now.

        Raises:
            BrokerError: there is no connection.
        """
        link = self.link
        found = await self._survey()
        tracker = self._tracker
        is_sure = not tracker.doubts and not link.has_lost_broker and not link.must_renew
        return BrokerSnapshot(
            is_complete=found.is_complete and is_sure,
            orders=tracker.updates(),
            fills=tuple(tracker.fills.values()),
            positions={holding.instrument.key: holding.quantity for holding in found.holdings},
            holdings=found.holdings,
            working=found.working(None if self.read_only else link.client_id, tracker),
            foreign_fills=tuple(tracker.foreign_fills.values()),
        )

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return the margin after *order*; None when the broker gives no number.

        A question, not an order: it is asked on read-only connections, too. The first answer may be empty: then it is
        asked again. Links between orders play no part in it.

        Raises:
            BrokerError: there is no connection, or the security is unknown.
        """
        if problem_with(order):
            return None
        link = self.link
        fitted = await self._fitted(order)
        contract = await self.catalog.contract(order.instrument)
        fields = order_fields(replace(fitted, oca_group=None), order_id=0, account=link.account)
        for _ in range(PREVIEW_ATTEMPTS):
            what_if = link.library.Order(**fields)
            with suppress(BrokerError):
                state = await link.ask(
                    "a margin preview",
                    lambda what_if=what_if: link.ib.whatIfOrderAsync(contract, what_if),  # type: ignore[misc]
                    timeout_s=self.config.quote_timeout_s,
                )
                preview = _preview_of(state)
                if preview is not None:
                    return preview
        return None

    async def server_time(self) -> datetime:
        """Return the time by the broker's clock.

        Raises:
            BrokerError: it does not answer.
        """
        link = self.link
        return await link.ask("the time", link.ib.reqCurrentTimeAsync)


def _is_answered(known: Known) -> bool:
    """Tell whether the broker has spoken of an order."""
    return known.was_seen or not known.is_open


def _preview_of(state: object) -> MarginPreview | None:
    """Return the numbers of an answer to what-if; None when all of them are unset."""

    def usd(name: str) -> Usd | None:
        amount = to_decimal(getattr(state, name, None))
        return None if amount is None else Usd(Decimal(amount))

    preview = MarginPreview(
        equity_with_loan_after=usd("equityWithLoanAfter"),
        maint_margin_after=usd("maintMarginAfter"),
        init_margin_after=usd("initMarginAfter"),
    )
    return None if preview == MarginPreview() else preview
