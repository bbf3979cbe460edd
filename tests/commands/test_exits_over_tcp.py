"""Exits at a broker that refuses: nothing that protects is taken away before what follows is known to be possible."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.gateway.control import BooksView
from apex_cli.gateway.rows import OrderRow
from kit.gateway import GatewayThread

CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true, entry_order: {entry_order}}}
risk: {{capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}}
day_trades: {{regime: "off"}}
management: {management}
broker:
  ib: {{library: {library}, ib_port: {port}, ib_client_id: {client_id}, quiet_hours: {quiet_hours}, ack_timeout_s: 3}}
"""
SIGNAL = {"signal_id": "s1", "symbol": "AAPL", "signal_type": "BUY", "entry_price": 100, "stop_loss": 98}
REFUSED = {"code": 10326, "text": "OCA group revision is not allowed."}
Apex = Callable[..., Any]
House = Callable[..., None]


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100"})
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, gateway: GatewayThread, request: pytest.FixtureRequest) -> House:
    """Stand in a folder with one signal; the result writes another configuration."""

    def configured(**changes: Any) -> None:
        terms = {"entry_order": "market", "management": "{}", "client_id": 1, "quiet_hours": "[]", **changes}
        (here / "config.yaml").write_text(CONFIG.format(library=request.param, port=gateway.port, **terms))

    (here / "signals.json").write_text(json.dumps([{**SIGNAL, "target_price": 106, "confidence": 0.9}]))
    configured()
    return configured


@pytest.fixture
def held(house: House, apex_json: Apex, gateway: GatewayThread) -> House:
    """Hold 100 AAPL under a stop and a target."""
    assert apex_json("run", "--once", "--signals", "signals.json").status == 0
    assert gateway.books().positions == {"AAPL": 100}
    return house


def exits(books: BooksView) -> dict[str, OrderRow]:
    return {row.terms.order_ref.rpartition("-")[2]: row for row in books.open_orders() if row.terms.action == "SELL"}


def most(rows: list[OrderRow]) -> Decimal:
    """Return what *rows* could fill together; those of one OCA group count once."""
    groups: dict[str, Decimal] = {}
    for row in rows:
        name = row.terms.oca_group or str(row.perm_id)
        groups[name] = max(groups.get(name, Decimal(0)), row.remaining)
    return sum(groups.values(), Decimal(0))


@contextmanager
def watched(gateway: GatewayThread, *, least: int) -> Iterator[None]:
    """Look at the books again and again: exits never exceed what is held, and *least* of it always has a stop."""
    wrong: list[str] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            books = gateway.books()
            rows, holding = list(exits(books).values()), books.positions.get("AAPL", Decimal(0))
            stops = most([row for row in rows if row.terms.order_type == "STP"])
            if most(rows) > holding:
                wrong.append(f"exits for {most(rows)} of {holding}")
            if stops < least:
                wrong.append(f"a stop for {stops} of {holding}")
            time.sleep(0.002)

    watcher = threading.Thread(target=look)
    watcher.start()
    yield
    is_over.set()
    watcher.join()
    assert wrong == []


def test_a_close_in_quiet_hours_is_refused_before_it_touches_the_exits(
    held: House, apex_json: Apex, gateway: GatewayThread
) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - these processes live by the machine's clock
    window = "-".join(f"{now + timedelta(minutes=minutes):%H:%M}" for minutes in (-10, 50))
    held(quiet_hours=f"['{window}@UTC']")
    for more in ((), ("--fraction", "0.5"), ("--limit", "105")):
        with watched(gateway, least=100):
            closed = apex_json("close", "AAPL", "--yes", *more)
        assert (closed.status, closed.error["code"]) == (5, "ib_quiet_hours")
    assert set(exits(gateway.books())) == {"S1", "T1"}


@pytest.mark.usefixtures("held")
def test_a_close_in_a_halt_is_refused_before_it_touches_the_exits(apex_json: Apex, gateway: GatewayThread) -> None:
    gateway.set_standing("AAPL", is_halted=True)
    for more in ((), ("--fraction", "0.5")):
        with watched(gateway, least=100):
            closed = apex_json("close", "AAPL", "--yes", *more)
        assert (closed.status, closed.error["code"]) == (8, "halted")
    assert set(exits(gateway.books())) == {"S1", "T1"}
    assert apex_json("close", "AAPL", "--limit", "105", "--yes").status == 0, "a limit rests until it trades"
    gateway.set_standing("AAPL", is_halted=False)
    assert apex_json("close", "AAPL", "--yes").status == 0
    assert gateway.books().positions == {}


@pytest.mark.usefixtures("held")
def test_a_close_that_would_be_refused_does_not_touch_the_exits(apex_json: Apex, gateway: GatewayThread) -> None:
    gateway.fault("reject", "whatIfOrder", times=0, code=201, text="Order rejected - reason:closing only by phone")
    with watched(gateway, least=100):
        closed = apex_json("close", "AAPL", "--fraction", "0.5", "--yes")
    assert (closed.status, closed.error["code"]) == (4, "close_refused")
    assert "only by phone" in closed.error["message"]
    assert {name: row.remaining for name, row in exits(gateway.books()).items()} == {"S1": 100, "T1": 100}
    assert apex_json("positions").data["positions"][0]["protected_quantity"] == 100


