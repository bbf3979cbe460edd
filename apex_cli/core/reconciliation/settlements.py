"""Options that ended at the broker: recognised by what is gone, what came in its place, and the calendar.

A contract that is not at the broker any more has expired, was exercised or was assigned. What it delivered shows: the
shares of its underlying, bought or sold at the strike. An early exercise or assignment is recognised by them alone;
that a contract expired without value needs the calendar, too. What explains nothing is left to a person.

Books: the option ends at its intrinsic value where the price of its underlying is known, else at 0, and the shares
begin at the strike plus (call) or less (put) that value. Together they cost the strike, so no profit depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import combinations

from apex_cli.core.market.expiry import (
    has_expired,
    intrinsic_value,
    is_adjusted,
    is_cash_settled,
    settled_at,
    settlement_of,
)
from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerSnapshot
from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.instrument import Instrument, OptionRight, underlying_of
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import Break, BreakCode, Correction, CorrectionKind
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.wording import plain
from apex_cli.core.reconciliation.order_breaks import fill_words

MOST_TOGETHER = 12
"""Contracts of one underlying that are tried in every combination."""


class Ended(Value, frozen=True, kw_only=True):
    """Contracts of ours that the broker does not hold any more."""

    position: Position
    quantity: Decimal
    """Signed units that are gone."""

    underlying: Price | None
    """Price of the underlying, as far as it is known."""

    @property
    def instrument(self) -> Instrument:
        """The contract."""
        return self.position.instrument

    @property
    def value(self) -> Price:
        """Intrinsic value of one unit; 0 where the underlying has no price."""
        return Price(ZERO) if self.underlying is None else intrinsic_value(self.instrument, self.underlying)

    @property
    def shares(self) -> Decimal:
        """Signed shares that its exercise delivers."""
        sign = 1 if self.instrument.right is OptionRight.CALL else -1
        return self.quantity * self.instrument.multiplier * sign


def ended_contracts(
    held: Mapping[str, Position], reported: BrokerSnapshot, prices: Mapping[str, Price], now: datetime
) -> tuple[Break, ...]:
    """Return a break for each execution that books the end of an option, and what it delivered.

    *held* is ours, missed fills folded in; *reported* is complete. *prices* are those of underlyings, by their key, as
    far as they are known.
    """
    by_underlying: dict[str, list[Ended]] = {}
    for key, position in held.items():
        ended = _ended(key, position, reported, prices)
        if ended is not None:
            by_underlying.setdefault(underlying_of(position.instrument).key, []).append(ended)
    found: list[Break] = []
    for key, contracts in by_underlying.items():
        delivered = reported.positions.get(key, ZERO) - signed(held.get(key))
        exercised = _exercised(contracts, delivered, now)
        if exercised is not None:
            for each in contracts:
                found.extend(_breaks(each, now, is_exercised=each in exercised))
    return tuple(found)


def _ended(key: str, position: Position, reported: BrokerSnapshot, prices: Mapping[str, Price]) -> Ended | None:
    """Return what of *position* is gone at the broker; None for nothing, and where trades outside apex explain it."""
    instrument, ours, theirs = position.instrument, signed(position), reported.positions.get(key, ZERO)
    is_option = instrument.expiry is not None and bool(instrument.strike) and not is_adjusted(instrument)
    if not is_option or ours == theirs or abs(theirs) > abs(ours) or ours * theirs < ZERO:
        return None
    traded = (fill for fill in reported.foreign_fills if fill.instrument.key == key and fill.price)
    if sum((fill.quantity * fill.side.sign for fill in traded), ZERO) == theirs - ours:
        return None
    return Ended(position=position, quantity=ours - theirs, underlying=prices.get(underlying_of(instrument).key))


def _exercised(contracts: Sequence[Ended], delivered: Decimal, now: datetime) -> tuple[Ended, ...] | None:
    """Return those of *contracts* that were exercised or assigned; None where nothing explains what is seen.

    First those that their price says were in the money; then, in order, every choice whose shares add up.
    """
    early = [each for each in contracts if not has_expired(each.instrument, now)]
    in_cash = [each for each in contracts if is_cash_settled(each.instrument)]
    if any(each.underlying is None for each in in_cash):
        return None
    able = [each for each in contracts if each not in in_cash]
    likely = [each for each in able if each in early or each.value > ZERO]
    sizes = range(min(len(able), MOST_TOGETHER) + 1)
    choices = (choice for size in sizes for choice in combinations(able[:MOST_TOGETHER], size))
    for choice in (likely, *choices):
        if sum((each.shares for each in choice), ZERO) == delivered and all(each in choice for each in early):
            return tuple(choice)
    return None


def _breaks(each: Ended, now: datetime, *, is_exercised: bool) -> Iterable[Break]:
    instrument, is_long = each.instrument, each.quantity > ZERO
    is_over = has_expired(instrument, now)
    at = (settled_at(instrument) if is_over else None) or now
    how = Settlement.EXPIRED
    if is_exercised:
        how = Settlement.EXERCISED if is_long else Settlement.ASSIGNED
    elif is_cash_settled(instrument):
        how = settlement_of(each.value, is_long=is_long)
    value = Price(ZERO) if how is Settlement.EXPIRED else each.value
    yield _break(each, instrument, -each.quantity, value, how, at)
    if is_exercised:
        sign = 1 if instrument.right is OptionRight.CALL else -1
        price = Price((instrument.strike or ZERO) + sign * value)
        yield _break(each, underlying_of(instrument), each.shares, price, how, at)


def _break(  # noqa: PLR0917 - private, the terms of one execution
    each: Ended, instrument: Instrument, quantity: Decimal, price: Price, how: Settlement, at: datetime
) -> Break:
    option, key = each.instrument, instrument.key
    name = f"settled-{option.key}-{plain(abs(signed(each.position)))}-{at:%Y%m%d}-{instrument.market_type}"
    fill = Fill(
        exec_id=f"{name.replace('.', '_')}.01",
        bracket_id=each.position.bracket_id,
        instrument=instrument,
        side=OrderSide.BUY if quantity > ZERO else OrderSide.SELL,
        quantity=Quantity(abs(quantity)),
        price=price,
        filled_at=at,
        settlement=how,
    )
    words = fill_words(fill)
    what = f"{how}" if instrument is option else f"delivered by {option.key}, {how}"
    return Break(
        code=BreakCode.CONTRACT_ENDED,
        key=key,
        subject=fill.exec_id,
        ours="held" if instrument is option else "not booked",
        theirs=words,
        message=f"{key}: {what}: {words}.",
        correction=Correction(kind=CorrectionKind.SETTLE, message="Book it.", fill=fill),
        instrument=instrument,
    )


def without_settled(fills: Iterable[Fill], booked: Sequence[Fill]) -> tuple[Fill, ...]:
    """Return *fills* of the broker without those that only say again what is *booked*: they were no trades.

    The broker may report the end of a contract at a price of 0, and what it delivered at the strike.
    """
    strikes = {each.instrument.strike for each in booked if each.instrument.strike is not None}
    delivered = {(each.instrument.key, each.side, each.quantity) for each in booked if each.instrument.expiry is None}

    def is_settled(fill: Fill) -> bool:
        if fill.instrument.expiry is not None:
            return not fill.price
        return fill.price in strikes and (fill.instrument.key, fill.side, fill.quantity) in delivered

    return tuple(fill for fill in fills if not is_settled(fill))
