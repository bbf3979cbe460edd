"""A limit entry that follows the price: its next price, the quantity still allowed, and the new orders.

What was decided is the bound: all entries of a bracket together never ask for more than its quantity, and no price
lies beyond ``max_pct`` of the decision's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.brackets import Tranche, entry_with_exits
from apex_cli.core.decision.sizing import size_position
from apex_cli.core.decision.tranches import tranche_quantities
from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Snapshot
from apex_cli.core.model.execution_limits import RepriceLimits
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import risk_per_unit
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import BracketRecord, RestingEntry
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.model.wording import plain, units


def next_price(entry: RestingEntry, reprice: RepriceLimits, latest: Price | None, now: datetime) -> Price | None:
    """Return the price to rest at from now on; None while nothing is due, or no step is left.

    min(price + step_pct * first price, first price * (1 + max_pct), latest price), mirrored for a sale, on the tick
    that is not beyond it. An entry that the market has come to stays: it is being filled. Without a latest price
    nothing is due.
    """
    if reprice.after_s is None or entry.times >= reprice.max_times or latest is None:
        return None
    if now < entry.since + timedelta(seconds=reprice.after_s):
        return None
    signal = entry.opportunity.signal
    sign, first = signal.side.sign, entry.first_price
    wanted = entry.price + sign * first * reprice.step_pct
    most = first + sign * first * reprice.max_pct
    bounded = min(wanted, most, latest) if sign > 0 else max(wanted, most, latest)
    price = on_tick(Price(bounded), signal.instrument, signal.side)
    return price if (price - entry.price) * sign > ZERO else None


def lost_price(entry: RestingEntry, entries: Iterable[OrderRecord], reprice: RepriceLimits) -> Price | None:
    """Return the price to send fresh entries at that surely never left; None when none was lost.

    A first entry that never left is not meant: its signal may be decided again, as a whole. One step more than
    *reprice* gives is allowed for it.
    """
    never_sent = any(record.status is OrderStatus.NEVER_SENT for record in entries)
    return entry.price if never_sent and 0 < entry.times <= reprice.max_times else None


def unsent_quantity(bracket: BracketRecord, orders: Iterable[OrderRecord]) -> Quantity:
    """Return how much of the decided quantity no entry has bought or may still buy.

    An open entry counts in full.
    """
    taken = sum(
        (
            r.order.quantity if r.is_open else r.filled_quantity
            for r in orders
            if r.order.role is OrderRole.ENTRY and r.order.bracket_id == bracket.bracket_id
        ),
        ZERO,
    )
    return Quantity(max(ZERO, bracket.quantity - taken))


def filled_quantity(bracket: BracketRecord, orders: Iterable[OrderRecord]) -> Quantity:
    """Return what the entries of *bracket* have filled."""
    entries = (r for r in orders if r.order.role is OrderRole.ENTRY and r.order.bracket_id == bracket.bracket_id)
    return Quantity(sum((r.filled_quantity for r in entries), ZERO))


def allowed_rest(  # noqa: PLR0917 - what a decision reads, in one line
    entry: RestingEntry, snapshot: Snapshot, limits: Limits, price: Price, filled: Quantity, rest: Quantity
) -> Quantity | tuple[Reason, ...]:
    """Return how much of *rest* may be sent at *price*, or why nothing may.

    The whole trade is decided again as if nothing of it existed: what has filled and what is to be sent, at the new
    price. So the loss at the stop stays within the budget, and every check holds at this moment.
    """
    signal = entry.opportunity.signal
    sized = size_position(
        instrument=signal.instrument,
        entry=price,
        stop=signal.stop_loss,
        risk=limits.risk.for_equity(snapshot.account.equity),
        rate=snapshot.rate.at_price(price) if snapshot.rate else None,
        currency=limits.currency,
    )
    if not isinstance(sized, Sized):
        return (sized,)
    left = Quantity(min(rest, sized.quantity - filled))
    if left <= ZERO:
        return (_budget_used(entry, sized, price, filled),)
    from apex_cli.core.decision.plan import decide_at

    own = signal.instrument.key
    others = tuple(exposure for exposure in snapshot.exposures if exposure.key != own)
    alone = replace(snapshot, exposures=others, entries_today=max(0, snapshot.entries_today - 1))
    decision = decide_at(entry.opportunity, alone, limits, entry_price=price, quantity=Quantity(filled + left))
    return decision.reasons or left


def _budget_used(entry: RestingEntry, sized: Sized, price: Price, filled: Quantity) -> Reason:
    market = entry.opportunity.signal.instrument.market_type
    allowed = units(sized.quantity, market)
    return Reason(
        code="reprice_budget",
        message=f"At {plain(price)} the caps allow {allowed}, and {units(filled, market)} are bought already.",
        limit=allowed,
        value=units(filled, market),
    )


def fresh_entries(
    bracket: BracketRecord,
    orders: Mapping[str, OrderRecord],
    names: Sequence[str],
    *,
    price: Price,
    quantity: Quantity,
    fractions: Sequence[Decimal] = (),
) -> tuple[Order, ...]:
    """Return the orders that take the place of cancelled entries: what is left of them, with stops and targets.

    *orders* are those of the bracket by client order id, cancelled ones included; *names* are the cancelled entries,
    first tranche first. *quantity* is the most for all tranches together. *fractions* are the signal's own part of each
    target, if it gives one.
    """
    number = _highest_number(bracket, orders)
    rests = [(orders[name].order, orders[name].order.quantity - orders[name].filled_quantity) for name in names]
    if len(rests) == 1:
        ((old, rest),) = rests
        tranches = _tranches_left(bracket, orders.values(), min(quantity, rest), fractions, after=number)
        return _fresh(old, bracket, tranches, price) if tranches else ()
    left: Decimal = quantity
    fresh: list[Order] = []
    for old, rest in rests:
        part = min(left, rest)
        if part <= ZERO:
            continue
        left -= part
        number += 1
        fresh += _fresh(old, bracket, (Tranche(number, Quantity(part), _target_of(old, orders)),), price)
    return tuple(fresh)


def _fresh(old: Order, bracket: BracketRecord, tranches: Sequence[Tranche], price: Price) -> tuple[Order, ...]:
    number = tranches[0].number
    entry = replace(
        old,
        client_order_id=f"apex-{bracket.bracket_id}-E{number}",
        tranche=number,
        quantity=Quantity(sum((tranche.quantity for tranche in tranches), ZERO)),
        limit_price=price,
    )
    return entry_with_exits(entry, bracket, tranches)


def _tranches_left(
    bracket: BracketRecord,
    orders: Iterable[OrderRecord],
    quantity: Decimal,
    fractions: Sequence[Decimal],
    *,
    after: int,
) -> tuple[Tranche, ...]:
    """Return the tranches of the next *quantity* behind what has filled, which belongs to the first ones."""
    skip: Decimal = filled_quantity(bracket, orders)
    left, number = quantity, after
    targets = bracket.target_prices
    tranches: list[Tranche] = []
    parts = tranche_quantities(bracket.quantity, bracket.instrument, len(targets), fractions)
    for place, whole in enumerate(parts):
        part = min(left, whole - skip)
        skip = max(ZERO, skip - whole)
        if part > ZERO:
            number, left = number + 1, left - part
            tranches.append(Tranche(number, Quantity(part), targets[place] if place < len(targets) else None))
    return tuple(tranches)


def _highest_number(bracket: BracketRecord, orders: Iterable[str]) -> int:
    """Return the highest number that any leg of *bracket* carries: a fresh tranche must not meet an old name."""
    prefix = f"apex-{bracket.bracket_id}-"
    tails = (name.removeprefix(prefix)[1:] for name in orders if name.startswith(prefix))
    return max((int(tail) for tail in tails if tail.isdigit()), default=1)


def _target_of(entry: Order, orders: Mapping[str, OrderRecord]) -> Price | None:
    """Return the target price of the tranche that *entry* opens."""
    prices = [
        r.order.limit_price
        for r in orders.values()
        if r.order.role is OrderRole.TARGET and r.order.parent_id == entry.client_order_id
    ]
    return prices[0] if prices else None


def repriced_bracket(
    bracket: BracketRecord, orders: Iterable[OrderRecord], price: Price, quantity: Quantity
) -> BracketRecord:
    """Return *bracket* with the mean entry price that is planned now, and the risk of one unit from there.

    mean = (value of what has filled + price * quantity) / (what has filled + quantity).
    """
    entries = [r for r in orders if r.order.role is OrderRole.ENTRY and r.order.bracket_id == bracket.bracket_id]
    value = sum((r.filled_quantity * (r.average_price or ZERO) for r in entries), price * quantity)
    mean = value / (sum((r.filled_quantity for r in entries), ZERO) + quantity)
    return replace(
        bracket,
        entry_price=Price(mean),
        risk_per_unit=worth(
            bracket.rate,
            risk_per_unit(mean, bracket.stop_price, bracket.instrument.multiplier),
            bracket.stop_price,
        ),
    )
