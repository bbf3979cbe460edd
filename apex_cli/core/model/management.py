"""How open positions are looked after: the part of the configuration that management reads.

Everything is off by default. Distances in R are multiples of the risk of one unit: 1 R is the way from the entry to
the first stop.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from apex_cli.core.model.base import Fraction, InR, Minutes, Range, Value
from apex_cli.core.model.order import EntryOrder


class TrailingStop(Value, frozen=True, kw_only=True):
    """Section ``trailing``: a stop at the broker that follows the price."""

    activate_at_r: InR | None = None
    """Profit in R from which the stop follows the price; null: it never does."""

    distance_r: InR | None = None
    """How far behind the best price it stays, in R. Give this or distance_pct."""

    distance_pct: Fraction | None = None
    """The same as a part of the price at which it begins: 0.02 is 2 %."""


class ScaleOut(Value, frozen=True, kw_only=True):
    """Section ``scale_out``: several targets, each closing a part."""

    targets_r: tuple[InR, ...] = ()
    """Targets in R, nearest first, for signals that bring none."""

    fractions: tuple[Fraction, ...] = ()
    """Part closed at each target; what is left has a stop and no target. Empty: even parts."""

    override: bool = False
    """True: in place of the signal's own targets, too."""


class MaxHolding(Value, frozen=True, kw_only=True):
    """Section ``max_holding``: how long a position may be held."""

    sessions: Annotated[int, Range(1, 1000)] | None = None
    """Closed at the opening of this session after the entry's: 1 is the next one."""

    minutes: Minutes | None = None
    """Closed after this long with the market open."""


class ManagementPlan(Value, frozen=True, kw_only=True):
    """How the positions of one strategy are looked after."""

    entry_order: EntryOrder | None = None
    """How entries meet the market, such as market_on_close; null: as execution.entry_order says."""

    trailing: TrailingStop = TrailingStop()
    """A stop at the broker that follows the price."""

    breakeven_at_r: InR | None = None
    """Profit in R from which the stop stands at the entry price; null: off."""

    breakeven_offset_r: Annotated[Decimal, Range(0, 100)] = Decimal(0)
    """How far beyond the entry price, in R."""

    breakeven_after_target: Annotated[int, Range(1, 100)] | None = None
    """The same once this many targets have filled; null: off."""

    scale_out: ScaleOut = ScaleOut()
    """Several targets, each closing a part."""

    max_holding: MaxHolding = MaxHolding()
    """How long a position may be held; both null: as long as it lasts."""

    flat_at_close: Annotated[int, Range(1, 300)] | None = None
    """Closed this many minutes before the session's close, on half days too; null: off."""

    @property
    def moves_stops(self) -> bool:
        """True when any rule may move a stop."""
        return any(
            value is not None
            for value in (self.trailing.activate_at_r, self.breakeven_at_r, self.breakeven_after_target)
        )

    @property
    def closes(self) -> bool:
        """True when time alone may close a position."""
        limit = self.max_holding
        return any(value is not None for value in (limit.sessions, limit.minutes, self.flat_at_close))


class ManagementLimits(ManagementPlan, frozen=True, kw_only=True):
    """Section ``management``: how open positions are looked after."""

    strategies: dict[str, ManagementPlan] = {}
    """Other values by strategy, such as breakout: {breakeven_at_r: 1}; keys left out are as above."""

    def plan_for(self, strategy: str) -> ManagementPlan:
        """Return the plan of *strategy*: its own, else the common one."""
        return self.strategies.get(strategy, self)
