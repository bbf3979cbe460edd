from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.management.stops import (
    DropStop,
    EndEntries,
    MoveStop,
    StartTrail,
    StopChange,
    breakeven_level,
    gain_of,
    stop_changes,
    trail_amount,
)
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.management import ManagementLimits, ManagementPlan, ScaleOut, TrailingStop
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from kit import START

D = Decimal
AAPL = make_instrument("AAPL")
W = OrderStatus.WORKING
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
TRAIL = ManagementPlan(trailing=TrailingStop(activate_at_r=D(1), distance_r=D("0.5")))
EVEN = ManagementPlan(breakeven_at_r=D(1))


def price(text: Any) -> Price:
    return Price(D(text))


def held(entry: str = "50", side: PositionSide = LONG, instrument: Instrument = AAPL) -> Position:
    """Return 10 units at *entry*."""
    return Position(
        instrument=instrument,
        side=side,
        quantity=Quantity(D(10)),
        entry_price=price(entry),
        entry_time=START,
        bracket_id="b",
        opened_quantity=Quantity(D(10)),
        opened_value=D(entry) * 10,
    )


def bracket(position: Position, risk: str = "2") -> BracketRecord:
    """Return the plan of *position*: *risk* is what one unit loses at the first stop."""
    sign = position.side.sign
    return BracketRecord(
        bracket_id="b",
        signal_id="sig",
        instrument=position.instrument,
        side=OrderSide.BUY if sign > 0 else OrderSide.SELL,
        quantity=position.quantity,
        entry_price=position.entry_price,
        stop_price=Price(position.entry_price - sign * D(risk) / position.instrument.multiplier),
        risk_per_unit=Usd(D(risk)),
        created_at=START,
    )


