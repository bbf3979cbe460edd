"""One security, one identity, at the paper venue over TCP and in simulation: nothing mocked."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import GatewayThread

GOOD = [f"G{number:02}" for number in range(13)]
FUTURE = f"{datetime.now(UTC).year + 1}-01-15"  # noqa: TID251 - these processes live by the machine's clock
BAD: tuple[dict[str, Any], ...] = (
    {"symbol": "NOPEQ"},
    {"symbol": "FOO/USD"},
    {"symbol": "G00", "signal_type": "LONG_CALL"},
    {"symbol": "G00", "market_type": "options", "expiry": FUTURE},
    {"symbol": "G00", "market_type": "options", "expiry": "2020-01-17", "strike": 50, "right": "C"},
    {"symbol": "G00", "market_type": "options", "signal_type": "LONG_PUT", "expiry": FUTURE, "strike": 5, "right": "C"},
    {"symbol": "G01", "con_id": 999_999_999},
)
BARS = "timestamp,open,high,low,close,volume\n2026-11-18T14:30:00-05:00,50,50.5,49.5,50,100000\n"


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "signal_id": name,
        "symbol": name,
        "signal_type": "BUY",
        "entry_price": 50,
        "stop_loss": 48,
        "target_price": 56,
        "confidence": 0.8,
        **changes,
    }


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={**dict.fromkeys((*GOOD, "BRK B", "SAP", "SAP@EUR", "FB"), "50"), "EUR.USD": "1.10"})
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, gateway: GatewayThread, request: pytest.FixtureRequest) -> Path:
    """Stand in a folder whose configuration names the paper venue; the market is always open."""
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.05, max_positions: 30, enforce_market_hours: false}\n"
        f"broker: {{ib: {{library: {request.param}, ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    return here


def write(folder: Path, *rows: dict[str, Any], name: str = "s.json") -> None:
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    (folder / name).write_text(json.dumps([{"timestamp": at, **each} for each in rows]))


def twenty(seed: int) -> list[dict[str, Any]]:
    rows = [row(name) for name in GOOD] + [row(f"bad-{n}", **changes) for n, changes in enumerate(BAD)]
    random.Random(seed).shuffle(rows)
    return rows


def judge(answer: Any) -> None:
    outcomes = {each["signal_id"]: each for each in answer.data["signals"]}
    assert answer.status == 0
    assert {name for name, each in outcomes.items() if each["outcome"] in {"refused", "invalid"}} == {
        f"bad-{number}" for number in range(len(BAD))
    }
    assert all(each["reasons"] for name, each in outcomes.items() if name.startswith("bad"))
    assert {outcomes[name]["outcome"] for name in GOOD} == {"executed"}


@pytest.mark.parametrize("seed", [1, 2])
def test_seven_bad_signals_stop_none_of_thirteen_at_the_broker(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, seed: int
) -> None:
    (house / "inbox").mkdir()
    write(house, *twenty(seed), name="inbox/a.json")
    with (house / "config.yaml").open("a") as config:
        config.write("signals: {inbox: inbox}\n")
    judge(apex_json("run", "--once"))
    assert sorted(gateway.books().positions) == GOOD
    assert (list((house / "inbox").glob("*.json")), (house / "inbox/processed/a.json").is_file()) == ([], True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_seven_bad_signals_stop_none_of_thirteen_in_simulation(
    here: Path, apex_json: Callable[..., Any], seed: int
) -> None:
    (here / "bars").mkdir()
    for name in GOOD:
        (here / "bars" / f"{name}.csv").write_text(BARS)
    (here / "config.yaml").write_text(
        "execution: {auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.05, max_positions: 30}\n"
        "prices: {bars_dir: bars}\n"
        "simulation: {clock: bars, start: 2026-11-18, commission: none}\n"
    )
    at = "2026-11-18T14:30:00-05:00"
    rows = [{**each, "timestamp": at} for each in twenty(seed) if "con_id" not in each]
    (here / "s.json").write_text(json.dumps([*rows, row("bad-6", symbol="G01@", timestamp=at)]))
    judge(apex_json("run", "--once", "--signals", "s.json"))


def test_a_share_class_is_one_position_in_every_spelling(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    write(house, *(row(f"s{number}", symbol=name) for number, name in enumerate(("BRK B", "BRK.B", "BRK/B", "brk-b"))))
    run = apex_json("run", "--once", "--signals", "s.json")
    assert sorted(each["outcome"] for each in run.data["signals"]) == ["executed", "refused", "refused", "refused"]
    assert apex_json("reconcile").status == 0
    (position,) = apex_json("positions").data["positions"]
    assert (position["symbol"], position["protected_overnight"]) == ("BRK.B", True)
    assert len(gateway.books().open_orders()) == 2
    assert apex_json("close", "BRK-B", "--yes").status == 0
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])


def test_a_renamed_ticker_stays_the_position_and_keeps_its_exits(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    write(house, row("old", symbol="FB"))
    assert apex_json("run", "--once", "--signals", "s.json").data["signals"][0]["outcome"] == "executed"
    before = gateway.books().open_orders()
    gateway.rename("FB", "META")
    assert apex_json("reconcile").status == 0
    write(house, row("new", symbol="META"))
    (again,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (again["outcome"], again["reasons"][0]["code"]) == ("refused", "duplicate_symbol")
    assert [order.perm_id for order in gateway.books().open_orders()] == [order.perm_id for order in before]
    (position,) = apex_json("positions").data["positions"]
    assert position["protected_overnight"]
    assert apex_json("close", "FB", "--yes").status == 0
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])
    assert apex_json("reconcile").status == 0


def test_a_renamed_position_answers_to_both_names(
    house: Path, apex_json: Callable[..., Any], apex: Callable[..., Any], gateway: GatewayThread
) -> None:
    write(house, row("old", symbol="FB"))
    apex_json("run", "--once", "--signals", "s.json")
    gateway.rename("FB", "META")
    apex_json("reconcile")
    (position,) = apex_json("positions").data["positions"]
    assert (position["symbol"], position["called"]) == ("FB", "META")
    assert "FB (now META)" in apex("positions").out
    for name in ("META", "FB", "meta"):
        assert [story["signal_id"] for story in apex_json("explain", name).data["stories"]] == ["old"]
    assert {each["symbol"] for each in apex_json("orders", "--symbol", "META").data["orders"]} == {"FB"}
    again = apex_json("reconcile").data
    assert again["breaks"] == []
    assert apex_json("close", "META", "--yes").data["closed"][0]["symbol"] == "FB"
    assert (gateway.books().positions, gateway.books().open_orders()) == ({}, [])
    (trip,) = apex_json("history", "--symbol", "META").data["round_trips"]
    assert trip["symbol"] == "FB"
    assert len(apex_json("orders", "--symbol", "META", "--all").data["orders"]) == 4
    assert [story["signal_id"] for story in apex_json("explain", "META").data["stories"]] == ["old"]


@pytest.mark.parametrize("name", ["FB", "META"])
def test_a_renamed_security_is_denied_by_either_name(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, name: str
) -> None:
    write(house, row("old", symbol="FB"))
    apex_json("run", "--once", "--signals", "s.json")
    gateway.rename("FB", "META")
    config = (house / "config.yaml").read_text().replace("risk: {", f"risk: {{deny_symbols: [{name}], ")
    (house / "config.yaml").write_text(config)
    write(house, row("new", symbol="META"))
    (again,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (again["outcome"], again["symbol"]) == ("refused", "FB")
    assert "symbol_allowed" in {reason["code"] for reason in again["reasons"]}


def test_two_securities_of_one_ticker_never_touch_each_other(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    write(house, row("dollars", symbol="SAP"))
    (run,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert run["outcome"] == "executed"
    before = [(order.perm_id, order.terms.quantity) for order in gateway.books().open_orders()]
    gateway.trade_by_hand("SAP@EUR", "BUY", 7)
    assert set(gateway.books().positions) == {"SAP", "SAP@EUR"}
    found = apex_json("reconcile")
    assert {each["symbol"] for each in found.data["breaks"]} == {"SAP@EUR"}
    apex_json("run", "--once", "--signals", "s.json")
    assert [(order.perm_id, order.terms.quantity) for order in gateway.books().open_orders()] == before
    (position,) = apex_json("positions").data["positions"]
    assert (position["symbol"], position["protected_overnight"]) == ("SAP", True)
    assert apex_json("close", "SAP", "--yes").status == 0
    assert (set(gateway.books().positions), gateway.books().open_orders()) == ({"SAP@EUR"}, [])
    assert apex_json("reconcile", "--ignore", "sap@eur").status == 0
    assert apex_json("close", "SAP", "--yes").status == 8
    assert set(gateway.books().positions) == {"SAP@EUR"}
    assert apex_json("reconcile").status == 0
