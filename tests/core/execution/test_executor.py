from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.decision.plan import decide
from apex_cli.core.errors import BrokerError, StateError
from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import OrderSide
from kit import FixedClock
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import Rig, auto, make_signal
from kit.simple_ranker import SimpleRanker

D = Decimal
LIMIT_ENTRY = auto(entry_order=EntryOrder.LIMIT)


def unreliable(**settings: Any) -> tuple[Rig, UnreliableBroker]:
    rig = Rig(**settings)
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    return rig, broker


def own_entries() -> Limits:
    """Return limits by which each target has an entry of its own."""
    limits = auto()
    return replace(limits, execution=replace(limits.execution, one_entry=False))


def signal(rig: Rig, symbol: str = "AAPL", **changes: Any) -> Any:
    return make_signal(symbol, now=rig.clock.now(), **changes)


def statuses(rig: Rig) -> dict[str, OrderStatus]:
    return {r.order.client_order_id.rpartition("-")[2]: r.status for r in rig.orders()}


def alarms(rig: Rig) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.data) for event in rig.events("alarm")]


def codes(rig: Rig) -> list[str]:
    return [alarm["code"] for alarm in alarms(rig)]


W, F, C, U = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.UNKNOWN
LOST = "apex-00000000000000000000000009-C9"
"""An order of ours that the books do not have."""

NEVER, REJECTED = OrderStatus.NEVER_SENT, OrderStatus.REJECTED


