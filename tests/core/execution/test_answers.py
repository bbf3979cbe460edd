from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.errors import BrokerError, InputError, NothingToDo, RefusedError, StateError
from apex_cli.core.execution.answers import day_trade_effect
from apex_cli.core.model.decision import DayTradeStatus, DecisionKind, Regime, TradingMode
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, SignalOutcome, TradingState
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.state.events.signal_events import DecisionRecord
from kit.decisions import decide_again
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import Prices, Rig, make_signal, manual

D = Decimal


def queued(*signals: Any, limits: Limits | None = None, store: Any = None) -> tuple[Rig, Prices, UnreliableBroker]:
    """Return a rig with one waiting approval for AAPL at 50, its prices and its broker."""
    prices = Prices()
    rig = Rig(limits=limits or manual(), prices=prices, store=store)
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    prices.set("AAPL", "50", rig.clock.now())
    rig.price("50")
    reports = rig.feed(*(signals or (make_signal(now=rig.clock.now()),)))
    assert {report.outcome for report in reports} == {SignalOutcome.QUEUED}
    return rig, prices, broker


def waiting(rig: Rig) -> ApprovalRecord:
    (approval,) = rig.desk.pending()
    return approval


def now_at(rig: Rig, prices: Prices, price: str, *, minutes: float = 5) -> None:
    rig.clock.advance(minutes=minutes)
    prices.set("AAPL", price, rig.clock.now())
    rig.price(price)


def approve(rig: Rig, approval: ApprovalRecord | None = None, **answer: Any) -> Any:
    if "quantity" in answer:
        answer["quantity"] = Quantity(D(answer["quantity"]))
    return rig.run(rig.desk.approve(approval or waiting(rig), **answer))


def kept(rig: Rig) -> ApprovalRecord:
    (approval,) = rig.state.approvals.values()
    return approval


class TestYes:
    def test_it_is_executed_at_the_size_of_now(self) -> None:
        rig, prices, _ = queued()
        now_at(rig, prices, "49.80")
        answered = approve(rig, by="phone")
        assert (answered.approval.status, answered.approval.decided_by) == (ApprovalStatus.EXECUTED, "phone")
        assert answered.preview.decision.sized.quantity == 16
        assert rig.at_venue() == {"AAPL": 16}
        assert rig.unprotected() == 0
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.EXECUTED
        assert kept(rig).bracket_id == answered.orders[0].order.bracket_id
        assert rig.desk.pending() == ()

    def test_a_second_yes_finds_it_answered(self) -> None:
        rig, _, _ = queued()
        approval = waiting(rig)
        approve(rig, approval, by="phone")
        with pytest.raises(NothingToDo, match="executed by phone already"):
            approve(rig, approval)
        with pytest.raises(NothingToDo):
            rig.desk.reject(approval)
        assert len(rig.entries_at_venue()) == 1

    def test_somebody_else_may_be_faster_while_the_account_is_read(self) -> None:
        rig, _, broker = queued()
        approval = waiting(rig)
        real = broker.account

        async def slow() -> Any:
            if kept(rig).status is ApprovalStatus.PENDING:
                rig.desk.reject(approval, by="phone", reason="no")
            return await real()

        broker.account = slow  # type: ignore[method-assign]
        with pytest.raises(NothingToDo, match=r"rejected by phone already\. no"):
            approve(rig, approval)
        assert rig.entries_at_venue() == []
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED

    def test_the_entry_counts_for_the_session_it_is_sent_in(self) -> None:
        rig, prices, _ = queued(make_signal(now=Rig().clock.now(), minutes=3 * 24 * 60), limits=manual_for_days())
        with rig.store.transaction() as tx:
            tx.counters = replace(tx.counters, entries_today=49)
        now_at(rig, prices, "50", minutes=24 * 60)
        approve(rig)
        assert rig.state.counters.entries_today == 1
        assert rig.state.counters.session_date == "2026-03-03"
        rig.cycle()
        assert rig.state.counters.entries_today == 1

    def test_yesterdays_entries_do_not_stand_in_the_way(self) -> None:
        rig, prices, _ = queued(make_signal(now=Rig().clock.now(), minutes=3 * 24 * 60), limits=manual_for_days())
        with rig.store.transaction() as tx:
            tx.counters = replace(tx.counters, entries_today=50)
        now_at(rig, prices, "50", minutes=24 * 60)
        assert approve(rig).approval.status is ApprovalStatus.EXECUTED


