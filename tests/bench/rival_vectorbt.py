"""The same ideas in vectorbt, all symbols at once: ``rival_vectorbt.py FOLDER rule|scanners``.

Signals and stops as whole arrays, no orders in between: the floor of what a replay without orders costs. It sizes each
symbol for itself; there are no checks, no portfolio, no learning and no ledger.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import talib
import vectorbt as vbt

CHANNEL, RANGE_BARS = 20, 14
Array = np.ndarray


def main() -> None:
    """Run every file of a folder together."""
    warnings.simplefilter("ignore")
    folder, what = Path(sys.argv[1]), sys.argv[2]
    frames = {path.stem: pd.read_csv(path, index_col=0, parse_dates=True) for path in sorted(folder.glob("*.csv"))}
    close = pd.DataFrame({name: frame["Close"] for name, frame in frames.items()})
    entries, ranges = close.copy().astype(bool), close.copy()
    for name, frame in frames.items():
        columns = [frame[column].to_numpy(dtype=float) for column in ("Open", "High", "Low", "Close", "Volume")]
        entries[name] = breakout(*columns) if what == "rule" else scanners(*columns)
        ranges[name] = talib.ATR(*columns[1:4], RANGE_BARS)
    size = (150 / close).clip(lower=1).astype(int)
    found = vbt.Portfolio.from_signals(
        close, entries.to_numpy(), sl_stop=2 * ranges / close, tp_stop=5 * ranges / close, size=size, init_cash=3000,
        fees=0.0005, freq="1D",
    )  # fmt: skip
    print(int(found.trades.count().sum()), "trades", found.total_return().mean())


def breakout(opening: Array, high: Array, low: Array, close: Array, volume: Array) -> Array:
    """Return where a close is above the channel and the one before was not."""
    del opening, low, volume
    above = close > _before(talib.MAX(high, CHANNEL))
    return above & ~np.append(False, above[:-1])


def scanners(opening: Array, high: Array, low: Array, close: Array, volume: Array) -> Array:
    """Return where one of the four patterns is and a composite agrees."""
    rsi, adx, atr = talib.RSI(close, 14), talib.ADX(high, low, close, 14), talib.ATR(high, low, close, 14)
    fast, slow, far = talib.EMA(close, 20), talib.EMA(close, 50), talib.SMA(close, 200)
    plus, minus = talib.PLUS_DI(high, low, close, 14), talib.MINUS_DI(high, low, close, 14)
    ratio = volume / _before(talib.SMA(volume, 20))
    fell = _before(close, 6) - _before(close) >= _before(atr)
    reversal = fell & (close > opening) & (2 * close > high + low) & (ratio >= 2.5)
    beyond = (close > _before(talib.MAX(high, CHANNEL))) & (ratio >= 1.5)
    following = (close > fast) & (_before(close) <= _before(fast)) & (fast > slow) & (close > far) & (adx >= 25)
    trend = np.clip((fast - slow) / (2 * atr), -1, 1) + np.clip((plus - minus) / (plus + minus), -1, 1)
    momentum = np.clip(talib.MACD(close, 12, 26, 9)[2] / (0.25 * atr), -1, 1)
    return ((rsi < 30) | reversal | beyond | following) & (trend + momentum + np.clip(ratio - 1, -1, 1) > 0)


def _before(values: Array, bars: int = 1) -> Array:
    moved = np.full(len(values), np.nan)
    moved[bars:] = values[:-bars]
    return moved


if __name__ == "__main__":
    main()
