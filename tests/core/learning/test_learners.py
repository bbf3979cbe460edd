"""The hook: what it adapts, what it reports, and what can be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.errors import InputError, StateError
from apex_cli.core.learning.learners import (
    Learners,
    freeze,
    roll_back,
    unfreeze,
    weights_in_force,
    weights_of,
)
from apex_cli.core.learning.outcomes import ModelOutcome
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, PART_NAMES, LearningMode, Weights
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import PositionSide
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.events.learning_events import LearningChange
from kit import START, MemoryStore

D = Decimal
DAY = timedelta(days=1)


def teach(store: MemoryStore, lessons: list[Lesson]) -> None:
    with store.transaction() as tx:
        for lesson in lessons:
            tx.lessons[lesson.round_trip_id] = lesson


def check(store: MemoryStore, now: datetime, mode: LearningMode = LearningMode.ADAPT, **hook: Any) -> None:
    learners = Learners(mode, **hook)
    learners.prepare(store.view(), now)
    with store.transaction() as tx:
        learners.check(tx, now)


def mixed(lesson: Any, first: int, count: int, **changes: Any) -> list[Lesson]:
    even = dict.fromkeys(PART_NAMES, D("0.5"))
    return [
        lesson(n, "2" if n % 2 else "-1", parts={**even, "timing": D("0.9") if n % 2 else D("0.1")}, **changes)
        for n in range(first, first + count)
    ]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def adaptations(store: MemoryStore, kind: str = "weight_adaptation") -> list[LearningChange]:
    return [msgspec.json.decode(e.data, type=LearningChange) for e in store.events if e.kind == kind]


def test_forty_trades_move_everything_and_report_of_it(store: MemoryStore, lesson: Any) -> None:
    teach(store, mixed(lesson, 1, 40))
    check(store, START + DAY)
    weights = weights_in_force(store.view())
    assert weights.markets[MarketType.EQUITY] == D("0.7350")
    assert weights.parts["timing"] > DEFAULT_WEIGHTS.parts["timing"]
    assert weights.values["equity/breakout"].mean > 0
    assert [event.version.cause for event in adaptations(store) if event.version] == ["values", "markets", "parts"]
    assert store.view().learning.version == 3
    assert [change.message for change in adaptations(store)] == [
        "Expected by 40 trades and 0 followed signals: equity/breakout +0.23 R.",
        "equity 0.70 -> 0.7350: 40 new trades, +0.22 R expected by all of them.",
        "From its worst to its best value, beyond what its default weight promises: timing +2.39 R.",
    ]


def test_the_same_trades_never_move_anything_twice(store: MemoryStore, lesson: Any) -> None:
    teach(store, mixed(lesson, 1, 20))
    check(store, START + DAY)
    before = weights_in_force(store.view())
    for days in range(2, 20):
        check(store, START + DAY * days)
    assert weights_in_force(store.view()) == before
    assert store.view().learning.newest == 2


def test_a_trade_that_is_booked_anew_is_not_a_new_trade(store: MemoryStore, lesson: Any) -> None:
    teach(store, mixed(lesson, 1, 20))
    check(store, START + DAY)
    teach(store, [lesson(n, "3") for n in range(1, 20)])
    check(store, START + DAY * 3)
    assert store.view().learning.newest == 2


def test_a_trade_that_was_voided_counts_no_more(store: MemoryStore, lesson: Any) -> None:
    teach(store, mixed(lesson, 1, 20))
    with store.transaction() as tx:
        del tx.lessons["trip-3"]
    check(store, START + DAY)
    assert [event.version.cause for event in adaptations(store) if event.version] == ["values"]


def test_a_market_nobody_trades_goes_home(store: MemoryStore, lesson: Any) -> None:
    teach(store, mixed(lesson, 1, 40))
    check(store, START + DAY)
    assert weights_in_force(store.view()).markets[MarketType.EQUITY] == D("0.7350")
    check(store, START + DAY * 29)
    assert weights_in_force(store.view()).markets[MarketType.EQUITY] == D("0.7350")
    check(store, START + DAY * 32)
    assert weights_in_force(store.view()).markets == DEFAULT_WEIGHTS.markets
    assert adaptations(store)[-1].version.cause == "idle"  # type: ignore[union-attr]


class TestModes:
    def test_off_does_nothing_at_all(self, store: MemoryStore, lesson: Any) -> None:
        teach(store, mixed(lesson, 1, 40))
        before = store.generation
        check(store, START + DAY, LearningMode.OFF)
        assert store.generation == before

    def test_report_reports_once_and_changes_no_weight(self, store: MemoryStore, lesson: Any) -> None:
        teach(store, mixed(lesson, 1, 20))
        for days in range(1, 5):
            check(store, START + DAY * days, LearningMode.REPORT)
        reported = adaptations(store, "weight_proposal")
        assert [event.proposal.cause for event in reported if event.proposal] == ["values", "parts"]
        assert weights_in_force(store.view()) == DEFAULT_WEIGHTS
        assert not store.view().weights
        assert not adaptations(store)

    def test_frozen_nothing_adapts_and_thawed_it_goes_on(self, store: MemoryStore, lesson: Any) -> None:
        with store.transaction() as tx:
            assert freeze(tx, START, "holidays").frozen_why == "holidays"
        teach(store, mixed(lesson, 1, 20))
        check(store, START + DAY)
        assert store.view().learning.newest == 0
        with store.transaction() as tx:
            unfreeze(tx, START + DAY)
        check(store, START + DAY)
        assert store.view().learning.newest == 2


class Model:
    """Keeps what it hears in its own commits, as a model that takes its time may; it fails as often as set."""

    def __init__(self, store: MemoryStore, failures: int = 0) -> None:
        self.store = store
        self.failures = failures
        self.heard: list[ModelOutcome] = []
        self.said: list[Reason] = []

    def learn(self, outcomes: tuple[ModelOutcome, ...], now: datetime) -> None:
        del now
        with self.store.transaction():
            self.heard += outcomes
        if self.failures:
            self.failures -= 1
            raise StateError("state_unwritable", "outcomes.json: permission denied.")

    @property
    def trades(self) -> list[tuple[str, bool]]:
        return [(outcome.round_trip_id, outcome.was_right) for outcome in self.heard]


PREDICTED = EntryConditions(score=D("0.5"), predictor_direction=1, predictor_probability=D("0.7"))


def test_a_model_hears_of_each_of_its_predictions_once(store: MemoryStore, lesson: Any) -> None:
    model = Model(store)
    teach(store, [lesson(1, conditions=PREDICTED), lesson(2)])
    check(store, START, outcome_hook=model)
    check(store, START + DAY, outcome_hook=model)
    teach(store, [lesson(3, "-1", conditions=PREDICTED)])
    check(store, START + DAY, outcome_hook=model)
    assert model.trades == [("trip-1", True), ("trip-3", False)]


def test_what_a_model_fails_on_comes_again_and_everything_else_is_learned(store: MemoryStore, lesson: Any) -> None:
    model = Model(store, failures=2)
    teach(store, [*mixed(lesson, 1, 20), lesson(21, conditions=PREDICTED)])
    for days in range(1, 5):
        check(store, START + DAY * days, outcome_hook=model, notice=model.said.append)
    assert store.view().learning.newest > 0
    assert model.trades == [("trip-21", True)] * 3
    assert [(said.code, said.message.partition(": ")[2]) for said in model.said] == [
        ("model_outcomes_failed", "outcomes.json: permission denied.")
    ] * 2


def test_what_a_model_heard_before_a_kill_comes_again(store: MemoryStore, lesson: Any) -> None:
    model = Model(store)
    teach(store, [lesson(1, conditions=PREDICTED)])
    Learners(outcome_hook=model).prepare(store.view(), START)
    assert store.view().learning.outcomes_seq == 0
    for days in range(2):
        check(store, START + DAY * days, outcome_hook=model)
    assert model.trades == [("trip-1", True)] * 2
    assert store.view().learning.outcomes_seq == store.view().lessons["trip-1"].seq


def test_a_model_hears_nothing_while_nothing_is_learned(store: MemoryStore, lesson: Any) -> None:
    model = Model(store)
    teach(store, [lesson(1, conditions=PREDICTED)])
    check(store, START, LearningMode.OFF, outcome_hook=model)
    with store.transaction() as tx:
        freeze(tx, START, "holidays")
    check(store, START, outcome_hook=model)
    assert model.trades == []


class TestRollback:
    def test_it_brings_back_a_version_to_the_last_digit(self, store: MemoryStore, lesson: Any) -> None:
        teach(store, mixed(lesson, 1, 20))
        check(store, START + DAY)
        one = weights_of(store.view(), 1)
        with store.transaction() as tx:
            made = roll_back(tx, 1, START + DAY * 2)
        assert made.version == 3
        assert weights_in_force(store.view()) == one
        check(store, START + DAY * 9)
        assert weights_in_force(store.view()) == one, "what was learned before is not learned again"

    def test_the_defaults_are_always_kept(self, store: MemoryStore, lesson: Any) -> None:
        teach(store, mixed(lesson, 1, 20))
        check(store, START + DAY)
        with store.transaction() as tx:
            roll_back(tx, 0, START + DAY * 2)
        assert weights_in_force(store.view()) == DEFAULT_WEIGHTS

    def test_a_version_that_is_not_kept_is_an_error(self, store: MemoryStore) -> None:
        with store.transaction() as tx, pytest.raises(InputError, match="There is no version 7 of the weights; kept"):
            roll_back(tx, 7, START)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trades"), st.integers(5, 25)),
        st.tuples(st.just("back"), st.integers(0, 6)),
        st.tuples(st.just("rest"), st.integers(1, 40)),
        st.tuples(st.just("freeze"), st.just(0)),
        st.tuples(st.just("thaw"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, dice=st.randoms(use_true_random=False))
def test_whatever_happens_versions_are_lawful_and_the_journal_gives_them_again(
    steps: list[tuple[str, int]], dice: Any
) -> None:
    store, now, number = MemoryStore(), START, 0
    seen: dict[int, Weights] = {0: DEFAULT_WEIGHTS}
    for name, amount in steps:
        now += DAY
        with store.transaction() as tx:
            if name == "trades":
                for _ in range(amount):
                    number += 1
                    lesson = a_lesson(number, now, dice)
                    tx.lessons[lesson.round_trip_id] = lesson
            elif name == "back" and amount in seen:
                roll_back(tx, amount, now)
                assert weights_in_force(tx) == seen[amount]
            elif name == "freeze":
                freeze(tx, now)
            elif name == "thaw":
                unfreeze(tx, now)
            else:
                now += DAY * amount
        check(store, now)
        state = store.view()
        for key, version in state.weights.items():
            assert seen.setdefault(int(key), version.weights) == version.weights
            assert sum(version.weights.parts.values()) == 1
            assert all(D("0.05") <= weight <= D("0.40") for weight in version.weights.parts.values())
            assert all(D("0.40") <= weight <= D("1.30") for weight in version.weights.markets.values())
    again = SilentState()
    rebuild(again, store.events)
    assert dict(again.weights) == dict(store.view().weights)
    assert weights_in_force(again) == weights_in_force(store.view())


def a_lesson(number: int, now: datetime, dice: Any) -> Lesson:
    parts = {name: D(dice.randint(0, 100)) / 100 for name in PART_NAMES}
    return Lesson(
        round_trip_id=f"t{number}",
        seq=number,
        strategy="breakout",
        market_type=dice.choice(list(MarketType)),
        side=PositionSide.LONG,
        closed_at=now,
        r=D(dice.choice(["-1", "-0.5", "0", "1", "2.5"])),
        conditions=EntryConditions(score=D("0.5"), parts=parts),
    )
