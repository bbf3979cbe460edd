"""The learning hook: looks at new lessons, and puts new versions of the weights in force.

Learning reaches the score and nothing else. Each change can be listed, compared and rolled back to the last digit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import ApexError, InputError
from apex_cli.core.learning import components, markets
from apex_cli.core.learning.audit import Audit, AuditBook
from apex_cli.core.learning.expectation import value_key
from apex_cli.core.learning.experience import all_experience, facts_of
from apex_cli.core.learning.followed import Courses, end_all, endings
from apex_cli.core.learning.markets import MarketStep
from apex_cli.core.learning.outcomes import OutcomeHook, model_outcomes
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import (
    DEFAULT_WEIGHTS,
    Estimate,
    Experience,
    LearningMode,
    LearningState,
    Weights,
    WeightsVersion,
)
from apex_cli.core.model.lesson import FollowedEnd, Lesson
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import counted
from apex_cli.core.ports import BarSource
from apex_cli.core.state.events.learning_events import (
    LearningChange,
    LearningFrozen,
    LearningSuspended,
    LearningUnfrozen,
    WeightsAdapted,
    WeightsProposed,
)
from apex_cli.core.state.tables import State, Table, TableReader

SUBJECT = "learning"
"""What the events of this module concern."""


FOLLOWED_PER_TRADE = 5
"""Followed signals that make new estimates as due as one trade."""

LEAST_CHANGE = Decimal("0.01")
"""R by which a value must move to make a version."""

LONGEST = timedelta(days=10)
"""After that a value that is found again is put in force again, so that it does not lapse."""


class LessonLine:
    """Lessons in the order of their numbers."""

    __slots__ = ("_seqs", "lessons")

    def __init__(self) -> None:
        """Start with none."""
        self._seqs: list[int] = []
        self.lessons: list[Lesson] = []

    def add(self, lesson: Lesson) -> None:
        """Put *lesson* in its place."""
        at = bisect_right(self._seqs, lesson.seq)
        self._seqs.insert(at, lesson.seq)
        self.lessons.insert(at, lesson)

    def drop(self, lesson: Lesson) -> None:
        """Take out *lesson*, which is in the line."""
        at = self.lessons.index(lesson, bisect_left(self._seqs, lesson.seq))
        del self._seqs[at], self.lessons[at]

    def after(self, seq: int) -> Sequence[Lesson]:
        """Return the lessons with a number above *seq*."""
        return self.lessons[bisect_right(self._seqs, seq) :]


class LessonBook:
    """The lessons of a state in the order of their numbers; reading them again costs what changed."""

    def __init__(self) -> None:
        """Start with none."""
        self._reader: TableReader[Lesson] = TableReader()
        self.all = LessonLine()
        self.with_parts = LessonLine()
        """Those that all components of the score are known of."""

        self._of_market: defaultdict[MarketType, LessonLine] = defaultdict(LessonLine)

    def read(self, table: Table[Lesson]) -> None:
        """Take over what *table* holds now."""
        for _, old, new in self._reader.changes(table):
            if old is not None:
                for line in self._lines(old):
                    line.drop(old)
            if new is not None:
                for line in self._lines(new):
                    line.add(new)

    def _lines(self, lesson: Lesson) -> Iterator[LessonLine]:
        """Yield the lines that *lesson* stands in."""
        yield self.all
        if facts_of(lesson).has_all_parts:
            yield self.with_parts
        if not lesson.is_followed:
            yield self._of_market[lesson.market_type]

    def traded(self, market: MarketType) -> LessonLine:
        """Return the lessons of trades in *market*."""
        return self._of_market[market]


class Learners:
    """All learners behind one ``LearningHook``."""

    def __init__(
        self,
        mode: LearningMode = LearningMode.ADAPT,
        *,
        outcome_hook: OutcomeHook | None = None,
        bars: BarSource | None = None,
        notice: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        """Learn as *mode* says; *outcome_hook* hears outcomes of predictions, *bars* say how followed signals end.

        *notice* hears when the hook fails.
        """
        self._mode = mode
        self._outcome_hook = outcome_hook
        self._bars = bars
        self._notice = notice
        self._heard_seq = 0
        """Number of the newest lesson whose outcome the hook has."""

        self._is_first_look = False
        """Whether the next check is the first one of its session."""

        self._ends: list[FollowedEnd] = []
        self._courses: Courses = {}
        self._book = LessonBook()
        self._audit = AuditBook()
        self._experience: dict[str, Experience] | None = None
        """Worked out in this check."""

    def prepare(self, state: State, now: datetime) -> None:
        """Let the hook hear of outcomes; before the first check of a session, see how followed signals ended."""
        last = state.counters.last_learning_check
        self._is_first_look = last is None or session_date(last) != session_date(now)
        if self._is_first_look and self._bars is not None and self._mode.learns:
            self._ends = endings(state, self._bars, now, self._courses)
        if self._outcome_hook is not None and not self._rests(state):
            self._report_outcomes(state, self._outcome_hook, now)

    def check(self, state: State, now: datetime) -> None:
        """Adapt where there is reason to, inside the caller's transaction."""
        self._once_a_session(state, now)
        if self._rests(state):
            return
        self._book.read(state.lessons)
        self._experience = None
        self._adapt_markets(state, now)
        self._adapt_parts(state, now)
        if self._heard_seq > state.learning.outcomes_seq:
            state.learning = replace(state.learning, outcomes_seq=self._heard_seq)

    def _rests(self, state: State) -> bool:
        learning = state.learning
        is_blank = not state.lessons and not learning.newest
        return self._mode is LearningMode.OFF or learning.frozen_at is not None or is_blank

    def _report_outcomes(self, state: State, hook: OutcomeHook, now: datetime) -> None:
        """Let *hook* hear of what is new, with no transaction open: it may take its time, or fail, or be killed.

        What it heard is marked by the next check; until then it is reported again.
        """
        self._book.read(state.lessons)
        fresh = self._book.all.after(state.learning.outcomes_seq)
        if not fresh:
            return
        outcomes = model_outcomes(lesson for lesson in fresh if not lesson.is_followed)
        try:
            if outcomes:
                hook.learn(outcomes, now)
        except Exception as error:  # noqa: BLE001 - a model's trouble is not the loop's
            what = error.message if isinstance(error, ApexError) else f"{type(error).__name__}: {error}"
            message = f"What trades on predictions brought is reported to the model later, as it failed: {what}"
            self._notice(Reason(code="model_outcomes_failed", message=message))
        else:
            self._heard_seq = fresh[-1].seq

    def _once_a_session(self, tx: State, now: datetime) -> None:
        """Keep what followed signals taught, and see whether learning made results worse."""
        ends, self._ends = self._ends, []
        end_all(tx, ends, now)
        learning = tx.learning
        if self._is_first_look and learning.newest and learning.in_force(self._mode).adapts:
            if learning.audited_seq != self._audit.after:
                self._audit = AuditBook(learning.audited_seq)
            audit = self._audit.look(tx.lessons, tx.audits)
            if audit is not None and audit.is_harmful:
                suspend(tx, audit, now)

    def _adapt_parts(self, tx: State, now: datetime) -> None:
        learning, known = tx.learning, self._book.with_parts
        fresh = size_of(known.after(learning.parts_seq))
        if not components.should_adapt(known.lessons, fresh=fresh, last=learning.parts_at, now=now):
            return
        before, base = weights_in_force(tx), weights_of(tx, learning.base)
        experience = self._experience_of(tx)
        if not experience:
            return
        found = components.slopes_of(experience, components.noise_of(experience))
        effects = components.effects_of(base, found)
        parts = components.adapt(before.parts, components.wanted_weights(effects))
        after = replace(before, parts=parts, effects=effects)
        learning = replace(learning, parts_seq=known.lessons[-1].seq, parts_at=now)
        is_same = parts == before.parts and _means(effects) == _means(before.effects)
        self._put(tx, before, before if is_same else after, learning, cause="parts", why=_why_parts(effects), now=now)

    def _adapt_markets(self, tx: State, now: datetime) -> None:
        self._adapt_values(tx, now)
        known = tx.learning.market_at
        for market in MarketType:
            own = self._book.traded(market)
            if not own.lessons and market not in known:
                continue
            learning, before = tx.learning, weights_in_force(tx)
            fresh = len(own.after(learning.market_seq.get(market, 0)))
            value = before.values.get(value_key(market, ""))
            step = markets.step_by_value(market, before.markets[market], fresh, value)
            if step is None:
                step = _idle_step(market, before.markets[market], own.lessons, learning, now)
            if step is None:
                continue
            learning = replace(
                learning,
                market_seq={**learning.market_seq, market: own.lessons[-1].seq if own.lessons else 0},
                market_at={**learning.market_at, market: now},
            )
            after = replace(before, markets={**before.markets, market: step.weight})
            self._put(tx, before, after, learning, cause=step.cause, why=step.why, now=now)

    def _adapt_values(self, tx: State, now: datetime) -> None:
        learning = tx.learning
        fresh = self._book.all.after(max(learning.values_seq, learning.base_seq))
        if size_of(fresh) < markets.LEAST_TRADES:
            return
        before, base = weights_in_force(tx), weights_of(tx, learning.base)
        experience = self._experience_of(tx)
        after = markets.values_of(before, experience, components.noise_of(experience), base)
        learning = replace(learning, values_seq=fresh[-1].seq)
        if not _moves(before, after, now):
            tx.learning = learning
            return
        after = replace(after, estimated_at=now)
        self._put(tx, before, after, learning, cause="values", why=_why_values(after), now=now)

    def _experience_of(self, tx: State) -> Mapping[str, Experience]:
        """Return the sums of everything that may be learned from, worked out once a check."""
        if self._experience is None:
            base = weights_of(tx, tx.learning.base)
            lessons = self._book.all.after(tx.learning.base_seq)
            self._experience = all_experience(tx.experience, lessons, base, after=tx.learning.base_seq)
        return self._experience

    def _put(
        self,
        tx: State,
        before: Weights,
        after: Weights,
        learning: LearningState,
        *,
        cause: str,
        why: str,
        now: datetime,
    ) -> None:
        """Put *after* in force; in the mode that only reports, emit the event alone. No change makes no version."""
        if after == before:
            tx.learning = learning
            return
        version = WeightsVersion(version=learning.newest + 1, made_at=now, weights=after, cause=cause, why=why)
        if learning.in_force(self._mode).adapts:
            put_in_force(tx, version, before, learning, now)
            return
        tx.learning = learning
        change = LearningChange(message=f"Proposed: {why}", proposal=version, before=before, learning=learning)
        tx.emit(WeightsProposed(at=now, subject=SUBJECT, data=change))