def leg(name: str, position: Position, *, status: OrderStatus = W, filled: str = "0", **terms: Any) -> OrderRecord:
    """Return an exit of *position*: a stop ``S1``, a target ``T1``, a close ``C1``, an entry ``E``."""
    role = {"S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE, "E": OrderRole.ENTRY}[name[0]]
    exit_side = OrderSide.SELL if position.side is LONG else OrderSide.BUY
    kind = {"S": OrderType.STOP, "C": OrderType.MARKET}.get(name[0], OrderType.LIMIT)
    order = Order(
        client_order_id=f"apex-b-{name}",
        bracket_id="b",
        role=role,
        instrument=position.instrument,
        side=exit_side.opposite if name[0] == "E" else exit_side,
        order_type=kind,
        quantity=Quantity(D(10)),
        time_in_force=TimeInForce.GTC,
        oca_group="g1" if name[0] in "ST" else None,
    )
    return OrderRecord(
        order=replace(order, **terms),
        status=status,
        filled_quantity=Quantity(D(filled)),
        created_at=START,
        updated_at=START,
    )


def stop_at(trigger: str, position: Position, name: str = "S1", **terms: Any) -> OrderRecord:
    return leg(name, position, stop_price=price(trigger), **terms)


def trail_at(trigger: str, position: Position, name: str = "S2", **terms: Any) -> OrderRecord:
    return stop_at(trigger, position, name, order_type=OrderType.TRAIL, trail_amount=price(1), **terms)


def changes(
    plan: ManagementPlan, at: str, *orders: OrderRecord, position: Position | None = None, risk: str = "2"
) -> tuple[StopChange, ...]:
    position = position or held()
    return stop_changes(position, bracket(position, risk), orders or (stop_at("48", position),), plan, price(at))


class TestGain:
    def test_one_r_is_the_risk_of_one_unit(self) -> None:
        gain = gain_of(held(), bracket(held()), price("53"))
        assert (gain.distance, gain.unit, gain.r_multiple) == (3, 2, D("1.5"))

    def test_a_short_gains_as_the_price_falls(self) -> None:
        position = held(side=SHORT)
        assert gain_of(position, bracket(position), price("47")).r_multiple == D("1.5")

    def test_an_option_counts_in_its_price_not_in_its_multiplier(self) -> None:
        option = held("2.00", instrument=make_instrument("AAPL", MarketType.OPTIONS))
        gain = gain_of(option, bracket(option, "50"), price("2.75"))
        # 50 USD a contract of 100 is 0.50 in price; 0.75 / 0.50 = 1.5 R
        assert (gain.unit, gain.r_multiple) == (D("0.5"), D("1.5"))


class TestBreakeven:
    def test_the_stop_goes_to_the_entry_at_one_r_and_not_before(self) -> None:
        assert changes(EVEN, "51.99") == ()
        (move,) = changes(EVEN, "52")
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.from_price, move.why) == (50, 48, "breakeven")
        assert move.order.client_order_id == "apex-b-S1"

    def test_the_offset_is_in_r(self) -> None:
        # 50 + 0.1 * 2.00 = 50.20
        (move,) = changes(ManagementPlan(breakeven_at_r=D(1), breakeven_offset_r=D("0.1")), "52")
        assert isinstance(move, MoveStop)
        assert move.order.stop_price == D("50.20")

    def test_an_uneven_mean_entry_goes_to_the_tick_nearer_to_the_price(self) -> None:
        gain = gain_of(held("50.003"), bracket(held("50.003")), price("53"))
        assert breakeven_level(held("50.003"), EVEN, gain.unit) == D("50.01")
        assert breakeven_level(held("50.003", SHORT), EVEN, gain.unit) == D("50.00")

    def test_a_stop_with_a_limit_keeps_it_as_far_beyond_and_never_becomes_a_trailing_one(self) -> None:
        stop = stop_at("48", held(), order_type=OrderType.STOP_LIMIT, limit_price=price("47.50"))
        (move,) = changes(EVEN, "52", stop)
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.order.limit_price) == (50, D("49.50"))
        (move,) = changes(TRAIL, "52", stop)
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.order.limit_price, move.why) == (51, D("50.50"), "trail")

    def test_a_short_moves_down(self) -> None:
        position = held(side=SHORT)
        (move,) = changes(EVEN, "48", stop_at("52", position), position=position)
        assert isinstance(move, MoveStop)
        assert move.order.stop_price == 50

    @pytest.mark.parametrize("trigger", ["50", "50.50"])
    def test_a_stop_that_stands_there_or_better_stays(self, trigger: str) -> None:
        assert changes(EVEN, "53", stop_at(trigger, held())) == ()

    def test_every_group_is_moved(self) -> None:
        position = held()
        orders = [stop_at("48", position), stop_at("48", position, "S2", oca_group="g2")]
        assert [c.order.client_order_id[-2:] for c in changes(EVEN, "52", *orders) if isinstance(c, MoveStop)] == [
            "S1",
            "S2",
        ]

    def test_after_a_target_has_filled(self) -> None:
        position = held()
        plan = ManagementPlan(breakeven_after_target=1)
        rest = stop_at("48", position, "S2", oca_group="g2")
        open_target = leg("T1", position)
        assert changes(plan, "53", open_target, rest) == ()
        done = leg("T1", position, status=OrderStatus.FILLED, filled="10")
        (move,) = changes(plan, "51", done, rest)
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.why) == (50, "target")

    def test_not_where_the_price_has_come_back_to_the_entry(self) -> None:
        position = held()
        done = leg("T1", position, status=OrderStatus.FILLED, filled="10")
        rest = stop_at("48", position, "S2", oca_group="g2")
        assert changes(ManagementPlan(breakeven_after_target=1), "50", done, rest) == ()


