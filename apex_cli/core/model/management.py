"""How open positions are looked after: the part of the configuration that management reads.

Everything is off by default. Distances in R are multiples of the risk of one unit: 1 R is the way from the entry to
the first stop.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from apex_cli.core.model.base import Fraction, InR, Minutes, Range, Spelling, Value
from apex_cli.core.model.order import EntryOrder

_LEAD = r"(?P<number>\d{1,3}) ?(?P<unit>[dhm])"
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def read_lead(text: str) -> timedelta:
    """Return the time that ``5d``, ``2h`` or ``90m`` names.

    Raises:
        ValueError: it names none.

    >>> read_lead("5d"), read_lead("90m")
    (datetime.timedelta(days=5), datetime.timedelta(seconds=5400))
    """
    found = re.fullmatch(_LEAD, text)
    if found is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[found["unit"]]: int(found["number"])})


def is_in_days(text: str) -> bool:
    """Return whether the time that *text* names is counted in days.

    >>> is_in_days("5d"), is_in_days("120m")
    (True, False)
    """
    return text.endswith("d")


def _lead(text: str) -> str:
    read_lead(text)
    return text


Lead = Annotated[str, Spelling(_lead, "days, hours or minutes such as 5d, 2h or 90m", is_free=True)]


class OptionRules(Value, frozen=True, kw_only=True):
    """Section ``options``: how option positions end."""

    exit_before_expiry: Lead | None = None
    """Closed so long before the contract's last close: 5d at the opening of the last session that is 5 days or more
    before it, 2h or 90m within the last session; null: held to expiry."""

    delivered_stop_pct: Fraction | None = None
    """Shares that an option delivers get a stop so far from the price at once: 0.05 is 5 %; null: an alarm asks for
    one."""

    warn_days: Annotated[int, Range(0, 365)] = 5
    """Warned of once a session from so many days before the last session on; 0: on that day only."""


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

    options: OptionRules = OptionRules()
    """How option positions end."""

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
        limit, lead = self.max_holding, self.options.exit_before_expiry
        return any(value is not None for value in (limit.sessions, limit.minutes, self.flat_at_close, lead))


class ManagementLimits(ManagementPlan, frozen=True, kw_only=True):
    """Section ``management``: how open positions are looked after."""

    strategies: dict[str, ManagementPlan] = {}
    """Other values by strategy, such as breakout: {breakeven_at_r: 1}; keys left out are as above."""

    def plan_for(self, strategy: str) -> ManagementPlan:
        """Return the plan of *strategy*: its own, else the common one."""
        return self.strategies.get(strategy, self)
