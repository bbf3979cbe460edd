"""Kill -9 between the commit and the delivery: reported after the restart, never lost, and a repetition says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.notifiers.delivery_file import DeliveryFile
from apex_cli.notify.channels import notify_folder
from apex_cli.settings.sections import Settings
from kit.telegram import TOO_MANY, BotApi


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start apex in the folder we stand in."""
    return subprocess.Popen(
        [sys.executable, "-m", "apex_cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def killed_at(api: BotApi, nth: int, *, before: bool) -> None:
    """Run apex once and kill it at its *nth* message, *before* or after that arrived."""
    process: list[subprocess.Popen[str]] = []
    seen = 0

    def on_call(method: str, _: dict[str, Any]) -> None:
        nonlocal seen
        if method != "sendMessage" or not process:
            return
        seen += 1
        if seen == nth + (0 if before else 1):
            process[0].send_signal(signal.SIGKILL)
            process[0].wait()

    api.on_call = on_call
    process.append(start("run", "--once", "--quiet"))
    process[0].communicate(timeout=60)
    api.on_call = lambda _method, _fields: None
    assert process[0].returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_what_was_not_delivered_is_delivered_by_the_next_command(api: BotApi, settings: Settings) -> None:
    killed_at(api, 2, before=True)
    # The dead process's request may still have been carried out by the server: that is the point.
    start("run", "--once", "--quiet").communicate(timeout=60)
    numbers = [line for text in api.texts() for line in text.splitlines() if line.startswith("<i>#")]
    firsts = {line.removeprefix("<i>#").split("<")[0].split()[0] for line in numbers}
    titles = " ".join(api.texts())
    assert all(word in titles for word in ("AAPL long 6", "MSFT long 5", "SELL 1 IBM?"))
    assert len(firsts) == 3
    for number in firsts:
        reported = [text for text in api.texts() if f"#{number}<" in text or f"#{number} " in text]
        assert len(reported) == 1 or "sent again" in reported[-1], reported
    standing = DeliveryFile(notify_folder(settings), "telegram").load()
    assert (standing.sending, standing.attempts) == (0, 0)


def test_what_a_dead_channel_missed_is_delivered_by_the_next_command(api: BotApi, allow: Callable[[int], None]) -> None:
    allow(1)
    api.faults["sendMessage"].extend([TOO_MANY] * 1000)
    start("run", "--once", "--quiet").communicate(timeout=60)
    assert api.texts() == []
    api.faults["sendMessage"].clear()
    allow(60)
    start("approve", "--all", "--reject", "--quiet").communicate(timeout=120)
    assert [sum(name in text for text in api.texts()) for name in ("AAPL long 6", "MSFT long 5")] == [1, 1]
    assert sum("sent again" in text for text in api.texts()) == 0
