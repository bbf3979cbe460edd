"""Orders over TCP: what is sent, what comes back, and what a false word of the broker does not change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.errors import BrokerError, OutcomeUnknownError, SecurityError
from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.order import Order, OrderStatus
from apex_cli.gateway.policy import OcaPartial, Policy
from kit.gateway import GatewayThread
from kit.ib import PREFIX, Session, bracket, fills, order, reasons, short, states

W, F, C, R = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED


def test_a_bracket_leaves_in_one_piece_with_everything_said(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    rows = {short(row.terms.order_ref): row for row in gateway.books().orders}
    assert list(rows) == ["E", "T", "S"], "the stop goes last and releases the rest"
    assert {row.terms.tif for row in rows.values()} == {"GTC"}
    assert {row.terms.account for row in rows.values()} == {"DU1234567"}
    assert [rows[leg].terms.parent_id for leg in "TS"] == [rows["E"].order_id] * 2
    assert [(rows[leg].terms.oca_group, rows[leg].terms.oca_type) for leg in "TS"] == [("g", 2)] * 2
    assert all(row.is_open for row in rows.values())


def test_each_leg_is_acknowledged_before_submit_returns(session: Session) -> None:
    session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    assert states(session.broker.drain()) == {"E": W, "S": W, "T": W}


def test_a_swallowed_placement_is_unknown_and_never_sent_again(
    gateway: GatewayThread, connect: Callable[..., Session]
) -> None:
    session = connect(gateway.port, ack_timeout_s=0.3)
    gateway.fault("swallow", "placeOrder")
    with pytest.raises(OutcomeUnknownError, match="apex-b1-C"):
        session.run(session.broker.submit([order("C", "SELL", "LIMIT", limit_price="120")]))
    assert gateway.books().orders == ()
    snapshot = session.run(session.broker.snapshot())
    assert (snapshot.is_complete, snapshot.orders) == (True, ())


def test_a_swallowed_acknowledgement_is_found_by_asking(
    gateway: GatewayThread, connect: Callable[..., Session]
) -> None:
    session = connect(gateway.port, ack_timeout_s=0.3)
    gateway.fault("swallow", "openOrder")
    gateway.fault("swallow", "orderStatus")
    with pytest.raises(OutcomeUnknownError):
        session.run(session.broker.submit([order("C", "SELL", "LIMIT", limit_price="120")]))
    snapshot = session.run(session.broker.snapshot())
    assert states(snapshot.orders) == {"C": W}
    assert len(gateway.books().orders) == 1


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_a_connection_cut_while_sending_leaves_the_outcome_to_the_broker(
    gateway: GatewayThread, connect: Callable[..., Session], action: str
) -> None:
    session = connect(gateway.port)
    gateway.fault(action, "placeOrder", order_ref="S")
    with suppress(OutcomeUnknownError):  # unless the next connection found all of it meanwhile
        session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    session.wait(lambda: session.broker.connections == 2)
    snapshot = session.run(session.broker.snapshot())
    at_the_broker = {short(row.terms.order_ref) for row in gateway.books().open_orders()}
    working = {name for name, status in states(snapshot.orders).items() if status is W}
    assert snapshot.is_complete
    assert working == at_the_broker


def test_an_error_that_carries_the_id_of_a_live_order_does_not_end_it(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit(bracket()))
    session.settled()
    for code in (10349, 201, 161, 10148, 105, 321, 10318, 399):
        gateway.error("S", code, f"something about {code}")
        assert states(session.settled()).get("S", W) is W, code
    gateway.set_price("AAPL", "97")
    assert fills(session.settled()) == [("S", 10, 97)]


def test_a_refused_change_is_reported_as_working_with_the_old_terms(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit(bracket()))
    session.settled()
    gateway.fault("reject", "modifyOrder", code=201, text="Order rejected - reason: not now")
    session.run(session.broker.modify(order("S", "SELL", "STOP", stop_price="99", parent="E", oca_group="g")))
    (update,) = [e for e in session.settled() if isinstance(e, OrderUpdate)]
    assert (update.status, update.stop_price, "not now" in update.reason) == (W, 98, True)
    assert gateway.books().order("S").terms.aux_price == 98


def test_the_stop_of_a_filled_entry_is_moved_without_naming_its_parent(
    session: Session, gateway: GatewayThread
) -> None:
    """The venue refuses a change that names a parent which has ended (135)."""
    session.run(session.broker.submit(bracket()))
    session.settled()
    session.run(session.broker.modify(order("S", "SELL", "STOP", stop_price="99", parent="E", oca_group="g")))
    (update,) = [e for e in session.settled() if isinstance(e, OrderUpdate)]
    assert (update.status, update.stop_price) == (W, 99)
    row = gateway.books().order("S")
    assert (row.terms.aux_price, row.terms.oca_group, row.terms.tif) == (99, "g", "GTC")


def test_a_refused_stop_takes_the_whole_bracket_back(session: Session, gateway: GatewayThread) -> None:
    gateway.fault("reject", "placeOrder", order_ref="S", code=201, text="Order rejected - reason: no such stop")
    session.run(session.broker.submit(bracket()))
    events = session.settled()
    assert states(events) == {"E": R, "S": R, "T": R}
    assert "no such stop" in reasons(events)["E"]
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])


def test_a_refused_target_leaves_a_protected_entry(session: Session, gateway: GatewayThread) -> None:
    gateway.fault("reject", "placeOrder", order_ref="T", code=201, text="Order rejected - reason: no target today")
    session.run(session.broker.submit(bracket()))
    assert states(session.settled()) == {"E": F, "S": W, "T": R}


@pytest.mark.parametrize("last_status", ["Inactive", "Cancelled", ""])
def test_a_rejected_order_is_reported_as_rejected(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], last_status: str
) -> None:
    gateway = open_gateway(policy=Policy(rejects_as=last_status), cash=100, is_margin=False)
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    events = session.settled()
    assert states(events) == {"E": R}
    assert "201" in reasons(events)["E"]


def test_partial_fills_add_up_and_the_order_fills_once(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit(bracket("LIMIT", limit_price="99")))
    session.settled()
    for _ in range(2):
        gateway.set_price("AAPL", "99", size=4)
    events = session.settled()
    assert fills(events) == [("E", 4, 99), ("E", 4, 99)]
    assert states(events).get("E", W) is W
    gateway.set_price("AAPL", "99", size=4)
    events = session.settled()
    assert (fills(events), states(events)["E"]) == ([("E", 2, 99)], F)


def test_a_target_that_fills_in_part_leaves_a_stop_for_the_rest(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session]
) -> None:
    """The venue does here what the order's own OCA type says."""
    gateway = open_gateway(policy=Policy(oca_partial=OcaPartial.BY_TYPE))
    session = connect(gateway.port)
    session.run(session.broker.submit(bracket()))
    session.settled()
    gateway.fill("T", 4)
    updates = [event for event in session.settled() if isinstance(event, OrderUpdate)]
    assert [(short(u.client_order_id), u.status, u.quantity) for u in updates if u.client_order_id.endswith("S")] == [
        ("S", W, 6)
    ]
    gateway.set_price("AAPL", "97")
    assert fills(session.settled()) == [("S", 6, 97)]
    assert gateway.books().positions == {}


