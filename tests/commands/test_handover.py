"""Two terminals: one runs the loop, the other asks it to close and to approve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def apex(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "apex_cli", *words], cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )


def data(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)["data"]


def wait_for(found: Callable[[], bool]) -> None:
    for _ in range(300):
        if found():
            return
        time.sleep(0.1)
    pytest.fail("it never happened")


@pytest.fixture
def folder(demo: Path) -> Path:
    """The demo after its first run: AAPL and MSFT are held, IBM waits for approval."""
    assert apex("run", "--once", folder=demo).returncode == 0
    return demo


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A loop that holds the executor and plays no bars."""
    process = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", "run", "--bars-until", "2004-02-26"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: "held by" in apex("doctor", "--json", folder=folder).stdout)
    yield process
    process.kill()
    process.communicate()


def test_a_close_is_done_by_the_process_that_runs(folder: Path, holder: subprocess.Popen[str]) -> None:
    closed = apex("close", "MSFT", "--yes", "--json", "--wait", "60", folder=folder)
    assert closed.returncode == 0, closed.stderr
    assert data(closed)["closed"][0]["status"] == "closed"
    assert [row["symbol"] for row in data(apex("positions", "--json", folder=folder))["positions"]] == ["AAPL"]
    holder.send_signal(signal.SIGINT)
    _, err = holder.communicate(timeout=60)
    assert holder.returncode == 0, err
    assert "MSFT close" in err


@pytest.mark.usefixtures("holder")
def test_an_answer_is_given_to_the_process_that_runs(folder: Path) -> None:
    answered = apex("approve", "--all", "--yes", "--json", "--wait", "60", folder=folder)
    assert answered.returncode == 0, answered.stderr
    assert data(answered)["approvals"][0]["status"] == "executed"
    again = apex("approve", data(answered)["approvals"][0]["approval_id"], "--yes", "--wait", "60", folder=folder)
    assert again.returncode == 8
    assert "already" in again.stderr


@pytest.mark.usefixtures("holder")
def test_a_refusal_comes_back_with_its_reason_and_status(folder: Path) -> None:
    assert apex("halt", "--reason", "news", folder=folder).returncode == 0
    refused = apex("approve", "--all", "--yes", "--json", "--wait", "60", folder=folder)
    assert refused.returncode == 4
    assert json.loads(refused.stdout)["errors"][0]["code"] == "trading_state"


@pytest.mark.usefixtures("holder")
def test_without_waiting_it_ends_busy_and_changes_nothing(folder: Path) -> None:
    busy = apex("close", "MSFT", "--yes", "--wait", "0", folder=folder)
    assert busy.returncode == 7
    assert len(data(apex("positions", "--json", folder=folder))["positions"]) == 2


def test_a_holder_that_hangs_is_given_up_and_nothing_is_done(folder: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    try:
        given_up = apex("close", "MSFT", "--yes", "--wait", "2", folder=folder)
    finally:
        holder.send_signal(signal.SIGCONT)
    assert given_up.returncode == 7
    assert "nothing was done" in given_up.stderr
    assert f"kill {holder.pid}" in given_up.stderr
    assert len(data(apex("positions", "--json", folder=folder))["positions"]) == 2


def test_a_holder_that_dies_is_noticed_at_once(folder: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    asker = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", "close", "MSFT", "--yes", "--json", "--wait", "60"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert asker.stderr is not None
    assert "handed over" in asker.stderr.readline()
    holder.kill()
    out, err = asker.communicate(timeout=60)
    assert asker.returncode == 0, err
    assert json.loads(out)["data"]["closed"][0]["status"] == "closed"
