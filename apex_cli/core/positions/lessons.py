"""From an entry and its closed round trip to a lesson, in the commit that books the trade."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.learning.audit import MOST_SESSIONS, session_of, with_audited
from apex_cli.core.learning.experience import FADE, key_of, with_lesson
from apex_cli.core.model.learning import DEFAULT_WEIGHTS
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.signal import Opportunity, market_view
from apex_cli.core.state.tables import State

LESSON_DAYS = 366
"""Calendar days after which a lesson is dropped."""

MOST_LESSONS = 60
"""Lessons of one market that are kept: three times what an adaptation waits for."""

MOST_FOLLOWED = 120
"""The same of signals that were followed."""

R_STEP = Decimal("0.0001")
ONE, ZERO = Decimal(1), Decimal(0)
TRAITS = (
    "technical_composite",
    "technical_trend",
    "technical_momentum",
    "technical_volume",
    "technical_volatility",
)
"""Numbers of the stages, 0..1, that distinguish entries."""


def number_in(metadata: dict[str, str | int | float | bool | None], name: str) -> Decimal | None:
    """Return a finite number from a signal's metadata; None where it is missing."""
    found = metadata.get(name)
    if found is None or isinstance(found, bool) or not isinstance(found, int | float):
        return None
    number = Decimal(repr(found))
    return number if number.is_finite() else None


def fraction_in(metadata: dict[str, str | int | float | bool | None], name: str) -> Decimal | None:
    """Return a number clipped to 0..1, to four places; None where it is missing."""
    number = number_in(metadata, name)
    return None if number is None else min(max(number, ZERO), ONE).quantize(R_STEP)


def prediction_in(metadata: dict[str, str | int | float | bool | None]) -> tuple[int, Decimal] | None:
    """Return the predicted direction, 1 or -1, and its probability; None when one of them is missing."""
    direction = metadata.get("predictor_direction")
    if direction not in (1, -1) or isinstance(direction, bool):
        return None
    probability = fraction_in(metadata, "predictor_probability")
    if probability is None:
        return None
    return (1 if direction == 1 else -1), probability


def traits_in(metadata: dict[str, str | int | float | bool | None]) -> dict[str, Decimal]:
    """Return the numbers of the stages that a signal's metadata holds."""
    return {name: value for name in TRAITS if name in metadata and (value := fraction_in(metadata, name)) is not None}


def entry_conditions(opportunity: Opportunity) -> EntryConditions:
    """Return what a learner will want to know of an entry on *opportunity*."""
    metadata = opportunity.signal.metadata
    direction, probability = prediction_in(metadata) or (None, None)
    return EntryConditions(
        score=opportunity.opportunity_score,
        weights_version=opportunity.weights_version,
        parts={part.name: part.value for part in opportunity.breakdown},
        traits=traits_in(metadata),
        predictor_direction=direction,
        predictor_probability=probability,
        predictor_target_first=fraction_in(metadata, "predictor_target_first"),
        market_view=market_view(opportunity.signal),
        plain_score=opportunity.plain_score,
        expected_r=opportunity.expected.mean.quantize(R_STEP) if opportunity.expected else None,
        default_r=opportunity.expected.default.quantize(R_STEP) if opportunity.expected else None,
        seen_at=opportunity.signal.created_at,
    )


def keep_lesson(tx: State, trip: RoundTrip, seq: int) -> None:
    """Keep what *trip* teaches, once by its id; a trade booked again is corrected and keeps its number.

    A trade made outside apex, or one whose plan is gone, teaches nothing new.
    """
    bracket: BracketRecord | None = tx.brackets.get(trip.bracket_id)
    if bracket is None or bracket.conditions is None or trip.net_r_multiple is None:
        return
    known: Lesson | None = tx.lessons.get(trip.round_trip_id)
    fresh = Lesson(
        round_trip_id=trip.round_trip_id,
        seq=known.seq if known else seq,
        strategy=trip.strategy,
        market_type=trip.instrument.market_type,
        side=trip.side,
        closed_at=trip.exit_time,
        r=trip.net_r_multiple.quantize(R_STEP),
        conditions=bracket.conditions,
    )
    if fresh != known:
        tx.lessons[trip.round_trip_id] = fresh


def drop_lesson(tx: State, round_trip_id: str) -> None:
    """Unlearn a round trip that late fills undid; what it moved is moved back by the next adaptations."""
    tx.lessons.pop(round_trip_id, None)


def prune_lessons(tx: State, now: datetime) -> None:
    """Drop what is older than a year, and the oldest of each market beyond the most that are kept.

    What they taught stays, in the sums of their market and strategy.
    """
    for lesson in _leaving(tx, now - timedelta(days=LESSON_DAYS)):
        del tx.lessons[lesson.round_trip_id]
        fold_lesson(tx, lesson)
    if len(tx.audits) > MOST_SESSIONS:
        for day in sorted(tx.audits)[:-MOST_SESSIONS]:
            del tx.audits[day]


def _leaving(tx: State, cutoff: datetime) -> list[Lesson]:
    """Return the lessons that are too old or too many, oldest first."""
    most = {True: MOST_FOLLOWED, False: MOST_LESSONS}
    lessons = tx.lessons
    excess = {kind: count - most[kind[1]] for kind, count in lessons.counts.items()}
    crowded, leaving = sum([count for count in excess.values() if count > 0]), []
    for lesson in lessons.oldest_first():
        kind = lesson.market_type, lesson.is_followed
        if excess[kind] > 0:
            excess[kind] -= 1
            crowded -= 1
        elif lesson.closed_at >= cutoff:
            if not crowded:
                break
            continue
        leaving.append(lesson)
    return leaving


def fold_lesson(tx: State, lesson: Lesson) -> None:
    """Add a lesson that leaves to the sums, unless it is part of what was rolled back to."""
    learning = tx.learning
    day = session_of(lesson)
    audited = with_audited(tx.audits.get(day), lesson)
    if audited is not None and lesson.seq > learning.audited_seq:
        tx.audits[day] = audited
    if lesson.seq <= learning.base_seq:
        return
    row = tx.weights.get(str(learning.base))
    key = key_of(lesson)
    base = row.weights if row is not None else DEFAULT_WEIGHTS
    tx.experience[key] = with_lesson(tx.experience.get(key), lesson, base, fade=FADE)
