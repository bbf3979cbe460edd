"""Limits of risk: what sizes are worked out with, and what may be lost."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, assert_never

from msgspec.structs import replace

from apex_cli.core.model.base import MOST_MONEY, Amount, Fraction, Range, Share, Value
from apex_cli.core.model.money import ZERO, Quantity, Usd
from apex_cli.core.model.ticker import Ticker


class CapitalBase(StrEnum):
    """What sizing counts with."""

    FIXED = "fixed"
    """risk.capital."""

    EQUITY = "equity"
    """What the account is worth."""

    LOWER_OF_BOTH = "lower_of_both"


class OnObstacle(StrEnum):
    """What an obstacle at the market does to an entry."""

    REFUSE = "refuse"
    WARN = "warn"


class RiskLimits(Value, frozen=True, kw_only=True):
    """Section ``risk``: how much may be lost, and where."""

    capital: Annotated[Usd, Amount(0, MOST_MONEY, above=True)] = Usd(Decimal(3000))
    """What sizing counts with, in account currency."""

    capital_base: CapitalBase = CapitalBase.FIXED
    """fixed: capital. equity: what the account is worth now. lower_of_both: the smaller of the two."""

    max_risk_pct: Fraction = Decimal("0.01")
    """Part of capital lost when a stop is hit."""

    max_risk_pct_ceiling: Fraction = Decimal("0.5")
    """A larger max_risk_pct is refused: 1 is 100 %, and 1 % is 0.01."""

    max_position_pct: Fraction = Decimal("0.05")
    """Part of capital in one position."""

    max_positions: Annotated[int, Range(1, 10_000)] = 10
    """Open positions and working entries at the same time."""

    min_quantity: Annotated[Quantity, Range(0, 1_000_000)] = Quantity(Decimal(1))
    """Smallest quantity bought even when a cap allows less (market's step where that is finer)."""

    enforce_caps: bool = False
    """True: refuse where the smallest quantity breaks a cap. False: warn."""

    min_reward_risk: Annotated[Decimal, Range(0, 1000)] = Decimal("2.0")
    """Smallest distance to the target over the distance to the stop."""

    min_confidence: Share = Decimal("0.65")
    """Smallest confidence of a signal, 0..1."""

    max_daily_loss_pct: Fraction = Decimal("0.10")
    """Part of the day's opening equity; beyond it nothing is opened until the next session."""

    max_drawdown_pct: Fraction = Decimal("0.25")
    """Part of the highest equity seen; beyond it nothing is opened."""

    max_open_risk_pct: Fraction = Decimal("0.10")
    """Part of capital lost if every stop is hit at once, this trade included."""

    max_orders_per_day: Annotated[int, Range(1, 100_000)] = 50
    """Entries a session."""

    max_notional: Annotated[Usd, Amount(0, MOST_MONEY, above=True)] | None = None
    """Largest value of one order; none by default."""

    allow_symbols: tuple[Ticker, ...] = ()
    """When not empty, only these are traded."""

    deny_symbols: tuple[Ticker, ...] = ()
    """These are never traded."""

    allow_short: bool = True
    """False: signals that would open a short position are refused."""

    on_no_borrow: OnObstacle = OnObstacle.REFUSE
    """A sale that opens, of more units than the broker can borrow: refuse it, or warn and let it find them."""

    on_halt: OnObstacle = OnObstacle.REFUSE
    """An entry in a security whose trading is halted: refuse it, or warn and let it wait at the broker."""

    max_price_deviation_pct: Fraction = Decimal("0.03")
    """Collar: how far the signal's entry may lie from the latest price."""

    enforce_market_hours: bool = True
    """False: decide and send at any time."""

    def for_equity(self, equity: Usd) -> RiskLimits:
        """Return these limits with the capital that counts when the account is worth *equity*."""
        match self.capital_base:
            case CapitalBase.FIXED:
                return self
            case CapitalBase.EQUITY:
                capital = equity
            case CapitalBase.LOWER_OF_BOTH:
                capital = min(self.capital, equity)
            case _:
                assert_never(self.capital_base)
        return replace(self, capital=Usd(max(capital, ZERO)))
