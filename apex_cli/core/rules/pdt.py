"""Day trades by the classic pattern-day-trader rule: counted per security and session, gated on equity.

The rule is FINRA Rule 4210(f)(8)(B) as it stood before 2026-06-04: buying and selling, or selling and buying, the
same security on the same day, except the sale of a long held overnight before any new purchase (or the cover of a
short held overnight before any new sale). Members may keep applying it, account by account, until 2027-10-20; so the
broker's own number decides where it is told.

Several purchases and sales in a day are counted by changes of direction, Interpretation 4210(f)(8)(B)/02 in
FINRA Regulatory Notice 21-13, read as *opened, then closed*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby, permutations

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.outcome import DayTradeStatus
from apex_cli.core.rules.calendar import previous_sessions, session_date
from apex_cli.core.rules.ledger import in_order
from apex_cli.core.rules.wording import money

COUNTED_MARKETS = frozenset({MarketType.EQUITY, MarketType.OPTIONS})
"""Securities; spot currencies and coins are none."""

UNLIMITED = -1

_LONG, _SHORT = 1, 2
"""Bits of what was opened today and not yet closed: closing it makes a day trade."""

_MOST_PERMUTED = 5
"""Tied executions of both sides up to which every order is tried: 120 orders."""


class DayTradeCount(Value, frozen=True, kw_only=True):
    """Day trades found in a list of fills."""

    by_session: dict[str, int] = {}
    """Session date to day trades; only sessions that have some."""

    by_instrument: dict[str, dict[str, int]] = {}
    """``Instrument.key`` to session date to day trades."""

    uncertain_sessions: tuple[str, ...] = ()
    """Where purchases and sales of one moment leave the order open; the higher count was taken."""


class _Flow:
    """One security, fill by fill: what is held, and what closing would count today.

    Tied executions may leave more than one possible state: each is kept with its least and most day trades.
    """

    __slots__ = ("_moment", "_moment_start", "counts", "held", "session", "states", "uncertain")

    def __init__(self, held: Decimal) -> None:
        self.held = held
        self.session: date | None = None
        self.states: dict[int, tuple[int, int]] = {0: (0, 0)}
        self.counts: dict[str, int] = {}
        self.uncertain: dict[str, None] = {}
        self._moment: tuple[datetime | None, list[Decimal]] = (None, [])
        self._moment_start = (held, self.states)

    def run(self, fills: Iterable[Fill]) -> None:
        """Take *fills* of one security, already in order."""
        for moment, tied in groupby(fills, key=lambda fill: fill.filled_at):
            changes = [fill.quantity * fill.side.sign for fill in tied]
            if moment == self._moment[0]:  # more of the moment that was taken last: take it anew
                self.held, self.states = self._moment_start
                changes = [*self._moment[1], *changes]
            else:
                self.turn_to(session_date(moment))
                self._moment_start = (self.held, self.states)
            self._moment = (moment, changes)
            self._apply(changes)
        self._settle()

    def turn_to(self, session: date) -> None:
        """Forget what was opened when a new session begins."""
        if session != self.session:
            self._settle()
            self.session, self.states = session, {0: (0, 0)}

    def _apply(self, changes: list[Decimal]) -> None:
        reached: dict[int, tuple[int, int]] = {}
        for opened, (least, most) in self.states.items():
            for order in _possible_orders(changes):
                after, found = _walk(self.held, opened, order)
                low, high = reached.get(after, (least + found, most + found))
                reached[after] = (min(low, least + found), max(high, most + found))
        self.held += sum(changes, ZERO)
        self.states = reached

    def _settle(self) -> None:
        """Write down the running session's count."""
        least = min(low for low, _ in self.states.values())
        most = max(high for _, high in self.states.values())
        if self.session is None:
            return
        session = self.session.isoformat()
        self.counts.pop(session, None)
        self.uncertain.pop(session, None)
        if most:
            self.counts[session] = most
        if least != most:
            self.uncertain[session] = None


