"""Which rows the hot tables still need; what leaves them stays in the journal.

A holding's fills are kept as one: from the fill that opened it, until it is flat and old. So folding what is kept
always starts from flat, and a late correction finds everything it changes.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from itertools import islice

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
from apex_cli.core.positions.ledger import fold
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

MOST_SESSIONS = max(FILL_SESSIONS, SIGNAL_SESSIONS, FINISHED_SESSIONS, LOCK_SESSIONS)
MOST_OLD_FILLS = 200
"""Old fills of one open holding beyond which they are folded into ``PositionRecord.carried``."""

_UNFINISHED = frozenset({ApprovalStatus.PENDING, ApprovalStatus.APPROVED})


def prune(state: State, now_session: date) -> None:
    """Remove the rows that nothing needs any more, inside the caller's transaction.

    Kept are the fills of the last 10 sessions and of every holding that was open in them, the last 100 round trips
    and the last 50 of each strategy, the last 60 lessons of each market and 120 of its followed signals, the last 50
    versions of learned weights, signals until they have expired and are older than 10 sessions (never more than 5,000
    expired ones), files with rejected rows for 10 sessions (never more than 5,000), pending approvals and working
    orders, everything of a bracket that still holds or works, finished approvals and orders for 2 sessions, locks after
    closed trades for 10 sessions after their end, brackets while an order or a fill names them, and margin deficits for
    some more than a year.
    """
    from apex_cli.core.positions.lessons import prune_lessons

    sessions = (*previous_sessions(now_session, MOST_SESSIONS - 1), now_session)
    fills_from, signals_from = session_start(sessions[-FILL_SESSIONS]), session_start(sessions[-SIGNAL_SESSIONS])
    locks_from, finished_from = session_start(sessions[-LOCK_SESSIONS]), session_start(sessions[-FINISHED_SESSIONS])
    today = session_start(now_session)
    _prune_fills(state, fills_from)
    _prune_history(state, fills_from)
    _prune_round_trips(state)
    prune_lessons(state, today)
    prune_locks(state, locks_from)
    _prune_weights(state)
    _prune_signals(state, signals_from, today)
    _prune_rejected_files(state, signals_from)
    _prune_approvals(state, finished_from)
    _prune_orders_and_brackets(state, finished_from)
    _prune_requests(state, finished_from)
    for key in [key for key, row in state.deficits.items() if is_forgotten(row, now_session)]:
        del state.deficits[key]


def _prune_fills(state: State, cutoff: datetime) -> None:
    """Drop old fills of securities that were flat since; look only at those where a fill came, or became old."""
    fills = state.fills
    changed = {new.instrument.key for _, _, new in state.fill_reader.changes(fills) if new is not None}
    since, state.fills_pruned_before = state.fills_pruned_before, cutoff
    old = fills.older_than(cutoff)
    due = [fill for fill in old if since is None or fill.filled_at >= since or fill.instrument.key in changed]
    for key in dict.fromkeys([fill.instrument.key for fill in due]):
        rows = [fill for fill in fills.oldest_first() if fill.instrument.key == key]
        _prune_holding(state, key, rows, cutoff)


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
    return now - sum([fill.quantity * fill.side.sign for fill in fills], ZERO)


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
    if not state.history_fills or not state.history_fills.older_than(cutoff):
        return
    for rows in by_security(state.history_fills.values()).values():
        executions = [row for row in rows if isinstance(row, Execution)]
        if executions[0].filled_at < cutoff:
            _prune_executions(state, executions, cutoff)


def _prune_executions(state: State, rows: list[Execution], cutoff: datetime) -> None:
    """Drop the old *rows* of one security, of which the first one is old."""
    held = rows[0].held_before or ZERO
    for row in rows:
        if row.filled_at >= cutoff:
            state.history_fills[row.key] = replace(row, held_before=held)
            return
        held += row.quantity * row.side.sign
        del state.history_fills[row.key]


def _prune_round_trips(state: State) -> None:
    """Drop what is neither among the newest of all nor among those of its strategy: rare strategies keep theirs."""
    trips, total = state.round_trips, len(state.round_trips)
    if total <= MOST_ROUND_TRIPS:
        return
    excess = {strategy: count - MOST_OF_STRATEGY for strategy, count in trips.counts.items()}
    for number, trip in enumerate(islice(trips.oldest_first(), total - MOST_ROUND_TRIPS)):
        if number < total - MOST_IN_ALL or excess[trip.strategy] > 0:
            del trips[trip.round_trip_id]
        excess[trip.strategy] -= 1


def _prune_weights(state: State) -> None:
    """Drop the oldest versions; the one in force stays, and the one that results are measured from."""
    if len(state.weights) <= MOST_VERSIONS:
        return
    for key in sorted(state.weights, key=int)[:-MOST_VERSIONS]:
        if key not in {str(state.learning.version), str(state.learning.base)}:
            del state.weights[key]


def _prune_signals(state: State, cutoff: datetime, today: datetime) -> None:
    """Drop expired signals that are old or too many; one that still holds could otherwise be acted on twice."""
    signals = state.signals
    excess = len(signals) - MOST_SIGNALS
    candidates = signals.oldest_first() if excess > 0 else iter(signals.older_than(cutoff))
    for number, row in enumerate(row for row in candidates if row.expires_at < today):
        if number < excess or row.seen_at < cutoff:
            del signals[row.signal_id]


def _prune_rejected_files(state: State, cutoff: datetime) -> None:
    """Drop files that were read long ago, or too many: one that is still there is reported once more."""
    files = state.rejected_files
    excess = len(files) - MOST_SIGNALS
    for number, row in enumerate(files.oldest_first() if excess > 0 else files.older_than(cutoff)):
        if number < excess or row.recorded_at < cutoff:
            del files[row.file_version]


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
    in_use |= {row.order.bracket_id for row in state.orders.open()}
    in_use |= {row.bracket_id for row in state.approvals.values() if row.bracket_id}
    for name in [n for n, r in state.orders.items() if r.updated_at < cutoff and r.order.bracket_id not in in_use]:
        del state.orders[name]
    _prune_brackets(state, cutoff, in_use)


def _prune_brackets(state: State, cutoff: datetime, in_use: set[str]) -> None:
    """Drop old brackets that are neither *in_use* nor named by an order or a fill."""
    ended = [name for name, row in state.brackets.items() if row.created_at < cutoff and row.bracket_id not in in_use]
    if ended:
        named = {record.order.bracket_id for record in state.orders.values()}
        named |= {fill.bracket_id for fill in state.fills.values()}
        for name in ended:
            if name not in named:
                del state.brackets[name]
