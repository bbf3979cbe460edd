"""Messages of the broker as values: one class for each callback that reports orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.order_terms import limit_price_of, own_type, stop_price_of
from apex_cli.core.adapters.ib.securities import instrument_of
from apex_cli.core.adapters.ib.shapes import IbCommission, IbContract, IbExecution, IbOrder, IbOrderState
from apex_cli.core.model.base import Value
from apex_cli.core.model.execution import Corrected
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderType
from apex_cli.core.model.side import OrderSide

COMBINATION = "BAG"
NOT_YET_KNOWN = Decimal(-1)
"""What a commission report says before the commission is worked out."""

_SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL, "SSHORT": OrderSide.SELL}
_EXECUTED_SIDES = {"BOT": OrderSide.BUY, "SLD": OrderSide.SELL}
_PRICED = frozenset({"STK", "CASH", "CRYPTO"})
"""Kinds that never change hands for nothing; an option does where it expires or is exercised."""


class OpenOrder(Value, frozen=True, kw_only=True):
    """An order with its terms, as ``openOrder`` reports it."""

    order_id: int
    client_id: int
    perm_id: int
    ref: str
    account: str
    instrument: Instrument
    side: OrderSide
    order_type: OrderType | None
    quantity: Quantity
    limit_price: Price | None = None
    stop_price: Price | None = None
    oca_group: str = ""
    parent_id: int = 0
    """Order id of the entry that it waits for, or waited for; 0 when there is none."""

    status: str
    why: str = ""


class StatusWord(Value, frozen=True, kw_only=True):
    """``orderStatus``."""

    order_id: int
    client_id: int
    perm_id: int
    status: str
    filled: Quantity
    why_held: str = ""


class CompletedOrder(Value, frozen=True, kw_only=True):
    """An order that ended today; ids of client and order are not reported."""

    perm_id: int
    ref: str
    account: str
    status: str
    filled: Quantity
    why: str = ""


class Executed(Value, frozen=True, kw_only=True):
    """``execDetails``: one execution, live or asked for."""

    fill: Fill
    perm_id: int
    account: str


class CommissionWord(Value, frozen=True, kw_only=True):
    """``commissionReport``."""

    exec_id: str
    commission: Usd | None
    """Negative for a rebate; None while the broker does not know it."""

    currency: str = ""


class Trouble(Value, frozen=True, kw_only=True):
    """``error``: about an order, a request, or the link."""

    about: int
    """Order or request id, -1 for the link."""

    code: int
    text: str


Word = OpenOrder | StatusWord | CompletedOrder | Executed | CommissionWord | Trouble


def _open_order(order_id: int, contract: IbContract, order: IbOrder, state: IbOrderState) -> OpenOrder | None:
    if order.whatIf:
        return None
    return OpenOrder(
        order_id=order_id,
        client_id=order.clientId,
        perm_id=order.permId,
        ref=order.orderRef,
        account=order.account,
        instrument=instrument_of(contract),
        side=_SIDES.get(order.action, OrderSide.SELL),
        order_type=own_type(order),
        quantity=Quantity(to_decimal(order.totalQuantity) or ZERO),
        limit_price=limit_price_of(order),
        stop_price=stop_price_of(order),
        oca_group=order.ocaGroup,
        parent_id=order.parentId,
        status=state.status,
        why=state.warningText or "",
    )


def _completed_order(_contract: IbContract, order: IbOrder, state: IbOrderState) -> CompletedOrder:
    return CompletedOrder(
        perm_id=order.permId,
        ref=order.orderRef,
        account=order.account,
        status=state.status,
        filled=Quantity(to_decimal(order.filledQuantity) or ZERO),
        why=state.completedStatus or "",
    )


def _executed(_request: int, contract: IbContract, execution: IbExecution) -> Executed | None:
    """Return what ``execDetails`` reported, None for a combination, whose legs are reported one by one.

    Raises:
        ValueError: side, shares or price are none that an execution can have; nothing may be booked from it.
    """
    if contract.secType == COMBINATION:
        return None
    side, shares = _EXECUTED_SIDES.get(execution.side), to_decimal(execution.shares)
    price = to_decimal(execution.price)
    is_taken_back = shares == ZERO and Corrected(exec_id=execution.execId).revision > 1
    if is_taken_back and (price is None or price < ZERO):
        price = ZERO  # of what was not done none is needed
    is_price = price is not None and (price > ZERO or is_taken_back or contract.secType not in _PRICED)
    is_size = shares is not None and (shares > ZERO or is_taken_back)
    if side is None or shares is None or price is None or not (is_price and is_size):
        raise ValueError(
            f"execution {execution.execId} of {contract.symbol} says {execution.side} {execution.shares} at "
            f"{execution.price}"
        )
    fill = Fill(
        exec_id=execution.execId,
        client_order_id=execution.orderRef,
        instrument=instrument_of(contract),
        side=side,
        quantity=Quantity(shares),
        price=Price(price),
        filled_at=execution.time,
    )
    return Executed(fill=fill, perm_id=execution.permId, account=execution.acctNumber)


def _commission(report: IbCommission) -> CommissionWord:
    """Return what an execution cost; -1 and the largest double mean that it is not known yet."""
    number = to_decimal(report.commission)
    is_known = number is not None and number != NOT_YET_KNOWN
    return CommissionWord(
        exec_id=report.execId,
        commission=Usd(number) if is_known and number is not None else None,
        currency=report.currency,
    )


def _status(
    order_id: int, status: str, filled: float, _remaining: float, _average: float, perm_id: int, *rest: object
) -> StatusWord:
    client_id, why_held = rest[2:4]
    return StatusWord(
        order_id=order_id,
        client_id=int(str(client_id)),
        perm_id=perm_id,
        status=status,
        filled=Quantity(to_decimal(filled) or ZERO),
        why_held=str(why_held),
    )


def _trouble(about: int, code: int, text: str, _rejected: str = "") -> Trouble:
    return Trouble(about=about, code=code, text=text)


READERS: Mapping[str, Callable[..., Word | None]] = {
    "openOrder": _open_order,
    "orderStatus": _status,
    "completedOrder": _completed_order,
    "execDetails": _executed,
    "commissionReport": _commission,
    "error": _trouble,
}
"""By callback: what its arguments mean; None where it reports nothing of an order that is ours to know."""
