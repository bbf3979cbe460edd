from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.brackets import build_bracket
from apex_cli.core.decision.plan import decide_at
from apex_cli.core.management.price_steps import (
    allowed_rest,
    filled_quantity,
    fresh_entries,
    lost_price,
    next_price,
    repriced_bracket,
    unsent_quantity,
)
from apex_cli.core.model.decision import Exposure, TradingMode
from apex_cli.core.model.execution_limits import RepriceLimits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.records import BracketRecord, RestingEntry
from apex_cli.core.model.signal import SignalType

D = Decimal
REPRICE = RepriceLimits(after_s=60, step_pct=D("0.002"), max_times=3, max_pct=D("0.005"))
W, GONE = OrderStatus.WORKING, OrderStatus.CANCELLED


def price(text: Any) -> Price:
    return Price(D(text))


def entry(build: Any, *, at: str = "50", times: int = 0, **signal: Any) -> RestingEntry:
    opportunity = build.opportunity(**{"targets": ("60",), **signal})
    return RestingEntry(
        bracket_id="b",
        opportunity=opportunity,
        entries=("apex-b-E",),
        first_price=opportunity.signal.entry_price,
        price=price(at),
        since=build.now,
        times=times,
    )


class TestTheNextPrice:
    @pytest.mark.parametrize(
        ("at", "times", "expected"),
        [
            ("50", 0, "50.10"),  # 50 + 0.002 * 50
            ("50.10", 1, "50.20"),
            ("50.20", 2, "50.25"),  # 50 * 1.005, not 50.30
            ("50.20", 3, None),
            ("50.25", 2, None),
        ],
    )
    def test_steps_up_to_the_bound(self, build: Any, at: str, times: int, expected: str | None) -> None:
        later = build.now + timedelta(seconds=60)
        found = next_price(entry(build, at=at, times=times), REPRICE, price("50.60"), later)
        assert found == (None if expected is None else D(expected))

    def test_not_before_its_time_and_not_when_it_is_off(self, build: Any) -> None:
        assert next_price(entry(build), REPRICE, price(51), build.now + timedelta(seconds=59)) is None
        assert next_price(entry(build), RepriceLimits(), price(51), build.now + timedelta(days=1)) is None

    def test_a_sale_goes_down(self, build: Any) -> None:
        short = entry(build, signal_type=SignalType.SHORT, stop="52", targets=("40",))
        assert next_price(short, REPRICE, price("49.40"), build.now + timedelta(hours=1)) == D("49.90")

    @pytest.mark.parametrize(
        ("latest", "expected"), [("50.04", D("50.04")), ("50", None), ("49.90", None), (None, None)]
    )
    def test_never_beyond_the_latest_price(self, build: Any, latest: str | None, expected: Decimal | None) -> None:
        market = None if latest is None else price(latest)
        assert next_price(entry(build), REPRICE, market, build.now + timedelta(hours=1)) == expected

    def test_never_beyond_the_bound_by_rounding(self, build: Any) -> None:
        # 33.33 * 1.0001 = 33.333333: down to 33.33, which is no step
        tiny = replace(REPRICE, step_pct=D("0.0001"), max_pct=D("0.0001"))
        resting = entry(build, entry="33.33", stop="32", at="33.33")
        assert next_price(resting, tiny, price(34), build.now + timedelta(hours=1)) is None

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    @given(
        first=st.decimals("1", "900", places=2),
        step=st.decimals("0.0001", "0.02", places=4),
        most=st.decimals("0.0001", "0.05", places=4),
        is_long=st.booleans(),
    )
    def test_every_price_is_on_the_tick_and_within_the_bound(
        self, build: Any, first: Decimal, step: Decimal, most: Decimal, is_long: bool
    ) -> None:
        kind = SignalType.LONG if is_long else SignalType.SHORT
        resting = entry(build, entry=str(first), at=str(first), signal_type=kind)
        limits = RepriceLimits(after_s=1, step_pct=step, max_times=50, max_pct=most)
        sign, later = 1 if is_long else -1, build.now + timedelta(hours=1)
        while (found := next_price(resting, limits, price(2000 if is_long else "0.01"), later)) is not None:
            assert found % resting.opportunity.signal.instrument.tick_at(found) == 0
            assert (found - resting.price) * sign > 0
            assert (found - first) * sign <= first * most
            resting = replace(resting, price=found, times=resting.times + 1)
        assert resting.times <= 50


class TestLost:
    @pytest.mark.parametrize(
        ("times", "status", "expected"),
        [
            (1, OrderStatus.NEVER_SENT, D("50.10")),
            (3, OrderStatus.NEVER_SENT, D("50.10")),
            (4, OrderStatus.NEVER_SENT, None),
            (0, OrderStatus.NEVER_SENT, None),
            (1, GONE, None),
        ],
    )
    def test_only_a_fresh_entry_that_never_left_is_sent_again(
        self, build: Any, times: int, status: OrderStatus, expected: Decimal | None
    ) -> None:
        resting = entry(build, at="50.10", times=times)
        _, orders = opened(build)
        records = [replace(record, status=status) for record in orders.values()]
        assert lost_price(resting, records, REPRICE) == expected


