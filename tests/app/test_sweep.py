from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from apex_cli.app.kept_rows import SweepTask
from apex_cli.app.replayer import ReplayOptions
from apex_cli.app.sweep import read_grid, sweep, sweep_on_cluster, tasks_of
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.settings.load import load_settings
from apex_cli.settings.sections import Settings

DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"
GRID = """
risk.max_position_pct: [0.05, 0.10]
risk:
  max_risk_pct: 0.01
  deny_symbols: [[], [AAPL]]
execution.auto_execute: [true]
"""


def settings_with(variables: Mapping[str, str], folder: Path) -> Settings:
    return load_settings(None, environ={**variables, "HOME": str(folder)}, cwd=folder)


def tasks(tmp_path: Path, text: str = GRID) -> list[SweepTask]:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    options = ReplayOptions(bars_dir=DEMO)
    return tasks_of(read_grid(path), options, lambda variables: settings_with(variables, tmp_path))


def test_every_combination_is_a_task_of_its_own(tmp_path: Path) -> None:
    made = tasks(tmp_path)
    assert [tuple(task.values.values()) for task in made] == [
        ("0.05", "0.01", "[]", "true"),
        ("0.05", "0.01", "[AAPL]", "true"),
        ("0.10", "0.01", "[]", "true"),
        ("0.10", "0.01", "[AAPL]", "true"),
    ]
    assert [(str(t.settings.risk.max_position_pct), t.settings.risk.deny_symbols) for t in made] == [
        ("0.05", ()),
        ("0.05", ("AAPL",)),
        ("0.10", ()),
        ("0.10", ("AAPL",)),
    ]


def test_two_processes_find_what_one_finds_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DEMO.parent.parent), os.environ.get("PYTHONPATH", "")]))
    made = tasks(tmp_path)
    heard: list[tuple[int, int]] = []
    alone = sweep(made, jobs=1, on_done=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sweep(made, jobs=2) == alone
    assert [row.values for row in alone] == [task.values for task in made]
    assert len({row.net_pnl for row in alone}) == 4


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "must hold settings"),
        ("[1, 2]", "must hold settings"),
        ("a: [1\n", "cannot be used"),
        ("risk.capital: []", "names no value for risk.capital"),
        (f"risk.capital: {list(range(1, 102))}\nrisk.max_positions: {list(range(1, 102))}", "10201 combinations"),
    ],
)
def test_a_grid_that_says_nothing_sensible_is_an_error(tmp_path: Path, text: str, reported: str) -> None:
    with pytest.raises(InputError, match=reported):
        tasks(tmp_path, text)


def test_a_missing_grid_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_grid(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("capital: [1]", "names 'capital', which is no key"),
        ("risk.capitol: [1]", "names 'risk.capitol', which is no key"),
        ("risk.max_risk_pct: [7]", "above 0 up to 1"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_before_anything_is_replayed(tmp_path: Path, text: str, reported: str) -> None:
    with pytest.raises(ConfigError, match=reported):
        tasks(tmp_path, text)


def test_bars_that_cannot_be_read_are_reported_by_this_process(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "A.csv").write_text("Date,Open,High,Low,Close\n2004-03-01,1,2,3,1\n")
    made = [SweepTask(values={}, settings=Settings(), options=ReplayOptions(bars_dir=tmp_path / "bars"))] * 2
    with pytest.raises(InputError, match=r"A\.csv:2"):
        sweep(made, jobs=2)


def test_an_error_travels_between_processes_with_all_it_reports() -> None:
    reported = pickle.dumps(InputError("no_bars", "There are none.", hint="Look.", details={"n": 1}))
    error = pickle.loads(reported)  # noqa: S301 - made in the line above
    assert (type(error), error.code, error.message, error.hint, error.details) == (
        InputError,
        "no_bars",
        "There are none.",
        "Look.",
        {"n": 1},
    )


def test_without_dask_a_cluster_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="needs Dask") as caught:
        sweep_on_cluster(tasks(tmp_path), "tcp://127.0.0.1:1")
    assert "[cluster]" in caught.value.hint


def test_a_cluster_finds_what_one_process_finds(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
    made = tasks(tmp_path)
    with distributed.LocalCluster(n_workers=1, processes=False, protocol="tcp", dashboard_address=None) as cluster:
        assert sweep_on_cluster(made, cluster.scheduler_address) == sweep(made, jobs=1)
