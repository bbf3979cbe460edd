"""Day trades by the classic pattern-day-trader rule: counted per security and session, gated on equity.

The rule is FINRA Rule 4210(f)(8)(B) as it stood before 2026-06-04. Members may keep applying it, account by account,
until 2027-10-20; so the broker's own number decides where it is reported. ``regimes`` says where the count matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from apex_cli.core.day_trades.flow import Countable, DayTradeFlow, by_security, in_trade_order, security_of
from apex_cli.core.day_trades.regimes import UNLIMITED, Inferred, gate_equity, infer_regimes
from apex_cli.core.market.calendar import next_session, previous_sessions
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.wording import money

FORECAST_SESSIONS = 5

FILL_SESSIONS = 10
"""Sessions, the running one included, whose fills are kept: twice the day-trade window."""
"""Today and the four sessions after it."""


class DayTradeCount(Value, frozen=True, kw_only=True):
    """Day trades found in a list of fills."""

    by_session: dict[str, int] = {}
    """Session date to day trades; only sessions that have some."""

    by_instrument: dict[str, dict[str, int]] = {}
    """``Instrument.key`` to session date to day trades."""

    uncertain_sessions: tuple[str, ...] = ()
    """Where purchases and sales of one moment leave the order open; the higher count was taken."""


def start_positions(fills: Iterable[Countable], positions: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what was held before *fills*: the signed quantity now, less everything they changed.

    *fills* come in any order and repetition; *positions* are by ``Instrument.key``, and what is missing is flat.
    """
    held = dict(positions)
    for fill in in_trade_order(fills):
        key = security_of(fill)
        if key is not None:
            held[key] = held.get(key, ZERO) - fill.quantity * fill.side.sign
    return held


def count_day_trades(fills: Iterable[Countable], start_positions: Mapping[str, Decimal]) -> DayTradeCount:
    """Return the day trades in *fills*, per session and security.

    Per session, in order of execution time, then execution id: a quantity that reduces the position is a day trade
    when some of that side was opened in the session and not yet closed by an earlier reduction; a quantity that
    opens or increases makes the next reduction one. A fill through zero does both, in that order.

    Args:
        fills: in any order and repetition; markets that do not count are left out.
        start_positions: signed quantity held before the first fill by ``Instrument.key``; what is missing is flat.

    Source:
        FINRA Rule 4210(f)(8)(B)(i); Regulatory Notice 21-13, Interpretation /02. Each option series is its own
        security. Average cost and lots do not matter.
    """
    return RunningCount(fills, start_positions).count()


class RunningCount:
    """A count that adds each new fill, for frequent questions."""

    __slots__ = ("_flows", "_newest", "_start")

    def __init__(self, fills: Iterable[Countable], start_positions: Mapping[str, Decimal]) -> None:
        """Count *fills* as ``count_day_trades`` does."""
        self._start = start_positions
        self._flows: dict[str, DayTradeFlow] = {}
        self._newest: dict[str, datetime] = {}
        for key, rows in by_security(fills).items():
            flow = self._flows[key] = DayTradeFlow(start_positions.get(key, ZERO))
            flow.run(rows)
            self._newest[key] = rows[-1].filled_at

    def add(self, fill: Countable) -> bool:
        """Add *fill*; return False where it is earlier than another of its security: the caller then recounts."""
        key = security_of(fill)
        if key is None:
            return True
        newest = self._newest.get(key)
        if newest is not None and fill.filled_at < newest:
            return False
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = DayTradeFlow(self._start.get(key, ZERO))
        flow.run((fill,))
        self._newest[key] = fill.filled_at
        return True

    def held(self, security: str) -> Decimal:
        """Return the signed quantity held after the newest fill."""
        flow = self._flows.get(security)
        return flow.held if flow else self._start.get(security, ZERO)

    def opened_in(self, session: date) -> tuple[str, ...]:
        """Return the securities whose closing, in *session*, would be a day trade."""
        return tuple(sorted([key for key, flow in self._flows.items() if flow.is_opened_in(session)]))

    def forget(self, before: str) -> None:
        """Drop the counts of sessions before the date *before*, YYYY-MM-DD; what is held stays known."""
        for flow in self._flows.values():
            if flow.counts or flow.uncertain:
                flow.forget(before)

    def count(self) -> DayTradeCount:
        """Return the day trades so far, in the sessions that were not forgotten."""
        by_session: dict[str, int] = {}
        for flow in self._flows.values():
            for session, found in flow.counts.items():
                by_session[session] = by_session.get(session, 0) + found
        return DayTradeCount(
            by_session=dict(sorted(by_session.items())),
            by_instrument={key: dict(flow.counts) for key, flow in self._flows.items() if flow.counts},
            uncertain_sessions=tuple(sorted({day for flow in self._flows.values() for day in flow.uncertain})),
        )


