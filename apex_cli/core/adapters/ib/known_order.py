"""One order of ours, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from apex_cli.core.adapters.ib.callbacks import OpenOrder
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderStatus


@dataclass(slots=True, kw_only=True)
class Known:
    """One order of ours, as far as it is known."""

    ref: str
    client_id: int = -1
    order_id: int = 0
    perm_id: int = 0
    order: Order | None = None
    """As this process sent it; None for one of an earlier process."""

    terms: OpenOrder | None = None
    status: str = ""
    """The broker's last word."""

    filled: Decimal = ZERO
    """What statuses say has filled."""

    fills: dict[str, Fill] = field(default_factory=dict)
    taken_back: dict[str, Decimal] = field(default_factory=dict)
    """What corrections took back, by execution: statuses go on counting it as filled."""

    code: int = 0
    """Number of the last error that meant it."""

    reason: str = ""
    why_held: str = ""
    """What the broker holds it for, such as ``locate``: shares to borrow."""

    was_asked_to_cancel: bool = False
    was_never_released: bool = False
    """It waited for a last leg that was refused."""

    is_change_refused: bool = False
    """The broker answered a change with an error, and the order was not looked at since."""

    is_set_free: bool = False
    """It was asked to name its entry no more."""

    was_seen: bool = False
    """The broker has reported it: it is no longer perhaps on its way."""

    ended: OrderStatus | None = None
    reported: tuple[OrderStatus, Quantity | None, Price | None, Price | None] | None = None
    """Status, quantity, stop and limit of the last update that was passed on."""

    @property
    def executed(self) -> Decimal:
        """Sum of the executions, each counted once with its last correction."""
        return sum((fill.quantity for fill in self.fills.values()), ZERO)

    @property
    def accounted(self) -> Decimal:
        """What of that which statuses call filled is known: executions, and what was taken back of them."""
        return self.executed + sum(self.taken_back.values(), ZERO)

    @property
    def quantity(self) -> Quantity | None:
        """Total quantity as the broker has it; what was sent until it has spoken."""
        if self.terms is not None and self.terms.quantity > 0:
            return self.terms.quantity
        return self.order.quantity if self.order else None

    @property
    def is_open(self) -> bool:
        """True while it may still fill."""
        return self.ended is None
