"""One security, execution by execution: what is held, what was opened today, and which closings are day trades.

FINRA Rule 4210(f)(8)(B)(i) as it stood before 2026-06-04: a day trade is a purchase and a sale, or a sale and a
purchase, of the same security on the same day, except the sale of a long held overnight before any new purchase, or
the cover of a short held overnight before any new sale. Several purchases and sales in a day are counted by changes
of direction, Interpretation /02 in FINRA Regulatory Notice 21-13, read as *opened, then closed*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby, permutations

from apex_cli.core.market.calendar import session_date, session_end, session_start
from apex_cli.core.model.execution import SEC_TYPE_OF_MARKET, Execution, SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.side import OrderSide

Countable = Fill | Execution

Mark = tuple[datetime, str]
"""When something happened, and its place among what happened at that moment where that is known."""

COUNTED_TYPES = frozenset({SecType.STK, SecType.OPT, SecType.WAR, SecType.BOND, SecType.BILL, SecType.SSF})
"""Securities. Futures, their options, spot currencies and coins are none; a BAG row repeats its legs."""

COUNTED_MARKETS = frozenset(market for market, sec_type in SEC_TYPE_OF_MARKET.items() if sec_type in COUNTED_TYPES)

NO_TIME = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
"""A span that contains no moment."""

_LONG, _SHORT = 1, 2
"""Bits of what was opened today and not yet closed: closing it makes a day trade."""

NUMBERED = "SIM"
"""Executions whose ids begin so are numbered by the venue in their order: a moment they share leaves nothing open."""

_MOST_PERMUTED = 5
"""Tied executions of both sides up to which every order is tried: 120 orders."""


def security_of(fill: Countable) -> str | None:
    """Return the identity of the security, None when its trades do not count."""
    if isinstance(fill, Execution):
        return fill.security if fill.sec_type in COUNTED_TYPES else None
    return fill.instrument.key if fill.instrument.market_type in COUNTED_MARKETS else None


def in_trade_order(fills: Iterable[Countable]) -> list[Countable]:
    """Return each execution once, its newest correction, sorted by time, then execution id; never by arrival."""
    newest: dict[str, Countable] = {}
    for fill in fills:
        key = fill.key
        known = newest.get(key)
        if known is None or fill.revision > known.revision:
            newest[key] = fill
    rows = sorted((fill.filled_at, key) for key, fill in newest.items())
    return [newest[key] for _, key in rows]


def by_security(fills: Iterable[Countable]) -> dict[str, list[Countable]]:
    """Return the executions that count, in order, by security."""
    rows: dict[str, list[Countable]] = {}
    for fill in in_trade_order(fills):
        security = security_of(fill)
        if security is not None:
            rows.setdefault(security, []).append(fill)
    return rows


class DayTradeFlow:
    """One security, fill by fill: what is held, and what closing would count today.

    Tied executions may leave more than one possible state: each is kept with its least and most day trades.
    """

    __slots__ = ("_moment", "_moment_start", "_span", "counts", "held", "session", "states", "uncertain")

    def __init__(self, held: Decimal) -> None:
        """Start with what is *held*, signed, nothing of it opened today."""
        self.held = held
        self.session: date | None = None
        self.states: dict[int, tuple[int, int]] = {0: (0, 0)}
        self.counts: dict[str, int] = {}
        self.uncertain: dict[str, None] = {}
        self._span = NO_TIME
        self._moment: tuple[Mark | None, list[Decimal]] = (None, [])
        self._moment_start = (held, self.states)

    def run(self, fills: Iterable[Countable]) -> None:
        """Take *fills* of one security, already in order."""
        tied: list[Decimal] = []
        mark: Mark = (NO_TIME[0], "")
        for fill in fills:
            change = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
            at = (fill.filled_at, fill.exec_id if fill.exec_id.startswith(NUMBERED) else "")
            if tied and at == mark:
                tied.append(change)
                continue
            if tied:
                self._take(mark, tied)
            mark, tied = at, [change]
        if tied:
            self._take(mark, tied)
        self._settle()

    def _take(self, mark: Mark, changes: list[Decimal]) -> None:
        """Apply the *changes* of one moment; further changes of the newest moment make it be applied again."""
        if mark == self._moment[0]:
            self.held, self.states = self._moment_start
            changes = [*self._moment[1], *changes]
        else:
            if not self._span[0] <= mark[0] < self._span[1]:
                self._turn_to(session_date(mark[0]))
            self._moment_start = (self.held, self.states)
        self._moment = (mark, changes)
        self._apply(changes)

    def _turn_to(self, session: date) -> None:
        """Forget what was opened before *session*."""
        self._settle()
        self.session, self.states = session, {0: (0, 0)}
        self._span = (session_start(session), session_end(session))

    def is_opened_in(self, session: date) -> bool:
        """Return whether closing now, in *session*, would be a day trade."""
        if session != self.session or not self.held:
            return False
        closing = _LONG if self.held > ZERO else _SHORT
        return any(map(closing.__and__, self.states))

    def forget(self, before: str) -> None:
        """Drop the counts of sessions before the date *before*, YYYY-MM-DD."""
        for sessions in (self.counts, self.uncertain):
            for session in [session for session in sessions if session < before]:
                del sessions[session]

    def _apply(self, changes: list[Decimal]) -> None:
        if len(changes) == len(self.states) == 1:
            ((opened, (least, most)),) = self.states.items()
            after, found = _walk(self.held, opened, changes)
            self.states = {after: (least + found, most + found)}
            self.held += changes[0]
            return
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
        if self.session is None:
            return
        least = min([low for low, _ in self.states.values()])
        most = max([high for _, high in self.states.values()])
        session = self.session.isoformat()
        self.counts.pop(session, None)
        self.uncertain.pop(session, None)
        if most:
            self.counts[session] = most
        if least != most:
            self.uncertain[session] = None


def _possible_orders(changes: list[Decimal]) -> Iterable[tuple[Decimal, ...]]:
    """Return the orders in which tied *changes* may have happened; one where they cannot differ."""
    if len(changes) == 1 or min(changes) > ZERO or max(changes) < ZERO:
        return (tuple(changes),)
    if len(changes) <= _MOST_PERMUTED:
        return set(permutations(changes))
    rising = sorted(changes)
    falling = rising[::-1]
    return (tuple(changes), tuple(rising), tuple(falling), _by_turns(rising), _by_turns(falling))


def _by_turns(changes: list[Decimal]) -> tuple[Decimal, ...]:
    """Return purchases and sales by turns, beginning with the side that comes first: the most changes of direction."""
    one = [change for change in changes if change * changes[0] > ZERO]
    other = [change for change in changes if change * changes[0] < ZERO]
    turns = [change for pair in zip(one, other, strict=False) for change in pair]
    return (*turns, *one[len(other) :], *other[len(one) :])


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


def opening_transactions(fills: Iterable[Countable], start_positions: Mapping[str, Decimal]) -> dict[str, int]:
    """Return, by session, how many opening transactions may have been liquidated in it: the other method's count.

    Every transaction that opened or increased a position counts once when some of the position is closed in the same
    session; a closing of fewer units than there are openings touches no more openings than it has units.
    Fills of one order are one transaction where the order is known.

    Source:
        FINRA Interpretation 4210(f)(8)(B)/01; which of several openings a partial sale liquidates is not stated there,
        so this is the most it can be.
    """
    counts: dict[str, int] = {}
    for security, rows in by_security(fills).items():
        held = start_positions.get(security, ZERO)
        for session, daily in groupby(rows, key=lambda fill: session_date(fill.filled_at)):
            held, found = _liquidated_openings(held, daily)
            if found:
                counts[session.isoformat()] = counts.get(session.isoformat(), 0) + found
    return counts


def _liquidated_openings(held: Decimal, fills: Iterable[Countable]) -> tuple[Decimal, int]:
    """Return what is held after one session's *fills*, and how many of their openings may have been liquidated."""
    pending = found = 0
    last_opening = ""
    for fill in fills:
        change = fill.quantity * fill.side.sign
        opened = abs(change)
        if held * change < ZERO:
            closed = min(opened, abs(held))
            touched = min(pending, max(1, int(closed)))
            found, pending, opened = found + touched, pending - touched, opened - closed
            if abs(change) >= abs(held):
                pending = 0
            last_opening = ""
        order = _order_of(fill)
        if opened and (not order or order != last_opening):
            pending, last_opening = pending + 1, order
        held += change
    return held, found


def _order_of(fill: Countable) -> str:
    """Return the order it belongs to, empty when that is not known."""
    return fill.client_order_id if isinstance(fill, Fill) else fill.order_id


def least_start(changes: Iterable[tuple[Decimal, bool]]) -> Decimal:
    """Return the smallest position, signed, from which every execution marked as closing could close.

    Args:
        changes: signed quantity of each execution of one security in order, and whether the broker marked it as
            closing. Without marks the answer is flat.
    """
    start = done = ZERO
    for change, is_closing in changes:
        held = start + done
        if is_closing and abs(held + change) > abs(held) - abs(change):
            start = -change - done
        done += change
    return start
