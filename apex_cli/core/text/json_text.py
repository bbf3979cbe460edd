"""JSON text to plain values: exact numbers, no duplicate names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from apex_cli.core.errors import EXHAUSTING

MAX_INT_TEXT = 400
"""Digits of a whole number beyond which it stays text."""

Pairs = list[tuple[str, object]]


def once(pairs: Pairs) -> dict[str, object]:
    """Return a JSON object.

    Raises:
        ValueError: a name comes twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{given_twice(pairs)!r} is given twice")
    return found


def given_twice(pairs: Pairs) -> str:
    """Return the name that comes most often."""
    return Counter(name for name, _ in pairs).most_common(1)[0][0]


def parse_json(text: str, objects: Callable[[Pairs], object] = once) -> object:
    """Return a JSON document as plain values, fractions as Decimal; NaN and what is no sane number stay text.

    Args:
        text: the document.
        objects: makes an object of names and values; by default a name must not come twice.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text, parse_float=_fraction, parse_int=_whole, parse_constant=str, object_pairs_hook=objects)
    except EXHAUSTING:
        raise ValueError("nested too deeply") from None


def _fraction(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except ArithmeticError:
        return text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_INT_TEXT else text
