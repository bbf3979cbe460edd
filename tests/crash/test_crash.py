"""State survives anything: worlds played under kills and under a full disk, by processes of their own.

``CRASH_KILLS`` sets how many processes are killed; ``python tests/crash/harness.py`` plays longer and prints a table.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS = int(os.environ.get("CRASH_KILLS", "100"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills and forks as POSIX has them")


def played(script: str, *arguments: str) -> str:
    """Run a script of this folder; a violation of a law is its exit status 1."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=False, timeout=3000
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_every_law_holds_whatever_process_is_killed_whenever() -> None:
    told = played("harness.py", "--kills", str(KILLS), "--seed", "11", "--workers", "2")
    assert "violations: 0" in told


def test_every_law_holds_wherever_the_disk_is_full() -> None:
    told = played("disk_full.py", "--seed", "3", "--step", "9")
    assert "violations: 0" in told
