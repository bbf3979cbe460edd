"""Splits and dividends: what changes a price without changing what is owned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec.structs import replace

from apex_cli.core.model.base import Value


class ActionKind(StrEnum):
    """What a company does."""

    SPLIT = "split"
    DIVIDEND = "dividend"


class CorporateAction(Value, frozen=True, kw_only=True):
    """One split or dividend of one security."""

    symbol: str
    ex_date: date
    """First session without it: the price of that day is the new one."""

    kind: ActionKind
    value: Decimal
    """New shares for one old one, 2 for two for one; or account currency a share."""


def split_before(actions: Iterable[CorporateAction], symbol: str, day: date) -> Decimal:
    """Return how many of today's shares one share of *symbol* on *day* became by splits.

    >>> two = CorporateAction(symbol="A", ex_date=date(2020, 8, 31), kind=ActionKind.SPLIT, value=Decimal(4))
    >>> [str(split_before([two], "A", date(2020, 8, day))) for day in (28, 31)]
    ['4', '1']
    """
    ratio = Decimal(1)
    for each in actions:
        if each.symbol == symbol and each.kind is ActionKind.SPLIT and day < each.ex_date:
            ratio *= each.value
    return ratio


def dividends_of(actions: Iterable[CorporateAction]) -> tuple[CorporateAction, ...]:
    """Return the dividends, oldest first, in today's shares: what was paid before a split is paid on more of them."""
    actions = tuple(actions)
    found = [
        replace(each, value=each.value / split_before(actions, each.symbol, each.ex_date))
        for each in actions
        if each.kind is ActionKind.DIVIDEND
    ]
    return tuple(sorted(found, key=lambda each: (each.ex_date, each.symbol)))
