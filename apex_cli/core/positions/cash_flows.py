"""Deposits and withdrawals: they change what the account is worth, never what it lost.

A broker reports no cash flow of its own. Money that moved shows as a change of cash that no execution explains and that
the account's value follows. A currency pair gains and loses in cash, too, as its rate moves: cash is compared currency
by currency where the broker reports that. The day's opening value and the highest value are scaled with the account, so
that the day's loss and the drawdown stay the parts that they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.model.account import AccountSnapshot, CashFlow
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.records import Counters

LEAST_PART = Decimal("0.01")
"""Part of the account's value that a change of cash must reach: interest, dividends and fees stay below."""

OWN_MOVE = Decimal("0.002")
"""How far the account's value may differ from the flow without any position: rounding and interest."""

MARKET_MOVE = Decimal("0.2")
"""The same as a part of what is held: prices move meanwhile."""

LATE = timedelta(minutes=5)
"""How long after an execution the broker may still change its account values."""


def suspected_flow(
    before: AccountSnapshot, after: AccountSnapshot, *, traded_at: Iterable[datetime], held: Usd
) -> CashFlow | None:
    """Return the deposit or withdrawal that the two values of the account show; None without one.

    *traded_at* are times of executions of the whole account, ours and others'; *held* is the absolute value of all
    positions.
    """
    amount = paid(before, after)
    if amount is None or any(before.taken_at - LATE <= at <= after.taken_at for at in traded_at):
        return None
    drift = abs(after.equity - before.equity - amount)
    if drift > OWN_MOVE * abs(before.equity) + MARKET_MOVE * held:
        return None
    return CashFlow(amount=Usd(amount), equity_before=Usd(after.equity - amount), equity_after=after.equity)


def paid(before: AccountSnapshot, after: AccountSnapshot) -> Decimal | None:
    """Return by how much cash changed where that is enough for a deposit or withdrawal; None where it is not."""
    if before.is_simulated or after.is_simulated:
        return None
    amount = _change(before, after)
    return None if abs(amount) < LEAST_PART * abs(before.equity) or not amount else amount


def _change(before: AccountSnapshot, after: AccountSnapshot) -> Decimal:
    """Return by how much cash changed, each currency at the rate of now: what a rate alone moved was not paid."""
    currencies = before.balances.keys() | after.balances.keys()
    if not before.balances or not after.balances or currencies - after.rates.keys():
        return after.cash - before.cash
    changes = {name: after.balances.get(name, ZERO) - before.balances.get(name, ZERO) for name in currencies}
    return sum((change * after.rates[name] for name, change in changes.items()), ZERO)


def with_flow(counters: Counters, flow: CashFlow) -> Counters:
    """Return *counters* with the opening values of day, week and month and the highest value scaled by the flow.

    value * equity after / equity before
    """
    if flow.equity_before <= ZERO or flow.equity_after <= ZERO:
        return with_marks(counters, flow.equity_after)
    part = flow.equity_after / flow.equity_before
    before = counters.session_start_equity
    start = _scaled(before, part)
    return replace(
        counters,
        session_start_equity=start,
        session_scaled=Usd(counters.session_scaled + start - before - flow.amount) if before else Usd(ZERO),
        peak_equity=_scaled(counters.peak_equity, part),
        week_start_equity=_scaled(counters.week_start_equity, part),
        month_start_equity=_scaled(counters.month_start_equity, part),
    )


def day_pnl(counters: Counters, equity: Usd) -> Usd:
    """Return what the session's trading came to, with *equity* now: what was paid in or out is no part of it."""
    return Usd(equity - counters.session_start_equity + counters.session_scaled)


def _scaled(value: Usd, part: Decimal) -> Usd:
    return Usd((value * part).quantize(Decimal("0.01"))) if value else value


def with_marks(counters: Counters, equity: Usd) -> Counters:
    """Return *counters* as if session, week and month began now and the account had never been worth more."""
    return replace(
        counters,
        session_start_equity=equity,
        session_scaled=Usd(ZERO),
        peak_equity=equity,
        week_start_equity=equity if counters.week_since else counters.week_start_equity,
        month_start_equity=equity if counters.month_since else counters.month_start_equity,
    )
