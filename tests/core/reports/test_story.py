from __future__ import annotations

from decimal import Decimal
from typing import Any

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.records import ApprovalStatus, SignalOutcome
from apex_cli.core.model.side import OrderSide
from apex_cli.core.reports.story import Story, find_subjects, story_of
from kit.faults import UnreliableBroker
from kit.rig import Rig, make_signal, manual

D = Decimal


def story(rig: Rig, subject: str = "sig-AAPL") -> Story:
    by_number = {event.seq: event for event in rig.store.events}
    return story_of(subject, [event for event in rig.store.events if event.subject == subject], by_number.get)


def test_from_the_signal_to_the_result() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    rig.price("54")
    rig.cycle()
    reported = story(rig)
    assert [event.decision.kind for event in reported.decisions] == ["execute"]
    assert [fill.price for fill in reported.fills] == [50, 54]
    assert {o.order.client_order_id[-2:]: o.status for o in reported.orders} == {
        "-E": OrderStatus.FILLED,
        "S1": OrderStatus.CANCELLED,
        "T1": OrderStatus.FILLED,
    }
    assert [trip.pnl for trip in reported.round_trips] == [60]


def test_checks_that_passed_report_their_numbers() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    (checks,) = story(rig).checks
    assert all(check.passed for check in checks)
    assert all(check.limit for check in checks if check.code == "reward_risk_min")


def test_an_approval_is_reported_with_every_step_and_the_size_a_person_chose() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now()))
    (approval,) = rig.desk.pending()
    rig.run(rig.desk.approve(approval, quantity=D(4)))
    reported = story(rig)
    assert [a.status for a in reported.approvals] == [
        ApprovalStatus.PENDING,
        ApprovalStatus.APPROVED,
        ApprovalStatus.EXECUTED,
    ]
    (size,) = [check for check in reported.checks[-1] if check.code == "size"]
    assert size.value == "4 shares"


def test_a_signal_that_never_came_to_a_decision() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now(), minutes=-1))
    reported = story(rig)
    assert [ended.outcome for ended in reported.ended] == [SignalOutcome.EXPIRED]
    assert not reported.decisions


def test_a_corrected_fill_is_reported_once_as_it_is_now() -> None:
    rig = Rig()
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    rig.feed(make_signal(now=rig.clock.now()))
    rig.price("54")
    rig.cycle()
    (entry, _) = rig.state.fills.values()
    from msgspec.structs import replace

    broker._own.append(replace(entry, exec_id=f"{entry.key}.02", price=Price(D("50.20"))))
    rig.cycle()
    reported = story(rig)
    assert [fill.price for fill in reported.fills] == [D("50.20"), 54]
    assert [trip.pnl for trip in reported.round_trips] == [57]


def test_a_round_trip_that_a_late_fill_undid_is_not_reported() -> None:
    rig = Rig()
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    rig.feed(make_signal(now=rig.clock.now()))
    rig.clock.advance(minutes=2)
    rig.price("54")
    rig.cycle()
    assert len(story(rig).round_trips) == 1
    entry = next(iter(rig.state.fills.values()))
    before = Fill(
        exec_id="TWS.01",
        client_order_id="apex-00000000000000000000000009-C9",
        instrument=entry.instrument,
        side=OrderSide.SELL,
        quantity=entry.quantity,
        price=Price(D(51)),
        filled_at=entry.filled_at.replace(hour=14, minute=40),
    )
    broker._own.append(before)
    rig.cycle()
    assert story(rig).round_trips == ()


def test_every_id_leads_to_its_signal() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now()))
    (approval,) = rig.desk.pending()
    answered = rig.run(rig.desk.approve(approval))
    events: list[Any] = rig.store.events
    order = answered.orders[0].order
    for identity in ("sig-AAPL", approval.approval_id, order.bracket_id, order.client_order_id, "AAPL"):
        assert find_subjects(events, identity) == ("sig-AAPL",), identity
    assert find_subjects(events, "nobody") == ()
    assert find_subjects(events, "") == ()
