"""Which account one is in, and that no command begins a new one by mistake."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.app.resources import badge_of, open_store
from apex_cli.core.model.account import AccountBadge, AccountKind, AccountSnapshot
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import AccountRecord
from apex_cli.presenters.screen.terminal import badge_text
from apex_cli.settings.load import load_settings

READING = [
    ("run", "--once"),
    ("run", "--once", "--dry-run"),
    ("positions",),
    ("orders",),
    ("history",),
    ("report",),
    ("approve",),
    ("close", "--all", "--yes"),
    ("reconcile",),
    ("halt",),
    ("resume",),
    ("explain", "AAPL"),
    ("pdt-status",),
    ("learn", "status"),
    ("heartbeat",),
    ("state", "check"),
    ("notify", "status"),
]


@pytest.mark.parametrize("line", READING, ids=" ".join)
def test_without_a_configuration_no_account_is_begun(
    here: Path, apex_json: Callable[..., Any], line: tuple[str, ...]
) -> None:
    answer = apex_json(*line)
    assert (answer.status, answer.error["code"]) == (3, "config_not_found")
    assert str(here / "config.yaml") in answer.error["message"]
    assert "$APEX_CONFIG (not set)" in answer.error["message"]
    assert "apex init" in answer.error["hint"]
    assert list(here.iterdir()) == []


def test_a_state_that_is_there_is_used_with_a_warning(traded: Path, apex_json: Callable[..., Any]) -> None:
    (traded / "config.yaml").rename(traded / "other.yaml")
    answer = apex_json("positions")
    assert answer.status == 0
    (warning,) = answer.envelope["warnings"]
    assert warning["code"] == "config_not_found"


def test_a_named_place_for_the_state_is_configuration_enough(
    here: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_STATE__DIR", str(here / "kept"))
    assert apex_json("positions").status == 0


@pytest.mark.usefixtures("here")
def test_sizes_and_files_need_no_configuration(apex_json: Callable[..., Any]) -> None:
    assert apex_json("size", "--entry", "50", "--stop", "48").status == 0


def test_verbose_names_configuration_and_state(traded: Path, apex: Callable[..., Any]) -> None:
    err = apex("positions", "--verbose").err
    assert str(traded / "config.yaml") in err
    assert str(traded / "state") in err


@pytest.mark.parametrize(
    ("yaml", "name", "text"),
    [
        ("", "", "SIM"),
        ("", "DU*****67", "SIM"),
        ("execution: {simulation_mode: false}", "", "PAPER"),
        ("execution: {simulation_mode: false}", "DU*****67", "PAPER DU…67"),
        ("{execution: {simulation_mode: false}, broker: {ib: {account: DU1234567}}}", "", "PAPER DU…67"),
        ("{execution: {simulation_mode: false}, broker: {ib: {account: U7654321, mode: live}}}", "", "LIVE U…21"),
    ],
)
def test_the_badge_says_whose_money_it_is(tmp_path: Path, yaml: str, name: str, text: str) -> None:
    (tmp_path / "config.yaml").write_text(yaml)
    money = Usd(Decimal(1))
    account = AccountSnapshot(
        equity=money, cash=money, buying_power=money, taken_at=datetime(2026, 11, 27, tzinfo=UTC), name=name
    )
    assert badge_of(load_settings(None, environ={}, cwd=tmp_path)).named_by(account).text == text


@pytest.mark.usefixtures("traded")
def test_a_table_in_a_pipe_names_the_account_first_and_a_document_names_none(apex: Callable[..., Any]) -> None:
    assert apex("positions").out.splitlines()[0] == "SIM"
    assert apex("history", "--quiet").out.splitlines()[0] == "SIM"
    assert apex("config", "show").out.splitlines()[0] == "execution:"
    assert apex("export", "fills").out.splitlines()[0].startswith("exec_id,")


@pytest.mark.usefixtures("demo")
def test_a_loop_without_a_terminal_begins_with_the_account(apex: Callable[..., Any]) -> None:
    assert apex("run", "--max-cycles", "1").err.splitlines()[0] == "SIM: the run begins; Ctrl-C ends it."


def test_a_name_that_only_the_state_knows_is_shown(
    tmp_path: Path, apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_STATE__DIR", str(tmp_path / "kept"))
    store = open_store(load_settings(None, environ=os.environ, cwd=tmp_path))
    money = Usd(Decimal(1))
    account = AccountSnapshot(
        equity=money, cash=money, buying_power=money, taken_at=datetime(2026, 11, 27, tzinfo=UTC), name="DU*****67"
    )
    with store.transaction() as state:
        state.account = AccountRecord(account=account, session_date="2026-11-27")
    monkeypatch.setenv("APEX_EXECUTION__SIMULATION_MODE", "false")
    assert apex("history").out.splitlines()[0] == "PAPER DU…67"


def test_a_live_account_stands_in_a_red_frame() -> None:
    drawn = badge_text(AccountBadge(kind=AccountKind.LIVE, name="U7654321"))
    assert drawn.plain == "┃ LIVE U…21 ┃"
    assert "red" in str(drawn.style)
