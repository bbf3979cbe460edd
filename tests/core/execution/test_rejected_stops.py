"""What follows when the broker takes no protective stop: a few tries, an alarm, and a close where that is wanted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.limits import OnRejectedStop, ProtectionLimits
from apex_cli.core.model.order import Order, OrderRole
from apex_cli.core.model.records import TradingState
from kit.faults import UnreliableBroker
from kit.rig import Rig, make_signal


def is_stop(order: Order) -> bool:
    return order.role is OrderRole.STOP


def holding(**policy: Any) -> Rig:
    """Return a rig whose broker rejects stops, holding 15 AAPL without one."""
    rig = Rig(protection=ProtectionLimits(**policy))
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    rig.broker.rejects = is_stop
    rig.feed(make_signal(now=rig.clock.now()))
    assert rig.unprotected() == 15
    return rig


def alarms(rig: Rig) -> list[tuple[str, str]]:
    reported = [msgspec.json.decode(event.data) for event in rig.events("alarm")]
    return [(each["code"], each["message"]) for each in reported]


def codes(rig: Rig) -> list[str]:
    return [code for code, _ in alarms(rig)]


def tries(rig: Rig) -> int:
    """Return how many stops were tried beside the bracket's own."""
    return len([r for r in rig.orders() if is_stop(r.order)]) - 1


def cycles(rig: Rig, count: int, seconds: float) -> None:
    for _ in range(count):
        rig.clock.advance(seconds=seconds)
        rig.cycle()


def test_a_rejected_stop_is_tried_again_after_a_pause() -> None:
    rig = holding()
    assert tries(rig) == 1
    cycles(rig, 2, 10)
    assert tries(rig) == 1, "not before the pause is over"
    rig.broker.rejects = lambda _: False
    cycles(rig, 1, 11)
    assert tries(rig) == 2
    assert rig.unprotected() == 0
    assert codes(rig) == ["unprotected", "protection_restored"]


def test_after_a_few_tries_it_is_reported_and_left() -> None:
    rig = holding(stop_attempts=2, retry_pause_s=0)
    cycles(rig, 6, 60)
    assert tries(rig) == 2
    assert codes(rig) == ["unprotected", "stop_rejected"]
    assert "rejected the stop 2 times; close it, or protect it at the broker." in alarms(rig)[-1][1]
    assert rig.at_venue() == {"AAPL": 15}


def test_the_count_goes_on_after_a_restart_and_anew_in_the_next_session() -> None:
    rig = holding(stop_attempts=2)
    cycles(rig, 2, 60)
    rig.use(rig.broker)
    cycles(rig, 2, 60)
    assert tries(rig) == 2
    rig.broker.rejects = lambda _: False
    rig.clock.advance(minutes=24 * 60)
    rig.run(rig.executor.recover())
    assert rig.unprotected() == 0


@pytest.mark.parametrize("mode", [TradingMode.ACTIVE, TradingMode.HALTED])
def test_flatten_closes_at_market_in_every_trading_state(mode: TradingMode) -> None:
    rig = holding(stop_attempts=2, on_rejected_stop=OnRejectedStop.FLATTEN)
    with rig.store.transaction() as tx:
        tx.trading = TradingState(mode=mode)
    assert rig.at_venue() == {"AAPL": 15}
    cycles(rig, 2, 60)
    assert rig.at_venue() == {}
    assert rig.resting_at_venue() == {}
    assert codes(rig) == ["unprotected", "stop_rejected"]
    (trip,) = rig.state.round_trips.values()
    assert trip.exit_reason == "stop_rejected"


def test_a_close_that_fails_too_is_reported_once_and_tried_again_a_few_times() -> None:
    rig = holding(stop_attempts=2, on_rejected_stop=OnRejectedStop.FLATTEN)
    rig.broker.rejects = lambda order: order.role in {OrderRole.STOP, OrderRole.CLOSE}
    cycles(rig, 20, 60)
    assert codes(rig) == ["unprotected", "stop_rejected", "flatten_failed"]
    assert len([r for r in rig.orders() if r.order.role is OrderRole.CLOSE]) == 2
    assert rig.at_venue() == {"AAPL": 15}


def test_outside_market_hours_it_waits_for_the_open() -> None:
    rig = holding(stop_attempts=1, on_rejected_stop=OnRejectedStop.ALARM)
    rig.clock.advance(minutes=8 * 60)
    rig.protection = ProtectionLimits(stop_attempts=1, on_rejected_stop=OnRejectedStop.FLATTEN)
    rig.use(rig.broker)
    cycles(rig, 3, 60)
    assert "flatten_failed" in codes(rig)
    assert rig.at_venue() == {"AAPL": 15}
    rig.broker.rejects = lambda _: False
    rig.clock.advance(minutes=16 * 60)
    cycles(rig, 2, 60)
    assert rig.unprotected() == 0, "in the next session the stop is tried again, and taken"
