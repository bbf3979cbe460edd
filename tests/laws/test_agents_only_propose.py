"""Law: no order leaves for what an agent proposed but by a person's yes, whatever comes before and between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.coordinator.service import Service
from apex_cli.core.decision.record import record_ended
from apex_cli.core.errors import ApexError
from apex_cli.core.model.agent import AgentLimits, Proposal
from apex_cli.core.model.records import ApprovalStatus, SignalOutcome
from apex_cli.core.model.request import Answer, Choice
from apex_cli.core.model.signal import Signal
from kit.rig import Rig, auto, make_signal

SYMBOLS = ("AAPL", "MSFT", "IBM")
AGENTS = ("claude", "other")
GENEROUS = AgentLimits(max_waiting=100, proposals_per_day=1000, max_open_risk_pct=Decimal(1))
PERSON = "a person"

STEPS = st.one_of(
    st.tuples(st.just("propose"), st.sampled_from(SYMBOLS), st.sampled_from(AGENTS)),
    st.tuples(st.just("claim"), st.sampled_from(SYMBOLS), st.sampled_from(AGENTS)),
    st.tuples(st.just("signal"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("yes"), st.integers(0, 9)),
    st.tuples(st.just("yes to all")),
    st.tuples(st.just("close"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("wait"), st.sampled_from((1, 31, 24 * 60))),
)


class Story:
    """One way that a day may take."""

    def __init__(self) -> None:
        self.rig = Rig(limits=auto(agents=GENEROUS))
        self.seen: list[tuple[Signal, Proposal | None]] = []
        self.number = 0

    def signal(self, symbol: str, mark: Proposal | None, *, claims: Proposal | None = None) -> None:
        self.number += 1
        now = self.rig.clock.now()
        signal = make_signal(symbol, now=now, signal_id=f"s{self.number}", confidence="0.99", proposal=claims)
        self.seen.append((signal, mark))
        self.bring(signal, mark)

    def bring(self, signal: Signal, mark: Proposal | None) -> None:
        self.rig.source.put(signal)
        self.rig.run(self.rig.make_coordinator(proposal=mark).take_in())

    def service(self) -> Service:
        rig = self.rig
        return Service(
            store=rig.store,
            executor=rig.executor,
            closer=rig.closer,
            mover=rig.mover,
            desk=rig.desk,
            adoption=rig.adoption,
            wall=rig.clock,
            name="a process",
        )

    def do(self, step: tuple[Any, ...]) -> None:
        rig = self.rig
        match step:
            case ("propose", symbol, agent):
                self.signal(symbol, Proposal(agent=agent))
            case ("claim", symbol, agent):
                self.signal(symbol, None, claims=Proposal(agent=agent))
            case ("signal", symbol):
                self.signal(symbol, None)
            case ("again", number) if self.seen:
                self.bring(*self.seen[number % len(self.seen)])
            case ("yes", number) if waiting := rig.desk.pending():
                rig.run(rig.desk.approve(waiting[number % len(waiting)], by=PERSON))
            case ("yes to all",):
                rig.run(self.service().perform(Answer(choice=Choice.APPROVE, by="a script")))
            case ("close", symbol) if symbol in rig.state.positions:
                rig.close(symbol)
            case ("restart",):
                rig.restart()
            case ("wait", minutes):
                rig.clock.advance(minutes=minutes)
        rig.cycle()


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_every_entry_of_an_agent_has_a_yes_of_a_person_who_named_it(steps: list[tuple[Any, ...]]) -> None:
    story = Story()
    for step in steps:
        try:
            story.do(step)
        except ApexError:
            continue
    state = story.rig.state
    marks = {signal.signal_id: mark for signal, mark in story.seen}
    for bracket in state.brackets.values():
        mark = marks[bracket.signal_id]
        assert bracket.agent == (mark.agent if mark is not None else "")
        if mark is not None:
            (answered,) = [
                each for each in state.approvals.values() if each.opportunity.signal.signal_id == bracket.signal_id
            ]
            assert answered.decided_by == PERSON
            assert answered.status in {ApprovalStatus.EXECUTED, ApprovalStatus.FAILED, ApprovalStatus.APPROVED}


def test_a_signal_that_ended_keeps_the_name_of_who_proposed_it() -> None:
    rig = Rig()
    signal = make_signal(now=rig.clock.now(), proposal=Proposal(agent="claude"))
    with rig.store.transaction() as tx:
        record_ended(tx, signal, SignalOutcome.EXPIRED, (), rig.clock.now())
    assert rig.state.signals[signal.signal_id].agent == "claude"
