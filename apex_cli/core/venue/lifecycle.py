"""The life of orders at the venue: held, working, filled, cancelled; parents, children, OCA groups."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.model.money import ZERO, Price, floor_to_step
from apex_cli.core.model.order import Order, OrderStatus, Phase
from apex_cli.core.venue.book import OcaGroup, WorkingOrder
from apex_cli.core.venue.settlement import Ledger

WORKING = OrderStatus.WORKING
FILLED = OrderStatus.FILLED
CANCELLED = OrderStatus.CANCELLED
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
"""No time was given yet."""


class Desk:
    """Every order and group, and the events of the running call."""

    __slots__ = (
        "at",
        "cap",
        "cap_is_shared",
        "dirty",
        "events",
        "groups",
        "has_expiries",
        "last_number",
        "last_rank",
        "ledger",
        "open",
        "orders",
        "released",
        "seq",
        "timed",
        "waiting",
        "working",
    )

    def __init__(self, ledger: Ledger) -> None:
        """Start without orders."""
        self.ledger = ledger
        self.orders: dict[str, WorkingOrder] = {}
        self.open: dict[str, WorkingOrder] = {}
        """Orders that are not final, held ones included, by rising number."""

        self.has_expiries = False
        """Whether there ever was an order for a contract with an expiry."""

        self.working: dict[str, list[WorkingOrder]] = {}
        """Orders that meet the market, by instrument key and rising rank."""

        self.waiting: dict[str, WorkingOrder] = {}
        """Orders that wait for an opening or closing auction."""

        self.timed: dict[str, WorkingOrder] = {}
        """Open orders that end at a time of their own."""

        self.groups: dict[str, OcaGroup] = {}
        self.last_number = 0
        self.last_rank = 0
        self.at = BEFORE_ALL
        self.events: list[BrokerEvent] = []
        self.released: list[WorkingOrder] = []
        """Children that may fill more since the last fill of their parent."""

        self.dirty: list[str] = []
        """Instrument keys whose *working* holds final orders."""

        self.seq = 0
        """Number of the running price or bar."""

        self.cap: Decimal | None = None
        """Most that may fill in it: of each order, or of all when *cap_is_shared*."""

        self.cap_is_shared = False

    # ---------------------------------------------------------------- arrival

    def accept(self, terms: Order, at: datetime) -> WorkingOrder:
        """Take in a checked order; a child is held, everything else meets the market."""
        self.last_number += 1
        order = WorkingOrder(terms, terms.instrument.key, self.last_number, at)
        self.orders[order.id] = order
        self.admit(order)
        if terms.good_till is not None:
            self.timed[order.id] = order
        self.events.append(order.update())
        if terms.parent_id is not None or terms.oca_group is not None:
            self.join_group(order)
        if terms.parent_id is None:
            self.activate(order)
            return order
        self.allocate(self.orders[terms.parent_id])
        if not order.rank and order.group is not None and order.group.allowed:
            self.activate(order)
        return order

    def admit(self, order: WorkingOrder) -> None:
        """Count *order* among those that are not final."""
        self.open[order.id] = order
        self.has_expiries = self.has_expiries or order.order.instrument.expiry is not None

    def reject(self, terms: Order, at: datetime, reason: str) -> None:
        """Record an order that never worked."""
        self.last_number += 1
        order = WorkingOrder(terms, terms.instrument.key, self.last_number, at)
        order.status = OrderStatus.REJECTED
        order.reason = reason
        self.orders[order.id] = order
        self.events.append(order.update())

    def join_group(self, order: WorkingOrder) -> None:
        """Put *order* into its OCA group; legs of one tranche share one even without a name."""
        terms = order.order
        name = group_name(terms)
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = OcaGroup(name, terms.parent_id)
            if terms.parent_id is not None:
                parent = self.orders[terms.parent_id]
                if parent.groups is None:
                    parent.groups = []
                parent.groups.append(group)
        group.legs.append(order)
        order.group = group
        if terms.parent_id is not None:
            group.size = max(group.size, order.quantity + group.filled)

    def activate(self, order: WorkingOrder) -> None:
        """Let *order* meet the market from now on, or wait for its auction."""
        if order.phase is not Phase.ANY:
            self.waiting[order.id] = order
            return
        self.last_rank += 1
        order.rank = self.last_rank
        resting = self.working.get(order.key)
        if resting is None:
            self.working[order.key] = [order]
        else:
            resting.append(order)

    # ------------------------------------------------------------------ fills

    def fill(self, order: WorkingOrder, price: Price) -> None:
        """Fill as much of *order* at *price* as it, its group and the volume allow."""
        quantity = order.quantity - order.filled
        group = order.group
        if group is not None:
            quantity = self._within_group(order, group, quantity)
        if self.cap is not None:
            quantity = self._within_cap(order, quantity, self.cap)
        if quantity <= 0:
            return
        at = self.at
        self.events.append(self.ledger.execute(order, price, quantity, at))
        order.updated_at = at
        if group is not None:
            group.filled += quantity
        if order.groups is not None:
            self.allocate(order)
        is_done = order.filled >= order.quantity
        if is_done:
            self.finish(order, FILLED)
        if group is not None:
            self._rebalance(group, order, quantity, is_done=is_done)

    def _within_group(self, order: WorkingOrder, group: OcaGroup, quantity: Decimal) -> Decimal:
        """Return what the group lets *order* fill now."""
        if group.seq == self.seq and group.busy is not order:
            return ZERO
        most = group.allowed if order.order.parent_id is not None else None
        if most is not None and most - group.filled < quantity:
            return most - group.filled
        return quantity

    def _within_cap(self, order: WorkingOrder, quantity: Decimal, cap: Decimal) -> Decimal:
        """Return what the volume of this price or bar lets *order* fill, and use it up."""
        if self.cap_is_shared:
            quantity = floor_to_step(min(quantity, cap), order.order.instrument.quantity_step)
            self.cap = cap - max(quantity, ZERO)
            return quantity
        if order.seq != self.seq:
            order.seq = self.seq
            order.cap_left = floor_to_step(cap, order.order.instrument.quantity_step)
        quantity = min(quantity, order.cap_left)
        order.cap_left -= max(quantity, ZERO)
        return quantity

    def _rebalance(self, group: OcaGroup, filled: WorkingOrder, quantity: Decimal, *, is_done: bool) -> None:
        """Cancel the other legs after a full fill; reduce them after a partial one, and block them for now."""
        if is_done:
            group.is_done = True
        else:
            group.seq = self.seq
            group.busy = filled
        for leg in group.legs:
            if leg is filled or leg.status is not WORKING:
                continue
            if is_done:
                self.finish(leg, CANCELLED, "OCA group filled")
            else:
                self.cut(leg, leg.quantity - quantity)

    def cut(self, order: WorkingOrder, quantity: Decimal) -> None:
        """Reduce *order* to *quantity*; nothing left to fill ends it."""
        if quantity > order.filled:
            order.quantity = quantity
            order.updated_at = self.at
            self.events.append(order.update())
        elif order.filled:
            order.quantity = order.filled
            self.finish(order, FILLED)
        else:
            self.finish(order, CANCELLED, "nothing left to exit")

    # ---------------------------------------------------------------- parents

    def allocate(self, parent: WorkingOrder) -> None:
        """Share what *parent* has filled among its groups, first tranche first, and release their legs."""
        rest = parent.filled
        for group in parent.groups or ():
            share = min(rest, group.size)
            rest -= share
            if group.allowed is None or share <= group.allowed:
                continue
            group.allowed = share
            for leg in group.legs:
                if leg.status is WORKING:
                    if not leg.rank:
                        self.activate(leg)
                    if leg.rank:
                        self.released.append(leg)

    def settle(self, parent: WorkingOrder) -> None:
        """Fit the children of a final *parent* to what it filled."""
        for group in parent.groups or ():
            left = (group.allowed or ZERO) - group.filled
            for leg in group.legs:
                if leg.status is not WORKING:
                    continue
                if not parent.filled:
                    self.finish(leg, CANCELLED, "entry not filled")
                elif leg.quantity - leg.filled > left:
                    self.cut(leg, leg.filled + left)

    # -------------------------------------------------------------------- end

    def finish(self, order: WorkingOrder, status: OrderStatus, reason: str = "") -> None:
        """Give *order* a final status, and its children what follows from it."""
        order.status = status
        order.reason = reason
        order.updated_at = self.at
        del self.open[order.id]
        self.waiting.pop(order.id, None)
        self.timed.pop(order.id, None)
        if order.rank:
            self.dirty.append(order.key)
        self.events.append(order.update())
        if order.groups is not None:
            self.settle(order)

    def sweep(self) -> None:
        """Take final orders off the market."""
        for key in self.dirty:
            resting = [order for order in self.working.get(key, ()) if order.status is WORKING]
            if resting:
                self.working[key] = resting
            else:
                self.working.pop(key, None)
        self.dirty.clear()


def group_name(terms: Order) -> str:
    """Return the OCA group of *terms*: as named, or its parent's tranche."""
    return terms.oca_group or f"{terms.parent_id}/{terms.tranche}"