class TestTrailing:
    def test_it_joins_the_group_of_the_stop_at_one_r(self) -> None:
        assert changes(TRAIL, "51.99") == ()
        (start,) = changes(TRAIL, "52")
        assert isinstance(start, StartTrail)
        order = start.order
        # 0.5 R is 1.00 behind 52.00
        assert (order.order_type, order.trail_amount, order.stop_price) == (OrderType.TRAIL, 1, 51)
        assert (order.client_order_id, order.oca_group, order.quantity) == ("apex-b-S2", "g1", 10)
        assert (order.role, order.time_in_force, order.parent_id) == (OrderRole.STOP, TimeInForce.GTC, None)
        assert start.replaces == "apex-b-S1"

    def test_only_what_is_left_of_the_stop_is_trailed(self) -> None:
        (start,) = changes(TRAIL, "52", stop_at("48", held(), filled="4"))
        assert isinstance(start, StartTrail)
        assert start.order.quantity == 6

    def test_a_distance_in_percent_of_the_price_goes_up_to_the_tick(self) -> None:
        plan = ManagementPlan(trailing=TrailingStop(activate_at_r=D(1), distance_pct=D("0.02")))
        gain = gain_of(held(), bracket(held()), price("52.33"))
        # 0.02 * 52.33 = 1.0466
        assert trail_amount(held(), plan, gain) == D("1.05")

    def test_at_least_one_tick(self) -> None:
        plan = ManagementPlan(trailing=TrailingStop(activate_at_r=D(1), distance_pct=D("0.00001")))
        assert trail_amount(held(), plan, gain_of(held(), bracket(held()), price(52))) == D("0.01")

    def test_it_never_begins_below_the_stop_it_replaces(self) -> None:
        wide = ManagementPlan(trailing=TrailingStop(activate_at_r=D(1), distance_r=D(5)))
        (start,) = changes(wide, "52")
        assert isinstance(start, StartTrail)
        assert (start.order.stop_price, start.order.trail_amount) == (48, 10)

    def test_with_break_even_it_begins_at_the_tighter_of_both(self) -> None:
        plan = replace(TRAIL, breakeven_at_r=D("0.5"), trailing=TrailingStop(activate_at_r=D(1), distance_r=D(2)))
        (start,) = changes(plan, "52")
        assert isinstance(start, StartTrail)
        assert (start.order.stop_price, start.order.trail_amount) == (50, 4)

    def test_a_short_trails_above_the_price(self) -> None:
        position = held(side=SHORT)
        (start,) = changes(TRAIL, "48", stop_at("52", position), position=position)
        assert isinstance(start, StartTrail)
        assert (start.order.stop_price, start.order.side) == (49, OrderSide.BUY)

    @pytest.mark.parametrize("status", [OrderStatus.INTENT, OrderStatus.UNKNOWN])
    def test_it_is_not_asked_for_again_while_its_fate_is_open(self, status: OrderStatus) -> None:
        assert changes(TRAIL, "52", stop_at("48", held()), trail_at("51", held(), status=status)) == ()

    def test_the_old_stop_goes_once_the_new_one_works(self) -> None:
        (drop,) = changes(TRAIL, "52", stop_at("48", held()), trail_at("51", held()))
        assert drop == DropStop(client_order_id="apex-b-S1", replaced_by="apex-b-S2")

    def test_the_old_stop_stays_while_it_is_the_tighter_one(self) -> None:
        assert changes(TRAIL, "53", stop_at("51", held()), trail_at("50", held())) == ()

    def test_a_trail_without_a_trigger_yet_replaces_nothing(self) -> None:
        silent = leg("S2", held(), order_type=OrderType.TRAIL, trail_amount=price(1))
        assert changes(TRAIL, "52", stop_at("48", held()), silent) == ()

    def test_a_trail_that_works_is_left_alone(self) -> None:
        gone = stop_at("48", held(), status=OrderStatus.CANCELLED)
        assert changes(TRAIL, "54", gone, trail_at("53", held())) == ()

    def test_break_even_lifts_a_wide_trail(self) -> None:
        plan = replace(TRAIL, breakeven_at_r=D(1))
        (move,) = changes(plan, "52", trail_at("49", held()))
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.order.order_type, move.why) == (50, OrderType.TRAIL, "breakeven")

    def test_a_stop_outside_any_group_is_moved_by_hand(self) -> None:
        (move,) = changes(TRAIL, "52", stop_at("48", held(), oca_group=None))
        assert isinstance(move, MoveStop)
        assert (move.order.stop_price, move.why) == (51, "trail")

    def test_a_stop_beside_a_refused_trail_is_moved_by_hand(self) -> None:
        refused = trail_at("51", held(), status=OrderStatus.REJECTED)
        (move,) = changes(TRAIL, "53", stop_at("48", held()), refused)
        assert isinstance(move, MoveStop)
        assert move.order.stop_price == 52

    def test_two_begin_under_two_names(self) -> None:
        position = held()
        orders = [stop_at("48", position), stop_at("48", position, "S2", oca_group="g2")]
        starts = [c for c in changes(TRAIL, "52", *orders) if isinstance(c, StartTrail)]
        assert [(s.order.client_order_id, s.replaces) for s in starts] == [
            ("apex-b-S3", "apex-b-S1"),
            ("apex-b-S4", "apex-b-S2"),
        ]


