"""Rows of a list that name no time: the order in which they count worst, and how each is known again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import NamedTuple

from apex_cli.core.day_trades.flow import least_start
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.side import OrderSide
from apex_cli.core.text.cells import When

FIRST_FILL = time(9, 30)


class Draft(NamedTuple):
    """One trade, before times and accounts are settled."""

    line: int
    when: When
    kind: SecType
    security: str
    side: OrderSide
    quantity: Decimal
    exec_id: str
    order_id: str
    con_id: int
    account: str
    is_closing: bool
    is_opening: bool


def without_cancelled(drafts: Sequence[Draft], cancels: Sequence[Draft]) -> list[Draft]:
    """Return the trades that no cancel takes back: each takes the nearest one of its security, side and quantity."""
    kept = list(drafts)
    for cancel in cancels:
        same = [
            draft
            for draft in kept
            if (draft.security, draft.side, draft.quantity) == (cancel.security, cancel.side, cancel.quantity)
        ]
        if same:
            kept.remove(min(same, key=lambda draft: abs(draft.line - cancel.line)))
    return kept


def row_id(content: str, seen: Counter[str]) -> str:
    """Return an id made of the content of a row: the same at every reading, another one each time it was *seen*."""
    seen[content] += 1
    return "row-" + hashlib.sha256(f"{content} {seen[content]}".encode()).hexdigest()[:24]


def content_id(draft: Draft, filled_at: datetime, seen: Counter[str]) -> str:
    """Return an id made of the content of a trade."""
    when = draft.when.day.isoformat() if draft.when.clock is None else filled_at.isoformat()
    return row_id(f"{when} {draft.security} {draft.side} {draft.quantity.normalize()} {draft.exec_id}", seen)


def moments_of_fills(drafts: Sequence[Draft], zone: object) -> list[datetime]:
    """Return the moment of each trade; those of a date alone are put in the order that makes the most day trades."""
    from datetime import tzinfo

    own = zone if isinstance(zone, tzinfo) else NEW_YORK
    moments = [draft.when.naive.replace(tzinfo=draft.when.zone or own) for draft in drafts]
    groups: dict[tuple[str, date], list[int]] = {}
    for at, draft in enumerate(drafts):
        if draft.when.clock is None:
            groups.setdefault((draft.security, draft.when.day), []).append(at)
    for (_, day), places in groups.items():
        begin = datetime.combine(day, FIRST_FILL, NEW_YORK)
        for number_, at in enumerate(_worst_order(drafts, places)):
            moments[at] = begin + timedelta(seconds=number_)
    return moments


def _worst_order(drafts: Sequence[Draft], places: Iterable[int]) -> Iterator[int]:
    """Yield the trades of one security on one day, openings and closings in turn; purchases first if in doubt."""
    listed = list(places)
    opening = OrderSide.BUY
    marked = [drafts[at] for at in listed if drafts[at].is_opening]
    if marked:
        opening = marked[0].side
    first = [at for at in listed if drafts[at].side is opening]
    second = [at for at in listed if drafts[at].side is not opening]
    for one, other in zip_longest(first, second):
        if one is not None:
            yield one
        if other is not None:
            yield other


def least_starts(executions: Iterable[Execution], closing: Mapping[str, bool]) -> dict[str, Decimal]:
    """Return what must have been held before, where a trade is marked as closing something older."""
    changes: dict[str, list[tuple[Decimal, bool]]] = {}
    for row in sorted(executions, key=lambda row: (row.filled_at, row.key)):
        changes.setdefault(row.security, []).append((row.quantity * row.side.sign, closing[row.exec_id]))
    return {security: start for security, rows in changes.items() if (start := least_start(rows))}
