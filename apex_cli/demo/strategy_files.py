"""A strategy to start from, with its test."""

from __future__ import annotations

STRATEGY = '''"""Buys a close above the highest close of the twenty bars before."""

from decimal import Decimal

from apex_cli.api import Context, Signal

LOOKBACK = 20
"""Bars that a close must beat."""


def on_bar(ctx: Context) -> Signal | None:
    """Called at the end of each bar of each symbol: return a signal, or None for nothing."""
    bars = ctx.bars[-LOOKBACK - 1 :]
    if len(bars) <= LOOKBACK or ctx.position is not None:
        return None
    *before, last = bars
    if last.close <= max(bar.close for bar in before):
        return None
    risk = 2 * sum((bar.high - bar.low for bar in before), Decimal(0)) / LOOKBACK
    return Signal(
        symbol=ctx.symbol,
        entry_price=last.close,
        stop_loss=last.close - risk,
        target_prices=(last.close + 3 * risk,),
        confidence=0.8,
    )
'''

TEST = '''"""Tests of the strategy @NAME@: pytest test_@NAME@.py"""

from datetime import date, timedelta

from apex_cli import api

import @NAME@


def bars(closes):
    """Return one bar a weekday, each with a range of two."""
    weekdays = (day for n in range(10_000) if (day := date(2024, 1, 2) + timedelta(n)).weekday() < 5)
    return [
        {"symbol": "TEST", "date": day, "open": close, "high": close + 1, "low": close - 1, "close": close}
        for day, close in zip(weekdays, closes)
    ]


def replay(closes):
    return api.replay(bars(closes), @NAME@.on_bar, on_error="raise")


def test_it_buys_a_breakout_and_takes_its_profit():
    (trade,) = replay([50] * 30 + [52, 55, 60, 66, 70]).trades
    assert trade.side == "long"
    assert trade.exit_reason == "target"
    assert trade.pnl > 0


def test_a_breakout_that_fails_ends_at_its_stop():
    (trade,) = replay([50] * 30 + [52, 52, 49, 45, 40]).trades
    assert trade.exit_reason == "stop"
    assert trade.pnl < 0


def test_without_a_breakout_it_does_nothing():
    assert replay([50] * 40).signals == 0
'''

NAME = "@NAME@"


def strategy_files(name: str) -> dict[str, str]:
    """Return the text of the strategy *name* and of its test, by the name of the file."""
    return {f"{name}.py": STRATEGY, f"test_{name}.py": TEST.replace(NAME, name)}
