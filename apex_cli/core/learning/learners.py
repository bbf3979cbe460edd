"""The learning hook: looks at new lessons, and puts new versions of the weights in force.

Learning reaches the score and nothing else. Each change can be listed, compared and rolled back to the last digit.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import InputError
from apex_cli.core.learning import components, markets
from apex_cli.core.learning.markets import MarketStep
from apex_cli.core.learning.outcomes import OutcomeHook, model_outcomes
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, LearningMode, LearningState, Weights, WeightsVersion
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.state.events import LearningChange, LearningFrozen, LearningUnfrozen, WeightsAdapted, WeightsProposed
from apex_cli.core.state.tables import State

SUBJECT = "learning"
"""What the events of this module concern."""


class Learners:
    """All learners behind one ``LearningHook``."""

    def __init__(self, mode: LearningMode = LearningMode.ADAPT, *, outcome_hook: OutcomeHook | None = None) -> None:
        """Learn as *mode* says; *outcome_hook* receives outcomes of predictions."""
        self._mode = mode
        self._outcome_hook = outcome_hook

    def check(self, state: State, now: datetime) -> None:
        """Adapt where there is reason to, inside the caller's transaction."""
        is_blank = not state.lessons and not state.learning.newest
        if self._mode is LearningMode.OFF or state.learning.frozen_at is not None or is_blank:
            return
        lessons = sorted(state.lessons.values(), key=lambda lesson: lesson.seq)
        self._adapt_markets(state, lessons, now)
        self._adapt_parts(state, lessons, now)
        self._tell_outcomes(state, lessons, now)

    def _adapt_parts(self, tx: State, lessons: list[Lesson], now: datetime) -> None:
        learning = tx.learning
        known = [lesson for lesson in lessons if lesson.conditions.parts.keys() >= DEFAULT_WEIGHTS.parts.keys()]
        fresh = sum(1 for lesson in known if lesson.seq > learning.parts_seq)
        if not components.should_adapt(known, fresh=fresh, last=learning.parts_at, now=now):
            return
        before = weights_in_force(tx)
        after = replace(before, parts=components.adapt(before.parts, known))
        found = components.edges(known)
        best = max(found, key=lambda name: found[name])
        why = f"{len(known)} trades, {fresh} of them new: winners stood out most in {best.replace('_', ' ')}."
        learning = replace(learning, parts_seq=known[-1].seq, parts_at=now)
        self._put(tx, before, after, learning, cause="parts", why=why, now=now)

    def _adapt_markets(self, tx: State, lessons: list[Lesson], now: datetime) -> None:
        for market in MarketType:
            own = [lesson for lesson in lessons if lesson.market_type is market]
            learning, before = tx.learning, weights_in_force(tx)
            fresh = [lesson for lesson in own if lesson.seq > learning.market_seq.get(market, 0)]
            step = markets.step_by_trades(market, before.markets[market], fresh)
            if step is None:
                step = _idle_step(market, before.markets[market], own, learning, now)
            if step is None:
                continue
            learning = replace(
                learning,
                market_seq={**learning.market_seq, market: own[-1].seq if own else 0},
                market_at={**learning.market_at, market: now},
            )
            after = replace(before, markets={**before.markets, market: step.weight})
            self._put(tx, before, after, learning, cause=step.cause, why=step.why, now=now)

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
        if self._mode is LearningMode.ADAPT:
            put_in_force(tx, version, before, learning, now)
            return
        tx.learning = learning
        change = LearningChange(message=f"Proposed: {why}", proposal=version, before=before, learning=learning)
        tx.emit(WeightsProposed(at=now, subject=SUBJECT, data=change))

    def _tell_outcomes(self, tx: State, lessons: list[Lesson], now: datetime) -> None:
        learning = tx.learning
        fresh = [lesson for lesson in lessons if lesson.seq > learning.outcomes_seq]
        if self._outcome_hook is None or not fresh:
            return
        tx.learning = replace(learning, outcomes_seq=fresh[-1].seq)
        outcomes = model_outcomes(fresh)
        if outcomes:
            self._outcome_hook.learn(outcomes, now)


def _idle_step(
    market: MarketType, weight: Decimal, own: list[Lesson], learning: LearningState, now: datetime
) -> MarketStep | None:
    last_step = learning.market_at.get(market)
    if last_step is None:
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
    )
    fresh = WeightsVersion(
        version=learning.newest + 1,
        made_at=now,
        weights=after,
        cause="rollback",
        why=f"Rolled back from version {learning.version} to version {version}.",
    )
    put_in_force(tx, fresh, before, learning, now)
    return fresh


def freeze(tx: State, now: datetime, why: str = "") -> LearningState:
    """Stop adapting and using newer lessons until ``unfreeze``; lessons are still kept."""
    seq = max((lesson.seq for lesson in tx.lessons.values()), default=0)
    tx.learning = replace(tx.learning, frozen_at=now, frozen_seq=seq, frozen_why=why)
    tx.emit(LearningFrozen(at=now, subject=SUBJECT, data=LearningChange(message=why, learning=tx.learning)))
    return tx.learning


def unfreeze(tx: State, now: datetime) -> LearningState:
    """Adapt again, on everything that was kept meanwhile."""
    tx.learning = replace(tx.learning, frozen_at=None, frozen_seq=0, frozen_why="")
    tx.emit(LearningUnfrozen(at=now, subject=SUBJECT, data=LearningChange(learning=tx.learning)))
    return tx.learning
