"""Which day-trading rule book holds for an account: inferred from the broker's own values, never from the date alone.

FINRA deleted the pattern-day-trader rule with effect from 2026-06-04 and put the intraday margin standard of Rule
4210(d)(2) in its place, but members may keep the count, account by account, until 2027-10-20 (Regulatory Notice
26-10). So both live side by side, and each check asks again.
"""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from apex_cli.core.market.calendar import previous_sessions
from apex_cli.core.model.account import AccountFacts, AccountSnapshot, AccountType
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Regime
from apex_cli.core.model.limits import DayTradeRegime
from apex_cli.core.model.money import Usd
from apex_cli.core.model.wording import money

UNLIMITED = -1
REJECTION_SESSIONS = 5
"""How many sessions such a refusal says something about: as long as the day trades behind it are in the window."""


class Inferred(Value, frozen=True, kw_only=True):
    """The rule books in force, and from what that was concluded."""

    regimes: tuple[Regime, ...]
    source: str
    is_known: bool = True
    """False: nothing may be opened, as nobody can tell which rule holds."""


def facts_of(account: AccountSnapshot) -> AccountFacts:
    """Return what the day-trading rules read of *account*; what its ``facts`` leave out comes from the rest."""
    facts = account.facts or AccountFacts()
    remaining = account.broker_day_trades_remaining
    return replace(
        facts,
        is_simulated=account.is_simulated,
        equity_prev_close=facts.equity_prev_close if account.prior_close_equity is None else account.prior_close_equity,
        equity_now=account.equity,
        broker_day_trades_remaining=facts.broker_day_trades_remaining if remaining is None else remaining,
        net_liquidation=account.equity if facts.net_liquidation is None else facts.net_liquidation,
        net_cash=account.cash if facts.net_cash is None else facts.net_cash,
    )


def holds_from(rejected_on: str, session: date) -> bool:
    """Return whether a refusal in session *rejected_on*, YYYY-MM-DD or empty, still counts in *session*."""
    if not rejected_on:
        return False
    return rejected_on >= previous_sessions(session, REJECTION_SESSIONS - 1)[0].isoformat()


def worth(facts: AccountFacts) -> Usd | None:
    """Return the net liquidation value, None where it is not reported."""
    return facts.equity_now if facts.net_liquidation is None else facts.net_liquidation


def gate_equity(facts: AccountFacts) -> Usd | None:
    """Return the equity that is held against the threshold; None where neither value is reported.

    min(prior close + net deposits since, net liquidation value now)

    Source:
        FINRA Rule 4210(f)(8)(B)(iv)a before 2026-06-04: 25,000 USD kept at all times. Interactive Brokers takes the
        equity of 16:15 Eastern of the day before, adjusted for deposits and withdrawals after it.
    """
    now = facts.equity_now if facts.equity_now is not None else facts.net_liquidation
    reported = [] if now is None else [now]
    if facts.equity_prev_close is not None:
        reported.append(Usd(facts.equity_prev_close + facts.net_deposits_since_close))
    return min(reported, default=None)


def infer_regimes(facts: AccountFacts, configured: DayTradeRegime, threshold: Usd) -> Inferred:
    """Return the rule books in force.

    In this order: switched off; the type of account (cash, portfolio margin); an order refused as a potential pattern
    day trade; the broker's number of day trades left, 0 and up; the configuration; simulated accounts count; -1 below
    the threshold means that the broker does not enforce a count, at or above it nothing can be inferred and both rules
    pass; a missing number in an otherwise complete summary means that the count does not apply; else it is unknown.
    *threshold* is the equity from which on day trades are not limited, USD.
    """
    if configured is DayTradeRegime.OFF:
        return _inferred("configuration: day_trades.regime is off", Regime.OFF)
    return _by_type_or_number(facts) or _by_configuration(facts, configured) or _by_silence(facts, threshold)


def _inferred(source: str, *regimes: Regime, is_known: bool = True) -> Inferred:
    return Inferred(regimes=regimes, source=source, is_known=is_known)


def _by_type_or_number(facts: AccountFacts) -> Inferred | None:
    """Return what holds whatever is configured."""
    if facts.account_type is AccountType.CASH:
        return _inferred("broker: a cash account", Regime.CASH_SETTLEMENT)
    if facts.pdt_rejected:
        source = "broker: it refused an order as a potential pattern day trade"
        return _inferred(source, Regime.CLASSIC, Regime.INTRADAY_MARGIN)
    reported = facts.broker_day_trades_remaining
    if reported is not None and reported >= 0:
        return _inferred(f"broker: it says that {reported} day trades remain", Regime.CLASSIC, Regime.INTRADAY_MARGIN)
    if facts.account_type is AccountType.PORTFOLIO:
        return _inferred("broker: a portfolio margin account", Regime.PORTFOLIO_MARGIN)
    return None


def _by_configuration(facts: AccountFacts, configured: DayTradeRegime) -> Inferred | None:
    if configured is not DayTradeRegime.AUTO:
        return _inferred(f"configuration: day_trades.regime is {configured}", Regime(configured.value))
    if facts.is_simulated:
        return _inferred("default: simulated accounts count day trades", Regime.CLASSIC)
    return None


def _by_silence(facts: AccountFacts, threshold: Usd) -> Inferred:
    """Return what -1 or a missing number means."""
    value = worth(facts)
    if facts.broker_day_trades_remaining == UNLIMITED:
        if value is not None and value >= threshold:
            source = f"broker: -1 day trades remain, and {money(value)} reaches {money(threshold)}: both rules pass"
            return _inferred(source, Regime.UNKNOWN)
        return _inferred("broker: -1 day trades remain: it does not enforce the count", Regime.INTRADAY_MARGIN)
    if _is_complete(facts):
        source = "broker: a complete summary without a day-trade number: it does not count here"
        return _inferred(source, Regime.INTRADAY_MARGIN)
    source = "broker: neither a day-trade number nor a complete account summary"
    return _inferred(source, Regime.UNKNOWN, is_known=False)


def _is_complete(facts: AccountFacts) -> bool:
    """Return whether the broker reported net liquidation value and account type; its own flag counts first."""
    if facts.broker_summary_complete is not None:
        return facts.broker_summary_complete
    return facts.net_liquidation is not None and facts.account_type is not None
