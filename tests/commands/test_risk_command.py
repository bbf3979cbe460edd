"""``risk``: what is at risk in the demo, with its price history and without."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

D = Decimal


def closes(folder: Path, symbol: str) -> dict[date, Decimal]:
    """Return the closes of a file of the demo by session."""
    with next(folder.rglob(f"{symbol}.csv")).open() as lines:
        return {date.fromisoformat(row["Date"]): D(row["Close"]) for row in csv.DictReader(lines)}


def test_the_worst_day_of_the_demo_is_that_of_its_files(traded: Path, apex_json: Callable[..., Any]) -> None:
    found = apex_json("risk").data
    values = {"AAPL": 6 * D("23.04"), "MSFT": 5 * D("26.50")}
    sums: dict[date, Decimal] = {}
    for symbol, value in values.items():
        known = [(day, close) for day, close in closes(traded, symbol).items() if day <= date(2004, 2, 26)]
        for (_, before), (day, close) in pairwise(known):
            if day > date(2003, 2, 26):
                sums[day] = sums.get(day, D(0)) + value * (close / before - 1)
    worst = min(sums, key=lambda day: sums[day])
    assert (found["worst_day"]["date"], found["worst_day"]["sessions"]) == (worst.isoformat(), len(sums))
    assert abs(D(found["worst_day"]["pnl"]) - sums[worst]) < D("0.000001")
    assert found["worst_day"]["without"] == found["left_out"] == []


@pytest.mark.usefixtures("traded")
def test_gaps_are_parts_of_what_is_held(apex_json: Callable[..., Any]) -> None:
    found = apex_json("risk").data
    worth = 6 * D("23.04") + 5 * D("26.50")
    assert [D(gap["loss"]) for gap in found["gaps"]] == [worth * part for part in (D("0.05"), D("0.1"), D("0.2"))]
    assert [row["symbol"] for row in found["positions"]] == ["AAPL", "MSFT"]
    assert D(found["risk"]) == 6 * D("0.74") + 5 * D("0.65")


@pytest.mark.usefixtures("traded")
def test_without_files_of_prices_what_needs_them_is_named(
    apex: Callable[..., Any], apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("APEX_PRICES__BARS_DIR", str(tmp_path / "nowhere"))
    found = apex_json("risk").data
    assert found["worst_day"] is None
    assert [left["sums"] for left in found["left_out"]] == [["worst_day", "correlation"]] * 2
    assert "nowhere, which is no folder" in found["left_out"][0]["why"]
    assert len(found["gaps"]) == 3
    drawn = apex("risk").out
    assert "! Not counted in worst day, correlation: AAPL, MSFT (prices.bars_dir names" in drawn


@pytest.mark.usefixtures("traded")
def test_a_limit_that_is_near_is_marked_in_words(apex: Callable[..., Any]) -> None:
    drawn = apex("risk").out
    assert "Value of one position  AAPL  138.24  150.00   11.76  █████████░ 92 % near" in drawn


@pytest.mark.usefixtures("demo")
def test_nothing_held_shows_the_limits(apex: Callable[..., Any]) -> None:
    drawn = apex("risk").out
    assert "Nothing is held, and no entry works.\n" in drawn
    assert "Open risk" in drawn
    assert "not known" in drawn


@pytest.mark.usefixtures("traded")
def test_sectors_come_from_their_file_and_one_that_cannot_be_read_is_named(
    traded: Path, apex_json: Callable[..., Any], apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (traded / "sectors.csv").write_text("symbol,sector\nAAPL,Technology\nMSFT,Technology\n")
    monkeypatch.setenv("APEX_PROTECTIONS__SECTORS__FILE", str(traded / "sectors.csv"))
    found = apex_json("risk").data
    assert [(group["name"], group["count"]) for group in found["by_sector"]] == [("Technology", 2)]
    monkeypatch.setenv("APEX_PROTECTIONS__SECTORS__FILE", str(traded / "gone.csv"))
    lost = apex_json("risk").data
    assert [group["name"] for group in lost["by_sector"]] == [""]
    assert "gone.csv" in lost["remarks"][0]
    assert "unknown sector" in apex("risk").out


def test_an_option_follows_its_underlying_by_the_model_and_counts_in_what_moves_together(
    demo: Path, apex: Callable[..., Any], apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {
        "signal_id": "call", "symbol": "AAPL", "market_type": "options", "expiry": "2004-04-16", "strike": 22.5,
        "right": "C", "signal_type": "LONG_CALL", "entry_price": 1.30, "stop_loss": 0.70, "target_price": 2.9,
        "confidence": 0.8, "timestamp": "2004-02-26T15:30:00-05:00",
    }  # fmt: skip
    (demo / "call.json").write_text(json.dumps([call]))
    assert apex("run", "--once", "--auto", "--signals", "call.json").status == 0
    apex("run", "--once")
    monkeypatch.setenv("APEX_PROTECTIONS__CORRELATION__MAX_OPEN_RISK_PCT", "0.05")
    monkeypatch.setenv("APEX_PROTECTIONS__BETA__MAX_EXPOSURE", "0.5")
    monkeypatch.setenv("APEX_PROTECTIONS__BETA__BENCHMARK", "IBM")
    found = apex_json("risk").data
    name = "AAPL@options 2004-04-16 C22.5"
    basis = {cost["symbol"]: (cost["basis"], D(cost["pnl"])) for cost in found["gaps"][2]["costs"]}
    assert basis["MSFT"] == ("price", -5 * D("26.50") * D("0.2"))
    assert basis[name][0] == "model"
    assert -D(131) <= basis[name][1] < -D(90)  # its premium at the most, and nearly all of it
    assert {cost["symbol"] for cost in found["worst_day"]["costs"]} >= {name, "MSFT"}
    pairs = {(pair["first"], pair["second"]) for pair in found["correlations"]}
    assert (name, "MSFT") in pairs
    limits = {use["code"]: use for use in found["limits"]}
    assert limits["beta_exposure"]["subject"] == "IBM"
    assert D(limits["beta_exposure"]["found"]) > 0
    assert D(limits["correlated_risk"]["limit"]) == 150
    assert limits["correlated_risk"]["subject"] in {name, "AAPL", "MSFT"}
