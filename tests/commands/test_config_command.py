"""``apex config``: looking at the configuration, and changing it without losing a comment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.settings.brokers import BrokerName
from apex_cli.settings.validation import variable_name

FILE = """\
# mine
risk:  # how much
  capital: 3000  # all of it
  deny_symbols: ['ON', TSLA]

execution: {simulation_mode: true}
profiles:
  swing: {risk: {capital: 800}, broker: {ib: {ib_client_id: 40}}}
"""


@pytest.fixture
def file(here: Path) -> Path:
    path = here / "config.yaml"
    path.write_text(FILE)
    return path


def test_a_value_is_set_and_everything_else_stays(file: Path, apex_json: Callable[..., Any]) -> None:
    answer = apex_json("config", "set", "risk.capital", "5000.50")
    assert (answer.status, answer.data["was"], answer.data["now"]) == (0, "3000", "5000.50")
    assert file.read_text() == FILE.replace("capital: 3000  #", "capital: 5000.50 #")


@pytest.mark.parametrize(
    ("before", "key", "value"),
    [
        ("risk:\n  capital: 3000\n", "min_confidence", "0.5"),
        ("risk:\n  capital: 3000  # all of it\n", "min_confidence", "0.5"),
        ("risk:\n  deny_symbols: [GME]  # never\n", "min_confidence", "0.5"),
        ("risk:\n  deny_symbols:\n  - GME   # never\n", "min_confidence", "0.5"),
        ("risk:\n  capital: 3000\n", "deny_symbols", "[GME]"),
    ],
)
def test_what_stands_above_the_next_section_stays_there(
    here: Path, apex_json: Callable[..., Any], before: str, key: str, value: str
) -> None:
    following = "\n# Where signals come from.\nsignals:\n  inbox: in\n"
    (here / "config.yaml").write_text(before + following)
    assert apex_json("config", "set", f"risk.{key}", value).status == 0
    assert (here / "config.yaml").read_text() == f"{before}  {key}: {value}\n{following}"
    assert apex_json("config", "unset", f"risk.{key}").status == 0
    assert (here / "config.yaml").read_text() == f"{before}{following}"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("risk:\n  capital: 5  # mine\n\n# Where from.\nsignals: {}\n", "\n# Where from.\nsignals: {}\n"),
        ("risk:\n  capital:   5\n  # Never.\n  deny_symbols: [A,B]\n", "risk:\n  # Never.\n  deny_symbols: [A,B]\n"),
        ("risk: {capital: 5}\n# Where from.\nsignals: {}\n", "# Where from.\nsignals: {}\n"),
        ("risk: {capital: 5, max_positions: 3}\n", "risk: {max_positions: 3}\n"),
        ("# All mine.\nrisk:\n  capital: 5\n", "# All mine.\n"),
    ],
)
def test_a_key_is_taken_out_without_its_neighbours(
    here: Path, apex_json: Callable[..., Any], text: str, left: str
) -> None:
    (here / "config.yaml").write_text(text)
    assert apex_json("config", "unset", "risk.capital").status == 0
    assert (here / "config.yaml").read_text() == left


def test_a_list_that_ends_left_of_its_items_is_taken_out(here: Path, apex_json: Callable[..., Any]) -> None:
    (here / "config.yaml").write_text("risk:\n  deny_symbols: [\n    GME,\n  ]\n  capital: 5\n")
    assert apex_json("config", "unset", "risk.deny_symbols").status == 0
    assert (here / "config.yaml").read_text() == "risk:\n  capital: 5\n"


def test_missing_sections_are_added_and_go_with_their_last_key(file: Path, apex_json: Callable[..., Any]) -> None:
    assert apex_json("config", "set", "broker.ib.ib_port", "4002").status == 0
    assert file.read_text() == f"{FILE}broker:\n  ib:\n    ib_port: 4002\n"
    assert apex_json("config", "unset", "broker.ib.ib_port").data["now"] == 7497
    assert file.read_text() == FILE
    assert apex_json("config", "unset", "broker.ib.ib_port").status == 8


@pytest.mark.parametrize(
    ("key", "value", "status", "words"),
    [
        ("risk.capital", "much", 3, "found 'much', allowed: a number above 0"),
        ("risk.capital", "[1", 2, "'[1' is no value"),
        ("risk.captal", "1", 2, "There is no key risk.captal."),
        ("broker.ib", "1", 2, "broker.ib is a section, not a key."),
        ("simulation.clock", "bars", 3, "a bars clock needs prices.bars_dir"),
    ],
)
def test_a_value_that_would_not_be_read_changes_nothing(
    file: Path, apex_json: Callable[..., Any], key: str, value: str, *, status: int, words: str
) -> None:
    answer = apex_json("config", "set", key, value)
    assert answer.status == status
    assert words in answer.error["message"]
    assert file.read_text() == FILE


def test_rights_and_links_of_the_file_stay(file: Path, apex_json: Callable[..., Any], tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.yaml"
    file.rename(real)
    real.chmod(0o640)
    file.symlink_to(real)
    assert apex_json("config", "set", "risk.capital", "4000").status == 0
    assert file.is_symlink()
    assert "4000" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640


def test_every_value_says_where_it_comes_from(
    file: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_RISK__MAX_POSITIONS", "4")
    found = {
        key: apex_json("config", "get", key, "--profile", "paper").data
        for key in ("risk.capital", "risk.max_positions", "risk.max_risk_pct", "broker.ib.account")
    }
    assert found["risk.capital"] == {"key": "risk.capital", "value": "3000", "default": "3000", "origin": str(file)}
    assert (found["risk.max_positions"]["value"], found["risk.max_positions"]["origin"]) == (
        4,
        "$APEX_RISK__MAX_POSITIONS",
    )
    assert found["risk.max_risk_pct"]["origin"] == "profile paper"


@pytest.mark.parametrize("name", [name.value for name in BrokerName if name is not BrokerName.SIMULATED])
def test_what_differs_from_the_defaults_is_shown_and_accounts_are_masked(
    file: Path, apex_json: Callable[..., Any], apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(variable_name(f"broker.{name}.account"), "DU1234567")
    assert apex_json("config", "show", "--changed").data == {
        "file": str(file),
        "profile": "",
        "values": {"risk.deny_symbols": ["ON", "TSLA"], f"broker.{name}.account": "***67"},
    }
    shown = apex("config", "show", "--changed").out
    assert shown.splitlines() == ["risk:", "  deny_symbols: [ON, TSLA]", "broker:", f"  {name}:", "    account: ***67"]


def test_without_a_file_there_is_nothing_to_change(here: Path, apex_json: Callable[..., Any]) -> None:
    del here
    assert apex_json("config", "path").data["file"] is None
    assert apex_json("config", "set", "risk.capital", "1").error["code"] == "config_not_found"


def test_every_problem_is_named_by_validate(file: Path, apex: Callable[..., Any]) -> None:
    file.write_text(f"{FILE}bogus: 1\nbus: {{capacity: x}}\n")
    answer = apex("config", "validate")
    assert answer.status == 3
    assert "bogus: no such key" in answer.err
    assert "bus.capacity: found 'x'" in answer.err
    file.write_text(FILE)
    assert apex("config", "validate").status == 0


@pytest.mark.skipif(os.name == "nt", reason="there is no true")
def test_an_editor_needs_a_terminal(file: Path, apex_json: Callable[..., Any]) -> None:
    del file
    assert apex_json("config", "edit").error["code"] == "edit_needs_terminal"


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("key", "value", "now"),
    [
        ("currency.rates", "{EUR: 1.10, JPY: 0.0067}", {"EUR": "1.10", "JPY": "0.0067"}),
        ("management.strategies", "{gap: {entry_order: limit}}", {"gap": {"entry_order": "limit"}}),
    ],
)
def test_a_mapping_is_set_shown_and_unset(
    apex_json: Callable[..., Any], apex: Callable[..., Any], key: str, value: str, now: object
) -> None:
    assert apex_json("config", "set", key, value).data["now"] == now
    assert apex_json("config", "get", key).data["value"] == now
    assert apex("config", "get", key).out.strip() == value
    assert apex_json("config", "unset", key).data["now"] == {}


def test_a_mapping_with_a_wrong_value_changes_nothing(file: Path, apex_json: Callable[..., Any]) -> None:
    answer = apex_json("config", "set", "currency.rates", "{EUR: x}")
    assert (answer.status, "currency.rates.EUR: found 'x'" in answer.error["message"]) == (3, True)
    assert file.read_text() == FILE
