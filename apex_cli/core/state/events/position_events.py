"""Positions that are reduced or closed, and the locks that follow from closed trades."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.side import PositionSide
from apex_cli.core.state.events.base_event import BaseEvent, Remark


class Reduction(Value, frozen=True, kw_only=True):
    """A part of a position was closed; the rest is still held."""

    instrument: Instrument
    side: PositionSide
    quantity: Quantity
    """Units that this order closed."""

    remaining: Quantity
    entry_price: Price
    exit_price: Price
    pnl: Usd
    """Of what this order closed, before commissions."""

    pnl_pct: Decimal
    reason: str
    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""


class PositionReduced(Remark, frozen=True, kw_only=True, tag="position_reduced"):
    """A part of a position was closed."""

    news = News(kind=NoticeKind.EXIT, priority=1)
    data: Reduction


class RoundTripClosed(BaseEvent, frozen=True, kw_only=True, tag="round_trip_closed"):
    """A position is flat again."""

    news = News(kind=NoticeKind.EXIT, priority=1)
    data: RoundTrip


class RoundTripVoided(BaseEvent, frozen=True, kw_only=True, tag="round_trip_voided"):
    """A late or corrected fill undid a round trip."""

    data: RoundTrip


class LockEvent(BaseEvent, frozen=True, kw_only=True):
    """A lock began or ended."""

    news = News(kind=NoticeKind.TRADING_STATE)
    data: TradeLock


class TradeLocked(LockEvent, frozen=True, kw_only=True, tag="trade_locked"):
    """Closed trades led to a lock: nothing is opened in its subject until it ends."""


class TradeLockLifted(LockEvent, frozen=True, kw_only=True, tag="trade_lock_lifted"):
    """A person lifted a lock."""


class TradeLockVoided(LockEvent, frozen=True, kw_only=True, tag="trade_lock_voided"):
    """The trades that a lock came from turned out not to have lost."""


LockChange: TypeAlias = TradeLocked | TradeLockLifted | TradeLockVoided
"""What becomes of a lock."""


Event: TypeAlias = PositionReduced | RoundTripClosed | RoundTripVoided | TradeLocked | TradeLockLifted | TradeLockVoided
"""Any event of this module."""
