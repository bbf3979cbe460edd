"""A situation to evaluate, as a JSON or YAML file: account, start positions, executions, time, order, preview.

Every field is optional; what is not reported stays unknown. Unknown fields and values that cannot be are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec

from apex_cli.core.adapters.files.executions import execution_fields as fields
from apex_cli.core.adapters.files.executions.execution_fields import invalid
from apex_cli.core.adapters.files.executions.execution_files import (
    execution_rows,
    keyed_start,
    read_document,
    read_positions,
)
from apex_cli.core.adapters.files.problems import Problems, shown
from apex_cli.core.day_trades.gate import GateOrder
from apex_cli.core.errors import InputError
from apex_cli.core.model.account import AccountFacts, AccountType, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.limits import DayTradeRegime
from apex_cli.core.model.money import Usd

Amount = Decimal | None
OPTION_MULTIPLIER = Decimal(100)
MOST_DAY_TRADES = 1_000_000
ALLOWED = {
    "account.type": ", ".join(AccountType),
    "account.regime": "auto, classic, intraday_margin",
    "account.broker_day_trades_remaining": "a whole number from 0 on, or -1 for unlimited",
    "account.frozen_until": "a date such as 2026-11-24",
    "executions": "a list of executions",
}


Section = TypeVar("Section", "AccountFields", "OrderFields", "PreviewFields", "SituationFields")


class AccountFields(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``account``."""

    type: AccountType | None = None
    regime: DayTradeRegime | None = None
    equity_prev_close: Amount = None
    equity_now: Amount = None
    net_deposits_since_close: Amount = None
    flagged_pdt: bool | None = None
    broker_day_trades_remaining: Annotated[int, msgspec.Meta(ge=-1, le=MOST_DAY_TRADES)] | None = None
    broker_summary_complete: bool | None = None
    net_liquidation: Amount = None
    equity_with_loan: Amount = None
    maint_margin_req: Amount = None
    settled_cash: Amount = None
    net_cash: Amount = None
    working_open_orders_maint: Amount = None
    look_ahead_excess_liquidity: Amount = None
    frozen_until: date | None = None


