"""Protections: what keeps a run of bad trades from becoming a worse one, and the locks that follow from closed trades.

Everything is off until it is configured. A protection refuses openings only: nothing here ever keeps a position from
being closed or protected.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.duration import DurationText


class CooldownLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.cooldown``: a pause after a stop."""

    after_stop: DurationText | None = None
    """How long nothing is opened in a security, its options included, after a stop in it was hit at a loss."""


class Protections(Value, frozen=True, kw_only=True):
    """Section ``protections``: locks after bad trades, budgets, caps and blackouts; all of it is off until set."""

    cooldown: CooldownLimits = CooldownLimits()
    """A pause after a stop, security by security."""


NO_PROTECTIONS = Protections()


class LockRule(StrEnum):
    """Which protection made a lock; the check of the same name refuses."""

    COOLDOWN = "cooldown"


class LockScope(StrEnum):
    """What a lock keeps from being opened."""

    SYMBOL = "symbol"
    """A security with its options."""

    STRATEGY = "strategy"
    ACCOUNT = "account"
    """Everything."""


class TradeLock(Value, frozen=True, kw_only=True):
    """What nothing is opened in for a while, after closed trades."""

    lock_id: str
    """Made of rule, scope, subject and the last trade: the same trades give the same lock."""

    rule: LockRule
    scope: LockScope
    subject: str
    """``Instrument.key``, of an option that of its underlying; the strategy, ``none`` without a name; or ``*``."""

    since: datetime
    """When the last of *trades* was closed."""

    until: datetime
    """The first moment at which it does not hold any more, aware UTC."""

    trades: tuple[str, ...]
    """Round trips that led to it, the last one last."""

    limit: str
    """The bound, as text."""

    value: str
    """What was found, as text."""

    lifted_at: datetime | None = None
    lifted_by: str = ""
    """Who lifted it: ``terminal``, ``telegram``; empty while nobody has."""

    lifted_why: str = ""

    def holds(self, at: datetime) -> bool:
        """Return whether nothing may be opened at *at*."""
        return self.lifted_at is None and at < self.until
