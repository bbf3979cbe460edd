"""How fast history is replayed, and what a second core brings to a sweep.

Run by hand: ``python tests/bench/bench_replay.py [BARS_DIR | stocks]``. Without a folder the demo's 900 daily bars are
replayed; ``stocks`` takes thirteen years of AAPL, GOOG, IBM and MSFT from the packages bokeh and bokeh_sampledata.

Replays run five times; medians of processor time are printed, so that other work of the machine does not count. A
sweep of twelve combinations runs with one process and with two, in turn, three times; the ratio of the medians is the
scaling, which needs a machine with nothing else to do.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from apex_cli.app.replayer import ReplayOptions, replay
from apex_cli.app.sweep import SweepTask, sweep
from apex_cli.settings.sections import Settings

DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"
RUNS, SWEEPS, COMBINATIONS = 5, 3, 12


def seconds(work: Callable[[], object]) -> float:
    """Return how long *work* takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


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


def main() -> None:
    """Measure what the command line names."""
    named = sys.argv[1] if len(sys.argv) > 1 else str(DEMO)
    with tempfile.TemporaryDirectory() as folder:
        measure(ReplayOptions(bars_dir=write_stocks(Path(folder)) if named == "stocks" else Path(named)))


def measure(options: ReplayOptions) -> None:
    """Print bars, steps and round trips a second, by the rule and by the scanners, and the scaling."""
    plain = Settings()
    symbols = replay(plain, options).symbols  # reads the bars, too
    scanners = replace(plain.scanners, watch_list=symbols, target_atr=Decimal(5))
    pipeline = replace(plain.pipeline, stages=("technical",))
    measure_one("breakout rule", plain, options)
    measure_one("scanners, technical", replace(plain, scanners=scanners, pipeline=pipeline), options)
    measure_sweep(options)


def measure_one(what: str, settings: Settings, options: ReplayOptions) -> None:
    """Print bars, steps and round trips a second of one replay."""
    report = replay(settings, options)
    median = statistics.median(processor_seconds(lambda: replay(settings, options)) for _ in range(RUNS))
    print(
        f"{what}: {report.bars} bars, {report.steps} steps, {len(report.trades)} round trips in {median:.2f} s: "
        f"{report.bars / median:,.0f} bars/s, {report.steps / median:,.0f} steps/s"
    )


def measure_sweep(options: ReplayOptions) -> None:
    """Print what a second process brings."""
    risk = Settings().risk
    tasks = [
        SweepTask(
            values={"risk.max_position_pct": str(share)},
            settings=replace(Settings(), risk=replace(risk, max_position_pct=share)),
            options=options,
        )
        for share in (Decimal(number) / 100 for number in range(4, 4 + COMBINATIONS))
    ]
    one, two = [], []
    for _ in range(SWEEPS):
        one.append(seconds(lambda: sweep(tasks, jobs=1)))
        two.append(seconds(lambda: sweep(tasks, jobs=2)))
    alone, both = statistics.median(one), statistics.median(two)
    print(f"sweep of {len(tasks)}: 1 process {alone:.2f} s, 2 processes {both:.2f} s, {alone / both:.2f} times as fast")


if __name__ == "__main__":
    main()
