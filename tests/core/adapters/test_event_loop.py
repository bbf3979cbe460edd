from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apex_cli.core.adapters import event_loop

resource = pytest.importorskip("resource")


def test_work_is_run_to_its_end() -> None:
    async def answer() -> int:
        return 42

    assert event_loop.run(answer()) == 42


def test_what_work_comes_to_is_not_written_out_as_text() -> None:
    texts = []

    class Report:
        def __repr__(self) -> str:
            texts.append("years of trades")
            return texts[-1]

    async def replayed() -> Report:
        return Report()

    assert isinstance(event_loop.run(replayed()), Report)
    assert texts == []


SCARCE = """
import gc, os, resource, sys
from apex_cli.core.adapters import event_loop
held = os.open(os.devnull, os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (held + 1 + int(sys.argv[1]),) * 2)
async def work():
    print("worked")
try:
    event_loop.run(work())
except OSError as error:
    print(error.strerror)
gc.collect()
"""


@pytest.mark.parametrize("left", range(5))
def test_a_loop_that_gets_too_few_files_is_not_begun_and_says_nothing_more(left: int) -> None:
    command = [sys.executable, "-X", "dev", "-c", SCARCE, str(left)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    expected = "worked" if left >= event_loop.LOOP_FILES else "Too many open files"
    assert (ran.stdout.strip(), ran.stderr) == (expected, "")


def test_what_was_opened_to_try_is_closed_again() -> None:
    before = sorted(Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else []
    event_loop.require_files()
    after = sorted(Path("/proc/self/fd").iterdir()) if before else []
    assert len(after) == len(before)
