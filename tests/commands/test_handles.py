"""Numbers, symbols and parts of ids instead of long ids; completion; groups of commands; help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.cli import COMMANDS, GROUPS


@pytest.mark.usefixtures("traded")
class TestApprovals:
    def named(self, apex_json: Callable[..., Any], name: str) -> str:
        (approval,) = apex_json("approve", name).data["approvals"]
        symbol: str = approval["symbol"]
        return symbol

    def test_a_number_a_symbol_and_parts_of_the_id_name_it(self, apex_json: Callable[..., Any]) -> None:
        (waiting,) = apex_json("approve").data["approvals"]
        key = waiting["approval_id"]
        for name in ("1", "IBM", "ibm", "NYSE:IBM", "IBM US", key, key.lower(), key[:6], key[-5:]):
            assert self.named(apex_json, name) == "IBM"

    @pytest.mark.parametrize("name", ["2", "0", "01M", "MSFT", "nobody", "IBM@EUR", "IBM.DE"])
    def test_what_names_nothing_is_refused(self, apex_json: Callable[..., Any], name: str) -> None:
        answer = apex_json("approve", name, "--yes")
        assert (answer.status, answer.error["code"]) == (2, "approval_unknown")

    def test_a_symbol_approves(self, apex_json: Callable[..., Any]) -> None:
        (done,) = apex_json("approve", "IBM", "--yes").data["approvals"]
        assert done["status"] == "executed"
        assert apex_json("approve", "IBM", "--yes").status == 8

    def test_the_list_shows_the_number(self, apex: Callable[..., Any]) -> None:
        badge, head, row = apex("approve").out.splitlines()[:3]
        assert badge == "SIM"
        assert head.split()[:2] == ["#", "Symbol"]
        assert row.split()[:2] == ["1", "IBM"]


@pytest.mark.usefixtures("traded")
class TestSignals:
    def test_explain_alone_lists_recent_signals_newest_first(self, apex_json: Callable[..., Any]) -> None:
        signals = apex_json("explain").data["signals"]
        assert [each["verdict"] for each in signals] == ["refuse", "queue", "refuse", "execute", "execute", "expired"]
        for number, each in enumerate(signals, start=1):
            (story,) = apex_json("explain", str(number)).data["stories"]
            assert story["signal_id"] == each["signal_id"]

    def test_the_beginning_of_an_id_is_enough_when_it_is_clear(self, apex_json: Callable[..., Any]) -> None:
        assert apex_json("explain", "1-aapl").data["stories"][0]["signal_id"] == "demo-1-aapl-long"
        assert apex_json("explain", "demo-").error["code"] == "unknown_id"
        assert apex_json("explain", "99").error["code"] == "unknown_id"


class TestOrdersAndTrades:
    """Their handles are counted from the oldest: what comes later moves none."""

    def handles(self, printed: str) -> dict[str, str]:
        """Return symbol and role, or side, behind each handle."""
        rows = [line.split() for line in printed.splitlines()[2:]]
        return {row[0]: " ".join(row[1:3]) for row in rows if row and row[0][0] in "oh" and row[0][1:].isdigit()}

    def test_orders_keep_theirs_in_every_list(self, traded: Path, apex: Callable[..., Any]) -> None:
        assert traded.is_dir()
        every = self.handles(apex("orders", "--all").out)
        assert [*every] == [f"o{number}" for number in range(1, 7)]
        working = self.handles(apex("orders", "--symbol", "MSFT").out)
        assert working == {"o5": "MSFT stop", "o6": "MSFT target"}
        assert working.items() <= every.items()

    def test_an_order_and_a_trade_lead_to_their_signal(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        assert traded.is_dir()
        apex_json("close", "MSFT", "--yes")
        for name, signal in (("o2", "demo-1-aapl-long"), ("O5", "demo-2-msft-buy"), ("h1", "demo-2-msft-buy")):
            (story,) = apex_json("explain", name).data["stories"]
            assert story["signal_id"] == signal
        for name in ("o99", "h2", "o0", "o", "h1x"):
            assert apex_json("explain", name).error["code"] == "unknown_id"

    def test_history_shows_them_whatever_is_left_out(self, traded: Path, apex: Callable[..., Any]) -> None:
        assert traded.is_dir()
        apex("close", "MSFT", "--yes")
        apex("close", "AAPL", "--yes")
        assert self.handles(apex("history").out) == {"h1": "MSFT long", "h2": "AAPL long"}
        assert self.handles(apex("history", "--symbol", "AAPL").out) == {"h2": "AAPL long"}

    def test_a_run_shows_the_numbers_that_explain_takes(
        self, demo: Path, apex: Callable[..., Any], apex_json: Callable[..., Any]
    ) -> None:
        assert demo.is_dir()
        rows = [line.split() for line in apex("run", "--once").out.splitlines()[2:-2]]
        assert len(rows) == 6
        for number, symbol, *_, signal in rows:
            (story,) = apex_json("explain", number).data["stories"]
            assert story["signal_id"] == signal
            assert symbol.lower() in signal


@pytest.mark.usefixtures("traded")
def test_a_position_is_not_closed_by_a_number_that_nobody_looks_at(apex_json: Callable[..., Any]) -> None:
    for name in ("1", "p1", "P1"):
        answer = apex_json("close", name, "--yes")
        assert (answer.status, answer.error["code"]) == (2, "number_needs_a_look")
        assert apex_json("close", name).error["message"].startswith("Closing AAPL")


@pytest.mark.usefixtures("traded")
def test_positions_and_risk_show_the_names_that_explain_takes(
    apex: Callable[..., Any], apex_json: Callable[..., Any]
) -> None:
    for command in ("positions", "risk"):
        rows = [line.split()[:2] for line in apex(command).out.splitlines() if line.startswith("p")]
        assert rows == [["p1", "AAPL"], ["p2", "MSFT"]]
    for name, signal in (("p1", "demo-1-aapl-long"), ("P2", "demo-2-msft-buy")):
        (story,) = apex_json("explain", name).data["stories"]
        assert story["signal_id"] == signal
    assert apex_json("explain", "p3").error["code"] == "unknown_id"


class TestStart:
    @pytest.mark.usefixtures("traded")
    def test_apex_alone_shows_the_status_and_the_groups(self, apex: Callable[..., Any]) -> None:
        answer = apex()
        assert answer.status == 0
        for words in ("ACTIVE", "2 open", "1 waiting", "apex approve", *GROUPS):
            assert words in answer.out

    def test_without_an_account_it_says_where_it_looked_and_what_to_type(
        self, here: Path, apex: Callable[..., Any]
    ) -> None:
        answer = apex()
        assert answer.status == 0
        assert "apex init --demo demo" in answer.err
        assert str(here / "config.yaml") in answer.err
        assert "Daily" in answer.out
        assert list(here.iterdir()) == []

    @pytest.mark.usefixtures("traded")
    def test_the_status_says_what_to_do_next(self, apex_json: Callable[..., Any]) -> None:
        data = apex_json("status").data
        assert (data["mode"], data["positions"], data["approvals_pending"]) == ("SIM", 2, 1)
        assert data["next"] == "apex approve"
        apex_json("halt")
        assert apex_json("status").data["next"] == "apex resume"  # it would refuse every yes
        apex_json("resume")
        apex_json("approve", "1", "--reject")
        assert apex_json("status").data["next"] == "apex run"
        apex_json("halt")
        assert apex_json("status").data["next"] == "apex resume"

    def test_every_command_has_one_group(self) -> None:
        assert len(COMMANDS) == sum(map(len, GROUPS.values()))
        assert len(GROUPS) == 5

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (("postions",), "Did you mean positions"),
            (("state", "chek"), "Did you mean 'check'"),
            (("positions", "--watc"), "--watch"),
            (("help", "handels"), "handles"),
        ],
    )
    @pytest.mark.usefixtures("here")
    def test_a_wrong_word_is_answered_with_a_right_one(
        self, apex: Callable[..., Any], line: tuple[str, ...], words: str
    ) -> None:
        answer = apex(*line)
        assert answer.status == 2
        assert words in answer.err

    @pytest.mark.usefixtures("here")
    def test_help_shows_commands_topics_and_pages(
        self, apex: Callable[..., Any], apex_json: Callable[..., Any]
    ) -> None:
        assert "accounts" in apex_json("help").data["topics"]
        assert apex("help", "handles").out.startswith("# Names you can type")
        assert "Usage: apex doctor" in apex("help", "doctor").out
        assert apex("help", "size").out.rstrip().endswith("`apex size --help` shows its options.")

    @pytest.mark.usefixtures("here")
    def test_the_version_has_a_command(self, apex_json: Callable[..., Any]) -> None:
        assert set(apex_json("version").data) == {"version", "python", "system"}


COMPLETED = [
    ("apex pos", "positions"),
    ("apex close ", "MSFT"),
    ("apex approve I", "IBM"),
    ("apex explain demo-1", "demo-1-aapl-long"),
    ("apex history --strategy ", "breakout"),
    ("apex help hand", "handles"),
    ("apex positions --wat", "--watch"),
]


@pytest.mark.parametrize(("typed", "word"), COMPLETED)
def test_a_shell_completes_what_is_at_hand(
    traded: Path, clean_environment: dict[str, str], typed: str, word: str
) -> None:
    assert word in completions(traded, clean_environment, typed)


@pytest.mark.parametrize("typed", ["apex ", "apex close ", "apex approve "])
def test_completion_imports_nothing_heavy(traded: Path, clean_environment: dict[str, str], typed: str) -> None:
    done = complete(traded, clean_environment, typed, "-X", "importtime")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"asyncio", "ssl", "numpy", "ib_insync", "textual", "sklearn", "telegram", "apprise"}


def complete(folder: Path, environment: dict[str, str], typed: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Ask as bash does."""
    variables = {"_APEX_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    return subprocess.run(
        [sys.executable, *options, "-m", "apex_cli"],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def completions(folder: Path, environment: dict[str, str], typed: str) -> list[str]:
    done = complete(folder, environment, typed)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_of_a_damaged_state_says_nothing(traded: Path, clean_environment: dict[str, str]) -> None:
    state = traded / "state" / "state.json"
    state.write_text(json.dumps({"damaged": True}))
    assert completions(traded, clean_environment, "apex close ") == []
