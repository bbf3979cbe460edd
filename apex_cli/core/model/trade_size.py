"""The quantity of a trade, and what limited it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.money import Quantity, Usd
from apex_cli.core.model.reason import Reason


class Binding(StrEnum):
    """What decided a size."""

    RISK = "risk"
    CAPITAL = "capital"
    MINIMUM = "minimum"
    """A cap allowed less than the smallest quantity."""

    VOLATILITY = "volatility"
    """The volatility target made it smaller."""

    KELLY = "kelly"
    """A fraction of Kelly made it smaller."""

    LEARNING = "learning"
    """What was learned of its strategy lowered it."""


class Multiplier(Value, frozen=True, kw_only=True):
    """What makes a size smaller than the caps do."""

    name: Binding
    value: Decimal
    """0..1."""

    why: str


class Sized(Value, frozen=True, kw_only=True):
    """A quantity, what limited it, and what it costs when the stop is hit."""

    quantity: Quantity
    quantity_by_risk: Quantity
    quantity_by_capital: Quantity
    binding: Binding
    notional: Usd
    """quantity * entry * multiplier, in account currency."""

    risk_amount: Usd
    """Loss at the stop before costs: quantity * |entry - stop| * multiplier, in account currency."""

    risk_per_unit: Usd
    """|entry - stop| * multiplier, in account currency."""

    rate: Rate | None = None
    """What the prices are in, in account currency; None where it is the same."""

    warnings: tuple[Reason, ...] = ()
    """Caps that the smallest quantity breaks, with their numbers."""

    multipliers: tuple[Multiplier, ...] = ()
    """Those below 1."""
