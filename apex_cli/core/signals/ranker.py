"""The ranker: gathers what a score is made from, and makes it by one pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.analysis.correlation import Moves
from apex_cli.core.learning.expectation import expectation, value_key
from apex_cli.core.learning.experience import numbers_of
from apex_cli.core.learning.patterns import Edge, SimilarTrades
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Decision, Exposure
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, PART_NAMES, LearningMode, Weights
from apex_cli.core.model.market import Bar
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import (
    Opportunity,
    ScoreComponent,
    ScoreFactor,
    Signal,
    market_side,
    market_view,
)
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import BarSource, Clock, StateStore
from apex_cli.core.positions.lessons import number_in, traits_in
from apex_cli.core.signals.score_factors import (
    CONFLUENCE,
    Arrival,
    confluence_factors,
    correlation_factor,
    decay_factor,
    predictor_factor,
    same_symbol_factor,
    technical_factor,
)
from apex_cli.core.signals.score_parts import (
    DOLLAR_VOLUME,
    Part,
    confidence_part,
    diversification_part,
    liquidity_part,
    reward_risk_part,
    timing_part,
)
from apex_cli.core.state.tables import State

ZERO, ONE = Decimal(0), Decimal(1)
STEP = Decimal("0.0001")
BARS_COMPARED = 61
"""Bars a correlation is taken over: sixty returns."""

BARS_OF_VOLUME = 20
LOOK_BACK = timedelta(days=120)
LONGEST_REACH = max(reach for _, reach in CONFLUENCE.values())
NO_BARS = "no bars for a correlation: counted by symbol"


class RankingContext(Value, frozen=True, kw_only=True):
    """Everything a score is made from, besides the signal."""

    now: datetime
    same_side: int = 0
    """Positions and working entries on the signal's side."""

    max_positions: int
    exposures: tuple[Exposure, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    dollar_volume: Decimal | None = None
    correlations: dict[str, Decimal] | None = None
    """By symbol held; None without bars."""

    weights: Weights = DEFAULT_WEIGHTS
    weights_version: int = 0
    learned: Weights | None = None
    """What an expectation is made from; None: *weights*."""

    orders: bool = True
    """Whether what was learned decides what goes first."""


def score(signal: Signal, context: RankingContext, edge: Edge | None = None) -> Opportunity:
    """Return *signal* scored; the same inputs always give the same answer.

    score = min(1, sum of weight * value * product of factors), to four places. *edge* is what similar trades brought;
    None when nothing is known.
    """
    return score_of(parts_of(signal, context), signal, context, edge)


def score_of(
    parts: Mapping[str, Part], signal: Signal, context: RankingContext, edge: Edge | None = None
) -> Opportunity:
    """Return what ``score`` does, where *parts* are known already: similar trades are found by them."""
    factors = _factors(signal, context)
    market = signal.instrument.market_type
    weights = context.weights
    learned = [ScoreFactor(name="market", value=weights.markets[market], why=f"weight of {market}")]
    if edge is not None:
        learned.append(ScoreFactor(name="strategy", value=edge.bonus, why=edge.why))
    default = ScoreFactor(name="market", value=DEFAULT_WEIGHTS.markets[market])
    notes = [part.note for part in parts.values() if part.note]
    if context.correlations is None and context.exposures:
        notes.append(NO_BARS)
    values = {name: part.value for name, part in parts.items()}
    plain_score = _total(values, DEFAULT_WEIGHTS, (default, *factors))
    in_force = (*learned, *factors)
    return Opportunity(
        signal=signal,
        opportunity_score=_total(values, weights, in_force),
        breakdown=tuple(
            [ScoreComponent(name=name, weight=weights.parts[name], value=values[name]) for name in PART_NAMES]
        ),
        factors=in_force,
        plain_score=plain_score,
        weights_version=context.weights_version,
        notes=tuple(notes),
        expected=expectation(
            context.learned or weights,
            value_key(market, signal.strategy),
            plain_score,
            values,
            pattern=edge.beyond if edge is not None and edge.beyond else ZERO,
            orders=context.orders,
        ),
    )


def parts_of(signal: Signal, context: RankingContext) -> dict[str, Part]:
    """Return the parts of a score, in their order."""
    return {
        "reward_risk": reward_risk_part(signal),
        "confidence": confidence_part(signal),
        "timing": timing_part(signal, context.now),
        "liquidity": liquidity_part(signal, context.dollar_volume),
        "diversification": diversification_part(context.same_side, context.max_positions),
    }


def _factors(signal: Signal, context: RankingContext) -> tuple[ScoreFactor, ...]:
    """Return the factors that nothing was learned for."""
    correlated = (
        same_symbol_factor(signal, context.exposures)
        if context.correlations is None
        else correlation_factor(signal, context.correlations)
    )
    found = (
        technical_factor(signal),
        predictor_factor(signal),
        *confluence_factors(signal, context.arrivals, context.now),
        correlated,
        decay_factor(signal, context.now),
    )
    return tuple(factor for factor in found if factor is not None)


def _total(values: Mapping[str, Decimal], weights: Weights, factors: Sequence[ScoreFactor]) -> Decimal:
    total = sum([weights.parts[name] * value for name, value in values.items()], ZERO)
    for factor in factors:
        total *= factor.value
    return min(total, ONE).quantize(STEP)


TRADEABLE_CHECKS = frozenset({"reward_risk_min", "confidence_min"})
"""Checks of the decision that report an opportunity worth taking, ``risk.min_reward_risk`` and ``min_confidence``."""


def is_tradeable(decision: Decision) -> bool:
    """Return whether the opportunity itself is good enough, whatever the account and the market say."""
    return all(check.passed for check in decision.checks if check.code in TRADEABLE_CHECKS)


class OpportunityRanker:
    """The default ``Ranker``: looks at clock, state and bars, and lets ``score`` decide."""

    def __init__(
        self,
        risk: RiskLimits,
        *,
        clock: Clock,
        store: StateStore,
        bars: BarSource | None = None,
        mode: LearningMode = LearningMode.ADAPT,
    ) -> None:
        """Keep the ports; without *bars* liquidity and correlation come from the signal and the symbols."""
        self._max_positions = risk.max_positions
        self._clock = clock
        self._store = store
        self._bars = bars
        self._mode = mode
        self._similar = SimilarTrades()
        self._moves: dict[str, Moves] = {}
        self._moves_at: datetime | None = None
        self._heard: dict[str, Arrival] = {}
        """Signals of this process that confirm others and may not be decided yet."""

    def rank(self, signal: Signal, exposures: Sequence[Exposure]) -> Opportunity:
        """Return *signal* with its score, the breakdown, and the version of the weights."""
        now, state = self._clock.now(), self._store.view()
        if signal.family:
            self._hear(signal, now)
        context = self.context(signal, exposures, state, now)
        parts = parts_of(signal, context)
        if not context.orders or not state.lessons:
            return score_of(parts, signal, context)
        edge = self._similar.edge_of(
            numbers_of({name: part.value for name, part in parts.items()}, traits_in(signal.metadata)),
            state.lessons,
            strategy=signal.strategy,
            side=_side_of(signal),
            now=now,
            weights=context.weights,
            last=state.learning.frozen_seq if state.learning.frozen_at else None,
        )
        return score_of(parts, signal, context, edge)

    def context(self, signal: Signal, exposures: Sequence[Exposure], state: State, now: datetime) -> RankingContext:
        """Return what the score of *signal* is made from at *now*."""
        side = _side_of(signal)
        key = signal.instrument.key
        others = tuple([exposure for exposure in exposures if exposure.key != key])
        learning = state.learning
        weights, version, learned = DEFAULT_WEIGHTS, 0, None
        if learning.version and self._mode is not LearningMode.OFF:
            learned = state.weights[str(learning.version)].weights
            if learning.suspended_at is None:
                weights, version = learned, learning.version
        return RankingContext(
            now=now,
            same_side=sum([exposure.side is side for exposure in exposures]),
            max_positions=self._max_positions,
            exposures=others,
            arrivals=self._arrivals(state),
            dollar_volume=None if number_in(signal.metadata, DOLLAR_VOLUME) else self._dollar_volume(signal, now),
            correlations=self._correlations(signal, others, now),
            weights=weights,
            weights_version=version,
            learned=learned,
            orders=learning.in_force(self._mode).adapts,
        )

    def _hear(self, signal: Signal, now: datetime) -> None:
        self._heard = {name: each for name, each in self._heard.items() if now - each.seen_at <= LONGEST_REACH}
        self._heard[signal.signal_id] = Arrival(
            signal_id=signal.signal_id,
            symbol=signal.symbol,
            family=signal.family,
            side=market_side(signal),
            seen_at=now,
        )

    def _arrivals(self, state: State) -> tuple[Arrival, ...]:
        reported = {
            row.signal_id: Arrival(
                signal_id=row.signal_id, symbol=row.symbol, family=row.family, side=row.side, seen_at=row.seen_at
            )
            for row in state.signals.values()
            if row.family in CONFLUENCE and row.side is not None
        }
        return tuple({**self._heard, **reported}.values())

    def _history(self, symbol: str, now: datetime) -> Sequence[Bar]:
        return self._bars.bars(symbol, after=now - LOOK_BACK, until=now) if self._bars else ()

    def _moves_of(self, name: str, now: datetime) -> Moves:
        """Return the last moves of a price history, found once a moment of a clock of bars."""
        known = self._moves.get(name)
        if known is None:
            known = self._moves[name] = Moves(self._history(name, now)[-BARS_COMPARED:])
        return known

    def _dollar_volume(self, signal: Signal, now: datetime) -> Decimal | None:
        recent = self._history(signal.instrument.bars_name, now)[-BARS_OF_VOLUME:]
        if len(recent) < BARS_OF_VOLUME:
            return None
        return (sum((bar.close * bar.volume for bar in recent), ZERO) / len(recent)).quantize(ONE) or None

    def _correlations(self, signal: Signal, others: Sequence[Exposure], now: datetime) -> dict[str, Decimal] | None:
        if now != self._moves_at:
            self._moves_at, self._moves = now, {}
        own = self._moves_of(signal.instrument.bars_name, now)
        if not own.bars:
            return None
        view = market_view(signal)
        found: dict[str, Decimal] = {}
        for exposure in others:
            symbol = exposure.key.partition("@")[0]
            name = of_key(exposure.key).bars_name
            likeness = own.correlation(self._moves_of(name, now))
            if likeness is not None:
                found[symbol] = likeness * view * exposure.market_view
        return found if found or not others else None


def _side_of(signal: Signal) -> PositionSide:
    return signal.side.opens
