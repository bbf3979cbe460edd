"""What was done to look after a position, in sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apex_cli.core.model.records import OutboxRow
from apex_cli.presenters.formats import moment

Data = dict[str, Any]


def _stop_moved(data: Data) -> str:
    why = {"breakeven": "break-even", "target": "a target filled", "trail": "it follows the price"}[data["why"]]
    return f"stop moved from {data['from_price']} to {data['to_price']} at {_gain(data)}: {why}"


def _trail_started(data: Data) -> str:
    return f"trailing stop {data['trail_amount']} behind the price from {data['stop_price']} on, at {_gain(data)}"


def _closed(data: Data) -> str:
    at = f" at {data['exit_price']}" if data.get("exit_price") else ""
    return f"{data['quantity']} closed{at}, due {moment(datetime.fromisoformat(data['due']))}"


def _repriced(data: Data) -> str:
    filled = f", {data['filled']} were bought already" if data["filled"] != "0" else ""
    return f"entry for {data['quantity']} moved from {data['from_price']} to {data['to_price']}{filled}"


def _reprice_refused(data: Data) -> str:
    why = " ".join(reason["message"] for reason in data["reasons"])
    rest = "given up" if data["is_over"] else f"stays at {data['from_price']}"
    return f"entry not moved to {data['to_price']}, {rest}: {why}"


def _gain(data: Data) -> str:
    return f"{data['price']} ({float(data['r_multiple']):+.2f} R)"


SENTENCES: dict[str, Callable[[Data], str]] = {
    "stop_moved": _stop_moved,
    "trail_started": _trail_started,
    "stop_replaced": lambda data: f"old stop {data['client_order_id'][-2:]} gone, {data['replaced_by'][-2:]} works",
    "entry_ended": lambda data: f"rest of the entry cancelled at {float(data['r_multiple']):+.2f} R",
    "target_restored": lambda data: f"target {data['limit_price']} for {data['quantity']} is back",
    "time_exit": lambda data: f"time exit: {_closed(data)}",
    "end_of_day": lambda data: f"end of day: {_closed(data)}",
    "repriced": _repriced,
    "reprice_refused": _reprice_refused,
}
"""By kind of event, what happened."""


def management_line(event: OutboxRow) -> str | None:
    """Return when and what, None for an event that is no step of management."""
    sentence = SENTENCES.get(event.kind)
    if sentence is None:
        return None
    import msgspec

    return f"{moment(event.at)}  {sentence(msgspec.json.decode(event.data))}"
