"""Hypothetical results of signals that were not taken, by their stops and targets alone.

A small account takes few of the signals it sees. What became of the others says as much of strategies and components,
and what is not traded any more can show that it works again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.model.decision import Decision
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.lesson import EntryConditions, Followed, FollowedEnd, Lesson, followed_name
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.records import SignalOutcome, SignalRecord
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.ports import BarSource
from apex_cli.core.state.events.learning_events import FollowingEnded
from apex_cli.core.state.tables import State
from apex_cli.core.venue.costs import CostModel

LONGEST = timedelta(days=30)
"""How long a signal is followed."""

MOST_FOLLOWED_AT_ONCE = 150
SIGNAL_CHECKS = frozenset(
    {
        "signal_levels",
        "signal_expired",
        "contract",
        "size",
        "reward_risk_min",
        "confidence_min",
        "duplicate_symbol",
        "symbol_allowed",
        "shorting_allowed",
        "borrowable",
        "not_halted",
        "market_hours",
        "price_collar",
    }
)
"""Checks of the signal itself; one that others refuse, for want of money or room, could have been traded: follow it."""

ZERO, ONE = Decimal(0), Decimal(1)
R_STEP = Decimal("0.0001")


def follow(
    tx: State,
    opportunity: Opportunity,
    decision: Decision,
    limits: Limits,
    *,
    conditions: EntryConditions,
    since: datetime,
) -> None:
    """Begin to follow a signal that is not taken, where it could have been: not two of one strategy in one security.

    The ``learning`` of *limits* says whether signals are followed; prices from *since* on count.
    """
    signal = opportunity.signal
    is_fit = signal.instrument.market_type is not MarketType.OPTIONS and decision.sized is not None
    is_own = any(not check.passed and check.code in SIGNAL_CHECKS for check in decision.checks)
    if not (limits.learning.follow and limits.learning.mode.learns and is_fit) or is_own:
        return
    name = followed_name(signal.strategy, signal.side, signal.instrument)
    if name in tx.followed or len(tx.followed) >= MOST_FOLLOWED_AT_ONCE:
        return
    tx.followed[name] = Followed(
        signal_id=signal.signal_id,
        instrument=signal.instrument,
        side=signal.side,
        strategy=signal.strategy,
        entry_price=signal.entry_price,
        stop_loss=signal.stop_loss,
        target_prices=signal.target_prices,
        since=since,
        until=since + LONGEST,
        cost_r=_cost(decision, limits),
        conditions=conditions,
    )


def _cost(decision: Decision, limits: Limits) -> Decimal:
    """Return the commissions of entry and exit, in parts of the risk."""
    sized = decision.sized
    if sized is None or not sized.risk_amount:
        return ZERO
    costs = CostModel(plan=limits.commission)
    each = costs.commission(decision.instrument, sized.quantity, sized.notional)
    return (2 * each / sized.risk_amount).quantize(R_STEP)


class Result(NamedTuple):
    """What a signal would have brought."""

    r: Decimal
    """After costs."""

    at: datetime
    """End of the bar that ended it."""


def result_of(row: Followed, bars: Iterable[Bar], now: datetime) -> Result | None:
    """Return what the signal would have brought; None while it is open, or where no bar says it.

    It enters at the first open after it was seen. In one bar the stop comes before the targets, a gap fills at the
    open, and every target takes an even part. What is left at the end of the time ends at the last close. Prices that
    halve or double from one bar to the next are taken for a split, and say nothing. *bars* begin after it was seen,
    oldest first.
    """
    return Course(row).go_on(list(bars), now)


class Course:
    """How one followed signal goes: bars that it has met are not looked at again."""

    __slots__ = ("_before", "_entry", "_gained", "_is_silent", "_last", "_left", "_met", "_part", "_targets", "row")

    def __init__(self, row: Followed) -> None:
        """Begin before the first bar."""
        self.row = row
        self._start_over()

    def _start_over(self) -> None:
        row = self.row
        self._targets = sorted(row.target_prices, key=lambda price: price * row.side.sign)
        self._part = ONE / max(len(self._targets), 1)
        self._entry: Price | None = None
        self._left, self._gained = ONE, ZERO
        self._before = row.entry_price
        self._last: Bar | None = None
        """The last bar that was met."""

        self._met = 0
        self._is_silent = False
        """Whether its bars say nothing: a split, or an entry beyond stop or target."""

    def go_on(self, bars: Sequence[Bar], now: datetime) -> Result | None:
        """Return what ``result_of`` says of *bars*, which go on where they ended at the last look."""
        if self._met and (self._met > len(bars) or bars[self._met - 1] != self._last):
            self._start_over()
        for number in range(self._met, len(bars)):
            self._last = bar = bars[number]
            self._met += 1
            found = self._meet(bar)
            if found is not None:
                return found
        return self._at_the_end(now)

    def _meet(self, bar: Bar) -> Result | None:
        """Return the result that *bar* brings."""
        row, entry = self.row, self._entry
        if bar.start < row.since or self._is_silent:
            return None
        sign = row.side.sign
        if not self._before / 2 < bar.open < self._before * 2:
            self._is_silent = True
            return None
        self._before = bar.close
        if entry is None:
            entry = self._entry = bar.open
            if not _is_between(entry, row.stop_loss, self._targets, sign):
                self._is_silent = True
                return None
        exit_price = _stopped(bar, row.stop_loss, sign)
        if exit_price is not None:
            return Result(self._in_r(self._left * (exit_price - entry) * sign), bar.end)
        self._take_targets(bar, entry)
        return None if self._left else Result(self._in_r(ZERO), bar.end)

    def _take_targets(self, bar: Bar, entry: Price) -> None:
        """Take the part of each target that *bar* reaches."""
        sign, targets = self.row.side.sign, self._targets
        while targets and (_best(bar, sign) - targets[0]) * sign >= ZERO:
            taken = self._left if len(targets) == 1 else self._part
            self._gained += taken * (_better(bar.open, targets.pop(0), sign) - entry) * sign
            self._left -= taken

    def _at_the_end(self, now: datetime) -> Result | None:
        """Return what is left at the last close, once the time is over."""
        row, entry, last = self.row, self._entry, self._last
        if now < row.until or entry is None or last is None or self._is_silent:
            return None
        return Result(self._in_r(self._left * (last.close - entry) * row.side.sign), last.end)

    def _in_r(self, gained: Decimal) -> Decimal:
        """Return *gained* and what targets brought before, R after costs."""
        row = self.row
        return ((self._gained + gained) / abs(row.entry_price - row.stop_loss) - row.cost_r).quantize(R_STEP)


def _is_between(price: Price, stop: Price, targets: Sequence[Price], sign: int) -> bool:
    """Return whether *price* lies beyond the stop and before the first target."""
    return (price - stop) * sign > ZERO and not (targets and (price - targets[0]) * sign >= ZERO)


def _stopped(bar: Bar, stop: Price, sign: int) -> Price | None:
    worst = bar.low if sign > 0 else bar.high
    if (worst - stop) * sign > ZERO:
        return None
    return min(bar.open, stop) if sign > 0 else max(bar.open, stop)


def _best(bar: Bar, sign: int) -> Price:
    return bar.high if sign > 0 else bar.low


def _better(opening: Price, target: Price, sign: int) -> Price:
    return max(opening, target) if sign > 0 else min(opening, target)


def lesson_of(row: Followed, result: Result) -> Lesson:
    """Return what a followed signal teaches; its number is that of its event."""
    return Lesson(
        round_trip_id=f"followed-{row.signal_id}",
        seq=0,
        strategy=row.strategy,
        market_type=row.instrument.market_type,
        side=row.side.opens,
        closed_at=result.at,
        r=result.r,
        conditions=row.conditions,
        is_followed=True,
    )


Courses = dict[str, Course]
"""How followed signals went so far, by name."""


def endings(state: State, bars: BarSource, now: datetime, courses: Courses | None = None) -> list[FollowedEnd]:
    """Return the end of every followed signal whose result is known by now; reads bars, so outside a transaction.

    One that waits for an answer is looked at later; one that was traded after all ends without a lesson. *courses* are
    kept from look to look, and changed in place.
    """
    courses = {} if courses is None else courses
    for name in [name for name in courses if name not in state.followed]:
        del courses[name]
    found = []
    for name, row in state.followed.items():
        known: SignalRecord | None = state.signals.get(row.signal_id)
        outcome = known.outcome if known is not None else None
        if outcome is SignalOutcome.QUEUED and now < row.until:
            continue
        if outcome in {SignalOutcome.EXECUTED, SignalOutcome.UNKNOWN}:
            found.append(FollowedEnd(name=name))
            continue
        course = courses[name] = _course_of(row, courses.get(name))
        lesson = _lesson_by(course, bars, now)
        if lesson is not None or now >= row.until:
            found.append(FollowedEnd(name=name, lesson=lesson))
            del courses[name]  # past its last bar; one whose end was not committed begins at its first bar again
    return found


def _course_of(row: Followed, known: Course | None) -> Course:
    """Return the course of *row*: the one that is known, else a new one."""
    return known if known is not None and known.row is row else Course(row)


def _lesson_by(course: Course, bars: BarSource, now: datetime) -> Lesson | None:
    """Return what a followed signal teaches whose result is known by *now*."""
    row = course.row
    result = course.go_on(bars.bars(row.instrument.bars_name, after=row.since, until=min(now, row.until)), now)
    return None if result is None else lesson_of(row, result)


def end_all(tx: State, ends: Iterable[FollowedEnd], now: datetime) -> None:
    """Keep what followed signals taught, in the caller's transaction; one that is not followed any more is left out."""
    for end in ends:
        if end.name in tx.followed:
            seq = tx.emit(FollowingEnded(at=now, subject=end.name, data=end))
            apply_end(tx, end, seq)


def apply_end(tx: State, end: FollowedEnd, seq: int) -> None:
    """Keep what a followed signal taught; *seq* is the number of its event."""
    tx.followed.pop(end.name, None)
    if end.lesson is not None:
        tx.lessons[end.lesson.round_trip_id] = replace(end.lesson, seq=seq)
