"""Locks that follow from closed trades, as rows of the state: made, taken back, lifted by time or by a person.

The same trades give the same locks, in any order and any number of times: a lock is named by its rule, its scope and
the trade that brought it about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.position import MOST_ROUND_TRIPS, RoundTrip
from apex_cli.core.model.protections import LockRule, LockScope, Protections, TradeLock
from apex_cli.core.positions.lock_rules import EVERYTHING, Finding, is_loss, locks_of, standings, subject_in
from apex_cli.core.state.events.position_events import TradeLocked, TradeLockLifted, TradeLockVoided
from apex_cli.core.state.tables import State

LEAST_LETTERS = 4
"""Letters that the beginning of a lock's id has at least."""


def is_locked_by(lock: TradeLock, instrument: Instrument, strategy: str) -> bool:
    """Return whether *lock* is on *instrument* or *strategy*."""
    return lock.subject == subject_in(lock.scope, instrument, strategy)


def locks_in_force(state: State, at: datetime) -> tuple[TradeLock, ...]:
    """Return the locks that hold at *at*, the one that ends first first."""
    return tuple(sorted((row for row in state.trade_locks.values() if row.holds(at)), key=_end))


def _end(lock: TradeLock) -> tuple[datetime, str]:
    return lock.until, lock.lock_id


def keep_locks(tx: State, protections: Protections, now: datetime) -> tuple[TradeLock, ...]:
    """Bring the locks of the state to what its closed trades say, inside the caller's transaction; return new ones.

    A lock stands until it ends or a person lifts it, also when the configuration changes meanwhile. One whose trades
    turn out not to have lost, after a late or corrected fill, is taken back. Those that are over by *now* are not kept.
    """
    trips = tx.round_trips
    for lock in [row for row in tx.trade_locks.values() if row.holds(now) and _is_refuted(row, tx)]:
        del tx.trade_locks[lock.lock_id]
        tx.emit(TradeLockVoided(at=now, subject=lock.subject, data=lock))
    fresh = []
    for lock in locks_of(trips.values(), protections, now):
        known: TradeLock | None = tx.trade_locks.get(lock.lock_id)
        if known is None or _is_moved(known, lock):
            tx.trade_locks[lock.lock_id] = lock
            tx.emit(TradeLocked(at=now, subject=lock.subject, data=lock))
            fresh.append(lock)
    return tuple(fresh)


def _is_moved(known: TradeLock, lock: TradeLock) -> bool:
    """Return whether a late fill moved the end of a trade, and of a lock that nobody has lifted with it."""
    return known.lifted_at is None and known.since != lock.since


def _is_refuted(lock: TradeLock, state: State) -> bool:
    """Return whether a trade of *lock* is undone, or has not lost after all; one that is only old still counts."""
    for name in lock.trades:
        trip: RoundTrip | None = state.round_trips.get(name)
        if trip is not None and not is_loss(trip) and lock.rule is not LockRule.LOW_EXPECTANCY:
            return True
    if lock.trades[-1] in state.round_trips:
        return False
    newer = [trip for trip in state.round_trips.values() if trip.exit_time >= lock.since]
    return len(newer) < MOST_ROUND_TRIPS  # with so many newer ones it is only old


def near_locks(state: State, protections: Protections, at: datetime) -> tuple[Finding, ...]:
    """Return what of the closed trades counts towards a lock at *at*, and locks nothing now."""
    held = {(lock.rule, lock.scope, lock.subject) for lock in locks_in_force(state, at)}
    return tuple(
        finding
        for finding in standings(state.round_trips.values(), protections, at)
        if finding.trips and (finding.rule, finding.scope, finding.subject) not in held
    )


def find_locks(state: State, name: str, at: datetime) -> tuple[TradeLock, ...]:
    """Return the locks in force that *name* names: an id, a clear beginning of one, or all on a subject.

    A subject is a security, a strategy, or ``account``.

    Raises:
        InputError: none has that name, or a beginning fits several.
    """
    held = locks_in_force(state, at)
    wanted = EVERYTHING if name.strip().lower() == LockScope.ACCOUNT else name.strip().lower()
    by_subject = tuple(lock for lock in held if lock.subject.lower() == wanted)
    by_id = tuple(lock for lock in held if len(wanted) >= LEAST_LETTERS and lock.lock_id.startswith(wanted))
    if by_subject:
        return by_subject
    if len(by_id) == 1:
        return by_id
    several = f"could be {', '.join(lock.lock_id for lock in by_id)}" if by_id else "is not in force"
    raise InputError("lock_unknown", f"Lock {name} {several}.", hint="apex locks lists what is locked.")


def lift_locks(tx: State, locks: Sequence[TradeLock], *, by: str, why: str, now: datetime) -> tuple[TradeLock, ...]:
    """Lift *locks* inside the caller's transaction, and return them as they are then.

    Raises:
        NothingToDo: one of them does not hold any more.
    """
    lifted = []
    for lock in locks:
        row: TradeLock | None = tx.trade_locks.get(lock.lock_id)
        if row is None or not row.holds(now):
            raise NothingToDo("lock_over", f"Lock {lock.lock_id} does not hold any more.")
        row = replace(row, lifted_at=now, lifted_by=by, lifted_why=why)
        tx.trade_locks[row.lock_id] = row
        tx.emit(TradeLockLifted(at=now, subject=row.subject, data=row))
        lifted.append(row)
    return tuple(lifted)


def prune_locks(state: State, cutoff: datetime) -> None:
    """Drop locks that ended before *cutoff*: their trades lead to them no more, as they are over."""
    for lock_id in [lock_id for lock_id, row in state.trade_locks.items() if row.until < cutoff]:
        del state.trade_locks[lock_id]