def shared() -> list[Order]:
    """Return an entry of 10 with two tranches of exits."""
    return [
        order("E", "BUY", "LIMIT", limit_price="100"),
        *(
            order(f"{leg}{tranche}", "SELL", kind, quantity=quantity, parent="E", oca_group=f"b1-{tranche}", **price)
            for tranche, quantity, target in ((1, "6", "107"), (2, "4", "112"))
            for leg, kind, price in (("S", "STOP", {"stop_price": "97"}), ("T", "LIMIT", {"limit_price": target}))
        ),
    ]


@pytest.mark.parametrize("is_away", [False, True])
def test_a_target_leaves_the_stops_of_the_other_tranches_even_where_siblings_are_one_group(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], *, is_away: bool
) -> None:
    gateway = open_gateway(policy=Policy(siblings_are_one_group=True), prices={"AAPL": "101"})
    session = connect(gateway.port)
    session.run(session.broker.submit(shared()))
    if is_away:  # the entry fills while nobody is connected
        session.close()
        gateway.set_price("AAPL", "100")
        session = connect(gateway.port)
    else:
        gateway.set_price("AAPL", "100")
        session.settled()
    session.run(session.broker.snapshot())
    session.wait(lambda: not any(row.terms.parent_id for row in gateway.books().open_orders()))
    gateway.set_price("AAPL", "107")
    session.settled()
    assert gateway.books().positions == {"AAPL": 4}
    left = {row.terms.order_ref[-2:]: row.terms.quantity for row in gateway.books().open_orders()}
    assert left == {"S2": 4, "T2": 4}