def size_of(lessons: Sequence[Lesson]) -> int:
    """Return how many trades *lessons* are, five followed signals being one."""
    followed = sum([lesson.is_followed for lesson in lessons])
    return len(lessons) - followed + followed // FOLLOWED_PER_TRADE


def experience_of(state: State) -> dict[str, Experience]:
    """Return the sums of everything that may be learned from, by market and strategy."""
    learning = state.learning
    base = weights_of(state, learning.base)
    lessons = sorted(state.lessons.values(), key=lambda lesson: lesson.seq)
    return all_experience(state.experience, lessons, base, after=learning.base_seq)


def _means(effects: Mapping[str, Estimate]) -> list[Decimal]:
    return [effect.mean for effect in effects.values() if effect.mean]


def _moves(before: Weights, after: Weights, now: datetime) -> bool:
    """Return whether new values are worth a version."""
    if before.estimated_at is None or now - before.estimated_at >= LONGEST:
        return True
    return any(
        key not in before.values or abs(value.mean - before.values[key].mean) >= LEAST_CHANGE
        for key, value in after.values.items()
    )


def _why_parts(effects: Mapping[str, Estimate]) -> str:
    beyond = {name: effect.mean for name, effect in effects.items() if effect.mean}
    if not beyond:
        return "No component brings more or less than its default weight promises, beyond noise."
    best = sorted(beyond, key=lambda name: -abs(beyond[name]))[:2]
    named = ", ".join(f"{name.replace('_', ' ')} {beyond[name]:+.2f} R" for name in best)
    return f"From its worst to its best value, beyond what its default weight promises: {named}."


