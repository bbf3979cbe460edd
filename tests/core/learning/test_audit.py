"""Learning that made results worse switches itself to only reporting, and says so."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.learning.audit import LEAST_LESSONS, AuditBook, audit_of, session_of, with_audited
from apex_cli.core.learning.learners import Learners, put_in_force, unfreeze
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, AuditSums, LearningMode, WeightsVersion
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.tables import Table
from kit import START, MemoryStore

D = Decimal
DAY = timedelta(days=1)


def judged(lesson: Any, seed: int, slope: float, count: int = 120) -> list[Lesson]:
    """Return lessons of 40 sessions whose R is *slope* times what learning added, and noise."""
    dice, found = Random(seed), []
    for number in range(1, count + 1):
        added = dice.uniform(-0.4, 0.4)
        conditions = EntryConditions(
            score=D("0.4"), default_r=D("0.01"), expected_r=D(str(round(0.01 + added, 4))), parts={}
        )
        r = str(round(slope * added + dice.gauss(0, 0.5), 4))
        found.append(lesson(number, r, closed_at=START + DAY * (number // 3), conditions=conditions))
    return found


def test_harm_beyond_noise_is_harm(lesson: Any) -> None:
    found = audit_of(judged(lesson, 1, -2.0), {})
    assert found is not None
    assert found.low < found.gain < found.high < 0
    assert found.is_harmful
    assert found.lessons == 119


def test_a_gain_is_none(lesson: Any) -> None:
    assert audit_of(judged(lesson, 1, 1.0), {}) is None
    assert audit_of(judged(lesson, 1, 0.0), {}) is None


def test_what_left_the_state_counts_on(lesson: Any) -> None:
    lessons = judged(lesson, 1, -2.0)
    kept: dict[str, AuditSums] = {}
    for row in lessons[:70]:
        found = with_audited(kept.get(session_of(row)), row)
        assert found is not None
        kept[session_of(row)] = found
    assert audit_of(lessons[70:], kept) == audit_of(lessons, {})
    assert with_audited(None, lesson(1)) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_book_of_sessions_tells_what_a_fresh_look_tells(lesson: Any, seed: int) -> None:
    """Whatever comes, leaves for the kept sums, is corrected or undone between two looks."""
    dice, waiting = Random(seed), judged(lesson, seed, -2.0, 150)
    lessons, kept = Table("lessons", Lesson), Table("audits", AuditSums)
    book, told = AuditBook(), 0
    while waiting:
        match dice.choice(["comes", "comes", "comes", "leaves", "is corrected", "is undone", "is forgotten"]):
            case "comes":
                fresh = waiting.pop(0)
                lessons[fresh.round_trip_id] = fresh
            case "leaves" if len(lessons) > 60:
                row = lessons[next(iter(lessons))]
                del lessons[row.round_trip_id]
                sums = with_audited(kept.get(session_of(row)), row)
                assert sums is not None
                kept[session_of(row)] = sums
            case "is corrected" if lessons:
                name = dice.choice(list(lessons))
                moved = lessons[name].closed_at + DAY * dice.randrange(2)
                lessons[name] = replace(lessons[name], r=lessons[name].r + D("0.01"), closed_at=moved)
            case "is undone" if len(lessons) > 60:
                del lessons[dice.choice(list(lessons))]
            case "is forgotten" if len(kept) > 30:
                del kept[min(kept)]
        if dice.random() < 0.9:
            continue
        found = book.look(lessons, kept)
        assert found == audit_of(lessons.values(), kept)
        assert book.look(lessons, kept) == found
        told += found is not None
    assert told


def test_what_it_believes_of_all_signals_of_a_session_says_nothing(lesson: Any) -> None:
    """A lucky streak raises what is expected of all, and ends: that is no harm, as it changes no order."""
    rows = []
    for number in range(1, 241):
        level = 0.4 if (number // 6) % 2 else -0.4
        conditions = EntryConditions(score=D("0.4"), default_r=D(0), expected_r=D(str(level)))
        closed_at = START + DAY * (number // 6)
        rows.append(lesson(number, str(-level), closed_at=closed_at, conditions=conditions))
    assert audit_of(rows, {}) is None


def test_noise_is_seldom_taken_for_harm(lesson: Any) -> None:
    found = [audit_of(judged(lesson, seed, 0.0), {}) for seed in range(30)]
    assert sum(1 for each in found if each is not None and each.is_harmful) <= 1


def test_too_little_says_nothing(lesson: Any) -> None:
    assert audit_of(judged(lesson, 1, -2.0, LEAST_LESSONS - 1), {}) is None
    assert audit_of(judged(lesson, 1, -2.0), {}, after=100) is None
    assert audit_of([lesson(n) for n in range(200)], {}) is None


def look(store: MemoryStore, learners: Learners, days: int) -> None:
    """Let the coordinator's look at the learners happen on a day."""
    now = START + DAY * days
    learners.prepare(store.view(), now)
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, last_learning_check=now)
        learners.check(tx, now)


def test_it_is_judged_once_a_session(lesson: Any) -> None:
    store, learners = harmed(lesson), Learners()
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, last_learning_check=START + DAY * 60)
    look(store, learners, 60)
    assert store.view().learning.suspended_at is None
    look(store, learners, 61)
    assert store.view().learning.suspended_at is not None


def harmed(lesson: Any) -> MemoryStore:
    store = MemoryStore()
    with store.transaction() as tx:
        for row in judged(lesson, 1, -2.0):
            tx.lessons[row.round_trip_id] = row
        version = WeightsVersion(version=1, made_at=START, weights=DEFAULT_WEIGHTS, cause="parts", why="")
        put_in_force(tx, version, DEFAULT_WEIGHTS, tx.learning, START)
    return store


def test_it_is_switched_to_report_with_an_event_and_a_reason(lesson: Any) -> None:
    store = harmed(lesson)
    look(store, Learners(), 60)
    learning = store.view().learning
    assert learning.suspended_at == START + DAY * 60
    assert "What learning moved up brought less than what it moved down: -" in learning.suspended_why
    assert learning.in_force(LearningMode.ADAPT) is learning.in_force(LearningMode.PROTECT) is LearningMode.REPORT
    assert learning.in_force(LearningMode.OFF) is LearningMode.OFF
    assert [event.kind for event in store.events if event.kind == "learning_suspended"] == ["learning_suspended"]
    again = SilentState()
    rebuild(again, store.events)
    assert again.learning.suspended_at == learning.suspended_at


def test_from_then_on_nothing_new_is_put_in_force(lesson: Any) -> None:
    store, learners = harmed(lesson), Learners()
    for days in range(60, 63):
        look(store, learners, days)
    assert store.view().learning.newest == 1
    assert [event.kind for event in store.events].count("learning_suspended") == 1


def test_a_person_lets_it_go_on_and_what_was_judged_is_not_judged_again(lesson: Any) -> None:
    store, learners = harmed(lesson), Learners()
    look(store, learners, 60)
    assert store.view().learning.suspended_at is not None
    with store.transaction() as tx:
        unfreeze(tx, START + DAY * 60)
    look(store, learners, 61)
    assert store.view().learning.suspended_at is None


@pytest.mark.parametrize("mode", [LearningMode.REPORT, LearningMode.OFF])
def test_where_nothing_is_changed_nothing_is_judged(lesson: Any, mode: LearningMode) -> None:
    store = harmed(lesson)
    look(store, Learners(mode), 60)
    assert store.view().learning.suspended_at is None
