"""Limits of execution: who decides, where orders go, and how an entry follows the price."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from apex_cli.core.model.base import Fraction, Minutes, Range, Share, Value
from apex_cli.core.model.order import EntryOrder


class RepriceLimits(Value, frozen=True, kw_only=True):
    """Section ``execution.reprice``: a limit entry that rests follows the price, within bounds."""

    after_s: Annotated[int, Range(1, 86_400)] | None = None
    """How long a limit entry rests before its price is raised (for a sale: lowered), in seconds; null: off."""

    step_pct: Fraction = Decimal("0.001")
    """Part of the decision's price that each step adds."""

    max_times: Annotated[int, Range(1, 100)] = 3
    """Steps for one signal."""

    max_pct: Fraction = Decimal("0.003")
    """Part of the decision's price that all steps together may add."""


class ExecutionLimits(Value, frozen=True, kw_only=True):
    """Section ``execution``: who decides, and where orders go."""

    simulation_mode: bool = True
    """True: the simulated broker inside apex. False: Interactive Brokers."""

    auto_execute: bool = False
    """True: execute what passes every check. False: ask for every trade."""

    auto_min_score: Share = Decimal(0)
    """With auto_execute, opportunities that score below this are queued for approval."""

    entry_order: EntryOrder = EntryOrder.MARKET
    """market, limit (at the signal's entry price), market_on_close, limit_on_close, market_on_open, limit_on_open,
    adaptive_market or adaptive_limit."""

    entry_minutes: Minutes | None = None
    """A market or limit entry that rests is cancelled by the broker after this long; null: at the session's end."""

    one_entry: bool = True
    """True: a signal with several targets buys with one order, and pays one commission; each target has its own stop.
    False: one entry for each target, for a broker that takes no exits smaller than their entry."""

    reprice: RepriceLimits = RepriceLimits()
    """A limit entry that rests follows the price, within bounds."""
