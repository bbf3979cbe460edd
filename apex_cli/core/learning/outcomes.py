"""Outcomes of predictions, for the model behind them and for reports."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.prediction import Event, ModelOutcome

ZERO = Decimal(0)


class OutcomeHook(Protocol):
    """A model that wants to hear how its predictions ended."""

    def learn(self, outcomes: tuple[ModelOutcome, ...], now: datetime) -> None:
        """Record *outcomes*, each trade once: after a crash, or when this raised, the same come again."""


def model_outcomes(lessons: Iterable[Lesson]) -> tuple[ModelOutcome, ...]:
    """Return the outcome of every lesson with a prediction, in the order they were learned."""
    return tuple(_outcome(row) for row in sorted(lessons, key=lambda row: row.seq) if _is_predicted(row))


def brier_score(outcomes: Iterable[ModelOutcome]) -> Decimal | None:
    """Return the mean squared error of the probabilities; 0 is perfect, 0.25 is guessing. None without outcomes.

    Source:
        G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78, 1950.
    """
    errors = [(outcome.probability - int(outcome.was_right)) ** 2 for outcome in outcomes]
    return sum(errors, ZERO) / len(errors) if errors else None


def _is_predicted(lesson: Lesson) -> bool:
    conditions = lesson.conditions
    return conditions.predictor_direction is not None and conditions.predictor_probability is not None


def _outcome(lesson: Lesson) -> ModelOutcome:
    """Return the outcome of one lesson: what was predicted for the trade itself is right when the trade won.

    A direction is right when a trade along with it won, or one against it lost; a bought put goes along with a fall.
    """
    conditions = lesson.conditions
    direction = conditions.predictor_direction or 1
    view = conditions.market_view or lesson.side.sign
    if conditions.predictor_target_first is not None:
        return ModelOutcome(
            round_trip_id=lesson.round_trip_id,
            direction=view,
            probability=conditions.predictor_target_first,
            was_right=lesson.is_win,
            r=lesson.r,
            closed_at=lesson.closed_at,
            event=Event.TARGET_FIRST,
        )
    is_along = direction == view
    return ModelOutcome(
        round_trip_id=lesson.round_trip_id,
        direction=direction,
        probability=conditions.predictor_probability or ZERO,
        was_right=lesson.is_win is is_along,
        r=lesson.r,
        closed_at=lesson.closed_at,
    )
