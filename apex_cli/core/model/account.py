"""The account as the broker tells it."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Usd


class AccountSnapshot(Value, frozen=True, kw_only=True):
    """What the account was worth at one moment."""

    equity: Usd
    """Net liquidation value."""

    cash: Usd
    buying_power: Usd
    taken_at: datetime
    prior_close_equity: Usd | None = None
    """Equity at the previous session's close; None when the broker did not say."""

    is_simulated: bool = False
    broker_day_trades_remaining: int | None = None
    """The broker's own number; -1 unlimited, None not told."""