class TestOpening:
    def test_entry_stop_and_target_leave_in_one_transmission(self) -> None:
        rig, broker = unreliable()
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.EXECUTED
        assert [[o.role for o in sent] for sent in broker.submitted] == [
            [OrderRole.ENTRY, OrderRole.STOP, OrderRole.TARGET]
        ]
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.unprotected() == 0

    def test_the_intent_is_on_disk_before_the_order_leaves(self) -> None:
        rig, broker = unreliable()
        seen: list[dict[str, OrderStatus]] = []

        def look(_: Any) -> bool:
            seen.append(statuses(rig))
            return False

        broker.rejects = look
        rig.feed(signal(rig))
        assert seen[0] == {"E": OrderStatus.INTENT, "S1": OrderStatus.INTENT, "T1": OrderStatus.INTENT}

    def test_nothing_is_sent_when_the_intent_cannot_be_written(self) -> None:
        rig, broker = unreliable(store=FailingStore(Rig().store))
        rig.cycle()
        rig.store.fail_at = rig.store.transactions + 1
        with pytest.raises(StateError):
            rig.feed(signal(rig))
        assert broker.submitted == []
        assert not rig.state.signals
        assert not rig.state.orders

    def test_several_targets_are_one_entry_with_exits_for_each(self) -> None:
        rig, broker = unreliable()
        rig.feed(signal(rig, targets=("55", "58", "60")))
        assert [[o.client_order_id.rpartition("-")[2] for o in sent] for sent in broker.submitted] == [
            ["E", "S1", "T1", "S2", "T2", "S3", "T3"]
        ]
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.most_that_exits_fill() == 15
        assert rig.unprotected() == 0

    def test_where_configured_several_targets_are_several_complete_brackets(self) -> None:
        rig, broker = unreliable(limits=own_entries())
        rig.feed(signal(rig, targets=("55", "58", "60")))
        assert [[o.client_order_id.rpartition("-")[2] for o in sent] for sent in broker.submitted] == [
            ["E1", "S1", "T1"],
            ["E2", "S2", "T2"],
            ["E3", "S3", "T3"],
        ]
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.most_that_exits_fill() == 15

    def test_after_a_tranche_that_failed_the_others_are_not_sent(self) -> None:
        rig, broker = unreliable(limits=own_entries())
        broker.fates.extend([Fate.TAKEN, Fate.LOST_AFTER])
        (report,) = rig.feed(signal(rig, targets=("55", "58", "60")))
        assert [sent[0].client_order_id[-2:] for sent in broker.submitted] == ["E1", "E2"]
        assert {r.status for r in rig.orders() if r.order.tranche == 3} == {NEVER}
        assert "order_never_sent" in {reason.code for reason in report.reasons}
        assert rig.at_venue() == {"AAPL": 10}
        assert rig.unprotected() == 0

    def test_a_part_that_was_sent_keeps_the_signal_taken(self) -> None:
        rig, broker = unreliable(limits=own_entries())
        broker.fates.extend([Fate.TAKEN, Fate.REFUSED])
        (report,) = rig.feed(signal(rig, targets=("55", "58", "60")))
        assert report.outcome is SignalOutcome.EXECUTED
        assert rig.state.signals["sig-AAPL"].bracket_id
        assert "2 of 3 parts" in alarms(rig)[0]["message"]
        (again,) = rig.feed(signal(rig, targets=("55", "58", "60")))
        assert again.outcome is SignalOutcome.DUPLICATE

    def test_the_same_decision_carried_out_twice_sends_once(self) -> None:
        rig, broker = unreliable()
        one = signal(rig)
        opportunity = SimpleRanker(rig.limits.risk).rank(one, ())
        snapshot = rig.run(rig.gatherer.snapshot(rig.state, opportunity))
        decision = decide(opportunity, snapshot, rig.limits)
        opening = rig.executor.write_down(opportunity, snapshot, decision)
        assert opening is not None
        rig.run(rig.executor.send((opening,)))
        assert len(rig.executor.records(opening)) == 3
        assert rig.executor.write_down(opportunity, snapshot, decision) is None
        assert len(broker.submitted) == 1

    def test_a_signal_whose_orders_were_never_sent_is_not_called_executed_and_may_come_again(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.REFUSED)
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.REFUSED
        assert {reason.code for reason in report.reasons} == {"order_never_sent"}
        assert statuses(rig) == {"E": NEVER, "S1": NEVER, "T1": NEVER}
        assert codes(rig) == ["never_sent"]
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.EXECUTED

    def test_a_signal_whose_entry_was_rejected_is_not_called_executed(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda _: True
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.REFUSED
        assert {reason.code for reason in report.reasons} == {"order_rejected"}
        assert "rejected by the exchange" in report.reasons[0].message
        assert rig.state.signals["sig-AAPL"].outcome is SignalOutcome.REFUSED

    def test_late_answers_are_booked_when_they_come(self) -> None:
        rig, broker = unreliable()
        broker.is_silent = True
        rig.feed(signal(rig))
        assert set(statuses(rig).values()) == {U}
        broker.is_silent = False
        rig.cycle()
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}

    def test_repeated_answers_change_nothing(self) -> None:
        rig, broker = unreliable()
        broker.repeats = 3
        rig.feed(signal(rig))
        rig.price("54")
        rig.cycle()
        assert len(rig.state.fills) == 2
        assert len(rig.state.round_trips) == 1
        assert not rig.state.positions


