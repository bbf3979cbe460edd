"""The base of every value, and the bounds that a field of the configuration or of a file may have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record; change it with ``msgspec.structs.replace``.

    Values refer only to what was there before them, so they never form a cycle, and the garbage
    collector need not look at them (``gc=False``).
    """


def named(source: object, *names: str) -> dict[str, Any]:
    """Return the attributes of *source* that *names* name, under these names."""
    return {name: getattr(source, name) for name in names}


StructT = TypeVar("StructT", bound=msgspec.Struct)


def taken_over(kind: type[StructT], source: object, **others: Any) -> StructT:  # noqa: ANN401 - fields of any type
    """Return a *kind* whose fields are the attributes of *source* with their names, but for *others*."""
    return kind(**named(source, *(name for name in kind.__struct_fields__ if name not in others)), **others)


class Range(msgspec.Struct, frozen=True, gc=False):
    """The numbers that a field takes: [low, high], or (low, high] when *above*.

    It stands beside the field: ``max_risk_pct: Annotated[Decimal, Range(0, 1, above=True)]``.

    >>> str(Range(0, 1, above=True)), Decimal(0) in Range(0, 1), Decimal("NaN") in Range(0, 1)
    ('above 0 up to 1', True, False)
    """

    low: int | Decimal
    high: int | Decimal
    above: bool = False

    def __contains__(self, number: Decimal) -> bool:
        """Return whether *number* is allowed; NaN and infinities never are."""
        if not number.is_finite():
            return False
        return (number > self.low if self.above else number >= self.low) and number <= self.high

    def __str__(self) -> str:
        """Return the range in words."""
        low, high = f"{Decimal(self.low):f}", f"{Decimal(self.high):f}"
        return f"{'above' if self.above else 'from'} {low} {'up to' if self.above else 'to'} {high}"


class Amount(Range, frozen=True, gc=False):
    """The amounts of money that a field takes; 5.000, which much of the world reads as five thousand, is none."""


class Spelling(msgspec.Struct, frozen=True, gc=False):
    """How a text is spelled: *parse* returns the text to keep, or raises ``ValueError`` with what is wrong.

    It stands beside the field, as a ``Range`` does: ``zone: Annotated[str, Spelling(as_zone, "a time zone")]``.
    """

    parse: Callable[[str], str]
    allowed: str
    """What an error names as allowed."""

    is_free: bool = False
    """True for any printable text on one line, blanks and letters of every language included."""


MOST_MONEY = 10**12
Fraction = Annotated[Decimal, Range(0, 1, above=True)]
"""A part of something, never nothing: 0.01 is 1 %."""

Share = Annotated[Decimal, Range(0, 1)]
"""A part of something, or a score, 0..1."""

Minutes = Annotated[int, Range(1, 525_600)]
"""A time in minutes, a year at most."""

InR = Annotated[Decimal, Range(0, 100, above=True)]
"""A distance in multiples of the first risk."""
