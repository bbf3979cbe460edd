"""Every command against Interactive Brokers: real processes, a paper venue on this computer, nothing mocked."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread

Start = Callable[..., subprocess.Popen[str]]
GENEROUS_S = 60


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "MSFT": "400", "SPY": "500"})
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def house(here: Path, gateway: GatewayThread, library: str) -> Path:
    """Stand in a folder whose configuration names the paper venue; the market is always open."""
    write_config(here, gateway.port, library=library)
    return here


def write_config(folder: Path, port: int, *, library: str = "ib_insync", **ib: Any) -> None:
    more = "".join(f"    {key}: {value}\n" for key, value in ib.items())
    (folder / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}\n"
        f"broker:\n  ib:\n    library: {library}\n    ib_port: {port}\n    quiet_hours: []\n{more}"
    )


def write_signals(folder: Path, *symbols: str, name: str = "signals.json") -> None:
    prices = {"AAPL": (100, 98, 106), "MSFT": (400, 392, 424)}
    rows = [
        {
            "signal_id": f"signal-{symbol}",
            "symbol": symbol,
            "signal_type": "BUY",
            "entry_price": prices[symbol][0],
            "stop_loss": prices[symbol][1],
            "target_price": prices[symbol][2],
            "confidence": 0.9,
            "timestamp": datetime.now(UTC).isoformat(),  # noqa: TID251 - these processes live by the machine's clock
        }
        for symbol in symbols
    ]
    (folder / name).write_text(json.dumps(rows))


def envelope(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=GENEROUS_S)
    assert out, err
    whole = out if out.startswith("{\n") else out.splitlines()[-1]  # a loop prints its events as lines before
    document: dict[str, Any] = json.loads(whole)
    assert document["exit_code"] == process.returncode
    return document


def everybody_left(gateway: GatewayThread) -> bool:
    """Wait until the gateway has noticed the end of every connection."""
    end = time.monotonic() + GENEROUS_S
    while gateway.books().clients and time.monotonic() < end:
        time.sleep(0.01)
    return gateway.books().clients == ()


def refs(gateway: GatewayThread) -> list[str]:
    return [row.terms.order_ref.rpartition("-")[2] for row in gateway.books().orders]


def test_the_same_commands_work_with_a_real_broker(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    write_signals(house, "AAPL")
    dry = apex_json("run", "--dry-run", "--signals", "signals.json")
    assert dry.data["signals"][0]["outcome"] == "executed"
    assert gateway.books().orders == ()
    run = apex_json("run", "--once", "--signals", "signals.json")
    assert (run.status, run.data["signals"][0]["outcome"]) == (0, "executed")
    assert sorted(refs(gateway)) == ["E", "S1", "T1"]
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], position["protected_overnight"]) == (100, True)
    assert {row["status"] for row in apex_json("orders").data["orders"]} == {"WORKING"}
    assert apex_json("pdt-status").data["broker_remaining"] == 3
    (closed,) = apex_json("close", "AAPL", "--yes").data["closed"]
    assert (closed["status"], closed["quantity"]) == ("closed", 100)
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])
    (trip,) = apex_json("history").data["round_trips"]
    assert trip["symbol"] == "AAPL"
    assert everybody_left(gateway)


def test_a_fresh_state_does_not_take_over_what_another_apex_did(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    """Its fills look like ours and its position may be closed by now: selling it would go short."""
    write_signals(house, "AAPL")
    apex_json("run", "--once", "--signals", "signals.json")
    shutil.move(house / "state", house / "lost")
    apex_json("run", "--once")
    assert apex_json("positions").data["positions"] == []
    assert apex_json("close", "AAPL", "--yes").status == 8
    assert gateway.books().positions == {"AAPL": 100}


def test_an_approval_is_looked_at_and_executed(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    write_signals(house, "AAPL")
    apex_json("run", "--once", "--manual", "--signals", "signals.json")
    assert gateway.books().orders == ()
    gateway.set_price("AAPL", "100.2")
    (waiting,) = apex_json("approve").data["approvals"]
    assert waiting["now"]["price"] == "100.20"
    (done,) = apex_json("approve", waiting["approval_id"], "--yes").data["approvals"]
    assert done["status"] == "executed"
    assert sorted(refs(gateway)) == ["E", "S1", "T1"]


def test_what_filled_after_the_last_command_ended_can_be_closed(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_signals(house, "AAPL")
    monkeypatch.setenv("APEX_EXECUTION__ENTRY_ORDER", "limit")
    gateway.set_price("AAPL", "100.5")
    apex_json("run", "--once", "--signals", "signals.json")
    assert apex_json("positions").data["positions"] == []
    gateway.set_price("AAPL", "99.5")
    (closed,) = apex_json("close", "AAPL", "--yes").data["closed"]
    assert (closed["status"], closed["quantity"]) == ("closed", 100)
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])


def test_close_all_takes_what_filled_after_the_last_command_and_leaves_entries_that_still_rest(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_signals(house, "AAPL", "MSFT")
    monkeypatch.setenv("APEX_EXECUTION__ENTRY_ORDER", "limit")
    gateway.set_price("AAPL", "100.5")
    gateway.set_price("MSFT", "402")
    apex_json("run", "--once", "--signals", "signals.json")
    nothing = apex_json("close", "--all", "--yes")
    assert (nothing.status, nothing.error["code"]) == (8, "no_position")
    gateway.set_price("AAPL", "99.5")
    done = apex_json("close", "--all", "--yes")
    assert (done.status, [row["symbol"] for row in done.data["closed"]]) == (0, ["AAPL"])
    assert gateway.books().positions == {}
    assert sorted(row.terms.order_ref.rpartition("-")[2] for row in gateway.books().open_orders()) == ["E", "S1", "T1"]


def test_a_refusal_as_a_pattern_day_trade_is_remembered_by_later_commands(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    gateway.set_policy(day_trades_remaining="-1")
    write_signals(house, "AAPL")
    assert apex_json("pdt-status").data["regimes"] == ["unknown"]
    refusal = "Order rejected - reason:Potential Pattern Day Trade"
    gateway.fault("reject", "placeOrder", code=201, text=refusal)
    apex_json("run", "--once", "--signals", "signals.json")
    later = apex_json("pdt-status").data
    assert later["regimes"] == ["classic", "intraday_margin"]
    assert "potential pattern day trade" in later["regime_source"]


def test_what_the_broker_says_of_the_next_sessions_stands_beside_our_forecast(
    house: Path, apex: Callable[..., Any], apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    assert house.is_dir()
    gateway.set_policy(day_trades_remaining="2")
    reported = apex_json("pdt-status").data
    assert (len(reported["forecast"]), reported["broker_forecast"]) == (5, [2, 2, 2, 2, 2])
    assert "Broker" in apex("pdt-status").out
    gateway.set_policy(day_trades_remaining=None)
    assert apex_json("pdt-status").data["broker_forecast"] == []


@pytest.mark.usefixtures("house")
def test_doctor_finds_nothing_wrong(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    found = {row["code"]: row for row in apex_json("doctor").data["findings"]}
    assert {found[code]["level"] for code in ("broker", "account", "ib_clock", "ib_market_data")} == {"ok"}
    assert "DU*****67" in found["broker"]["message"]
    assert everybody_left(gateway)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"policy": Policy(has_live_data=False)}, ("ib_market_data", "warning", 0)),
        ({"account": "U7654321"}, ("ib_account_kind", "error", 3)),
    ],
)
def test_doctor_names_mistakes_of_setting_up(
    here: Path, apex_json: Callable[..., Any], how: dict[str, Any], expected: tuple[str, str, int]
) -> None:
    code, level, status = expected
    gateway = GatewayThread(prices={"SPY": "500"}, **how)
    gateway.start()
    try:
        write_config(here, gateway.port)
        answer = apex_json("doctor")
        found = {row["code"]: row["level"] for row in answer.data["findings"]}
        assert (found.get(code), answer.status) == (level, status)
    finally:
        gateway.close()


def test_a_broker_that_is_not_there_is_status_5(here: Path, apex_json: Callable[..., Any]) -> None:
    write_config(here, 1)
    write_signals(here, "AAPL")
    for command in ("run --once --signals signals.json", "pdt-status", "doctor"):
        answer = apex_json(*command.split())
        assert answer.status == 5, command
    assert "Nothing listens on 127.0.0.1:1." in answer.out


def test_a_live_account_needs_the_word_live(here: Path, apex_json: Callable[..., Any], monkeypatch: Any) -> None:
    gateway = GatewayThread(account="U7654321", prices={"AAPL": "100"})
    gateway.start()
    try:
        write_config(here, gateway.port, mode="live", account="U7654321")
        write_signals(here, "AAPL")
        refused = apex_json("run", "--once", "--signals", "signals.json")
        assert (refused.status, refused.error["code"]) == (4, "live_not_allowed")
        assert (gateway.books().orders, gateway.books().clients) == ((), ())
        assert apex_json("run", "--once", "--live", "--signals", "signals.json").status == 0
        monkeypatch.setenv("APEX_LIVE", "1")
        assert apex_json("close", "AAPL", "--yes").status == 0
        assert {row.terms.account for row in gateway.books().orders} == {"U7654321"}
        reported = "".join(path.read_text() for path in (here / "state").rglob("*") if path.is_file())
        assert "U7654321" not in reported, "no account id reaches the state or the journal"
    finally:
        gateway.close()


def test_a_library_that_is_not_installed_is_status_3(
    here: Path, gateway: GatewayThread, apex_json: Callable[..., Any], monkeypatch: Any
) -> None:
    import sys

    write_config(here, gateway.port)
    monkeypatch.setitem(sys.modules, "ib_insync", None)
    answer = apex_json("pdt-status")
    assert (answer.status, answer.error["code"]) == (3, "ib_library_missing")
    assert answer.error["hint"] == "pip install ib_insync"


def test_close_and_approve_act_through_a_running_loop_once_each(
    house: Path, start: Start, gateway: GatewayThread
) -> None:
    """The loop holds the executor and the writing client id: the others hand their work over."""
    write_signals(house, "AAPL")
    assert envelope(start("run", "--once", "--signals", "signals.json", "--json"))["exit_code"] == 0
    write_signals(house, "MSFT")
    loop = start("run", "--manual", "--signals", "signals.json", "--json")
    (waiting,) = wait_for(lambda: pending(house, start))
    acts = [
        start("close", "AAPL", "--yes", "--json"),
        start("approve", waiting["approval_id"], "--yes", "--json"),
        start("approve", waiting["approval_id"], "--yes", "--json"),
        start("close", "AAPL", "--yes", "--json"),
    ]
    codes = [envelope(act)["exit_code"] for act in acts]
    loop.terminate()
    assert envelope(loop)["exit_code"] == 0
    assert (codes[0] in {0, 8}, codes[3] in {0, 8}) == (True, True)
    assert min(codes[1:3]) == 0
    books = gateway.books()
    assert books.positions == {"MSFT": 25}
    sent = [row.terms.order_ref for row in books.orders]
    assert len(sent) == len(set(sent)) == 7, "two brackets and one close"
    assert {row.client_id for row in books.orders} == {1}
    assert sorted(row.terms.order_ref.rpartition("-")[2] for row in books.open_orders()) == ["S1", "T1"]


def pending(folder: Path, start: Start) -> list[dict[str, Any]]:
    out = subprocess_json(start("approve", "--json"))
    assert folder.is_dir()
    rows: list[dict[str, Any]] = out.get("data", {}).get("approvals", [])
    return rows


def subprocess_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=GENEROUS_S)
    document: dict[str, Any] = json.loads(out)
    return document


def wait_for(look: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    for _ in range(30):
        if found := look():
            return found
    raise AssertionError("nothing came")


BAD = {
    "ib_unknown_security": {"symbol": "ZZZZQ"},
    "ib_option_incomplete": {"symbol": "AAPL", "market_type": "options", "signal_type": "LONG_CALL"},
}


@pytest.mark.parametrize("first", [*BAD, "good"])
def test_a_security_that_the_broker_cannot_trade_stops_no_other(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, first: str
) -> None:
    write_signals(house, "AAPL", "MSFT")
    rows = json.loads((house / "signals.json").read_text())
    bad = [{**rows[0], "signal_id": code, **fields} for code, fields in BAD.items()]
    rows = sorted([*rows, *bad], key=lambda row: row["signal_id"] != first)
    inbox = house / "inbox"
    inbox.mkdir()
    (inbox / "signals.json").write_text(json.dumps(rows))
    with (house / "config.yaml").open("a") as config:
        config.write("signals: {inbox: inbox}\n")
    run = apex_json("run", "--once")
    found = {
        row["signal_id"]: (row["outcome"], [reason["code"] for reason in row["reasons"]]) for row in run.data["signals"]
    }
    assert run.status == 0
    assert found == {
        "signal-AAPL": ("executed", []),
        "signal-MSFT": ("executed", []),
        **{code: ("refused", [code]) for code in BAD},
    }
    assert [path.name for path in (inbox / "processed").iterdir()] == ["signals.json"]
    assert set(gateway.books().positions) == {"AAPL", "MSFT"}
    again = apex_json("run", "--once", "--signals", "inbox/processed/signals.json")
    assert {row["outcome"] for row in again.data["signals"]} == {"duplicate"}
    assert "The broker knows no ZZZZQ" in json.dumps(apex_json("explain", "ib_unknown_security").data)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "swallow"},
        {"action": "reject", "code": 321, "text": "Error validating request: please enter a local symbol or an expiry"},
    ],
)
def test_a_security_that_the_broker_reports_nothing_of_stops_no_other(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, fault: dict[str, Any]
) -> None:
    """Only 200 means an unknown security: for other securities the broker may refuse the question, or not answer it."""
    write_config(house, gateway.port, request_timeout_s=1)
    write_signals(house, "AAPL", "MSFT")
    gateway.fault(message="reqContractDetails", **fault)
    run = apex_json("run", "--once", "--signals", "signals.json")
    assert run.status == 0
    outcomes = {row["symbol"]: row["outcome"] for row in run.data["signals"]}
    assert sorted(outcomes.values()) == ["executed", "refused"]
    (reason,) = [reason for row in run.data["signals"] for reason in row["reasons"]]
    assert "the contract of" in reason["message"]
    assert list(gateway.books().positions) == [symbol for symbol, outcome in outcomes.items() if outcome == "executed"]