def opened(build: Any, *, is_one_entry: bool = True, **signal: Any) -> tuple[BracketRecord, dict[str, OrderRecord]]:
    """Return a limit bracket for 15 with every order working."""
    opportunity = build.opportunity(**{"targets": ("60",), **signal})
    limits = build.limits(auto=True, max_position_pct=D(1), max_open_risk_pct=D(1))
    decision = decide_at(opportunity, build.snapshot(), limits, entry_price=opportunity.signal.entry_price)
    bracket, orders = build_bracket(
        decision,
        opportunity,
        bracket_id="b",
        entry_order=EntryOrder.LIMIT,
        now=build.now,
        is_one_entry=is_one_entry,
    )
    records = (OrderRecord(order=o, status=W, created_at=build.now, updated_at=build.now) for o in orders)
    return bracket, {record.order.client_order_id: record for record in records}


def put(orders: dict[str, OrderRecord], tail: str, status: OrderStatus, filled: str = "0") -> None:
    name = f"apex-b-{tail}"
    average = price(50) if filled != "0" else None
    orders[name] = replace(orders[name], status=status, filled_quantity=Quantity(D(filled)), average_price=average)


class TestWhatIsLeft:
    def test_an_open_entry_counts_in_full_and_a_final_one_with_its_fills(self, build: Any) -> None:
        bracket, orders = opened(build)
        assert (bracket.quantity, unsent_quantity(bracket, orders.values())) == (15, 0)
        put(orders, "E", W, "4")
        assert unsent_quantity(bracket, orders.values()) == 0
        put(orders, "E", GONE, "4")
        assert unsent_quantity(bracket, orders.values()) == 11
        assert filled_quantity(bracket, orders.values()) == 4

    def test_it_is_never_below_zero(self, build: Any) -> None:
        bracket, orders = opened(build)
        assert unsent_quantity(replace(bracket, quantity=Quantity(D(3))), orders.values()) == 0

    def test_fresh_entries_bring_their_own_exits_under_new_names(self, build: Any) -> None:
        bracket, orders = opened(build, is_one_entry=False, targets=("60", "62"))
        put(orders, "E1", GONE, "3")
        put(orders, "E2", GONE)
        # Guard has placed a third stop: the numbers go on after it
        guard = replace(orders["apex-b-S2"].order, client_order_id="apex-b-S3")
        orders["apex-b-S3"] = replace(orders["apex-b-S2"], order=guard)
        fresh = fresh_entries(
            bracket, orders, ["apex-b-E1", "apex-b-E2"], price=price("50.10"), quantity=Quantity(D(10))
        )
        assert [(o.client_order_id[-2:], o.quantity, o.limit_price or o.stop_price, o.parent_id) for o in fresh] == [
            ("E4", 5, D("50.10"), None),
            ("S4", 5, D(48), "apex-b-E4"),
            ("T4", 5, D(60), "apex-b-E4"),
            ("E5", 5, D("50.10"), None),
            ("S5", 5, D(48), "apex-b-E5"),
            ("T5", 5, D(62), "apex-b-E5"),
        ]
        assert {o.oca_group for o in fresh} == {None, "apex-b-4", "apex-b-5"}

    def test_an_entry_of_its_own_that_the_rest_does_not_reach_has_no_successor(self, build: Any) -> None:
        bracket, orders = opened(build, is_one_entry=False, targets=("60", "62"))
        names = ["apex-b-E1", "apex-b-E2"]
        fresh = fresh_entries(bracket, orders, names, price=price(51), quantity=Quantity(D(8)))
        assert [o.client_order_id[-2:] for o in fresh] == ["E3", "S3", "T3"]

    @pytest.mark.parametrize(
        ("filled", "quantity", "tranches"),
        [
            ("0", 15, [(6, 60), (4, 62), (5, None)]),
            ("3", 12, [(3, 60), (4, 62), (5, None)]),
            ("6", 9, [(4, 62), (5, None)]),
            ("8", 4, [(2, 62), (2, None)]),
            ("11", 4, [(4, None)]),
        ],
    )
    def test_what_is_left_of_a_shared_entry_goes_to_the_tranches_that_have_not_filled(
        self, build: Any, filled: str, quantity: int, tranches: list[tuple[int, int | None]]
    ) -> None:
        fractions = (D("0.4"), D("0.3"))
        bracket, orders = opened(build, targets=("60", "62"), target_fractions=fractions)
        put(orders, "E", GONE, filled)
        entry, *exits = fresh_entries(
            bracket, orders, ["apex-b-E"], price=price(51), quantity=Quantity(D(quantity)), fractions=fractions
        )
        assert (entry.client_order_id, entry.quantity, entry.limit_price) == ("apex-b-E4", quantity, 51)
        assert {leg.parent_id for leg in exits} == {"apex-b-E4"}
        assert [(o.client_order_id[-2:], o.quantity) for o in exits if o.role is OrderRole.STOP] == [
            (f"S{number}", size) for number, (size, _) in enumerate(tranches, start=4)
        ]
        assert [(o.quantity, o.limit_price) for o in exits if o.role is OrderRole.TARGET] == [
            tranche for tranche in tranches if tranche[1] is not None
        ]

    def test_an_entry_without_a_rest_has_no_successor(self, build: Any) -> None:
        bracket, orders = opened(build, targets=())
        put(orders, "E", OrderStatus.FILLED, "15")
        assert fresh_entries(bracket, orders, ["apex-b-E"], price=price(51), quantity=Quantity(D(15))) == ()

    def test_without_a_target_there_is_only_a_stop(self, build: Any) -> None:
        bracket, orders = opened(build, targets=())
        put(orders, "E", GONE)
        fresh = fresh_entries(bracket, orders, ["apex-b-E"], price=price(51), quantity=Quantity(D(15)))
        assert [o.role for o in fresh] == [OrderRole.ENTRY, OrderRole.STOP]

    def test_the_plan_keeps_its_mean_price_and_risk(self, build: Any) -> None:
        bracket, orders = opened(build)
        put(orders, "E", GONE, "5")
        planned = repriced_bracket(bracket, orders.values(), price("50.60"), Quantity(D(10)))
        # (5 * 50 + 10 * 50.60) / 15 = 50.40; 50.40 - 48 = 2.40
        assert (planned.entry_price, planned.risk_per_unit, planned.quantity) == (D("50.4"), D("2.4"), 15)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    @given(
        fills=st.lists(st.integers(0, 15), min_size=1, max_size=5),
        caps=st.lists(st.integers(1, 20), min_size=5, max_size=5),
    )
    def test_all_entries_together_never_ask_for_more_than_was_decided(
        self, build: Any, fills: list[int], caps: list[int]
    ) -> None:
        bracket, orders = opened(build)
        current = ["apex-b-E"]
        for filled, cap in zip(fills, caps, strict=False):
            for name in current:
                most = min(filled, int(orders[name].order.quantity))
                orders[name] = replace(
                    orders[name],
                    status=GONE,
                    filled_quantity=Quantity(D(most)),
                    average_price=price(50) if most else None,
                )
            left = min(unsent_quantity(bracket, orders.values()), Quantity(D(cap)))
            if not left:
                break
            fresh = fresh_entries(bracket, orders, current, price=price(50), quantity=left)
            assert not {o.client_order_id for o in fresh} & set(orders)
            for order in fresh:
                orders[order.client_order_id] = OrderRecord(
                    order=order, status=W, created_at=build.now, updated_at=build.now
                )
            current = [o.client_order_id for o in fresh if o.role is OrderRole.ENTRY]
            asked = sum(
                r.order.quantity if r.is_open else r.filled_quantity
                for r in orders.values()
                if r.order.role is OrderRole.ENTRY
            )
            assert asked <= bracket.quantity


