"""The terms of a close: the position, the quantity, and the orders that close it."""

from __future__ import annotations

from msgspec.structs import replace

from apex_cli.core.decision.brackets import close_order, part_of
from apex_cli.core.errors import InputError, NothingToDo, RefusedError
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import Order
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import CloseRequest
from apex_cli.core.model.spelling import names_key, same_security
from apex_cli.core.positions.protection import (
    held_on_both_sides,
    next_leg_id,
    orders_of,
    own_group,
    replacement_stop,
)
from apex_cli.core.state.tables import State


def find_position(state: State, symbol: str) -> PositionRecord:
    """Return the position that *symbol* names, by key or, when that is clear, by symbol alone.

    Raises:
        NothingToDo: nothing of that name is held.
        InputError: several securities of that symbol are held.
    """
    named: PositionRecord | None = state.positions.get(symbol)
    if named is not None:
        return named
    rows: list[PositionRecord] = [
        row for row in state.positions.values() if same_security(symbol, row.position.instrument)
    ]
    exact = [row for row in rows if names_key(symbol, row.position.instrument.key)]
    if len(exact or rows) == 1:
        return (exact or rows)[0]
    if not rows:
        held = ", ".join(state.positions) or "nothing"
        message = f"There is no open position in {symbol}."
        raise NothingToDo("no_position", message, hint=f"Held: {held}.", details={"symbol": symbol})
    names = ", ".join(repr(row.position.instrument.key) for row in rows)
    raise InputError("ambiguous_symbol", f"{symbol} could be {names}.", hint="Name one of them.")


def what_remains(row: PositionRecord | None, request: CloseRequest) -> Quantity:
    """Return what is to be left of a position."""
    return Quantity(row.position.quantity - wanted_quantity(row, request) if row else ZERO)


def require_held(state: State, row: PositionRecord, wanted: Quantity) -> None:
    """Refuse to sell what the broker is known not to hold: that would open the other side."""
    key = row.position.instrument.key
    if not wanted:
        raise RefusedError(
            "fraction_only",
            f"{key}: the {row.position.quantity} held are less than one unit; the broker takes no order for them.",
            hint="Close them in the broker's own program.",
        )
    held = held_on_both_sides(state, key)
    most = held.quantity if held is not None else ZERO
    if wanted > most:
        raise RefusedError(
            "not_at_broker",
            f"{key}: {row.position.quantity} are held here, but only {most} at the broker; {wanted} cannot be closed.",
            hint=f"Take over what the broker holds: apex reconcile --adopt {key!r}"
            + (f"; or close --quantity {most}." if most else "."),
        )


def wanted_quantity(row: PositionRecord, request: CloseRequest) -> Quantity:
    """Return how much *request* closes of what is held.

    Raises:
        InputError: a part that is no part of it, or off the step.
    """
    position = row.position
    if request.fraction is not None:
        if not ZERO < request.fraction <= 1:
            raise InputError(
                "fraction_invalid",
                f"{request.symbol}: cannot close a fraction of {request.fraction}.",
                hint="Give more than 0, and at most 1; 0.5 is half.",
            )
        return part_of(position, request.fraction)
    if request.quantity is None:
        return position.orderable
    step = position.instrument.quantity_step
    if not ZERO < request.quantity <= position.quantity or request.quantity % step:
        raise InputError(
            "quantity_invalid",
            f"{request.symbol}: cannot close {request.quantity} of {position.quantity}.",
            hint=f"Give a multiple of {step}, at most {position.quantity}.",
        )
    return request.quantity


def closing_orders(
    state: State,
    row: PositionRecord,
    request: CloseRequest,
    *,
    bracket_id: str,
    quantity: Quantity,
    group: str | None = None,
) -> tuple[Order, ...]:
    """Return the closing order in the OCA group *group*; a resting limit without one has a stop as its partner."""
    position = row.position
    records = [r for r in orders_of(state, position.instrument.key) if r.order.bracket_id == position.bracket_id]
    name = next_leg_id(bracket_id, "C", records)
    number = int(name.rpartition("C")[2])
    order = close_order(
        position,
        bracket_id=bracket_id,
        number=number,
        quantity=quantity,
        limit_price=request.limit_price,
        reference_price=row.current_price,
    )
    order = replace(order, note=request.reason, oca_group=group)
    bracket: BracketRecord | None = state.brackets.get(position.bracket_id)
    if group is not None or request.limit_price is None or bracket is None:
        return (order,)
    group = own_group(order.client_order_id)
    stop = replacement_stop(position, bracket, quantity, records)
    return (replace(order, oca_group=group), replace(stop, oca_group=group))
