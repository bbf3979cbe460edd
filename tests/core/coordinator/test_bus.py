from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.coordinator.bus import Bus, CheckLearning, Incoming, Message, Priority, Ranked
from apex_cli.core.model.signal import Opportunity
from kit import START
from kit.rig import make_signal


def incoming(name: str, confidence: str = "0.5") -> Incoming:
    return Incoming(make_signal(name, now=START, confidence=confidence))


def ranked(name: str, score: str) -> Ranked:
    return Ranked(Opportunity(signal=make_signal(name, now=START), opportunity_score=Decimal(score)))


def symbol(message: Message | None) -> str:
    match message:
        case Incoming(signal=signal):
            return signal.symbol
        case Ranked(opportunity=opportunity):
            return opportunity.signal.symbol
        case CheckLearning():
            return "learning"
        case None:
            return "nothing"


def drained(bus: Bus) -> list[str]:
    found = []
    while (message := bus.get()) is not None:
        found.append(symbol(message))
    return found


def test_what_is_ready_to_execute_goes_before_what_must_be_routed_before_learning() -> None:
    bus = Bus(10)
    bus.put(CheckLearning(), Priority.ADAPT)
    bus.put(incoming("A"), Priority.ROUTE)
    bus.put(ranked("B", "0.1"), Priority.EXECUTE)
    assert drained(bus) == ["B", "A", "learning"]


def test_the_best_are_taken_together_and_nothing_that_must_be_routed() -> None:
    bus = Bus(4)
    for name, score in (("A", "0.1"), ("B", "0.9"), ("C", "0.5"), ("D", "0.05"), ("E", "0.3")):
        bus.put(ranked(name, score), Priority.EXECUTE)
    bus.put(incoming("F", "1"), Priority.ROUTE)
    assert [symbol(message) for message in bus.get_best(2)] == ["B", "C"]
    assert [symbol(message) for message in bus.get_best(9)] == ["E"]
    assert bus.get_best(9) == []
    assert drained(bus) == ["F"]


def test_opportunities_go_best_first_and_signals_as_they_came() -> None:
    bus = Bus(10)
    for name, score in (("A", "0.4"), ("B", "0.9"), ("C", "0.9"), ("D", "0.5")):
        bus.put(ranked(name, score), Priority.EXECUTE)
    for name, confidence in (("X", "0.1"), ("Y", "0.9")):
        bus.put(incoming(name, confidence), Priority.ROUTE)
    assert drained(bus) == ["B", "C", "D", "A", "X", "Y"]


def test_a_full_bus_hands_back_the_weakest_and_of_equals_the_oldest() -> None:
    bus = Bus(2)
    assert bus.put(incoming("A", "0.5"), Priority.ROUTE) is None
    assert bus.put(incoming("B", "0.5"), Priority.ROUTE) is None
    assert symbol(bus.put(incoming("C", "0.9"), Priority.ROUTE)) == "A"
    assert symbol(bus.put(incoming("D", "0.1"), Priority.ROUTE)) == "D"
    assert len(bus) == 2
    assert drained(bus) == ["B", "C"]


def test_a_reminder_is_never_dropped_for_a_signal() -> None:
    bus = Bus(1)
    bus.put(CheckLearning(), Priority.ADAPT)
    assert symbol(bus.put(incoming("A", "1"), Priority.ROUTE)) == "A"
    assert drained(bus) == ["learning"]


def test_what_was_taken_is_never_dropped() -> None:
    bus = Bus(1)
    bus.put(incoming("A", "0.1"), Priority.ROUTE)
    bus.get()
    assert bus.put(incoming("B", "0.9"), Priority.ROUTE) is None
    assert symbol(bus.put(incoming("C", "0.5"), Priority.ROUTE)) == "C"


def test_a_cleared_bus_is_empty() -> None:
    bus = Bus(2)
    bus.put(incoming("A"), Priority.ROUTE)
    bus.clear()
    assert (len(bus), bus.get()) == (0, None)
    assert bus.put(incoming("B"), Priority.ROUTE) is None
    assert drained(bus) == ["B"]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8))
def test_nothing_is_lost_and_the_best_stay(scores: list[int], capacity: int) -> None:
    bus = Bus(capacity)
    dropped = [bus.put(ranked(f"S{n}", str(score)), Priority.EXECUTE) for n, score in enumerate(scores)]
    gone = [message.opportunity.opportunity_score for message in dropped if isinstance(message, Ranked)]
    kept = []
    while isinstance(message := bus.get(), Ranked):
        kept.append(message.opportunity.opportunity_score)
    assert sorted(gone + kept) == sorted(map(Decimal, scores))
    assert len(kept) == min(capacity, len(scores))
    assert all(better >= worse for better, worse in pairwise(kept))
    assert not gone or not kept or max(gone) <= max(kept)
