"""Parts that misbehave on purpose: a broker that loses, repeats and refuses, a store whose commits fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from random import Random

from msgspec.structs import replace

from apex_cli.core.errors import BrokerError, OutcomeUnknownError, StateError
from apex_cli.core.model.account import AccountFacts, AccountSnapshot, MarginPreview
from apex_cli.core.model.broker_events import BrokerEvent, BrokerSnapshot, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import MEANWHILE, Exchange, Order, OrderStatus
from apex_cli.core.ports import Broker, Clock, StateStore
from apex_cli.core.state.tables import State


class Fate(StrEnum):
    """What becomes of one transmission."""

    TAKEN = "taken"
    LOST_BEFORE = "lost before"
    """It never reached the venue, and the sender cannot know."""

    LOST_AFTER = "lost after"
    """The venue has it; its answer was lost."""

    REFUSED = "refused"
    """The connection is down: surely nothing was sent."""


class UnreliableBroker:
    """A ``Broker`` around another one that misbehaves as reported, and keeps what was asked of it."""

    def __init__(self, inner: Broker, clock: Clock) -> None:
        """Behave, for now."""
        self.inner = inner
        self._clock = clock
        self.fates: deque[Fate] = deque()
        """Of the next transmissions; those after them are taken."""

        self.rejects: Callable[[Order], bool] = lambda _: False
        """Orders that the venue rejects one by one, out of a transmission whose others it takes."""

        self.why = "rejected by the exchange"
        """What is said of them."""

        self.is_silent = False
        """True: events wait at the venue until it is False again."""

        self.repeats = 1
        """How often each batch of events is reported."""

        self.shuffle: Random | None = None
        """Brings each batch of events into another order."""

        self.has_snapshot = True
        """False: a snapshot is empty and says that it is incomplete."""

        self.has_account = True
        self.refuses_cancels = False
        """True: the order works on, and the venue says so."""

        self.loses_cancels = False
        """True: the order works on, and nobody says anything."""

        self.before_cancel: Callable[[str], None] = lambda _: None
        """What happens at the venue just before a cancel arrives there."""

        self.before_exchange: Callable[[str], None] = lambda _: None
        """What happens at the venue just before an exchange that touches an exit, or rests beside it, arrives there."""

        self.before_submit: Callable[[str], None] = lambda _: None
        """What happens at the venue just before one order of a transmission arrives there."""

        self.refusal = ""
        """Why the venue would refuse every order, as it says when it is asked before."""

        self.submitted: list[tuple[Order, ...]] = []
        """What reached the venue, a transmission each."""

        self.asked_cancels: list[str] = []
        self._own: list[BrokerEvent] = []

    @property
    def connections(self) -> int:
        """Return how often the venue was connected."""
        return self.inner.connections

    async def connect(self) -> None:
        """Connect."""
        await self.inner.connect()

    async def close(self) -> None:
        """Let go."""
        await self.inner.close()

    async def submit(self, orders: Sequence[Order]) -> None:
        """Send *orders*, or lose them, as ``fates`` says.

        Raises:
            BrokerError: surely nothing was sent.
            OutcomeUnknownError: perhaps something was.
        """
        fate = self.fates.popleft() if self.fates else Fate.TAKEN
        if fate is Fate.REFUSED:
            raise BrokerError("not_connected", "The broker is not connected.")
        for order in orders:
            self.before_submit(order.client_order_id)
        if fate is not Fate.LOST_BEFORE:
            await self._deliver(orders)
        if fate is not Fate.TAKEN:
            raise OutcomeUnknownError("no_answer", "The broker did not answer in time.")

    async def exchange(self, exchange: Exchange) -> None:
        """Cancel, change and send as each of them goes here, unless a fill of one of the exits comes before.

        Raises:
            BrokerError: surely nothing was sent.
            OutcomeUnknownError: perhaps something was.
        """
        fate = self.fates.popleft() if self.fates else Fate.TAKEN
        if fate is Fate.REFUSED:
            raise BrokerError("not_connected", "The broker is not connected.")
        touched = (*exchange.cancel, *(order.client_order_id for order in exchange.change))
        for name in (*touched, *exchange.beside):
            self.before_exchange(name)
        self._own.extend(self.inner.drain())
        news = [*self._own, *getattr(self.inner, "_unsaved", ())]
        if any(isinstance(e, Fill) and e.client_order_id in {*touched, *exchange.beside} for e in news):
            self._reject(exchange.orders, f"Not sent: {MEANWHILE}.")
            return
        if fate is not Fate.LOST_BEFORE:
            for name in exchange.cancel:
                await self.cancel(name)
            for order in exchange.change:
                await self.modify(order)
            await self._deliver(exchange.orders)
        if fate is not Fate.TAKEN:
            raise OutcomeUnknownError("no_answer", "The broker did not answer in time.")

    def _reject(self, orders: Iterable[Order], reason: str) -> None:
        self._own.extend(
            OrderUpdate(
                client_order_id=order.client_order_id, status=OrderStatus.REJECTED, at=self._clock.now(), reason=reason
            )
            for order in orders
        )

    async def _deliver(self, orders: Sequence[Order]) -> None:
        bad = [order for order in orders if self.rejects(order)]
        good = tuple(order for order in orders if not self.rejects(order))
        if good:
            self.submitted.append(good)
            await self.inner.submit(good)
        self._reject(bad, self.why)

    async def cancel(self, client_order_id: str) -> None:
        """Cancel, or not."""
        self.asked_cancels.append(client_order_id)
        self.before_cancel(client_order_id)
        if self.refuses_cancels:
            found = {update.client_order_id: update for update in (await self.inner.snapshot()).orders}
            if client_order_id in found:
                self._own.append(found[client_order_id])
        elif not self.loses_cancels:
            await self.inner.cancel(client_order_id)

    @property
    def most_together(self) -> int:
        """What the broker inside says."""
        return self.inner.most_together

    def grouped(self) -> AbstractContextManager[None]:
        """Pass it on."""
        return self.inner.grouped()

    async def require_ready(self, client_order_ids: Iterable[str] = ()) -> None:
        """Pass the question on."""
        await self.inner.require_ready(client_order_ids)

    async def modify(self, order: Order) -> None:
        """Pass the change on."""
        self.before_cancel(order.client_order_id)
        await self.inner.modify(order)

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what happened: late, again, in another order."""
        if self.is_silent:
            return ()
        events = [*self.inner.drain(), *self._own] * self.repeats
        self._own.clear()
        if self.shuffle is not None:
            self.shuffle.shuffle(events)
        return events

    async def account(self) -> AccountSnapshot:
        """Return the account.

        Raises:
            BrokerError: it cannot be read.
        """
        if not self.has_account:
            raise BrokerError("account_unreadable", "The account could not be read.")
        return await self.inner.account()

    async def snapshot(self) -> BrokerSnapshot:
        """Return what the venue knows, or an incomplete answer."""
        return await self.inner.snapshot() if self.has_snapshot else BrokerSnapshot(is_complete=False)

    async def identify(self, instrument: Instrument) -> Instrument:
        """Return what the venue lists."""
        return await self.inner.identify(instrument)

    async def chain(self, underlying: Instrument, price: Price) -> OptionChain:
        """Return what the venue lists."""
        return await self.inner.chain(underlying, price)

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return what the venue says."""
        return await self.inner.preview(order)

    async def refusal_of(self, order: Order) -> str:
        """Return what was set."""
        del order
        return self.refusal


class MarginBroker(UnreliableBroker):
    """A broker that says what a margin account reports live, as set; its orders fill at the venue inside."""

    def __init__(self, inner: Broker, clock: Clock, facts: AccountFacts) -> None:
        """Report *facts*."""
        super().__init__(inner, clock)
        self.facts = facts
        self.what_if: MarginPreview | None = None
        self.previewed: list[Order] = []

    async def account(self) -> AccountSnapshot:
        """Return the venue's account as one that is no simulation."""
        return replace(await super().account(), is_simulated=False, facts=self.facts)

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return what was set."""
        self.previewed.append(order)
        return self.what_if


class FailingStore:
    """A ``StateStore`` around another one whose commit fails once, or from then on."""

    def __init__(self, inner: StateStore, *, fail_at: int | None = None, for_ever: bool = False) -> None:
        """Fail in transaction *fail_at*, counted from 1, and with *for_ever* in every later one."""
        self.inner = inner
        self.fail_at = fail_at
        self.for_ever = for_ever
        self.transactions = 0

    def view(self) -> State:
        """Return the latest committed state."""
        return self.inner.view()

    def grouped(self) -> AbstractContextManager[None]:
        """Pass it on."""
        return self.inner.grouped()

    @contextmanager
    def transaction(self) -> Iterator[State]:
        """Lend the state; commit it, unless it is the transaction that fails.

        Raises:
            StateError: nothing was kept.
        """
        self.transactions += 1
        fails = self.transactions == self.fail_at or (
            self.for_ever and self.fail_at is not None and self.transactions > self.fail_at
        )
        with self.inner.transaction() as tx:
            yield tx
            if fails:
                raise StateError("state_unwritable", "The state could not be written: no space left.")
