"""Quotes on the wire: the ticks for bid, ask, last and close, live or delayed."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

from apex_cli.core.model.base import Value
from apex_cli.gateway.messages import Fields, tick_generic, tick_price, tick_size
from apex_cli.gateway.policy import Policy

LOT = Decimal(100)


class DataType(IntEnum):
    """Market data types of ``reqMarketDataType``."""

    LIVE = 1
    FROZEN = 2
    DELAYED = 3
    DELAYED_FROZEN = 4


LIVE_TICKS = (1, 2, 4, 9)
DELAYED_TICKS = (66, 67, 68, 75)
"""Bid, ask, last, close."""


class Quoted(Value, frozen=True, kw_only=True):
    """The market of one security."""

    bid: Decimal
    ask: Decimal
    last: Decimal
    close: Decimal


class TickRequest(Value, frozen=True, kw_only=True):
    """One ``reqMktData``."""

    request_id: int
    key: str
    data_type: DataType
    is_snapshot: bool = False
    wants_borrow: bool = False
    """It asked for generic tick 236: what can be borrowed."""


class Standing(Value, frozen=True, kw_only=True):
    """Whether a security trades, and what can be borrowed of it."""

    is_halted: bool = False
    shortable: Decimal | None = None
    """Units; None sends nothing of it."""


HALTED, SHORTABLE, SHORTABLE_UNITS = 49, 46, 89
PLENTY, NONE = Decimal(3), Decimal(1)
"""Grades of tick 46: above 2.5 at least 1000 units can be borrowed, up to 1.5 none."""


def standing_messages(request: TickRequest, standing: Standing) -> list[Fields]:
    """Return whether it is halted, and to who asked for it what can be borrowed."""
    number = request.request_id
    found = [tick_generic(number, HALTED, Decimal(standing.is_halted))]
    if request.wants_borrow and standing.shortable is not None:
        found.append(tick_generic(number, SHORTABLE, PLENTY if standing.shortable else NONE))
        found.append(tick_size(number, SHORTABLE_UNITS, standing.shortable))
    return found


def tick_messages(request: TickRequest, market: Quoted) -> list[Fields]:
    """Return the market as ticks."""
    kinds = LIVE_TICKS if request.data_type in {DataType.LIVE, DataType.FROZEN} else DELAYED_TICKS
    prices = (market.bid, market.ask, market.last, market.close)
    sizes = (LOT, LOT, LOT, Decimal(0))
    return [
        tick_price(request.request_id, kind, price, size)
        for kind, price, size in zip(kinds, prices, sizes, strict=True)
    ]


def data_type_for(wanted: int, policy: Policy) -> DataType | None:
    """Return what a client gets that asked for *wanted*: live if it is subscribed, else delayed if allowed."""
    if policy.has_live_data:
        return DataType.LIVE
    return DataType.DELAYED if wanted in {DataType.DELAYED, DataType.DELAYED_FROZEN} else None
