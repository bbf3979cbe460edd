from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.app.resources import open_store, read_settings
from apex_cli.commands.heartbeat import parse_age


def age_last_run(by: timedelta) -> None:
    """Let the last run lie further back."""
    store = open_store(read_settings(None))
    with store.transaction() as tx:
        last = tx.counters.last_run_at
        assert last is not None
        tx.counters = replace(tx.counters, last_run_at=last - by)


def log_to(folder: Path) -> Path:
    """Let notices go to a file."""
    with (folder / "config.yaml").open("a") as config:
        config.write("\nnotify: {log_file: reported.jsonl}\n")
    return folder / "reported.jsonl"


def test_after_a_run_all_is_well_and_nothing_is_reported(traded: Path, apex_json: Callable[..., Any]) -> None:
    reported = log_to(traded)
    answer = apex_json("heartbeat", "--max-age", "26h")
    assert answer.status == 0
    assert answer.data["overdue"] is False
    assert answer.data["last_run_at"]
    assert not reported.exists()


def test_a_silence_ends_with_status_5_and_is_reported_once(traded: Path, apex_json: Callable[..., Any]) -> None:
    reported = log_to(traded)
    age_last_run(timedelta(hours=27))
    answers = [apex_json("heartbeat") for _ in range(2)]
    assert [answer.status for answer in answers] == [5, 5]
    assert [answer.data["told"] for answer in answers] == [True, False]
    assert answers[0].error["code"] == "run_overdue"
    assert "27 h" in answers[0].error["message"]
    (line,) = reported.read_text().splitlines()
    assert "run overdue" in line


def test_where_nothing_ever_ran_the_first_silence_is_one(demo: Path, apex_json: Callable[..., Any]) -> None:
    assert demo.is_dir()
    answer = apex_json("heartbeat")
    assert (answer.status, answer.data["age_s"]) == (5, None)


def test_a_run_with_nothing_to_do_counts_and_a_dry_run_does_not(traded: Path, apex_json: Callable[..., Any]) -> None:
    assert traded.is_dir()
    age_last_run(timedelta(hours=27))
    apex_json("run", "--once", "--dry-run")
    assert apex_json("heartbeat").status == 5
    apex_json("run", "--once")
    assert apex_json("heartbeat").status == 0


def test_a_damaged_state_is_reported_past_the_journal(traded: Path, apex_json: Callable[..., Any]) -> None:
    reported = log_to(traded)
    (traded / "state" / "state.json").write_text("{")
    assert apex_json("heartbeat").status == 9
    assert "apex needs you" in reported.read_text()


@pytest.mark.parametrize("text", ["26", "h", "0h", "-1h", "26 hours", "1.5h", "9999999d"])
def test_an_age_that_is_none_is_refused(apex: Callable[..., Any], text: str) -> None:
    answer = apex("heartbeat", f"--max-age={text}")
    assert answer.status == 2
    assert "write 90m, 26h or 3d" in " ".join(answer.err.split())


def test_ages_are_minutes_hours_and_days() -> None:
    assert [parse_age(text) for text in ("90m", "26H", "3d")] == [
        timedelta(minutes=90),
        timedelta(hours=26),
        timedelta(days=3),
    ]
