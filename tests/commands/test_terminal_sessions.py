"""A person at a terminal: questions are asked there, and only there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 20


def take_the_terminal() -> None:
    """Make standard input the terminal whose Ctrl-C this process hears."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it, and hands that on


class Terminal:
    """A pseudo-terminal with apex behind it."""

    def __init__(self, start: Callable[..., Any], *line: str, **variables: str) -> None:
        self._master, slave = pty.openpty()
        size = {"COLUMNS": "120", "LINES": "40"}
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = start(
            *line, **streams, env={**size, **variables}, start_new_session=True, preexec_fn=take_the_terminal
        )
        os.close(slave)
        self.text = ""

    def read_until(self, words: str) -> str:
        """Return what came up to *words*; fail when the program ends or goes silent first."""
        before = len(self.text)
        while words not in self.text[before:]:
            assert self._more(), f"{words!r} never came in {self.text!r}"
        return self.text[before:]

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def press(self, key: str) -> None:
        """Press *key* once the program waits for single keys: what was typed ahead is thrown away, and rightly so."""
        while termios.tcgetattr(self._master)[3] & termios.ICANON:
            assert self.process.poll() is None, self.text
        self.type(key)

    def interrupt(self) -> None:
        """Press Ctrl-C, and again as people do: one that comes right before Python's input() starts is lost to it."""
        for _ in range(PATIENCE_S):
            self.type("\x03")
            try:
                self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
            return

    def ended(self) -> int:
        """Return the exit status, with everything that came read."""
        while self._more():
            pass
        status: int = self.process.wait(timeout=PATIENCE_S)
        return status

    def close(self) -> None:
        os.close(self._master)

    def _more(self) -> bool:
        if not select.select([self._master], [], [], PATIENCE_S)[0]:
            return False
        try:
            found = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += found.decode(errors="replace")
        return bool(found)


@pytest.fixture
def terminal(traded: Path, start: Callable[..., subprocess.Popen[str]]) -> Iterator[Callable[..., Terminal]]:
    assert traded.exists()
    opened: list[Terminal] = []

    def open_one(*line: str, **variables: str) -> Terminal:
        opened.append(Terminal(start, *line, **variables))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def held(apex_json: Callable[..., Any]) -> dict[str, int]:
    return {row["symbol"]: row["quantity"] for row in apex_json("positions").data["positions"]}