def manual_for_days() -> Limits:
    limits = manual()
    return replace(limits, approval=replace(limits.approval, expiry_minutes=5000))


class TestAnotherSize:
    def test_a_person_may_take_less(self) -> None:
        rig, _, _ = queued()
        answered = approve(rig, quantity="4")
        assert rig.at_venue() == {"AAPL": 4}
        assert (answered.approval.quantity, kept(rig).quantity) == (4, 4)

    def test_more_than_the_caps_is_warned_of(self) -> None:
        rig, _, _ = queued()
        answered = approve(rig, quantity="20")
        assert {w.code for w in answered.preview.decision.warnings} == {"cap_risk_exceeded"}
        assert rig.at_venue() == {"AAPL": 20}

    def test_more_than_enforced_caps_is_refused_and_stays_pending(self) -> None:
        risk = RiskLimits(max_position_pct=D(1), max_open_risk_pct=D(1), enforce_caps=True)
        rig, _, _ = queued(limits=manual(risk))
        with pytest.raises(RefusedError, match="above the cap"):
            approve(rig, quantity="20")
        assert kept(rig).status is ApprovalStatus.PENDING
        assert approve(rig, quantity="15").approval.status is ApprovalStatus.EXECUTED

    @pytest.mark.parametrize("quantity", ["0", "-1", "2.5"])
    def test_what_cannot_be_traded_is_refused_and_stays_pending(self, quantity: str) -> None:
        rig, _, _ = queued()
        with pytest.raises(RefusedError):
            approve(rig, quantity=quantity)
        assert kept(rig).status is ApprovalStatus.PENDING
        assert rig.entries_at_venue() == []


class TestVoid:
    def test_a_price_that_drifted_ends_it(self) -> None:
        rig, prices, _ = queued()
        now_at(rig, prices, "49.40")
        with pytest.raises(RefusedError, match="moved") as error:
            approve(rig)
        assert error.value.code == "price_drift"
        assert kept(rig).status is ApprovalStatus.SUPERSEDED
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED
        now_at(rig, prices, "50", minutes=0)
        with pytest.raises(NothingToDo):
            approve(rig, kept(rig))
        assert rig.entries_at_venue() == []

    def test_reward_over_risk_that_became_too_small_ends_it(self) -> None:
        rig, prices, _ = queued()
        now_at(rig, prices, "50.30")
        with pytest.raises(RefusedError, match="Reward:risk") as error:
            approve(rig)
        assert error.value.details["is_void"]
        assert kept(rig).status is ApprovalStatus.SUPERSEDED

    def test_too_late_is_too_late(self) -> None:
        rig, prices, _ = queued()
        approval = waiting(rig)
        now_at(rig, prices, "50", minutes=31)
        assert rig.desk.pending() == ()
        with pytest.raises(RefusedError, match="expired"):
            approve(rig, approval)
        assert kept(rig).status is ApprovalStatus.EXPIRED
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.EXPIRED

    def test_an_approval_never_outlives_its_signal(self) -> None:
        rig, prices, _ = queued(make_signal(now=Rig().clock.now(), minutes=10))
        now_at(rig, prices, "50", minutes=10)
        with pytest.raises(RefusedError):
            approve(rig, kept(rig))
        assert kept(rig).status is ApprovalStatus.EXPIRED

    def test_a_newer_signal_for_the_same_side_takes_its_place(self) -> None:
        rig, _, _ = queued()
        rig.feed(make_signal(now=rig.clock.now(), signal_id="newer"))
        (old, new) = rig.state.approvals.values()
        assert (old.status, new.status) == (ApprovalStatus.SUPERSEDED, ApprovalStatus.PENDING)
        with pytest.raises(NothingToDo, match="newer"):
            approve(rig, old)
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED

    def test_one_for_the_other_side_or_another_security_does_not(self) -> None:
        rig, prices, _ = queued()
        prices.set("MSFT", "50", rig.clock.now())
        rig.feed(
            make_signal(now=rig.clock.now(), signal_id="short", side="SHORT", stop="52", targets=("46",)),
            make_signal("MSFT", now=rig.clock.now()),
        )
        assert len(rig.desk.pending()) == 3