def _why_values(after: Weights) -> str:
    own = {key: value for key, value in after.values.items() if not key.endswith("/") and value.trades + value.followed}
    best = sorted(own, key=lambda key: -(own[key].trades + own[key].followed))[:3]
    named = ", ".join(f"{key} {own[key].mean:+.2f} R" for key in best)
    trades, followed = (sum(getattr(value, name) for value in own.values()) for name in ("trades", "followed"))
    return f"Expected by {counted(trades, 'trade')} and {counted(followed, 'followed signal')}: {named}."


def suspend(tx: State, audit: Audit, now: datetime) -> LearningState:
    """Let learning only report until a person lets it continue."""
    why = (
        f"What learning moved up brought less than what it moved down: {audit.gain:+.2f} R for each R promised, with "
        f"99.8 % between {audit.low:+.2f} and {audit.high:+.2f}, by {audit.lessons} trades and signals of "
        f"{audit.sessions} sessions. From now on it only reports; apex learn unfreeze lets it continue."
    )
    tx.learning = replace(tx.learning, suspended_at=now, suspended_why=why)
    tx.emit(LearningSuspended(at=now, subject=SUBJECT, data=LearningChange(message=why, learning=tx.learning)))
    return tx.learning


def _idle_step(
    market: MarketType, weight: Decimal, own: Sequence[Lesson], learning: LearningState, now: datetime
) -> MarketStep | None:
    last_step = learning.market_at.get(market)
    if last_step is None:
        return None
    if any(now - lesson.closed_at < markets.IDLE for lesson in reversed(own)):
        return None
    last_trade = max((lesson.closed_at for lesson in own), default=None)
    return markets.step_when_idle(market, weight, last_trade=last_trade, last_step=last_step, now=now)


