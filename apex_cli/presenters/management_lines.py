"""What was done to look after a position, in sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from apex_cli.core.model.money import Price
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events import (
    EndOfDayExit,
    EntryEnded,
    ExpiryExit,
    ManagementStep,
    PriceStep,
    RefusedStep,
    Repriced,
    RepriceRefused,
    StopMove,
    StopMoved,
    StopReplaced,
    TargetRestored,
    TimedClose,
    TimeExit,
    TrailStarted,
    read_event,
)
from apex_cli.presenters.screen.formats import moment

CLOSED_BY: dict[type, str] = {TimeExit: "time exit", ExpiryExit: "before expiry", EndOfDayExit: "end of day"}
WHY_MOVED = {"breakeven": "break-even", "target": "a target filled", "trail": "it follows the price", "hand": "by hand"}


def management_line(row: OutboxRow) -> str | None:
    """Return when and what, None for an event that is no step of management."""
    event = read_event(row)
    return f"{moment(event.at)}  {_sentence(event)}" if isinstance(event, ManagementStep) else None


def _sentence(event: ManagementStep) -> str:
    match event:
        case StopMoved(data=move):
            text = _stop_moved(move)
        case TrailStarted(data=trail):
            gain = _gain(trail.price, trail.r_multiple)
            text = f"trailing stop {trail.trail_amount} behind the price from {trail.stop_price} on, at {gain}"
        case StopReplaced(data=stop):
            text = f"old stop {stop.client_order_id[-2:]} gone, {stop.replaced_by[-2:]} works"
        case EntryEnded(data=end):
            text = f"rest of the entry cancelled at {end.r_multiple:+.2f} R"
        case TargetRestored(data=target):
            text = f"target {target.limit_price} for {target.quantity} is back"
        case TimeExit(data=close) | ExpiryExit(data=close) | EndOfDayExit(data=close):
            text = f"{CLOSED_BY[type(event)]}: {_closed(close)}"
        case Repriced(data=step):
            text = _repriced(step)
        case RepriceRefused(data=refused):
            text = _reprice_refused(refused)
        case _:
            assert_never(event)
    return text


def _stop_moved(move: StopMove) -> str:
    why = WHY_MOVED.get(move.why, move.why)
    return f"stop moved from {move.from_price} to {move.to_price} at {_gain(move.price, move.r_multiple)}: {why}"


def _closed(close: TimedClose) -> str:
    at = f" at {close.exit_price}" if close.exit_price else ""
    return f"{close.quantity} closed{at}, due {moment(close.due)}"


def _repriced(step: PriceStep) -> str:
    filled = f", {step.filled} were bought already" if step.filled else ""
    return f"entry for {step.quantity} moved from {step.from_price} to {step.to_price}{filled}"


def _reprice_refused(refused: RefusedStep) -> str:
    why = " ".join(reason.message for reason in refused.reasons)
    rest = "given up" if refused.is_over else f"stays at {refused.from_price}"
    return f"entry not moved to {refused.to_price}, {rest}: {why}"


def _gain(price: Price, r_multiple: Decimal) -> str:
    return f"{price} ({r_multiple:+.2f} R)"
