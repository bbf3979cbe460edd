"""Orders of other hands that would stay after a close, and open the other side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from apex_cli.core.model.broker_events import BrokerOrder
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.spelling import same_security
from apex_cli.core.model.wording import plain
from apex_cli.core.reconciliation.order_breaks import terms_in_words
from apex_cli.core.state.tables import State


def resting_elsewhere(
    state: State, working: Iterable[BrokerOrder], symbols: Sequence[str]
) -> Mapping[str, tuple[Reason, ...]]:
    """Return, by symbol, warnings of orders that apex did not place and that a close leaves working.

    *working* are all that work at the broker; *symbols* are spelled as a person wrote them.
    """
    others = [order for order in working if order.client_order_id not in state.orders]
    if not others:
        return {}
    return {symbol: found for symbol in symbols if (found := tuple(_warnings(state, others, symbol)))}


def _warnings(state: State, others: Iterable[BrokerOrder], symbol: str) -> Iterable[Reason]:
    for row in state.positions.values():
        position = row.position
        if not same_security(symbol, position.instrument):
            continue
        for order in others:
            left = order.quantity - order.filled_quantity
            is_exit = order.instrument.key == position.instrument.key and order.side is position.side.closed_by
            if is_exit and left > ZERO:
                hand = order.placed_by or "another program"
                yield Reason(
                    code="resting_elsewhere",
                    message=f"{position.instrument.key}: an order placed by {hand} stays after a close "
                    f"({terms_in_words(order)}); what it fills beyond the position opens the other side. Cancel it "
                    "where it was placed.",
                    value=plain(left),
                )
