from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import apex_cli.demo

DEMO = Path(apex_cli.demo.__file__).parent


@pytest.fixture
def taught(traded: Path, apex: Any) -> Path:
    """Stand in the demo after both trades were closed."""
    assert apex("run", "--once", "--bars-until", "2004-03-12").status == 0
    return traded


def test_closed_trades_are_lessons_with_what_the_decision_saw(taught: Path, apex: Any, apex_json: Any) -> None:
    data = apex_json("learn", "status").data
    assert (data["mode"], data["version"], data["lessons"], data["wins"], data["losses"]) == ("adapt", 0, 2, 1, 1)
    assert (data["new_for_parts"], data["new_for_markets"]["equity"]) == (2, 2)
    assert data["weights"]["parts"]["reward_risk"] == "0.30"
    assert data["weights"]["markets"] == {"crypto": "0.85", "options": "0.80", "equity": "0.70", "forex": "0.60"}
    out = apex("learn", "status").out
    assert "never a size or a limit" in out
    assert "2 of 20 new trades" in out
    assert taught.is_dir()


def test_lessons_survive_a_restore_from_the_journal(taught: Path, apex_json: Any) -> None:
    before = apex_json("learn", "status").data
    (taught / "state" / "state.json").write_text("{}")
    assert apex_json("state", "restore", "--from-journal", "--yes").status == 0
    after = apex_json("learn", "status").data
    assert {**after, "last_check": None} == {**before, "last_check": None}


def test_freezing_lasts_until_it_is_undone(taught: Path, apex: Any, apex_json: Any) -> None:
    assert apex_json("learn", "freeze", "--reason", "earnings").data["frozen"]
    status = apex_json("learn", "status").data
    assert (status["frozen"], status["frozen_reason"]) == (True, "earnings")
    assert "earnings" in apex("learn", "status").out
    assert not apex_json("learn", "unfreeze").data["frozen"]
    assert not apex_json("learn", "status").data["frozen"]
    assert taught.is_dir()


def test_a_rollback_is_a_version_of_its_own(taught: Path, apex: Any, apex_json: Any) -> None:
    made = apex_json("learn", "rollback", "0").data
    assert (made["version"], made["cause"]) == (1, "rollback")
    history = apex_json("learn", "history").data
    assert (history["in_force"], [version["version"] for version in history["versions"]]) == (1, [1])
    assert "1 *" in apex("learn", "history").out
    assert apex_json("learn", "diff", "0").data == {"before": 0, "after": 1, "changes": []}
    assert "Version 0" in apex("learn", "diff", "0", "1").out
    assert taught.is_dir()


def test_a_version_that_is_not_there_is_an_error(taught: Path, apex_json: Any) -> None:
    for line in (("rollback", "7"), ("diff", "0", "7")):
        answer = apex_json("learn", *line)
        assert (answer.status, answer.error["code"]) == (2, "unknown_version")
    assert taught.is_dir()


def test_nothing_learned_is_said_so(traded: Path, apex: Any) -> None:
    assert "Nothing was learned yet." in apex("learn", "history").out
    assert traded.is_dir()


def test_explain_shows_parts_factors_and_what_was_missing(taught: Path, apex: Any, apex_json: Any) -> None:
    out = apex("explain", "demo-1-aapl-long").out
    for words in (
        "reward risk",
        "weight of equity",
        "waiting",
        "confidence without technical and predictor",
        "Result:",
    ):
        assert words in out
    (story,) = apex_json("explain", "demo-1-aapl-long").data["stories"]
    decision = story["decisions"][0]
    assert decision["is_tradeable"]
    score = decision["score"]
    assert [part["name"] for part in score["components"]] == [
        "reward_risk", "confidence", "timing", "liquidity", "diversification",
    ]  # fmt: skip
    assert [factor["name"] for factor in score["factors"]] == ["market", "waiting"]
    assert (score["weights_version"], score["score"]) == (0, score["plain_score"])
    assert taught.is_dir()


def test_explain_shows_the_numbers_of_each_stage(demo: Path, apex: Any) -> None:
    row = (
        '{"symbol": "AAPL", "signal_type": "BUY", "entry_price": 23.04, "stop_loss": 22.3, "target_price": 25.6,'
        ' "confidence": 0.8, "signal_id": "staged", "timestamp": "2004-02-26T15:30:00-05:00", "metadata":'
        ' {"technical_composite": 0.8, "predictor_direction": 1, "predictor_probability": 0.7, "atr": 0.41}}'
    )
    apex("run", "--once", "--signals", "-", stdin=row.encode())
    out = apex("explain", "staged").out
    for words in ("Technical", "composite 0.8", "Predictor", "direction 1, probability 0.7", "atr 0.41"):
        assert words in out
    assert "composite 0.80 is above 0.7" in out
    assert "same direction with 0.70" in out
    assert demo.is_dir()


def test_a_backtest_compares_with_and_without_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apex: Any, apex_json: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    data = apex_json("learn", "backtest", "--bars", str(DEMO), "--rule", "breakout").data
    whole = data["whole"]
    assert (whole["from"], whole["to"], whole["changed"]) == ("2003-06-30", "2004-09-07", 0)
    assert whole["with_learning"] == whole["without"] == {"trades": 17, "mean_r": "-0.3327", "total_r": "-5.6565"}
    assert [year["from"][:4] for year in data["years"]] == ["2003", "2004"]
    out = apex("learn", "backtest", "--bars", str(DEMO), "--rule", "breakout").out
    assert "it changed no trade" in out
    assert not list(tmp_path.iterdir()), "nothing is written"
