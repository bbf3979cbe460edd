"""What a run says of a signal at its end, when part of what it sent is not kept any more."""

from __future__ import annotations

from apex_cli.core.coordinator.signal_reports import settled_report
from apex_cli.core.model.order import OrderRole
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
