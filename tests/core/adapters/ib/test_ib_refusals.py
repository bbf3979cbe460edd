"""Refusals over TCP: of the last leg of a bracket, of an order that was acknowledged, and figures that come later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.order import OrderStatus
from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread
from kit.ib import Session, bracket, order, reasons, states

W, C, R = OrderStatus.WORKING, OrderStatus.CANCELLED, OrderStatus.REJECTED


def commissions(events: Iterable[BrokerEvent]) -> set[Decimal]:
    return {event.commission for event in events if isinstance(event, Fill)}


REFUSED = {"code": 201, "text": "Order rejected - reason:stop price too far"}


@pytest.mark.parametrize("status", ["", "Inactive", "Cancelled"])
@pytest.mark.parametrize("is_told", [True, False])
def test_legs_that_wait_for_a_refused_stop_are_cancelled(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], status: str, *, is_told: bool
) -> None:
    gateway = open_gateway(policy=Policy(tells_of_held_cancels=is_told))
    session = connect(gateway.port, ack_timeout_s=4)
    gateway.fault("reject", "placeOrder", order_ref="-S", status=status, **REFUSED)
    session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    heard = session.settled()
    assert states(heard) == {"E": R, "S": R, "T": R}
    assert "Not released, as its stop was refused" in reasons(heard)["E"]
    assert gateway.books().orders == (), "nothing was transmitted"
    session.run(session.broker.submit([order("C", "SELL", "LIMIT", limit_price="120")]))
    assert [row.terms.order_ref for row in gateway.books().open_orders()] == ["apex-b1-C"]


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.3])
def test_a_stop_that_is_refused_after_its_acknowledgement_ends_rejected(
    gateway: GatewayThread, session: Session, seconds: float
) -> None:
    gateway.fault("refuse_later", "placeOrder", order_ref="-S", seconds=seconds, **REFUSED)
    session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    ended: dict[str, OrderStatus] = {}

    def is_over() -> bool:
        ended.update(states(session.broker.drain()))
        return ended.get("S") is R

    session.wait(is_over)
    assert ended == {"E": W, "S": R, "T": W}


@pytest.mark.parametrize("pending", ["-1.0", "1.7976931348623157E308", "-1"])
def test_a_commission_that_is_not_known_yet_is_none_and_the_figure_replaces_it(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], pending: str
) -> None:
    gateway = open_gateway(plan=CommissionPlan.IB_FIXED, policy=Policy(first_commission=pending))
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert commissions(session.settled()) == {Decimal(0)}
    session.run(session.broker.snapshot())
    assert commissions(session.broker.drain()) == {Decimal(1)}


def test_a_rebate_is_a_negative_commission(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session]
) -> None:
    gateway = open_gateway(policy=Policy(first_commission="-0.35"))
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert commissions(session.settled()) == {Decimal("-0.35")}
