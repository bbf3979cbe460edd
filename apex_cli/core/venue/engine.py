"""The matching engine: orders against prices, without I/O and without a clock.

One engine serves the simulated broker, replay and the gateway. Time comes with each call and never runs back.

Prices
    - A market order fills at once at the last known price, else at the next price or bar open. Limits and stops
      that the last known price already reaches fill at once too.
    - MARKET and STOP fills slip against us; a limit never fills beyond its limit.
    - In ``on_price`` everything the price reaches fills at that price (a limit: at that price or better).

One bar
    - First the open, as one price: stops beyond which the bar opens fill at the open, limits that are better off
      fill at the open.
    - Then the path, whose order nobody knows, so the worst is assumed: every stop the range reaches comes before
      any limit. A limit that is touched counts as filled. No fill lies outside low..high but for slippage.
    - A trailing stop is checked with its old trigger first. Then the bar's favourable extreme moves it; when the
      close lies beyond the new trigger, the price must have passed it on the way, and it fills there.
    - An entry that fills at the open has its exits for the whole bar. One that fills inside the bar has its stops
      for the whole range at once (the low may have come later), its targets from the next bar on, and its
      trailing stop moves by the close only.
    - A STOP_LIMIT that triggers inside a bar fills there when the trigger respects its limit; else it rests as a
      limit order from the next bar on.

Parents and groups
    - Children are held until their parent fills, and work for the filled quantity, first tranche first. A parent
      cancelled unfilled takes its children with it; cancelled partly filled it leaves them, cut to what it filled.
    - OCA "reduce with block": a leg's full fill cancels the others, a partial fill reduces them and blocks them
      until the next price or bar. All legs of a group together never fill more than their parent did.

Auctions
    - An order of the opening or the closing waits until then and meets that price alone: the open or the close of
      the bar that the session opens or closes with. What is not filled there expires.

Volume
    - With *max_participation* an order fills at most that part of a bar's volume, in whole steps: nothing in a
      bar without volume. A triggered stop that fills partly continues as a market order.
    - An order that meets the close of the last bar at once is bound by that bar's volume, unless it closes a position:
      what it left would be held without the stop that was cancelled for it.
    - *size* of ``on_price`` is shared by all orders, in order of arrival.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.market.expiry import settlement_of
from apex_cli.core.model.broker_events import BrokerEvent, BrokerOrder, OrderUpdate
from apex_cli.core.model.fill import Settlement
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, Phase, TimeInForce
from apex_cli.core.venue import snapshot as keeping
from apex_cli.core.venue.book import VenueBook, VenueOrder, WorkingOrder
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.intake import change_fault, transmission_fault
from apex_cli.core.venue.lifecycle import CANCELLED, FILLED, WORKING, Desk
from apex_cli.core.venue.matching import Matcher, interest
from apex_cli.core.venue.settlement import Ledger

NO_CASH = Usd(ZERO)
NOTHING: tuple[BrokerEvent, ...] = ()


class WaitingOrder(NamedTuple):
    """An order that waits for an auction."""

    instrument: Instrument
    order_type: OrderType
    updated_at: datetime
    """Since when its terms stand; auctions before that are not its own."""


class BarStep(NamedTuple):
    """One bar for one instrument key, and the auctions that it holds."""

    key: str
    bar: Bar
    auctions: Collection[Phase] = ()


class MatchingEngine:
    """A venue for one account. Every method returns what happened, in order."""

    __slots__ = ("_desk", "_matcher", "_max_participation", "ledger")

    def __init__(
        self,
        *,
        cash: Usd = NO_CASH,
        costs: CostModel | None = None,
        max_participation: Decimal | None = None,
        base: str = HOME_CURRENCY,
    ) -> None:
        """Open the venue.

        Args:
            cash: Account currency at the start.
            costs: Commissions and slippage; none by default.
            max_participation: Part of a bar's volume that one order may fill, in (0, 1]; None for all of it.
            base: The account's currency.
        """
        costs = costs or CostModel()
        self._max_participation = max_participation
        self.ledger = Ledger(cash, costs, base)
        """What the account holds, and what it is worth."""

        self._desk = Desk(self.ledger)
        self._matcher = Matcher(self._desk, costs)

    # ----------------------------------------------------------------- orders

    def submit(self, orders: Sequence[Order], at: datetime, *, meets_last: bool = True) -> Sequence[BrokerEvent]:
        """Take one transmission: all of it, or none when any order in it is at fault.

        A client order id that the venue knows is never executed twice: the answer repeats the fate of the
        first, and the other orders of the transmission are rejected.

        Args:
            orders: what is sent together.
            at: the time.
            meets_last: False: the last known price is history; the orders wait for the next price or bar.
        """
        self._begin(at)
        fault = transmission_fault(self._desk, orders)
        if fault:
            self._refuse(orders, fault)
            return self._end()
        desk = self._desk
        now = desk.at
        accepted = [desk.accept(order, now) for order in orders]
        if meets_last:
            self._meet_last(accepted)
        return self._end()

    def _refuse(self, orders: Sequence[Order], fault: str) -> None:
        """Reject every new order of a transmission; repeat the state of a known one."""
        desk = self._desk
        known = frozenset(desk.orders)
        for order in orders:
            name = order.client_order_id
            if name in known:
                self._repeat(desk.orders[name], f"duplicate client order id refused: {name}")
            elif name not in desk.orders:
                desk.reject(order, desk.at, fault)

    def _repeat(self, order: WorkingOrder, reason: str, *, is_change_refused: bool = False) -> None:
        """Report the state of *order* again, with why nothing changed."""
        update = msgspec.structs.replace(
            order.update(), at=self._desk.at, reason=reason, is_change_refused=is_change_refused
        )
        self._desk.events.append(update)

    def cancel(self, client_order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Cancel what is left of an order; a final one only has its state repeated.

        An id the venue never saw is answered with NEVER_SENT.
        """
        self._begin(at)
        order = self._desk.orders.get(client_order_id)
        if order is None:
            self._unknown(client_order_id)
        elif order.status is not WORKING:
            self._repeat(order, order.reason or f"already {order.status}")
        else:
            self._desk.finish(order, CANCELLED, "cancelled on request")
        return self._end()

    def _unknown(self, client_order_id: str) -> None:
        self._desk.events.append(
            OrderUpdate(
                client_order_id=client_order_id,
                status=OrderStatus.NEVER_SENT,
                at=self._desk.at,
                reason="the venue does not know this order",
            )
        )

    def modify(self, order: Order, at: datetime, *, meets_last: bool = True) -> Sequence[BrokerEvent]:
        """Give a working order the quantity, prices and time in force of *order*.

        A refused change leaves the order as it was and repeats its state with the reason. A quantity equal to
        what has filled completes the order. With *meets_last* False the order waits for the next price or bar.
        """
        self._begin(at)
        desk = self._desk
        working = desk.orders.get(order.client_order_id)
        if working is None:
            self._unknown(order.client_order_id)
            return self._end()
        fault = change_fault(desk, working, order)
        if fault:
            self._repeat(working, f"change refused: {fault}", is_change_refused=working.status is WORKING)
            return self._end()
        self._change(working, order)
        if working.quantity == working.filled:
            desk.finish(working, FILLED)
        else:
            desk.events.append(working.update())
            if meets_last:
                self._meet_last([working])
        return self._end()

    def _change(self, working: WorkingOrder, order: Order) -> None:
        """Take over the new terms; a triggered stop works on as it does, a trail keeps an unchanged trigger."""
        desk = self._desk
        old = working.order
        terms = msgspec.structs.replace(
            old,
            quantity=order.quantity,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            trail_amount=order.trail_amount,
            trail_fraction=order.trail_fraction,
            time_in_force=order.time_in_force,
        )
        working.order = terms
        working.quantity = order.quantity
        working.updated_at = desk.at
        if order.stop_price is not None and order.stop_price != old.stop_price:
            working.trigger = order.stop_price
        working.become(working.kind)
        group = working.group
        if group is not None and terms.parent_id is not None:
            group.size = max(group.size, working.quantity - working.filled + group.filled)
            parent = desk.orders.get(terms.parent_id)
            if parent is not None and parent.status is WORKING:
                desk.allocate(parent)

    def _meet_last(self, orders: Sequence[WorkingOrder]) -> None:
        """Match orders that are on the market against the last known price."""
        by_key: dict[str, list[WorkingOrder]] = {}
        for order in orders:
            if order.rank and order.key in self.ledger.prices:
                by_key.setdefault(order.key, []).append(order)
        for key, batch in by_key.items():
            volume = self.ledger.volumes.get(key)
            is_close = any(order.order.role is OrderRole.CLOSE for order in batch)
            if self._max_participation is not None and volume is not None and not is_close:
                self._desk.cap, self._desk.cap_is_shared = volume * self._max_participation, False
            self._matcher.meet_price(batch, self.ledger.prices[key])
            self._desk.cap = None

    # --------------------------------------------------------------- auctions

    @property
    def changes(self) -> int:
        """How often orders or holdings may have changed: as long as this stays, they are the same."""
        return self._desk.seq

    @property
    def has_deadlines(self) -> bool:
        """True where time alone may end something: an order, the wait for an auction, a contract."""
        desk = self._desk
        return bool(desk.timed or desk.waiting or desk.has_expiries or self.ledger.has_expiries)

    @property
    def has_waiting(self) -> bool:
        """True while any order waits for an auction."""
        return bool(self._desk.waiting)

    def waiting(self) -> list[WaitingOrder]:
        """Return the orders that wait for an auction."""
        return [
            WaitingOrder(order.order.instrument, order.order.order_type, order.updated_at)
            for order in self._desk.waiting.values()
        ]

    def auction(self, phase: Phase, at: datetime, prices: Mapping[str, Price] | None = None) -> Sequence[BrokerEvent]:
        """Let the orders that wait for an opening or a closing meet its price; what it does not fill expires.

        Args:
            phase: which one.
            at: when it was; orders of later than that wait for the next one.
            prices: by instrument key; the last known price where there is none.
        """
        if not self._desk.waiting:
            return NOTHING
        self._begin(at)
        for key in {order.key for order in self._desk.waiting.values()}:
            self._meet_auction(phase, key, (prices or {}).get(key) or self.ledger.prices.get(key), at)
        return self._end()

    def _meet_auction(self, phase: Phase, key: str, price: Price | None, at: datetime) -> None:
        desk = self._desk
        for order in list(desk.waiting.values()):
            if order.phase is not phase or order.key != key or order.updated_at > at:
                continue
            del desk.waiting[order.id]
            order.phase = Phase.ANY
            desk.activate(order)
            if price is not None:
                self._matcher.meet_price([order], price)
            if order.status is WORKING:
                desk.finish(order, OrderStatus.EXPIRED, f"not filled in the {phase}")

    def expire(self, at: datetime) -> Sequence[BrokerEvent]:
        """End every order whose own time is over."""
        if not self._desk.timed:
            return NOTHING
        self._begin(at)
        return self._end()

    def _expire_timed(self) -> None:
        desk = self._desk
        for order in list(desk.timed.values()):
            until = order.order.good_till
            if until is not None and until <= desk.at:
                desk.finish(order, OrderStatus.EXPIRED, f"good till {until:%Y-%m-%d %H:%M} UTC")

    # ----------------------------------------------------------------- prices

    def on_price(
        self, instrument_key: str, price: Price, at: datetime, *, size: Decimal | None = None
    ) -> Sequence[BrokerEvent]:
        """Meet one price; at most *size* units fill, all orders together."""
        desk = self._desk
        self.ledger.see(instrument_key, price, at)
        resting = desk.working.get(instrument_key)
        if resting is None:
            return NOTHING
        self._begin(at)
        desk.cap, desk.cap_is_shared = size, True
        if interest(resting, price, price)[0]:
            self._matcher.meet_price(resting, price)
        self._matcher.trail(resting, price, price, price)
        return self._end()

    def on_bar(
        self, instrument_key: str, bar: Bar, at: datetime | None = None, *, auctions: Collection[Phase] = ()
    ) -> Sequence[BrokerEvent]:
        """Meet one bar; with *at* everything happens then."""
        return self.on_bars((BarStep(instrument_key, bar, auctions),), at)

    def on_bars(self, steps: Iterable[BarStep], at: datetime | None = None) -> Sequence[BrokerEvent]:
        """Meet bars that end together, one for each instrument key: first every open, then every path.

        Fills at an open happen at its ``bar.start``, the others one second before ``bar.end``, while its session
        still runs; with *at* everything happens then.
        """
        met = [step for step in steps if self._concerns(step, at)]
        if not met:
            return NOTHING
        if len(met) > 1:
            met.sort(key=lambda step: step.bar.start)
        self._begin(at or met[0].bar.start)
        reached = [self._meet_open(step, at or step.bar.start) for step in met]
        for step, is_reached in zip(met, reached, strict=True):
            self._meet_rest(step, at or step.bar.end - LAST_SECOND, is_reached=is_reached)
        return self._end()

    def _concerns(self, step: BarStep, at: datetime | None) -> bool:
        """Take over the last price; return whether the bar reaches an order, moves a trail or holds an auction."""
        bar = step.bar
        self.ledger.see(step.key, bar.close, at or bar.end, bar.volume)
        if self._desk.waiting and step.auctions:
            return True
        resting = self._desk.working.get(step.key)
        return resting is not None and any(interest(resting, bar.low, bar.high))

    def _meet_open(self, step: BarStep, at: datetime) -> bool:
        """Meet the open; return whether the bar reaches any order."""
        key, bar = step.key, step.bar
        self._advance(at)
        if self._max_participation is not None:
            self._limit_volume(bar, self._max_participation)
        if Phase.OPENING in step.auctions:
            self._meet_auction(Phase.OPENING, key, bar.open, at)
        resting = self._desk.working.get(key, [])
        is_reached = interest(resting, bar.low, bar.high)[0]
        if is_reached:
            self._matcher.meet_price(resting, bar.open)
        return is_reached

    def _meet_rest(self, step: BarStep, at: datetime, *, is_reached: bool) -> None:
        """Meet what comes after the open."""
        key, bar = step.key, step.bar
        self._advance(at)
        if self._max_participation is not None:
            self._limit_volume(bar, self._max_participation)
        resting = self._desk.working.get(key, [])
        if is_reached:
            self._matcher.meet_path(resting, bar)
        self._matcher.trail(resting, bar.high, bar.low, bar.close)
        if Phase.CLOSING in step.auctions:
            self._meet_auction(Phase.CLOSING, key, bar.close, at)

    def _limit_volume(self, bar: Bar, part: Decimal) -> None:
        """Let *part* of the volume of *bar* bound what each order may fill in it."""
        self._desk.cap, self._desk.cap_is_shared = bar.volume * part, False

    def execute(self, client_order_id: str, price: Price, quantity: Quantity, at: datetime) -> Sequence[BrokerEvent]:
        """Fill at most *quantity* of a working order at *price*, wherever the market is: for a venue driven by hand."""
        self._begin(at)
        order = self._desk.orders.get(client_order_id)
        if order is not None and order.status is WORKING and order.rank:
            self._desk.cap, self._desk.cap_is_shared = quantity, True
            self._desk.fill(order, price)
        return self._end()

    def split(self, instrument_key: str, ratio: Decimal, at: datetime) -> Sequence[BrokerEvent]:
        """Turn each unit held into *ratio* units at 1/ratio of the price; every order of the instrument ends.

        A fraction of a unit is lost here; a broker pays it in cash.
        """
        self._begin(at)
        desk = self._desk
        for order in [order for order in desk.open.values() if order.key == instrument_key]:
            if order.status is WORKING:
                desk.finish(order, CANCELLED, "corporate action")
        self.ledger.split(instrument_key, ratio)
        return self._end()

    def settle(self, instrument_key: str, value: Price, at: datetime, *, pays: bool = True) -> Sequence[BrokerEvent]:
        """End an option contract that is worth *value* at its expiry: its orders expire, its holding becomes cash.

        With *pays* False it pays nothing: what it is worth is delivered.
        """
        self._begin(at)
        desk, ledger = self._desk, self.ledger
        for order in [order for order in desk.open.values() if order.key == instrument_key]:
            if order.status is WORKING:
                desk.finish(order, OrderStatus.EXPIRED, "the contract has expired")
        held = ledger.positions.get(instrument_key)
        if held is not None:
            how = settlement_of(value, is_long=held > ZERO)
            desk.events.append(ledger.settle(instrument_key, value if pays else Price(ZERO), how, at))
        ledger.forget_price(instrument_key)
        return self._end()

    def deliver(
        self, instrument: Instrument, quantity: Decimal, price: Price, how: Settlement, at: datetime
    ) -> Sequence[BrokerEvent]:
        """Let *quantity* units, signed, change hands at *price* without an order: what an option delivers."""
        self._begin(at)
        self._desk.events.append(self.ledger.deliver(instrument, quantity, price, how, at))
        return self._end()

    def expiring(self) -> list[Instrument]:
        """Return the contracts with an expiry that are held, or that an open order names."""
        ledger, desk = self.ledger, self._desk
        if not (desk.has_expiries or ledger.has_expiries):
            return []
        held = [ledger.instruments[key] for key in ledger.positions]
        named = [*held, *(order.order.instrument for order in desk.open.values())]
        return list({each.key: each for each in named if each.expiry is not None}.values())

    def end_session(self, at: datetime, *, sent_before: datetime | None = None) -> Sequence[BrokerEvent]:
        """Expire every DAY order, held ones included; those that wait for an auction end with it.

        An order not sent before *sent_before* belongs to the next session.
        """
        self._begin(at)
        desk = self._desk
        for order in list(desk.open.values()):
            is_day = order.order.time_in_force is TimeInForce.DAY and order.id not in desk.waiting
            is_next = sent_before is not None and order.accepted_at >= sent_before
            if is_day and not is_next and order.status is WORKING:
                desk.finish(order, OrderStatus.EXPIRED, "session ended")
        return self._end()

    def _begin(self, at: datetime) -> None:
        self._advance(at)
        desk = self._desk
        desk.seq += 1
        desk.cap = None
        if desk.timed:
            self._expire_timed()

    def _advance(self, at: datetime) -> None:
        self._desk.at = max(self._desk.at, at)

    def _end(self) -> Sequence[BrokerEvent]:
        desk = self._desk
        if desk.dirty:
            desk.sweep()
        if desk.released:
            desk.released = []
        events = desk.events
        if not events:
            return NOTHING
        desk.events = []
        return events

    # ------------------------------------------------------------------ state

    def working(self) -> list[BrokerOrder]:
        """Return the terms of every order that may still fill, held ones included."""
        return [order.as_broker_order() for order in self._desk.open.values()]

    def orders(self) -> list[OrderUpdate]:
        """Return the state of every order that is kept, open or final, by rising number."""
        return [order.update() for order in self._desk.orders.values()]

    def order(self, client_order_id: str) -> VenueOrder | None:
        """Return one order with its state; None when the venue does not know it."""
        order = self._desk.orders.get(client_order_id)
        return None if order is None else order.dump()

    def active(self) -> Collection[Instrument]:
        """Return the instruments that are held or have an order that is not final."""
        named = {order.key: order.order.instrument for order in self._desk.open.values()}
        return {**{key: self.ledger.instruments[key] for key in self.ledger.positions}, **named}.values()

    def instruments(self) -> list[Instrument]:
        """Return every instrument of a kept order or a position."""
        known = {order.key: order.order.instrument for order in self._desk.orders.values()}
        return list({**self.ledger.instruments, **known}.values())

    def dump(self) -> VenueBook:
        """Return everything the engine knows as one value."""
        return keeping.dump(self._desk)

    @classmethod
    def restored(
        cls,
        book: VenueBook,
        *,
        costs: CostModel | None = None,
        max_participation: Decimal | None = None,
    ) -> MatchingEngine:
        """Return an engine that continues from *book*."""
        engine = cls(cash=book.cash, costs=costs, max_participation=max_participation, base=book.base)
        keeping.restore(book, engine._desk)
        return engine

    def forget(self, before: datetime) -> None:
        """Drop fills, and final orders whose bracket is final, of the time before *before*."""
        keeping.forget(self._desk, before)
