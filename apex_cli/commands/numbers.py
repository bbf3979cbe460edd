"""Numbers on the command line."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

import typer

LEAST, MOST = Decimal("1e-12"), Decimal("1e12")
MOST_DIGITS = 24
LONGEST_WAIT_S = 86_400


def positive_decimal(text: str) -> Decimal:
    """Return *text* as a decimal between 1e-12 and 1e12: beyond that there are no prices or amounts."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise typer.BadParameter(f"{text!r} is not a positive number, such as 48.50.")
    if not LEAST <= value <= MOST or len(value.as_tuple().digits) > MOST_DIGITS:
        raise typer.BadParameter(f"{text[:40]!r} is too large, too small or has too many digits.")
    return value


def fraction(text: str) -> Decimal:
    """Return *text* as a fraction in (0, 1]."""
    value = positive_decimal(text)
    if value > 1:
        raise typer.BadParameter(f"{text!r} is more than 1. 1 % is 0.01.")
    return value


def seconds(text: str | float) -> float:
    """Return *text* as a time to wait, between nothing and a day."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_WAIT_S:
        raise typer.BadParameter(f"{text!r} is not a number of seconds between 0 and {LONGEST_WAIT_S}.")
    return value