class SpreadDayTrades(Value, frozen=True, kw_only=True):
    """Day trades in several option series of one underlying in one session: perhaps the legs of a spread."""

    session_date: str
    underlying: str
    day_trades: int
    """As counted, one or more for each series."""

    as_units: int
    """If every leg was opened and closed together with the others."""


def spread_day_trades(count: DayTradeCount, window: Iterable[str]) -> tuple[SpreadDayTrades, ...]:
    """Return where the count would be lower for a broker that counts a spread as a unit, oldest first.

    The rule speaks of the same security, so each series counts; some brokers count a spread that was opened and closed
    as a unit once.

    Args:
        count: day trades by security; option series are spelled ``SYMBOL@options EXPIRY RIGHT STRIKE``.
        window: session dates to look at.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for key, by_session in count.by_instrument.items():
        underlying, is_option, _ = key.partition("@options ")
        if is_option:
            for session, number in by_session.items():
                found.setdefault((session, underlying), []).append(number)
    days = set(window)
    return tuple(
        SpreadDayTrades(session_date=session, underlying=name, day_trades=sum(numbers), as_units=max(numbers))
        for (session, name), numbers in sorted(found.items())
        if len(numbers) > 1 and session in days
    )


def window_of(session: date, limits: DayTradeLimits) -> tuple[str, ...]:
    """Return the session dates of the window that ends with *session*, oldest first.

    Source:
        FINRA Rule 4210(f)(8)(B)(ii): five business days. Brokers count trading days; half days are full days.
    """
    return _dates_to(session, limits.window_sessions)


@lru_cache(maxsize=4)
def _dates_to(session: date, sessions: int) -> tuple[str, ...]:
    return tuple(day.isoformat() for day in (*previous_sessions(session, sessions - 1), session))


def day_trade_status(
    count: DayTradeCount,
    *,
    session: date,
    facts: AccountFacts,
    limits: DayTradeLimits,
    opened_today: tuple[str, ...] = (),
    is_partial: bool = False,
) -> DayTradeStatus:
    """Return how many day trades are left in the window that ends with *session*.

    remaining = -1 (unlimited) when the gate equity reaches the threshold, else max(0, limit - used), and 0 for a
    flagged account. A number of 0 or more from the broker replaces it. It is None where the count does not
    apply. Where the rule cannot be determined, day trades are counted for display.

    Args:
        count: day trades of all sessions in the window.
        session: the session an order sent now belongs to.
        facts: the account as reported now.
        limits: the user's regime, limit, window and threshold.
        opened_today: securities whose closing now would be a day trade.
        is_partial: True when the fills may not cover the whole window.

    Source:
        FINRA Rule 4210(f)(8)(B)(ii) and (iv): 4 day trades in 5 business days, 25,000 USD.
    """
    window = window_of(session, limits)
    by_session = {day: count.by_session.get(day, 0) for day in window}
    used = sum(by_session.values())
    inferred = infer_regimes(facts, limits.regime, limits.equity_threshold)
    uncertain = not set(window).isdisjoint(count.uncertain_sessions)
    local, why = _local(inferred, used, facts, limits)
    reported = facts.broker_day_trades_remaining
    remaining, mismatch = _brokers_or_ours(inferred, local, reported, is_partial=is_partial)
    if uncertain and remaining is not None:
        why += " Executions of one moment could have come in another order: the higher count was taken."
    return DayTradeStatus(
        regime=inferred.regimes[0],
        regimes=inferred.regimes,
        regime_source=inferred.source,
        is_regime_known=inferred.is_known,
        session_date=window[-1],
        used=used,
        remaining=remaining,
        local_remaining=local,
        broker_remaining=reported,
        mismatch=mismatch,
        limit=limits.limit,
        window=window,
        by_session=by_session,
        uncertain=uncertain,
        is_partial=is_partial,
        opened_today=opened_today,
        why=f"{why} {mismatch}" if mismatch else why,
    )


_NOT_COUNTED = {
    Regime.OFF: "The day-trade count is switched off.",
    Regime.INTRADAY_MARGIN: "Intraday margin applies: day trades are not counted.",
    Regime.CASH_SETTLEMENT: "A cash account: day trades are not counted, only settled cash may be spent.",
    Regime.PORTFOLIO_MARGIN: "Portfolio margin: day trades are not counted.",
}


def _local(inferred: Inferred, used: int, facts: AccountFacts, limits: DayTradeLimits) -> tuple[int | None, str]:
    """Return the day trades left by our own count, and the sentence that explains them."""
    if not {Regime.CLASSIC, Regime.UNKNOWN} & set(inferred.regimes):
        return None, _NOT_COUNTED[inferred.regimes[0]]
    equity, threshold = gate_equity(facts), limits.equity_threshold
    if equity is not None and equity >= threshold:
        return UNLIMITED, f"Equity of {money(equity)} reaches {money(threshold)}: day trades are not limited."
    if facts.flagged_pdt:
        return 0, f"The account is marked as a pattern day trader's and has less than {money(threshold)}."
    return max(0, limits.limit - used), f"{used} of {limits.limit} day trades are used."


def _brokers_or_ours(
    inferred: Inferred, local: int | None, reported: int | None, *, is_partial: bool
) -> tuple[int | None, str]:
    """Return the number that counts, and why the broker's differs from ours."""
    if local is None or reported is None:
        return local, ""
    if reported < 0:
        if Regime.UNKNOWN in inferred.regimes:
            return UNLIMITED, ""
        return local, "" if local < 0 else "The broker says that day trades are not limited."
    if reported == local:
        return local, ""
    why = "the stored history is partial" if is_partial else "trades from other programs or devices"
    says = f"The broker says {reported} remain: its number counts."
    return reported, f"{says} Perhaps {why}, or it counts by another method."


