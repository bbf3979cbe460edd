"""How a position is closed so that it is never without protection, and no more rests than is held.

A closing order joins the OCA group of the exits of what it closes: its fill ends them at the broker, and theirs ends
it, so nothing is taken away before. Where exits of several groups go, or some only shrink, they make room in one piece
with the closing order. Whatever could fill while that is on its way goes first, each step confirmed: a target in the
same group, whose stop stays; and where it must be, a stop, so that too little rests for a moment, where otherwise too
much could be sold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.brackets import ExitChanges, exits_for_remaining
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole

NEAR = Decimal("0.005")
"""Part of the price: an exit that is nearer to it could fill while a message is on its way to the broker."""


class ClosePlan(Value, frozen=True, kw_only=True):
    """What happens to resting exits when an order closes a position or a part of it."""

    first: ExitChanges = ExitChanges()
    """What is cancelled or shrunk, and confirmed, before the closing order is sent."""

    in_one_piece: ExitChanges = ExitChanges()
    """What is cancelled or shrunk in one transmission with the closing order."""

    oca_group: str | None = None
    """Group that the closing order joins; None for one that stands alone."""

    ended: tuple[str, ...] = ()
    """Client order ids of the exits in that group: the fill of the closing order ends them at the broker."""

    @property
    def touched(self) -> tuple[str, ...]:
        """Client order ids of all exits that do not stay as they are."""
        changes = (self.first, self.in_one_piece)
        named = [name for change in changes for name in (*change.cancel, *(o.client_order_id for o in change.shrink))]
        return (*self.ended, *named)


def plan_close(
    orders: Iterable[OrderRecord],
    *,
    remaining: Quantity,
    quantity: Quantity,
    price: Price,
    is_resting: bool = False,
    may_join: bool = True,
) -> ClosePlan:
    """Return how to close *quantity* so that *remaining* keeps its exits.

    Args:
        orders: every order of the instrument.
        remaining: what stays, as in ``exits_for_remaining``.
        quantity: what the closing order is for.
        price: latest price: what is near it could fill at any moment.
        is_resting: the closing order rests at a limit; it joins exits only where they cover all of it.
        may_join: False where the broker has refused to let it join.
    """
    records = {record.order.client_order_id: record for record in orders}
    changes = exits_for_remaining(records.values(), remaining)
    gone = [records[name] for name in changes.cancel]
    group = _group_to_join(gone, changes.shrink, quantity, is_resting=is_resting) if may_join else None
    beside = gone if group is not None else []
    near_targets = [r for r in beside if not r.order.order_type.is_stop and _may_fill(r, price)]
    rest = [r for r in gone if r not in beside]
    names = (*map(_name, rest), *(order.client_order_id for order in changes.shrink))
    must_wait = any(_may_fill(records[name], price) for name in names)
    others = ExitChanges(cancel=tuple(map(_name, rest)), shrink=changes.shrink)
    first = others if must_wait else ExitChanges()
    return ClosePlan(
        first=replace(first, cancel=(*map(_name, near_targets), *first.cancel)),
        in_one_piece=ExitChanges() if must_wait else others,
        oca_group=group,
        ended=tuple(_name(r) for r in beside if r not in near_targets),
    )


def _name(record: OrderRecord) -> str:
    return record.order.client_order_id


def _group_to_join(
    gone: Sequence[OrderRecord], shrink: Sequence[Order], quantity: Quantity, *, is_resting: bool
) -> str | None:
    """Return the one OCA group in which everything rests that goes; None where something else is touched as well.

    Nobody can ask beforehand whether the broker lets an order join a group: where that is refused, nothing is lost.
    """
    groups = {record.order.oca_group for record in gone}
    if shrink or len(groups) != 1 or (is_resting and _covered(gone) < quantity):
        return None
    return groups.pop()


def _covered(legs: Iterable[OrderRecord]) -> Decimal:
    return max((leg.open_quantity for leg in legs if leg.order.order_type.is_stop), default=Decimal(0))


def _may_fill(record: OrderRecord, price: Price) -> bool:
    """Return whether an order could fill before a message reaches the broker."""
    order = record.order
    if order.role is OrderRole.CLOSE and order.limit_price is None:
        return True
    levels = [level for level in (order.stop_price, order.limit_price) if level is not None]
    return not levels or any(abs(price - level) <= NEAR * price for level in levels)


def stops_to_stand_in(changes: ExitChanges, refused: Mapping[str, str]) -> tuple[Order, ...]:
    """Return the stops of *changes* whose change could be refused, so that a stand-in joins their group instead.

    Nothing says beforehand whether a broker changes an order in an OCA group, but the change of another leg: a target
    that shrinks before its stop does.

    Args:
        changes: what shrinks; targets were asked for already.
        refused: why the broker refused a change, by client order id.
    """
    tried = {o.oca_group for o in changes.shrink if not o.order_type.is_stop and o.client_order_id not in refused}
    stops = [order for order in changes.shrink if order.order_type.is_stop]
    return tuple(order for order in stops if order.oca_group is not None and order.oca_group not in tried)


def without(changes: ExitChanges, names: Iterable[str], *, also_cancel: Iterable[str]) -> ExitChanges:
    """Return *changes* that shrink none of *names*, and cancel *also_cancel* as well."""
    left_out = frozenset(names)
    shrink = tuple(order for order in changes.shrink if order.client_order_id not in left_out)
    return replace(changes, cancel=(*changes.cancel, *also_cancel), shrink=shrink)
