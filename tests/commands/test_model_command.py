"""``apex model``, and the pipeline as a run uses it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.app import pipeline as pipeline_wiring
from apex_cli.core.adapters.training_process import TrainingProcess

STAGES = "\npipeline:\n  stages: [technical, predictor]\n"
SMALL = "\npredictor:\n  trees: 10\n"


@pytest.fixture
def staged(demo: Path) -> Path:
    """Stand in the demo with both steps switched on."""
    add(demo, STAGES + SMALL)
    return demo


def add(folder: Path, text: str) -> None:
    with (folder / "config.yaml").open("a") as stream:
        stream.write(text)


@pytest.mark.usefixtures("staged")
def test_train_status_and_rollback_report_the_same_story(apex_json: Callable[..., Any]) -> None:
    empty = apex_json("model", "status").data
    assert empty["version"] is None
    assert empty["due"]["code"] == "model_missing"
    first = apex_json("model", "train").data["model"]
    assert (first["version"], first["symbols"]) == (1, ["AAPL", "IBM", "MSFT"])
    assert first["samples"] >= 200
    assert apex_json("model", "train", "--symbols", "aapl, ibm,MSFT").data["model"]["version"] == 2
    back = apex_json("model", "rollback").data["model"]
    status = apex_json("model", "status").data
    assert back["version"] == status["version"] == 1
    assert [info["version"] for info in status["versions"]] == [1, 2]
    assert status["rolled_back_at"] is not None
    assert status["due"] is None


@pytest.mark.usefixtures("staged")
def test_the_json_keeps_its_names(apex_json: Callable[..., Any]) -> None:
    model = apex_json("model", "train")
    assert model.envelope["command"] == "model train"
    assert set(model.data["model"]) == {
        "version",
        "trained_at",
        "symbols",
        "samples",
        "first_bar",
        "last_bar",
        "test_from",
        "metrics",
        "event",
        "refitted",
        "calibration",
        "libraries",
        "sha256",
    }
    status = apex_json("model", "status")
    assert status.envelope["command"] == "model status"
    assert set(status.data) == {"version", "rolled_back_at", "versions", "accuracy", "record", "trades", "due"}
    assert set(status.data["accuracy"]) == {"resolved", "right", "pending", "share", "window"}
    assert status.data["versions"] == [model.data["model"]]


@pytest.mark.usefixtures("staged")
def test_people_see_what_is_in_use_and_how_good_it_is(apex: Callable[..., Any]) -> None:
    assert "apex model train" in apex("model", "status").out
    assert "a coin: 0.250" in apex("model", "train").out
    shown = apex("model", "status").out
    assert "version 1" in shown
    assert "not due" in shown
    assert "Came true, in its test" in shown
    assert "whether the next close is higher" in shown


@pytest.mark.usefixtures("staged")
def test_if_due_trains_once(apex_json: Callable[..., Any]) -> None:
    assert apex_json("model", "train", "--if-due").status == 0
    again = apex_json("model", "train", "--if-due")
    assert again.status == 8
    assert again.error["code"] == "not_due"


@pytest.mark.usefixtures("staged")
def test_what_cannot_be_done_is_refused_with_the_way_out(apex_json: Callable[..., Any]) -> None:
    few = apex_json("model", "train", "--symbols", "AAPL,GONE")
    assert few.status == 4
    assert "200 are needed" in few.error["message"]
    assert few.error["details"]["left_out"] == ["There are no bars of GONE."]
    assert apex_json("model", "rollback").error["code"] == "no_such_version"


@pytest.mark.usefixtures("here")
@pytest.mark.usefixtures("configured")
def test_without_bars_there_is_nothing_to_train_on(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("model", "train")
    assert answer.status == 2
    assert answer.error["code"] == "no_symbols"


@pytest.mark.usefixtures("staged")
def test_a_run_uses_the_model_explains_it_and_learns_what_became_of_it(apex_json: Callable[..., Any]) -> None:
    apex_json("model", "train")
    apex_json("run", "--once")
    (story,) = apex_json("explain", "demo-1-aapl-long").data["stories"]
    decided = next(event for event in story["events"] if event["kind"] == "decided")
    known = decided["data"]["opportunity"]["signal"]["metadata"]
    assert {"technical_composite", "adjusted_confidence", "predictor_direction", "predictor_probability"} <= set(known)
    before = apex_json("model", "status").data["accuracy"]
    assert (before["resolved"], before["pending"]) == (0, 1)
    apex_json("run", "--once", "--bars-until", "2004-03-12")
    after = apex_json("model", "status").data
    assert after["accuracy"]["resolved"] == after["record"]["count"] == 1
    # AAPL was bought and reached its target: what was predicted for it came back to the model
    (outcome,) = after["trades"]["calibration"]
    assert (after["trades"]["count"], outcome["count"]) == (1, 1)
    along = known["predictor_direction"] == 1
    assert outcome["came_true"] == (1.0 if along else 0.0)
    assert outcome["said"] == pytest.approx(known["predictor_probability"], abs=1e-4)


def test_a_dry_run_writes_nothing(staged: Path, apex_json: Callable[..., Any]) -> None:
    apex_json("model", "train")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (staged / "state").rglob("*"))
    assert apex_json("run", "--once", "--dry-run").status == 0
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (staged / "state").rglob("*")) == before


def test_a_corrupt_model_is_one_warning_and_the_run_goes_on(staged: Path, apex_json: Callable[..., Any]) -> None:
    apex_json("model", "train")
    model = staged / "state" / "models" / "model-0001.skops"
    model.write_bytes(model.read_bytes()[:5000])
    answer = apex_json("run", "--once")
    assert answer.status == 0
    assert [warning["code"] for warning in answer.envelope["warnings"]].count("model_unusable") == 1
    assert "executed" in {row["outcome"] for row in answer.data["signals"]}


def test_the_doctor_looks_at_the_pipeline_and_at_every_bar(staged: Path, apex_json: Callable[..., Any]) -> None:
    add(staged, "\nscanners:\n  watch_list: [AAPL, GONE]\n")
    bars = staged / "bars" / "IBM.csv"
    lines = bars.read_text().splitlines(keepends=True)
    bars.write_text("".join([*lines[:50], *lines[53:], lines[10]]))
    answer = apex_json("doctor")
    assert answer.status == 0
    rows = [row for row in answer.data["findings"] if (row["code"], row["level"]) != ("bars", "ok")]
    found = {row["code"]: row["message"] for row in rows}
    assert found["pipeline"] == "technical -> predictor before the score; scanners look at AAPL, GONE"
    assert "no trained model" in found["model_missing"]
    assert found["bars_missing"].startswith("GONE")
    assert found["bars"].startswith("IBM")
    assert "+2 more" in found["bars"]


class TestMissingExtra:
    @pytest.fixture(autouse=True)
    def without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = {"talib", "sklearn"}
        real = pipeline_wiring.find_spec
        monkeypatch.setattr(pipeline_wiring, "find_spec", lambda name: None if name in gone else real(name))

    def test_each_step_says_so_once_and_signals_pass_unchanged(
        self, demo: Path, apex_json: Callable[..., Any], traded_folder: Path
    ) -> None:
        add(demo, STAGES + "\nscanners:\n  watch_list: [AAPL]\n")
        answer = apex_json("run", "--once")
        warnings = [warning["message"] for warning in answer.envelope["warnings"] if warning["code"] == "extra_missing"]
        assert len(warnings) == 3
        assert '[ta]"' in " ".join(warnings)
        assert '[ml]"' in " ".join(warnings)
        assert [row["outcome"] for row in answer.data["signals"]].count("executed") == 2
        assert traded_folder.is_dir()

    def test_where_analysis_is_required_the_run_does_not_start(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        add(demo, STAGES + "  require_analysis: true\n")
        answer = apex_json("run", "--once")
        assert answer.status == 3
        assert answer.error["code"] == "extra_missing"
        assert "pip install" in answer.error["hint"]

    @pytest.mark.usefixtures("demo")
    def test_training_says_what_to_install(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("model", "train")
        assert answer.status == 3
        assert '[ml]"' in answer.error["hint"]


MINE = """
from msgspec.structs import replace
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import SignalBatch