def forecast(status: DayTradeStatus) -> tuple[int | None, ...]:
    """Return the day trades left today and on each of the four sessions after it, if none is added.

    The n-th number leaves out what has left the window by then; what the broker counts more or less than we do is
    taken to stay. None where the count does not apply.
    """
    if status.remaining is None or status.remaining < 0:
        return (status.remaining,) * FORECAST_SESSIONS
    if status.local_remaining == 0 and status.used < status.limit:  # flagged: it does not lapse with the window
        return (status.remaining, *(0,) * (FORECAST_SESSIONS - 1))
    unseen = max(0, status.limit - status.used) - status.remaining
    numbers: list[int | None] = []
    for session in following_sessions(date.fromisoformat(status.session_date), FORECAST_SESSIONS):
        since = (*previous_sessions(session, len(status.window) - 1), session)[0].isoformat()
        used = sum(found for day, found in status.by_session.items() if day >= since)
        numbers.append(max(0, min(status.limit, max(0, status.limit - used) - unseen)))
    return (status.remaining, *numbers[1:])


def following_sessions(session: date, n: int) -> tuple[date, ...]:
    """Return *session* and the sessions after it, *n* in all."""
    found = [session]
    while len(found) < n:
        found.append(next_session(found[-1]))
    return tuple(found)


def leaves_window_on(day: date, limits: DayTradeLimits) -> date:
    """Return the first session whose window does not contain *day* any more."""
    return following_sessions(day, limits.window_sessions + 1)[-1]
