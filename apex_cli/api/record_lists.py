"""Rows of an account, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.model.base import Value, taken_over
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, OutboxRow
from apex_cli.core.model.side import OrderSide


class Account(Value, frozen=True, kw_only=True):
    """What the account is worth."""

    name: str
    """As every screen says it: ``SIM``, ``PAPER DU…67``."""

    equity: Decimal
    """Net liquidation value, in account currency."""

    cash: Decimal
    buying_power: Decimal
    day_trades_left: int | None
    """-1 unlimited, None where they are not counted."""

    taken_at: datetime


class Approval(Value, frozen=True, kw_only=True):
    """A trade that waits for an answer, or got one."""

    approval_id: str
    signal_id: str
    symbol: str
    side: OrderSide
    quantity: Decimal | None
    """As asked for, else as worked out; None where it cannot be."""

    entry_price: Decimal
    stop_loss: Decimal
    target_prices: tuple[Decimal, ...]
    risk_amount: Decimal | None
    """Loss at the stop before costs, in account currency."""

    reward_risk: Decimal | None
    score: Decimal
    strategy: str
    status: ApprovalStatus
    reason: str
    """Why it was rejected, or ended."""

    created_at: datetime
    expires_at: datetime
    filled: Decimal
    """Units of the entry that were filled when it was answered."""

    orders: tuple[str, ...]
    """Client order ids that the answer sent."""


class Order(Value, frozen=True, kw_only=True):
    """One order."""

    client_order_id: str
    symbol: str
    role: OrderRole
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    filled: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus


class Event(Value, frozen=True, kw_only=True):
    """Something that happened, as the journal keeps it."""

    seq: int
    """Rises by one from event to event, for the life of the account."""

    at: datetime
    kind: str
    """``decided``, ``order_updated``, ``fill``, ``round_trip_closed``, ..."""

    subject: str
    """Signal, security, session or request that it concerns."""

    data: dict[str, Any]


def approval_of(record: ApprovalRecord, orders: Sequence[OrderRecord] = ()) -> Approval:
    """Return *record* as programs see it, with the *orders* of its answer."""
    signal, sized = record.opportunity.signal, record.decision.sized
    entries = [each for each in orders if each.order.role is OrderRole.ENTRY]
    return Approval(
        approval_id=record.approval_id,
        signal_id=signal.signal_id,
        symbol=signal.instrument.key,
        side=signal.side,
        quantity=record.quantity or (sized.quantity if sized else None),
        entry_price=signal.entry_price,
        stop_loss=signal.stop_loss,
        target_prices=signal.target_prices,
        risk_amount=sized.risk_amount if sized else None,
        reward_risk=record.decision.reward_risk,
        score=record.opportunity.opportunity_score,
        strategy=signal.strategy,
        status=record.status,
        reason=record.reason,
        created_at=record.created_at,
        expires_at=record.expires_at,
        filled=sum((each.filled_quantity for each in entries), Decimal(0)),
        orders=tuple(each.order.client_order_id for each in orders),
    )


def order_of(record: OrderRecord) -> Order:
    """Return *record* as programs see it."""
    order = record.order
    return taken_over(Order, order, symbol=order.instrument.key, filled=record.filled_quantity, status=record.status)


def event_of(row: OutboxRow) -> Event:
    """Return *row* as programs see it."""
    data = msgspec.json.decode(row.data)
    return taken_over(Event, row, data=data)
