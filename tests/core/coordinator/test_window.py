"""Signals that wait for others: what competes is ordered together, wherever and whenever it came in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalOutcome
from apex_cli.core.model.risk_limits import RiskLimits
from kit.rig import Rig, auto, make_signal

EXECUTED, REFUSED = SignalOutcome.EXECUTED, SignalOutcome.REFUSED
LENGTH = timedelta(seconds=60)


def rig(**changes: Any) -> Rig:
    limits = replace(auto(), risk=RiskLimits(max_positions=1))
    return Rig(limits=limits, window=LENGTH, **changes)


def put(found: Rig, symbol: str, confidence: str, **changes: Any) -> None:
    found.source.put(make_signal(symbol, now=found.clock.now(), confidence=confidence, **changes))


def outcomes(found: Rig) -> dict[str, SignalOutcome]:
    return {report.symbol: report.outcome for report in found.coordinator.reports}


def test_the_better_one_goes_first_though_it_came_later() -> None:
    found = rig()
    put(found, "WEAK", "0.66")
    found.cycle()
    found.clock.advance(timedelta(seconds=30))
    put(found, "GOOD", "0.95")
    found.cycle()
    assert not found.coordinator.reports
    assert not found.state.signals
    found.clock.advance(timedelta(seconds=30))
    found.cycle()
    assert outcomes(found) == {"GOOD": EXECUTED, "WEAK": REFUSED}


def test_without_a_window_the_first_one_goes_first() -> None:
    found = Rig(limits=replace(auto(), risk=RiskLimits(max_positions=1)))
    put(found, "WEAK", "0.66")
    put(found, "GOOD", "0.95")
    found.cycle()
    assert outcomes(found) == {"WEAK": EXECUTED, "GOOD": REFUSED}


def test_every_batch_is_settled_once_with_what_became_of_its_own() -> None:
    found = rig()
    bad = RejectedRow(where="x:1", symbol="XX", reason=Reason(code="stop_loss_missing", message="No stop."))
    put(found, "A", "0.7")
    found.source.put(make_signal("B", now=found.clock.now(), confidence="0.9"), rejected=(bad,))
    found.cycle()
    found.cycle()
    assert not found.source.settled
    found.clock.advance(LENGTH)
    found.cycle()
    settled = [[report.symbol for report in reports] for _, reports in found.source.settled]
    assert settled == [["A"], ["XX", "B"]]
    assert len(found.events("signal_invalid")) == 1
    found.cycle()
    assert len(found.coordinator.reports) == 3


def test_a_signal_in_two_batches_is_decided_for_the_first_and_a_duplicate_for_the_second() -> None:
    found = rig()
    put(found, "A", "0.7")
    put(found, "A", "0.7")
    put(found, "B", "0.6")
    found.cycle()
    found.clock.advance(LENGTH)
    found.cycle()
    settled = [[(report.symbol, report.outcome) for report in reports] for _, reports in found.source.settled]
    assert settled == [[("A", EXECUTED)], [("A", SignalOutcome.DUPLICATE)], [("B", REFUSED)]]


def test_a_signal_is_decided_on_before_it_expires() -> None:
    found = rig()
    put(found, "SHORT", "0.7", minutes=0.5)
    found.cycle()
    found.clock.advance(timedelta(seconds=29))
    found.cycle()
    assert outcomes(found) == {"SHORT": EXECUTED}


def test_what_has_no_signal_does_not_wait() -> None:
    found = rig()
    bad = RejectedRow(where="x:1", symbol="XX", reason=Reason(code="stop_loss_missing", message="No stop."))
    found.source.put(rejected=(bad,))
    found.cycle()
    assert len(found.source.settled) == 1


@pytest.mark.parametrize("ending", [{"once": True}, {"max_cycles": 1}])
def test_the_end_of_a_run_ends_the_wait(ending: dict[str, Any]) -> None:
    found = rig()
    put(found, "WEAK", "0.66")
    put(found, "GOOD", "0.95")
    asyncio.run(found.coordinator.run(stop=asyncio.Event(), interval_s=0, **ending))
    assert outcomes(found) == {"GOOD": EXECUTED, "WEAK": REFUSED}


def test_a_run_that_is_stopped_opens_nothing_more() -> None:
    found = rig()
    put(found, "A", "0.9")
    stop = asyncio.Event()

    async def stopped() -> None:
        task = asyncio.create_task(found.coordinator.run(stop=stop, interval_s=0.01))
        await asyncio.sleep(0.05)
        stop.set()
        await task

    asyncio.run(stopped())
    assert not found.coordinator.reports
    assert not found.source.settled, "it stays with its source, and comes again"


def test_a_dry_run_shows_the_order_and_keeps_nothing() -> None:
    found = rig(dry_run=True)
    put(found, "WEAK", "0.66")
    put(found, "GOOD", "0.95")
    asyncio.run(found.coordinator.run(stop=asyncio.Event(), max_cycles=1))
    assert outcomes(found) == {"GOOD": EXECUTED, "WEAK": REFUSED}
    assert not found.source.settled
