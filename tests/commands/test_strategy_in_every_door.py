"""One file of a strategy gives the same trades wherever it runs: in a replay and a sweep, in a run, by a program."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apex_cli import api
from apex_cli.demo import PACKAGED

STRATEGY = """
from apex_cli.api import Context, Signal


def on_bar(ctx: Context) -> Signal | None:
    close = ctx.close
    if len(close) < 8 or ctx.position or close[-1] <= close[-8:-1].max():
        return None
    risk = float((ctx.high[-8:] - ctx.low[-8:]).mean()) * 0.8
    return Signal(
        symbol=ctx.symbol,
        entry_price=close[-1],
        stop_loss=close[-1] - risk,
        target_prices=(close[-1] + 2.5 * risk,),
        confidence=0.8,
    )
"""
CONFIG = """
execution: {auto_execute: true}
prices: {bars_dir: bars}
replay: {fill: close}
simulation: {clock: bars, step_s: 0}
scanners:
  watch_list: [AAPL, IBM, MSFT]
  strategies: [narrow:on_bar]
  mean_reversion: {enabled: false}
  volume_reversal: {enabled: false}
  momentum_breakout: {enabled: false}
  trend_following: {enabled: false}
"""
SYMBOLS = ("AAPL", "IBM", "MSFT")
BARS = 36


@pytest.fixture
def folder(here: Path) -> Iterator[Path]:
    """Stand beside a strategy, a configuration that names it, and some bars."""
    (here / "narrow.py").write_text(STRATEGY)
    (here / "config.yaml").write_text(CONFIG)
    (here / "bars").mkdir()
    for symbol in SYMBOLS:
        lines = (PACKAGED / f"{symbol}.csv").read_text().splitlines(keepends=True)
        (here / "bars" / f"{symbol}.csv").write_text("".join(lines[: BARS + 1]))
    before = sys.path[:]
    yield here
    sys.path[:] = before
    sys.modules.pop("narrow", None)


def by_value(trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *trades* without the ids that every process makes anew, in one order."""
    kept = [{name: value for name, value in trade.items() if name != "round_trip_id"} for trade in trades]
    return sorted(kept, key=str)


def loaded(folder: Path) -> Callable[[api.Context], api.Signal | None]:
    """Return the strategy of the file, as a program has it that imports it."""
    names: dict[str, Any] = {"__name__": "narrow"}
    exec(compile((folder / "narrow.py").read_text(), "narrow.py", "exec"), names)  # noqa: S102 - the test's own file
    on_bar: Callable[[api.Context], api.Signal | None] = names["on_bar"]
    return on_bar


@pytest.mark.usefixtures("folder")
def test_a_run_trades_as_the_replay_did(apex_json: Callable[..., Any]) -> None:
    replayed = apex_json("replay", "--bars", "bars").data
    assert len(replayed["trades"]) >= 3
    assert {trade["strategy"] for trade in replayed["trades"]} == {"narrow"}
    run = apex_json("run", "--max-cycles", str(BARS))
    assert (run.status, run.envelope["warnings"]) == (0, [])
    traded = apex_json("history").data["round_trips"]
    assert by_value(traded) == by_value(replayed["trades"])


def test_a_program_that_submits_bar_by_bar_trades_as_the_replay_did(folder: Path) -> None:
    on_bar = loaded(folder)
    replayed = api.replay(folder / "bars", on_bar, folder / "config.yaml")
    apex = api.Apex(folder / "config.yaml")
    while True:
        apex.submit_all(apex.propose(on_bar))
        if apex.advance() is None:
            break
    assert len(replayed.trades) >= 3
    assert sorted(apex.trades(), key=str) == sorted(replayed.trades, key=str)
    assert {held.symbol for held in apex.positions()} == {held.symbol for held in replayed.open_positions}
    assert apex.account().equity == replayed.end_equity


def test_a_sweep_replays_the_file_with_each_setting(folder: Path, apex_json: Callable[..., Any]) -> None:
    (folder / "grid.yaml").write_text("risk.max_position_pct: [0.05, 0.1]\n")
    rows = apex_json("replay", "--bars", "bars", "--sweep", "grid.yaml", "--jobs", "1").data["replays"]
    assert min(row["trades"] for row in rows) >= 3
    assert len({row["net_pnl"] for row in rows}) == 2


def test_a_strategy_that_fails_in_a_run_is_named_with_its_bar_and_the_run_goes_on(
    folder: Path, apex_json: Callable[..., Any]
) -> None:
    (folder / "narrow.py").write_text("def on_bar(ctx):\n    raise SystemExit(ctx.symbol)\n")
    run = apex_json("run", "--max-cycles", "2")
    assert run.status == 0
    assert {w["code"] for w in run.envelope["warnings"]} == {"strategy_failed"}
    at, what = "at the bar that ended 2003-06-30 20:00 UTC", "RuntimeError: it tried to end apex (SystemExit: {})."
    assert [w["message"] for w in run.envelope["warnings"]] == [
        f"The strategy narrow failed on {symbol} {at}: {what.format(symbol)}" for symbol in SYMBOLS
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [("narrow:missing", "narrow:missing cannot be loaded"), ("bogus", "there is no 'bogus' among the strategies")],
)
def test_a_strategy_that_is_not_there_is_a_wrong_configuration(
    folder: Path, apex_json: Callable[..., Any], name: str, words: str
) -> None:
    (folder / "config.yaml").write_text(CONFIG.replace("narrow:on_bar", name))
    answer = apex_json("replay", "--bars", "bars")
    assert answer.status == api.ExitStatus.CONFIG
    assert words in answer.error["message"]
    assert answer.error["message"].startswith("scanners.strategies: ")


