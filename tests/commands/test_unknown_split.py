"""Bars of a simulation that show a split: what is held ends at the last price before it, and nothing follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

CONFIG = """
execution: {auto_execute: true}
risk: {capital: 10000, max_position_pct: 0.2, min_reward_risk: 0.1}
prices: {bars_dir: bars}
simulation: {clock: bars, start: 2004-03-01, commission: none}
signals: {files: [s.jsonl]}
"""
DAYS = ("2004-03-01", "2004-03-02", "2004-03-03", "2004-03-04", "2004-03-05")


def test_a_run_does_not_trade_through_it(here: Path, apex_json: Callable[..., Any]) -> None:
    (here / "bars").mkdir()
    for symbol, prices in (("AAA", (100, 100, 25, 25, 26)), ("BBB", (10, 10, 10, 10, 10))):
        rows = [f"{day},{p},{p},{p},{p},100000" for day, p in zip(DAYS, prices, strict=True)]
        (here / "bars" / f"{symbol}.csv").write_text("\n".join(("date,open,high,low,close,volume", *rows)))
    (here / "config.yaml").write_text(CONFIG)
    signal = {"symbol": "AAA", "signal_type": "BUY", "confidence": 0.8}
    first = {**signal, "signal_id": "s1", "entry_price": 100, "stop_loss": 80, "target_price": 160}
    (here / "s.jsonl").write_text(json.dumps({**first, "timestamp": "2004-03-01T15:00:00-05:00"}) + "\n")
    assert apex_json("run", "--once").data["signals"][0]["outcome"] == "executed"
    run = apex_json("run", "--once", "--bars-until", "2004-03-04")
    (trip,) = apex_json("history").data["round_trips"]
    assert (trip["exit_reason"], Decimal(trip["exit_price"]), Decimal(trip["pnl"])) == ("unknown_split", 100, 0)
    (alarm,) = [each for each in run.envelope["warnings"] if each["code"] == "unknown_split"]
    assert "AAA is closed out: 2004-03-03 opens at 25 after 100: it looks like a split, 4 for 1" in alarm["message"]
    again = {**signal, "signal_id": "s2", "entry_price": 25, "stop_loss": 20, "target_price": 40}
    (here / "s.jsonl").write_text(json.dumps({**again, "timestamp": "2004-03-04T15:00:00-05:00"}) + "\n")
    (refused,) = apex_json("run", "--once").data["signals"]
    assert (refused["outcome"], [each["code"] for each in refused["reasons"]]) == ("refused", ["unknown_split"])
