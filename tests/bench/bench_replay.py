"""How fast history is replayed, beside backtesting.py and vectorbt on the same bars, and how the time grows.

Run by hand: ``python tests/bench/bench_replay.py MODE``, one of ``compare [SYMBOLS]``, which is the usual one,
``growth``, ``memory``, ``sweep [SETTINGS]``, ``stocks`` and a folder of bars.

``compare`` replays 20 symbols (or as many as named) x 10 years of random daily bars in whole processes: the breakout
rule, the four scanners with technical analysis, and the same with the predictions of a model, where scikit-learn is
there. The first two are taken in turn with the same idea in backtesting.py (extra ``bench``) and in vectorbt, where
they are installed, here or in the Python that BENCH_BACKTESTING and BENCH_VECTORBT name. A first run of each is not
counted: it compiles modules and keeps the bars as read. Medians of processor time and of the clock, the median of the
ratios within a turn, and the most memory are printed. ``growth`` takes 1, 10 and 100 symbols and 1 and 10 years.
``memory`` replays a million minutes. ``sweep`` replays 200 settings on 1 and 2 processes and a Dask cluster of 2.
``stocks`` takes thirteen years of AAPL, GOOG, IBM and MSFT from bokeh and bokeh_sampledata.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.app.kept_rows import SweepTask
from apex_cli.app.replayer import ReplayOptions, replay
from apex_cli.app.sweep import sweep, sweep_on_cluster
from apex_cli.core.market.calendar import next_session
from apex_cli.settings.sections import Settings

DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"
RIVALS = Path(__file__).resolve().parent
RUNS, SESSIONS_A_YEAR = 5, 252
SETTINGS = 200
MINUTES = 1_000_000
COMPILING = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of processes that keep the modules they compile."""


class Cost(NamedTuple):
    """What one process took."""

    processor_s: float
    clock_s: float
    peak_mb: float


