"""``drift``: the demo beside a replay of its own days, and what ``status`` says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.usefixtures("traded")
def test_the_demo_beside_its_replay(apex_json: Callable[..., Any], apex: Callable[..., Any]) -> None:
    apex("run", "--once", "--bars-until", "2004-03-12")
    found = apex_json("drift", "--signals", "signals.json").data
    assert (found["from"], found["to"]) == ("2004-02-26", "2004-03-12")
    assert (found["live"]["trades"], found["replay"]["trades"], found["matched"]) == (2, 3, 2)
    assert [(each["symbol"], each["code"]) for each in found["missed"]] == [("IBM", "signal_expired")]
    # AAPL: 23.04 at the close of the signal, 22.96 at the next open; MSFT: 26.50 and 26.48
    entries = {fill["symbol"]: (fill["live_price"], fill["model_price"]) for fill in found["fills"][::2]}
    assert entries == {"AAPL": ("23.04", "22.96"), "MSFT": ("26.50", "26.48")}
    assert found["first_divergence"]["session"] == "2004-02-26"
    assert found["parted"] == []
    assert apex_json("status").data["drift"]["since"] == "2004-02-26"
    assert "part" not in apex("status").out


def test_status_warns_when_the_two_part(traded: Path, apex: Callable[..., Any], apex_json: Callable[..., Any]) -> None:
    note = {
        "at": datetime(2026, 3, 2, tzinfo=UTC).isoformat(),
        "first": "2026-02-02",
        "last": "2026-02-27",
        "since": "2026-02-10",
        "parted": ["3 of 20 trades of the replay were not made."],
    }
    (traded / "state" / "drift.json").write_text(json.dumps(note))
    words = "! live trading and the replay part since 2026-02-10: 3 of 20 trades of the replay were not made."
    assert words in apex("status").out
    assert apex_json("status").data["drift"]["parted"] == note["parted"]


@pytest.mark.usefixtures("demo")
def test_without_a_journal_there_is_nothing_to_compare(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("drift")
    assert (answer.status, answer.error["code"]) == (8, "no_trades")


@pytest.mark.usefixtures("traded")
def test_without_bars_it_says_what_to_name(apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APEX_PRICES__BARS_DIR", "null")
    monkeypatch.setenv("APEX_SIMULATION__CLOCK", "system")
    answer = apex_json("drift")
    assert (answer.status, answer.error["code"]) == (3, "bars_missing")
