"""``api.size`` and the settings that a program gives: the numbers of the command, its refusals as errors."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from apex_cli import api
from apex_cli.cli import make_app

D = Decimal


def test_the_size_is_that_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["size", "NVDA", "--entry", "50", "--stop", "48", "--target", "56", "--capital", "20000", "--json"]
    printed = json.loads(CliRunner().invoke(make_app(with_completion=False), typed).stdout)["data"]
    found = api.size("NVDA", entry=50, stop=48.0, target="56", capital=20_000)
    for name in ("symbol", "side", "binding"):
        assert getattr(found, name) == printed[name]
    for name in ("quantity", "quantity_by_risk", "quantity_by_capital", "notional", "risk_amount", "reward_risk"):
        assert D(str(getattr(found, name))) == D(str(printed[name]))


def test_a_refusal_is_an_error_with_the_code_of_the_command() -> None:
    with pytest.raises(api.RefusedError, match="must lie below the entry") as refused:
        api.size("NVDA", entry=50, stop=52, side="buy")
    assert (refused.value.code, refused.value.status) == ("signal_levels", api.ExitStatus.REFUSED)
    assert refused.value.details["limit"] == "below 50"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"entry": "x"}, "entry"),
        ({"entry": float("nan")}, "entry"),
        ({"entry": True}, "entry"),
        ({"stop": 0}, "stop"),
        ({"target": [56, None]}, "target"),
        ({"risk_pct": 1.5}, "risk_pct"),
        ({"risk_pct": 1}, "risk_pct: found 1, which is 100 % of capital"),
        ({"capital": -1}, "capital"),
        ({"side": "up"}, "side"),
        ({"market_type": "bonds"}, "market_type"),
        ({"symbol": "I*M"}, "I\\*M"),
    ],
)
def test_what_cannot_be_sized_is_named(given: dict[str, Any], name: str) -> None:
    with pytest.raises(api.InputError, match=name) as wrong:
        api.size(**{"entry": 50, "stop": 48} | given)
    assert wrong.value.status is api.ExitStatus.USAGE
    assert wrong.value.hint


def test_settings_may_be_sections_key_paths_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("risk:\n  capital: 9000\n")
    monkeypatch.setenv("APEX_RISK__MAX_POSITION_PCT", "0.1")
    forms: dict[Any, int] = {"sections": 9, "paths": 9, "file": 18, "loaded": 24}
    chosen = {
        "sections": {"risk": {"capital": 9000}},
        "paths": {"risk.capital": 9000},
        "file": file,
        "loaded": api.load_settings(file, {"risk.capital": 12_000}),
    }
    assert {form: api.size(entry=50, stop=48, settings=chosen[form]).quantity for form in forms} == forms
    assert api.size(entry=50, stop=48).quantity == 3, "the defaults, without file and environment"


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(api.ConfigError) as wrong:
        api.size(entry=50, stop=48, settings={"risk": {"capitol": 1}, "replay.fill": "never"})
    assert [problem["key"] for problem in wrong.value.details["problems"]] == ["risk.capitol", "replay.fill"]
