"""What only a process can show: pipes, signals, full disks, closed streams, two at once."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SIZE = ("size", "--entry", "50", "--stop", "48")
NO_SPACE = Path("/dev/full")


def wait_for(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def waiting_in(pipe: int) -> int:
    """Return how many bytes of *pipe* nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def wait_until_delivered(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Wait until *process* has taken the signal: one more that comes before would be one with it."""
    status = Path(f"/proc/{process.pid}/status")
    while status.exists() and int(status.read_text().split("ShdPnd:")[1].split()[0], 16) >> (number - 1) & 1:
        time.sleep(0.01)


class TestPipes:
    @pytest.mark.parametrize("line", [("state", "export"), ("explain", "AAPL", "--json"), ("--help",), ("history",)])
    def test_a_reader_that_goes_away_is_no_error(
        self, traded: Path, start: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        assert traded.exists()
        reader, writer = os.pipe()
        os.close(reader)
        process = start(*line, stdout=writer)
        os.close(writer)
        status, _, err = wait_for(process)
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        assert status == 0

    def test_nobody_listening_to_the_talk_spoils_nothing(self, demo: Path, start: Callable[..., Any]) -> None:
        assert demo.exists()
        reader, writer = os.pipe()
        os.close(reader)
        process = start("run", "--once", "--json", stderr=writer)
        os.close(writer)
        status, out, _ = wait_for(process)
        assert status == 0
        assert json.loads(out)["data"]["summary"]["fills"] == 2

    @pytest.mark.skipif(not NO_SPACE.exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("line", [SIZE, (*SIZE, "--json"), ("run", "--once", "--json"), ("state", "export")])
    def test_a_result_that_cannot_be_written_is_said_on_stderr(
        self, traded: Path, start: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        assert traded.exists()
        with NO_SPACE.open("w") as full:
            status, _, err = wait_for(start(*line, stdout=full))
        assert status == 1
        assert err.splitlines()[-2] == "Error: The result cannot be written: No space left on device."
        assert "Traceback" not in err

    def test_signals_come_through_a_pipe(self, demo: Path, start: Callable[..., Any]) -> None:
        process = start("run", "--once", "--json", "--signals", "-", stdin=subprocess.PIPE)
        out, _ = process.communicate((demo / "signals.json").read_text(), timeout=60)
        assert process.returncode == 0
        assert json.loads(out)["data"]["summary"]["outcomes"]["executed"] == 2


class TestClosedStreams:
    """``<&-`` and ``>&-``: cron and supervisors start programs without streams."""

    def shell(self, command: str, env: dict[str, str]) -> tuple[int, str, str]:
        done = subprocess.run(
            ["sh", "-c", command.replace("apex", f"{sys.executable} -m apex_cli")],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    @pytest.mark.parametrize(
        ("command", "status", "words"),
        [
            ("apex run --once --signals - <&-", 2, "standard input, which is closed"),
            ("apex close AAPL <&-", 2, "--yes"),
            ("apex approve <&-", 0, ""),
            ("apex size --entry 50 --stop 48 >&-", 0, ""),
            ("apex size --entry 50 --stop 48 --json >&-", 0, ""),
            ("apex size --entry 50 --stop 50 2>&-", 4, ""),
            ("apex run --once <&- >&- 2>&-", 0, ""),
        ],
    )
    def test_a_closed_stream_is_no_crash(
        self, traded: Path, clean_environment: dict[str, str], command: str, status: int, words: str
    ) -> None:
        assert traded.exists()
        found, _, err = self.shell(command, clean_environment)
        assert found == status
        assert words in err
        assert "Traceback" not in err


class TestSignals:
    def test_ctrl_c_ends_a_loop_after_its_cycle_with_the_whole_result(
        self, demo: Path, start: Callable[..., Any]
    ) -> None:
        process = start("run", "--json")
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        status, out, _ = wait_for(process)
        assert status == 0
        summary = json.loads(out.splitlines()[-1])["data"]["summary"]
        assert summary["cycles"] >= 1
        assert not any((demo / "state").glob("*.tmp*"))

    def test_term_ends_a_loop_the_same_way(self, demo: Path, start: Callable[..., Any]) -> None:
        assert demo.exists()
        process = start("run")
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        status, out, err = wait_for(process)
        assert status == 0
        assert "open · equity" in out
        assert "Traceback" not in err

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_waiting_for_standard_input_ends_at_once(
        self, demo: Path, start: Callable[..., Any], number: signal.Signals
    ) -> None:
        reader, writer = os.pipe()
        process = start("run", "--once", "--signals", "-", stdin=reader)
        os.write(writer, b"{")  # something, and then nothing more
        while waiting_in(reader):  # one that comes before reading begins is for the loop
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.wait(timeout=60)
        os.close(reader)
        os.close(writer)
        assert process.returncode == 130
        assert process.stderr.read() == "Interrupted.\n"
        assert wait_for(start("run", "--once", "--json"))[0] == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize(
        "body",
        [
            "await asyncio.sleep(600)",
            "time.sleep(600)",
            "[None for _ in iter(int, 1)]",
            "stubborn()",
        ],
    )
    def test_a_second_signal_ends_a_run_whose_step_never_answers(
        self, demo: Path, start: Callable[..., Any], number: signal.Signals, body: str
    ) -> None:
        (demo / "slow.py").write_text(
            "import asyncio, pathlib, time\n"
            "def stubborn():\n"
            "    while True:\n"
            "        try: time.sleep(600)\n"
            "        except BaseException: pass\n"
            "class Stage:\n"
            "    name = 'slow'\n"
            "    def __init__(self, context): pass\n"
            "    async def process(self, found):\n"
            f"        pathlib.Path('asked').touch()\n        {body}\n        return found\n"
        )
        with (demo / "config.yaml").open("a") as file:
            file.write("\npipeline: {stages: ['slow:Stage']}\n")
        process = start("run", "--json")
        while not (demo / "asked").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        wait_until_delivered(process, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(number)
        process.wait(timeout=60)  # the step itself would take ten minutes
        _, _, err = wait_for(process)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert wait_for(start("state", "check"))[0] == 0
        assert wait_for(start("halt"))[0] == 0

    def test_killed_in_a_loop_it_starts_again(self, demo: Path, start: Callable[..., Any]) -> None:
        assert demo.exists()
        process = start("run")
        process.stderr.readline()
        process.kill()
        process.wait()
        status, out, _ = wait_for(start("run", "--once", "--json"))
        assert status == 0
        summary = json.loads(out)["data"]["summary"]
        assert summary["positions"] == 2
        assert summary["unknown_orders"] == 0


class TestTwoAtOnce:
    def test_the_second_executor_is_reported_who_runs(self, demo: Path, start: Callable[..., Any]) -> None:
        first = start("run", "--signals", "-", stdin=subprocess.PIPE)
        while not (demo / "state" / "executor.holder").exists():
            assert first.poll() is None
        status, out, _ = wait_for(start("run", "--once", "--json"))
        assert status == 7
        message = json.loads(out)["errors"][0]["message"]
        assert f"pid {first.pid}" in message
        first.stdin.close()

    def test_two_runs_over_the_same_signals_execute_each_once(self, demo: Path, start: Callable[..., Any]) -> None:
        assert demo.exists()
        both = [start("run", "--once", "--json", "--wait", "30") for _ in range(2)]
        outs = [wait_for(process) for process in both]
        assert [status for status, _, _ in outs] == [0, 0]
        assert sorted(json.loads(out)["data"]["summary"]["outcomes"]["executed"] for _, out, _ in outs) == [0, 2]


class TestScarcity:
    def test_a_full_disk_leaves_the_state_as_it_was_and_the_next_run_goes_on(
        self, traded: Path, start: Callable[..., Any]
    ) -> None:
        state = traded / "state" / "state.json"
        before = state.read_bytes()

        def little_space() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        process = start("halt", "--reason", "x" * 500, "--json", preexec_fn=little_space)
        status, out, _ = wait_for(process)
        assert status == 9
        assert json.loads(out)["errors"][0]["code"].startswith("state")
        assert state.read_bytes() == before
        status, out, _ = wait_for(start("run", "--once", "--json"))
        assert status == 0
        assert json.loads(out)["data"]["summary"]["trading_state"] == "ACTIVE"
        assert wait_for(start("state", "check"))[0] == 0

    def test_a_disk_that_fills_up_in_a_run_loses_and_doubles_nothing(
        self, demo: Path, start: Callable[..., Any]
    ) -> None:
        assert demo.exists()

        def some_space() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

        status, out, err = wait_for(start("run", "--once", "--json", preexec_fn=some_space))
        assert status in {6, 9}
        assert json.loads(out)["errors"]
        assert "Traceback" not in err
        status, out, _ = wait_for(start("run", "--once", "--json"))
        assert status == 0
        assert json.loads(out)["data"]["summary"]["unknown_orders"] == 0
        orders = json.loads(wait_for(start("orders", "--all", "--json"))[1])["data"]["orders"]
        entries = [order["symbol"] for order in orders if order["role"] == "ENTRY"]
        assert sorted(entries) == sorted(set(entries))
        assert json.loads(wait_for(start("positions", "--json"))[1])["data"]["totals"]["unprotected"] == 0

    def test_a_hundred_thousand_junk_rows_fit_into_little_memory(self, demo: Path, start: Callable[..., Any]) -> None:
        lines = (f"S{number % 50},BUY,x{number},1,2\n" for number in range(100_000))
        header = "symbol,signal_type,entry_price,stop_loss,target_price\n"
        (demo / "junk.csv").write_text(header + "".join(lines))

        def little_memory() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))

        process = start("run", "--dry-run", "--signals", "junk.csv", preexec_fn=little_memory)
        status, out, err = wait_for(process)
        assert status == 2
        assert err.startswith("No usable signal. junk.csv:2: entry_price")
        assert len(out) < 100_000
