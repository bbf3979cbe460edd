"""Trades of one strategy by replay, by a run and by a program, compared trade by trade over many configurations.

By hand, from the top folder: ``python tests/bench/compare_doors.py [CASE ...]``. Each case makes random bars and a
strategy that throws dice, and prints SAME, or what is different.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

from apex_cli import api
from apex_cli.core.market.calendar import next_session, session_bounds

STRATEGY = """
import random

from apex_cli.api import Context, Signal


def on_bar(ctx: Context) -> Signal | None:
    given = ctx.parameters
    if len(ctx.bars) < 10 or (ctx.position and given.get("single", 1)):
        return None
    dice = random.Random(f"{ctx.symbol} {ctx.now}")
    if dice.random() > given.get("rate", 0.4):
        return None
    close, sign = ctx.close[-1], -1 if dice.random() < given.get("shorts", 0) else 1
    risk = float((ctx.high[-9:] - ctx.low[-9:]).mean()) * dice.choice([0.7, 1.5, 3])
    return Signal(
        symbol=ctx.symbol,
        signal_type="SHORT" if sign < 0 else "BUY",
        entry_price=close,
        stop_loss=close - sign * risk,
        target_prices=tuple(close + sign * risk * far for far in dice.choice([(2.5,), (2.2, 4.0), (3.0,)])),
        confidence=0.66 + dice.random() * 0.3,
    )
"""
CONFIG = """
execution: {{auto_execute: true{execution}}}
prices: {{bars_dir: bars}}
replay: {{fill: close}}
simulation: {{clock: bars, step_s: 0, buying_power_multiple: 4{simulation}}}
day_trades: {{regime: "off"}}
risk: {{capital: {capital}, max_daily_loss_pct: 0.5, max_drawdown_pct: 0.9}}
scanners:
  watch_list: [AAA, BBB, CCC]
  strategies: [dice:on_bar]
  parameters: {parameters}
  mean_reversion: {{enabled: false}}
  volume_reversal: {{enabled: false}}
  momentum_breakout: {{enabled: false}}
  trend_following: {{enabled: false}}
{more}
"""


class Case(NamedTuple):
    """One configuration."""

    parameters: str = "{}"
    more: str = ""
    execution: str = ""
    simulation: str = ""
    capital: int = 30_000
    minutes: int = 0
    """Length of a bar; 0: daily ones."""


CASES = {
    "plain": Case(),
    "shorts": Case("{shorts: 0.5}"),
    "pyramid": Case("{single: 0, rate: 0.3}"),
    "managed": Case("{shorts: 0.3}", "management: {breakeven_at_r: 1, trailing: {activate_at_r: 1, distance_r: 0.7}}"),
    "holding": Case(more="management: {max_holding: {sessions: 3}}"),
    "scaled": Case(more="management: {scale_out: {targets_r: [1, 2], fractions: [0.3, 0.3]}}"),
    "limit": Case(execution=", entry_order: limit"),
    "volume": Case(simulation=", max_participation: 0.001", capital=3_000_000),
    "intraday": Case("{rate: 0.05}", minutes=30),
    "flat": Case("{rate: 0.05}", "management: {flat_at_close: 30}", minutes=30),
    "locks": Case("{rate: 0.3}", "protections: {cooldown: {after_stop: 2 sessions}}"),
}
SESSIONS, FEW_SESSIONS = 45, 8


def write_bars(folder: Path, case: Case) -> int:
    """Write random walks and return how many moments there are."""
    count = 0
    for number, symbol in enumerate(("AAA", "BBB", "CCC")):
        dice, price, day = Random(number), 50.0, date(2024, 1, 2)
        rows = ["Date,Open,High,Low,Close,Volume"]
        for _ in range(FEW_SESSIONS if case.minutes else SESSIONS):
            for at in _moments(day, case.minutes):
                opening = price * (1 + dice.gauss(0, 0.004))
                price = opening * (1 + dice.gauss(0.0005, 0.012))
                high = max(opening, price) * (1 + abs(dice.gauss(0, 0.006)))
                low = min(opening, price) * (1 - abs(dice.gauss(0, 0.006)))
                rows.append(f"{at},{opening:.2f},{high:.2f},{low:.2f},{price:.2f},{dice.randint(50_000, 2_000_000)}")
            day = next_session(day)
        (folder / f"{symbol}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        count = len(rows) - 1
    return count


def _moments(day: date, minutes: int) -> Iterator[str]:
    bounds = session_bounds(day)
    assert bounds is not None
    if not minutes:
        yield day.isoformat()
        return
    start = bounds[0]
    while start < bounds[1]:
        yield start.isoformat()
        start += timedelta(minutes=minutes)


def compare(name: str, folder: Path) -> bool:
    """Trade by every door and print how they agree."""
    case = CASES[name]
    (folder / "bars").mkdir()
    (folder / "dice.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "config.yaml").write_text(CONFIG.format(**case._asdict()), encoding="utf-8")
    moments = write_bars(folder / "bars", case)
    with contextlib.chdir(folder):
        dice = _imported(folder)
        replayed = api.replay("bars", dice.on_bar, "config.yaml")
        run = [sys.executable, "-m", "apex_cli", "run", "--max-cycles", str(moments), "--json"]
        done = subprocess.run(run, capture_output=True, text=True, check=False, env={**os.environ})
        executed = json.loads(done.stdout.splitlines()[-1])["data"]["summary"]["outcomes"]["executed"]
        by_run = api.Apex("config.yaml")
        by_program = api.Apex("config.yaml", changes={"state.dir": str(folder / "other")})
        while True:
            by_program.submit_all(by_program.propose(dice.on_bar))
            if by_program.advance() is None:
                break
        found = {
            "replay": (_sorted(replayed.trades), replayed.end_equity, replayed.outcomes["executed"]),
            "run": (_sorted(by_run.trades()), by_run.account().equity, executed),
            "program": (_sorted(by_program.trades()), by_program.account().equity, replayed.outcomes["executed"]),
        }
    is_same = len({repr(each) for each in found.values()}) == 1
    print(f"{name:10} {'SAME' if is_same else 'DIFFERENT'}, {len(replayed.trades)} trades, {replayed.end_equity}")
    if not is_same:
        for door, (trades, equity, count) in found.items():
            print(f"  {door}: {len(trades)} trades, {equity}, {count} executed")
            print(*(f"    {each}" for each in trades if each not in found["replay"][0]), sep="\n")
    return is_same


def _imported(folder: Path) -> ModuleType:
    sys.modules.pop("dice", None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("dice")
    finally:
        sys.path.remove(str(folder))


def _sorted(trades: api.Records[api.Trade]) -> list[Any]:
    return sorted(trades, key=str)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        results = []
        for case_name in sys.argv[1:] or CASES:
            own = Path(place, case_name)
            own.mkdir()
            results.append(compare(case_name, own))
    sys.exit(not all(results))