@pytest.mark.parametrize("fault", ["duplicate", "hold", "delay"])
@pytest.mark.parametrize("message", ["execDetails", "orderStatus", "openOrder", "commissionReport"])
def test_answers_twice_late_or_out_of_order_report_the_same(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session], fault: str, message: str
) -> None:
    gateway = open_gateway(plan=CommissionPlan.IB_FIXED)
    session = connect(gateway.port)
    gateway.fault(fault, message, times=2, seconds=0.05)
    session.run(session.broker.submit(bracket()))
    events = session.settled()
    while not any(isinstance(event, Fill) and event.commission for event in events):
        events += session.settled()
    reported = {event.key: event for event in events if isinstance(event, Fill)}
    assert [(fill.quantity, fill.commission) for fill in reported.values()] == [(10, 1)]
    assert states(events) == {"E": F, "S": W, "T": W}


def test_a_status_before_its_execution_waits_for_it(
    open_gateway: Callable[..., GatewayThread], connect: Callable[..., Session]
) -> None:
    gateway = open_gateway(policy=Policy(status_before_execution=True))
    session = connect(gateway.port)
    session.run(session.broker.submit(bracket()))
    words = ["fill" if isinstance(e, Fill) else e.status for e in session.settled() if short(e.client_order_id) == "E"]
    assert words == [W, "fill", F]


def test_a_filled_order_whose_execution_got_lost_asks_for_it(session: Session, gateway: GatewayThread) -> None:
    gateway.fault("swallow", "execDetails")
    session.run(session.broker.submit(bracket()))
    events = session.settled()
    assert fills(events) == [("E", 10, 100)]
    assert states(events)["E"] is F


def test_an_order_that_is_gone_has_not_ended_before_its_executions_were_reported(
    gateway: GatewayThread, connect: Callable[..., Session]
) -> None:
    session = connect(gateway.port, request_timeout_s=0.3)
    session.run(session.broker.submit([order("E", "BUY", "LIMIT", limit_price="99")]))
    session.settled()
    for message in ("execDetails", "orderStatus", "openOrder"):
        gateway.fault("swallow", message)
    gateway.set_price("AAPL", "99")
    gateway.clear_faults()
    gateway.fault("swallow", "reqExecutions")
    gateway.error("E", 161, "Cancel attempted when order is not in a cancellable state")
    events = session.settled()
    assert fills(events) == [("E", 10, 99)]
    assert [event.status for event in events if isinstance(event, OrderUpdate)] == [F]


def test_a_fill_after_the_cancel_was_reported_still_counts(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit([order("E", "BUY", "LIMIT", limit_price="90")]))
    session.settled()
    gateway.late_fill("E", 3)
    session.run(session.broker.cancel("apex-b1-E"))
    events = session.settled()
    assert fills(events) == [("E", 3, Decimal(90))] or fills(events)[0][:2] == ("E", 3)
    assert session.run(session.broker.snapshot()).positions == {"AAPL": 3}


def test_a_correction_replaces_the_execution(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    (fill,) = [e for e in session.settled() if isinstance(e, Fill)]
    gateway.correct(fill.exec_id, "100.5")
    (corrected,) = [e for e in session.settled() if isinstance(e, Fill)]
    assert (corrected.key, corrected.price, corrected.revision) == (fill.key, Decimal("100.5"), fill.revision + 1)
    assert [f.price for f in session.run(session.broker.snapshot()).fills] == [Decimal("100.5")]


SIDE, SHARES, PRICE = 18, 19, 20
"""Numbers of fields of ``execDetails``, server version 176."""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(PRICE, value) for value in ("nan", "0", "", "-5", "1.7976931348623157E308")],
        *[(SHARES, value) for value in ("nan", "0", "-10", "1.7976931348623157E308")],
        (SIDE, "WHAT"),
    ],
)
def test_an_execution_that_cannot_be_read_is_not_booked_and_leaves_its_order_in_doubt(
    session: Session, gateway: GatewayThread, field: int, value: str
) -> None:
    gateway.fault("spoil", "execDetails", times=0, field=field, text=value)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    snapshot = session.run(session.broker.snapshot())
    assert (fills(session.broker.drain()), snapshot.fills) == ([], ())
    assert snapshot.missing == (f"what became of {PREFIX}E",)
    gateway.clear_faults()
    session.run(session.broker.snapshot())
    assert fills(session.settled()) == [("E", 10, 100)], "asked again, it can be read"


