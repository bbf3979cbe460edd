"""Many replays, one for each combination of settings, on all cores; the rows are the same on one."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple

from msgspec.structs import replace

import apex_cli
from apex_cli.app.kept_rows import KeptRows, SweepTask
from apex_cli.app.replayer import Replay, ReplayOptions, replay
from apex_cli.core.adapters.files.named_file import read_named
from apex_cli.core.errors import BrokerError, ConfigError, InputError, missing_extra
from apex_cli.core.model.base import named, taken_over
from apex_cli.core.positions.performance import returns_of
from apex_cli.core.reports.replay_report import ReplayReport, SweepRow
from apex_cli.core.text.problems import suggest
from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml
from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings

MOST_REPLAYS = 10_000
MOST_GRID = 1_000_000
CONNECT_TIMEOUT_S = 10
Grid = dict[str, list[Any]]
"""Values to try by key path, such as ``risk.min_reward_risk``."""

ReadSettings = Callable[[Mapping[str, str]], Settings]
OnDone = Callable[[int, int], None]
Numbered = tuple[int, SweepRow]


class PackedBars(NamedTuple):
    """A folder of bars as it travels to a cluster, once for all replays."""

    digest: str
    files: tuple[tuple[str, bytes], ...]


def read_grid(path: Path) -> Grid:
    """Return the grid in the YAML file at *path*: ``risk.min_reward_risk: [2, 2.5]``, or the same in sections.

    Raises:
        InputError: it cannot be read, is no YAML, no mapping of keys, or names too many combinations.
    """
    try:
        document = parse_yaml(read_named(path, MOST_GRID).decode("utf-8"))
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
    _require_keys(grid)
    tasks = []
    for combination in itertools.product(*grid.values()):
        values = {key: _text(value) for key, value in zip(grid, combination, strict=True)}
        variables = {OVERRIDE_PREFIX + key.upper().replace(".", "__"): text for key, text in values.items()}
        tasks.append(SweepTask(values=values, settings=read_settings(variables), options=options))
    return tasks


def _require_keys(grid: Grid) -> None:
    from apex_cli.settings.validation import fields

    for key in grid:
        if "." not in key or not any(key == path or key.startswith(f"{path}.") for path in fields()):
            near = suggest(key, tuple(fields())) if "." in key else None
            hint = f"Did you mean {near}?" if near else "Write it as section.key; apex help keys lists every key."
            raise ConfigError("config_invalid", f"The grid names {key!r}, which is no key.", hint=hint)


def _text(value: object) -> str:
    """Return a value of the grid as the text of a variable."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def sweep(
    tasks: Sequence[SweepTask],
    *,
    jobs: int | None = None,
    on_done: OnDone | None = None,
    kept: KeptRows | None = None,
) -> list[SweepRow]:
    """Return the row of each task, in their order, whatever the number of processes: *jobs*, None for one a core.

    *on_done* hears how many are done, and of how many. Rows in *kept* are not made again, and finished ones added.

    Raises:
        InputError: there are no bars in the period, or a file cannot be read.
    """
    found, left = _known(tasks, kept)
    workers = min(jobs or os.cpu_count() or 1, len(left))
    if workers <= 1:
        return _collect(((number, run_task(tasks[number])) for number in left), tasks, found, kept, on_done)
    Replay(tasks[0].settings, tasks[0].options)  # what cannot be read is reported here, not from another process
    with _pool(workers) as pool:
        return _collect(_as_finished(pool, tasks, left), tasks, found, kept, on_done)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Lend processes; when this one is interrupted, they end after the replay that each is at."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that hands out the work; nobody else's program runs in this one."""
    apex_cli.is_program = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_finished(pool: ProcessPoolExecutor, tasks: Sequence[SweepTask], left: Iterable[int]) -> Iterator[Numbered]:
    numbers = {pool.submit(run_task, tasks[number]): number for number in left}
    for future in as_completed(numbers):
        yield numbers[future], future.result()


