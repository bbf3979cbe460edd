"""A situation to evaluate, as a JSON or YAML file: account, start positions, executions, time, order, preview.

Every field is optional; what is not reported stays unknown. Unknown fields and values that cannot be are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from apex_cli.core.adapters.files import execution_fields as fields
from apex_cli.core.adapters.files.execution_fields import invalid
from apex_cli.core.adapters.files.executions import execution_rows, keyed_start, read_document, read_positions
from apex_cli.core.day_trades.gate import GateOrder
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

    account: AccountFields | None = None
    start_positions: Any = None
    executions: list[Any] | None = None
    as_of: Any = None
    order: OrderFields | None = None
    what_if: PreviewFields | None = None


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
    document = read_document(content, name)
    if document is None:
        document = {}
    try:
        reported = msgspec.convert(document, SituationFields, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(name, str(error)) from None
    executions = execution_rows(reported.executions or [], f"{name}: executions")
    order = _order(reported.order, f"{name}: order")
    start = read_positions(reported.start_positions, f"{name}: start_positions")
    named = [(row.security, row.sec_type) for row in executions]
    if order:
        named.append((order.security, order.sec_type))
    return Situation(
        facts=_facts(reported.account or AccountFields(), f"{name}: account"),
        regime=_regime(reported.account, f"{name}: account.regime"),
        start=keyed_start(start, named),
        executions=executions,
        as_of=None if reported.as_of is None else fields.moment(reported.as_of, f"{name}: as_of"),
        order=order,
        preview=_preview(reported.what_if, f"{name}: what_if"),
    )


def _refusal(name: str, message: str) -> Exception:
    """Return msgspec's complaint as ours: the field first."""
    problem, _, path = message.partition(" - at `")
    where = path.rstrip("`").removeprefix("$").lstrip(".")
    return invalid(f"{name}: {where}" if where else name, problem[:1].lower() + problem[1:], ALLOWED.get(where, ""))


def _regime(account: AccountFields | None, where: str) -> DayTradeRegime | None:
    regime = account.regime if account else None
    if regime is DayTradeRegime.OFF:
        raise invalid(where, "'off' evaluates nothing", "auto, classic, intraday_margin")
    return regime


def _facts(account: AccountFields, where: str) -> AccountFacts:
    def amount(name: str) -> Usd | None:
        return _amount(getattr(account, name), f"{where}.{name}")

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


def _amount(value: Decimal | None, where: str) -> Usd | None:
    if value is None:
        return None
    return Usd(fields.number(value, where, allow_zero=True, allow_negative=True))


def _preview(reported: PreviewFields | None, where: str) -> MarginPreview | None:
    """Return the preview; a field the broker left unset may hold the largest double, so size is no error here."""
    if reported is None:
        return None
    values: Mapping[str, Decimal | None] = msgspec.structs.asdict(reported)
    for name, value in values.items():
        if value is not None and not value.is_finite():
            raise invalid(f"{where}.{name}", f"{value} is no usable number", "a number")
    return MarginPreview(**{name: None if value is None else Usd(value) for name, value in values.items()})


def _order(reported: OrderFields | None, where: str) -> GateOrder | None:
    if reported is None:
        return None
    for name in ("side", "symbol", "quantity"):
        if getattr(reported, name) is None:
            raise invalid(f"{where}.{name}", "is missing", "side, symbol, quantity; sec_type and price may be left out")
    kind = SecType.STK if reported.sec_type is None else fields.sec_type(reported.sec_type, f"{where}.sec_type")
    return GateOrder(
        security=fields.security_key(fields.symbol(reported.symbol, f"{where}.symbol"), kind),
        sec_type=kind,
        side=fields.side(reported.side, f"{where}.side"),
        quantity=fields.number(reported.quantity, f"{where}.quantity"),
        price=None if reported.price is None else fields.number(reported.price, f"{where}.price"),
        multiplier=OPTION_MULTIPLIER if kind is SecType.OPT else Decimal(1),
    )