class TestStillPending:
    def test_a_halt_refuses_and_lifts_again(self) -> None:
        rig, _, _ = queued()
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=TradingMode.HALTED, reason="news")
        with pytest.raises(RefusedError, match="HALTED: news") as error:
            approve(rig)
        assert "stays pending" in error.value.hint
        assert kept(rig).status is ApprovalStatus.PENDING
        with rig.store.transaction() as tx:
            tx.trading = TradingState()
        assert approve(rig).approval.status is ApprovalStatus.EXECUTED

    def test_a_missing_price_refuses(self) -> None:
        rig, prices, _ = queued()
        prices.quotes.clear()
        broker_account = rig.broker.account

        async def live() -> Any:
            return replace(await broker_account(), is_simulated=False)

        rig.broker.account = live
        with pytest.raises(RefusedError, match="no current price"):
            approve(rig)
        assert kept(rig).status is ApprovalStatus.PENDING
        assert rig.entries_at_venue() == []

    def test_a_failed_account_read_sends_nothing_and_stays_pending(self) -> None:
        rig, _, broker = queued()
        broker.has_account = False
        with pytest.raises(BrokerError):
            approve(rig)
        assert kept(rig).status is ApprovalStatus.PENDING
        assert rig.entries_at_venue() == []

    def test_a_position_opened_meanwhile_refuses(self) -> None:
        rig, _, _ = queued()
        first = waiting(rig)
        rig.feed(make_signal(now=rig.clock.now(), signal_id="second", side="SHORT", stop="52", targets=("46",)))
        approve(rig, first)
        with pytest.raises(RefusedError, match="already a position"):
            approve(rig)
        assert rig.at_venue() == {"AAPL": 15}

    def test_no_day_trade_left_refuses(self) -> None:
        rig, _, _ = queued()
        rig.feed(
            *(make_signal(s, now=rig.clock.now()) for s in ("A", "B", "C")),
        )
        for symbol in ("A", "B", "C"):
            (approval,) = (a for a in rig.desk.pending() if a.opportunity.signal.symbol == symbol)
            approve(rig, approval)
            rig.clock.advance(seconds=30)
            rig.close(symbol)
        with pytest.raises(RefusedError, match="No day trade is left"):
            approve(rig)
        assert waiting(rig).status is ApprovalStatus.PENDING

    def test_a_preview_changes_nothing(self) -> None:
        rig, prices, _ = queued()
        now_at(rig, prices, "49.40")
        before = (rig.store.generation, len(rig.store.events))
        preview = rig.run(rig.desk.preview(waiting(rig), Quantity(D(4))))
        assert preview.is_void
        assert (preview.price, preview.decision.sized.quantity) == (D("49.40"), 4)
        assert preview.day_trade_effect == "closed today it is day trade 1 of 3"
        assert (rig.store.generation, len(rig.store.events)) == before


class TestWhenSendingFails:
    def test_orders_that_could_not_be_sent_end_it_as_failed(self) -> None:
        rig, _, broker = queued()
        broker.fates.append(Fate.REFUSED)
        with pytest.raises(BrokerError, match="could not be sent: The broker is not connected"):
            approve(rig)
        assert kept(rig).status is ApprovalStatus.FAILED
        assert rig.entries_at_venue() == []

    def test_a_rejection_ends_it_as_failed(self) -> None:
        rig, _, broker = queued()
        broker.rejects = lambda _: True
        with pytest.raises(RefusedError, match="rejected by the exchange"):
            approve(rig)
        assert kept(rig).status is ApprovalStatus.FAILED
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED

    def test_an_unknown_outcome_is_settled_by_the_next_start(self) -> None:
        rig, _, broker = queued()
        broker.fates.append(Fate.LOST_AFTER)
        broker.is_silent = True
        answered = approve(rig)
        assert {record.status for record in answered.orders} == {OrderStatus.UNKNOWN}
        assert kept(rig).status is ApprovalStatus.APPROVED
        rig.restart()
        assert kept(rig).status is ApprovalStatus.EXECUTED
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.EXECUTED

    def test_an_unknown_outcome_is_settled_when_the_answer_comes_late(self) -> None:
        rig, _, broker = queued()
        broker.is_silent = True
        approve(rig)
        broker.is_silent = False
        rig.cycle()
        assert kept(rig).status is ApprovalStatus.EXECUTED

    def test_what_never_arrived_fails_it_and_the_signal_may_come_again(self) -> None:
        rig, _, broker = queued()
        broker.fates.append(Fate.LOST_BEFORE)
        approve(rig)
        rig.restart()
        assert kept(rig).status is ApprovalStatus.FAILED
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert report.outcome is SignalOutcome.QUEUED

    @pytest.mark.parametrize("step", range(1, 5))
    def test_dying_at_any_commit_leaves_one_entry_at_most_and_an_end(self, step: int) -> None:
        rig, _, _ = queued(store=FailingStore(Rig().store))
        approval = waiting(rig)
        rig.store.fail_at = rig.store.transactions + step
        died = True
        try:
            approve(rig, approval)
            died = False
        except StateError:
            pass
        rig.store.fail_at = None
        rig.restart()
        if kept(rig).status is ApprovalStatus.PENDING:
            approve(rig)
        assert kept(rig).status is ApprovalStatus.EXECUTED
        assert len(rig.entries_at_venue()) == 1
        assert rig.unprotected() == 0
        assert died or step > 3