def test_a_correction_to_no_shares_takes_the_execution_back_and_leaves_no_doubt(
    session: Session, gateway: GatewayThread, connect: Callable[..., Session]
) -> None:
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    (fill,) = [e for e in session.settled() if isinstance(e, Fill)]
    gateway.correct(fill.exec_id, fill.price, shares=0)
    (taken_back,) = [e for e in session.settled() if isinstance(e, Fill)]
    assert (taken_back.key, taken_back.quantity, taken_back.revision) == (fill.key, 0, fill.revision + 1)
    session.close()
    fresh = connect(gateway.port)
    for each in (fresh.run(fresh.broker.snapshot()), fresh.run(fresh.broker.snapshot())):
        assert (each.missing, [f.quantity for f in each.fills]) == ((), [0])


def test_a_holding_whose_quantity_is_no_number_is_not_nothing(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    gateway.fault("spoil", "position", field=14, text="nan")
    snapshot = session.run(session.broker.snapshot())
    assert (snapshot.is_complete, snapshot.missing) == (False, ("positions",))
    assert session.run(session.broker.snapshot()).positions == {"AAPL": 10}


def test_a_repeated_execution_is_no_news(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    (fill,) = [e for e in session.settled() if isinstance(e, Fill)]
    gateway.repeat(fill.exec_id)
    assert session.settled() == []


def test_what_others_do_is_in_the_snapshot_and_never_reported(session: Session, gateway: GatewayThread) -> None:
    gateway.trade_by_hand("AAPL", "BUY", 7)
    gateway.trade_by_hand("AAPL", "SELL", 7, order_type="LMT", limit_price=Decimal(120))
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert {short(e.client_order_id) for e in session.settled()} == {"E"}
    snapshot = session.run(session.broker.snapshot())
    assert snapshot.positions == {"AAPL": 17}
    assert [(f.quantity, f.client_order_id) for f in snapshot.foreign_fills] == [(7, "")]
    (working,) = snapshot.working
    assert (working.client_order_id, working.is_ours_to_cancel, working.quantity) == ("", False, 7)


def test_an_order_of_another_client_id_is_not_touched(gateway: GatewayThread, connect: Callable[..., Session]) -> None:
    first = connect(gateway.port, client_id=1)
    first.run(first.broker.submit([order("E", "BUY", "LIMIT", limit_price="90")]))
    second = connect(gateway.port, client_id=2)
    for work in (
        second.broker.cancel("apex-b1-E"),
        second.broker.modify(order("E", "BUY", "LIMIT", limit_price="91")),
    ):
        with pytest.raises(BrokerError, match="placed by client 1, this is client 2"):
            second.run(work)
    (row,) = gateway.books().orders
    assert (row.is_open, row.terms.limit_price) == (True, 90)


def test_prices_go_to_the_step_of_their_own_band(session: Session, gateway: GatewayThread) -> None:
    odd = order("E", "BUY", "LIMIT", limit_price="90.0049")
    session.run(session.broker.submit([odd, order("S", "SELL", "STOP", stop_price="88.001", parent="E")]))
    books = gateway.books()
    assert (books.order("E").terms.limit_price, books.order("S").terms.aux_price) == (Decimal(90), Decimal("88.01"))


def test_a_trailing_stop_reports_where_it_stands(session: Session, gateway: GatewayThread) -> None:
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    session.run(session.broker.submit([order("S", "SELL", "TRAIL", trail_amount="2", stop_price="98")]))
    session.settled()
    gateway.set_price("AAPL", "105")
    session.settled()
    snapshot = session.run(session.broker.snapshot())
    assert {o.client_order_id: o.stop_price for o in snapshot.working} == {"apex-b1-S": 103}
    assert {u.client_order_id: u.stop_price for u in snapshot.orders if u.status is W} == {"apex-b1-S": 103}
    gateway.set_price("AAPL", "102")
    assert fills(session.settled()) == [("S", 10, 102)]


def test_orders_are_numbered_after_every_id_seen(gateway: GatewayThread, connect: Callable[..., Session]) -> None:
    """After a restart of the gateway its ids go back: ours are told apart by name and the broker's number."""
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "LIMIT", limit_price="90")]))
    session.settled()
    gateway.cut()
    gateway.set_next_id(1, 1)
    session.wait(lambda: session.broker.connections == 2)
    session.run(session.broker.submit([order("C1", "SELL", "LIMIT", limit_price="120")]))
    session.settled()
    session.run(session.broker.cancel("apex-b1-C1"))
    assert states(session.settled()) == {"C1": C}
    assert gateway.books().order("E").is_open


