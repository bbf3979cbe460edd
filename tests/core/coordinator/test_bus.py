from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.coordinator.bus import Incoming, Ranked, best_first, strongest
from apex_cli.core.model.signal import Opportunity
from kit import START
from kit.rig import make_signal


def incoming(name: str, confidence: str = "0.5") -> Incoming:
    return Incoming(make_signal(name, now=START, confidence=confidence))


def ranked(name: str, score: str) -> Ranked:
    return Ranked(Opportunity(signal=make_signal(name, now=START), opportunity_score=Decimal(score)))


def names(incoming: list[Incoming]) -> list[str]:
    return [each.signal.symbol for each in incoming]


def test_opportunities_go_best_first_and_equals_as_they_came() -> None:
    found = best_first(ranked(name, score) for name, score in (("A", "0.4"), ("B", "0.9"), ("C", "0.9"), ("D", "0.5")))
    assert [each.opportunity.signal.symbol for each in found] == ["B", "C", "D", "A"]


def test_a_full_bus_drops_the_weakest_and_of_equals_the_oldest() -> None:
    kept, dropped = strongest([incoming("A"), incoming("B"), incoming("C", "0.9"), incoming("D", "0.1")], 2)
    assert (names(kept), names(dropped)) == (["B", "C"], ["A", "D"])


def test_signals_keep_the_order_in_which_they_came() -> None:
    waiting = [incoming("X", "0.1"), incoming("Y", "0.9"), incoming("Z", "0.5")]
    assert strongest(waiting, 3) == (waiting, [])


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8))
def test_nothing_is_lost_and_the_best_stay(tenths: list[int], capacity: int) -> None:
    waiting = [incoming(f"S{n}", str(Decimal(tenth) / 10)) for n, tenth in enumerate(tenths)]
    kept, dropped = strongest(waiting, capacity)
    assert sorted(names(kept) + names(dropped)) == sorted(names(waiting))
    assert len(kept) == min(capacity, len(waiting))
    weakest_kept = min((each.signal.confidence or 0 for each in kept), default=0)
    assert all((each.signal.confidence or 0) <= weakest_kept for each in dropped)
