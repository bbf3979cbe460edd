"""Many processes at once: nothing lost, nothing doubled, nobody left without a clear answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.simulated.book_file import BookFile
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.order import OrderRole, OrderStatus

Start = Callable[..., "subprocess.Popen[str]"]

CHILD = Path(__file__).parent / "child.py"

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from msgspec.structs import replace
store = TinyDbStore(Path(sys.argv[1]), clock=SystemClock(), lock_timeout_s=60)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    with store.transaction() as tx:
        tx.counters = replace(tx.counters, entries_today=tx.counters.entries_today + 1)
        alarm = Alarm(code=f"counted {number}", message=str(tx.counters.entries_today))
        seq = tx.emit(AlarmRaised(at=datetime.now(UTC), subject=sys.argv[2], data=alarm))
    print(seq, flush=True)
"""


class Answer(NamedTuple):
    """What one process came to."""

    status: int
    envelope: dict[str, Any]
    err: str

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in self.envelope["errors"]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Python process in the folder; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APEX_")}
    environment = {**kept, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONUTF8": "1"}

    def started(*arguments: str, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**environment, **(env or {})},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        with process:
            pass


def answer(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    return Answer(process.returncode, json.loads(out), err)


@pytest.fixture
def apex(start: Start, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start apex in the demo, without waiting for it."""
    folder = tmp_path / "demo"
    assert answer(start("-m", "apex_cli", "init", str(folder), "--demo", "--json")).status == 0

    def typed(*arguments: str) -> subprocess.Popen[str]:
        return start("-m", "apex_cli", *arguments, "--json", cwd=folder)

    return typed


def journal(state_dir: Path) -> list[dict[str, Any]]:
    paths = sorted((state_dir / "journal").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def is_gapless(state_dir: Path) -> bool:
    numbers = [event["seq"] for event in journal(state_dir)]
    return numbers == list(range(1, len(numbers) + 1))


def test_eight_processes_with_a_hundred_transactions_each_lose_and_double_nothing(start: Start, tmp_path: Path) -> None:
    state_dir, writers, each = tmp_path / "state", 8, 100
    processes = [start("-c", WRITER, str(state_dir), f"writer-{n}", str(each)) for n in range(writers)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reported: list[int] = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        reported.extend(int(line) for line in out.split())
    state = TinyDbStore(state_dir, clock=SystemClock()).view()
    events = journal(state_dir)
    assert sorted(reported) == list(range(1, writers * each + 1))
    assert state.counters.entries_today == writers * each
    assert [event["seq"] for event in events] == sorted(reported)
    assert [int(event["data"]["message"]) for event in events] == list(range(1, writers * each + 1))
    by_writer = {(event["subject"], event["data"]["code"]) for event in events}
    assert len(by_writer) == writers * each


def test_ten_answers_to_one_approval_execute_it_once(apex: Start, tmp_path: Path) -> None:
    state_dir = tmp_path / "demo" / "state"
    first = answer(apex("run", "--once"))
    (approval_id,) = [row["approval_id"] for row in first.envelope["data"]["signals"] if row["approval_id"]]
    answers = [answer(p) for p in [apex("approve", approval_id, "--yes", "--wait", "30") for _ in range(10)]]
    assert sorted(done.status for done in answers) == [0, *[8] * 9]
    assert {code for done in answers if done.status for code in done.codes} == {"already_answered"}
    book = BookFile(state_dir / "simulated_broker.json").read()
    assert book is not None
    entries = [row for row in book.venue.orders if row.order.role is OrderRole.ENTRY]
    assert [row.order.instrument.symbol for row in entries].count("IBM") == 1
    kinds = [event["kind"] for event in journal(state_dir)]
    assert (kinds.count("approval_approved"), kinds.count("approval_executed")) == (1, 1)
    assert is_gapless(state_dir)


def test_two_closes_of_one_position_sell_it_once(apex: Start, tmp_path: Path) -> None:
    state_dir = tmp_path / "demo" / "state"
    assert answer(apex("run", "--once")).status == 0
    both = [answer(process) for process in [apex("close", "AAPL", "--yes", "--wait", "30") for _ in range(2)]]
    assert sorted(done.status for done in both) == [0, 8]
    assert next(done for done in both if done.status == 8).codes == ["no_position"]
    book = BookFile(state_dir / "simulated_broker.json").read()
    assert book is not None
    assert "AAPL" not in {position.instrument.symbol for position in book.venue.positions}
    closes = [row for row in book.venue.orders if row.order.role is OrderRole.CLOSE]
    assert [(row.order.instrument.symbol, row.status) for row in closes] == [("AAPL", OrderStatus.FILLED)]
    assert is_gapless(state_dir)


@pytest.mark.parametrize(("wait", "statuses"), [((), {(0, 0), (0, 7), (0, 8)}), (("--wait", "30"), {(0, 0)})])
def test_of_two_runs_at_once_each_signal_is_executed_once(
    apex: Start, tmp_path: Path, wait: tuple[str, ...], statuses: set[tuple[int, int]]
) -> None:
    state_dir = tmp_path / "demo" / "state"
    both = [answer(process) for process in [apex("run", "--once", *wait) for _ in range(2)]]
    assert tuple(sorted(done.status for done in both)) in statuses
    for done in both:
        if done.status == 7:
            assert done.codes == ["executor_busy"]
    executed = [done.envelope["data"]["summary"]["outcomes"]["executed"] for done in both if done.status == 0]
    assert sum(executed) == 2
    book = BookFile(state_dir / "simulated_broker.json").read()
    assert book is not None
    entries = [row.order.instrument.symbol for row in book.venue.orders if row.order.role is OrderRole.ENTRY]
    assert sorted(entries) == ["AAPL", "MSFT"]
    assert is_gapless(state_dir)


SYSTEM_CLOCK = """\
execution: {auto_execute: AUTO}
risk: {enforce_market_hours: false, max_position_pct: 0.5, max_risk_pct: 0.02, min_confidence: 0}
signals: {files: [signals.json]}
"""


@pytest.fixture
def house(start: Start, tmp_path: Path) -> Callable[..., Callable[..., subprocess.Popen[str]]]:
    """Return how to type in a folder with the system's clock, after its first run: 30 AAA were bought, or wait."""

    def built(auto: str) -> Callable[..., subprocess.Popen[str]]:
        (tmp_path / "config.yaml").write_text(SYSTEM_CLOCK.replace("AUTO", auto))
        row = {"signal_id": "one", "symbol": "AAA", "signal_type": "BUY", "entry_price": 50, "stop_loss": 48}
        (tmp_path / "signals.json").write_text(json.dumps({"signals": [row | {"target_price": 56}]}))

        def typed(*arguments: str, fault: str = "") -> subprocess.Popen[str]:
            return start(str(CHILD), *arguments, "--json", env={"CRASH_AT": fault})

        assert answer(typed("run", "--once")).status == 0
        return typed

    return built


def wait_for_holder(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    while str(process.pid) not in read_text(tmp_path / "state" / "executor.holder"):
        assert process.poll() is None
        time.sleep(0.01)


def read_text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("point", ["modify", "submit"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_close_whose_holder_is_killed_on_the_way_sells_once(
    house: Callable[..., Any], tmp_path: Path, moment: str, point: str
) -> None:
    typed = house("true")
    holder = typed("run", fault=f"kill:{moment}-{point}:1")
    wait_for_holder(tmp_path, holder)
    closed = answer(typed("close", "AAA", "--quantity", "2", "--yes", "--wait", "30"))
    assert holder.wait(timeout=30) == -signal.SIGKILL
    assert closed.status == 0
    assert [(row["quantity"], row["remaining"]) for row in closed.envelope["data"]["closed"]] == [(2, 28)]
    book = BookFile(tmp_path / "state" / "simulated_broker.json").read()
    assert book is not None
    assert [row.quantity for row in book.venue.positions] == [28]
    stops = [row for row in book.venue.orders if row.order.role is OrderRole.STOP and row.status is OrderStatus.WORKING]
    assert sum(row.quantity for row in stops) == 28
    assert not TinyDbStore(tmp_path / "state", clock=SystemClock()).view().requests


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_yes_whose_holder_is_killed_on_the_way_buys_at_most_once(
    house: Callable[..., Any], tmp_path: Path, moment: str
) -> None:
    typed = house("false")
    (approval_id,) = TinyDbStore(tmp_path / "state", clock=SystemClock()).view().approvals
    holder = typed("run", fault=f"kill:{moment}-submit:1")
    wait_for_holder(tmp_path, holder)
    said = answer(typed("approve", approval_id, "--yes", "--wait", "30"))
    assert holder.wait(timeout=30) == -signal.SIGKILL
    (row,) = said.envelope["data"]["approvals"]
    book = BookFile(tmp_path / "state" / "simulated_broker.json").read()
    entries = [] if book is None else [row for row in book.venue.orders if row.order.role is OrderRole.ENTRY]
    assert (row["status"], len(entries)) == (("failed", 0) if moment == "before" else ("executed", 1))


def test_commands_of_every_kind_at_once_leave_books_that_agree(apex: Start, tmp_path: Path) -> None:
    state_dir = tmp_path / "demo" / "state"
    lines = [("run", "--once"), ("close", "--all", "--yes"), ("halt", "--reason", "x"), ("resume",), ("positions",)]
    lines += [("approve", "--all", "--yes"), ("run", "--once"), ("state", "check"), ("orders", "--all"), ("reduce",)]
    assert answer(apex("run", "--once")).status == 0
    for wait in ("0", "20"):
        waiting = {"run", "close", "approve"}
        processes = [apex(*line, *(("--wait", wait) if line[0] in waiting else ())) for line in lines]
        assert {answer(process).status for process in processes} <= {0, 4, 6, 7, 8}
    assert answer(apex("run", "--once")).status == 0
    state = TinyDbStore(state_dir, clock=SystemClock()).view()
    book = BookFile(state_dir / "simulated_broker.json").read()
    assert book is not None
    sign = {"long": 1, "short": -1}
    ours = {key: row.position.quantity * sign[row.position.side] for key, row in state.positions.items()}
    assert ours == {row.instrument.key: row.quantity for row in book.venue.positions}
    assert {fill.key for fill in book.venue.fills} == set(state.fills)
    assert is_gapless(state_dir)
