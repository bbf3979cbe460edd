"""Fills. Positions, P&L and day trades are computed from them alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.currency import Rate
from apex_cli.core.model.execution import Corrected
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.side import OrderSide

ADOPTED = "adopted-"
"""How the id of an execution begins that stands for a holding taken over from the broker."""


class Settlement(StrEnum):
    """How a holding changed without a trade; what an option delivered carries the same word as its end."""

    EXPIRED = "expired"
    EXERCISED = "exercised"
    ASSIGNED = "assigned"
    PAID_IN_CASH = "paid_in_cash"
    """A part of a unit that a split left."""


class Fill(Corrected, frozen=True, kw_only=True):
    """One execution with its commission; applied once, however often it is delivered."""

    client_order_id: str = ""
    """The order it belongs to; empty for a trade made outside apex."""

    bracket_id: str = ""
    role: OrderRole | None = None
    instrument: Instrument
    side: OrderSide
    quantity: Quantity
    """Always positive."""

    price: Price
    commission: Usd = Usd(ZERO)
    """As charged, in *commission_currency*."""

    commission_currency: str = ""
    """Empty: the account's own."""

    commission_rate: Decimal | None = None
    """What one unit of *commission_currency* is worth in the account's; None where it is that."""

    rate: Rate | None = None
    """What *price* is in, in account currency, as it was booked; None where it is that already."""

    filled_at: datetime
    """When it happened at the venue, aware UTC."""

    is_theoretical: bool = False
    """True: a model made the price it filled at; nobody traded there."""

    settlement: Settlement | None = None
    """Set where nothing was traded: a contract ended, or delivered what it is about; a split left a fraction."""

    @property
    def cost(self) -> Usd:
        """The commission in account currency."""
        return self.commission if self.commission_rate is None else Usd(self.commission * self.commission_rate)

    @property
    def is_adopted(self) -> bool:
        """True when it stands for a holding that was taken over: nothing was traded."""
        return self.exec_id.startswith(ADOPTED)

    @property
    def is_traded(self) -> bool:
        """True for a trade of a person or a program: what day-trading rules count."""
        return self.settlement is None and not self.is_adopted

    @property
    def ends_untraded(self) -> bool:
        """True where a holding shrank without a trade: to the day-trade count it is held on."""
        is_option = self.instrument.market_type is MarketType.OPTIONS
        return self.settlement is not None and (is_option or self.settlement is Settlement.PAID_IN_CASH)
