"""What a close came to, where the broker ended the closing order early or filled an exit beside it."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import ExitStatus
from apex_cli.core.execution.close_result import what_came_of
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.request import Closed, WorkDone
from apex_cli.core.model.side import PositionSide
from kit.rig import Rig, make_signal


def came(filled: int, status: OrderStatus, *, left: int, side: PositionSide = PositionSide.LONG) -> Closed:
    """Return what a close of 15 came to that filled so far and left so much."""
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    row = rig.state.positions["AAPL"]
    entry = rig.order("-E")
    with rig.store.transaction() as tx:
        tx.positions["AAPL"] = replace(row, position=replace(row.position, quantity=Quantity(Decimal(left)), side=side))
    record = replace(entry, status=status, filled_quantity=Quantity(Decimal(filled)), reason="Order Canceled (IB 202)")
    return what_came_of(rig.state, record, PositionSide.LONG, Price(Decimal(50)))


def test_a_close_that_the_broker_ended_early_says_what_is_still_held_with_status_6() -> None:
    closed = came(4, OrderStatus.CANCELLED, left=11)
    done = WorkDone(results=(closed,))
    assert done.status is ExitStatus.UNKNOWN_OUTCOME
    assert [reason.code for reason in done.reasons] == ["close_incomplete"]
    assert "4 of 15 were closed" in str(done.reasons)
    assert "IB 202" in str(done.reasons)
    assert "11 are still held" in str(done.reasons)


def test_a_close_that_an_exit_went_beyond_says_so_with_status_6() -> None:
    done = WorkDone(results=(came(15, OrderStatus.FILLED, left=15, side=PositionSide.SHORT),))
    assert done.status is ExitStatus.UNKNOWN_OUTCOME
    assert [reason.code for reason in done.reasons] == ["close_went_beyond"]
    assert "15 are held short" in str(done.reasons)


def test_a_part_that_was_closed_as_asked_and_a_close_that_still_works_are_no_trouble() -> None:
    assert WorkDone(results=(came(15, OrderStatus.FILLED, left=15),)).status is ExitStatus.OK
    assert WorkDone(results=(came(4, OrderStatus.WORKING, left=11),)).status is ExitStatus.OK
