"""What a run says of a signal at its end, when part of what it sent is not kept any more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.coordinator.signal_reports import settled_report
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.records import SignalOutcome
from kit.rig import Rig, make_signal


def test_a_signal_whose_entry_is_kept_no_longer_stays_executed() -> None:
    rig = Rig()
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert report.outcome is SignalOutcome.EXECUTED
    entries = [record.order.client_order_id for record in rig.orders() if record.order.role is OrderRole.ENTRY]
    with rig.store.transaction() as tx:
        for name in entries:
            del tx.orders[name]
    assert set(report.orders) & set(rig.state.orders), "its exits are kept"
    assert settled_report(report, rig.state) == report


@pytest.mark.parametrize(
    ("status", "filled", "outcome"),
    [
        (OrderStatus.CANCELLED, 0, SignalOutcome.REFUSED),
        (OrderStatus.CANCELLED, 1, SignalOutcome.EXECUTED),
        (OrderStatus.EXPIRED, 0, SignalOutcome.EXECUTED),
        (OrderStatus.UNKNOWN, 0, SignalOutcome.UNKNOWN),
        (OrderStatus.REJECTED, 0, SignalOutcome.REFUSED),
    ],
)
def test_an_entry_that_the_broker_cancelled_before_anything_filled_is_not_executed(
    status: OrderStatus, filled: int, outcome: SignalOutcome
) -> None:
    rig = Rig()
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    (entry,) = [record for record in rig.orders() if record.order.role is OrderRole.ENTRY]
    with rig.store.transaction() as tx:
        tx.orders[entry.order.client_order_id] = replace(
            entry, status=status, filled_quantity=Quantity(Decimal(filled)), reason="Order Canceled (IB 202)"
        )
    settled = settled_report(report, rig.state)
    assert settled.outcome is outcome
    assert ("IB 202" in str(settled.reasons)) is (outcome is not SignalOutcome.EXECUTED)
