"""A million one-minute bars, read by apex and by pandas: seconds, in turns, and the memory of the process.

Run by hand: ``python tests/bench/bench_reading.py``. pandas is left out where it is not installed.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars

ROWS = 1_000_000
ROUNDS = 7


def write(path: Path, rows: int = ROWS) -> None:
    """Write sessions of 390 minutes, with prices of two places."""
    dice, day, price, left = random.Random(1), datetime(2015, 1, 2, 9, 30), 10_000, rows  # noqa: DTZ001 - wall time
    with path.open("w", encoding="ascii") as target:
        target.write("Date,Open,High,Low,Close,Volume\n")
        while left:
            for minute in range(min(390, left) if day.weekday() < 5 else 0):
                opening, price = price, max(100, price + dice.randint(-8, 8))
                high, low = max(opening, price) + dice.randint(0, 5), min(opening, price) - dice.randint(0, 5)
                cells = (f"{value / 100:.2f}" for value in (opening, high, low, price))
                target.write(f"{day + timedelta(minutes=minute)},{','.join(cells)},{dice.randint(100, 99_999)}\n")
                left -= 1
            day += timedelta(days=1)


def seconds(read: Callable[[], object]) -> tuple[float, float]:
    """Return how long it takes, and how long processors work for it."""
    began, worked = time.perf_counter(), time.process_time()
    read()
    return time.perf_counter() - began, time.process_time() - worked


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ABC.csv"
        write(path)
        import numpy  # noqa: F401, ICN001 - its import is not measured

        readers: dict[str, Callable[[], object]] = {"apex": lambda: CsvBars(Path(folder)).bars("ABC")[-1]}
        readers["apex"]()
        print(f"memory with the bars of apex: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
        try:
            import pandas as pd
        except ImportError:
            print("pandas is not installed", file=sys.stderr)
        else:
            readers["pandas"] = lambda: pd.read_csv(path)
            readers["pandas, with times"] = lambda: pd.read_csv(path, parse_dates=["Date"])
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
        for _ in range(ROUNDS):
            for name, read in readers.items():
                found[name].append(seconds(read))
        for name, times in found.items():
            walls, works = zip(*times, strict=True)
            median, work = statistics.median(walls), statistics.median(works)
            print(f"{name}: median {median:.3f} s, best {min(walls):.3f} s, {work:.3f} s of processors")


if __name__ == "__main__":
    main()
