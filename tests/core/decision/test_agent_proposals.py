"""What an agent proposed waits for a person, on every way that a signal can take."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.checks import AGENT_CHECKS
from apex_cli.core.decision.inputs import agent_standing
from apex_cli.core.decision.plan import decide_at, explain_checks
from apex_cli.core.execution.order_manager import NOTHING_SENT
from apex_cli.core.model.agent import AgentLimits, AgentRules, Proposal
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, SignalOutcome, SignalReport
from apex_cli.core.model.signal import Signal
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.events.approval_events import ApprovalQueued
from apex_cli.core.state.events.base_event import kind_of
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.signal_events import Decided
from kit.rig import Rig, auto, make_signal

CLAUDE = Proposal(agent="claude", reason="a reason", client="client 1.0")
OTHER = Proposal(agent="other")


class Forger:
    """A step of the pipeline that makes every signal anew, with a mark of its own choice."""

    name = "forger"

    def __init__(self, mark: Proposal | None) -> None:
        self.mark = mark

    async def process(self, signal: Signal) -> Signal:
        return replace(signal, proposal=self.mark)


def propose(rig: Rig, *signals: Signal, mark: Proposal | None = CLAUDE, **parts: Any) -> list[SignalReport]:
    """Let *signals* come in through an agent's door."""
    coordinator = rig.make_coordinator(proposal=mark, **parts)
    rig.source.put(*signals)
    rig.run(coordinator.take_in())
    return coordinator.reports


def offer(rig: Rig, symbol: str = "AAPL", **changes: Any) -> Signal:
    return make_signal(symbol, now=rig.clock.now(), confidence="0.99", **changes)


def waiting(rig: Rig) -> list[ApprovalRecord]:
    return [each for each in rig.store.view().approvals.values() if each.status is ApprovalStatus.PENDING]


def codes(report: SignalReport) -> list[str]:
    return [reason.code for reason in report.reasons]


def test_a_proposal_waits_for_a_person_where_the_same_signal_is_executed_at_once() -> None:
    rig = Rig(limits=auto())
    (plain,) = rig.feed(offer(rig, "MSFT"))
    (proposed,) = propose(rig, offer(rig))
    assert (plain.outcome, proposed.outcome) == (SignalOutcome.EXECUTED, SignalOutcome.QUEUED)
    assert codes(proposed) == ["agent_proposal"]
    assert proposed.reasons[0].value == "proposed by claude"
    assert rig.orders("AAPL") == []
    (approval,) = waiting(rig)
    assert approval.opportunity.signal.proposal == CLAUDE
    rig.cycle()
    rig.restart()
    rig.cycle()
    assert rig.orders("AAPL") == []
    assert len(waiting(rig)) == 1


def test_many_proposals_at_once_wait_too() -> None:
    rig = Rig(limits=auto(agents=AgentLimits(max_waiting=100, proposals_per_day=1000, max_open_risk_pct=Decimal(1))))
    reports = propose(rig, *(offer(rig, f"S{number:02}") for number in range(30)))
    assert {report.outcome for report in reports} == {SignalOutcome.QUEUED}
    assert len(rig.store.view().orders) == 0


def test_a_person_s_yes_opens_it_and_the_bracket_names_the_agent() -> None:
    rig = Rig(limits=auto())
    propose(rig, offer(rig))
    (approval,) = waiting(rig)
    rig.run(rig.desk.approve(approval, by="terminal"))
    (bracket,) = rig.store.view().brackets.values()
    assert bracket.agent == "claude"
    assert rig.store.view().approvals[approval.approval_id].decided_by == "terminal"
    assert rig.orders("AAPL")


@pytest.mark.parametrize("forged", [None, OTHER])
def test_no_step_takes_the_mark_away_or_changes_it(forged: Proposal | None) -> None:
    rig = Rig(limits=auto())
    (report,) = propose(rig, offer(rig), stages=[Forger(forged)])
    assert report.outcome is SignalOutcome.QUEUED
    assert waiting(rig)[0].opportunity.signal.proposal == CLAUDE


