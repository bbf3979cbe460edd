"""Rows of orders, executions and positions that the gateway keeps, and the reports it sends about them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument
from apex_cli.core.model.money import ZERO
from apex_cli.gateway.contracts import Contract
from apex_cli.gateway.terms import Terms

SUBMITTED = "Submitted"
PRE_SUBMITTED = "PreSubmitted"
FILLED = "Filled"
CANCELLED = "Cancelled"
INACTIVE = "Inactive"
DONE = frozenset({FILLED, CANCELLED, INACTIVE})


class OrderRow(Value, frozen=True, kw_only=True):
    """One transmitted order; it is never changed, only replaced."""

    perm_id: int
    """The venue's own number: unique for ever, also the order's name in the matching engine."""

    client_id: int
    order_id: int
    """The client's number; 0 for an order made by hand, until a client 0 binds it."""

    contract: Contract
    key: str
    """Instrument key."""

    terms: Terms
    """Terms as they are now: fills of an OCA group and trails change them."""

    status: str
    is_manual: bool = False
    parent_perm_id: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price * quantity of its fills."""

    last_price: Decimal = ZERO
    placed_at: datetime
    done_at: datetime | None = None
    reason: str = ""
    why_held: str = ""

    @property
    def name(self) -> str:
        """The order's name in the matching engine."""
        return str(self.perm_id)

    @property
    def is_open(self) -> bool:
        """True while it may still fill."""
        return self.status not in DONE

    @property
    def average_price(self) -> Decimal:
        """Mean price of what has filled; 0 before the first fill."""
        return self.value / self.filled if self.filled else ZERO

    @property
    def remaining(self) -> Decimal:
        """What has not filled."""
        return max(self.terms.quantity - self.filled, ZERO)


class ExecutionRow(Value, frozen=True, kw_only=True):
    """One execution with its commission."""

    exec_id: str
    perm_id: int
    client_id: int
    order_id: int
    contract: Contract
    key: str
    side: str
    """``BOT`` or ``SLD``."""

    shares: Decimal
    price: Decimal
    cumulative: Decimal
    average_price: Decimal
    order_ref: str
    commission: Decimal
    commission_currency: str = HOME_CURRENCY
    realized: Decimal | None = None
    """Profit of what it closed, commissions included; None when it only opened."""

    at: datetime

    def corrected(self, price: Decimal, shares: Decimal | None = None) -> ExecutionRow:
        """Return the correction of this execution: the same id but for its last part."""
        head, _, revision = self.exec_id.rpartition(".")
        return replace(
            self,
            exec_id=f"{head}.{int(revision) + 1:02d}",
            price=price,
            average_price=price,
            shares=self.shares if shares is None else shares,
        )


class PositionRow(Value, frozen=True, kw_only=True):
    """A net holding."""

    contract: Contract
    instrument: Instrument
    quantity: Decimal
    """Signed."""

    average_cost: Decimal
    """Per unit, multiplier included, commissions included unless the policy says otherwise."""

    realized: Decimal = ZERO


class OrderReport(Value, frozen=True, kw_only=True):
    """``openOrder`` and ``orderStatus``."""

    row: OrderRow


class StatusReport(Value, frozen=True, kw_only=True):
    """``orderStatus`` alone."""

    row: OrderRow


class ExecutionReport(Value, frozen=True, kw_only=True):
    """``execDetails`` of a live fill."""

    execution: ExecutionRow


class CommissionReport(Value, frozen=True, kw_only=True):
    """``commissionReport``."""

    execution: ExecutionRow


class ErrorReport(Value, frozen=True, kw_only=True):
    """``error`` with an order's id, to the client that owns the id."""

    client_id: int
    order_id: int
    code: int
    text: str


class PreviewReport(Value, frozen=True, kw_only=True):
    """``openOrder`` with margins: the answer to a what-if order."""

    row: OrderRow
    margins: Margins


class Margins(Value, frozen=True, kw_only=True):
    """The account before and after an order, account currency."""

    initial_before: Decimal
    maintenance_before: Decimal
    equity_before: Decimal
    initial_after: Decimal
    maintenance_after: Decimal
    equity_after: Decimal
    commission: Decimal
    currency: str


Report = OrderReport | StatusReport | ExecutionReport | CommissionReport | ErrorReport | PreviewReport