def cost_of(*command: str) -> Cost:
    """Run *command* to its end and return what it took."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=COMPILING)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 1024)


def medians(costs: list[Cost]) -> Cost:
    """Return the median of each."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def write_bars(folder: Path, symbols: int, years: int) -> None:
    """Write random daily bars, the same for the same numbers, with a configuration for the scanners beside them."""
    bars = folder / "bars"
    bars.mkdir()
    days = [date(2010, 1, 4)]
    while len(days) < years * SESSIONS_A_YEAR:
        days.append(next_session(days[-1]))
    names = [f"S{number:03d}" for number in range(symbols)]
    for number, name in enumerate(names):
        dice, close = Random(number), 50.0
        with (bars / f"{name}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
            for day in days:
                opening = close * (1 + dice.gauss(0, 0.008))
                close *= 1 + dice.gauss(0.0004, 0.018)
                high, low = max(opening, close) * (1 + abs(dice.gauss(0, 0.006))), min(opening, close)
                low *= 1 - abs(dice.gauss(0, 0.006))
                prices = [f"{price:.2f}" for price in (opening, high, low, close)]
                out.writerow([day, *prices, int(10**6 * dice.lognormvariate(0, 0.5))])
    state = f"state: {{dir: {folder / 'state'}}}\nprices: {{bars_dir: {bars}}}\n"
    scanners = f"{state}scanners: {{watch_list: [{', '.join(names)}], target_atr: 5}}\n"
    (folder / "rule.yaml").write_text(state)
    (folder / "scanners.yaml").write_text(f"{scanners}pipeline: {{stages: [technical]}}\n")
    (folder / "model.yaml").write_text(f"{scanners}pipeline: {{stages: [technical, predictor]}}\n")


@contextmanager
def bars_of(symbols: int, years: int) -> Iterator[Path]:
    """Lend a folder of random bars."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bars(folder, symbols, years)
        yield folder


PROGRAM = str(Path(sys.executable).with_name("apex"))


def apex(folder: Path, what: str) -> tuple[str, ...]:
    """Return the command of a replay."""
    rule = ("--rule", "breakout") if what == "rule" else ()
    return (
        PROGRAM,
        "replay",
        "--config",
        str(folder / f"{what}.yaml"),
        "--bars",
        str(folder / "bars"),
        *rule,
        "--json",
    )


def rivals() -> dict[str, str]:
    """Return the rivals that are installed, and the Python of each: BENCH_VECTORBT names one with vectorbt."""
    here = {name: sys.executable for name in ("backtesting", "vectorbt") if find_spec(name) is not None}
    named = {name: os.environ.get(f"BENCH_{name.upper()}", "") for name in ("backtesting", "vectorbt")}
    return here | {name: python for name, python in named.items() if python}


def in_turn(commands: dict[str, tuple[str, ...]]) -> dict[str, list[Cost]]:
    """Return what each of *commands* takes, run in turn; the first turn is not counted."""
    turns = [{name: cost_of(*command) for name, command in commands.items()} for _ in range(RUNS + 1)]
    return {name: [turn[name] for turn in turns[1:]] for name in commands}


def compare(symbols: int = 20, years: int = 10) -> None:
    """Print what each takes for the same bars, in turn."""
    with bars_of(symbols, years) as folder:
        print(f"{symbols} symbols x {years} years of daily bars, whole processes, medians of {RUNS} in turn")
        for what in ("rule", "scanners"):
            beside = {
                name: (python, str(RIVALS / f"rival_{name}.py"), str(folder / "bars"), what)
                for name, python in rivals().items()
            }
            print_costs(what, in_turn({"apex": apex(folder, what), **beside}))
        if find_spec("sklearn") is not None:
            cost_of(PROGRAM, "model", "train", "--config", str(folder / "model.yaml"))
            commands = {"with a model": apex(folder, "model"), "without": apex(folder, "scanners")}
            print_costs("scanners", in_turn(commands))


def print_costs(what: str, costs: dict[str, list[Cost]]) -> None:
    """Print the medians of each, and how many times that of the others the first one takes."""
    first, ours = next(iter(costs.items()))
    for name, theirs in costs.items():
        found = medians(theirs)
        ratio = statistics.median(a.processor_s / b.processor_s for a, b in zip(ours, theirs, strict=True))
        beside = "" if name == first else f"; {first} takes {ratio:.2f} times that"
        print(
            f"{what:9} {name:12} {found.processor_s:6.2f} s processor, {found.clock_s:6.2f} s clock, "
            f"{found.peak_mb:5.0f} MB{beside}",
            flush=True,
        )


def memory() -> None:
    """Print what a million bars of minutes take: read and kept the first time, and as they were kept."""
    from bench_reading import write

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bars").mkdir()
        write(folder / "bars" / "ABC.csv", MINUTES)
        (folder / "rule.yaml").write_text(f"state: {{dir: {folder / 'state'}}}\n")
        for run in ("first", "second"):
            found = cost_of(*apex(folder, "rule"))
            print(
                f"{MINUTES:,} minutes, {run} run: {found.processor_s:.2f} s processor, {found.peak_mb:.0f} MB",
                flush=True,
            )


def growth() -> None:
    """Print how the time grows with symbols and with years."""
    for symbols, years in ((1, 1), (1, 10), (10, 1), (10, 10), (100, 1), (100, 10)):
        with bars_of(symbols, years) as folder:
            for what in ("rule", "scanners"):
                cost_of(*apex(folder, what))
                found = medians([cost_of(*apex(folder, what)) for _ in range(3 if symbols < 100 else 1)])
                print(
                    f"{what:9} {symbols:3} symbols x {years:2} years: {found.processor_s:6.2f} s processor, "
                    f"{found.peak_mb:4.0f} MB",
                    flush=True,
                )


def sweeps(settings: int, symbols: int = 20, years: int = 10) -> None:
    """Print the seconds a setting with one process, with two, and with a Dask cluster of two workers."""
    with bars_of(symbols, years) as folder:
        tasks = tasks_of(ReplayOptions(bars_dir=folder / "bars", rule="breakout"), settings)
        alone = cost_here(lambda: sweep(tasks, jobs=1))
        print(f"{settings} settings, 1 process: {alone.clock_s / settings:.3f} s each", flush=True)
        report_sweep("2 processes", alone, cost_here(lambda: sweep(tasks, jobs=2)), settings)
        if find_spec("distributed") is not None:
            report_sweep("Dask, 2 workers", alone, cost_here(lambda: on_dask(tasks)), settings)


def on_dask(tasks: list[SweepTask]) -> None:
    """Sweep on a cluster that is started for it."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        sweep_on_cluster(tasks, cluster.scheduler_address)


def report_sweep(what: str, alone: Cost, both: Cost, settings: int) -> None:
    """Print the seconds a setting, and what of two processors does the work of one: by the clock, and by their time."""
    by_clock, by_time = alone.clock_s / both.clock_s / 2, alone.processor_s / both.processor_s
    print(f"{what}: {both.clock_s / settings:.3f} s each, efficiency {by_clock:.2f}, by processor time {by_time:.2f}")


def cost_here(work: Callable[[], object]) -> Cost:
    """Return what *work* takes this process and those it starts and ends."""
    begin, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return Cost(sum(after[:4]) - sum(before[:4]), time.perf_counter() - begin, 0)


def tasks_of(options: ReplayOptions, count: int) -> list[SweepTask]:
    """Return replays that differ in how much one position may take."""
    risk = Settings().risk
    return [
        SweepTask(
            values={"risk.max_position_pct": str(share)},
            settings=Settings().replace(risk=replace(risk, max_position_pct=share)),
            options=options,
        )
        for share in (Decimal(number) / 1000 for number in range(40, 40 + count))
    ]


def processor_seconds(work: Callable[[], object]) -> float:
    """Return how long a processor works on *work*."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def write_stocks(folder: Path) -> Path:
    """Write four stocks, adjusted for splits and dividends, as CSV files."""
    from bokeh.sampledata import stocks

    for name in ("AAPL", "GOOG", "IBM", "MSFT"):
        data = getattr(stocks, name)
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
            for number, day in enumerate(data["date"]):
                share = data["adj_close"][number] / data["close"][number]
                prices = [round(data[column][number] * share, 2) for column in ("open", "high", "low", "close")]
                prices[1], prices[2] = max(prices), min(prices)
                out.writerow([str(day)[:10], *prices, int(data["volume"][number])])
    return folder


def measure(options: ReplayOptions) -> None:
    """Print bars, steps and round trips a second, by the rule and by the scanners."""
    plain = Settings()
    symbols = replay(plain, options).symbols  # reads the bars, too
    scanners = replace(plain.scanners, watch_list=symbols, target_atr=Decimal(5))
    pipeline = replace(plain.pipeline, stages=("technical",))
    measure_one("breakout rule", plain, options)
    measure_one("scanners, technical", plain.replace(scanners=scanners, pipeline=pipeline), options)


def measure_one(what: str, settings: Settings, options: ReplayOptions) -> None:
    """Print bars, steps and round trips a second of one replay."""
    report = replay(settings, options)
    median = statistics.median(processor_seconds(lambda: replay(settings, options)) for _ in range(RUNS))
    print(
        f"{what}: {report.bars} bars, {report.steps} steps, {len(report.trades)} round trips in {median:.2f} s: "
        f"{report.bars / median:,.0f} bars/s, {report.steps / median:,.0f} steps/s"
    )


def main() -> None:
    """Measure what the command line names."""
    named = sys.argv[1] if len(sys.argv) > 1 else "compare"
    modes: dict[str, Callable[[], None]] = {"growth": growth, "memory": memory}
    if named in modes:
        modes[named]()
        return
    counted: dict[str, tuple[Callable[[int], None], int]] = {"compare": (compare, 20), "sweep": (sweeps, SETTINGS)}
    if named in counted:
        work, usual = counted[named]
        work(int(sys.argv[2]) if len(sys.argv) > 2 else usual)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(ReplayOptions(bars_dir=write_stocks(Path(folder)) if named == "stocks" else Path(named)))


if __name__ == "__main__":
    main()
