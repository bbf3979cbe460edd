"""Prices, money and quantities: decimals whose rounding direction is in the name."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

Price = NewType("Price", Decimal)
"""Amount of the quote currency for one unit (one share, one coin, one option share)."""

Usd = NewType("Usd", Decimal)
"""An amount of account currency."""

Quantity = NewType("Quantity", Decimal)
"""Units of an instrument: whole shares or contracts, or a multiple of a smaller step."""

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of *step* that is not above *value*.

    >>> floor_to_step(Decimal("10.37"), Decimal("0.05"))
    Decimal('10.35')
    """
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def ceil_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of *step* that is not below *value*.

    >>> ceil_to_step(Decimal("10.32"), Decimal("0.05"))
    Decimal('10.35')
    """
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step


def round_to_cent(value: Decimal) -> Decimal:
    """Return *value* in whole cents, halves to the even cent.

    >>> round_to_cent(Decimal("2.345"))
    Decimal('2.34')
    """
    return value.quantize(CENT, rounding=ROUND_HALF_EVEN)


def number_of(text: str) -> Decimal | None:
    """Return the finite number that *text* is; None where it is none.

    >>> number_of(" 48.50"), number_of("NaN"), number_of("much")
    (Decimal('48.50'), None, None)
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def two_readings(text: str) -> str:
    """Return the two amounts that a text such as ``5.000`` may mean, nothing for a text that means one.

    >>> two_readings("5.000"), two_readings("5000"), two_readings("0.125")
    ('5.00 or 5000', '', '')
    """
    whole, _, part = text.partition(".")
    is_thousand = len(whole) <= len("999") and len(part) == len("000") and not whole.startswith("0")
    if not (is_thousand and whole.isdecimal() and part.isdecimal()):
        return ""
    return f"{Decimal(text):.2f} or {whole}{part}"


MOST_DIGITS = 60
"""Digits up to which a whole number is written out."""


def shortest(value: Decimal) -> Decimal:
    """Return *value* without trailing zeros and without an exponent.

    >>> shortest(Decimal("150.00")), shortest(Decimal("1E+3"))
    (Decimal('150'), Decimal('1000'))
    >>> shortest(Decimal("1E+30")), shortest(Decimal("1E+900"))
    (Decimal('1000000000000000000000000000000'), Decimal('1E+900'))
    """
    value = value.normalize()
    is_whole = value.adjusted() <= MOST_DIGITS and value == value.to_integral_value()
    return Decimal(int(value)) if is_whole else value
