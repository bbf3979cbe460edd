"""Law 1: for one signal at most one entry is ever sent, whatever is lost, repeated or raced."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import ApexError
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.state.events.order_events import Intent
from kit import FixedClock, MemoryStore
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import ListSource, Rig, make_signal, manual

FATES = st.sampled_from(list(Fate))
SYMBOLS = ("AAPL", "MSFT")
TARGETS = st.sampled_from([("54",), ("55", "58", "60"), ()])


def entries_by_signal(rig: Rig) -> dict[str, int]:
    """Return how many brackets of each signal ever reached the venue."""
    brackets = {name.split("-")[1] for name in rig.entries_at_venue()}
    intents = [msgspec.json.decode(event.data, type=Intent) for event in rig.events("intent")]
    signal_of = {i.bracket.bracket_id: i.bracket.signal_id for i in intents if i.bracket is not None}
    return Counter(signal_of[bracket] for bracket in brackets)


def attempt(work: Any) -> None:
    """Do *work*; an error of ours is part of the story."""
    with suppress(ApexError):
        work()


STEPS = st.one_of(
    st.tuples(st.just("feed"), st.sampled_from(SYMBOLS), FATES),
    st.tuples(st.just("twice"), st.sampled_from(SYMBOLS), FATES),
    st.tuples(st.just("cycle")),
    st.tuples(st.just("recover")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("silent"), st.booleans()),
    st.tuples(st.just("shuffle"), st.integers(0, 9)),
    st.tuples(st.just("snapshot"), st.booleans()),
    st.tuples(st.just("fail"), st.integers(1, 4)),
    st.tuples(st.just("wait"), st.integers(1, 60)),
)


def take(rig: Rig, step: tuple[Any, ...]) -> None:
    broker: UnreliableBroker = rig.broker
    match step:
        case ("feed" | "twice" as how, symbol, fate):
            broker.fates.append(fate)
            one = make_signal(symbol, now=rig.clock.now())
            attempt(lambda: rig.feed(*[one] * (2 if how == "twice" else 1)))
        case ("cycle",):
            attempt(rig.cycle)
        case ("recover",):
            attempt(lambda: rig.run(rig.executor.recover()))
        case ("restart",):
            rig.store.fail_at = None
            rig.restart()
            fresh = UnreliableBroker(rig.venue, rig.clock)
            rig.use(fresh)
        case ("silent", is_silent):
            broker.is_silent = is_silent
        case ("shuffle", seed):
            broker.shuffle = Random(seed) if seed else None
        case ("snapshot", has_snapshot):
            broker.has_snapshot = has_snapshot
        case ("fail", after):
            rig.store.fail_at = rig.store.transactions + after
        case ("wait", seconds):
            rig.clock.advance(seconds=seconds)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_whatever_happens_a_signal_reaches_the_venue_once(steps: list[tuple[Any, ...]]) -> None:
    rig = Rig(store=FailingStore(MemoryStore()))
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    for step in steps:
        take(rig, step)
        assert all(count == 1 for count in entries_by_signal(rig).values())
    rig.store.fail_at = None
    rig.restart()
    rig.feed(*(make_signal(symbol, now=rig.clock.now()) for symbol in SYMBOLS))
    assert all(count == 1 for count in entries_by_signal(rig).values())
    assert not [r for r in rig.state.orders.values() if r.status in {OrderStatus.INTENT, OrderStatus.UNKNOWN}]
    assert rig.at_venue() == {key: row.position.quantity for key, row in rig.state.positions.items()}
    for symbol in SYMBOLS:
        assert rig.unprotected(symbol) == 0


class TestRepeated:
    def test_the_same_id_twice_in_a_batch(self) -> None:
        rig = Rig()
        one = make_signal(now=rig.clock.now())
        reports = rig.feed(one, one, one)
        assert [r.outcome for r in reports] == [
            SignalOutcome.DUPLICATE,
            SignalOutcome.DUPLICATE,
            SignalOutcome.EXECUTED,
        ]
        assert len(rig.entries_at_venue()) == 1

    def test_the_same_id_in_two_batches_of_one_cycle(self) -> None:
        rig = Rig()
        rig.source.put(make_signal(now=rig.clock.now()))
        rig.source.put(make_signal(now=rig.clock.now(), entry="50.10"))
        rig.cycle()
        assert len(rig.entries_at_venue()) == 1

    def test_the_same_id_after_a_restart_that_lost_the_acknowledgement(self, tmp_path: Path) -> None:
        rig = Rig(path=tmp_path / "book.json")
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        broker.fates.append(Fate.LOST_AFTER)
        broker.is_silent = True
        rig.feed(make_signal(now=rig.clock.now()))
        rig.restart()
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert report.outcome is SignalOutcome.DUPLICATE
        assert len(rig.entries_at_venue()) == 1

    def test_after_its_round_trip_ended(self) -> None:
        rig = Rig()
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("54")
        rig.cycle()
        rig.feed(make_signal(now=rig.clock.now()))
        assert len(rig.entries_at_venue()) == 1

    def test_on_the_next_day_while_it_still_holds(self) -> None:
        rig = Rig()
        one = make_signal(now=rig.clock.now(), minutes=10 * 24 * 60)
        rig.feed(one)
        rig.price("54")
        for _ in range(5):
            rig.clock.advance(minutes=24 * 60)
            rig.cycle()
            (report,) = rig.feed(one)
            assert report.outcome is SignalOutcome.DUPLICATE
        assert len(rig.events("intent")) == 1


class TestRaced:
    def test_two_processes_on_one_state_folder(self, tmp_path: Path) -> None:
        clock = FixedClock()
        rig = Rig(store=TinyDbStore(tmp_path, clock=clock), clock=clock)
        other = TinyDbStore(tmp_path, clock=clock)
        one = make_signal(now=clock.now())
        sources = [ListSource(), ListSource()]
        coordinators = []
        for source, store in zip(sources, (rig.store, other), strict=True):
            source.put(one)
            rig.store = store
            rig._build()
            coordinators.append(rig.make_coordinator(sources=[source]))

        async def both() -> None:
            await asyncio.gather(*(coordinator.cycle() for coordinator in coordinators))

        rig.run(both())
        outcomes = sorted(c.reports[0].outcome for c in coordinators)
        assert outcomes == [SignalOutcome.DUPLICATE, SignalOutcome.EXECUTED]
        assert len(rig.entries_at_venue()) == 1

    def test_an_approval_answered_by_two_at_once(self) -> None:
        rig = Rig(limits=manual())
        rig.feed(make_signal(now=rig.clock.now()))
        (approval,) = rig.desk.pending()

        async def both() -> list[Any]:
            answers = (rig.desk.approve(approval, by=who) for who in ("phone", "terminal"))
            return await asyncio.gather(*answers, return_exceptions=True)

        answered = rig.run(both())
        assert sum(isinstance(a, ApexError) for a in answered) == 1
        assert len(rig.entries_at_venue()) == 1

    @pytest.mark.parametrize("fate", list(Fate))
    def test_an_approval_answered_again_whatever_became_of_the_first(self, fate: Fate) -> None:
        rig = Rig(limits=manual())
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        rig.feed(make_signal(now=rig.clock.now()))
        (approval,) = rig.desk.pending()
        broker.fates.append(fate)
        for _ in range(3):
            attempt(lambda: rig.run(rig.desk.approve(approval)))
            rig.run(rig.executor.recover())
        assert len(rig.entries_at_venue()) == (0 if fate in {Fate.LOST_BEFORE, Fate.REFUSED} else 1)
