"""Matches orders with prices: one price, or the path inside a bar."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Price, ceil_to_step
from apex_cli.core.venue.book import LIMIT, MARKET, ONCE_TRIGGERED, WorkingOrder
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.lifecycle import WORKING, Desk


class Matcher:
    """Decides which orders fill at which price; the desk does the rest."""

    __slots__ = ("_costs", "_desk", "_slips")

    def __init__(self, desk: Desk, costs: CostModel) -> None:
        """Match the orders of *desk*."""
        self._desk = desk
        self._costs = costs
        self._slips = costs.has_slippage

    # -------------------------------------------------------------- one price

    def meet_price(self, orders: Iterable[WorkingOrder], price: Price) -> None:
        """Fill what *price* reaches: market orders and stops first, then limits, then released children."""
        batch = tuple(orders)
        desk = self._desk
        while batch:
            desk.released = []
            for order in batch:
                if order.kind is not LIMIT and order.status is WORKING:
                    self._meet_stop(order, price)
            for order in batch:
                if order.kind is LIMIT and order.status is WORKING and _reaches(order, price):
                    desk.fill(order, price)
            batch = tuple(desk.released)
        desk.released = []

    def _meet_stop(self, order: WorkingOrder, price: Price) -> None:
        """Fill a market order, or a stop whose trigger *price* has reached."""
        if order.kind is MARKET:
            self._desk.fill(order, self._slipped(order, price))
            return
        if order.level is None:
            set_trigger(order, trail_from(order, price))
        if _reaches(order, price):
            self._trigger(order, price)

    def _trigger(self, order: WorkingOrder, price: Price) -> None:
        """Trigger a stop with the market at *price* and fill it, not beyond its limit."""
        order.become(ONCE_TRIGGERED[order.kind])
        slipped, limit = self._slipped(order, price), order.level
        if limit is None:
            self._desk.fill(order, slipped)
        elif _reaches(order, price):
            self._desk.fill(order, min(slipped, limit) if order.is_buy else max(slipped, limit))

    def _slipped(self, order: WorkingOrder, price: Price) -> Price:
        if not self._slips:
            return price
        return self._costs.slipped(price, order.order.instrument.tick_at(price), is_buy=order.is_buy)

    # ------------------------------------------------------------- inside bar

    def meet_path(self, orders: Iterable[WorkingOrder], bar: Bar) -> None:
        """Fill what *bar* reaches after its open: every stop before any limit."""
        batch = tuple(orders)
        for order in batch:
            if order.kind is not LIMIT and order.kind is not MARKET and order.status is WORKING:
                self._stop_on_path(order, bar)
        for order in batch:
            if order.kind is LIMIT and order.status is WORKING and order.wait_seq != self._desk.seq:
                self._limit_on_path(order, bar)

    def _stop_on_path(self, order: WorkingOrder, bar: Bar) -> None:
        level = order.level
        if level is None or not _reaches(order, bar.high if order.fires_above else bar.low):
            return
        order.wait_seq = self._desk.seq
        self._trigger(order, level)
        self._protect_released(bar, level)

    def _limit_on_path(self, order: WorkingOrder, bar: Bar) -> None:
        level = order.level
        if level is not None and _reaches(order, bar.high if order.fires_above else bar.low):
            self._desk.fill(order, level)
            self._protect_released(bar, level)

    def _protect_released(self, bar: Bar, price: Price) -> None:
        """Meet the children of an entry that filled at *price* inside *bar*: their stops now, their targets later."""
        desk = self._desk
        released, desk.released = desk.released, []
        for leg in released:
            leg.wait_seq = desk.seq
            if leg.kind is LIMIT or leg.status is not WORKING:
                continue
            if leg.trails and leg.level is None:
                set_trigger(leg, trail_from(leg, price))
            level = leg.level
            if level is None or _reaches(leg, price):
                self._meet_stop(leg, price)
            elif _reaches(leg, bar.high if leg.fires_above else bar.low):
                self._trigger(leg, level)

    # ------------------------------------------------------------------ trail

    def trail(self, orders: Iterable[WorkingOrder], best_for_sell: Price, best_for_buy: Price, close: Price) -> None:
        """Move trailing stops to the best price; one that *close* lies beyond was passed on the way and fills."""
        for order in orders:
            if not order.trails or order.status is not WORKING:
                continue
            best = best_for_buy if order.is_buy else best_for_sell
            if order.wait_seq == self._desk.seq:
                best = close
            trigger = trail_from(order, best)
            level = order.level
            if level is None or (trigger < level if order.is_buy else trigger > level):
                self._move(order, trigger, close)

    def _move(self, order: WorkingOrder, trigger: Price, close: Price) -> None:
        set_trigger(order, trigger)
        order.updated_at = self._desk.at
        self._desk.events.append(order.update())
        if _reaches(order, close):
            self._trigger(order, trigger)


def interest(orders: Iterable[WorkingOrder], low: Price, high: Price) -> tuple[bool, bool]:
    """Return whether a range of prices reaches any order (or one has no level yet), and whether any trails."""
    is_reached = has_trail = False
    for order in orders:
        level = order.level
        if level is None or (high >= level if order.fires_above else low <= level):
            is_reached = True
        if order.trails:
            has_trail = True
    return is_reached, has_trail


def _reaches(order: WorkingOrder, price: Decimal) -> bool:
    level = order.level
    return level is not None and (price >= level if order.fires_above else price <= level)


def trail_from(order: WorkingOrder, price: Price) -> Price:
    """Return the trigger that keeps the trail's distance from *price*, at least one tick.

    A distance in percent is rounded to the tick away from the market.
    """
    terms = order.order
    tick = terms.instrument.tick_at(price)
    if terms.trail_fraction is not None:
        amount = ceil_to_step(price * terms.trail_fraction, tick)
    else:
        amount = terms.trail_amount or ZERO
    if order.is_buy:
        return Price(price + amount)
    return Price(max(price - amount, tick))


def set_trigger(order: WorkingOrder, trigger: Price) -> None:
    """Make *trigger* the price that *order* waits for."""
    order.trigger = trigger
    order.level = trigger
