"""``init``, ``state`` and ``doctor``: the house and its keeping."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.reconciliation import Lock


class TestInit:
    @pytest.mark.usefixtures("here")
    def test_what_it_writes_is_what_holds_without_it(self, apex_json: Callable[..., Any]) -> None:
        line = ("size", "--entry", "50", "--stop", "48")
        before = apex_json(*line).data
        assert apex_json("init").status == 0
        assert Path("config.yaml").read_text().count("#") > 20
        assert apex_json(*line).data == before

    def test_nothing_is_ever_overwritten(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "config.yaml").write_text("mine")
        for line in [("init",), ("init", "--demo"), ("init", str(here))]:
            answer = apex_json(*line)
            assert answer.status == 2
            assert answer.error["code"] == "file_exists"
        assert (here / "config.yaml").read_text() == "mine"
        assert [path.name for path in here.iterdir()] == ["config.yaml"]

    def test_the_next_step_it_names_works(
        self, here: Path, apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = apex("init", "new/place", "--demo").out
        assert out.splitlines()[-1] == "next: cd new/place && apex run --once"
        monkeypatch.chdir(here / "new/place")
        assert apex("run", "--once").status == 0

    @pytest.mark.parametrize(
        ("name", "typed"), [("my trades", "'my trades'"), ("it's", """'it'"'"'s'"""), ("-x", "./-x")]
    )
    def test_the_next_step_can_be_typed(self, apex_json: Callable[..., Any], here: Path, name: str, typed: str) -> None:
        assert apex_json("init", f"./{name}", "--full").data["next"] == f"cd {typed} && apex doctor"
        subprocess.run(["sh", "-ec", f"cd {typed}; test -f config.yaml"], cwd=here, check=True)

    def test_a_folder_that_cannot_be_is_reported(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "file").write_text("")
        answer = apex_json("init", "file/below")
        assert answer.status == 2
        assert "file/below" in answer.error["message"]

    def test_options_answer_for_a_script(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "bars").mkdir()
        (here / "bars" / "AAPL.csv").write_text("date,close\n")
        line = ("init", "mine", "--capital", "5,000", "--risk", "0.5 %", "--prices", "bars", "--phone", "tele")
        assert apex_json(*line).data == {
            "files": ["mine/config.yaml", "mine/secrets.env"],
            "next": "cd mine && apex run --once --dry-run",
        }
        assert (here / "mine" / "secrets.env").stat().st_mode & 0o777 == 0o600
        assert (here / "mine" / "signals").is_dir()
        config = ("--config", "mine/config.yaml")
        for key, value in {
            "risk.capital": "5000",
            "risk.max_risk_pct": "0.005",
            "prices.bars_dir": str(here / "bars"),
            "signals.inbox": str(here / "mine" / "signals"),
            "notify.telegram.enabled": True,
        }.items():
            assert apex_json("config", "get", key, *config).data["value"] == value

    def test_paper_asks_for_the_port_and_the_account(self, here: Path, apex_json: Callable[..., Any]) -> None:
        assert apex_json("init", "--mode", "paper", "--port", "4002", "--account", "du1234567").status == 0
        assert (here / "config.yaml").read_text().count("\n") < 25
        assert apex_json("config", "get", "broker.ib.ib_port").data["value"] == 4002
        assert apex_json("config", "get", "execution.simulation_mode").data["value"] is False

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (("--capital", "3k"), "--capital: '3k' is not an amount, such as 3000 or 3,000.50."),
            (("--capital", "5.000"), "--capital: '5.000' may mean 5.00 or 5000: write one of them."),
            (("--risk", "0"), "--risk: '0' is not a percentage, such as 1 or 0.5."),
            (("--risk", "60"), "--risk: '60': more than 50 % of the capital is not risked on one trade."),
            (("--mode", "live"), "A new account begins in simulation or on paper."),
            (("--mode", "paper", "--port", "7496"), "7496 is the port of live accounts"),
            (("--mode", "paper", "--account", "U1234567"), "That is the id of a live account"),
            (("--mode", "paper", "--account", "mine"), "'mine' is no account id"),
            (("--prices", "nowhere"), "nowhere is not a folder."),
            (("--signals", ""), "--signals: Name a folder"),
            (("--phone", "fax"), "'fax' is not one of none, telegram, apprise."),
        ],
        ids=lambda value: value[-2] if isinstance(value, tuple) else "",
    )
    def test_an_answer_that_cannot_be_is_refused_and_nothing_is_written(
        self, here: Path, apex_json: Callable[..., Any], answer: tuple[str, ...], why: str
    ) -> None:
        refused = apex_json("init", "new", *answer)
        assert refused.status == 2
        assert why in refused.error["message"]
        assert list(here.iterdir()) == []

    def test_demo_full_and_answers_exclude_each_other(self, here: Path, apex_json: Callable[..., Any]) -> None:
        for line in (("--demo", "--capital", "1"), ("--full", "--capital", "1"), ("--demo", "--full")):
            assert apex_json("init", *line).error["code"] == "init_what"
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize("kind", ["--demo", "--full"])
    def test_what_asks_nothing_takes_a_yes(self, kind: str, here: Path, apex_json: Callable[..., Any]) -> None:
        assert apex_json("init", "new", kind, "-y").status == 0
        assert (here / "new" / "config.yaml").is_file()

    def test_what_fails_half_way_leaves_nothing_behind(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "file").write_text("")
        for place in ("../../file/signals", "../../file"):
            refused = apex_json("init", "new/place", "--signals", place)
            assert refused.error["code"] == "cannot_write"
            assert [path.name for path in here.iterdir()] == ["file"]


class TestState:
    @pytest.mark.usefixtures("traded")
    def test_export_is_readable_json_of_every_table(self, apex: Callable[..., Any]) -> None:
        answer = apex("state", "export")
        tables = json.loads(answer.out)
        assert {"meta", "signals", "approvals", "orders", "positions", "fills", "round_trips"} <= set(tables)
        assert len(tables["positions"]) == 2

    def test_export_never_overwrites(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        assert apex_json("state", "export", "copy.json").status == 0
        first = (traded / "copy.json").read_bytes()
        again = apex_json("state", "export", "copy.json")
        assert again.status == 2
        assert again.error["code"] == "export_failed"
        assert (traded / "copy.json").read_bytes() == first

    @pytest.mark.usefixtures("traded")
    def test_restore_needs_a_yes_and_a_backup(self, apex_json: Callable[..., Any]) -> None:
        assert apex_json("state", "restore").error["code"] == "confirmation_needed"
        missing = apex_json("state", "restore", "--to", "-5", "--yes")
        assert missing.status == 9
        assert "-5" in missing.error["message"]

    @pytest.mark.usefixtures("traded")
    def test_check_says_where_it_looked(self, apex: Callable[..., Any]) -> None:
        answer = apex("state", "check")
        assert answer.status == 0
        assert "checksum fits" in answer.out
        assert answer.err == ""

    @pytest.mark.usefixtures("here")
    def test_a_bare_state_shows_its_commands(self, apex: Callable[..., Any]) -> None:
        answer = apex("state")
        assert answer.status == 2
        for command in ("check", "backup", "restore", "export"):
            assert command in answer.out


class TestDoctor:
    @pytest.mark.usefixtures("traded")
    def test_all_is_well_in_the_demo_and_its_clock_is_the_market_s(self, apex_json: Callable[..., Any]) -> None:
        apex_json("run", "--once", "--bars-until", "2004-03-12")
        answer = apex_json("doctor")
        assert answer.status == 0
        found = {finding["code"]: finding for finding in answer.data["findings"]}
        assert {"configuration", "mode", "executor", "calendar", "broker", "prices", "signals"} <= set(found)
        assert {finding["level"] for finding in found.values()} == {"ok"}
        assert "2004-03-12" in found["calendar"]["message"]

    def test_a_symbol_that_reconciliation_locked_is_named(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        store = TinyDbStore(traded / "state", clock=SystemClock())
        with store.transaction() as tx:
            tx.locks["AAPL"] = Lock(
                key="AAPL", codes=(), ours="6", theirs="11", message="Differs.", since=store.clock.now()
            )
        answer = apex_json("doctor")
        (locked,) = [finding for finding in answer.data["findings"] if finding["code"] == "locked"]
        assert (answer.status, locked["level"], locked["hint"]) == (0, "warning", "apex reconcile")
        assert "AAPL" in locked["message"]

    def test_each_trouble_is_reported_once(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "config.yaml").write_text("execution: {simulation_mode: false}\nbroker: {ib: {ib_port: 1}}\n")
        answer = apex_json("doctor")
        assert answer.status == 5
        messages = [finding["message"] for finding in answer.data["findings"]]
        assert len(messages) == len(set(messages))
        assert len(answer.envelope["errors"]) == 1

    def test_a_spoiled_bar_is_reported_by_symbol(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        bars = traded / "bars" / "IBM.csv"
        bars.write_text(bars.read_text() + "2004-13-45,1,2,3,4,5\n")
        answer = apex_json("doctor")
        assert answer.status == 3
        assert f"{bars}:" in answer.error["message"]

    def test_a_place_of_signals_that_a_run_cannot_read_is_named(
        self, here: Path, apex_json: Callable[..., Any]
    ) -> None:
        (here / "box").write_text("")
        (here / "real").mkdir()
        (here / "link").symlink_to("real")
        for setting, place in (("inbox: box", "box"), ("inbox: link", "link"), ("files: [real]", "real")):
            (here / "config.yaml").write_text(f"signals: {{{setting}}}\n")
            assert apex_json("run", "--once").status == 2
            answer = apex_json("doctor")
            (found,) = [finding for finding in answer.data["findings"] if finding["code"] == "signals"]
            assert (answer.status, found["level"]) == (3, "error")
            assert str(here / place) in found["message"]