class Stage:
    name = "mine"

    def __init__(self, context):
        self.bars = context.bars

    async def process(self, signal):
        if signal.symbol == "MSFT":
            return Reason(code="not_msft", message="MSFT is not for me.")
        return replace(signal, metadata={**signal.metadata, "bars": len(self.bars.bars(signal.symbol))})


class Scanner:
    def __init__(self, context):
        context.notice(Reason(code="mine", message=f"watching {','.join(context.watch_list)}"))

    def poll(self, now):
        return ()

    def settle(self, batch, reports):
        pass


class Bars:
    def __init__(self, context):
        pass

    def symbols(self):
        return ()

    def bars(self, symbol, *, after=None, until=None):
        return ()
"""


class TestParts:
    @pytest.fixture
    def mine(self, demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (demo / "my_parts.py").write_text(MINE)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delitem(sys.modules, "my_parts", raising=False)
        return demo

    def test_a_class_beside_the_configuration_is_a_step_and_a_scanner(
        self, mine: Path, apex_json: Callable[..., Any]
    ) -> None:
        add(mine, "\npipeline:\n  stages: ['my_parts:Stage']\n")
        add(mine, "\nscanners:\n  watch_list: [AAPL]\n  custom: ['my_parts:Scanner']\n")
        answer = apex_json("run", "--once")
        refused = [row for row in answer.data["signals"] if row["symbol"] == "MSFT"]
        assert {row["reasons"][0]["code"] for row in refused} == {"not_msft"}
        assert "watching AAPL" in [warning["message"] for warning in answer.envelope["warnings"]]
        assert "300" in json.dumps(apex_json("explain", "demo-1-aapl-long").data)

    def test_bars_of_your_own_replace_the_files(self, mine: Path, apex_json: Callable[..., Any]) -> None:
        add(mine, "\npipeline:\n  stages: [technical]\n  bars: my_parts:Bars\n")
        answer = apex_json("run", "--once")
        assert {warning["code"] for warning in answer.envelope["warnings"]} == {"bars_missing"}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("pipeline:\n  stages: [techncal]\n", "techncal"),
            ("pipeline:\n  stages: ['my_parts:Nothing']\n", "my_parts:Nothing"),
            ("pipeline:\n  stages: ['no_such_module:Stage']\n", "no_such_module"),
            ("pipeline:\n  stages: [technical]\n  bars: nowhere\n", "nowhere"),
            ("scanners:\n  watch_list: [A]\n  custom: [nothing]\n", "nothing"),
        ],
    )
    def test_a_name_that_means_nothing_is_an_error_of_the_configuration(
        self, mine: Path, apex_json: Callable[..., Any], text: str, words: str
    ) -> None:
        add(mine, f"\n{text}")
        answer = apex_json("run", "--once")
        assert answer.status == 3
        assert words in answer.error["message"]
        assert answer.error["hint"]


def test_scanners_of_the_watch_list_feed_the_run(demo: Path, apex_json: Callable[..., Any]) -> None:
    add(demo, "\nscanners:\n  watch_list: [AAPL, GONE]\n  mean_reversion:\n    rsi_below: 50\n    short: true\n")
    config = demo / "config.yaml"
    config.write_text(config.read_text().replace("start: 2004-02-26", "start: 2004-03-24"))
    answer = apex_json("run", "--once")
    found = [row for row in answer.data["signals"] if "mean_reversion" in row["signal_id"]]
    assert [row["symbol"] for row in found] == ["AAPL"]
    gone = [warning for warning in answer.envelope["warnings"] if "GONE" in warning["message"]]
    assert len(gone) == 1
    (demo / "none.json").write_text("[]")
    assert apex_json("run", "--once", "--signals", "none.json").status == 8
    again = apex_json("run", "--once").data["signals"]
    assert {row["outcome"] for row in again if "mean_reversion" in row["signal_id"]} == {"duplicate"}


def test_a_loop_trains_in_a_process_of_its_own(
    staged: Path, clean_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in clean_environment.items():
        monkeypatch.setenv(name, value)
    process = TrainingProcess(staged / "config.yaml", "")
    assert process.outcome() == ""
    process.start()
    assert wait_for(process) == ""
    assert (staged / "state" / "models" / "model-0001.skops").is_file()
    process.start()
    assert wait_for(process) == ""
    broken = TrainingProcess(staged / "no.yaml", "")
    broken.start()
    assert "no.yaml" in (wait_for(broken) or "")


def wait_for(process: TrainingProcess) -> str | None:
    import time

    for _ in range(6000):
        outcome = process.outcome()
        if outcome is not None:
            return outcome
        time.sleep(0.05)
    return None