class TestApprove:
    def test_one_key_approves(self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]) -> None:
        session = terminal("approve")
        session.read_until("[q]uit")
        assert "SELL IBM (1 of 1)" in session.text
        session.press("a")
        assert session.ended() == 0
        assert "executed" in session.text
        assert held(apex_json)["IBM"] == 1

    def test_one_that_is_named_is_asked_for_alone(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("approve", "ibm")
        session.read_until("[q]uit")
        session.press("x")
        session.read_until("'x' is none of the keys.")
        session.press("a")
        assert session.ended() == 0
        assert held(apex_json)["IBM"] == 1
        again = terminal("approve", "IBM")
        assert again.ended() == 0
        assert "[a]pprove" not in again.text

    def test_another_size_is_looked_at_again_first(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("approve", APEX_RISK__MAX_POSITION_PCT="0.5")
        session.read_until("[q]uit")
        session.press("e")
        session.read_until("Quantity")
        session.type("2\n")
        assert "SELL 2 IBM" in session.read_until("[q]uit")
        session.press("a")
        assert session.ended() == 0
        assert held(apex_json)["IBM"] == 2

    def test_a_no_is_asked_for_its_reason(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("approve")
        session.read_until("[q]uit")
        session.press("r")
        session.read_until("Reason")
        session.type("earnings\n")
        assert session.ended() == 0
        (story,) = apex_json("explain", "demo-3-ibm-short").data["stories"]
        assert story["approvals"][-1] == {**story["approvals"][-1], "status": "rejected", "reason": "earnings"}

    def test_what_became_void_while_the_question_stood_is_not_asked_again(
        self, terminal: Callable[..., Terminal], traded: Path
    ) -> None:
        session = terminal("approve")
        session.read_until("[q]uit")
        bars = traded / "bars" / "IBM.csv"
        bars.write_text(re.sub(r"(?m)^(2004-02-26),.*$", r"\1,90,90,90,90,1000000", bars.read_text()))
        session.press("a")
        assert session.ended() == 0
        assert "The approval is void." in session.text
        assert session.text.count("[q]uit") == 1

    @pytest.mark.parametrize("key", ["q", "s", "\x03", "\x1b"])
    def test_leaving_answers_nothing(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any], key: str
    ) -> None:
        session = terminal("approve")
        session.read_until("[q]uit")
        session.press(key)
        assert session.ended() in {0, 130}
        assert "Traceback" not in session.text
        assert apex_json("approve").data["approvals"][0]["status"] == "pending"

    def test_keys_that_mean_nothing_change_nothing(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("approve")
        session.read_until("[q]uit")
        for key in "xyz1 \n?":
            session.press(key)
        while session.process.poll() is None:  # a key between two others may be thrown away
            session.type("q")
            time.sleep(0.1)
        assert session.ended() == 0
        assert "IBM" not in held(apex_json)


class TestClose:
    @pytest.mark.parametrize(
        ("answer", "status", "left"),
        [("y\n", 0, {"AAPL": 6}), ("n\n", 8, {"AAPL": 6, "MSFT": 5}), ("\n", 8, {"AAPL": 6, "MSFT": 5})],
    )
    def test_it_asks_first(
        self,
        terminal: Callable[..., Terminal],
        apex_json: Callable[..., Any],
        answer: str,
        status: int,
        left: dict[str, int],
    ) -> None:
        session = terminal("close", "msft")
        session.read_until("close MSFT?")
        assert "Close 5 of 5 MSFT (long) at the market: last 26.50, P&L about +0.00 USD" in session.text
        assert "A day trade: it was opened today. 3 of 3 are left." in session.text
        session.type(answer)
        assert session.ended() == status
        assert held(apex_json) == left

    def test_what_is_neither_yes_nor_no_is_asked_again(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("close", "MSFT")
        session.read_until("close MSFT? [y/N]:")
        session.type("maybe\n")
        session.read_until("'maybe' is neither y nor n.")
        session.type("YES\n")
        assert session.ended() == 0
        assert held(apex_json) == {"AAPL": 6}

    def test_ctrl_c_at_the_question_closes_nothing(
        self, terminal: Callable[..., Terminal], apex_json: Callable[..., Any]
    ) -> None:
        session = terminal("close", "--all")
        session.read_until("?")
        session.interrupt()
        assert session.ended() == 130
        assert "Traceback" not in session.text
        assert held(apex_json) == {"AAPL": 6, "MSFT": 5}


class TestDrawing:
    def test_a_terminal_gets_colour_and_no_color_takes_it_away(self, terminal: Callable[..., Terminal]) -> None:
        coloured = terminal("positions")
        assert coloured.ended() == 0
        assert "\x1b[1m" in coloured.text
        plain = terminal("positions", NO_COLOR="1")
        assert plain.ended() == 0
        assert "\x1b[32m" not in plain.text
        dumb = terminal("positions", TERM="dumb")
        assert dumb.ended() == 0
        assert "\x1b" not in dumb.text

    def test_watching_goes_on_until_ctrl_c(self, terminal: Callable[..., Terminal]) -> None:
        session = terminal("positions", "--watch")
        session.read_until("MSFT")
        session.interrupt()
        assert session.ended() in {0, 130}
        assert "Traceback" not in session.text
        assert session.text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in session.text

    def test_a_loop_shows_a_status_line_and_ends_with_ctrl_c(self, terminal: Callable[..., Terminal]) -> None:
        session = terminal("run")
        session.read_until("Ctrl-C ends")
        session.interrupt()
        assert session.ended() == 0
        assert "Traceback" not in session.text
        assert "equity" in session.text

    def test_json_is_never_drawn(self, terminal: Callable[..., Terminal]) -> None:
        session = terminal("positions", "--json")
        assert session.ended() == 0
        assert "\x1b" not in session.text


class TestInit:
    def test_a_wrong_answer_is_asked_again_and_doctor_has_the_last_word(
        self, terminal: Callable[..., Terminal], traded: Path
    ) -> None:
        session = terminal("init", "mine", NO_COLOR="1")
        for question, answer in (
            ("Capital in USD [3000]: ", "3k"),
            ("'3k' is not an amount, such as 3000 or 3,000.50.", ""),
            ("Risk of one trade in % [1]: ", "0.5"),
            ("simulation or paper [simulation]: ", ""),
            ("Folder of price files: ", "bars"),
            ("Folder of signal files [signals]: ", ""),
            ("none, telegram or apprise [none]: ", ""),
            ("Write mine/config.yaml? [Y/n]: ", ""),
        ):
            session.read_until(question)
            session.type(f"{answer}\n")
        assert session.ended() == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", session.text)
        assert "✓  configuration" in text
        assert text.rstrip().endswith("next: cd mine && apex run --once --dry-run")
        assert "max_risk_pct: 0.005" in (traded / "mine" / "config.yaml").read_text()

    def test_ctrl_c_leaves_nothing_behind(self, terminal: Callable[..., Terminal], traded: Path) -> None:
        session = terminal("init", "mine")
        session.read_until("Capital in USD")
        session.type("\n")
        session.read_until("Risk of one trade")
        session.interrupt()
        assert session.ended() == 130
        assert not (traded / "mine").exists()

    def test_no_at_the_end_writes_nothing(self, terminal: Callable[..., Terminal], traded: Path) -> None:
        session = terminal("init", "mine", "--capital", "5000", "--risk", "1", "--mode", "s", "--prices", "")
        for question, answer in (("[signals]: ", ""), ("[none]: ", ""), ("[Y/n]: ", "n")):
            session.read_until(question)
            session.type(f"{answer}\n")
        assert session.ended() == 130
        assert not (traded / "mine").exists()
