"""Floats and texts of the protocol as decimals: the broker's sentinels become None."""

from __future__ import annotations

from decimal import Decimal

from apex_cli.core.model.money import Price, number_of, shortest

UNSET = Decimal("1E300")
"""Larger numbers stand for "not set": the protocol sends the largest double."""


def to_decimal(value: float | str | Decimal | None) -> Decimal | None:
    """Return *value* as the decimal that was meant, None for NaN, infinite and unset.

    >>> to_decimal(150.1)
    Decimal('150.1')
    >>> to_decimal(1.7976931348623157e308) is None
    True
    """
    if value is None or value == "":
        return None
    number = number_of(str(value))
    return None if number is None or abs(number) >= UNSET else shortest(number)


def to_price(value: float | str | Decimal | None) -> Price | None:
    """Return a positive price, None for anything else: the protocol's "no price" is -1, 0, NaN or unset."""
    number = to_decimal(value)
    return Price(number) if number is not None and number > 0 else None