def test_doctor_says_which_strategies_can_be_loaded(folder: Path, apex_json: Callable[..., Any]) -> None:
    def found() -> list[tuple[str, str]]:
        findings = apex_json("doctor").data["findings"]
        return [(each["level"], each["message"]) for each in findings if each["code"] == "strategy"]

    assert found() == [("ok", "narrow:on_bar, as narrow")]
    (folder / "config.yaml").write_text(
        CONFIG.replace("narrow:on_bar", "gone:on_bar").replace("[AAPL, IBM, MSFT]", "[]")
    )
    (level, message), (also, nothing) = found()
    assert (level, also) == ("error", "warning")
    assert message.startswith("scanners.strategies: gone:on_bar cannot be loaded: ModuleNotFoundError")
    assert nothing == "strategies look at nothing: the watch list is empty"


class TestNewStrategy:
    def test_it_comes_with_a_test_that_passes_and_trades_by_the_step_it_names(
        self,
        folder: Path,
        apex: Callable[..., Any],
        apex_json: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        written = apex_json("new", "strategy", "fresh_one").data
        assert written["files"] == ["fresh_one.py", "test_fresh_one.py"]
        monkeypatch.syspath_prepend(folder)
        tests = {name: test for name, test in runpy.run_path("test_fresh_one.py").items() if name.startswith("test_")}
        assert len(tests) == 3
        for test in tests.values():
            test()
        assert apex(*written["next"].split()[1:]).status == 0
        sys.modules.pop("fresh_one", None)

    def test_nothing_is_overwritten_and_nothing_is_left_where_one_file_is_there(
        self, folder: Path, apex_json: Callable[..., Any]
    ) -> None:
        (folder / "test_mine.py").write_text("mine")
        answer = apex_json("new", "strategy", "mine")
        assert (answer.status, answer.error["code"]) == (2, "file_exists")
        assert ((folder / "test_mine.py").read_text(), (folder / "mine.py").exists()) == ("mine", False)

    @pytest.mark.parametrize("name", ["Mine", "my-own", "1st", "class", "", "../up", "ü"])
    def test_a_name_that_python_cannot_import_is_refused(self, apex_json: Callable[..., Any], name: str) -> None:
        assert apex_json("new", "strategy", name).error["code"] == "usage"

    @pytest.mark.parametrize("name", ["random", "numpy", "apex_cli"])
    def test_a_name_that_means_another_module_is_refused(self, apex_json: Callable[..., Any], name: str) -> None:
        assert apex_json("new", "strategy", name).error["code"] == "name_taken"


def test_parameters_reach_the_strategy_and_are_swept(folder: Path, apex_json: Callable[..., Any]) -> None:
    counted = STRATEGY.replace("len(close) < 8", 'len(close) < ctx.parameters.get("first", 8)')
    (folder / "narrow.py").write_text(counted)
    (folder / "config.yaml").write_text(CONFIG + "  parameters: {first: 8}\n")
    (folder / "grid.yaml").write_text("scanners.parameters.first: [8, 30, 99]\n")
    rows = apex_json("replay", "--bars", "bars", "--sweep", "grid.yaml", "--jobs", "2").data["replays"]
    trades = [row["trades"] for row in rows]
    assert trades == sorted(trades, reverse=True)
    assert (trades[0] >= 3, trades[-1]) == (True, 0)
    assert apex_json("config", "get", "scanners.parameters").status == 0


@pytest.mark.usefixtures("folder")
def test_a_strategy_is_replayed_alone_and_not_beside_other_sources(apex_json: Callable[..., Any]) -> None:
    alone = apex_json("replay", "--bars", "bars", "--strategy", "narrow:on_bar").data
    assert alone["trades"] == apex_json("replay", "--bars", "bars").data["trades"]
    assert apex_json("replay", "--bars", "bars", "--strategy", "narrow:on_bar", "--rule", "breakout").status == 2
    missing = apex_json("replay", "--bars", "bars", "--strategy", "nowhere:on_bar")
    assert (missing.status, missing.error["message"].startswith("the strategy: nowhere:on_bar")) == (3, True)
    unknown = apex_json("replay", "--bars", "bars", "--strategy", "fast").error
    assert (unknown["message"], unknown["hint"]) == (
        "the strategy: there is no 'fast' among the strategies.",
        "Write module:function.",
    )
    wrong = apex_json("replay", "--bars", "bars", "--strategy", "narrow:__doc__").error["message"]
    assert wrong == "the strategy: narrow:__doc__ cannot be made: NoneType is no strategy."
