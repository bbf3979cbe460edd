"""How long ``apex close`` takes against a paper venue, beside a bare ib_insync script that does the same.

Both are whole processes: start, connect, find the position, cancel its stop and target, wait until they are gone, sell,
wait until it is filled, leave. Runs are paired, and the medians of both are reported with their ratio, by the clock and
by the time of the processor, which a loaded machine changes less.

    python tests/bench/bench_ib_close.py [PAIRS] [ib_insync | ib_async]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.gateway import GatewayThread

BARE = """
import sys
from LIBRARY import IB, MarketOrder
ib = IB()
ib.RequestTimeout = 15
ib.connect("127.0.0.1", int(sys.argv[1]), clientId=1, timeout=15)
def until(done):
    while not done():
        ib.sleep(0.005)
(position,) = [p for p in ib.positions() if p.contract.symbol == "AAPL"]
exits = [t for t in ib.openTrades() if t.contract.symbol == "AAPL"]
for trade in exits:
    ib.cancelOrder(trade.order)
until(lambda: all(t.orderStatus.status == "Cancelled" for t in exits))
position.contract.exchange = "SMART"
trade = ib.placeOrder(position.contract, MarketOrder("SELL", position.position, tif="DAY", orderRef="bare"))
until(lambda: trade.orderStatus.status == "Filled" and trade.fills)
ib.disconnect()
"""


def apex(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apex_cli", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or '"outcome": "refused"' in done.stdout:
        raise SystemExit(f"apex {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")


def open_position(port: int, library: str) -> Path:
    """Buy with stop and target, and return the folder of the state that knows it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}\n"
        f"broker: {{ib: {{library: {library}, ib_port: {port}, quiet_hours: []}}}}\n"
    )
    signal = {
        "signal_id": "bench",
        "symbol": "AAPL",
        "signal_type": "BUY",
        "entry_price": 100,
        "stop_loss": 98,
        "target_price": 106,
        "confidence": 0.9,
        "timestamp": datetime.now(UTC).isoformat(),  # noqa: TID251 - these processes live by the machine's clock
    }
    (folder / "signals.json").write_text(json.dumps([signal]))
    apex(folder, "run", "--once", "--signals", "signals.json", "--quiet", "--json")
    return folder


class Taken(NamedTuple):
    """Seconds of a process."""

    clock: float
    processor: float


def timed(work: Callable[[], None], gateway: GatewayThread) -> Taken:
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    work()
    clock, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    taken = Taken(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    if gateway.books().positions or gateway.books().open_orders():
        raise SystemExit(
            "something is left at the venue: "
            + str(
                [
                    (r.terms.order_ref[-6:], r.terms.action, str(r.terms.quantity), r.status, str(r.filled))
                    for r in gateway.books().orders
                ]
                + [gateway.books().positions]
            )
        )
    return taken


def by_apex(folder: Path, _port: int, _library: str) -> None:
    apex(folder, "close", "AAPL", "--yes", "--quiet")


def by_script(_folder: Path, port: int, library: str) -> None:
    bare = BARE.replace("LIBRARY", library)
    subprocess.run([sys.executable, "-c", bare, str(port)], check=True, stderr=subprocess.DEVNULL)


def one_close(close: Callable[[Path, int, str], None], library: str) -> Taken:
    """Close the one position of a venue of its own: neither side reads the executions of earlier runs."""
    gateway = GatewayThread(prices={"AAPL": "100"})
    gateway.start()
    folder = open_position(gateway.port, library)
    taken = timed(lambda: close(folder, gateway.port, library), gateway)
    gateway.close()
    return taken


def main(pairs: int, library: str) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp()
    sides = {"apex close": by_apex, f"bare {library}": by_script}
    times: dict[str, list[Taken]] = {name: [] for name in sides}
    for number in range(pairs + 1):
        for name in sorted(sides, reverse=bool(number % 2)):  # each is first as often as the other
            taken = one_close(sides[name], library)
            if number:  # the first pair warms up
                times[name].append(taken)
    for what in Taken._fields:
        columns = {name: [getattr(taken, what) for taken in all_taken] for name, all_taken in times.items()}
        for name, column in columns.items():
            print(f"{what:9} {name:16} {median(column) * 1000:7.0f} ms  (fastest {min(column) * 1000:.0f} ms)")
        ratios = [one / other for one, other in zip(*columns.values(), strict=True)]
        print(f"{what:9} ratio of pairs, median: {median(ratios):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9, sys.argv[2] if len(sys.argv) > 2 else "ib_insync")
