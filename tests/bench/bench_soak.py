"""A simulated week, minute by minute, in one process: memory, state and journal after each session.

Run by hand: ``python tests/bench/bench_soak.py [SESSIONS]``. Every cycle of the loop moves the prices of some of 40
securities; a signal comes every two minutes, positions end at their stops and targets, and some are closed by hand.
The state keeps ten sessions of fills and signals; from then on the last column, what each session adds to the memory,
must stay at nothing.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from msgspec.structs import replace

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.market.calendar import next_session, session_bounds, session_date
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import Usd
from kit import FixedClock
from kit.rig import ROOMY, Rig, auto, make_signal

SYMBOLS = [f"{a}{b}X" for a in "ABCDEFGH" for b in "ABCDE"]
MINUTE = timedelta(minutes=1)
SIGNAL_EVERY, CLOSE_EVERY = 2, 7
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Return the memory that this process holds, in MB, after a look for what nobody needs."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


def play_session(rig: Rig, dice: random.Random, number: int) -> int:
    """Play one session and return how many signals came."""
    bounds = session_bounds(session_date(rig.clock.now()))
    assert bounds is not None
    prices = dict.fromkeys(SYMBOLS, 50.0)
    signals = 0
    rig.clock.advance(seconds=(bounds[0] - rig.clock.now()).total_seconds())
    while rig.clock.now() < bounds[1]:
        for symbol in dice.sample(SYMBOLS, 8):
            prices[symbol] *= 1 + dice.gauss(0, 0.004)
            rig.price(f"{prices[symbol]:.2f}", symbol)
        if signals * SIGNAL_EVERY * 60 < (rig.clock.now() - bounds[0]).total_seconds():
            signals += 1
            symbol = dice.choice(SYMBOLS)
            price = prices[symbol]
            levels = {"entry": price, "stop": price * 0.98}
            rig.feed(
                make_signal(
                    symbol,
                    now=rig.clock.now(),
                    signal_id=f"{number}-{signals}",
                    targets=(f"{price * 1.05:.2f}",),
                    **{name: f"{level:.2f}" for name, level in levels.items()},
                )
            )
        else:
            rig.cycle()
        if rig.state.positions and not dice.randrange(CLOSE_EVERY):
            rig.close(dice.choice(sorted(rig.state.positions)))
        rig.clock.advance(minutes=1)
    return signals


def main(sessions: int) -> None:
    """Play *sessions* and print a line for each."""
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as temporary:
        folder = Path(temporary)
        clock = FixedClock()
        store = TinyDbStore(folder / "state", clock=clock)
        limits = auto(
            replace(ROOMY, max_daily_loss_pct=Decimal(1), max_drawdown_pct=Decimal(1), max_orders_per_day=10_000),
            day_trades=DayTradeLimits(regime=DayTradeRegime.OFF),
        )
        rig = Rig(
            store=store, clock=clock, limits=limits, path=folder / "state" / "books.json", cash=Usd(Decimal(10**6))
        )
        print("session       signals  trips  seconds  state kB  journal kB   RSS MB  added")
        before = 0.0
        for number in range(sessions):
            start = time.perf_counter()
            signals = play_session(rig, dice, number)
            rig.coordinator.reports.clear()  # a loop hands them to its log
            rig.source.settled.clear()
            now = resident()
            journal = sum(path.stat().st_size for path in store.journal.files())
            day = session_date(clock.now())
            print(
                f"{day!s:<12} {signals:>8} {len(rig.state.round_trips):>6} {time.perf_counter() - start:>8.1f} "
                f"{store.path.stat().st_size / 1e3:>9.0f} {journal / 1e3:>11.0f} {now:>8.1f} {now - before:>6.1f}"
            )
            before = now
            opens = session_bounds(next_session(day))
            assert opens is not None
            clock.advance(seconds=(opens[0] - clock.now()).total_seconds())


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
