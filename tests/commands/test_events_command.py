"""``apex events``: a journal that programs follow, from any number on, through months, kills and restorations."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.state.journal_cursor import CHUNK, JournalPlaces


def events_of(answer: Any) -> list[dict[str, Any]]:
    *lines, last = answer.out.splitlines()
    assert json.loads(last)["command"] == "events"
    found = [json.loads(line) for line in lines]
    assert all(event["v"] == 1 for event in found)
    return found


def split_into_months(folder: Path) -> list[Path]:
    """Let the journal of the demo stand in three files, as if months had passed."""
    (file,) = folder.glob("*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    names = [folder / name for name in ("2001-01.jsonl", "2001-02.jsonl", file.name)]
    for name, part in zip(names, (lines[:5], lines[5:9], lines[9:]), strict=True):
        name.write_text("".join(part))
    return names


def test_every_event_comes_once_and_a_number_continues(traded: Path, apex: Callable[..., Any]) -> None:
    split_into_months(traded / "state" / "journal")
    everything = events_of(apex("events", "--json", "--after", "0"))
    numbers = [event["seq"] for event in everything]
    assert numbers == list(range(1, numbers[-1] + 1))
    for seq in (1, 4, 5, 6, 8, 9, 10, numbers[-1] - 1, numbers[-1]):
        assert events_of(apex("events", "--json", "--after", str(seq))) == everything[seq:]
    assert events_of(apex("events", "--json")) == everything[-20:]


def test_kinds_are_chosen_by_name(traded: Path, apex: Callable[..., Any], apex_json: Callable[..., Any]) -> None:
    assert traded.exists()
    fills = events_of(apex("events", "--json", "--after", "0", "--kind", "fill"))
    assert {event["kind"] for event in fills} == {"fill"}
    assert fills[0]["data"]["exec_id"]
    wrong = apex_json("events", "--kind", "fils")
    assert (wrong.status, wrong.error["code"], wrong.error["hint"]) == (2, "kind_unknown", "Did you mean fill?")


def test_people_read_lines(traded: Path, apex: Callable[..., Any]) -> None:
    assert traded.exists()
    lines = apex("events", "--after", "0").out.splitlines()
    assert any("decision AAPL execute" in line for line in lines)
    assert lines[0].split()[0] == "1"


def test_a_number_from_elsewhere_is_noticed(traded: Path, apex: Callable[..., Any]) -> None:
    assert traded.exists()
    answer = apex("events", "--json", "--after", "9999")
    envelope = json.loads(answer.out)
    assert (envelope["data"], envelope["warnings"][0]["code"]) == ({"events": 0, "last": 9999}, "events_ahead")


@pytest.mark.skipif(sys.platform != "linux", reason="sends signals")
def test_a_follower_hears_what_other_processes_do_and_misses_nothing_by_a_restoration(
    traded: Path, apex: Callable[..., Any]
) -> None:
    last = events_of(apex("events", "--json", "--after", "0"))[-1]["seq"]
    words = [sys.executable, "-m", "apex_cli", "events", "--follow", "--json", "--after", str(last - 1)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ}) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["seq"] == last
        assert apex("halt", "--reason", "one").status == 0
        assert json.loads(follower.stdout.readline())["data"]["reason"] == "one"
        (traded / "state" / "state.json").write_bytes(b"spoiled")
        assert apex("state", "restore", "--yes").status == 0
        assert apex("halt", "--reason", "two").status == 0
        later = [json.loads(follower.stdout.readline()) for _ in range(2)]
        assert later[-1]["data"]["reason"] == "two"
        assert [event["seq"] for event in later] == [last + 2, last + 3]
        follower.send_signal(signal.SIGINT)
        assert json.loads(follower.stdout.readline())["data"] == {"events": 4, "last": last + 3}
        assert follower.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_follower_ends_when_nobody_reads(traded: Path) -> None:
    assert traded.exists()
    words = f"{sys.executable} -m apex_cli events --follow --json --after 0 | head -n 1"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=20, check=False)
    assert (json.loads(done.stdout)["seq"], done.stderr) == (1, "")


def test_the_place_behind_a_number_is_found_without_reading_everything(tmp_path: Path) -> None:
    line = '{{"seq":{},"at":"2026-11-02T15:00:00Z","kind":"fill","subject":"s","data":{{"x":"{}"}}}}\n'
    with (tmp_path / "2026-11.jsonl").open("w") as file:
        for seq in range(1, 2001):
            file.write(line.format(seq, "x" * (CHUNK // 400)))
    places = JournalPlaces(tmp_path)
    for seq in (0, 1, 2, 999, 1000, 1998, 1999):
        place = places.behind(seq)
        found = places.read(place)
        assert found[0][0].seq == seq + 1
        assert place.offset <= found[0][1].offset
    assert places.behind(1999).offset > (tmp_path / "2026-11.jsonl").stat().st_size - 2 * CHUNK
    assert places.read(places.behind(2000)) == ()
