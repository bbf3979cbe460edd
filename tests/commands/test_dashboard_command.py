from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.app.operator import Operator
from apex_cli.app.watch import Watch
from apex_cli.core.reports.board import PositionHistory
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.load import load_settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused, not served on


def test_without_a_terminal_it_says_what_to_use_instead(apex_json: Callable[..., Any], traded: Path) -> None:
    assert traded.is_dir()
    answer = apex_json("dashboard")
    assert (answer.status, answer.error["code"]) == (2, "dashboard_needs_terminal")
    assert "apex report --json" in answer.error["hint"]


@pytest.mark.parametrize("missing", ["textual", "textual_plotext", "textual_serve"])
def test_a_missing_extra_is_named(
    apex_json: Callable[..., Any], traded: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    import importlib.util

    assert traded.is_dir()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    answer = apex_json("dashboard")
    assert (answer.status, answer.error["code"]) == (3, "extra_missing")
    assert "pip install" in answer.error["hint"]


@pytest.mark.parametrize(
    ("arguments", "token", "code"),
    [
        (("--host", EVERYWHERE), "", "token_needed"),
        (("--host", "192.168.1.5"), "", "token_needed"),
        (("--host", "192.168.1.5"), "c0ffee", "token_short"),
        (("--host", EVERYWHERE), "0123456789abcdef", "public_url_needed"),
        (("--host", EVERYWHERE, "--public-url", "nas"), "0123456789abcdef", "url_invalid"),
        (("--host", EVERYWHERE, "--public-url", "http://nas:70000"), "0123456789abcdef", "url_invalid"),
        (("--host", "203.0.113.7"), "0123456789abcdef", "address_not_free"),
    ],
)
@pytest.mark.usefixtures("traded")
def test_others_are_let_in_only_with_a_token(
    apex_json: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    token: str,
    code: str,
) -> None:
    if token:
        monkeypatch.setenv("APEX_DASHBOARD_TOKEN", token)
    answer = apex_json("dashboard", "--serve", *arguments)
    assert (answer.status, answer.error["code"]) == (2, code)
    assert not token or token not in answer.out


def test_a_port_in_use_is_reported(apex_json: Callable[..., Any], traded: Path) -> None:
    assert traded.is_dir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = apex_json("dashboard", "--serve", "--port", str(taken.getsockname()[1]))
    assert (answer.status, answer.error["code"]) == (2, "address_not_free")


@pytest.mark.usefixtures("traded")
def test_looking_sees_what_other_processes_do(apex: Callable[..., Any], traded: Path) -> None:
    watch = Watch(load_settings(None, environ={}, cwd=traded))
    seen = watch.look()
    assert [view.symbol for view in seen.board.positions] == ["AAPL", "MSFT"]
    assert seen.board.day.equity == 2998
    assert seen.holder == ""
    assert {line.verdict for line in seen.lines} >= {"execute", "queue", "refuse"}
    assert not watch.has_changed()
    assert apex("halt", "--reason", "news").status == 0
    assert watch.has_changed()
    assert watch.look().lines[-1].text == "news"
    assert not watch.has_changed()


@pytest.mark.usefixtures("here")
def test_looking_at_nothing_creates_nothing(here: Path) -> None:
    seen = Watch(load_settings(None, environ={}, cwd=here)).look()
    assert (seen.board.positions, seen.lines, seen.board.day_trades) == ((), (), None)
    assert list(here.iterdir()) == []


def test_the_dashboard_answers_as_approve_does(traded: Path, apex_json: Callable[..., Any]) -> None:
    from apex_cli.core.model.decision import TradingMode
    from apex_cli.core.model.request import Answer, Answered, Choice

    operator = Operator(load_settings(None, environ={}, cwd=traded), Output("dashboard", quiet=True), wait_s=5)
    (waiting,) = apex_json("approve").data["approvals"]
    approval = operator.find(waiting["approval_id"])
    preview = operator.preview(approval)
    assert approval.opportunity.signal.symbol == "IBM"
    assert not preview.reasons
    done = operator.do(Answer(ids=(approval.approval_id,), choice=Choice.APPROVE, by="dashboard")).the(Answered)
    assert done.approval.status == "executed"
    with pytest.raises(Exception, match="executed by dashboard already"):
        operator.do(Answer(ids=(approval.approval_id,), choice=Choice.REJECT)).the(Answered)
    operator.set_mode(TradingMode.REDUCING, "weekend")
    assert "REDUCING" in Path(traded / "state" / "state.json").read_text(encoding="utf-8")


def _screen_until(master: int, text: str) -> str:
    """Read the terminal until *text* is on it."""
    came = ""
    deadline = time.monotonic() + 60
    while text not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", came):
        assert time.monotonic() < deadline, came[-2000:]
        if select.select([master], [], [], 0.5)[0]:
            came += os.read(master, 65536).decode("utf-8", "replace")
    return came


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_killing_it_leaves_state_and_executor_alone(
    traded: Path, clean_environment: dict[str, str], apex: Callable[..., Any]
) -> None:
    before = (traded / "state" / "state.json").read_bytes()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", "dashboard", "--control"],
        cwd=traded,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=clean_environment | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
    )
    try:
        _screen_until(master, "MSFT")
        os.write(master, b"2a")
        _screen_until(master, "R:R")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)
        os.close(slave)
    assert (traded / "state" / "state.json").read_bytes() == before
    assert apex("state", "check").status == 0
    answer = apex("approve", "--all", "--yes", "--json")
    assert json.loads(answer.out)["data"]["approvals"][0]["status"] == "executed"


def test_a_position_comes_with_its_bars_and_its_first_stop_and_the_month_with_its_sessions(
    apex: Callable[..., Any], traded: Path
) -> None:
    watch = Watch(load_settings(None, environ={}, cwd=traded))
    (held, *_) = watch.look().board.positions
    found = watch.history(held.symbol)
    assert found.first_stop == held.stop_price
    assert found.bars[0].start < held.entry_time <= found.bars[-1].end
    assert watch.history("NOBODY") == PositionHistory()
    assert apex("run", "--once", "--bars-until", "2004-03-12", "--quiet").status == 0
    later = Watch(load_settings(None, environ={}, cwd=traded)).month()
    assert (f"{later[0].day}", f"{later[-1].day}") == ("2004-02-25", "2004-03-12")
    assert later[0].equity == 3000
