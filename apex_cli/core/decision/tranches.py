"""Divides a quantity between the targets of a trade."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Quantity, floor_to_step


def split_quantity(quantity: Quantity, instrument: Instrument, parts: int) -> tuple[Quantity, ...]:
    """Return *quantity* in at most *parts* shares that differ by no more than one step, larger ones first.

    Args:
        quantity: a positive multiple of the instrument's step.
        instrument: gives the step.
        parts: how many are wanted; 0 counts as 1.
    """
    step = instrument.quantity_step
    steps = int(quantity / step)
    count = max(1, min(parts, steps))
    each, more = divmod(steps, count)
    return tuple(Quantity((each + (1 if number < more else 0)) * step) for number in range(count))


def tranche_quantities(
    quantity: Quantity, instrument: Instrument, targets: int, fractions: Sequence[Decimal]
) -> tuple[Quantity, ...]:
    """Return the quantity of each tranche, nearest target first; without *fractions* even parts.

    Each target gets its fraction down to the step, at least one step while there is any. What fractions of less than
    1 leave over is the last tranche, which has no target; what rounding leaves over goes to the first.

    Args:
        quantity: a positive multiple of the instrument's step.
        instrument: gives the step.
        targets: how many there are.
        fractions: one a target, adding up to at most 1; empty for even parts.
    """
    if not fractions or not targets:
        return split_quantity(quantity, instrument, targets)
    step = instrument.quantity_step
    left: Decimal = quantity
    parts: list[Decimal] = []
    for fraction in fractions[:targets]:
        part = min(left, max(step, floor_to_step(quantity * fraction, step)))
        if part:
            parts.append(part)
            left -= part
    if left and sum(fractions) < 1:
        parts.append(left)
    else:
        parts[0] += left
    return tuple(map(Quantity, parts))
