"""Connecting: which account it may be, what every failure means, and how a lost connection comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from apex_cli.core.errors import ApexError, BrokerError, ConfigError, ExitStatus, RefusedError
from apex_cli.core.market.quiet_hours import parse_quiet_hours
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderStatus
from apex_cli.gateway.policy import Policy
from kit import FixedClock
from kit.gateway import GatewayThread
from kit.ib import Session, bracket, fills, order, reasons, states

W, F, C = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED
Connect = Callable[..., Session]
OpenGateway = Callable[..., GatewayThread]


def failure(connect: Connect, port: int, **terms: Any) -> ApexError:
    """Return why a connection is not made."""
    session = connect(port, is_connected=False, **terms)
    with pytest.raises(ApexError) as caught:
        session.run(session.broker.connect())
    assert session.broker.connections == 0
    return caught.value


def test_a_paper_account_is_taken(session: Session) -> None:
    assert session.broker.connections == 1
    account = session.run(session.broker.account())
    assert (account.equity, account.is_simulated) == (100000, False)


def test_a_live_account_behind_mode_paper_is_refused(open_gateway: OpenGateway, connect: Connect) -> None:
    error = failure(connect, open_gateway(account="U7654321").port)
    assert isinstance(error, RefusedError)
    assert (error.status, error.code) == (ExitStatus.REFUSED, "ib_account_kind")
    assert "U*****21" in error.message
    assert "7654321" not in error.message


def test_a_paper_account_behind_mode_live_is_refused(gateway: GatewayThread, connect: Connect) -> None:
    error = failure(connect, gateway.port, is_live=True, account="DU1234567")
    assert error.code == "ib_account_kind"


def test_live_needs_the_id_of_the_account(open_gateway: OpenGateway, connect: Connect) -> None:
    error = failure(connect, open_gateway(account="U7654321").port, is_live=True)
    assert (error.status, error.code) == (ExitStatus.CONFIG, "live_account_missing")


def test_another_live_account_than_configured_is_refused(open_gateway: OpenGateway, connect: Connect) -> None:
    port = open_gateway(account="U7654321").port
    error = failure(connect, port, is_live=True, account="U1111111")
    assert isinstance(error, ConfigError)
    assert "1111111" not in error.message
    assert "7654321" not in error.message


def test_live_with_every_word_trades(open_gateway: OpenGateway, connect: Connect) -> None:
    gateway = open_gateway(account="U7654321")
    session = connect(gateway.port, is_live=True, account="U7654321")
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert states(session.settled()) == {"E": F}
    assert gateway.books().order("E").terms.account == "U7654321"


def test_who_only_looks_may_look_at_a_live_account(open_gateway: OpenGateway, connect: Connect) -> None:
    session = connect(open_gateway(account="U7654321").port, read_only=True, is_live=True, account="U7654321")
    assert session.run(session.broker.account()).equity == 100000


def test_several_accounts_need_a_choice(open_gateway: OpenGateway, connect: Connect) -> None:
    error = failure(connect, open_gateway(account="DU1234567,DU7654321").port)
    assert (error.status, error.code) == (ExitStatus.CONFIG, "ib_several_accounts")


def test_a_closed_port_is_named(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = failure(connect, port)
    assert (error.status, error.code) == (ExitStatus.UNAVAILABLE, "ib_port_closed")
    assert f"127.0.0.1:{port}" in error.message


@pytest.fixture
def mute_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_accepts_and_says_nothing_is_named(mute_port: int, connect: Connect) -> None:
    error = failure(connect, mute_port, connect_timeout_s=0.3)
    assert error.code == "ib_mute"
    assert "logged in" in error.hint


@pytest.mark.parametrize("greeting", [b"\0\0\0\x0bxyz\0no date\0", b"\0\0\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_program_on_the_port_is_named_without_a_traceback(
    connect: Connect, caplog: pytest.LogCaptureFixture, greeting: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    client.sendall(greeting)
                    while client.recv(1000):
                        pass

        speaker = threading.Thread(target=greet)
        speaker.start()
        error = failure(connect, server.getsockname()[1], connect_timeout_s=0.3)
        speaker.join()
    assert error.code == "ib_mute"
    assert not [record for record in caplog.records if record.exc_info]


def test_an_unknown_host_is_named(connect: Connect) -> None:
    error = failure(connect, 4002, host="nowhere.invalid", connect_timeout_s=5)
    assert error.code == "ib_unreachable"


def test_a_client_id_in_use_is_reported_at_once(gateway: GatewayThread, connect: Connect) -> None:
    connect(gateway.port, client_id=5)
    error = failure(connect, gateway.port, client_id=5, connect_timeout_s=600)
    assert error.code == "ib_client_id_taken"
    assert "client id 5" in error.message


def test_who_only_looks_takes_the_next_free_id(gateway: GatewayThread, connect: Connect) -> None:
    for _ in range(3):
        connect(gateway.port, read_only=True, client_id=1)
    connect(gateway.port, client_id=1)
    assert gateway.books().clients == (1, 101, 102, 103)


def test_who_only_looks_never_sends(gateway: GatewayThread, connect: Connect) -> None:
    writer = connect(gateway.port)
    writer.run(writer.broker.submit([order("E", "BUY", "LIMIT", limit_price="90")]))
    looker = connect(gateway.port, read_only=True)
    for work in (
        looker.broker.submit([order("C", "SELL", "MARKET")]),
        looker.broker.cancel("apex-b1-E"),
        looker.broker.modify(order("E", "BUY", "LIMIT", limit_price="91")),
    ):
        with pytest.raises(BrokerError, match="only looks"):
            looker.run(work)
    (row,) = gateway.books().orders
    assert (row.is_open, row.terms.limit_price) == (True, 90)


def test_a_read_only_api_is_named_and_not_tried_twice(open_gateway: OpenGateway, connect: Connect) -> None:
    gateway = open_gateway(policy=Policy(read_only=True))
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    events = session.settled()
    assert states(events) == {"E": OrderStatus.REJECTED}
    assert "Read-Only" in reasons(events)["E"]
    with pytest.raises(BrokerError, match="is read-only"):
        session.run(session.broker.submit([order("C", "BUY", "MARKET")]))
    assert gateway.books().orders == ()


@pytest.mark.parametrize("request_", ["reqAllOpenOrders", "reqCompletedOrders", "reqExecutions", "reqPositions"])
def test_nothing_is_traded_on_a_part_of_the_state(gateway: GatewayThread, connect: Connect, request_: str) -> None:
    gateway.fault("swallow", request_, times=0)
    error = failure(connect, gateway.port, request_timeout_s=0.3, connect_timeout_s=0.6)
    assert isinstance(error, BrokerError)
    assert error.code in {"ib_incomplete", "ib_mute"}


def test_a_part_that_is_not_answered_makes_the_snapshot_incomplete(gateway: GatewayThread, connect: Connect) -> None:
    session = connect(gateway.port, request_timeout_s=0.3)
    gateway.fault("swallow", "reqCompletedOrders")
    assert not session.run(session.broker.snapshot()).is_complete
    assert session.run(session.broker.snapshot()).is_complete


def test_a_lost_connection_comes_back_with_what_happened(gateway: GatewayThread, connect: Connect) -> None:
    session = connect(gateway.port)
    session.run(session.broker.submit(bracket("LIMIT", limit_price="99")))
    session.settled()
    gateway.fault("swallow", "execDetails", times=1)
    gateway.fault("swallow", "orderStatus", times=1)
    gateway.cut()
    gateway.set_price("AAPL", "98.5")
    session.wait(lambda: session.broker.connections == 2)
    events = session.settled()
    assert fills(events) == [("E", 10, fills(events)[0][2])]
    assert states(events)["E"] is F
    assert session.settled() == [], "what was reported is not reported again"


def test_a_restarted_gateway_is_found_again(
    open_gateway: OpenGateway, connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = open_gateway(state=tmp_path_factory.mktemp("gateway") / "books.json")
    session = connect(gateway.port, reconnect_max_s=0.2)
    session.run(session.broker.submit(bracket("LIMIT", limit_price="90")))
    gateway.kill()
    session.wait(lambda: not session.broker.is_connected)
    with pytest.raises(BrokerError, match="no connection"):
        session.run(session.broker.account())
    with pytest.raises(BrokerError, match="no connection"):
        session.run(session.broker.submit([order("C", "SELL", "MARKET")]))
    gateway.start()
    session.wait(lambda: session.broker.connections == 2)
    assert states(session.run(session.broker.snapshot()).orders) == {"E": W, "S": W, "T": W}


def test_another_account_after_a_restart_ends_it(open_gateway: OpenGateway, connect: Connect) -> None:
    gateway = open_gateway()
    session = connect(gateway.port, reconnect_max_s=0.2)
    port = gateway.port
    gateway.kill()
    other = GatewayThread(account="U7654321", prices={"AAPL": "100"})
    other.port = port
    try:
        other.start()
        session.wait(lambda: session.broker.has_given_up)
        with pytest.raises(RefusedError, match="a live account"):
            session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
        assert other.books().orders == ()
    finally:
        other.close()


def test_a_silent_connection_is_made_anew(gateway: GatewayThread, connect: Connect) -> None:
    session = connect(gateway.port, heartbeat_s=0.1, request_timeout_s=0.3)
    gateway.fault("swallow", "reqCurrentTime")
    session.wait(lambda: session.broker.connections >= 2)


@pytest.mark.parametrize("code", [1100, 2110])
def test_nothing_leaves_while_the_broker_is_out_of_reach_behind_tws(
    gateway: GatewayThread, connect: Connect, code: int
) -> None:
    session = connect(gateway.port)
    gateway.system(code)
    session.run(session.broker.server_time())
    with pytest.raises(BrokerError, match="has lost its line"):
        session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert not session.run(session.broker.snapshot()).is_complete
    assert gateway.books().orders == ()


@pytest.mark.parametrize("code", [1101, 1102])
def test_a_line_that_came_back_is_synchronised_before_anything_leaves(
    gateway: GatewayThread, connect: Connect, code: int
) -> None:
    session = connect(gateway.port)
    gateway.system(1100)
    gateway.system(code)
    session.wait(lambda: session.broker.connections == 2)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    assert states(session.settled()) == {"E": F}


def test_nothing_leaves_in_quiet_hours_but_cancels_do(
    gateway: GatewayThread, connect: Connect, clock: FixedClock
) -> None:
    session = connect(gateway.port, quiet_hours=(parse_quiet_hours("23:45-00:45@America/New_York"),))
    session.run(session.broker.submit([order("E", "BUY", "LIMIT", limit_price="90")]))
    session.settled()
    clock.set(datetime(2026, 3, 3, 5, 0, tzinfo=UTC))
    with pytest.raises(BrokerError, match="23:45 to 00:45"):
        session.run(session.broker.submit([order("C", "SELL", "MARKET")]))
    with pytest.raises(BrokerError, match="23:45 to 00:45"):
        session.run(session.broker.modify(order("E", "BUY", "LIMIT", limit_price="91")))
    session.run(session.broker.cancel("apex-b1-E"))
    assert states(session.settled()) == {"E": C}


@pytest.mark.parametrize(
    "zone",
    [
        "US/Eastern",
        "",
        "MET",
        "Asia/Tokyo=JST",
        "Asia/Shanghai=China Standard Time",
        "America/New_York=Eastern Standard Time",
        "Europe/Berlin=W. Europe Standard Time",
        "America/Chicago=CST",
        "Asia/Kolkata=IST",
        "Asia/Hong_Kong=GMT+8",
        "Europe/Kiev=FLE Standard Time",
        "Pacific/Auckland=NZDT",
    ],
)
def test_executions_are_heard_whatever_the_time_zone_of_the_gateway(
    open_gateway: OpenGateway, connect: Connect, clock: FixedClock, zone: str
) -> None:
    gateway = open_gateway(policy=Policy(time_zone=zone))
    session = connect(gateway.port)
    session.run(session.broker.submit([order("E", "BUY", "MARKET")]))
    (fill,) = [event for event in session.settled() if isinstance(event, Fill)]
    assert fill.filled_at == clock.now()
    later = connect(gateway.port, client_id=5)
    snapshot = later.run(later.broker.snapshot())
    assert [(each.filled_at, snapshot.is_complete) for each in snapshot.fills] == [(clock.now(), True)]


def test_a_time_zone_that_nobody_knows_is_named(open_gateway: OpenGateway, connect: Connect) -> None:
    gateway = open_gateway(policy=Policy(time_zone="UTC=Moon Standard Time"))
    first = connect(gateway.port)
    first.run(first.broker.submit([order("E", "BUY", "MARKET")]))
    with pytest.raises(BrokerError, match="Moon Standard Time"):
        connect(gateway.port, client_id=5, request_timeout_s=1)


def test_two_brokers_share_no_loop(gateway: GatewayThread, connect: Connect) -> None:
    """Each asyncio.run has a loop of its own; the libraries are imported once."""
    for number in (1, 2):
        session = connect(gateway.port, client_id=number)
        assert session.run(session.broker.account()).equity == 100000
        session.close()


@pytest.mark.parametrize("zero_is_all", [True, False])
@pytest.mark.parametrize("read_only", [True, False])
def test_fills_missed_live_are_heard_whatever_client_0_means_in_a_filter(
    open_gateway: OpenGateway, connect: Connect, *, zero_is_all: bool, read_only: bool
) -> None:
    gateway = open_gateway(policy=Policy(executions_of_zero_is_all=zero_is_all))
    first = connect(gateway.port)
    first.run(first.broker.submit(bracket()))
    first.settled()
    first.drop()
    gateway.set_price("AAPL", "98")
    later = connect(gateway.port, read_only=read_only)
    assert sorted(fills(later.settled())) == [("E", 10, 100), ("S", 10, 98)]
    snapshot = later.run(later.broker.snapshot())
    assert (snapshot.is_complete, len(snapshot.fills)) == (True, 2)