@pytest.mark.usefixtures("held")
def test_a_whole_close_that_is_refused_leaves_the_exits(apex_json: Apex, gateway: GatewayThread) -> None:
    gateway.fault(
        "reject", "placeOrder", order_ref="-C1", code=201, text="Order rejected - reason:closing only by phone"
    )
    with watched(gateway, least=100):
        closed = apex_json("close", "AAPL", "--yes")
    assert (closed.status, closed.error["code"]) == (4, "close_rejected")
    assert closed.error["hint"] == "Its stop and targets stay in place."
    assert set(exits(gateway.books())) == {"S1", "T1"}


def test_a_close_from_another_client_id_leaves_the_exits(held: House, apex_json: Apex, gateway: GatewayThread) -> None:
    held(client_id=7)
    with watched(gateway, least=100):
        closed = apex_json("close", "AAPL", "--yes")
    assert (closed.status, closed.error["code"]) == (5, "ib_order_of_other_client")
    assert set(exits(gateway.books())) == {"S1", "T1"}


@pytest.mark.usefixtures("held")
def test_part_is_closed_although_exits_cannot_be_changed(apex_json: Apex, gateway: GatewayThread) -> None:
    gateway.fault("reject", "modifyOrder", times=0, **REFUSED)
    with watched(gateway, least=50):
        closed = apex_json("close", "AAPL", "--fraction", "0.5", "--yes")
    (row,) = closed.data["closed"]
    assert (closed.status, row["status"], row["remaining"]) == (0, "reduced", 50)
    assert {warning["code"] for warning in closed.envelope["warnings"]} == {"exit_replaced"}
    assert "10326" in str(closed.envelope["warnings"])
    found = exits(gateway.books())
    assert {name: each.remaining for name, each in found.items()} == {"S2": 50, "T2": 50}
    assert len({each.terms.oca_group for each in found.values()}) == 1


@pytest.mark.usefixtures("held")
def test_exits_shrink_after_a_sale_by_hand_although_they_cannot_be_changed(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    gateway.fault("reject", "modifyOrder", times=0, **REFUSED)
    gateway.trade_by_hand("AAPL", "SELL", 60)
    apex_json("run", "--once", "--signals", "signals.json")
    assert apex_json("reconcile", "--repair").status == 6, "a person says what the difference is"
    assert most(list(exits(gateway.books()).values())) == 40
    assert {row.remaining for row in exits(gateway.books()).values()} == {40}


def test_a_stop_moves_although_it_cannot_be_changed(held: House, apex_json: Apex, gateway: GatewayThread) -> None:
    held(management="{breakeven_at_r: 1}")
    gateway.fault("reject", "modifyOrder", times=0, **REFUSED)
    gateway.set_price("AAPL", "103")
    with watched(gateway, least=100):
        apex_json("run", "--once", "--signals", "signals.json")
    stops = [row for row in exits(gateway.books()).values() if row.terms.order_type == "STP"]
    assert [(row.remaining, row.terms.aux_price) for row in stops] == [(100, 100)]
    (position,) = apex_json("positions").data["positions"]
    assert (position["stop_price"], position["protected_quantity"]) == ("100.00", 100)


@pytest.mark.parametrize(("leg", "price"), [("-S1", "97.90"), ("-T1", "106.00")])
def test_an_entry_does_not_go_on_after_an_exit_of_it_has_filled(
    house: House, apex_json: Apex, gateway: GatewayThread, leg: str, price: str
) -> None:
    house(entry_order="limit")
    gateway.set_price("AAPL", "100.40")
    apex_json("run", "--once", "--signals", "signals.json")
    gateway.fill("-E", 40, "100")
    gateway.fill(leg, 40, price)
    assert gateway.books().order("-E").is_open
    apex_json("run", "--once", "--signals", "signals.json")
    gateway.set_price("AAPL", "99")
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])
    (trip,) = apex_json("history").data["round_trips"]
    assert trip["quantity"] == 40


def test_an_entry_goes_on_while_its_exits_rest(house: House, apex_json: Apex, gateway: GatewayThread) -> None:
    house(entry_order="limit")
    gateway.set_price("AAPL", "100.40")
    apex_json("run", "--once", "--signals", "signals.json")
    gateway.fill("-E", 40, "100")
    apex_json("run", "--once", "--signals", "signals.json")
    gateway.set_price("AAPL", "99.90")
    assert gateway.books().positions == {"AAPL": 100}
    assert most(list(exits(gateway.books()).values())) == 100


def test_what_a_server_took_for_one_group_while_apex_was_off_is_whole_after_a_start(
    house: House, here: Path, apex_json: Apex, gateway: GatewayThread
) -> None:
    house(entry_order="limit")
    (here / "signals.json").write_text(json.dumps([{**SIGNAL, "target_prices": [104, 108], "confidence": 0.9}]))
    gateway.set_policy(siblings_are_one_group=True)
    gateway.set_price("AAPL", "100.40")
    apex_json("run", "--once", "--signals", "signals.json")
    gateway.set_price("AAPL", "100")
    gateway.set_price("AAPL", "104")
    assert (gateway.books().positions, gateway.books().open_orders()) == ({"AAPL": 50}, [])
    apex_json("run", "--once", "--signals", "signals.json")
    found = exits(gateway.books())
    assert {name: (row.terms.order_type, row.remaining) for name, row in found.items()} == {
        "S3": ("STP", 50),
        "T3": ("LMT", 50),
    }
    assert most(list(found.values())) == 50
    (position,) = apex_json("positions").data["positions"]
    assert (position["protected_quantity"], position["target_prices"]) == (50, ["108.00"])
