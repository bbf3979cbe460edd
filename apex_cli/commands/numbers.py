"""Numbers on the command line."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import typer


def positive_decimal(text: str) -> Decimal:
    """Return *text* as a positive finite decimal."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise typer.BadParameter(f"{text!r} is not a positive number, such as 48.50.")
    return value


def fraction(text: str) -> Decimal:
    """Return *text* as a fraction in (0, 1]."""
    value = positive_decimal(text)
    if value > 1:
        raise typer.BadParameter(f"{text!r} is more than 1. 1 % is 0.01.")
    return value