def test_the_margin_preview_has_the_brokers_numbers(session: Session) -> None:
    preview = session.run(session.broker.preview(order("E", "BUY", "MARKET")))
    assert preview is not None
    assert preview.equity_with_loan_after == Decimal(100000)
    assert preview.init_margin_after == Decimal(500)


def test_a_preview_that_never_comes_is_none(gateway: GatewayThread, connect: Callable[..., Session]) -> None:
    session = connect(gateway.port, quote_timeout_s=0.1)
    gateway.fault("swallow", "whatIfOrder", times=0)
    assert session.run(session.broker.preview(order("E", "BUY", "MARKET"))) is None
    assert gateway.books().orders == ()


def test_an_unknown_security_is_refused_before_anything_is_sent(session: Session, gateway: GatewayThread) -> None:
    unknown = replace(
        order("E", "BUY", "MARKET"), instrument=replace(order("E", "BUY", "MARKET").instrument, symbol="NOPE")
    )
    with pytest.raises(BrokerError, match="knows no NOPE"):
        session.run(session.broker.submit([unknown]))
    assert gateway.books().orders == ()


def test_a_silent_answer_about_one_security_is_no_broken_connection(
    gateway: GatewayThread, connect: Callable[..., Session]
) -> None:
    session = connect(gateway.port, request_timeout_s=0.3)
    entry = order("E", "BUY", "MARKET")
    gateway.fault("swallow", "reqContractDetails", times=3)
    with pytest.raises(SecurityError, match="the contract of AAPL"):
        session.run(session.broker.identify(entry.instrument))
    with pytest.raises(BrokerError, match="did not answer within") as of_order:  # a close is no signal of many
        session.run(session.broker.submit([entry]))
    assert not isinstance(of_order.value, SecurityError)
    gateway.fault("swallow", "reqCurrentTime")
    with pytest.raises(BrokerError, match="did not answer within") as caught:
        session.run(session.broker.identify(entry.instrument))
    assert not isinstance(caught.value, SecurityError)
    assert session.run(session.broker.identify(entry.instrument)).symbol == "AAPL"


@pytest.mark.parametrize("terms", [{"quantity": 0}, {"limit_price": None}, {"limit_price": "-1"}])
def test_nonsense_is_refused_here(session: Session, gateway: GatewayThread, terms: dict[str, Any]) -> None:
    session.run(session.broker.submit([order("E", "BUY", "LIMIT", **{"limit_price": "90", **terms})]))
    assert states(session.settled()) == {"E": R}
    assert gateway.books().orders == ()


def test_prices_are_reported_as_they_were_sent(session: Session, gateway: GatewayThread) -> None:
    sold = order("C", "SELL", "LIMIT", limit_price="120.003")
    session.run(session.broker.submit([sold]))
    (row,) = gateway.books().orders
    sent = row.terms.limit_price
    reported = [event.limit_price for event in session.settled() if isinstance(event, OrderUpdate)]
    assert (sent, reported[-1]) == (Decimal("120.01"), Decimal("120.01"))
    session.run(session.broker.modify(replace(sold, limit_price=Decimal("125.007"))))
    reported = [event.limit_price for event in session.settled() if isinstance(event, OrderUpdate)]
    assert reported[-1] == Decimal("125.01")
