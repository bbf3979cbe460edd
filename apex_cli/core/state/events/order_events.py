"""Orders that are about to be sent, their changes of state, and their fills."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.order import Order, OrderRecord
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.state.events.base_event import BaseEvent, Remark


class Intent(Value, frozen=True, kw_only=True):
    """What is about to be sent."""

    bracket: BracketRecord | None = None
    orders: tuple[Order, ...]


class IntentWritten(BaseEvent, frozen=True, kw_only=True, tag="intent"):
    """Orders are on disk and will be sent next."""

    data: Intent


class OrderUpdated(BaseEvent, frozen=True, kw_only=True, tag="order_updated"):
    """An order has another status, or filled some more."""

    data: OrderRecord


class FillEvent(BaseEvent, frozen=True, kw_only=True):
    """Positions follow from a fill."""

    data: Fill


class FillBooked(FillEvent, frozen=True, kw_only=True, tag="fill"):
    """A fill was folded into positions."""


class FillCorrected(FillEvent, frozen=True, kw_only=True, tag="fill_corrected"):
    """The broker corrected a fill that was booked already."""


class EntryFill(Value, frozen=True, kw_only=True):
    """How much of an entry has filled: reported when its first part has, and when nothing more can come."""

    bracket: BracketRecord
    quantity: Quantity
    """Filled so far, all parts together."""

    price: Price
    """Mean of what filled."""

    is_complete: bool
    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""


class EntryFilled(Remark, frozen=True, kw_only=True, tag="entry_filled"):
    """An entry filled, or its first part."""

    news = News(kind=NoticeKind.ENTRY, priority=1)
    data: EntryFill


Event: TypeAlias = IntentWritten | OrderUpdated | FillBooked | FillCorrected | EntryFilled
"""Any event of this module."""
