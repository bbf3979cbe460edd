from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.approval import TRANSITIONS, is_expired, recheck_approval, transition
from apex_cli.core.decision.plan import decide
from apex_cli.core.model.decision import DecisionKind, TradingMode
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus

D = Decimal


def waiting(build: Any, **changes: Any) -> ApprovalRecord:
    opportunity = build.opportunity(targets=("55",))
    approval = ApprovalRecord(
        approval_id="ap-1",
        opportunity=opportunity,
        decision=decide(opportunity, build.snapshot(), Limits()),
        quoted_price=opportunity.signal.entry_price,
        created_at=build.now,
        expires_at=build.now + timedelta(minutes=30),
    )
    return replace(approval, **changes)


def test_a_yes_that_still_holds_is_approved_at_the_price_of_now(build: Any) -> None:
    verdict = recheck_approval(waiting(build), build.snapshot(quote="50.30"), Limits())
    assert (verdict.status, verdict.reasons, verdict.is_void) == (ApprovalStatus.APPROVED, (), False)
    now = verdict.decision
    assert (now.kind, now.entry_price) == (DecisionKind.EXECUTE, D("50.30"))
    assert now.sized is not None
    assert (now.sized.quantity, now.sized.risk_per_unit) == (2, D("2.30"))
    assert now.reward_risk == D("4.70") / D("2.30")


def test_a_check_that_may_pass_later_leaves_it_pending(build: Any) -> None:
    verdict = recheck_approval(waiting(build), build.snapshot(trading_mode=TradingMode.HALTED), Limits())
    assert (verdict.status, verdict.is_void) == (ApprovalStatus.PENDING, False)
    assert [reason.code for reason in verdict.reasons] == ["trading_state"]


def test_without_a_price_it_waits(build: Any) -> None:
    verdict = recheck_approval(waiting(build), build.snapshot(quote=None), Limits())
    assert (verdict.status, [r.code for r in verdict.reasons]) == (ApprovalStatus.PENDING, ["price_collar"])


@pytest.mark.parametrize(("quote", "is_void"), [("50.50", False), ("50.51", True), ("49.50", False), ("49.49", True)])
def test_a_price_that_drifted_too_far_voids_it(build: Any, quote: str, *, is_void: bool) -> None:
    limits = build.limits(min_reward_risk=D(1))
    verdict = recheck_approval(waiting(build), build.snapshot(quote=quote), limits)
    assert verdict.is_void is is_void
    if quote == "50.51":
        (reason,) = verdict.reasons
        assert (verdict.status, reason.code) == (ApprovalStatus.SUPERSEDED, "price_drift")
        assert (reason.limit, reason.value) == ("at most 1 %", "1.02 %")
        assert reason.message == "The price moved 1.02 % since it was queued, from 50.00 to 50.51; the limit is 1 %."


def test_a_reward_too_small_at_the_price_of_now_voids_it(build: Any) -> None:
    verdict = recheck_approval(waiting(build), build.snapshot(quote="50.40"), Limits())
    (reason,) = verdict.reasons
    assert (verdict.status, reason.code, reason.value) == (ApprovalStatus.SUPERSEDED, "reward_risk_min", "1.92")


def test_a_price_at_the_stop_voids_it(build: Any) -> None:
    verdict = recheck_approval(waiting(build, quoted_price=D("48.2")), build.snapshot(quote="48"), Limits())
    assert (verdict.status, verdict.decision.sized) == (ApprovalStatus.SUPERSEDED, None)


def test_an_expired_signal_or_approval_expires_it(build: Any) -> None:
    late = build.snapshot(taken_at=build.now + timedelta(minutes=30))
    verdict = recheck_approval(waiting(build), late, Limits())
    assert (verdict.status, verdict.is_void) == (ApprovalStatus.EXPIRED, True)
    assert [reason.code for reason in verdict.reasons] == ["approval_expired", "signal_expired"]
    assert all(reason.limit and reason.value for reason in verdict.reasons)


def test_a_persons_quantity_is_rechecked(build: Any) -> None:
    kept = recheck_approval(waiting(build, quantity=Quantity(D(2))), build.snapshot(), Limits())
    assert kept.decision.sized is not None
    assert kept.decision.sized.quantity == 2
    reported = recheck_approval(waiting(build, quantity=Quantity(D(2))), build.snapshot(), Limits(), Quantity(D("1.5")))
    assert (reported.status, [r.code for r in reported.reasons]) == (ApprovalStatus.PENDING, ["quantity_off_step"])


def test_only_what_is_pending_expires(build: Any) -> None:
    approval, end = waiting(build), build.now + timedelta(minutes=30)
    assert not is_expired(approval, end - timedelta(seconds=1))
    assert is_expired(approval, end)
    assert not is_expired(replace(approval, status=ApprovalStatus.EXECUTED), end)


def test_every_step_outside_the_table_is_refused(build: Any) -> None:
    for status, to in product(ApprovalStatus, ApprovalStatus):
        approval = waiting(build, status=status)
        if to in TRANSITIONS.get(status, ()):
            assert transition(approval, to, now=build.now, by="me").status is to
        else:
            with pytest.raises(ValueError, match=f"ap-1 is {status}: it cannot become {to}"):
                transition(approval, to, now=build.now, by="me")


def test_an_answer_is_final_in_the_end() -> None:
    final = set(ApprovalStatus) - set(TRANSITIONS)
    assert final == {
        ApprovalStatus.REJECTED,
        ApprovalStatus.EXPIRED,
        ApprovalStatus.SUPERSEDED,
        ApprovalStatus.EXECUTED,
        ApprovalStatus.FAILED,
    }


def test_a_step_records_who_when_and_what(build: Any) -> None:
    approved = transition(waiting(build), ApprovalStatus.APPROVED, now=build.now, by="me", reason="ok")
    assert (approved.version, approved.decided_by, approved.decided_at) == (2, "me", build.now)
    executed = transition(approved, ApprovalStatus.EXECUTED, now=build.now, by="apex")
    assert (executed.version, executed.reason, executed.decided_by) == (3, "ok", "apex")
