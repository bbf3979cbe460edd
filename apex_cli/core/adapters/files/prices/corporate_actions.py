"""A file of splits and dividends: one row each, with symbol, date, kind and value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

from apex_cli.core.adapters.files.named_file import read_text_file
from apex_cli.core.model.corporate_action import ActionKind, CorporateAction
from apex_cli.core.model.money import number_of
from apex_cli.core.model.spelling import canonical_ticker
from apex_cli.core.text.problems import Problems
from apex_cli.core.text.table_reader import named_rows

COLUMNS = ("symbol", "date", "kind", "value")
_RATIO = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?::|/|for)\s*([0-9]+(?:\.[0-9]+)?)")
MOST_RATIO = Decimal(1000)


def read_actions(path: Path) -> tuple[CorporateAction, ...]:
    """Return the splits and dividends in the CSV file at *path*, oldest first.

    Raises:
        InputError: it cannot be read, or rows are wrong; all of them are named.
    """
    problems = Problems()
    found: list[CorporateAction] = []
    for where, row in named_rows(read_text_file(path, "actions"), path.name, COLUMNS, problems):
        try:
            found.append(_action(row))
        except ValueError as error:
            problems.add(where, str(error))
    problems.stop("actions_invalid", hint="Correct the lines.", details={"file": str(path)})
    return tuple(sorted(found, key=lambda each: (each.ex_date, each.symbol)))


def _action(row: Mapping[str, str]) -> CorporateAction:
    """Return the action of one row."""
    symbol, day, kind, value = (row[name] for name in COLUMNS)
    if not symbol:
        raise ValueError("column symbol is empty, allowed: a symbol")
    try:
        ex_date = date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"column date holds '{day}', allowed: YYYY-MM-DD") from None
    if kind.lower() not in set(ActionKind):
        raise ValueError(f"column kind holds '{kind}', allowed: split or dividend")
    amount = _value(value)
    if amount is None or not 0 < amount <= MOST_RATIO:
        raise ValueError(f"column value holds '{value}', allowed: a number above 0, or a ratio such as 3:2")
    return CorporateAction(
        symbol=canonical_ticker(symbol), ex_date=ex_date, kind=ActionKind(kind.lower()), value=amount
    )


def _value(text: str) -> Decimal | None:
    """Return the number or ratio in *text*; None when it is none."""
    if ratio := _RATIO.fullmatch(text.lower()):
        old = Decimal(ratio[2])
        return Decimal(ratio[1]) / old if old else None
    return number_of(text)
