"""Every table at 60, 80, 100, 140 and 200 columns: what matters most is never cut; and in ASCII nothing crashes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from apex_cli.commands import COMMANDS

WIDTHS = (60, 80, 100, 140, 200)
SCREENS = {
    ("status",): ("SIM", "ACTIVE", "apex approve"),
    ("positions",): ("AAPL", "MSFT", "long", "6", "5", "+0.00 R", "22.30", "25.85"),
    ("orders",): ("AAPL", "MSFT", "SELL", "0/6", "0/5", "25.60", "28.75", "working"),
    ("approve", "--config", "config.yaml"): ("IBM", "SELL", "96.79", "99.20", "2.04"),
    ("explain",): ("AAPL", "MSFT", "IBM", "execute", "refuse"),
    ("history",): ("No closed trades yet.",),
    ("run", "--dry-run"): ("No new signals.", "6 duplicate"),
    ("reconcile",): ("Nothing differs",),
    ("pdt-status",): ("Count", "T+0"),
    ("doctor",): ("configuration", "state"),
    ("report",): ("Not traded",),
    ("size", "--entry", "50", "--stop", "48"): ("BUY 3",),
    ("risk",): ("AAPL", "MSFT", "long", "138.24", "Open risk", "300.00"),
    ("locks",): ("Nothing is locked.",),
    ("explain", "1"): ("MSFT", "26.50", "27.10", "reward risk min", "-3.75", "at least 2.00"),
    ("approve", "1"): ("SELL 1 IBM", "96.79", "99.20", "2.04"),
    ("replay", "--to", "2004-03-31"): ("AAPL", "MSFT", "long", "+2.41 R", "-1.10 R"),
    ("learn", "status"): ("reward risk", "0.3000"),
    ("learn", "history"): ("Nothing was learned yet.",),
    ("model", "status"): ("There is no trained model yet",),
    ("state", "check"): ("state file", "checksum"),
    ("notify", "status"): ("No channel is set up",),
    ("heartbeat",): ("Last good run",),
    ("config", "get", "risk.capital"): ("3000",),
    ("files", "signals.json"): ("AAPL", "LONG", "23.04", "22.30"),
    ("halt", "--reason", "news"): ("HALTED", "news"),
    ("reduce",): ("REDUCING",),
    ("resume",): ("ACTIVE",),
    ("cash", "in", "10"): ("Equity is",),
    ("help",): ("Daily", "handles"),
    ("version",): ("Version",),
    ("drift",): ("Live", "Replay", "AAPL", "MSFT"),
    ("events",): ("AAPL", "MSFT", "decision"),
    ("mcp", "--help"): ("Usage",),
    ("listen", "--help"): ("Usage",),
    ("events", "--help"): ("Usage",),
}
ELSEWHERE = {
    "move-stop": "in test_order_commands; a row, of the first rank as a whole",
    "cancel": "the same",
    "close": "asks; its answer is drawn in test_close_command",
    "import-fills": "reads a file of the user's",
    "reconcile": "above",
    "export": "writes a table for programs, not for a width",
    "schema": "the same",
    "init": "asks, or names files",
    "dashboard": "has screens of its own",
    "gateway": "serves",
    "telegram": "serves",
    "new": "names files",
}
"""Commands without a row above, and why."""


def test_every_command_is_drawn_or_has_its_reason() -> None:
    drawn = {line[0] for line in SCREENS}
    assert set(COMMANDS) - drawn - set(ELSEWHERE) == set()


@pytest.fixture
def drawn(traded: Path, clean_environment: dict[str, str]) -> Callable[..., list[str]]:
    """Return what a command draws on terminals of some widths, one after the other."""
    assert traded.is_dir()

    def draw(widths: Sequence[int], *line: str, **variables: str) -> list[str]:
        script = (
            "import os, sys\n"
            "sys.stdout.isatty = lambda: True\n"
            "from apex_cli.cli import run, take_any_sign\n"
            "take_any_sign(sys.stdout)\n"
            f"for width in {tuple(widths)}:\n"
            "    os.environ['COLUMNS'] = str(width)\n"
            "    status = run(sys.argv[1:])\n"
            "    assert status in {0, 8}, status\n"
            "    print(end='\\f', flush=True)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *line],
            env={**clean_environment, "NO_COLOR": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(variables.get("PYTHONIOENCODING", "utf-8")).split("\f")[:-1]

    return draw


@pytest.mark.parametrize("line", SCREENS, ids=" ".join)
def test_nothing_of_the_first_rank_is_cut(drawn: Callable[..., list[str]], line: tuple[str, ...]) -> None:
    for width, screen in zip(WIDTHS, drawn(WIDTHS, *line), strict=True):
        text = re.sub(r"\x1b\[[0-9;]*m", "", screen)
        assert [word for word in SCREENS[line] if word not in text] == [], width
        assert [row for row in text.splitlines() if len(row) > width] == []


@pytest.mark.parametrize("line", [("positions",), ("approve",), ("report",), ("status",)], ids=" ".join)
def test_without_utf_8_bars_and_marks_are_ascii(drawn: Callable[..., list[str]], line: tuple[str, ...]) -> None:
    (text,) = drawn((140,), *line, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert text.isascii()
    if line == ("approve",):
        assert "##... 0.46" in text
    if line == ("positions",):
        assert "|---*---------|" in text


def test_an_encoding_of_its_own_writes_what_it_can(apex: Callable[..., Any], traded: Path) -> None:
    assert traded.is_dir()
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "apex_cli", "approve"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"##... 0.46" in done.stdout
    assert apex("approve").status == 0
