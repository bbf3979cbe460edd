"""The input of a pre-trade check, and the form of its verdict."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache

from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Check, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.model.trade_size import Sized


class CheckContext(Value, frozen=True, kw_only=True):
    """One opportunity with everything it is judged by."""

    opportunity: Opportunity
    snapshot: Snapshot
    limits: Limits
    sized: Sized | Reason
    side: OrderSide
    reward_risk: Decimal | None
    entry_price: Price
    """Price the size was worked out at: the signal's, or the latest one at an approval."""

    key: str
    """``Instrument.key`` of the opportunity."""

    describe: bool = False
    """True: passing checks report limit and value too, which costs five times the check."""

    @property
    def signal(self) -> Signal:
        """The signal behind the opportunity."""
        return self.opportunity.signal

    @property
    def risk(self) -> RiskLimits:
        """Section ``risk`` of the limits."""
        return self.limits.risk

    @property
    def notional(self) -> Decimal:
        """Value of the trade; 0 when no size could be worked out, which the size check reports."""
        return self.sized.notional if isinstance(self.sized, Sized) else ZERO

    @property
    def risk_amount(self) -> Decimal:
        """Loss at the stop; 0 when no size could be worked out."""
        return self.sized.risk_amount if isinstance(self.sized, Sized) else ZERO


@cache
def passing(code: str) -> Check:
    """Return the verdict of a check that passed and was not asked for its numbers."""
    return Check(code=code, passed=True)


def verdict(
    code: str, *, passed: bool, limit: str, value: str, message: str, lifts_at: datetime | None = None
) -> Check:
    """Return a failed or described check. *message* and *lifts_at* are dropped when it passed."""
    if passed:
        return Check(code=code, passed=True, limit=limit, value=value)
    return Check(code=code, passed=False, limit=limit, value=value, message=message, lifts_at=lifts_at)
