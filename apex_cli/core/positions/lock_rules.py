"""What closed trades lock: pure folds over round trips, in the order in which they were closed.

The kinds are those of freqtrade's protections (cool-down, stop-loss guard, low profit), and a streak of losses, each
for a security, a strategy and the account. A result is after commissions; R is the result over the first risk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import takewhile

from apex_cli.core.market.durations import end_of, reaches
from apex_cli.core.model.base import Value
from apex_cli.core.model.duration import read_duration
from apex_cli.core.model.instrument import Instrument, MarketType, underlying_of
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import (
    LockRule,
    LockScope,
    LossStreak,
    LowExpectancy,
    Protections,
    StopGuard,
    TradeLock,
)
from apex_cli.core.model.wording import counted, decimals

NO_STRATEGY = "none"
"""Subject of signals without a strategy, as reports call them."""

EVERYTHING = "*"
STOPPED = "stop"
"""``RoundTrip.exit_reason`` of what a stop closed."""


class Finding(Value, frozen=True, kw_only=True):
    """How near the closed trades of one subject are to a lock."""

    rule: LockRule
    scope: LockScope
    subject: str
    found: Decimal
    """Stops, losses in a row, or R."""

    most: Decimal
    """The bound; of R the least, of all others what locks when it is reached."""

    limit: str
    value: str
    trips: tuple[RoundTrip, ...]
    """What counted, oldest first."""

    lasting: str
    is_locking: bool
    """True: the last of *trips* locks."""


def lock_subject(instrument: Instrument) -> str:
    """Return what a lock of *instrument* is on: its key, of an option that of its underlying."""
    return underlying_of(instrument).key if instrument.market_type is MarketType.OPTIONS else instrument.key


def subject_in(scope: LockScope, instrument: Instrument, strategy: str) -> str:
    """Return whom a trade or signal counts for in *scope*."""
    if scope is LockScope.SYMBOL:
        return lock_subject(instrument)
    return (strategy or NO_STRATEGY) if scope is LockScope.STRATEGY else EVERYTHING


def is_loss(trip: RoundTrip) -> bool:
    """Return whether *trip* lost after commissions."""
    return trip.net_pnl < ZERO


def is_stop(trip: RoundTrip) -> bool:
    """Return whether a stop closed *trip* at a loss after commissions; a stop that kept a gain is none."""
    return trip.exit_reason == STOPPED and is_loss(trip)


def locks_of(trips: Iterable[RoundTrip], protections: Protections, at: datetime | None = None) -> Iterator[TradeLock]:
    """Yield every lock that *trips* lead to, those that are over included unless *at* says when they must hold.

    *trips* come in any order, each once.
    """
    lengths = lock_lengths(protections)
    if not lengths:
        return
    histories: dict[tuple[LockScope, str], list[RoundTrip]] = {}
    for trip in _in_order(trips):
        for scope in LockScope:
            subject = subject_in(scope, trip.instrument, trip.strategy)
            history = histories.setdefault((scope, subject), [])
            history.append(trip)
            if at is not None and not _may_hold(trip, lengths, at):
                continue
            for finding in findings(history, protections, scope, trip.exit_time):
                if not finding.is_locking or finding.trips[-1] is not trip:
                    continue
                lock = _lock(finding)
                if at is None or at < lock.until:
                    yield lock


def lock_lengths(protections: Protections) -> frozenset[str]:
    """Return how long the locks of the configured rules last."""
    rules: list[tuple[object, str]] = []
    for scope in LockScope:
        guard: StopGuard = getattr(protections.stop_guard, scope)
        streak: LossStreak = getattr(protections.loss_streak, scope)
        low: LowExpectancy = getattr(protections.low_expectancy, scope)
        rules += [(guard.stops, guard.lock), (streak.losses, streak.lock), (low.trades, low.lock)]
    pause = protections.cooldown.after_stop
    return frozenset([lasting for is_set, lasting in rules if is_set is not None] + ([pause] if pause else []))


def _may_hold(trip: RoundTrip, lengths: Iterable[str], at: datetime) -> bool:
    """Return whether a lock by *trip* could hold at *at*."""
    market = trip.instrument.market_type
    return any(at < end_of(read_duration(lasting), market, trip.exit_time) for lasting in lengths)


def standings(trips: Iterable[RoundTrip], protections: Protections, at: datetime) -> tuple[Finding, ...]:
    """Return how near every subject with closed trades is to each lock that is configured, at *at*."""
    histories: dict[tuple[LockScope, str], list[RoundTrip]] = {}
    for trip in _in_order(trips):
        for scope in LockScope:
            subject = subject_in(scope, trip.instrument, trip.strategy)
            histories.setdefault((scope, subject), []).append(trip)
    return tuple(
        finding for (scope, _), history in histories.items() for finding in findings(history, protections, scope, at)
    )


def _in_order(trips: Iterable[RoundTrip]) -> list[RoundTrip]:
    return sorted(trips, key=lambda trip: (trip.exit_time, trip.round_trip_id))


def findings(
    history: Sequence[RoundTrip], protections: Protections, scope: LockScope, at: datetime
) -> Iterator[Finding]:
    """Yield what each configured rule finds in the closed trades of one subject, at *at*.

    *history*, oldest first, has at least one trade; look-backs end at *at*.
    """
    lasting = protections.cooldown.after_stop
    if scope is LockScope.SYMBOL and lasting is not None:
        yield _cooldown(history, lasting, at)
    guard: StopGuard = getattr(protections.stop_guard, scope)
    if guard.stops is not None:
        yield _stop_guard(history, guard, guard.stops, scope, at)
    streak: LossStreak = getattr(protections.loss_streak, scope)
    if streak.losses is not None:
        yield _loss_streak(history, streak, streak.losses, scope, at)
    low: LowExpectancy = getattr(protections.low_expectancy, scope)
    if low.trades is not None:
        yield from _low_expectancy(history, low, low.trades, scope, at)


def _cooldown(history: Sequence[RoundTrip], lasting: str, at: datetime) -> Finding:
    stops = [trip for trip in history[-1:] if is_stop(trip) and _counts(trip, lasting, at)]
    return _finding(
        LockRule.COOLDOWN,
        LockScope.SYMBOL,
        history,
        stops,
        found=Decimal(len(stops)),
        most=Decimal(1),
        limit=cooldown_limit(lasting),
        value=f"a stop {_result(stops[-1])}" if stops else "no stop",
        lasting=lasting,
    )


def cooldown_limit(lasting: str) -> str:
    """Return the limit of a cool-down in words."""
    return f"no stop within {lasting}"


def _stop_guard(history: Sequence[RoundTrip], guard: StopGuard, most: int, scope: LockScope, at: datetime) -> Finding:
    stops = [trip for trip in history if is_stop(trip) and _counts(trip, guard.within, at)]
    return _finding(
        LockRule.STOP_GUARD,
        scope,
        history,
        stops,
        found=Decimal(len(stops)),
        most=Decimal(most),
        limit=stop_limit(guard),
        value=counted(len(stops), "stop"),
        lasting=guard.lock,
    )


def stop_limit(guard: StopGuard) -> str:
    """Return the limit of a stop guard in words."""
    return f"fewer than {counted(guard.stops or 0, 'stop')} within {guard.within}"


def _loss_streak(
    history: Sequence[RoundTrip], streak: LossStreak, most: int, scope: LockScope, at: datetime
) -> Finding:
    newest_first = takewhile(lambda trip: is_loss(trip) and _counts(trip, streak.within, at), reversed(history))
    losses = list(newest_first)[::-1]
    return _finding(
        LockRule.LOSS_STREAK,
        scope,
        history,
        losses,
        found=Decimal(len(losses)),
        most=Decimal(most),
        limit=streak_limit(streak),
        value=f"{len(losses)} in a row",
        lasting=streak.lock,
    )


def streak_limit(streak: LossStreak) -> str:
    """Return the limit of a streak in words."""
    return f"fewer than {streak.losses} losses in a row within {streak.within}"


def _low_expectancy(
    history: Sequence[RoundTrip], low: LowExpectancy, count: int, scope: LockScope, at: datetime
) -> Iterator[Finding]:
    """Yield a finding for the mean and one for the sum, where enough trades count."""
    counted = [trip for trip in history if trip.net_r_multiple is not None and _counts(trip, low.within, at)][-count:]
    if len(counted) < count:
        return
    total = sum((trip.net_r_multiple or ZERO for trip in counted), ZERO)
    for word, found, least in (("mean", total / count, low.min_mean_r), ("sum", total, low.min_sum_r)):
        if least is not None:
            yield _finding(
                LockRule.LOW_EXPECTANCY,
                scope,
                history,
                counted,
                found=found,
                most=least,
                limit=expectancy_limit(word, least, low),
                value=f"a {word} of {found:+.2f} R",
                lasting=low.lock,
            )


def expectancy_limit(word: str, least: Decimal, low: LowExpectancy) -> str:
    """Return the limit of the mean or the sum of R in words."""
    return f"a {word} of at least {decimals(least)} R over {low.trades} trades within {low.within}"


def _counts(trip: RoundTrip, within: str, at: datetime) -> bool:
    return reaches(read_duration(within), trip.instrument.market_type, trip.exit_time, at)


def _result(trip: RoundTrip) -> str:
    r = trip.net_r_multiple
    return f"at {r:+.2f} R" if r is not None else f"at {trip.net_pnl:+.2f}"


def _finding(
    rule: LockRule,
    scope: LockScope,
    history: Sequence[RoundTrip],
    trips: Sequence[RoundTrip],
    *,
    found: Decimal,
    most: Decimal,
    limit: str,
    value: str,
    lasting: str,
) -> Finding:
    last = history[-1]
    is_beyond = found < most if rule is LockRule.LOW_EXPECTANCY else found >= most
    return Finding(
        rule=rule,
        scope=scope,
        subject=subject_in(scope, last.instrument, last.strategy),
        found=found,
        most=most,
        limit=limit,
        value=value,
        trips=tuple(trips),
        lasting=lasting,
        is_locking=bool(is_beyond and trips and trips[-1] is last),
    )


def _lock(finding: Finding) -> TradeLock:
    from hashlib import sha256

    last = finding.trips[-1]
    name = f"{finding.rule}\n{finding.scope}\n{finding.subject}\n{last.round_trip_id}"
    return TradeLock(
        lock_id=sha256(name.encode()).hexdigest()[:10],
        rule=finding.rule,
        scope=finding.scope,
        subject=finding.subject,
        since=last.exit_time,
        until=end_of(read_duration(finding.lasting), last.instrument.market_type, last.exit_time),
        trades=tuple(trip.round_trip_id for trip in finding.trips),
        limit=finding.limit,
        value=finding.value,
    )