class TestRecovering:
    def test_what_the_venue_has_is_adopted(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_AFTER)
        broker.is_silent = True
        rig.feed(signal(rig))
        assert set(statuses(rig).values()) == {U}
        rig.run(rig.executor.recover())
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}
        assert rig.unprotected() == 0
        assert len(broker.submitted) == 1

    def test_what_the_venue_never_saw_is_closed_reported_and_may_be_decided_again(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_BEFORE)
        rig.feed(signal(rig))
        rig.run(rig.executor.recover())
        assert statuses(rig) == {"E": NEVER, "S1": NEVER, "T1": NEVER}
        assert codes(rig) == ["never_sent"]
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.EXECUTED
        assert rig.at_venue() == {"AAPL": 15}
        assert len(rig.entries_at_venue()) == 1

    def test_it_is_closed_too_where_the_clock_of_the_venue_is_behind_what_was_written_down(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_BEFORE)
        rig.feed(signal(rig))
        rig.clock.advance(minutes=-30)
        rig.run(rig.executor.recover())
        assert statuses(rig) == {"E": NEVER, "S1": NEVER, "T1": NEVER}

    def test_an_incomplete_answer_leaves_it_unknown_and_the_symbol_blocked(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_BEFORE)
        broker.has_snapshot = False
        rig.feed(signal(rig))
        (unknown, *_) = rig.run(rig.executor.recover())
        assert unknown.status is U
        (report,) = rig.feed(signal(rig, signal_id="another"))
        assert report.outcome is SignalOutcome.REFUSED
        assert "instrument_blocked" in {reason.code for reason in report.reasons}
        broker.has_snapshot = True
        rig.run(rig.executor.recover())
        assert set(statuses(rig).values()) == {NEVER}

    def test_a_running_loop_asks_again_about_what_is_unknown(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_AFTER)
        broker.is_silent = True
        rig.feed(signal(rig))
        rig.clock.advance(minutes=1)
        rig.cycle()
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}

    def test_it_does_not_ask_in_every_cycle(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_BEFORE)
        broker.has_snapshot = False
        rig.feed(signal(rig))
        asked = 0

        async def count() -> Any:
            nonlocal asked
            asked += 1
            return await rig.venue.snapshot()

        broker.snapshot = count  # type: ignore[method-assign]
        broker.has_snapshot = False
        for _ in range(10):
            rig.clock.advance(seconds=1)
            rig.cycle()
        assert asked <= 1

    def test_what_was_taken_for_never_sent_may_still_turn_up(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.REFUSED)
        rig.feed(signal(rig))
        entry = rig.order("-E").order
        rig.run(rig.venue.submit([rig.order("-E").order, rig.order("-S1").order, rig.order("-T1").order]))
        rig.cycle()
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}
        assert rig.state.positions["AAPL"].position.bracket_id == entry.bracket_id

    def test_a_held_quantity_without_a_stop_gets_one_and_an_alarm(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.client_order_id.endswith(("-S1", "-T1"))
        rig.feed(signal(rig))
        assert rig.unprotected() == 0
        assert rig.order("-S2").order.stop_price == 48
        assert codes(rig) == ["protection_restored"]
        rig.run(rig.venue.cancel(rig.order("-S2").order.client_order_id))
        rig.run(rig.executor.recover())
        rig.clock.advance(seconds=6)
        rig.run(rig.executor.recover())
        assert rig.unprotected() == 0
        assert codes(rig) == ["protection_restored"] * 2

    def test_a_restored_stop_never_rests_beside_a_target_of_its_own(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.client_order_id.endswith("-S1")
        rig.feed(signal(rig))
        broker.rejects = lambda _: False
        rig.run(rig.executor.recover())
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        rig.price("54")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_stop_missing_in_one_of_several_tranches_joins_its_target(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.client_order_id.endswith("-S2")
        rig.feed(signal(rig, targets=("55", "58", "60")))
        broker.rejects = lambda _: False
        rig.run(rig.executor.recover())
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        for price in ("55", "58", "60"):
            rig.price(price)
            rig.cycle()
            assert rig.most_that_exits_fill() == rig.at_venue().get("AAPL", 0)

    def test_a_rejected_stop_is_reported_and_not_tried_for_ever(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.role is OrderRole.STOP
        rig.feed(signal(rig))
        for _ in range(5):
            rig.clock.advance(minutes=1)
            rig.cycle()
        assert "unprotected" in codes(rig)
        assert "protection_restored" not in codes(rig)
        assert len([r for r in rig.orders() if r.order.role is OrderRole.STOP]) == 4, "the bracket's, and three tries"
        assert codes(rig) == ["unprotected", "stop_rejected"]

    def test_a_rejected_stop_is_tried_again_in_the_next_session(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.role is OrderRole.STOP
        rig.feed(signal(rig))
        broker.rejects = lambda _: False
        rig.cycle()
        assert rig.unprotected() == 15
        rig.clock.advance(minutes=24 * 60)
        rig.run(rig.executor.recover())
        assert rig.unprotected() == 0

    def test_a_stop_that_could_not_be_sent_is_tried_again_but_not_in_every_cycle(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.role is OrderRole.STOP
        broker.fates.extend([Fate.TAKEN, *[Fate.REFUSED] * 3])
        rig.feed(signal(rig))
        broker.rejects = lambda _: False
        for _ in range(10):
            rig.clock.advance(seconds=1)
            rig.cycle()
        assert len(broker.fates) >= 2
        for _ in range(5):
            rig.clock.advance(minutes=1)
            rig.cycle()
        assert rig.unprotected() == 0

    def test_unknown_exits_are_never_doubled_but_reported(self) -> None:
        rig, broker = unreliable()
        rig.feed(signal(rig))
        with rig.store.transaction() as tx:
            record = rig.order("-S1")
            tx.orders[record.order.client_order_id] = replace(record, status=U)
        broker.has_snapshot = False
        rig.run(rig.executor.recover())
        assert [r.order.client_order_id[-2:] for r in rig.orders() if r.order.role is OrderRole.STOP] == ["S1"]
        assert codes(rig) == ["unprotected"]

    def test_a_position_without_a_plan_is_reported_once_a_run(self) -> None:
        rig, _ = unreliable()
        outside = Fill(
            exec_id="X.01",
            client_order_id=LOST,
            instrument=make_instrument("MSFT"),
            side=OrderSide.BUY,
            quantity=Quantity(D(5)),
            price=Price(D(100)),
            filled_at=rig.clock.now(),
        )
        rig.broker._own.append(outside)
        for _ in range(4):
            rig.clock.advance(seconds=5)
            rig.cycle()
        assert codes(rig) == ["unprotected"]
        assert "MSFT" in alarms(rig)[0]["message"]

    def test_an_unreachable_venue_is_an_error_and_changes_nothing(self) -> None:
        rig, broker = unreliable()
        broker.fates.append(Fate.LOST_AFTER)
        broker.is_silent = True
        rig.feed(signal(rig))

        async def broken() -> Any:
            raise BrokerError("not_connected", "The broker is not connected.")

        broker.snapshot = broken  # type: ignore[method-assign]
        with pytest.raises(BrokerError):
            rig.run(rig.executor.recover())
        assert set(statuses(rig).values()) == {U}


class TestWhileTheLoopRuns:
    def test_a_stop_that_the_venue_takes_away_is_put_back(self) -> None:
        rig, _ = unreliable()
        rig.feed(signal(rig))
        rig.run(rig.venue.cancel(rig.order("-S1").order.client_order_id))
        rig.cycle()
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        assert "protection_restored" in codes(rig)

    def test_a_stop_that_is_taken_away_again_and_again_is_reported_and_put_back_without_haste(self) -> None:
        rig, _ = unreliable()
        rig.feed(signal(rig))
        for _ in range(20):
            stops = [name for name in rig.resting_at_venue() if "-S" in name]
            for name in stops:
                rig.run(rig.venue.cancel(name))
            rig.clock.advance(seconds=1)
            rig.cycle()
        assert len([r for r in rig.orders() if r.order.role is OrderRole.STOP]) <= 6
        assert {"protection_restored", "unprotected"} == set(codes(rig))
        for _ in range(6):
            rig.clock.advance(seconds=1)
            rig.cycle()
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15

    def test_exits_that_are_taken_away_for_a_close_are_not_put_back_meanwhile(self) -> None:
        rig, _ = unreliable()
        rig.feed(signal(rig))
        with rig.guard.hands_off("AAPL"):
            rig.run(rig.venue.cancel(rig.order("-S1").order.client_order_id))
            rig.cycle()
            assert rig.unprotected() == 15
        rig.cycle()
        assert rig.unprotected() == 0

    def test_a_stop_rejected_beside_its_filled_entry_is_put_back_at_once(self) -> None:
        rig, broker = unreliable()
        rejected: list[str] = []

        def once(order: Any) -> bool:
            if order.role is OrderRole.STOP and (not rejected or order.client_order_id in rejected):
                rejected.append(order.client_order_id)
                return True
            return False

        broker.rejects = once
        (report,) = rig.feed(signal(rig))
        assert report.outcome is SignalOutcome.EXECUTED
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15

    def test_an_entry_that_fills_in_parts_is_protected_part_by_part(self) -> None:
        rig, _ = unreliable(limits=LIMIT_ENTRY)
        rig.price("51")
        rig.feed(signal(rig))
        assert rig.at_venue() == {}
        for size, held in (("4", 4), ("5", 9), ("100", 15)):
            rig.price("50", size=size)
            rig.cycle()
            assert rig.at_venue() == {"AAPL": held}
            assert rig.unprotected() == 0
            assert rig.most_that_exits_fill() == held

    def test_a_position_closed_elsewhere_leaves_no_working_exit(self) -> None:
        rig, broker = unreliable()
        rig.feed(signal(rig))
        sale = Fill(
            exec_id="TWS.01",
            client_order_id=LOST,
            instrument=make_instrument("AAPL"),
            side=OrderSide.SELL,
            quantity=Quantity(D(15)),
            price=Price(D(51)),
            filled_at=rig.clock.advance(seconds=10),
        )
        broker._own.append(sale)
        rig.cycle()
        rig.cycle()
        assert not rig.state.positions
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason) == (15, "outside")

    def test_a_position_reduced_elsewhere_keeps_exits_for_the_rest(self) -> None:
        rig, broker = unreliable()
        rig.feed(signal(rig))
        sale = Fill(
            exec_id="TWS.01",
            client_order_id=LOST,
            instrument=make_instrument("AAPL"),
            side=OrderSide.SELL,
            quantity=Quantity(D(5)),
            price=Price(D(51)),
            filled_at=rig.clock.advance(seconds=10),
        )
        broker._own.append(sale)
        rig.cycle()
        rig.cycle()
        assert rig.most_that_exits_fill() == 10
        assert rig.unprotected() == 0

    def test_exits_are_left_alone_while_fills_are_missing(self) -> None:
        rig, broker = unreliable()
        broker.is_silent = True
        rig.feed(signal(rig))
        broker.is_silent = False
        events = broker.drain()
        broker._own.extend(e for e in events if isinstance(e, OrderUpdate))
        rig.cycle()
        assert statuses(rig) == {"E": F, "S1": W, "T1": W}
        assert not rig.state.positions
        rig.cycle()
        assert broker.asked_cancels == []
        broker._own.extend(e for e in events if isinstance(e, Fill))
        rig.cycle()
        assert rig.unprotected() == 0
        assert rig.resting_at_venue() == {r.order.client_order_id: 15 for r in rig.orders() if r.status is W}

    def test_events_whose_commit_failed_are_booked_by_the_next_one(self) -> None:
        rig, _ = unreliable(store=FailingStore(Rig().store))
        rig.feed(signal(rig))
        rig.price("54")
        rig.store.fail_at = rig.store.transactions + 1
        with pytest.raises(StateError):
            rig.execution.orders.sync()
        assert rig.state.positions
        assert rig.execution.orders.sync()
        assert not rig.state.positions
        assert len(rig.state.round_trips) == 1


class TestShorts:
    def test_a_short_is_protected_by_a_buying_stop(self) -> None:
        rig, broker = unreliable()
        broker.rejects = lambda order: order.role is OrderRole.STOP
        rig.feed(signal(rig, side="SHORT", stop="52", targets=("46",)))
        broker.rejects = lambda _: False
        rig.clock.advance(minutes=24 * 60)
        rig.run(rig.executor.recover())
        stop = rig.order("-S3").order if any(r.order.client_order_id.endswith("-S3") for r in rig.orders()) else None
        stop = stop or rig.order("-S2").order
        assert (stop.side, stop.stop_price, stop.quantity) == (OrderSide.BUY, 52, 15)
        assert rig.at_venue() == {"AAPL": -15}
        assert rig.unprotected() == 0
        rig.price("53")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason) == (-45, "stop")


def test_after_a_restart_with_durable_books_everything_is_as_before(tmp_path: Path) -> None:
    rig = Rig(path=tmp_path / "book.json", clock=FixedClock(), limits=auto(RiskLimits()))
    rig.feed(signal(rig))
    before = (dict(rig.state.positions), dict(rig.state.fills), dict(rig.state.orders))
    rig.restart()
    assert (dict(rig.state.positions), dict(rig.state.fills), dict(rig.state.orders)) == before
    (report,) = rig.feed(signal(rig))
    assert report.outcome is SignalOutcome.DUPLICATE
    assert rig.events("alarm") == []
