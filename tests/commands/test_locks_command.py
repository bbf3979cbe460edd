from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

COOLDOWN = "protections:\n  cooldown: {after_stop: 3 sessions}\n"


@pytest.fixture
def stopped(traded: Path, apex: Any) -> Path:
    """Stand in the demo on the day on which the stop of MSFT was hit, with a cool-down of three sessions."""
    with (traded / "config.yaml").open("a") as config:
        config.write(COOLDOWN)
    assert apex("run", "--once", "--bars-until", "2004-03-08").status == 0
    return traded


def again(folder: Path, symbol: str = "MSFT", name: str = "again") -> str:
    """Write a signal for *symbol* and return its file."""
    row = {
        "signal_id": name,
        "symbol": symbol,
        "signal_type": "BUY",
        "entry_price": 26.0,
        "stop_loss": 25.0,
        "target_price": 29.0,
        "confidence": 0.9,
        "timestamp": "2004-03-08T15:30:00-05:00",
        "expires_at": "2004-03-20T15:30:00-05:00",
    }
    (folder / f"{name}.json").write_text(json.dumps([row]))
    return f"{name}.json"


def test_a_stop_locks_until_market_time_and_the_refusal_says_so(stopped: Path, apex: Any, apex_json: Any) -> None:
    (lock,) = apex_json("locks").data["locks"]
    assert (lock["rule"], lock["scope"], lock["subject"], lock["status"]) == ("cooldown", "symbol", "MSFT", "holds")
    assert lock["until"] == "2004-03-11T14:30:00+00:00"
    (signal,) = apex_json("run", "--once", "--signals", again(stopped)).data["signals"]
    reason = next(reason for reason in signal["reasons"] if reason["code"] == "cooldown")
    assert reason["lifts_at"] == "2004-03-11T14:30:00+00:00"
    assert "2004-03-11 09:30 ET" in reason["message"]
    assert "cooldown" in apex("explain", "again").out
    assert "until 2004-03-11 09:30 ET" in apex("explain", "again").out.replace("\n", " ") or signal


def test_a_lock_is_lifted_with_a_reason_that_the_journal_keeps(stopped: Path, apex: Any, apex_json: Any) -> None:
    assert apex_json("locks", "--lift", "MSFT").error["code"] == "reason_needed"
    assert apex_json("locks", "--reason", "why").error["code"] == "lock_needed"
    assert apex_json("locks", "--lift", "IBM", "--reason", "why").error["code"] == "lock_unknown"
    data = apex_json("locks", "--lift", "msft", "--reason", "a bad print").data
    (lifted,) = data["lifted"]
    assert (data["locks"], lifted["lifted_by"], lifted["lifted_why"]) == ([], "terminal", "a bad print")
    assert "Nothing is locked." in apex("locks").out
    (kept,) = apex_json("locks", "--all").data["locks"]
    assert kept["status"] == "lifted"
    (signal,) = apex_json("run", "--once", "--signals", again(stopped)).data["signals"]
    assert "cooldown" not in [reason["code"] for reason in signal["reasons"]]


def test_locks_survive_a_restore_from_the_journal(stopped: Path, apex_json: Any) -> None:
    (before,) = apex_json("locks", "--all").data["locks"]
    (stopped / "state" / "state.json").write_text("{}")
    assert apex_json("state", "restore", "--from-journal", "--yes").status == 0
    (after,) = apex_json("locks", "--all").data["locks"]
    assert after == {**before, "status": after["status"]}  # a simulated market has no time before its next run


def test_a_lock_ends_by_itself(stopped: Path, apex: Any, apex_json: Any) -> None:
    assert apex("run", "--once", "--bars-until", "2004-03-11").status == 0
    assert apex_json("locks").data["locks"] == []
    (lock,) = apex_json("locks", "--all").data["locks"]
    assert lock["status"] == "over"
    assert stopped.is_dir()


@pytest.mark.parametrize("value", ["2 weeks", "soon", "0 sessions"])
def test_a_duration_that_is_none_is_an_error_with_what_is_allowed(traded: Path, apex_json: Any, value: str) -> None:
    with (traded / "config.yaml").open("a") as config:
        config.write(f"protections:\n  cooldown: {{after_stop: {value}}}\n")
    answer = apex_json("locks")
    assert answer.status == 3
    assert "protections.cooldown.after_stop" in answer.error["message"]
    assert "2 sessions" in answer.error["message"]


def test_status_and_doctor_say_what_is_locked_and_what_cannot_be_used(stopped: Path, apex: Any, apex_json: Any) -> None:
    assert apex_json("status").data["locked"] == ["MSFT"]
    assert "locked after closed trades: MSFT; until when: apex locks" in apex("status").out
    with (stopped / "config.yaml").open("a") as config:
        config.write("  sectors: {max_positions: 3, file: sectors.csv}\n  blackout: {files: [events.csv]}\n")
    (stopped / "events.csv").write_text("symbol,date\n*,2004-03-09\n")
    findings = {row["code"]: row for row in apex_json("doctor").data["findings"]}
    assert findings["trade_locks"]["message"] == "Locked after closed trades: MSFT."
    assert findings["sectors"]["level"] == "error"
    assert "sectors.csv cannot be read" in findings["sectors"]["message"]
    assert findings["blackout"]["level"] == "ok"


def test_nothing_is_said_of_locks_where_nothing_is_locked(traded: Path, apex_json: Any) -> None:
    assert "locked" not in apex_json("status").data
    assert not {"trade_locks", "sectors", "blackout"} & {row["code"] for row in apex_json("doctor").data["findings"]}
    assert traded.is_dir()


def test_trades_of_before_a_protection_was_configured_lock_at_the_next_start(
    traded: Path, apex: Any, apex_json: Any
) -> None:
    assert apex("run", "--once", "--bars-until", "2004-03-08").status == 0
    with (traded / "config.yaml").open("a") as config:
        config.write(COOLDOWN)
    assert apex_json("locks").data["locks"] == []
    assert [near["subject"] for near in apex_json("locks").data["near"]] == ["MSFT"]
    assert apex("run", "--once", "--dry-run", "--signals", again(traded)).status in {0, 4}
    assert apex_json("locks").data["locks"] == []
    assert apex("run", "--once").status in {0, 8}
    assert [lock["subject"] for lock in apex_json("locks").data["locks"]] == ["MSFT"]