def _possible_orders(changes: list[Decimal]) -> Iterable[tuple[Decimal, ...]]:
    """Return the orders in which tied *changes* may have happened; one where they cannot differ."""
    if min(changes) > ZERO or max(changes) < ZERO:
        return (tuple(changes),)
    if len(changes) <= _MOST_PERMUTED:
        return set(permutations(changes))
    return (tuple(changes), tuple(sorted(changes)), tuple(sorted(changes, reverse=True)))


def _walk(held: Decimal, opened: int, changes: Iterable[Decimal]) -> tuple[int, int]:
    """Return what is open of today, and the day trades found, after *changes* of the *held* quantity."""
    found = 0
    for change in changes:
        if held * change < ZERO:
            closing = _LONG if held > ZERO else _SHORT
            if opened & closing:
                found += 1
                opened &= ~closing
            held += change
            if held * change > ZERO:
                opened |= _LONG if held > ZERO else _SHORT
        else:
            held += change
            opened |= _LONG if change > ZERO else _SHORT
    return opened, found


def start_positions(fills: Iterable[Fill], positions: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what was held before *fills*: the signed quantity now, less everything they changed.

    Args:
        fills: every execution since then, in any order and repetition.
        positions: signed quantity now by ``Instrument.key``; what is missing is flat.
    """
    held = dict(positions)
    for fill in in_order(fills):
        key = fill.instrument.key
        held[key] = held.get(key, ZERO) - fill.quantity * fill.side.sign
    return held


def count_day_trades(fills: Iterable[Fill], start_positions: Mapping[str, Decimal]) -> DayTradeCount:
    """Return the day trades in *fills*, per session and security.

    Per session, in order of execution time, then execution id: a quantity that reduces the position is a day trade
    when some of that side was opened in the session and not yet closed by an earlier reduction; a quantity that
    opens or increases makes the next reduction one. A fill through zero does both, in that order.

    Args:
        fills: in any order and repetition; markets that do not count are left out.
        start_positions: signed quantity held before the first fill by ``Instrument.key``; what is missing is flat.

    Raises:
        CalendarEndError: a fill lies outside the calendar.

    Source:
        FINRA Rule 4210(f)(8)(B)(i); Regulatory Notice 21-13, Interpretation /02. Each option series is its own
        security. Average cost and lots do not matter.
    """
    return RunningCount(fills, start_positions).count()


class RunningCount:
    """A count that goes on with every new fill, for who asks often."""

    __slots__ = ("_flows", "_newest", "_start")

    def __init__(self, fills: Iterable[Fill], start_positions: Mapping[str, Decimal]) -> None:
        """Count *fills* as ``count_day_trades`` does."""
        self._start = start_positions
        self._flows: dict[str, _Flow] = {}
        self._newest: dict[str, datetime] = {}
        for key, rows in _by_security(fills).items():
            flow = self._flows[key] = _Flow(start_positions.get(key, ZERO))
            flow.run(rows)
            self._newest[key] = rows[-1].filled_at

    def add(self, fill: Fill) -> bool:
        """Go on with *fill*; False when it is earlier than another of its security: then count anew."""
        if fill.instrument.market_type not in COUNTED_MARKETS:
            return True
        key = fill.instrument.key
        newest = self._newest.get(key)
        if newest is not None and fill.filled_at < newest:
            return False
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(self._start.get(key, ZERO))
        flow.run((fill,))
        self._newest[key] = fill.filled_at
        return True

    def count(self) -> DayTradeCount:
        """Return the day trades so far."""
        by_session: dict[str, int] = {}
        for flow in self._flows.values():
            for session, found in flow.counts.items():
                by_session[session] = by_session.get(session, 0) + found
        return DayTradeCount(
            by_session=dict(sorted(by_session.items())),
            by_instrument={key: dict(flow.counts) for key, flow in self._flows.items() if flow.counts},
            uncertain_sessions=tuple(sorted({day for flow in self._flows.values() for day in flow.uncertain})),
        )


def _by_security(fills: Iterable[Fill]) -> dict[str, list[Fill]]:
    rows: dict[str, list[Fill]] = {}
    for fill in in_order(fills):
        if fill.instrument.market_type in COUNTED_MARKETS:
            rows.setdefault(fill.instrument.key, []).append(fill)
    return rows


def would_be_day_trade(
    fills: Iterable[Fill], start_positions: Mapping[str, Decimal], *, key: str, side: OrderSide, session: date
) -> bool:
    """Tell whether the next execution on *side* would be a day trade.

    Args:
        fills: executions so far.
        start_positions: signed quantity held before the first fill by ``Instrument.key``.
        key: ``Instrument.key`` of the order.
        side: side of the order; its quantity does not matter.
        session: the session it would execute in.

    Source:
        as ``count_day_trades``.
    """
    flow = _Flow(start_positions.get(key, ZERO))
    flow.run(_by_security(fills).get(key, ()))
    flow.turn_to(session)
    closing = _LONG if flow.held > ZERO else _SHORT
    return flow.held * side.sign < ZERO and any(opened & closing for opened in flow.states)


def gate_equity(account: AccountSnapshot) -> Usd:
    """Return the equity held against the threshold: the prior close's or now's, whichever is less."""
    if account.prior_close_equity is None:
        return account.equity
    return min(account.prior_close_equity, account.equity)


def day_trade_status(
    count: DayTradeCount, *, session: date, account: AccountSnapshot, limits: DayTradeLimits
) -> DayTradeStatus:
    """Return how many day trades are left in the window that ends with *session*.

    remaining = -1 (unlimited) when the gate equity reaches the threshold, else max(0, limit - used).
    A number from 0 on that the broker tells takes its place. It is None when the count does not apply: the regime
    is off, or it is intraday margin and the broker does not count.

    Args:
        count: day trades of all sessions in the window.
        session: the session an order sent now belongs to.
        account: equity, and the broker's own number.
        limits: the user's regime, limit, window and threshold.

    Raises:
        CalendarEndError: the window reaches outside the calendar.

    Source:
        FINRA Rule 4210(f)(8)(B)(ii) and (iv): 4 day trades in 5 business days, 25,000 USD. Brokers count
        trading days.
    """
    window = tuple(day.isoformat() for day in (*previous_sessions(session, limits.window_sessions - 1), session))
    by_session = {day: count.by_session.get(day, 0) for day in window}
    used = sum(by_session.values())
    regime = _regime(account, limits)
    remaining, why = _remaining(regime, used, account, limits)
    if regime is DayTradeRegime.CLASSIC and not set(window).isdisjoint(count.uncertain_sessions):
        why += " Executions of one moment could have come in another order: the higher count was taken."
    return DayTradeStatus(
        regime=regime.value,
        used=used,
        remaining=remaining,
        limit=limits.limit,
        window=window,
        by_session=by_session,
        why=why,
    )


def _regime(account: AccountSnapshot, limits: DayTradeLimits) -> DayTradeRegime:
    """Return the rule book in force: the broker's number says more than the configuration."""
    if limits.regime is DayTradeRegime.OFF:
        return DayTradeRegime.OFF
    told = account.broker_day_trades_remaining
    if told is not None and told >= 0:
        return DayTradeRegime.CLASSIC
    if limits.regime is DayTradeRegime.AUTO:
        uncounted = told == UNLIMITED and gate_equity(account) < limits.equity_threshold
        return DayTradeRegime.INTRADAY_MARGIN if uncounted else DayTradeRegime.CLASSIC
    return limits.regime


def _remaining(
    regime: DayTradeRegime, used: int, account: AccountSnapshot, limits: DayTradeLimits
) -> tuple[int | None, str]:
    """Return the day trades left and the sentence that explains them."""
    if regime is DayTradeRegime.OFF:
        return None, "The day-trade count is switched off."
    if regime is DayTradeRegime.INTRADAY_MARGIN:
        return None, "Intraday margin applies: day trades are not counted."
    equity, threshold = gate_equity(account), limits.equity_threshold
    if equity >= threshold:
        local, why = UNLIMITED, f"Equity of {money(equity)} reaches {money(threshold)}: day trades are not limited."
    else:
        local, why = max(0, limits.limit - used), f"{used} of {limits.limit} day trades are used."
    told = account.broker_day_trades_remaining
    if told is None or told < 0 or told == local:
        return local, why
    return told, f"{why} The broker says {told} remain: its number counts."