class TestNo:
    def test_it_ends_with_who_and_why(self) -> None:
        rig, _, _ = queued()
        answered = rig.desk.reject(waiting(rig), reason="earnings", by="phone")
        assert (answered.approval.status, answered.approval.reason) == (ApprovalStatus.REJECTED, "earnings")
        assert kept(rig).decided_by == "phone"
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED
        assert [e.kind for e in rig.store.events][-1] == "approval_rejected"

    def test_a_rejected_signal_does_not_come_back(self) -> None:
        rig, _, _ = queued()
        rig.desk.reject(waiting(rig))
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert report.outcome is SignalOutcome.DUPLICATE


class TestFinding:
    def test_the_best_waits_first(self) -> None:
        rig, _, _ = queued(
            make_signal("WEAK", now=Rig().clock.now(), confidence="0.66"),
            make_signal("BEST", now=Rig().clock.now(), confidence="0.9"),
        )
        assert [a.opportunity.signal.symbol for a in rig.desk.pending()] == ["BEST", "WEAK"]

    def test_a_clear_end_of_the_id_is_enough(self) -> None:
        rig, _, _ = queued()
        approval = waiting(rig)
        assert rig.desk.find(approval.approval_id.lower()) == approval
        assert rig.desk.find(approval.approval_id[-6:]) == approval
        with pytest.raises(InputError, match="not known"):
            rig.desk.find(approval.approval_id[-3:])
        with pytest.raises(InputError, match="not known"):
            rig.desk.find("ABCDEF")

    def test_an_unclear_end_names_what_it_could_be(self) -> None:
        rig, _, _ = queued(
            make_signal("A", now=Rig().clock.now()),
            make_signal("B", now=Rig().clock.now()),
        )
        with pytest.raises(InputError, match="could be"):
            rig.desk.find("0000")


@pytest.mark.parametrize("quantity", [None, "4", "20"])
def test_the_journal_gives_the_decision_of_an_answer_again(quantity: str | None) -> None:
    rig, prices, _ = queued()
    now_at(rig, prices, "49.80")
    approve(rig, **({"quantity": quantity} if quantity else {}))
    events = [msgspec.json.decode(e.data, type=DecisionRecord) for e in rig.events("decided")]
    assert [e.decision.kind for e in events] == [DecisionKind.QUEUE, DecisionKind.EXECUTE]
    assert [decide_again(event) for event in events] == [event.decision for event in events]


@pytest.mark.parametrize(
    ("remaining", "used", "words"),
    [
        (None, 0, "not counted here"),
        (-1, 5, "unlimited: equity 30,000 is at or above 25,000"),
        (0, 3, "none left: 3 of 3 used, openings are refused"),
        (2, 1, "closed today it is day trade 2 of 3"),
    ],
)
def test_what_an_entry_means_for_the_day_trade_count(remaining: int | None, used: int, words: str) -> None:
    status = DayTradeStatus(regime=Regime.CLASSIC, used=used, remaining=remaining, limit=3)
    assert day_trade_effect(status, D(30000), Limits()) == words


def test_expiry_is_the_earlier_of_both() -> None:
    rig, _, _ = queued(make_signal(now=Rig().clock.now(), minutes=10))
    assert kept(rig).expires_at - rig.clock.now() == timedelta(minutes=10)
