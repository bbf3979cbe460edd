"""Which rows the hot tables still need; what leaves them stays in the journal.

A holding's fills are kept as one: from the fill that opened it, until it is flat and old. So folding what is kept
always starts from flat, and a late correction finds everything it changes.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.day_trades.count import FILL_SESSIONS
from apex_cli.core.day_trades.deficits import is_forgotten
from apex_cli.core.day_trades.flow import by_security
from apex_cli.core.market.calendar import previous_sessions, session_start
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.position import MOST_ROUND_TRIPS
from apex_cli.core.model.records import ApprovalStatus, PositionRecord
from apex_cli.core.positions.ledger import fold, in_order
from apex_cli.core.positions.trade_locks import prune_locks
from apex_cli.core.state.tables import State

SIGNAL_SESSIONS = 10
MOST_SIGNALS = 5_000
MOST_OF_STRATEGY, MOST_IN_ALL = 50, 500
"""Closed trades of one strategy that are kept besides, and the most of all."""

FINISHED_SESSIONS = 2
"""Sessions, the running one included, whose finished approvals and orders are kept."""

MOST_VERSIONS = 50
"""Versions of learned weights that can be rolled back to."""

LOCK_SESSIONS = 10
"""Sessions, the running one included, for which locks that are over are still listed."""

MOST_OLD_FILLS = 200
"""Old fills of one open holding beyond which they are folded into ``PositionRecord.carried``."""

_UNFINISHED = frozenset({ApprovalStatus.PENDING, ApprovalStatus.APPROVED})


def prune(state: State, now_session: date) -> None:
    """Remove the rows that nothing needs any more, inside the caller's transaction.

    Kept are the fills of the last 10 sessions and of every holding that was open in them, the last 100 round trips
    and the last 50 of each strategy, the last 60 lessons of each market and 120 of its followed signals, the last 50
    versions of learned weights, signals until they have expired and are older than 10 sessions (never more than 5,000
    expired ones), pending approvals and working orders, everything of a bracket that still holds or works, finished
    approvals and orders for 2 sessions, locks after closed trades for 10 sessions after their end, brackets while an
    order or a fill names them, and margin deficits for some more than a year.

    Args:
        state: changed in place.
        now_session: the running session.
    """
    from apex_cli.core.positions.lessons import prune_lessons

    _prune_fills(state, _start_of_last(FILL_SESSIONS, now_session))
    _prune_history(state, _start_of_last(FILL_SESSIONS, now_session))
    _prune_round_trips(state)
    prune_lessons(state, session_start(now_session))
    prune_locks(state, _start_of_last(LOCK_SESSIONS, now_session))
    _prune_weights(state)
    _prune_signals(state, now_session)
    finished_before = _start_of_last(FINISHED_SESSIONS, now_session)
    _prune_approvals(state, finished_before)
    _prune_orders_and_brackets(state, finished_before)
    _prune_requests(state, finished_before)
    for key in [key for key, row in state.deficits.items() if is_forgotten(row, now_session)]:
        del state.deficits[key]


def _start_of_last(sessions: int, now_session: date) -> datetime:
    """Return when the oldest of the last *sessions* sessions began."""
    return session_start((*previous_sessions(now_session, sessions - 1), now_session)[0])


def _prune_fills(state: State, cutoff: datetime) -> None:
    old = dict.fromkeys([fill.instrument.key for fill in state.fills.values() if fill.filled_at < cutoff])
    by_key: dict[str, list[Fill]] = {key: [] for key in old}
    for fill in state.fills.values() if old else ():
        if fill.instrument.key in by_key:
            by_key[fill.instrument.key].append(fill)
    for key, fills in by_key.items():
        _prune_holding(state, key, in_order(fills), cutoff)


def _prune_holding(state: State, key: str, fills: list[Fill], cutoff: datetime) -> None:
    """Drop old *fills* up to the last moment the security was flat; carry the rest if it is too long."""
    row: PositionRecord | None = state.positions.get(key)
    old = [fill for fill in fills if fill.filled_at < cutoff]
    cut = _last_flat(_held_before(row, fills), old)
    carried = row.carried if row and not cut else None
    if row and len(old) - cut > MOST_OLD_FILLS:
        carried, cut = fold(carried, old[cut:]).position, len(old)
    for fill in old[:cut]:
        del state.fills[fill.key]
    if row and cut:
        state.positions[key] = replace(row, carried=carried)


def _held_before(row: PositionRecord | None, fills: list[Fill]) -> Decimal:
    """Return the signed quantity before *fills*: what is held now, less what they changed."""
    now = row.position.quantity * row.position.side.sign if row else ZERO
    return now - sum((fill.quantity * fill.side.sign for fill in fills), ZERO)


def _last_flat(held: Decimal, fills: list[Fill]) -> int:
    """Return after how many of *fills* the security was flat for the last time; 0 when never."""
    flat_after = 0
    for number, fill in enumerate(fills, start=1):
        held += fill.quantity * fill.side.sign
        if not held:
            flat_after = number
    return flat_after


def _prune_history(state: State, cutoff: datetime) -> None:
    """Drop old imported executions; the oldest one left of a security keeps what was held before it, if that is known.

    Without that a sale of what was bought earlier would look like a short.
    """
    for rows in by_security(state.history_fills.values()).values():
        old = [row for row in rows if row.filled_at < cutoff and isinstance(row, Execution)]
        if not old:
            continue
        held = old[0].held_before or ZERO
        for row in old:
            held += row.quantity * row.side.sign
            del state.history_fills[row.key]
        first = rows[len(old)] if len(old) < len(rows) else None
        if isinstance(first, Execution):
            state.history_fills[first.key] = replace(first, held_before=held)


def _prune_round_trips(state: State) -> None:
    """Drop what is neither among the newest of all nor among those of its strategy: rare strategies keep theirs."""
    if len(state.round_trips) <= MOST_ROUND_TRIPS:
        return
    newest_first = sorted(
        state.round_trips.values(), key=lambda trip: (trip.exit_time, trip.round_trip_id), reverse=True
    )
    kept: Counter[str] = Counter()
    for number, trip in enumerate(newest_first):
        kept[trip.strategy] += 1
        if number >= MOST_IN_ALL or (number >= MOST_ROUND_TRIPS and kept[trip.strategy] > MOST_OF_STRATEGY):
            del state.round_trips[trip.round_trip_id]


def _prune_weights(state: State) -> None:
    """Drop the oldest versions; the one in force stays, and the one that results are measured from."""
    if len(state.weights) <= MOST_VERSIONS:
        return
    for key in sorted(state.weights, key=int)[:-MOST_VERSIONS]:
        if key not in {str(state.learning.version), str(state.learning.base)}:
            del state.weights[key]


def _prune_signals(state: State, now_session: date) -> None:
    """Drop expired signals that are old or too many; one that still holds could otherwise be acted on twice."""
    cutoff, today = _start_of_last(SIGNAL_SESSIONS, now_session), session_start(now_session)
    excess = len(state.signals) - MOST_SIGNALS
    if excess <= 0 and not any(row.seen_at < cutoff for row in state.signals.values()):
        return
    expired = sorted(
        (row for row in state.signals.values() if row.expires_at < today), key=lambda row: (row.seen_at, row.signal_id)
    )
    for number, row in enumerate(expired):
        if number < excess or row.seen_at < cutoff:
            del state.signals[row.signal_id]


def _prune_requests(state: State, finished_before: datetime) -> None:
    """Drop answers that nobody collected: who asked is gone."""
    for key in [k for k, r in state.requests.items() if r.finished_at is not None and r.finished_at < finished_before]:
        del state.requests[key]


def _prune_approvals(state: State, cutoff: datetime) -> None:
    for row in list(state.approvals.values()):
        if row.status not in _UNFINISHED and (row.decided_at or row.expires_at) < cutoff:
            del state.approvals[row.approval_id]


def _prune_orders_and_brackets(state: State, cutoff: datetime) -> None:
    in_use = {row.position.bracket_id for row in state.positions.values()}
    in_use.update(row.order.bracket_id for row in state.orders.values() if row.is_open)
    in_use.update(row.bracket_id for row in state.approvals.values() if row.bracket_id)
    for record in list(state.orders.values()):
        if record.order.bracket_id not in in_use and record.updated_at < cutoff:
            del state.orders[record.order.client_order_id]
    in_use.update(record.order.bracket_id for record in state.orders.values())
    in_use.update(fill.bracket_id for fill in state.fills.values())
    for bracket in list(state.brackets.values()):
        if bracket.bracket_id not in in_use and bracket.created_at < cutoff:
            del state.brackets[bracket.bracket_id]
