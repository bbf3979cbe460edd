from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from apex_cli.core.errors import BrokerError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.management import ManagementLimits, ManagementPlan, MaxHolding, ScaleOut, TrailingStop
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.records import TradingState
from kit import FixedClock
from kit.faults import Fate, UnreliableBroker
from kit.rig import Prices, Rig, auto, make_signal

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
TRAIL = ManagementLimits(trailing=TrailingStop(activate_at_r=D(1), distance_r=D("0.5")))
"""Entry 50, stop 48: 1 R is 2.00, so from 52 on the stop follows 1.00 behind."""

EVEN = ManagementLimits(breakeven_at_r=D(1))


def ny(text: str) -> datetime:
    """Return a New York time of November 2026: ``11-27 12:30``."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)


def managed(management: ManagementLimits, *, start: str | None = None, **changes: Any) -> Rig:
    """Return a rig that holds 15 AAPL bought at 50 with a stop at 48."""
    clock = FixedClock(ny(start)) if start else None
    rig = Rig(limits=auto(management=management), prices=Prices(), clock=clock)
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    at(rig, "50", minutes=0)
    rig.feed(make_signal(now=rig.clock.now(), **changes))
    assert rig.at_venue()
    return rig


def at(rig: Rig, price: str, *, minutes: float = 1) -> None:
    """Let a minute pass, the market meet *price*, and the loop turn once."""
    rig.clock.advance(minutes=minutes)
    rig.price(price)
    rig.prices.set("AAPL", price, rig.clock.now())
    rig.cycle()


def stops(rig: Rig) -> dict[str, tuple[OrderType, Decimal | None]]:
    """Return kind and trigger of every working stop."""
    return {
        r.order.client_order_id.rpartition("-")[2]: (r.order.order_type, r.order.stop_price)
        for r in rig.orders()
        if r.status is OrderStatus.WORKING and r.order.stop_price is not None
    }


def reported(rig: Rig, kind: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.data) for event in rig.events(kind)]


class TestTrailing:
    def test_it_begins_at_one_r_follows_the_price_and_fills(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        at(rig, "51.99")
        assert stops(rig) == {"S1": (OrderType.STOP, D(48))}
        at(rig, "52")
        assert stops(rig) == {"S2": (OrderType.TRAIL, D(51))}
        assert rig.order("-S1").status is OrderStatus.CANCELLED
        at(rig, "55.30")
        assert stops(rig) == {"S2": (OrderType.TRAIL, D("54.30"))}
        at(rig, "54.31")
        assert stops(rig) == {"S2": (OrderType.TRAIL, D("54.30"))}
        at(rig, "54.30")
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.exit_reason, trip.exit_price, trip.pnl) == ("trail", D("54.30"), D("64.50"))

    def test_each_step_is_reported_once(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        for price in ("52", "52.50", "53", "52.60"):
            at(rig, price)
        (started,), (replaced,) = reported(rig, "trail_started"), reported(rig, "stop_replaced")
        assert (started["stop_price"], started["trail_amount"], started["r_multiple"]) == ("51.0", "1.0", "1")
        assert (replaced["client_order_id"][-2:], replaced["replaced_by"][-2:]) == ("S1", "S2")
        assert len(rig.broker.asked_cancels) == 1
        assert not rig.events("alarm")

    def test_the_target_stays_the_alternative(self) -> None:
        rig = managed(TRAIL, targets=("55",))
        at(rig, "52")
        at(rig, "55")
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert trip.exit_reason == "target"

    def test_every_tranche_gets_its_own(self) -> None:
        rig = managed(TRAIL, targets=("56", "60"))
        at(rig, "52")
        assert stops(rig) == {"S3": (OrderType.TRAIL, D(51)), "S4": (OrderType.TRAIL, D(51))}
        assert rig.most_that_exits_fill() == 15
        at(rig, "56")
        assert rig.at_venue() == {"AAPL": 7}
        at(rig, "55")
        assert rig.at_venue() == {}

    def test_a_short_is_followed_down(self) -> None:
        rig = managed(TRAIL, side="SHORT", stop="52", targets=("40",))
        at(rig, "47")
        assert stops(rig) == {"S2": (OrderType.TRAIL, D(48))}
        at(rig, "45")
        at(rig, "46")
        (trip,) = rig.state.round_trips.values()
        assert (trip.exit_price, trip.exit_reason) == (46, "trail")

    def test_a_refused_one_leaves_the_stop_which_is_then_moved_by_hand(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        rig.broker.rejects = lambda order: order.order_type is OrderType.TRAIL
        at(rig, "52")
        assert stops(rig) == {"S1": (OrderType.STOP, D(48))}
        assert reported(rig, "alarm")[0]["code"] == "trail_not_placed"
        at(rig, "53")
        assert stops(rig) == {"S1": (OrderType.STOP, D(52))}
        at(rig, "52.50")
        assert stops(rig) == {"S1": (OrderType.STOP, D(52))}
        assert [event["why"] for event in reported(rig, "stop_moved")] == ["trail"]

    @pytest.mark.parametrize("fate", [Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.REFUSED])
    def test_one_of_unknown_fate_never_leaves_the_position_bare(self, fate: Fate) -> None:
        rig = managed(TRAIL, targets=("60",))
        rig.broker.fates.append(fate)
        at(rig, "52")
        assert rig.unprotected() == 0
        for _ in range(3):
            at(rig, "52")
            rig.run(rig.executor.recover())
            assert rig.unprotected() == 0
            assert rig.most_that_exits_fill() == 15
        assert [kind for kind, _ in stops(rig).values()] == [OrderType.TRAIL]

    def test_the_old_stop_that_is_not_cancelled_is_reported_and_asked_again(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        rig.broker.loses_cancels = True
        at(rig, "52")
        assert len(stops(rig)) == 2
        assert rig.most_that_exits_fill() == 15
        assert reported(rig, "alarm")[0]["code"] == "stop_not_cancelled"
        rig.broker.loses_cancels = False
        at(rig, "52")
        assert stops(rig) == {"S2": (OrderType.TRAIL, D(51))}

    def test_a_stop_that_guard_puts_back_is_no_looser_than_the_trail_was(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        at(rig, "52")
        at(rig, "55")
        name = rig.order("-S2").order.client_order_id
        rig.venue._keep(rig.venue._engine.cancel(name, rig.clock.now()))
        rig.prices = None
        rig.gatherer._prices = None  # nobody reports a price: only Guard acts
        rig.clock.advance(minutes=1)
        rig.cycle()
        rig.cycle()
        assert stops(rig) == {"S3": (OrderType.STOP, D(54))}
        assert rig.unprotected() == 0

    def test_a_part_closed_by_hand_shrinks_it_and_keeps_its_trigger(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        at(rig, "52")
        at(rig, "55")
        rig.close(fraction="0.4")
        assert rig.at_venue() == {"AAPL": 9}
        assert stops(rig) == {"S2": (OrderType.TRAIL, D(54))}
        assert rig.most_that_exits_fill() == 9

    def test_without_a_price_nothing_is_moved(self) -> None:
        rig = managed(TRAIL, targets=("60",))
        rig.prices.quotes.clear()
        rig.price("55")
        rig.cycle()
        assert stops(rig) == {"S1": (OrderType.STOP, D(48))}

    def test_what_is_left_of_the_entry_is_cancelled_before_its_stop_is_moved(self) -> None:
        limits = auto(entry_order=EntryOrder.LIMIT, management=TRAIL)
        rig = Rig(limits=limits, prices=Prices())
        at(rig, "51")
        rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        rig.price("50", size="4")
        at(rig, "51.99")
        assert rig.order("-E").status is OrderStatus.WORKING
        at(rig, "52")
        assert rig.order("-E").status is OrderStatus.CANCELLED
        assert stops(rig) == {"S2": (OrderType.TRAIL, D(51))}
        assert rig.order("-S2").order.quantity == 4
        assert rig.most_that_exits_fill() == 4
        at(rig, "51")
        assert rig.at_venue() == {}


class TestBreakeven:
    def test_the_stop_goes_to_the_entry_once(self) -> None:
        rig = managed(EVEN, targets=("60",))
        for price in ("51.99", "52", "53", "51", "52"):
            at(rig, price)
        assert stops(rig) == {"S1": (OrderType.STOP, D(50))}
        (moved,) = reported(rig, "stop_moved")
        assert (moved["from_price"], moved["to_price"], moved["why"], moved["price"]) == ("48", "50", "breakeven", "52")
        at(rig, "50")
        (trip,) = rig.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason) == (0, "stop")

    def test_a_strategy_has_its_own_rule(self) -> None:
        plans = {"breakout": ManagementPlan(breakeven_at_r=D(2))}
        rig = managed(ManagementLimits(breakeven_at_r=D(1), strategies=plans), targets=("60",))
        at(rig, "53")
        assert stops(rig) == {"S1": (OrderType.STOP, D(48))}
        at(rig, "54")
        assert stops(rig) == {"S1": (OrderType.STOP, D(50))}

    def test_halted_still_lets_a_stop_be_tightened(self) -> None:
        rig = managed(EVEN, targets=("60",))
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=TradingMode.HALTED)
        at(rig, "52")
        assert stops(rig) == {"S1": (OrderType.STOP, D(50))}

    def test_a_change_that_is_not_confirmed_is_reported_and_asked_again_later(self) -> None:
        rig = managed(EVEN, targets=("60",))
        modify, asked = rig.broker.modify, []

        async def lost(order: Any) -> None:
            asked.append(order)

        rig.broker.modify = lost
        at(rig, "52", minutes=0)
        at(rig, "52", minutes=0.1)
        assert len(asked) == 1
        assert reported(rig, "alarm")[0]["code"] == "stop_not_moved"
        rig.broker.modify = modify
        at(rig, "52")
        assert stops(rig) == {"S1": (OrderType.STOP, D(50))}

    def test_a_position_without_a_plan_is_left_alone(self) -> None:
        rig = managed(EVEN, targets=("60",))
        with rig.store.transaction() as tx:
            tx.brackets.clear()
        at(rig, "53")
        assert stops(rig) == {"S1": (OrderType.STOP, D(48))}


class TestScaleOut:
    def test_a_part_at_the_first_target_and_break_even_for_the_rest(self) -> None:
        plan = ManagementLimits(
            scale_out=ScaleOut(targets_r=(D(1), D(4)), fractions=(D("0.4"), D("0.3"))), breakeven_after_target=1
        )
        rig = managed(plan, targets=())
        assert {r.order.limit_price: r.order.quantity for r in rig.orders() if r.order.role is OrderRole.TARGET} == {
            52: 6,
            58: 4,
        }
        at(rig, "51.50")
        assert {trigger for _, trigger in stops(rig).values()} == {48}
        at(rig, "52")
        assert rig.at_venue() == {"AAPL": 9}
        assert stops(rig) == {"S2": (OrderType.STOP, D(50)), "S3": (OrderType.STOP, D(50))}
        assert [event["why"] for event in reported(rig, "stop_moved")] == ["target", "target"]
        at(rig, "58")
        assert rig.at_venue() == {"AAPL": 5}
        assert rig.most_that_exits_fill() == 5
        at(rig, "50")
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        # 6 * 2 + 4 * 8 + 5 * 0 = 44
        assert (trip.pnl, trip.quantity) == (44, 15)

    def test_the_signals_own_targets_win_unless_overridden(self) -> None:
        for override, prices in ((False, {54}), (True, {56, 58})):
            wanted = ScaleOut(targets_r=(D(3), D(4)), override=override)
            rig = managed(ManagementLimits(scale_out=wanted))
            assert {r.order.limit_price for r in rig.orders() if r.order.role is OrderRole.TARGET} == prices

    def test_a_partial_fill_of_a_target_moves_nothing_else(self) -> None:
        rig = managed(ManagementLimits(breakeven_after_target=1), targets=("54", "58"))
        rig.price("54", size="3")
        rig.clock.advance(minutes=1)
        rig.prices.set("AAPL", "54", rig.clock.now())
        rig.cycle()
        assert rig.at_venue() == {"AAPL": 12}
        assert {trigger for _, trigger in stops(rig).values()} == {48}
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 12


class TestTime:
    """Thanksgiving is Thursday, 26 November 2026; Friday the 27th closes at 13:00."""

    def test_a_position_is_closed_at_the_opening_after_its_sessions(self) -> None:
        rig = managed(ManagementLimits(max_holding=MaxHolding(sessions=2)), start="11-25 15:50")
        for moment in ("11-26 12:00", "11-27 09:30", "11-27 12:59", "11-28 12:00", "11-30 09:29"):
            rig.clock.set(ny(moment))
            at(rig, "51", minutes=0)
            assert rig.at_venue() == {"AAPL": 15}, moment
        rig.clock.set(ny("11-30 09:30"))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.exit_reason, trip.pnl) == ("time_exit", 15)
        (event,) = reported(rig, "time_exit")
        assert (event["quantity"], event["exit_price"]) == ("15", "51")
        assert event["due"] == "2026-11-30T14:30:00Z"

    def test_minutes_count_only_while_the_market_is_open(self) -> None:
        rig = managed(ManagementLimits(max_holding=MaxHolding(minutes=60)), start="11-27 12:30")
        for moment in ("11-27 12:59", "11-27 14:00", "11-30 09:59"):
            rig.clock.set(ny(moment))
            at(rig, "51", minutes=0)
            assert rig.at_venue() == {"AAPL": 15}, moment
        rig.clock.set(ny("11-30 10:00"))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {}

    @pytest.mark.parametrize(
        ("start", "before", "due"),
        [("11-23 10:00", "11-23 15:54", "11-23 15:55"), ("11-27 10:00", "11-27 12:54", "11-27 12:55")],
    )
    def test_flat_before_the_close_on_half_days_too(self, start: str, before: str, due: str) -> None:
        rig = managed(ManagementLimits(flat_at_close=5), start=start)
        rig.clock.set(ny(before))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {"AAPL": 15}
        rig.clock.set(ny(due))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert trip.exit_reason == "end_of_day"
        at(rig, "51")
        assert len(reported(rig, "end_of_day")) == 1

    def test_the_rest_of_an_entry_goes_with_it(self) -> None:
        limits = auto(entry_order=EntryOrder.LIMIT, management=ManagementLimits(flat_at_close=5))
        rig = Rig(limits=limits, prices=Prices(), clock=FixedClock(ny("11-23 15:00")))
        at(rig, "51")
        rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        rig.price("50", size="4")
        rig.clock.set(ny("11-23 15:55"))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {}
        rig.price("49")
        rig.cycle()
        assert rig.at_venue() == {}

    def test_an_entry_that_still_rests_is_cancelled_for_the_day(self) -> None:
        limits = auto(entry_order=EntryOrder.LIMIT, management=ManagementLimits(flat_at_close=5))
        rig = Rig(limits=limits, prices=Prices(), clock=FixedClock(ny("11-23 15:00")))
        at(rig, "51")
        rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        rig.clock.set(ny("11-23 15:54"))
        at(rig, "51", minutes=0)
        assert rig.order("-E").status is OrderStatus.WORKING
        at(rig, "51")
        assert rig.order("-E").status is OrderStatus.CANCELLED
        at(rig, "50", minutes=0.5)
        assert rig.at_venue() == {}

    def test_nothing_is_opened_that_would_be_closed_at_once(self) -> None:
        rig = Rig(limits=auto(management=ManagementLimits(flat_at_close=5)), clock=FixedClock(ny("11-23 15:55")))
        (report,) = rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        (reason,) = report.reasons
        assert (reason.code, reason.limit, reason.value) == ("flat_at_close", "before 15:55", "15:55")

    @pytest.mark.parametrize(("mode", "held"), [(TradingMode.HALTED, {"AAPL": 15}), (TradingMode.REDUCING, {})])
    def test_halted_lets_it_wait_and_reducing_lets_it_go(self, mode: TradingMode, held: dict[str, int]) -> None:
        rig = managed(ManagementLimits(flat_at_close=5), start="11-23 15:00")
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=mode)
        rig.clock.set(ny("11-23 15:55"))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == held
        with rig.store.transaction() as tx:
            tx.trading = TradingState()
        at(rig, "51")
        assert rig.at_venue() == {}
        assert not reported(rig, "alarm")

    def test_a_close_that_is_rejected_is_reported_and_tried_again_after_a_pause(self) -> None:
        rig = managed(ManagementLimits(flat_at_close=30), start="11-23 15:00")
        rig.broker.rejects = lambda order: order.role is OrderRole.CLOSE
        rig.clock.set(ny("11-23 15:30"))
        at(rig, "51", minutes=0)
        at(rig, "51", minutes=0.2)
        assert len([r for r in rig.orders() if r.order.role is OrderRole.CLOSE]) == 1
        assert [alarm["code"] for alarm in reported(rig, "alarm") if "end_of_day" in alarm["code"]] == [
            "end_of_day_failed"
        ]
        assert rig.unprotected() == 0
        rig.broker.rejects = lambda _: False
        at(rig, "51")
        assert rig.at_venue() == {}

    def test_a_limit_close_gives_way_to_it(self) -> None:
        rig = managed(ManagementLimits(flat_at_close=5), start="11-23 15:00")
        rig.close(limit_price="53")
        rig.clock.set(ny("11-23 15:56"))
        at(rig, "51", minutes=0)
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_after_a_restart_it_is_closed_once(self) -> None:
        rig = managed(ManagementLimits(flat_at_close=5), start="11-23 15:00")
        rig.restart()
        rig.clock.set(ny("11-23 15:57"))
        at(rig, "51", minutes=0)
        rig.restart()
        at(rig, "51")
        assert len([r for r in rig.orders() if r.order.role is OrderRole.CLOSE]) == 1
        assert rig.at_venue() == {}


class TestTrouble:
    def test_what_is_being_closed_is_left_alone(self) -> None:
        plan = ManagementLimits(breakeven_at_r=D(1), max_holding=MaxHolding(minutes=2))
        rig = managed(plan, targets=("60",))
        with rig.guard.hands_off("AAPL"):
            at(rig, "52", minutes=5)
            assert stops(rig) == {"S1": (OrderType.STOP, D(48))}
        assert not rig.events("alarm")
        at(rig, "52")
        assert rig.at_venue() == {}

    def test_an_entry_that_cannot_be_cancelled_keeps_the_stop_where_it_is(self) -> None:
        rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT, management=EVEN), prices=Prices())
        rig.use(UnreliableBroker(rig.venue, rig.clock))
        at(rig, "51")
        rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        rig.price("50", size="4")
        rig.broker.loses_cancels = True
        at(rig, "52")
        assert stops(rig)["S1"] == (OrderType.STOP, D(48))
        assert reported(rig, "alarm")[0]["code"] == "entry_not_cancelled"
        rig.broker.loses_cancels = False
        at(rig, "52")
        assert stops(rig) == {"S1": (OrderType.STOP, D(50))}
        assert rig.at_venue() == {"AAPL": 4}

    @pytest.mark.parametrize("request_", ["cancel", "modify"])
    def test_a_broker_that_is_out_of_reach_is_reported_and_asked_again(self, request_: str) -> None:
        rig = managed(EVEN if request_ == "modify" else TRAIL, targets=("60",))
        works = getattr(rig.broker, request_)

        async def fails(_: Any) -> None:
            raise BrokerError("not_connected", "The broker is not connected.")

        setattr(rig.broker, request_, fails)
        at(rig, "52")
        (alarm,) = reported(rig, "alarm")
        assert alarm["message"].endswith("The broker is not connected.")
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        setattr(rig.broker, request_, works)
        at(rig, "52")
        assert {trigger for _, trigger in stops(rig).values()} == {D(50) if request_ == "modify" else D(51)}

    def test_a_late_entry_that_cannot_be_cancelled_is_reported(self) -> None:
        limits = auto(entry_order=EntryOrder.LIMIT, management=ManagementLimits(flat_at_close=5))
        rig = Rig(limits=limits, prices=Prices(), clock=FixedClock(ny("11-23 15:00")))
        rig.use(UnreliableBroker(rig.venue, rig.clock))
        at(rig, "51")
        rig.feed(make_signal(now=rig.clock.now(), targets=("60",)))
        works = rig.broker.cancel

        async def fails(_: Any) -> None:
            raise BrokerError("not_connected", "The broker is not connected.")

        rig.broker.cancel = fails
        rig.clock.set(ny("11-23 15:55"))
        at(rig, "51", minutes=0)
        at(rig, "51", minutes=0.1)
        (alarm,) = reported(rig, "alarm")
        assert alarm["code"] == "entry_not_cancelled"
        rig.broker.cancel = works
        at(rig, "51")
        assert rig.order("-E").status is OrderStatus.CANCELLED

    def test_a_target_that_the_broker_refuses_is_reported_and_not_sent_again(self) -> None:
        rig = managed(ManagementLimits(), targets=("60",))
        rig.close(limit_price="55")
        rig.broker.rejects = lambda order: order.role is OrderRole.TARGET
        for _ in range(3):
            at(rig, "51", minutes=24 * 60)
        assert [alarm["code"] for alarm in reported(rig, "alarm")] == ["target_not_restored"]
        assert rig.unprotected() == 0


def test_nothing_is_asked_of_the_broker_when_nothing_is_configured() -> None:
    rig = managed(ManagementLimits(), targets=("60",))
    sent = len(rig.broker.submitted)
    for price in ("55", "59", "51"):
        at(rig, price, minutes=500)
    assert len(rig.broker.submitted) == sent
    assert rig.broker.asked_cancels == []
