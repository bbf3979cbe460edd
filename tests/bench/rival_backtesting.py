"""The same strategies in backtesting.py, one symbol after the other: ``rival_backtesting.py FOLDER rule|scanners``.

Indicators of whole histories by TA-Lib, conditions and orders in ``next``: what its users write. It has no portfolio,
no checks, no learning and no ledger: a floor for the work, not the same work.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import talib
from backtesting import Backtest, Strategy

CHANNEL, RANGE_BARS = 20, 14
RATIO, STRONG = 1.5, 25


class Bracketed(Strategy):  # type: ignore[misc] # no types there
    """Buys with a stop and a target in average true ranges, one position at a time."""

    stop_atr, target_atr = 2.0, 5.0

    def init(self) -> None:
        """Compute what every strategy needs."""
        data = self.data
        self.atr = self.I(talib.ATR, data.High, data.Low, data.Close, RANGE_BARS)
        self.channel = self.I(talib.MAX, data.High, CHANNEL)

    def next(self) -> None:
        """Buy where the pattern is."""
        if self.position or not self.is_hit():
            return
        atr, close = self.atr[-1], self.data.Close[-1]
        stop, target = close - self.stop_atr * atr, close + self.target_atr * atr
        if 0 < stop < close < target:
            self.buy(size=max(1, int(150 / close)), sl=stop, tp=target)

    def is_hit(self) -> bool:
        """Return whether the last bar is a signal."""
        raise NotImplementedError

    def breaks_out(self) -> bool:
        """Return whether the last close is above the channel and the one before was not."""
        close, channel = self.data.Close, self.channel
        return bool(close[-1] > channel[-2] and not close[-2] > channel[-3])


class Breakout(Bracketed):
    """Closes above the channel of twenty highs."""

    def is_hit(self) -> bool:
        """Return whether the last bar breaks out."""
        return len(self.data) > CHANNEL + 2 and self.breaks_out()


class Scanners(Bracketed):
    """Four patterns, and a composite of trend, momentum, volume and calm that has to agree."""

    def init(self) -> None:
        """Compute the indicators of the patterns and of the composite."""
        super().init()
        _, high, low, close, volume = (self.data[name] for name in ("Open", "High", "Low", "Close", "Volume"))
        volume = np.asarray(volume, dtype=float)
        self.rsi = self.I(talib.RSI, close, 14)
        self.adx = self.I(talib.ADX, high, low, close, 14)
        self.plus, self.minus = (
            self.I(talib.PLUS_DI, high, low, close, 14),
            self.I(talib.MINUS_DI, high, low, close, 14),
        )
        self.ema20, self.ema50 = self.I(talib.EMA, close, 20), self.I(talib.EMA, close, 50)
        self.sma200 = self.I(talib.SMA, close, 200)
        self.macd = self.I(lambda: talib.MACD(np.asarray(close), 12, 26, 9)[2])
        self.stoch = self.I(lambda: talib.STOCH(np.asarray(high), np.asarray(low), np.asarray(close), 14, 3, 0, 3, 0))
        self.usual = self.I(talib.SMA, volume, 20)
        self.bands = self.I(lambda: talib.BBANDS(np.asarray(close), 20, 2, 2))

    def is_hit(self) -> bool:
        """Return whether any pattern is there and the composite agrees."""
        data = self.data
        close, ratio = data.Close[-1], data.Volume[-1] / self.usual[-2]
        fell = data.Close[-7] - data.Close[-2] >= self.atr[-2]
        turned = close > data.Open[-1] and 2 * close > data.High[-1] + data.Low[-1]
        trend = self.ema20[-1] > self.ema50[-1] and close > self.sma200[-1] and self.adx[-1] >= STRONG
        found = (
            self.rsi[-1] < 30
            or (fell and turned and ratio >= 2.5)
            or (close > self.channel[-2] and ratio >= RATIO)
            or (close > self.ema20[-1] and data.Close[-2] <= self.ema20[-2] and trend)
        )
        return bool(found) and self.composite(close, ratio) > 0.5

    def composite(self, close: float, ratio: float) -> float:
        """Return how well the picture supports a purchase, 0..1."""
        atr = self.atr[-1]
        lean = (self.plus[-1] - self.minus[-1]) / (self.plus[-1] + self.minus[-1])
        trend = np.mean(
            [
                np.clip((self.ema20[-1] - self.ema50[-1]) / (2 * atr), -1, 1),
                np.clip((close - self.sma200[-1]) / (5 * atr), -1, 1),
                np.clip(lean, -1, 1),
            ]
        )
        momentum = np.mean(
            [
                np.clip(self.macd[-1] / (0.25 * atr), -1, 1),
                np.clip((self.stoch[0][-1] - self.stoch[1][-1]) / 20, -1, 1),
                np.clip((close - self.data.Close[-11]) / (atr * 10**0.5), -1, 1),
            ]
        )
        calm = np.interp(atr / close, (0.01, 0.05), (1, 0))
        return float(0.3 * (1 + trend) / 2 + 0.3 * (1 + momentum) / 2 + 0.2 * min(ratio / 2, 1) + 0.2 * calm)


def main() -> None:
    """Run every file of a folder."""
    warnings.simplefilter("ignore")
    folder, what = Path(sys.argv[1]), sys.argv[2]
    trades = 0
    for path in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(path, index_col=0, parse_dates=True)
        strategy = Breakout if what == "rule" else Scanners
        found = Backtest(frame, strategy, cash=3000, commission=0.0005, finalize_trades=True).run()
        trades += int(found["# Trades"])
    print(trades, "trades")


if __name__ == "__main__":
    main()
