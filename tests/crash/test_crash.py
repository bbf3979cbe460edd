"""State survives anything: worlds played under kills and under a full disk, by processes of their own.

``CRASH_KILLS`` sets how many processes are killed; ``python tests/crash/harness.py`` plays longer and prints a table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
KILLS = int(os.environ.get("CRASH_KILLS", "50"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills and forks as POSIX has them")


def apex(folder: Path, *words: str, fault: str = "") -> tuple[int, dict[str, Any], str]:
    """Type a command into *folder*; *fault* is what ``child.py`` makes of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APEX_")}
    done = subprocess.run(
        [sys.executable, str(HERE / "child.py"), *words, "--json", "--quiet"],
        cwd=folder,
        env={**environment, "CRASH_AT": fault, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Return the demo after its first run: AAPL and MSFT are held, IBM waits for an answer."""
    assert apex(tmp_path, "init", ".", "--demo")[0] == 0
    assert apex(tmp_path, "run", "--once")[0] == 0
    return tmp_path


def played(script: str, *arguments: str) -> str:
    """Run a script of this folder; a violation of a law is its exit status 1."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=False, timeout=3000
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_every_law_holds_whatever_process_is_killed_whenever() -> None:
    reported = played("harness.py", "--kills", str(KILLS), "--seed", "11", "--workers", "2")
    assert "violations: 0" in reported


def test_every_law_holds_wherever_the_disk_is_full() -> None:
    reported = played("disk_full.py", "--seed", "3", "--step", "17")
    assert "violations: 0" in reported


def test_an_unknown_outcome_is_reported_with_its_order(demo: Path) -> None:
    for number in range(1, 12):  # one of the first files that are put in place are the broker's books
        status, envelope, _ = apex(demo, "approve", "--all", "--yes", fault=f"full:replace:{number}")
        if status == 6:
            break
    assert [error["code"] for error in envelope["errors"]] == ["order_unknown"] * 3
    assert "No space left on device" in envelope["errors"][0]["message"]


def test_a_market_that_cannot_be_written_down_ends_without_a_traceback(demo: Path) -> None:
    for number in (1, 3, 5, 7):
        status, envelope, talk = apex(
            demo, "run", "--once", "--bars-until", "2004-03-12", fault=f"fullest:open:{number}"
        )
        assert (status, envelope["errors"][0]["code"], talk) == (9, "state_disk_full", "")


def test_what_killed_writers_leave_is_cleaned_up(demo: Path) -> None:
    for fault in ("kill:replace:1", "kill:replace:2", "kill:replace:3"):
        command = [sys.executable, str(HERE / "child.py"), "close", "AAPL", "--quantity", "1", "--yes"]
        subprocess.run(command, cwd=demo, env={**os.environ, "CRASH_AT": fault}, capture_output=True, check=False)
    assert apex(demo, "close", "MSFT", "--yes")[0] == 0
    assert not [path for path in (demo / "state").rglob("*") if ".tmp" in path.name]
