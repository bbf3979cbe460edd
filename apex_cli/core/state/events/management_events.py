"""What is done to look after positions and resting entries."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.state.events.base_event import BaseEvent, Remark


class StopMove(Value, frozen=True, kw_only=True):
    """A stop stands nearer to the price."""

    client_order_id: str
    symbol: str
    why: str
    """``breakeven``, ``target``, ``trail``, or ``hand`` where a person wanted it."""

    from_price: Price
    to_price: Price
    price: Price
    """The latest price then."""

    r_multiple: Decimal
    """Profit in R then."""


class StopMoved(Remark, frozen=True, kw_only=True, tag="stop_moved"):
    """A stop was moved."""

    data: StopMove


class TrailStart(Value, frozen=True, kw_only=True):
    """A trailing stop was sent beside the stop it will replace."""

    client_order_id: str
    symbol: str
    replaces: str
    stop_price: Price
    trail_amount: Price
    price: Price
    r_multiple: Decimal


class TrailStarted(Remark, frozen=True, kw_only=True, tag="trail_started"):
    """A trailing stop was sent."""

    data: TrailStart


class StopReplacement(Value, frozen=True, kw_only=True):
    """A stop is gone, and the trailing one works in its place."""

    client_order_id: str
    symbol: str
    replaced_by: str


class StopReplaced(Remark, frozen=True, kw_only=True, tag="stop_replaced"):
    """The stop beside a trailing one was cancelled."""

    data: StopReplacement


class EntryEnd(Value, frozen=True, kw_only=True):
    """What was left of an entry was cancelled, as the stops of what it has bought are moved now."""

    client_order_ids: tuple[str, ...]
    symbol: str
    r_multiple: Decimal


class EntryEnded(Remark, frozen=True, kw_only=True, tag="entry_ended"):
    """The rest of an entry was cancelled."""

    data: EntryEnd


class RestoredTarget(Value, frozen=True, kw_only=True):
    """A limit close ended unfilled, and its target is back."""

    client_order_id: str
    symbol: str
    limit_price: Price
    quantity: Quantity


class TargetRestored(Remark, frozen=True, kw_only=True, tag="target_restored"):
    """A target was sent again."""

    data: RestoredTarget


class TimedClose(Value, frozen=True, kw_only=True):
    """A position, or a part of it, was closed because it was time."""

    symbol: str
    due: datetime
    quantity: Quantity
    exit_price: Price | None


class TimeExit(Remark, frozen=True, kw_only=True, tag="time_exit"):
    """A position was held as long as it may be."""

    data: TimedClose


class ExpiryExit(Remark, frozen=True, kw_only=True, tag="before_expiry"):
    """An option was closed before it expires."""

    data: TimedClose


class EndOfDayExit(Remark, frozen=True, kw_only=True, tag="end_of_day"):
    """A position was closed before the session ended."""

    data: TimedClose


class PriceStep(Value, frozen=True, kw_only=True):
    """The rest of a limit entry was sent again at another price."""

    symbol: str
    from_price: Price
    to_price: Price
    times: int
    filled: Quantity
    """What the decision had bought by then."""

    quantity: Quantity
    """What is sent now."""

    cancelled: tuple[str, ...]
    """Client order ids of the entries it takes the place of."""

    bracket: BracketRecord
    """The decision with its mean entry price as planned now."""


class Repriced(BaseEvent, frozen=True, kw_only=True, tag="repriced"):
    """A resting entry follows the price."""

    data: PriceStep


class RefusedStep(Value, frozen=True, kw_only=True):
    """A step that was due is not taken."""

    symbol: str
    from_price: Price
    to_price: Price
    is_over: bool
    """True: the entry was cancelled already, and its rest is given up."""

    reasons: tuple[Reason, ...]


class RepriceRefused(Remark, frozen=True, kw_only=True, tag="reprice_refused"):
    """A resting entry does not follow the price."""

    data: RefusedStep


ManagementStep: TypeAlias = (
    StopMoved
    | TrailStarted
    | StopReplaced
    | EntryEnded
    | TargetRestored
    | TimeExit
    | ExpiryExit
    | EndOfDayExit
    | Repriced
    | RepriceRefused
)
"""What is done to look after a position or a resting entry."""


Event: TypeAlias = (
    StopMoved
    | TrailStarted
    | StopReplaced
    | EntryEnded
    | TargetRestored
    | TimeExit
    | ExpiryExit
    | EndOfDayExit
    | Repriced
    | RepriceRefused
)
"""Any event of this module."""
