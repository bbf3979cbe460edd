from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.model.management import ManagementLimits, TrailingStop
from apex_cli.core.model.order import OrderStatus, OrderType
from apex_cli.testing_faults import UnreliableBroker
from apex_cli.testing_rig import Prices, Rig, auto, make_signal

D = Decimal
TRAIL = ManagementLimits(trailing=TrailingStop(activate_at_r=D(1), distance_r=D("0.5")))
"""Entry 50, stop 48: 1 R is 2.00, so from 52 on the stop follows 1.00 behind."""


def managed(management: ManagementLimits, **changes: Any) -> Rig:
    """Return a rig that holds 15 AAPL bought at 50 with a stop at 48."""
    rig = Rig(limits=auto(management=management), prices=Prices())
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    at(rig, "50")
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


def told(rig: Rig, kind: str) -> list[dict[str, Any]]:
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
