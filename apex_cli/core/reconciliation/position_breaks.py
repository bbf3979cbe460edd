"""Our positions against the broker's, and the exits that should rest for what both sides hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.brackets import excess
from apex_cli.core.model.broker_events import BrokerSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, floor_to_step
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import (
    Break,
    BreakCode,
    BreakStatus,
    Correction,
    CorrectionKind,
    Ignored,
    SplitParts,
)
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.wording import decimals, plain
from apex_cli.core.positions.ledger import NO_PLANS, apply_fill, in_order
from apex_cli.core.positions.protection import backed, is_unsure, unprotected_quantity
from apex_cli.core.state.tables import State

MOST_PARTS = 100
"""Old shares of the largest reverse split that is recognised."""

FEW_PARTS = 10
"""Old shares of a split such as 3 for 2."""

SPLIT_TOLERANCE = 2
"""How far the mean prices may be from the ratio, in percent: commissions, and the cash paid for a fraction."""


def with_missed_fills(state: State, fills: Iterable[Fill]) -> dict[str, Position]:
    """Return our positions as they stand once the missed *fills* are booked."""
    missed: dict[str, list[Fill]] = {}
    for fill in fills:
        missed.setdefault(fill.instrument.key, []).append(fill)
    held = {key: row.position for key, row in state.positions.items()}
    for key, rows in missed.items():
        position = _refolded(state, key, rows)
        if position is None:
            held.pop(key, None)
        else:
            held[key] = position
    return held


def _refolded(state: State, key: str, fills: Iterable[Fill]) -> Position | None:
    row = state.positions.get(key)
    position: Position | None = row.carried if row else None
    kept = (fill for fill in state.fills.values() if fill.instrument.key == key)
    for fill in in_order((*kept, *fills)):
        position, _ = apply_fill(position, fill, state.brackets)
    return position


def compare_positions(
    held: Mapping[str, Position],
    reported: BrokerSnapshot,
    ignored: Mapping[str, Ignored],
    plans: Mapping[str, BracketRecord] = NO_PLANS,
) -> tuple[Break, ...]:
    """Return a break for each security of which the broker holds another quantity than we do.

    *held* is ours, missed fills folded in; *reported* is complete. *plans* are entry decisions by ``bracket_id``, for
    the levels of after a split.
    """
    keys = sorted({*held, *(key for key, quantity in reported.positions.items() if quantity)})
    instruments = {row.instrument.key: row.instrument for row in reported.holdings}
    found = []
    for key in keys:
        ours, theirs = signed(held.get(key)), reported.positions.get(key, ZERO)
        if ours == theirs:
            continue
        own = held.get(key)
        instrument = own.instrument if own is not None else instruments.get(key)
        row = ignored.get(key)
        is_ignored = row is not None and row.quantity == theirs - ours
        each = _position_break(key, instrument, ours, theirs, reported, is_ignored=is_ignored)
        split = None if own is None or is_ignored else split_ratio(own, reported)
        plan = None if own is None else plans.get(own.bracket_id)
        found.append(each if split is None or own is None else _as_split(each, own, split, plan))
    return tuple(found)


def split_ratio(position: Position, reported: BrokerSnapshot) -> SplitParts | None:
    """Return by what *position* looks split: 10 for 1, or 1 for 20; None if not.

    The broker holds so many times the quantity at so many times less of a mean price, on the same side; less than a
    unit may be missing, which is paid in cash.
    """
    key = position.instrument.key
    holding = next((row for row in reported.holdings if row.instrument.key == key), None)
    if holding is None or holding.average_price is None or holding.average_price <= ZERO:
        return None
    ours, theirs = signed(position), holding.quantity
    if ours * theirs <= ZERO:
        return None
    from fractions import Fraction

    by_price = Fraction(position.entry_price / holding.average_price)
    by_quantity = Fraction(theirs / ours).limit_denominator(MOST_PARTS)
    whole = Fraction(1, round(1 / by_price)) if by_price < 1 else Fraction(round(by_price))
    likely = {by_quantity, whole, by_price.limit_denominator(FEW_PARTS)}
    for ratio in sorted(likely, key=lambda each: each.numerator + each.denominator):
        parts = SplitParts(new=ratio.numerator, old=ratio.denominator)
        is_same = abs(by_price / ratio - 1) * 100 <= SPLIT_TOLERANCE if ratio else False
        if ratio != 1 and is_same and _is_split(parts.quantity(abs(ours)), abs(theirs), position):
            return parts
    return None


def _is_split(expected: Decimal, held: Decimal, position: Position) -> bool:
    """Return whether *held* is what a split leaves of *expected*: all of it, or whole units and cash for the rest."""
    return expected == held or held == floor_to_step(expected, position.instrument.quantity_step)


def _as_split(each: Break, position: Position, parts: SplitParts, plan: BracketRecord | None) -> Break:
    """Return *each* with what it looks like, and the way on."""
    key = position.instrument.key
    message = (
        f"{each.message} It looks like a split, {parts}, as the mean price has changed by the same ratio. "
        f"Orders from before the split are gone, and none is placed at their prices."
    )
    levels = [f"{plain(position.entry_price)} becomes {_shown(parts.price(position.entry_price))}"]
    if plan is not None:
        levels.append(f"the first stop {plain(plan.stop_price)} {_shown(parts.price(plan.stop_price))}")
        levels += [f"a target {plain(each)} {_shown(parts.price(each))}" for each in plan.target_prices]
    way = f"Take the split over with --split {key!r}: an entry at {', '.join(levels)}."
    correction = replace(each.correction, message=way, split=parts)
    return replace(each, message=message, correction=correction)


def _shown(level: Decimal) -> str:
    """Return a price of after the split; dividing may leave more decimals than anybody reads."""
    return decimals(level, least=0)


def _position_break(
    key: str,
    instrument: Instrument | None,
    ours: Decimal,
    theirs: Decimal,
    reported: BrokerSnapshot,
    *,
    is_ignored: bool,
) -> Break:
    code = BreakCode.POSITION_DIFFERS
    if not ours:
        code = BreakCode.POSITION_NOT_OURS
    elif not theirs:
        code = BreakCode.POSITION_MISSING
    price, is_explained = _traded_at(key, theirs - ours, reported)
    why = " Trades made outside apex explain it." if is_explained else ""
    return Break(
        code=code,
        key=key,
        subject=key,
        ours=plain(ours),
        theirs=plain(theirs),
        message=f"{key}: {plain(ours)} are held here, and {plain(theirs)} at the broker.{why}",
        correction=Correction(kind=CorrectionKind.NONE, message="You said that it is not ours.")
        if is_ignored
        else Correction(
            kind=CorrectionKind.ASK, message=f"Take it over with --adopt {key!r}, or leave it with --ignore {key!r}."
        ),
        instrument=instrument,
        held=Quantity(ours),
        at_broker=Quantity(theirs),
        price=price,
        status=BreakStatus.IGNORED if is_ignored else BreakStatus.OPEN,
    )


def _traded_at(key: str, difference: Decimal, reported: BrokerSnapshot) -> tuple[Price | None, bool]:
    """Return what *difference* was traded at as far as it is reported, and whether trades outside apex add up to it.

    Mean price of the trades when they do; else, of what the broker holds alone, its mean entry price.
    """
    fills = [fill for fill in reported.foreign_fills if fill.instrument.key == key]
    if fills and sum((fill.quantity * fill.side.sign for fill in fills), ZERO) == difference:
        same = [fill for fill in fills if fill.side.sign * difference > ZERO]
        value = sum((fill.price * fill.quantity for fill in same), ZERO)
        return Price(value / sum((fill.quantity for fill in same), ZERO)), True
    holding = next((row for row in reported.holdings if row.instrument.key == key), None)
    is_alone = holding is not None and holding.quantity == difference
    return (holding.average_price if holding is not None and is_alone else None), False


def compare_exits(
    held: Mapping[str, Position], records: Mapping[str, OrderRecord], reported: BrokerSnapshot
) -> tuple[Break, ...]:
    """Return a break for each security whose exits rest for more than both sides hold, or whose stops cover less.

    *held* is ours, missed fills folded in; *records* are our orders after the broker's reports about them. *reported*
    is complete.
    """
    by_key: dict[str, list[OrderRecord]] = {key: [] for key in held}
    for record in records.values():
        by_key.setdefault(record.order.instrument.key, []).append(record)
    found = []
    for key, orders in by_key.items():
        if any(map(is_unsure, orders)):
            continue
        position = backed(held.get(key), reported.positions.get(key, ZERO))
        changes = [excess(position, orders, side) for side in OrderSide]
        if any(change.cancel or change.shrink for change in changes):
            found.append(_too_large(key, position, orders))
        elif position is not None and unprotected_quantity(position, orders) > ZERO:
            found.append(_unprotected(key, position, orders))
    return tuple(found)


def _too_large(key: str, position: Position | None, orders: Iterable[OrderRecord]) -> Break:
    largest = max((record.open_quantity for record in orders), default=ZERO)
    quantity = ZERO if position is None else position.quantity
    return Break(
        code=BreakCode.EXITS_EXCEED,
        key=key,
        subject=key,
        ours=f"exits for up to {plain(largest)}",
        theirs=plain(quantity),
        message=f"{key}: exits rest for more than the {plain(quantity)} that are held on both sides.",
        correction=Correction(kind=CorrectionKind.TRIM_EXITS, message="Cancel or shrink what is too much."),
        instrument=next((record.order.instrument for record in orders), None),
    )


def _unprotected(key: str, position: Position, orders: Iterable[OrderRecord]) -> Break:
    gap = unprotected_quantity(position, orders)
    has_plan = bool(position.bracket_id)
    return Break(
        code=BreakCode.STOP_MISSING,
        key=key,
        subject=key,
        ours=f"{plain(position.quantity)} held",
        theirs=f"no stop for {plain(gap)}",
        message=f"{key}: {plain(gap)} of {plain(position.quantity)} are held without a working stop.",
        correction=Correction(kind=CorrectionKind.BACKFILL_STOP, message="Place the stop.")
        if has_plan
        else Correction(kind=CorrectionKind.ASK, message=f"No stop is planned: give one with --adopt {key!r} --stop."),
        instrument=position.instrument,
    )
