"""Bracket round trips through coordinator, decision core, venue and store, beside backtesting.py.

Run by hand: ``python tests/bench/bench_round_trips.py [TRIPS]`` (needs the extra ``bench``).

Each trip: a signal, the decision with every check, a bracket of three orders on disk as intents, the
entry filled at a bar's close, four more bars, the last of which hits stop or target. The store commits
once per 100 changes. backtesting.py makes the same entries and exits on the same bars. Both run in
turn, five times; the medians and their ratio are printed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from apex_cli.app.compose import make_execution
from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.coordinator.coordinator import Coordinator
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.market.calendar import next_session, session_bounds, session_date
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import Instrument, make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.records import SignalReport
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.ports import SignalBatch
from kit import SequentialIds
from kit.simple_ranker import SimpleRanker

BARS_A_TRIP = 4
ENTRY, STOP, TARGET = Decimal("50.00"), Decimal("49.00"), Decimal("53.00")
RUNS = 5
HALF_HOUR = timedelta(minutes=30)


def make_bars(trips: int) -> list[Bar]:
    """Return one bar to enter at, then four a trip: three quiet ones and one that hits stop or target."""
    bars: list[Bar] = []
    moments = half_hours()
    for number in range(trips * BARS_A_TRIP + 1):
        start = next(moments)
        trip, place = divmod(number - 1, BARS_A_TRIP)
        low, high = Decimal("49.90"), Decimal("50.10")
        if number and place == BARS_A_TRIP - 1:
            low, high = (Decimal("48.50"), high) if trip % 2 else (low, Decimal("53.50"))
        bars.append(
            Bar(
                symbol="ACME",
                start=start,
                end=start + HALF_HOUR,
                open=Price(ENTRY),
                high=Price(high),
                low=Price(low),
                close=Price(ENTRY),
                volume=Decimal(100_000),
            )
        )
    return bars


def half_hours() -> Iterator[datetime]:
    """Yield every half hour of the NYSE sessions from 2014 on: three trips a day, as a retail trader makes them."""
    day = date(2014, 1, 2)
    while True:
        bounds = session_bounds(day)
        assert bounds is not None
        moment = bounds[0]
        while moment < bounds[1]:
            yield moment
            moment += HALF_HOUR
        day = next_session(day)


class Tape:
    """The bars as ``BarSource`` and ``PriceSource``."""

    def __init__(self, bars: list[Bar]) -> None:
        self.all = bars
        self.last = bars[0]

    def symbols(self) -> Sequence[str]:
        return ("ACME",)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        return [bar for bar in self.all if (after is None or bar.end > after) and (until is None or bar.end <= until)]

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        pass

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        return Quote(price=self.last.close, at=self.last.end - timedelta(seconds=1), source="bars")


class Strategy:
    """A signal at the close of every fourth bar, as a ``SignalSource``."""

    def __init__(self, bars: list[Bar]) -> None:
        self.due = [bar.end - timedelta(seconds=1) for bar in bars[::BARS_A_TRIP]][:-1]
        self.number = 0
        self.instrument = make_instrument("ACME")

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        if self.number < len(self.due) and now >= self.due[self.number]:
            self.number += 1
            signal = Signal(
                signal_id=f"bench-{self.number}",
                instrument=self.instrument,
                signal_type=SignalType.BUY,
                entry_price=Price(ENTRY),
                stop_loss=Price(STOP),
                target_prices=(Price(TARGET),),
                confidence=Decimal("0.8"),
                strategy="bench",
                created_at=now,
                expires_at=now + timedelta(minutes=5),
            )
            yield SignalBatch(name="bench", signals=(signal,), where=("bench",))

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        pass


def run_apex(bars: list[Bar], folder: Path) -> tuple[float, int, Decimal]:
    """Return seconds, closed round trips and their P&L."""
    limits = Limits(
        execution=ExecutionLimits(auto_execute=True),
        risk=RiskLimits(capital=Usd(Decimal(100_000)), max_orders_per_day=1000),
    )
    clock = BarClock(bars[0].end)
    tape = Tape(bars)
    broker = SimulatedBroker(
        clock=clock, bars=tape, cash=limits.risk.capital, session_of=lambda at: session_date(at).isoformat()
    )
    store = TinyDbStore(folder, clock=SystemClock(), commit_every=100)  # as apex opens it
    ids = SequentialIds()
    execution = make_execution(store=store, broker=broker, clock=clock, ids=ids, limits=limits)
    trips: list[Decimal] = []
    execution.orders.listen(lambda booked: trips.extend(trip.pnl for trip in booked.round_trips))
    gatherer = Gatherer(
        broker=broker, clock=clock, prices=tape, limits=limits, day_trades=DayTradeCounter(limits.day_trades)
    )
    steps = broker.steps(bars[-1].end)

    def play() -> Iterator[datetime]:
        for moment in steps:
            yield moment
            return

    coordinator = Coordinator(
        store=store,
        clock=clock,
        ids=ids,
        limits=limits,
        orders=execution.orders,
        executor=execution.executor,
        gatherer=gatherer,
        make_ranker=lambda: SimpleRanker(limits.risk),
        sources=[Strategy(bars)],
        play_market=play,
    )
    begin = time.perf_counter()
    asyncio.run(coordinator.run(stop=asyncio.Event(), max_cycles=len(bars), interval_s=0))
    store.close()
    seconds = time.perf_counter() - begin
    return seconds, len(trips), sum(trips, Decimal(0))


def run_backtesting(bars: list[Bar]) -> tuple[float, int, float]:
    """Return seconds, closed trades and their P&L of the same trips in backtesting.py."""
    import pandas as pd
    from backtesting import Backtest
    from backtesting import Strategy as BacktestStrategy

    frame = pd.DataFrame(
        {
            "Open": [float(b.open) for b in bars],
            "High": [float(b.high) for b in bars],
            "Low": [float(b.low) for b in bars],
            "Close": [float(b.close) for b in bars],
            "Volume": [float(b.volume) for b in bars],
        },
        index=pd.DatetimeIndex([b.end for b in bars]),
    )

    class Same(BacktestStrategy):  # type: ignore[misc]
        def init(self) -> None:
            self.number = 0

        def next(self) -> None:
            # The first call is for the second bar; an order fills at the next bar's open, which is the same price.
            if len(self.data) % BARS_A_TRIP == 1:
                self.buy(size=100, sl=float(STOP), tp=float(TARGET))

    test = Backtest(frame, Same, cash=100_000, commission=0, finalize_trades=True)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = test.run()
    seconds = time.perf_counter() - begin
    return seconds, int(result["# Trades"]), float(result["_trades"]["PnL"].sum())


def main() -> None:
    """Print the medians, and their ratio."""
    trips = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    bars = make_bars(trips)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            seconds, closed, pnl = run_apex(bars, Path(folder) / "state")
        ours.append(seconds / trips * 1e6)
        try:
            seconds, their_closed, their_pnl = run_backtesting(bars)
        except ImportError:
            print(f"apex {ours[-1]:.1f} us a trip; {closed} closed, P&L {pnl}")
            continue
        theirs.append(seconds / trips * 1e6)
        print(f"apex {ours[-1]:.1f} us, {closed} closed, P&L {pnl}; ", end="")
        print(f"backtesting.py {theirs[-1]:.1f} us, {their_closed} closed, P&L {their_pnl:.0f}")
    if theirs:
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(f"median: apex {mine:.1f} us a trip, backtesting.py {other:.1f} us a trip, ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