class TestWhenNothingIsMoved:
    def test_what_is_left_of_the_entry_goes_first(self) -> None:
        (end,) = changes(EVEN, "53", stop_at("48", held()), leg("E", held()))
        assert end == EndEntries(client_order_ids=("apex-b-E",))
        assert changes(EVEN, "51", stop_at("48", held()), leg("E", held())) == ()

    def test_while_an_order_is_unsure(self) -> None:
        filled = leg("T1", held(), status=OrderStatus.FILLED, filled="3", oca_group="g2")
        assert changes(EVEN, "53", stop_at("48", held()), filled) == ()

    def test_once_the_price_has_passed_the_stop(self) -> None:
        assert changes(EVEN, "53", stop_at("53.50", held())) == ()

    def test_without_a_known_risk(self) -> None:
        assert changes(EVEN, "53", risk="0") == ()

    def test_without_a_stop(self) -> None:
        assert changes(EVEN, "53", leg("T1", held())) == ()

    def test_for_a_stop_on_the_other_side(self) -> None:
        assert changes(EVEN, "53", stop_at("48", held(), side=OrderSide.BUY)) == ()

    def test_when_nothing_is_configured(self) -> None:
        plan = ManagementLimits()
        assert changes(plan, "99") == ()
        assert not plan.moves_stops
        assert not plan.closes


def test_a_strategy_has_its_own_plan_or_the_common_one() -> None:
    limits = ManagementLimits(breakeven_at_r=D(2), strategies={"orb": ManagementPlan(scale_out=ScaleOut())})
    assert limits.plan_for("orb").breakeven_at_r is None
    assert limits.plan_for("other") is limits


PLANS = st.builds(
    ManagementPlan,
    trailing=st.one_of(
        st.just(TrailingStop()),
        st.builds(
            TrailingStop,
            activate_at_r=st.sampled_from([D("0.5"), D(1), D(2)]),
            distance_r=st.sampled_from([D("0.25"), D(1), D(3)]),
        ),
        st.builds(
            TrailingStop, activate_at_r=st.just(D(1)), distance_pct=st.sampled_from([D("0.001"), D("0.02"), D("0.3")])
        ),
    ),
    breakeven_at_r=st.sampled_from([None, D("0.5"), D(1)]),
    breakeven_offset_r=st.sampled_from([D(0), D("0.1")]),
)
WALKS = st.lists(st.decimals("40", "60", places=2), min_size=1, max_size=12)


@given(plan=PLANS, walk=WALKS, side=st.sampled_from(list(PositionSide)), entry=st.sampled_from(["50", "50.003"]))
def test_a_stop_is_never_loosened_and_nothing_is_asked_twice(
    plan: ManagementPlan, walk: list[Decimal], side: PositionSide, entry: str
) -> None:
    position = held(entry, side)
    plan_of = bracket(position)
    orders: dict[str, OrderRecord] = {"apex-b-S1": stop_at(str(plan_of.stop_price), position)}
    tightest = plan_of.stop_price
    for at in walk:
        for _ in range(3):
            wanted = stop_changes(position, plan_of, orders.values(), plan, Price(at))
            assert len(wanted) <= 1
            for change in wanted:
                match change:
                    case MoveStop(order=order):
                        orders[order.client_order_id] = replace(orders[order.client_order_id], order=order)
                    case StartTrail(order=order):
                        orders[order.client_order_id] = OrderRecord(
                            order=order, status=W, created_at=START, updated_at=START
                        )
                    case DropStop(client_order_id=name, replaced_by=by):
                        assert orders[by].status is W
                        orders[name] = replace(orders[name], status=OrderStatus.CANCELLED)
        assert stop_changes(position, plan_of, orders.values(), plan, Price(at)) == ()
        working = [r.order for r in orders.values() if r.status is W]
        assert len(working) == 1
        assert len({order.oca_group for order in working}) == 1
        (stop,) = working
        assert stop.stop_price is not None
        assert stop.stop_price % AAPL.tick_size == 0 or stop.stop_price == plan_of.stop_price
        assert (stop.stop_price - tightest) * side.sign >= 0
        tightest = stop.stop_price
        if (at - tightest) * side.sign <= 0:
            return
