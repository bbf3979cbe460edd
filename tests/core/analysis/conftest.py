"""Real daily bars: the demo's, and thirteen years where bokeh-sampledata is installed."""

from __future__ import annotations

import csv
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from apex_cli import demo
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.analysis.frame import Frame, frame_of


@pytest.fixture(scope="session")
def real_frames() -> list[Frame]:
    """Return AAPL, IBM and MSFT: 300 sessions each, then all five stocks from 2000 to 2013."""
    bars = CsvBars(Path(demo.__file__).parent)
    frames = [frame_of(symbol, bars.bars(symbol)) for symbol in ("AAPL", "IBM", "MSFT")]
    if spec := find_spec("bokeh_sampledata"):
        frames += _thirteen_years(Path(str(spec.origin)).parent / "_data" / "stocks.csv.gz")
    return frames


def _thirteen_years(path: Path) -> list[Frame]:
    rows: dict[str, list[list[float]]] = {}
    with gzip.open(path, "rt", newline="") as stream:
        for row in csv.DictReader(stream):
            rows.setdefault(row["Ticker"], []).append(
                [float(row[name]) for name in ("Open", "High", "Low", "Close", "Volume")]
            )
    columns = {symbol: np.ascontiguousarray(np.array(values).T) for symbol, values in rows.items()}
    return [
        Frame(
            symbol=symbol,
            ends=np.arange(found.shape[1], dtype=np.int64) * 86_400,
            **dict(zip(("open", "high", "low", "close", "volume"), found, strict=True)),
        )
        for symbol, found in columns.items()
    ]
