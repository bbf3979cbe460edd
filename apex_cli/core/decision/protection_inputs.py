"""Gathers what protections read besides the state: only what a configured one needs."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import NO_INPUTS, Mark, ProtectionInputs
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.state.tables import State


class ProtectionReader:
    """Reads what the protections of one configuration need."""

    def __init__(self, protections: Protections) -> None:
        """Read nothing yet."""
        self._protections = protections

    def __call__(self, state: State, account: AccountSnapshot, now: datetime) -> ProtectionInputs:
        """Return what there is to know for a decision at *now*."""
        protections = self._protections
        if protections is NO_PROTECTIONS:
            return NO_INPUTS
        week, month = loss_marks(state, account, now)
        return ProtectionInputs(
            week=week if protections.max_weekly_loss_pct is not None else None,
            month=month if protections.max_monthly_loss_pct is not None else None,
        )


def loss_marks(state: State, account: AccountSnapshot, now: datetime) -> tuple[Mark | None, Mark | None]:
    """Return what the account was worth when the running week and month began; None where that is not known."""
    counters = session_counters(state.counters, account, session_date(now))
    today, equity = counters.session_date, counters.session_start_equity
    return (
        _mark(counters.week_since or today, counters.week_start_equity or equity),
        _mark(counters.month_since or today, counters.month_start_equity or equity),
    )


def _mark(since: str, equity: Usd) -> Mark | None:
    return Mark(since=since, equity=equity) if equity > ZERO else None
