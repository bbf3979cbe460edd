"""Many replays, one for each combination of settings, on all cores; the rows are the same on one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from apex_cli.app.replayer import Replay, ReplayOptions, replay
from apex_cli.core.errors import BrokerError, ConfigError, InputError, install_command
from apex_cli.core.model.base import Value
from apex_cli.core.reports.replay_report import ReplayReport, SweepRow
from apex_cli.core.yaml_text import YamlProblem, parse_yaml
from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings

MOST_REPLAYS = 10_000
CONNECT_TIMEOUT_S = 10
Grid = dict[str, list[Any]]
"""Values to try by key path, such as ``risk.min_reward_risk``."""

ReadSettings = Callable[[Mapping[str, str]], Settings]
OnDone = Callable[[int, int], None]


class SweepTask(Value, frozen=True, kw_only=True):
    """One replay of a sweep."""

    values: dict[str, str]
    settings: Settings
    options: ReplayOptions


def read_grid(path: Path) -> Grid:
    """Return the grid in the YAML file at *path*: ``risk.min_reward_risk: [2, 2.5]``, or the same in sections.

    Raises:
        InputError: it cannot be read, is no YAML, no mapping of keys, or names too many combinations.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YamlProblem) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(path, f"cannot be used: {reason}") from None
    if not isinstance(document, dict) or not document:
        raise _unusable(path, "must hold settings and the values to try, such as `risk.min_reward_risk: [2, 2.5]`")
    grid = {key: value if isinstance(value, list) else [value] for key, value in _flat(document, "")}
    count = 1
    for key, values in grid.items():
        if not values:
            raise _unusable(path, f"names no value for {key}")
        count *= len(values)
    if count > MOST_REPLAYS:
        raise _unusable(path, f"makes {count} combinations; at most {MOST_REPLAYS} are replayed")
    return grid


def _flat(document: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _unusable(path: Path, what: str) -> InputError:
    return InputError("grid_invalid", f"{path} {what}.", hint="See: apex replay --help", details={"file": str(path)})


def tasks_of(grid: Grid, options: ReplayOptions, read_settings: ReadSettings) -> list[SweepTask]:
    """Return one task for each combination, the last key changing fastest.

    Raises:
        ConfigError: a key or a value is wrong.
    """
    tasks = []
    for combination in itertools.product(*grid.values()):
        values = {key: _text(value) for key, value in zip(grid, combination, strict=True)}
        variables = {OVERRIDE_PREFIX + key.upper().replace(".", "__"): text for key, text in values.items()}
        if not all("." in key for key in grid):
            key = next(key for key in grid if "." not in key)
            raise ConfigError(
                "config_invalid", f"The grid names {key!r}, which is no key.", hint="Write it as section.key."
            )
        tasks.append(SweepTask(values=values, settings=read_settings(variables), options=options))
    return tasks


def _text(value: object) -> str:
    """Return a value of the grid as the text of a variable."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def sweep(tasks: Sequence[SweepTask], *, jobs: int | None = None, on_done: OnDone | None = None) -> list[SweepRow]:
    """Return the row of each task, in their order, whatever the number of processes.

    Args:
        tasks: what to replay.
        jobs: processes; None for one a core. One works in this process.
        on_done: hears how many are done, and of how many.

    Raises:
        InputError: there are no bars in the period, or a file cannot be read.
    """
    workers = min(jobs or os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        return _collect(map(run_task, tasks), len(tasks), on_done)
    Replay(tasks[0].settings, tasks[0].options)  # what cannot be read is reported here, not from another process
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _collect(pool.map(run_task, tasks), len(tasks), on_done)


def sweep_on_cluster(tasks: Sequence[SweepTask], address: str, *, on_done: OnDone | None = None) -> list[SweepRow]:
    """Return the row of each task, in their order, from the workers of a Dask cluster.

    The workers need apex and the bars at the same path.

    Args:
        tasks: what to replay.
        address: the scheduler, such as ``tcp://127.0.0.1:8786``.
        on_done: hears how many are done, and of how many.

    Raises:
        ConfigError: the extra ``cluster`` is not installed.
        BrokerError: the scheduler cannot be reached.
        InputError: there are no bars in the period, or a file cannot be read.
    """
    Replay(tasks[0].settings, tasks[0].options)
    with _connect(address) as client:
        futures = client.map(run_task, tasks, pure=False)
        numbers = {future.key: number for number, future in enumerate(futures)}
        rows: dict[int, SweepRow] = {}
        for future in import_module("distributed").as_completed(futures):
            rows[numbers[future.key]] = future.result()
            if on_done is not None:
                on_done(len(rows), len(tasks))
    return [rows[number] for number in range(len(tasks))]


def _connect(address: str) -> Any:  # noqa: ANN401 - Dask is an extra without types
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise ConfigError(
            "extra_missing", "A sweep on a cluster needs Dask.", hint=install_command("cluster")
        ) from None
    try:
        return distributed.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise BrokerError(
            "cluster_unreachable", f"The Dask scheduler {address} cannot be reached: {error}", hint="Is it running?"
        ) from None


def _collect(rows: Iterator[SweepRow], total: int, on_done: OnDone | None) -> list[SweepRow]:
    found = []
    for number, row in enumerate(rows, start=1):
        found.append(row)
        if on_done is not None:
            on_done(number, total)
    return found


def run_task(task: SweepTask) -> SweepRow:
    """Return what one combination comes to; may run in another process."""
    return _row(task.values, replay(task.settings, task.options))


def _row(values: dict[str, str], report: ReplayReport) -> SweepRow:
    numbers = report.statistics
    return SweepRow(
        values=values,
        trades=numbers.round_trips,
        breakeven=numbers.breakeven,
        win_rate=numbers.win_rate,
        net_win_rate=numbers.net_win_rate,
        net_pnl=numbers.net_pnl,
        net_expectancy_r=report.net_expectancy_r,
        profit_factor=numbers.profit_factor,
        sharpe=report.sharpe,
        max_drawdown=report.drawdown.fraction,
        exposure=report.exposure,
        end_equity=report.end_equity,
    )
