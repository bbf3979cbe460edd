from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apex_cli.core.decision.brackets import build_bracket, close_order, exits_for_remaining
from apex_cli.core.decision.close_plan import ClosePlan, plan_close
from apex_cli.core.decision.plan import decide
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.side import PositionSide

D = Decimal
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
S1, T1, S2, T2 = (f"apex-ULID-{leg}" for leg in ("S1", "T1", "S2", "T2"))


def exits(build: Any, quantity: str, *targets: str) -> list[OrderRecord]:
    """Return the exits of a long position, entered at 50 with a stop at 48."""
    opportunity = build.opportunity(targets=targets)
    decision = decide(opportunity, build.snapshot(), Limits(), quantity=Quantity(D(quantity)))
    _, orders = build_bracket(decision, opportunity, bracket_id="ULID", entry_order=EntryOrder.LIMIT, now=NOW)
    return [recorded(order) for order in orders if order.role is not OrderRole.ENTRY]


def recorded(order: Order) -> OrderRecord:
    return OrderRecord(
        order=order, status=OrderStatus.WORKING, filled_quantity=Quantity(D(0)), created_at=NOW, updated_at=NOW
    )


def plan(records: list[OrderRecord], quantity: str, remaining: str = "0", price: str = "51", **how: bool) -> ClosePlan:
    return plan_close(
        records, remaining=Quantity(D(remaining)), quantity=Quantity(D(quantity)), price=Price(D(price)), **how
    )


def test_a_whole_close_joins_the_group_of_stop_and_target_and_touches_nothing_before(build: Any) -> None:
    found = plan(exits(build, "4", "56"), "4")
    assert (found.oca_group, found.ended) == ("apex-ULID-1", (S1, T1))
    assert found.first == found.in_one_piece == ClosePlan().first
    assert found.touched == (S1, T1)


def test_a_target_that_is_near_goes_first_and_the_stop_stays(build: Any) -> None:
    found = plan(exits(build, "4", "56"), "4", price="55.9")
    assert (found.first.cancel, found.oca_group, found.ended) == ((T1,), "apex-ULID-1", (S1,))
    assert found.touched == (S1, T1)


def test_a_stop_that_is_near_stays_in_the_group(build: Any) -> None:
    found = plan(exits(build, "4", "56"), "4", price="48.1")
    assert (found.first.cancel, found.ended) == ((), (S1, T1))


@pytest.mark.parametrize(("price", "waits"), [("51", False), ("48.1", True)])
def test_several_groups_go_with_the_close_unless_one_could_fill_meanwhile(
    build: Any, price: str, *, waits: bool
) -> None:
    found = plan(exits(build, "4", "56", "60"), "4", price=price)
    changed, other = (found.first, found.in_one_piece) if waits else (found.in_one_piece, found.first)
    assert (set(changed.cancel), other.cancel, found.oca_group) == ({S1, T1, S2, T2}, (), None)


def test_a_part_shrinks_exits_and_joins_no_group(build: Any) -> None:
    found = plan(exits(build, "4", "56"), "1", remaining="3")
    assert (found.oca_group, found.ended, found.first.shrink) == (None, (), ())
    assert [(order.client_order_id, order.quantity) for order in found.in_one_piece.shrink] == [(T1, 3), (S1, 3)]
    assert found.touched == (T1, S1)


def test_where_the_broker_refused_a_join_exits_go_with_the_close(build: Any) -> None:
    found = plan(exits(build, "4", "56"), "4", may_join=False)
    assert (found.oca_group, set(found.in_one_piece.cancel)) == (None, {S1, T1})


def test_a_close_at_a_limit_joins_only_a_stop_that_covers_all_of_it(build: Any) -> None:
    records = exits(build, "4", "56")
    assert plan(records, "4", is_resting=True).oca_group == "apex-ULID-1"
    assert plan(records, "5", is_resting=True).oca_group is None


def test_an_earlier_close_at_market_is_confirmed_to_be_gone_first(build: Any) -> None:
    position = Position(
        instrument=make_instrument("AAPL"),
        side=PositionSide.LONG,
        quantity=Quantity(D(4)),
        entry_price=Price(D(50)),
        entry_time=NOW,
        opened_quantity=Quantity(D(4)),
        opened_value=D(200),
    )
    earlier = recorded(close_order(position, bracket_id="ULID", quantity=Quantity(D(2))))
    found = plan([*exits(build, "4", "56"), earlier], "4")
    assert earlier.order.client_order_id in found.first.cancel


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quantity=st.integers(1, 12),
    targets=st.integers(0, 3),
    closed=st.integers(1, 12),
    price=st.decimals(45, 66, places=1),
    is_resting=st.booleans(),
    may_join=st.booleans(),
)
def test_every_exit_that_has_to_change_does_so_once(  # noqa: PLR0917 - hypothesis passes by name
    build: Any, quantity: int, targets: int, closed: int, price: Decimal, is_resting: bool, may_join: bool
) -> None:
    records = exits(build, str(quantity), *(str(56 + 4 * number) for number in range(targets)))
    remaining = Quantity(D(max(0, quantity - closed)))
    found = plan_close(
        records,
        remaining=remaining,
        quantity=Quantity(D(min(closed, quantity))),
        price=Price(price),
        is_resting=is_resting,
        may_join=may_join,
    )
    wanted = exits_for_remaining(records, remaining)
    names = [*wanted.cancel, *(order.client_order_id for order in wanted.shrink)]
    assert sorted(found.touched) == sorted(names)
    assert (found.oca_group is None) == (not found.ended)
    assert not found.in_one_piece.cancel or not found.oca_group
