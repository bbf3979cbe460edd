"""Tax lots: what was bought is sold first in, first out; losses that may be wash sales are marked as a hint.

No advice: brokers may use other methods, and the rules on wash sales reach further (spouses, retirement accounts,
substantially identical securities). Source of the rules that are hinted at: 26 U.S.C. 1091 and 1222.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import worth
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Quantity, Usd
from apex_cli.core.model.side import OrderSide

WASH_DAYS = 30
"""A purchase so many days before or after a sale at a loss makes it a wash sale."""


FEBRUARY, SHORT_FEBRUARY = 2, 28


class TaxLot(Value, frozen=True, kw_only=True):
    """A quantity that was opened at one time and closed at another."""

    security: str
    side: OrderSide
    """BUY: held long; SELL: sold short."""

    quantity: Quantity
    opened_at: datetime
    closed_at: datetime
    cost: Usd
    """What was paid, commissions included."""

    proceeds: Usd
    """What was received, commissions deducted."""

    is_wash_hint: bool = False
    """True for a loss with another purchase (or short sale) of the same security within 30 days, held after it."""

    @property
    def gain(self) -> Usd:
        """Proceeds without cost."""
        return Usd(self.proceeds - self.cost)

    @property
    def is_long_term(self) -> bool:
        """True when it was closed after the same day of the next year; what was sold short never is."""
        bought = _day(self.opened_at)
        leap = bought.month == FEBRUARY and bought.day > SHORT_FEBRUARY
        anniversary = bought.replace(year=bought.year + 1, day=SHORT_FEBRUARY if leap else bought.day)
        return self.side is OrderSide.BUY and _day(self.closed_at) > anniversary


def _day(at: datetime) -> date:
    """Return the day of trading, by which the rules count."""
    return at.astimezone(NEW_YORK).date()


class _Open(Value, frozen=True, kw_only=True):
    """What is left of one opening fill."""

    fill: Fill
    left: Decimal


def tax_lots(fills: Iterable[Fill]) -> tuple[TaxLot, ...]:
    """Return the closed lots of *fills*, in the order they were closed.

    A fill that is larger than what is held closes all of it and opens the rest the other way.
    """
    ordered = sorted(fills, key=lambda fill: (fill.filled_at, fill.key))
    held: dict[str, deque[_Open]] = {}
    lots: list[tuple[TaxLot, Fill, frozenset[str]]] = []
    opened: dict[str, list[Fill]] = {}
    for fill in ordered:
        queue = held.setdefault(fill.instrument.key, deque())
        left: Decimal = fill.quantity
        closed: list[tuple[TaxLot, Fill]] = []
        while left > ZERO and queue and queue[0].fill.side is not fill.side:
            first = queue.popleft()
            quantity = min(left, first.left)
            closed.append((_lot(first.fill, fill, quantity), first.fill))
            left -= quantity
            if first.left > quantity:
                queue.appendleft(_Open(fill=first.fill, left=first.left - quantity))
        still_held = frozenset(item.fill.key for item in queue)
        lots += [(lot, opening, still_held) for lot, opening in closed]
        if left > ZERO:
            queue.append(_Open(fill=fill, left=left))
            opened.setdefault(fill.instrument.key, []).append(fill)
    return tuple(_with_hint(lot, by, opened.get(lot.security, ()), held) for lot, by, held in lots)


def _lot(opening: Fill, closing: Fill, quantity: Decimal) -> TaxLot:
    paid, received = (opening, closing) if opening.side is OrderSide.BUY else (closing, opening)
    return TaxLot(
        security=opening.instrument.key,
        side=opening.side,
        quantity=Quantity(quantity),
        opened_at=opening.filled_at,
        closed_at=closing.filled_at,
        cost=_amount(paid, quantity, sign=1),
        proceeds=_amount(received, quantity, sign=-1),
    )


def _amount(fill: Fill, quantity: Decimal, *, sign: int) -> Usd:
    """Return the value of *quantity* at the price of *fill*, with its part of the commission added or deducted."""
    value = worth(fill.rate, quantity * fill.price * fill.instrument.multiplier, fill.price)
    return Usd(value + sign * fill.cost * quantity / fill.quantity)


def _with_hint(lot: TaxLot, opening: Fill, opened: Sequence[Fill], still_held: frozenset[str]) -> TaxLot:
    """Return *lot*, marked when it is a loss and something else replaced it within the days that count.

    What was opened afterwards replaces it, and what was opened before and was *still_held* when it was closed.
    """
    if lot.gain >= ZERO:
        return lot
    near = any(
        fill.key != opening.key
        and fill.side is lot.side
        and abs((_day(fill.filled_at) - _day(lot.closed_at)).days) <= WASH_DAYS
        and (fill.filled_at > lot.closed_at or fill.key in still_held)
        for fill in opened
    )
    return replace(lot, is_wash_hint=True) if near else lot