class TestWhatIsAllowed:
    @staticmethod
    def ask(build: Any, at: str, filled: str = "0", rest: str = "15", **changes: Any) -> Any:
        snapshot = build.snapshot(quote="50.60", **changes)
        limits = build.limits(auto=True, max_position_pct=D(1), max_open_risk_pct=D(1), max_orders_per_day=1)
        quantities = Quantity(D(filled)), Quantity(D(rest))
        return allowed_rest(entry(build), snapshot, limits, price(at), *quantities)

    def test_the_loss_at_the_stop_stays_within_the_budget_at_the_new_price(self, build: Any) -> None:
        # 30 USD / (50.10 - 48) = 14.28
        assert self.ask(build, "50.10") == 14
        assert self.ask(build, "50.10", filled="4", rest="11") == 10
        assert self.ask(build, "50.10", filled="4", rest="3") == 3

    def test_a_budget_that_is_used_up_allows_nothing(self, build: Any) -> None:
        (reason,) = self.ask(build, "50.10", filled="14", rest="1")
        assert reason.code == "reprice_budget"
        assert "14 shares" in reason.message

    def test_a_price_on_the_stop_has_no_size(self, build: Any) -> None:
        (reason,) = self.ask(build, "48")
        assert reason.code == "stop_equals_entry"

    def test_its_own_orders_and_its_own_count_do_not_stand_in_its_way(self, build: Any) -> None:
        own = Exposure(key="AAPL", side=build.exposure("X").side, notional=D(700), risk=D(20))
        assert self.ask(build, "50.10", exposures=(own,), entries_today=1) == 14

    def test_everything_else_does(self, build: Any) -> None:
        reasons = self.ask(build, "50.10", entries_today=2, trading_mode=TradingMode.REDUCING)
        assert {reason.code for reason in reasons} == {"orders_per_day", "trading_state"}
