"""The same crossing strategy in backtesting.py and in a replay, on the demo's bars: entry by entry, exit by exit.

By hand, from the top folder: ``python tests/bench/compare_backtesting.py`` (extra ``bench``, which is AGPL).
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pandas as pd
import talib
from backtesting import Backtest, Strategy

from apex_cli import api
from apex_cli.demo import PACKAGED, SYMBOLS

FAST, SLOW = 10, 30
STOP, TARGET = 0.96, 1.10


class Cross(Strategy):
    """Buys where the fast average rises above the slow one, as backtesting.py has it."""

    def init(self) -> None:
        """Compute both averages."""
        self.fast = self.I(talib.SMA, self.data.Close, FAST)
        self.slow = self.I(talib.SMA, self.data.Close, SLOW)

    def next(self) -> None:
        """Look at the bar that has just ended."""
        if not self.position and self.fast[-2] <= self.slow[-2] and self.fast[-1] > self.slow[-1]:
            close = self.data.Close[-1]
            self.buy(size=1, sl=round(STOP * close, 2), tp=round(TARGET * close, 2))


def on_bar(ctx: api.Context) -> api.Signal | None:
    """The same for apex."""
    fast, slow = talib.SMA(ctx.close, FAST), talib.SMA(ctx.close, SLOW)
    if ctx.position or len(ctx.close) <= SLOW or not (fast[-2] <= slow[-2] and fast[-1] > slow[-1]):
        return None
    close = ctx.close[-1]
    stop, target = round(STOP * close, 2), round(TARGET * close, 2)
    return api.Signal(symbol=ctx.symbol, entry_price=close, stop_loss=stop, target_prices=(target,), confidence=0.9)


def by_backtesting(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return entry day, exit day and both prices of each trade; what is open at the end is no trade."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Backtest(frame, Cross, cash=1_000_000, trade_on_close=True, finalize_trades=False).run()
    trades = found["_trades"]
    return [
        (row.EntryTime.date(), row.ExitTime.date(), round(row.EntryPrice, 2), round(row.ExitPrice, 2))
        for row in trades.itertuples()
    ]


def by_replay(symbol: str, frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the same of a replay that fills at the close, without costs."""
    chosen = {
        "replay.fill": "close",
        "simulation.commission": "none",
        "risk.min_reward_risk": 2,
        "learning.mode": "off",
    }
    trades = api.replay({symbol: frame}, on_bar, chosen).trades
    return [
        (t.entry_time.date(), t.exit_time.date(), round(float(t.entry_price), 2), round(float(t.exit_price), 2))
        for t in trades
    ]


if __name__ == "__main__":
    is_same = True
    for name in SYMBOLS:
        bars = pd.read_csv(PACKAGED / f"{name}.csv", index_col="Date", parse_dates=True)
        theirs, ours = by_backtesting(bars), by_replay(name, bars)
        is_same = is_same and theirs == ours
        print(f"{name}: {len(theirs)} trades there, {len(ours)} here, {'SAME' if theirs == ours else 'DIFFERENT'}")
        print(*(f"  only there {each}" for each in theirs if each not in ours), sep="\n", end="")
        print(*(f"  only here  {each}" for each in ours if each not in theirs), sep="\n", end="")
    sys.exit(not is_same)
