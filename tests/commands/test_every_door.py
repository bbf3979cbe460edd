"""One security behind every door, however it is spelled there: files, commands, lists and bars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.settings.load import load_settings

DAYS = ("2026-11-16", "2026-11-17", "2026-11-18")
SENT = f"{DAYS[1]}T15:00:00-05:00"
FILES = ("BRK-B", "btcusd", "EUR_USD", "SAP.DE", "AAPL.US", "7203.T")
"""Names of files of bars, as vendors write them."""

SIGNALS = {
    "BRK.B": ("BRK/B", ("brk-b", "BRK B", "NYSE:BRK.B")),
    "BTC-USD@crypto": ("BTC/USD", ("BTCUSD", "btc-usd", "COINBASE:BTCUSD")),
    "EUR.USD@forex": ("EURUSD", ("EUR-USD", "eur/usd", "EURUSD=X")),
    "SAP@EUR": ("XETR:SAP", ("sap.de", "SAP@EUR", "SAP GY")),
    "AAPL": ("NASDAQ:AAPL", ("$aapl", "AAPL.US", "aapl")),
    "7203@JPY": ("7203.T", ("7203.t", "TYO:7203", "7203@jpy")),
}


@pytest.fixture
def house(here: Path) -> Path:
    """Stand in a folder with bars of six securities, and a signal about each."""
    (here / "bars").mkdir()
    for name in FILES:
        rows = [f"{day},50,50,50,50,1000000" for day in DAYS]
        (here / "bars" / f"{name}.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    write(here)
    signal = {"signal_type": "BUY", "entry_price": 50, "stop_loss": 48, "target_price": 56, "confidence": 0.8}
    rows = [{**signal, "symbol": spelled, "timestamp": SENT} for spelled, _ in SIGNALS.values()]
    (here / "s.json").write_text(json.dumps(rows))
    return here


def write(folder: Path, risk: str = "", rest: str = "") -> None:
    (folder / "config.yaml").write_text(
        "execution: {auto_execute: true}\nprices: {bars_dir: bars}\n"
        f"risk: {{capital: 1000000, enforce_market_hours: false, {risk}}}\n"
        "currency: {rates: {JPY: 0.0067}}\n"
        f"simulation: {{clock: bars, start: {DAYS[1]}, commission: none, buying_power_multiple: 5}}\n{rest}"
    )


def bought(apex_json: Callable[..., Any]) -> dict[str, Any]:
    run = apex_json("run", "--once", "--signals", "s.json")
    assert run.status == 0
    return {row["symbol"]: row for row in run.data["signals"]}


@pytest.mark.parametrize("number", range(3))
def test_bars_signals_and_close_mean_the_same_security(house: Path, apex_json: Callable[..., Any], number: int) -> None:
    assert house.is_dir()
    assert {row["outcome"] for row in bought(apex_json).values()} == {"executed"}
    assert {row["symbol"] for row in apex_json("positions").data["positions"]} == set(SIGNALS)
    for key, (_, spellings) in SIGNALS.items():
        text = spellings[number]
        assert {row["symbol"] for row in apex_json("orders", "--symbol", text).data["orders"]} == {key}
        assert apex_json("explain", text).status == 0
        (closed,) = apex_json("close", text, "--yes").data["closed"]
        assert (closed["symbol"], closed["status"]) == (key, "closed")
        (trip,) = apex_json("history", "--symbol", text).data["round_trips"]
        assert trip["symbol"] == key
    assert apex_json("positions").data["positions"] == []


@pytest.mark.parametrize("number", range(3))
def test_allow_and_deny_lists_mean_it_too(house: Path, apex_json: Callable[..., Any], number: int) -> None:
    listed = ", ".join(json.dumps(spellings[number]) for _, spellings in SIGNALS.values())
    write(house, f"deny_symbols: [{listed}]")
    for row in bought(apex_json).values():
        assert "symbol_allowed" in {reason["code"] for reason in row["reasons"]}, row
    first = json.dumps(SIGNALS["BRK.B"][1][number])
    write(house, f"allow_symbols: [{first}]")
    signals = json.loads((house / "s.json").read_text())
    (house / "s.json").write_text(json.dumps([{**row, "confidence": 0.9} for row in signals]))
    outcomes = {symbol: row["outcome"] for symbol, row in bought(apex_json).items()}
    assert [symbol for symbol, outcome in outcomes.items() if outcome == "executed"] == ["BRK.B"]


@pytest.mark.parametrize("number", range(3))
def test_a_watch_list_is_kept_in_one_spelling(house: Path, number: int) -> None:
    names = ", ".join(json.dumps(spellings[number]) for _, spellings in SIGNALS.values())
    write(house, rest=f"scanners: {{watch_list: [{names}]}}\n")
    found = load_settings(house / "config.yaml", environ={}, cwd=house).scanners.watch_list
    assert set(found) == {"BRK.B", "BTC-USD", "EUR.USD", "SAP@EUR", "AAPL", "7203@JPY"}


def test_trades_of_a_list_count_with_our_own_in_any_spelling(house: Path, apex_json: Callable[..., Any]) -> None:
    bought(apex_json)
    trades = [
        {"time": f"{DAYS[1]}T15:59:30-05:00", "symbol": symbol, "side": "SELL", "quantity": 1, "exec_id": f"x{number}"}
        for number, symbol in enumerate(("BRK B", "brk/b", "AAPL"))
    ]
    (house / "trades.json").write_text(json.dumps(trades))
    assert apex_json("import-fills", "trades.json").data["added"] == 3
    counted = apex_json("pdt-status").data["day_trades_by_session"]
    assert counted[DAYS[1]] == 2


def test_a_situation_in_a_file_names_securities_as_people_do(house: Path, apex_json: Callable[..., Any]) -> None:
    executions = [
        {"time": f"{DAYS[1]}T10:00:00-05:00", "symbol": "BRK B", "side": "BUY", "quantity": 5, "exec_id": "1"},
        {"time": f"{DAYS[1]}T11:00:00-05:00", "symbol": "brk-b", "side": "SELL", "quantity": 5, "exec_id": "2"},
    ]
    (house / "trades.json").write_text(json.dumps(executions))
    answer = apex_json("pdt-status", "--executions", "trades.json", "--as-of", f"{DAYS[1]}T12:00:00-05:00")
    assert answer.data["day_trades_by_session"][DAYS[1]] == 1
