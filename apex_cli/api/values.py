"""Checks of the arguments of programs, the same as those of the commands."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from apex_cli.core.errors import InputError
from apex_cli.core.signals.strategy import Number, plain_value

WordT = TypeVar("WordT", bound=StrEnum)
LEAST, MOST = Decimal("1e-12"), Decimal("1e12")


def amount(name: str, value: Number, most: Decimal = MOST) -> Decimal:
    """Return *value* exactly.

    Raises:
        InputError: it is no number between 1e-12 and *most*.
    """
    plain = plain_value(value)
    try:
        found = Decimal(plain) if isinstance(plain, Decimal | int | str) and not isinstance(plain, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not LEAST <= found <= most:
        above = f" of {most:f} at the most" if most < MOST else ", such as 48.50"
        raise InputError("usage", f"{name}: {value!r} is not a positive number{above}.", hint=f"Correct {name}.")
    return found


def maybe_amount(name: str, value: Number | None, most: Decimal = MOST) -> Decimal | None:
    """Return *value* exactly, None for None.

    Raises:
        InputError: it is no number between 1e-12 and *most*.
    """
    return None if value is None else amount(name, value, most)


def word(name: str, kind: type[WordT], text: str | None) -> WordT | None:
    """Return the word of *kind* that *text* is, in capitals or not; None for None.

    Raises:
        InputError: it is none of them.
    """
    if text is None:
        return None
    for each in kind:
        if each.value.lower() == str(text).lower():
            return each
    known = ", ".join(each.value for each in kind)
    raise InputError("usage", f"{name}: {text!r} is not one of {known}.", hint=f"Correct {name}.")
