"""A situation to evaluate, as a JSON or YAML file: account, start positions, executions, time, order, preview.

Every field is optional; what is not reported stays unknown. Unknown fields and values that cannot be are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.adapters.files.executions import execution_fields as fields
from apex_cli.core.adapters.files.executions.execution_files import (
    execution_rows,
    keyed_start,
    read_document,
    read_positions,
)
from apex_cli.core.day_trades.gate import GateOrder
from apex_cli.core.model.account import AccountFacts, AccountType, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.limits import DayTradeRegime
from apex_cli.core.text.problems import Problems, Refused, invalid, key_name, shown

OPTION_MULTIPLIER = Decimal(100)
MOST_DAY_TRADES = 1_000_000
SECTIONS = ("account", "start_positions", "executions", "as_of", "order", "what_if")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
REGIMES = tuple(regime for regime in DayTradeRegime if regime is not DayTradeRegime.OFF)


class Situation(Value, frozen=True, kw_only=True):
    """What a file describes, in our words."""

    facts: AccountFacts
    regime: DayTradeRegime | None = None
    """None: as configured."""

    start: dict[str, Decimal] = {}
    executions: tuple[Execution, ...] = ()
    as_of: datetime | None = None
    order: GateOrder | None = None
    preview: MarginPreview | None = None


def read_situation(content: bytes | str, name: str) -> Situation:
    """Return the situation that a JSON or YAML file describes.

    Raises:
        InputError: it cannot be read, or a value is wrong; the message names the field.
    """
    problems = Problems()
    given = dict(_known(read_document(content, name), SECTIONS, name, "", problems))
    account = _section(given.get("account"), ACCOUNT, name, "account", problems)
    preview = _section(given.get("what_if"), PREVIEW, name, "what_if", problems)
    executions = problems.tried(lambda: execution_rows(_listed(given, name), f"{name}: executions")) or ()
    order = _order(given.get("order"), name, problems)
    start = problems.tried(lambda: read_positions(given.get("start_positions"), f"{name}: start_positions")) or {}
    as_of = None if given.get("as_of") is None else problems.read(fields.moment, given["as_of"], f"{name}: as_of")
    problems.stop_or_first(name)
    named = [(row.security, row.sec_type) for row in (*executions, *((order,) if order else ()))]
    return Situation(
        regime=account.pop("regime", None),
        facts=AccountFacts(account_type=account.pop("type", None), **account),
        start=keyed_start(start, named),
        executions=executions,
        as_of=as_of,
        order=order,
        preview=None if given.get("what_if") is None else MarginPreview(**preview),
    )


# ---- sections ---------------------------------------------------------------------------------------------------

Parsers = Mapping[str, Callable[[Any], Any]]
"""Field -> its parser."""


def _known(
    given: object, known: Collection[str], name: str, section: str, problems: Problems
) -> Iterator[tuple[str, object]]:
    """Yield the fields of a section that are *known* and have a value; what is wrong with the others is noted."""
    where = f"{name}: {section}" if section else name
    if not isinstance(given, Mapping | type(None)):
        problems.take(invalid(where, f"expected named fields, got {shown(given)}"))
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if key not in known:
            problems.take(invalid(where, f"object contains unknown field `{key_name(key)}`", ", ".join(known)))
        elif value is not None:
            yield key, value


def _section(given: object, parsers: Parsers, name: str, section: str, problems: Problems) -> dict[str, Any]:
    """Return the values of a section; what is wrong with its fields is noted, and those fields are left out."""
    known = _known(given, parsers, name, section, problems)
    found = {key: problems.read(parsers[key], value, f"{name}: {section}.{key}") for key, value in known}
    return {key: value for key, value in found.items() if value is not None}


def _listed(given: Mapping[str, object], name: str) -> list[object]:
    rows = given.get("executions", [])
    if not isinstance(rows, list):
        raise invalid(f"{name}: executions", f"found {shown(rows)}", "a list of executions")
    return rows


def _order(given: object, name: str, problems: Problems) -> GateOrder | None:
    """Return the order; None where there is none, or something is wrong with it."""
    before = problems.count
    known = dict(_known(given, tuple(ORDER), name, "order", problems))
    if not isinstance(given, Mapping):
        return None
    needed = "side, symbol, quantity; sec_type and price may be left out"
    found = fields.read_fields(known, ORDER, f"{name}: order", problems, needed=needed)
    if problems.count > before:
        return None
    return GateOrder(
        security=fields.security_key(found["symbol"], found["sec_type"]),
        multiplier=OPTION_MULTIPLIER if found["sec_type"] is SecType.OPT else Decimal(1),
        **{key: value for key, value in found.items() if key != "symbol"},
    )


# ---- values -----------------------------------------------------------------------------------------------------


def _account_type(value: object) -> AccountType:
    if not isinstance(value, str) or value not in tuple(AccountType):
        raise Refused(", ".join(AccountType))
    return AccountType(value)


def _regime(value: object) -> DayTradeRegime:
    if value == DayTradeRegime.OFF:
        raise Refused(", ".join(REGIMES), f"{shown(value)} evaluates nothing")
    if not isinstance(value, str) or value not in REGIMES:
        raise Refused(", ".join(REGIMES))
    return DayTradeRegime(value)


def _truth(value: object) -> bool:
    found = TRUTHS.get(str(value).strip().lower())
    if found is None:
        raise Refused("true or false")
    return found


def _trades_left(value: object) -> int:
    allowed = "a whole number from 0 on, or -1 for unlimited"
    number = fields.amount(value, allowed)
    if number != number.to_integral_value() or not -1 <= number <= MOST_DAY_TRADES:
        raise Refused(allowed)
    return int(number)


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise Refused("a date such as 2026-11-24") from None


def _previewed(value: object) -> Decimal:
    """Return a number; a field that the broker left unset holds a huge one."""
    number = fields.any_number(value)
    if not number.is_finite():
        raise Refused("a number", f"{number} is no usable number")
    return number


ACCOUNT: Parsers = {
    "type": _account_type,
    "regime": _regime,
    "equity_prev_close": fields.amount,
    "equity_now": fields.amount,
    "net_deposits_since_close": fields.amount,
    "flagged_pdt": _truth,
    "broker_day_trades_remaining": _trades_left,
    "broker_summary_complete": _truth,
    "net_liquidation": fields.amount,
    "equity_with_loan": fields.amount,
    "maint_margin_req": fields.amount,
    "settled_cash": fields.amount,
    "net_cash": fields.amount,
    "working_open_orders_maint": fields.amount,
    "look_ahead_excess_liquidity": fields.amount,
    "frozen_until": _day,
}
ORDER: fields.Fields = {
    "sec_type": (fields.sec_type, SecType.STK),
    "symbol": (fields.symbol, fields.REQUIRED),
    "side": (fields.side, fields.REQUIRED),
    "quantity": (fields.positive, fields.REQUIRED),
    "price": (fields.positive, None),
}
PREVIEW: Parsers = dict.fromkeys(("equity_with_loan_after", "maint_margin_after", "init_margin_after"), _previewed)