def test_neither_a_source_nor_a_step_can_speak_for_an_agent() -> None:
    rig = Rig(limits=auto(), stages=[Forger(CLAUDE)])
    (report,) = rig.feed(offer(rig, proposal=CLAUDE))
    assert report.outcome is SignalOutcome.EXECUTED
    state = rig.store.view()
    assert [row.agent for row in state.signals.values()] == [""]
    assert [row.agent for row in state.brackets.values()] == [""]


def test_no_order_leaves_for_a_proposal_even_where_a_decision_says_so() -> None:
    rig = Rig(limits=auto())
    opportunity = rig.run(_ranked(rig, offer(rig, proposal=CLAUDE)))
    snapshot = rig.run(rig.gatherer.snapshot(rig.store.view(), opportunity))

    decision = decide_at(opportunity, snapshot, rig.limits, entry_price=opportunity.signal.entry_price)
    assert decision.kind is DecisionKind.EXECUTE
    assert rig.executor.write_down(opportunity, snapshot, decision) is None
    assert all(record.status in NOTHING_SENT for record in rig.store.view().orders.values())


async def _ranked(rig: Rig, signal: Signal) -> Any:
    return rig.coordinator._ranker().rank(signal, ())


def test_an_agent_ends_no_approval_but_its_own() -> None:
    rig = Rig(limits=auto())
    propose(rig, offer(rig, signal_id="mine"))
    propose(rig, offer(rig, signal_id="another's"), mark=OTHER)
    assert len(waiting(rig)) == 2
    propose(rig, offer(rig, signal_id="mine-2", stop="48.5"))
    marks = {each.opportunity.signal.signal_id: each.status for each in rig.store.view().approvals.values()}
    assert marks == {
        "mine": ApprovalStatus.SUPERSEDED,
        "another's": ApprovalStatus.PENDING,
        "mine-2": ApprovalStatus.PENDING,
    }


def test_words_of_an_agent_confirm_no_other_signal() -> None:
    rig = Rig()
    assert offer(rig, strategy="insider").family
    assert not offer(rig, strategy="insider", proposal=CLAUDE).family