class OrderFields(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``order``."""

    side: Any = None
    symbol: Any = None
    sec_type: Any = None
    quantity: Any = None
    price: Any = None


class PreviewFields(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``what_if``."""

    equity_with_loan_after: Amount = None
    maint_margin_after: Amount = None
    init_margin_after: Amount = None


class SituationFields(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    account: Any = None
    start_positions: Any = None
    executions: list[Any] | None = None
    as_of: Any = None
    order: Any = None
    what_if: Any = None


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


def read_situation(content: bytes, name: str) -> Situation:
    """Return the situation that a JSON or YAML file describes.

    Raises:
        InputError: it cannot be read, or a value is wrong; the message names the field.
    """
    problems = Problems()
    reported = _section(read_document(content, name), SituationFields, name, "", problems)
    account = _section(reported.account, AccountFields, name, "account", problems)
    order_fields = _section(reported.order, OrderFields, name, "order", problems)
    preview_fields = _section(reported.what_if, PreviewFields, name, "what_if", problems)
    regime = problems.tried(lambda: _regime(account, f"{name}: account.regime"))
    executions = problems.tried(lambda: execution_rows(reported.executions or [], f"{name}: executions")) or ()
    order = (
        None
        if not isinstance(reported.order, Mapping)
        else problems.tried(lambda: _order(order_fields, f"{name}: order"))
    )
    start = problems.tried(lambda: read_positions(reported.start_positions, f"{name}: start_positions")) or {}
    as_of = None if reported.as_of is None else problems.tried(lambda: fields.moment(reported.as_of, f"{name}: as_of"))
    preview = None if reported.what_if is None else _preview(preview_fields)
    problems.stop_or_first(name)
    named = [(row.security, row.sec_type) for row in executions]
    if order:
        named.append((order.security, order.sec_type))
    return Situation(
        facts=_facts(account),
        regime=regime,
        start=keyed_start(start, named),
        executions=executions,
        as_of=as_of,
        order=order,
        preview=preview,
    )


def _section(value: object, kind: type[Section], name: str, section: str, problems: Problems) -> Section:
    """Return one section; what is wrong with its fields is noted, and those fields are left out."""
    if value is None:
        return kind()
    if not isinstance(value, Mapping):
        problems.take(_refusal(name, f"Expected `object`, got `{_json_type(value)}` - at `$.{section}`"))
        return kind()
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    for key, item in value.items():
        where = f"{section}.{key}" if section else str(key)
        if not isinstance(key, str) or key not in known:
            word = f"object contains unknown field `{shown(key)[1:-1]}`"
            problems.take(invalid(f"{name}: {section}" if section else name, word, ", ".join(known)))
            continue
        found[key] = problems.tried(partial(_value, item, known[key].type, name, where))
    return kind(**found)


def _value(item: object, kind: object, name: str, where: str) -> object:
    """Return one field as its type.

    Raises:
        InputError: it is none.
    """
    try:
        value: object = msgspec.convert(item, kind, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise _refusal(name, f"{problem} - at `$.{where}{path.rstrip('`')}`") from None
    if isinstance(value, Decimal) and where.startswith("account."):
        return fields.number(value, f"{name}: {where}", allow_zero=True, allow_negative=True)
    if isinstance(value, Decimal) and not value.is_finite():  # a field that the broker left unset holds a huge number
        raise invalid(f"{name}: {where}", f"{value} is no usable number", "a number")
    return value


def _json_type(value: object) -> str:
    return {"str": "str", "list": "array", "int": "int", "bool": "bool"}.get(type(value).__name__, "number")


KINDS = {"object": "named fields", "array": "a list", "str": "a text", "int": "a whole number", "bool": "true or false"}
"""Kinds of values in words, by the names that msgspec has for them."""


def _refusal(name: str, message: str) -> InputError:
    """Return msgspec's complaint as ours: the field first."""
    problem, _, path = message.partition(" - at `")
    problem = re.sub(r"`(\w+)`", lambda found: KINDS.get(found[1], found[0]), problem)
    where = path.rstrip("`").removeprefix("$").lstrip(".")
    return invalid(f"{name}: {where}" if where else name, problem[:1].lower() + problem[1:], ALLOWED.get(where, ""))


def _regime(account: AccountFields, where: str) -> DayTradeRegime | None:
    regime = account.regime
    if regime is DayTradeRegime.OFF:
        raise invalid(where, "'off' evaluates nothing", "auto, classic, intraday_margin")
    return regime


def _facts(account: AccountFields) -> AccountFacts:
    def amount(name: str) -> Usd | None:
        value = getattr(account, name)
        return None if value is None else Usd(value)

    return AccountFacts(
        account_type=account.type,
        equity_prev_close=amount("equity_prev_close"),
        equity_now=amount("equity_now"),
        net_deposits_since_close=amount("net_deposits_since_close") or Usd(Decimal(0)),
        flagged_pdt=bool(account.flagged_pdt),
        broker_day_trades_remaining=account.broker_day_trades_remaining,
        broker_summary_complete=account.broker_summary_complete,
        net_liquidation=amount("net_liquidation"),
        equity_with_loan=amount("equity_with_loan"),
        maint_margin_req=amount("maint_margin_req"),
        settled_cash=amount("settled_cash"),
        net_cash=amount("net_cash"),
        working_open_orders_maint=amount("working_open_orders_maint") or Usd(Decimal(0)),
        look_ahead_excess_liquidity=amount("look_ahead_excess_liquidity"),
        frozen_until=account.frozen_until,
    )


def _preview(preview: PreviewFields) -> MarginPreview:
    values: Mapping[str, Decimal | None] = msgspec.structs.asdict(preview)
    return MarginPreview(**{name: None if value is None else Usd(value) for name, value in values.items()})


def _order(order: OrderFields, where: str) -> GateOrder:
    """Return the order.

    Raises:
        InputError: fields are missing or wrong; all are named at once.
    """

    def required(name: str) -> object:
        if getattr(order, name) is None:
            raise invalid(f"{where}.{name}", "is missing", "side, symbol, quantity; sec_type and price may be left out")
        return getattr(order, name)

    given = SecType.STK.value if order.sec_type is None else order.sec_type
    found = fields.collected(
        where,
        kind=lambda: fields.sec_type(given, f"{where}.sec_type"),
        symbol=lambda: fields.symbol(required("symbol"), f"{where}.symbol"),
        side=lambda: fields.side(required("side"), f"{where}.side"),
        quantity=lambda: fields.number(required("quantity"), f"{where}.quantity"),
        price=lambda: None if order.price is None else fields.number(order.price, f"{where}.price"),
    )
    return GateOrder(
        security=fields.security_key(found["symbol"], found["kind"]),
        sec_type=found["kind"],
        side=found["side"],
        quantity=found["quantity"],
        price=found["price"],
        multiplier=OPTION_MULTIPLIER if found["kind"] is SecType.OPT else Decimal(1),
    )
