"""No command ends in doubt: what a broker refuses, delays or swallows after the acknowledgement, over TCP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import GatewayThread

CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true, entry_order: {entry_order}}}
risk: {{capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}}
protection: {{on_rejected_stop: {on_rejected_stop}}}
broker:
  ib: {{library: {library}, ib_port: {port}, quiet_hours: [], ack_timeout_s: 2, never_sent_after_s: {wait}}}
"""
SIGNAL = {"signal_id": "s1", "symbol": "AAPL", "signal_type": "BUY", "entry_price": 100, "stop_loss": 98}
Apex = Callable[..., Any]
REFUSED = {"code": 201, "text": "Order rejected - reason:Stop price is invalid"}


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "MSFT": "400"})
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, gateway: GatewayThread, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Stand in a folder with one signal; the result writes another configuration."""

    def configured(**changes: Any) -> None:
        terms = {"entry_order": "market", "on_rejected_stop": "alarm", "wait": 60, **changes}
        (here / "config.yaml").write_text(CONFIG.format(library=request.param, port=gateway.port, **terms))

    signal = {**SIGNAL, "target_price": 106, "confidence": 0.9}
    (here / "signals.json").write_text(json.dumps([signal]))
    configured()
    return configured


def run(apex_json: Apex) -> Any:
    return apex_json("run", "--once", "--signals", "signals.json")


def stops_at(gateway: GatewayThread, symbol: str = "AAPL") -> Decimal:
    rows = [row for row in gateway.books().open_orders() if row.key == symbol]
    return sum((row.remaining for row in rows if row.terms.order_type == "STP"), Decimal(0))


def entries(gateway: GatewayThread) -> list[str]:
    return [row.terms.order_ref for row in gateway.books().orders if row.terms.order_ref.endswith("-E")]


def codes(answer: Any) -> list[str]:
    return [warning["code"] for warning in answer.envelope["warnings"]]


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.3, 0.8])
@pytest.mark.usefixtures("house")
def test_a_stop_that_is_refused_late_is_replaced_before_the_run_ends(
    apex_json: Apex, gateway: GatewayThread, seconds: float
) -> None:
    gateway.fault("refuse_later", "placeOrder", order_ref="-S1", seconds=seconds, **REFUSED)
    done = run(apex_json)
    assert (done.status, done.data["signals"][0]["outcome"]) == (0, "executed")
    assert codes(done) == ["protection_restored"]
    assert gateway.books().positions == {"AAPL": 100}
    assert stops_at(gateway) == 100
    (position,) = apex_json("positions").data["positions"]
    assert position["protected_quantity"] == 100


@pytest.mark.usefixtures("house")
def test_a_stop_that_is_refused_again_and_again_is_an_alarm_and_counts_for_nothing(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    for number in range(1, 6):
        gateway.fault("refuse_later", "placeOrder", order_ref=f"-S{number}", seconds=0.02, **REFUSED)
    done = run(apex_json)
    assert {"unprotected", "stop_rejected"} <= set(codes(done))
    assert done.status == 6
    assert "-S4: " in str(done.envelope["errors"]), "it names the stop"
    (position,) = apex_json("positions").data["positions"]
    assert (position["protected_quantity"], stops_at(gateway)) == (0, 0)
    again = apex_json("run", "--once", "--signals", "-")
    assert (again.status, "unprotected" in str(again.envelope["errors"])) == (6, True), "as long as it is not covered"


@pytest.mark.usefixtures("house")
def test_an_approval_whose_stop_is_refused_ends_with_status_6_and_prints_the_alarm(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    for number in range(1, 6):
        gateway.fault("refuse_later", "placeOrder", order_ref=f"-S{number}", seconds=0.02, **REFUSED)
    apex_json("run", "--once", "--manual", "--signals", "signals.json")
    done = apex_json("approve", "--all", "--yes")
    assert done.status == 6
    assert {"unprotected", "stop_rejected"} <= set(codes(done))


@pytest.mark.usefixtures("house")
def test_a_part_that_is_closed_leaves_status_6_where_the_rest_gets_no_stop(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    assert run(apex_json).status == 0
    for number in range(2, 12):
        gateway.fault("reject", "placeOrder", order_ref=f"-S{number}", times=0, **REFUSED)
    gateway.cancel_by_hand("-S1")
    done = apex_json("close", "AAPL", "--fraction", "0.5", "--yes")
    assert done.status == 6
    assert {"unprotected", "stop_rejected"} <= set(codes(done))


def test_a_position_is_closed_where_no_stop_is_taken_and_so_configured(
    house: Callable[..., None], apex_json: Apex, gateway: GatewayThread
) -> None:
    house(on_rejected_stop="flatten")
    for number in range(1, 6):
        gateway.fault("refuse_later", "placeOrder", order_ref=f"-S{number}", seconds=0.02, **REFUSED)
    assert "stop_rejected" in codes(run(apex_json))
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])


def test_an_entry_that_is_refused_late_is_not_reported_as_executed(
    house: Callable[..., None], apex_json: Apex, gateway: GatewayThread
) -> None:
    house(entry_order="limit")
    gateway.set_price("AAPL", "100.40")
    gateway.fault("refuse_later", "placeOrder", order_ref="-E", seconds=0.3, **REFUSED)
    (signal,) = run(apex_json).data["signals"]
    assert signal["outcome"] == "refused"
    assert "Stop price is invalid" in str(signal["reasons"])
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])


@pytest.mark.usefixtures("house")
def test_a_fill_that_cannot_be_read_is_in_doubt_with_status_6_until_it_can(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    gateway.fault("spoil", "execDetails", times=0, field=20, text="nan")
    done = run(apex_json)
    assert done.status == 6
    assert "-E" in str(done.envelope["errors"]), "it names the order"
    assert apex_json("positions").data["positions"] == []
    gateway.clear_faults()
    assert apex_json("run", "--once").status in {0, 8}
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], position["entry_price"], position["protected_quantity"]) == (100, "100.00", 100)


@pytest.mark.usefixtures("house")
def test_a_swallowed_placement_is_unknown_with_status_6_and_its_name(apex_json: Apex, gateway: GatewayThread) -> None:
    gateway.fault("swallow", "placeOrder", times=0)
    done = run(apex_json)
    (signal,) = done.data["signals"]
    assert (done.status, signal["outcome"]) == (6, "unknown")
    assert done.data["summary"]["outcomes"]["unknown"] == 1
    assert signal["orders"][0] in signal["reasons"][0]["message"]


def test_what_is_only_absent_is_not_entered_again_by_itself(
    house: Callable[..., None], apex_json: Apex, gateway: GatewayThread
) -> None:
    house(wait=5)
    gateway.fault("swallow", "placeOrder", times=0)
    assert run(apex_json).status == 6
    gateway.clear_faults()
    time.sleep(3)
    again = run(apex_json)
    assert again.data["signals"][0]["outcome"] == "duplicate"
    assert entries(gateway) == []
    assert "under another signal_id" in str(again.envelope["warnings"])


@pytest.mark.usefixtures("house")
def test_an_order_that_turns_up_late_is_taken_over_protected_and_not_entered_twice(
    apex_json: Apex, gateway: GatewayThread
) -> None:
    gateway.fault("delay", "placeOrder", times=3, seconds=2.5)
    done = run(apex_json)
    assert (done.status, done.data["signals"][0]["outcome"]) == (0, "executed")
    assert run(apex_json).data["signals"][0]["outcome"] == "duplicate"
    assert (len(entries(gateway)), stops_at(gateway)) == (1, 100)


@pytest.mark.parametrize("after", [2, 3])
@pytest.mark.usefixtures("house")
def test_a_socket_that_is_cut_after_an_acknowledgement_does_not_end_the_run_in_doubt(
    apex_json: Apex, gateway: GatewayThread, after: int
) -> None:
    gateway.fault("cut_after", "openOrder", after=after)
    done = run(apex_json)
    assert done.data["signals"][0]["orders"]
    assert (done.status, done.data["signals"][0]["outcome"]) == (0, "executed")
    (position,) = apex_json("positions").data["positions"]
    assert position["protected_quantity"] == 100


def test_an_approval_ends_with_what_became_of_its_stop(
    house: Callable[..., None], here: Path, apex_json: Apex, gateway: GatewayThread
) -> None:
    house()
    config = here / "config.yaml"
    config.write_text(config.read_text().replace("auto_execute: true", "auto_execute: false"))
    run(apex_json)
    (waiting,) = apex_json("approve").data["approvals"]
    gateway.fault("refuse_later", "placeOrder", order_ref="-S1", seconds=0.3, **REFUSED)
    assert apex_json("approve", waiting["approval_id"], "--yes").status == 0
    assert stops_at(gateway) == 100


def test_cron_runs_report_of_an_outage_once_on_every_channel(here: Path, apex_json: Apex) -> None:
    def alarms() -> int:
        lines = (here / "notices.jsonl").read_text().splitlines() if (here / "notices.jsonl").exists() else []
        return sum(1 for line in lines if json.loads(line)["kind"] == "alarm")

    made = GatewayThread(prices={"AAPL": "100"})
    made.start()
    config = CONFIG.format(library="ib_insync", port=made.port, entry_order="market", on_rejected_stop="alarm", wait=60)
    (here / "config.yaml").write_text(config + "notify: {log_file: notices.jsonl}\n")
    assert apex_json("run", "--once").status == 8
    made.close()
    for _ in range(2):
        assert (apex_json("run", "--once").status, alarms()) == (5, 1)


@pytest.mark.parametrize("work", [["close", "AAPL", "--yes"], ["move-stop", "AAPL", "99", "--yes"], ["run", "--once"]])
def test_nothing_is_sent_to_another_account_than_that_of_the_state(
    house: Callable[..., None], apex_json: Apex, gateway: GatewayThread, here: Path, work: list[str]
) -> None:
    assert run(apex_json).status == 0
    other = GatewayThread(account="DU7654321", prices={"AAPL": "100"})
    other.start()
    try:
        text = (here / "config.yaml").read_text()
        (here / "config.yaml").write_text(text.replace(f"ib_port: {gateway.port}", f"ib_port: {other.port}"))
        done = apex_json(*work)
        assert "account_differs" in str(done.envelope["errors"] + done.envelope["warnings"])
        assert done.status == (5 if work[0] != "run" else 8)
        assert (other.books().positions, other.books().orders) == ({}, ())
    finally:
        other.close()
    house()
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], stops_at(gateway)) == (100, 100)


@pytest.mark.usefixtures("house")
def test_what_has_no_stop_is_neither_protected_nor_closed_in_another_account(
    apex_json: Apex, gateway: GatewayThread, here: Path
) -> None:
    assert run(apex_json).status == 0
    gateway.fault("reject", "placeOrder", times=0, **REFUSED)
    gateway.cancel_by_hand("-S1")
    gateway.cancel_by_hand("-T1")
    assert apex_json("run", "--once").status == 6
    other = GatewayThread(account="DU7654321", prices={"AAPL": "100"})
    other.start()
    try:
        text = (here / "config.yaml").read_text()
        (here / "config.yaml").write_text(text.replace(f"ib_port: {gateway.port}", f"ib_port: {other.port}"))
        for work in (["run", "--once"], ["close", "AAPL", "--yes"], ["run", "--once"]):
            apex_json(*work)
        assert (other.books().positions, other.books().orders) == ({}, ())
    finally:
        other.close()