class TestBudgets:
    def test_proposals_of_a_session_are_counted_refused_ones_included(self) -> None:
        rig = Rig(limits=auto(agents=AgentLimits(proposals_per_day=2)))
        assert propose(rig, offer(rig, "BAD", targets=("50.1",)))[0].outcome is SignalOutcome.REFUSED
        assert propose(rig, offer(rig, "ONE"))[0].outcome is SignalOutcome.QUEUED
        (report,) = propose(rig, offer(rig, "TWO"))
        assert codes(report) == ["agent_proposals"]
        reason = report.reasons[0]
        assert (reason.limit, reason.value) == ("at most 2 proposals a session", "2 proposals")
        assert propose(rig, offer(rig, "THREE"), mark=OTHER)[0].outcome is SignalOutcome.QUEUED
        rig.clock.advance(minutes=24 * 60)
        assert propose(rig, offer(rig, "FOUR"))[0].outcome is SignalOutcome.QUEUED

    def test_only_so_many_wait_and_one_that_expired_does_not(self) -> None:
        rig = Rig(limits=auto(agents=AgentLimits(names={"claude": AgentRules(max_waiting=1)})))
        propose(rig, offer(rig, "ONE"))
        (report,) = propose(rig, offer(rig, "TWO"))
        assert codes(report) == ["agent_waiting"]
        assert report.reasons[0].value == "1 waiting proposals"
        rig.clock.advance(minutes=31)
        assert propose(rig, offer(rig, "THREE"))[0].outcome is SignalOutcome.QUEUED

    def test_the_risk_of_all_it_proposed_is_bounded_from_waiting_to_held(self) -> None:
        rig = Rig(limits=auto(agents=AgentLimits(max_open_risk_pct=Decimal("0.0199"))))
        rig.feed(offer(rig, "PLAIN"))
        propose(rig, offer(rig, "ONE"))
        (refused,) = propose(rig, offer(rig, "TWO"))
        assert codes(refused) == ["agent_risk"]
        (approval,) = waiting(rig)
        rig.run(rig.desk.approve(approval))
        rig.cycle()
        assert "ONE" in rig.store.view().positions
        (refused,) = propose(rig, offer(rig, "THREE"))
        assert codes(refused) == ["agent_risk"]
        rig.close("ONE")
        rig.cycle()
        assert propose(rig, offer(rig, "FOUR"))[0].outcome is SignalOutcome.QUEUED

    def test_the_last_proposal_of_a_budget_can_still_be_approved(self) -> None:
        rig = Rig(limits=auto(agents=AgentLimits(proposals_per_day=1, max_waiting=1)))
        propose(rig, offer(rig))
        (approval,) = waiting(rig)
        assert rig.run(rig.desk.preview(approval)).reasons == ()
        rig.run(rig.desk.approve(approval))
        assert rig.orders("AAPL")

    def test_a_state_made_again_from_the_journal_has_the_same_standing(self) -> None:
        rig = Rig(limits=auto(agents=AgentLimits(max_waiting=9)))
        propose(rig, offer(rig, "ONE"))
        rig.run(rig.desk.approve(waiting(rig)[0]))
        propose(rig, offer(rig, "TWO"))
        propose(rig, offer(rig, "BAD", targets=("50.1",)))
        again = SilentState()
        assert rebuild(again, rig.store.events) == ()
        asked, now = offer(rig, "THREE", proposal=CLAUDE), rig.clock.now()
        found = agent_standing(rig.store.view(), asked, now)
        assert found is not None
        assert (found.proposals, found.waiting) == (3, 1)
        assert agent_standing(again, asked, now) == found


def test_the_journal_names_the_agent_in_the_decision_and_the_approval() -> None:
    rig = Rig(limits=auto())
    propose(rig, offer(rig))
    decided, queued = (read_event(rig.events(kind_of(kind))[-1]) for kind in (Decided, ApprovalQueued))
    assert isinstance(decided, Decided)
    assert isinstance(queued, ApprovalQueued)
    assert decided.data.opportunity.signal.proposal == CLAUDE
    assert queued.data.opportunity.signal.proposal == CLAUDE


def test_a_proposal_is_held_against_its_budget_before_all_other_checks_and_each_tells_its_numbers() -> None:
    rig = Rig(limits=auto())
    opportunity = rig.run(_ranked(rig, offer(rig, proposal=CLAUDE)))
    snapshot = rig.run(rig.gatherer.snapshot(rig.store.view(), opportunity))
    checks = explain_checks(opportunity, snapshot, rig.limits)
    assert [check.code for check in checks[:3]] == ["agent_proposals", "agent_waiting", "agent_risk"]
    assert all(check.passed and check.limit and check.value for check in checks[:3])
    assert [check.__name__ for check in AGENT_CHECKS] == [check.code for check in checks[:3]]
    plain = rig.run(_ranked(rig, offer(rig)))
    assert not {check.code for check in explain_checks(plain, snapshot, rig.limits)} & {c.code for c in checks[:3]}


def test_a_proposal_that_comes_to_no_decision_counts_under_the_agent_s_name_too() -> None:
    rig = Rig(limits=auto())
    late = offer(rig, minutes=1)
    rig.clock.advance(minutes=2)
    (report,) = propose(rig, late)
    assert report.outcome is SignalOutcome.EXPIRED
    assert [row.agent for row in rig.store.view().signals.values()] == ["claude"]
    found = agent_standing(rig.store.view(), offer(rig, "MSFT", proposal=CLAUDE), rig.clock.now())
    assert found is not None
    assert found.proposals == 1
