"""What was done to look after a position, in sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from apex_cli.core.model.money import Price
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.state.events import management_events
from apex_cli.core.state.events.event import read_event
from apex_cli.presenters.screen.formats import moment, r_multiple, units
from apex_cli.presenters.screen.formats import price as price_text

CLOSED_BY: dict[type, str] = {
    management_events.TimeExit: "time exit",
    management_events.ExpiryExit: "before expiry",
    management_events.EndOfDayExit: "end of day",
}
WHY_MOVED = {"breakeven": "break-even", "target": "a target filled", "trail": "it follows the price", "hand": "by hand"}


def management_line(row: OutboxRow) -> str | None:
    """Return when and what, None for an event that is no step of management."""
    event = read_event(row)
    return f"{moment(event.at)}  {_sentence(event)}" if isinstance(event, management_events.ManagementStep) else None


def _sentence(event: management_events.ManagementStep) -> str:
    match event:
        case management_events.StopMoved(data=move):
            text = _stop_moved(move)
        case management_events.TrailStarted(data=trail):
            gain = _gain(trail.price, trail.r_multiple)
            amount, first = price_text(trail.trail_amount), price_text(trail.stop_price)
            text = f"trailing stop {amount} behind the price from {first} on, at {gain}"
        case management_events.StopReplaced(data=stop):
            text = f"old stop {stop.client_order_id[-2:]} gone, {stop.replaced_by[-2:]} works"
        case management_events.EntryEnded(data=end):
            text = f"rest of the entry cancelled at {r_multiple(end.r_multiple)}"
        case management_events.TargetRestored(data=target):
            text = f"target {price_text(target.limit_price)} for {units(target.quantity)} is back"
        case (
            management_events.TimeExit(data=close)
            | management_events.ExpiryExit(data=close)
            | management_events.EndOfDayExit(data=close)
        ):
            text = f"{CLOSED_BY[type(event)]}: {_closed(close)}"
        case management_events.Repriced(data=step):
            text = _repriced(step)
        case management_events.RepriceRefused(data=refused):
            text = _reprice_refused(refused)
        case _:
            assert_never(event)
    return text


def _stop_moved(move: management_events.StopMove) -> str:
    why, gain = WHY_MOVED.get(move.why, move.why), _gain(move.price, move.r_multiple)
    return f"stop moved from {price_text(move.from_price)} to {price_text(move.to_price)} at {gain}: {why}"


def _closed(close: management_events.TimedClose) -> str:
    at = f" at {price_text(close.exit_price)}" if close.exit_price else ""
    return f"{units(close.quantity)} closed{at}, due {moment(close.due)}"


def _repriced(step: management_events.PriceStep) -> str:
    filled = f", {units(step.filled)} had filled already" if step.filled else ""
    moved = f"from {price_text(step.from_price)} to {price_text(step.to_price)}"
    return f"entry for {units(step.quantity)} moved {moved}{filled}"


def _reprice_refused(refused: management_events.RefusedStep) -> str:
    why = " ".join(reason.message for reason in refused.reasons)
    rest = "given up" if refused.is_over else f"stays at {price_text(refused.from_price)}"
    return f"entry not moved to {price_text(refused.to_price)}, {rest}: {why}"


def _gain(price: Price, result: Decimal) -> str:
    return f"{price_text(price)} ({r_multiple(result)})"
