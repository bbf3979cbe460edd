"""Executions from a report: trades of the whole account, of every kind of security, kept for counting only."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.side import OrderSide


class SecType(StrEnum):
    """Kinds of securities as Interactive Brokers names them."""

    STK = "STK"
    OPT = "OPT"
    WAR = "WAR"
    BOND = "BOND"
    BILL = "BILL"
    SSF = "SSF"
    """Single-stock future."""

    FUT = "FUT"
    FOP = "FOP"
    """Option on a future."""

    CASH = "CASH"
    """Spot currency."""

    CRYPTO = "CRYPTO"
    BAG = "BAG"
    """The row of a combination as a whole; its legs come as rows of their own."""


SEC_TYPE_OF_MARKET = {
    MarketType.EQUITY: SecType.STK,
    MarketType.OPTIONS: SecType.OPT,
    MarketType.FOREX: SecType.CASH,
    MarketType.CRYPTO: SecType.CRYPTO,
}


class Corrected(Value, frozen=True, kw_only=True):
    """What the broker numbers, and may correct later."""

    exec_id: str
    """The broker's id. A correction differs only after the last dot and replaces the first."""

    @property
    def key(self) -> str:
        """Identity of the execution without its correction number."""
        return self.exec_id.rpartition(".")[0] or self.exec_id

    @property
    def revision(self) -> int:
        """Number of the correction; the highest one counts."""
        tail = self.exec_id.rpartition(".")[2]
        return int(tail) if tail.isdigit() and tail != self.exec_id else 0


class Execution(Corrected, frozen=True, kw_only=True):
    """One execution of a report, without price and order."""

    security: str
    """Identity of the security, spelled as ``Instrument.key``."""

    sec_type: SecType = SecType.STK
    side: OrderSide
    quantity: Quantity
    """Always positive."""

    filled_at: datetime
    """When it happened at the venue, aware UTC."""

    con_id: int = 0
    """Interactive Brokers' number of the contract, where the report has it: it names the security for good."""

    order_id: str = ""
    """Fills of one order share it; empty where the report has none."""

    held_before: Decimal | None = None
    """Signed quantity held before it, on the oldest execution of a security, where it can be reported."""
