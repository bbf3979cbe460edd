"""Prices on the tick grid, rounded so that the risk does not grow."""

from __future__ import annotations

from decimal import Decimal

from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, ceil_to_step, floor_to_step
from apex_cli.core.model.side import OrderSide


def to_tick(price: Price, tick: Decimal, side: OrderSide) -> Price:
    """Return *price* on the tick grid: a purchase rounds down, a sale up.

    The same rule serves every leg. An entry limit pays no more than planned. A stop moves towards the entry, so
    the loss at the stop never exceeds what was sized. A target asks for no less than planned.

    >>> to_tick(Price(Decimal("48.004")), Decimal("0.01"), OrderSide.SELL)
    Decimal('48.01')
    """
    return Price(floor_to_step(price, tick) if side is OrderSide.BUY else ceil_to_step(price, tick))


def on_tick(price: Price, instrument: Instrument, side: OrderSide) -> Price:
    """Return *price* on the step of *instrument* that holds at it, rounded as ``to_tick`` says."""
    return to_tick(price, instrument.tick_at(price), side)


def limit_beyond(trigger: Price, part: Decimal, instrument: Instrument, side: OrderSide) -> Price:
    """Return the limit of a stop on *side*: *part* of the trigger beyond it, on the tick.

    limit = trigger * (1 - part) for a sale, trigger * (1 + part) for a purchase
    """
    return on_tick(Price(trigger * (1 + part * side.sign)), instrument, side)


def levels_on_ticks(
    entry: Price, stop: Price, targets: tuple[Price, ...], instrument: Instrument, side: OrderSide
) -> tuple[Price, Price, tuple[Price, ...]]:
    """Return entry, stop and targets of an entry on *side* as their orders will carry them.

    Exits are on the other side.
    """
    exit_side = side.opposite
    rounded = tuple(on_tick(target, instrument, exit_side) for target in targets)
    return on_tick(entry, instrument, side), on_tick(stop, instrument, exit_side), rounded