def weights_in_force(state: State) -> Weights:
    """Return the weights that scores are made with."""
    return weights_of(state, state.learning.version)


def weights_of(state: State, version: int) -> Weights:
    """Return the weights of *version*.

    Raises:
        InputError: it is not kept, or never was.
    """
    if version == 0:
        return DEFAULT_WEIGHTS
    row: WeightsVersion | None = state.weights.get(str(version))
    if row is None:
        kept = ", ".join(["0", *sorted(state.weights, key=int)])
        raise InputError(
            "unknown_version",
            f"There is no version {version} of the weights; kept are {kept}.",
            hint="apex learn history lists them.",
        )
    return row.weights


def put_in_force(tx: State, version: WeightsVersion, before: Weights, learning: LearningState, now: datetime) -> None:
    """Keep *version*, put it in force, and emit an event."""
    tx.weights[str(version.version)] = version
    tx.learning = replace(learning, version=version.version, newest=version.version)
    change = LearningChange(message=version.why, version=version, before=before, learning=tx.learning)
    tx.emit(WeightsAdapted(at=now, subject=SUBJECT, data=change))


def roll_back(tx: State, version: int, now: datetime) -> WeightsVersion:
    """Put the weights of *version* in force again, exactly, as a new version; what is learned next starts from there.

    Lessons learned until now are not used a second time to move away from it.

    Raises:
        InputError: the version is not kept.
    """
    before, after = weights_in_force(tx), weights_of(tx, version)
    learning = tx.learning
    seq = max((lesson.seq for lesson in tx.lessons.values()), default=learning.parts_seq)
    learning = replace(
        learning,
        parts_seq=max(seq, learning.parts_seq),
        parts_at=now,
        market_seq={market: max(seq, learning.market_seq.get(market, 0)) for market in MarketType},
        market_at=dict.fromkeys(MarketType, now),
        values_seq=max(seq, learning.values_seq),
        base=learning.newest + 1,
        base_seq=max(seq, learning.base_seq),
    )
    fresh = WeightsVersion(
        version=learning.newest + 1,
        made_at=now,
        weights=after,
        cause="rollback",
        why=f"Rolled back from version {learning.version} to version {version}.",
    )
    put_in_force(tx, fresh, before, learning, now)
    tx.experience.clear()
    return fresh


def freeze(tx: State, now: datetime, why: str = "") -> LearningState:
    """Stop adapting and using newer lessons until ``unfreeze``; lessons are still kept."""
    seq = max((lesson.seq for lesson in tx.lessons.values()), default=0)
    tx.learning = replace(tx.learning, frozen_at=now, frozen_seq=seq, frozen_why=why)
    tx.emit(LearningFrozen(at=now, subject=SUBJECT, data=LearningChange(message=why, learning=tx.learning)))
    return tx.learning


def unfreeze(tx: State, now: datetime) -> LearningState:
    """Adapt again, on everything that was kept meanwhile; what was judged is not judged again."""
    seq = max((lesson.seq for lesson in tx.lessons.values()), default=0)
    judged = tx.learning.audited_seq
    if tx.learning.suspended_at is not None:
        judged = seq
        tx.audits.clear()
    tx.learning = replace(
        tx.learning,
        frozen_at=None,
        frozen_seq=0,
        frozen_why="",
        suspended_at=None,
        suspended_why="",
        audited_seq=judged,
    )
    tx.emit(LearningUnfrozen(at=now, subject=SUBJECT, data=LearningChange(learning=tx.learning)))
    return tx.learning