def sweep_on_cluster(
    tasks: Sequence[SweepTask], address: str, *, on_done: OnDone | None = None, kept: KeptRows | None = None
) -> list[SweepRow]:
    """Return the row of each task, in their order, from the workers of the Dask cluster at *address*.

    The bars are sent to each worker once; it needs apex, and files of signals at the same path. *on_done* and *kept*
    are those of ``sweep``.

    Raises:
        ConfigError: the extra ``cluster`` is not installed.
        BrokerError: the scheduler cannot be reached.
        InputError: there are no bars in the period, or a file cannot be read.
    """
    Replay(tasks[0].settings, tasks[0].options)
    found, left = _known(tasks, kept)
    with _connect(address) as client:
        packed = client.scatter(pack_bars(tasks[0].options.bars_dir), broadcast=True)
        futures = client.map(run_packed, [tasks[number] for number in left], bars=packed, pure=False)
        numbers = {future.key: number for future, number in zip(futures, left, strict=True)}
        finished = import_module("distributed").as_completed(futures)
        rows = ((numbers[future.key], future.result()) for future in finished)
        return _collect(rows, tasks, found, kept, on_done)


def pack_bars(folder: Path) -> PackedBars:
    """Return the files of *folder*, to be sent.

    Raises:
        InputError: one cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] not in "._~")
        files = tuple((path.name, path.read_bytes()) for path in paths)
    except OSError as error:
        raise InputError("bars_unreadable", f"{folder} cannot be sent: {error.strerror}.", hint="Look there.") from None
    digest = blake2b(digest_size=16)
    for name, content in files:
        digest.update(f"{name} {len(content)} ".encode())
        digest.update(content)
    return PackedBars(digest.hexdigest(), files)


def run_packed(task: SweepTask, bars: PackedBars) -> SweepRow:
    """Return the result of one combination, on bars that were sent."""
    with UNPACKING:
        folder = Path(_unpacked(bars).name)
    return run_task(replace(task, options=replace(task.options, bars_dir=folder)))


UNPACKING = Lock()
"""Threads of one worker share a folder: without it each makes one, and the one that is forgotten is removed."""


@lru_cache(maxsize=8)
def _unpacked(bars: PackedBars) -> TemporaryDirectory[str]:
    """Return a folder of the files, written once a worker; it goes with the process."""
    folder = TemporaryDirectory(prefix="apex-bars-")
    for name, content in bars.files:
        Path(folder.name, Path(name).name).write_bytes(content)
    return folder


def _connect(address: str) -> Any:  # noqa: ANN401 - Dask is an extra without types
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise missing_extra("cluster", "A sweep on a cluster needs Dask.") from None
    try:
        return distributed.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise BrokerError(
            "cluster_unreachable", f"The Dask scheduler {address} cannot be reached: {error}", hint="Is it running?"
        ) from None


def _known(tasks: Sequence[SweepTask], kept: KeptRows | None) -> tuple[dict[int, SweepRow], list[int]]:
    """Return the rows that are there already, by number, and the numbers of the tasks that are left."""
    every = enumerate(tasks) if kept is not None else ()
    found = {number: row for number, task in every if kept and (row := kept.row_of(task)) is not None}
    return found, [number for number in range(len(tasks)) if number not in found]


def _collect(
    rows: Iterable[Numbered],
    tasks: Sequence[SweepTask],
    found: dict[int, SweepRow],
    kept: KeptRows | None,
    on_done: OnDone | None,
) -> list[SweepRow]:
    """Return *found* and *rows* in the order of the tasks; each row is kept as soon as it comes."""
    for number, row in rows:
        found[number] = row
        if kept is not None:
            kept.add(tasks[number], row)
        if on_done is not None:
            on_done(len(found), len(tasks))
    return [found[number] for number in range(len(tasks))]


def run_task(task: SweepTask) -> SweepRow:
    """Return the result of one combination; may run in another process."""
    return _row(task.values, replay(task.settings, task.options))


def _row(values: dict[str, str], report: ReplayReport) -> SweepRow:
    numbers = report.statistics
    return taken_over(
        SweepRow,
        numbers,
        values=values,
        trades=numbers.round_trips,
        max_drawdown=report.drawdown.fraction,
        returns=tuple(returns_of([report.start_equity, *(point.equity for point in report.curve)])),
        **named(report, "net_expectancy_r", "sharpe", "exposure", "end_equity"),
    )
