"""What one durable commit costs, whatever lies behind it: ``python tests/bench/bench_store.py``.

Each round does some of every kind, so that all see the same machine; medians are compared.
The yardsticks of the same run: one line appended and synced, and one row in SQLite (WAL,
``synchronous=FULL``). The usual state holds 10 positions, 30 orders, 100 round trips, 60 fills,
200 signals and 20 approvals; the large one 470 fills.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec

from apex_cli.core.adapters.process_locks import ProcessLock
from apex_cli.core.adapters.state.journal import encode_event
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.redaction import Redactor
from apex_cli.core.state.events.position_events import RoundTripClosed
from apex_cli.core.state.tables import State
from kit import START, FixedClock
from kit.rig import Rig, make_signal, manual

ROUNDS = 300
IN_A_ROW = 20
HISTORY = 100_000
HOT_ROUND_TRIPS = 100
LARGE = 470
"""Fills that make a state of 300 kB."""

AAPL = make_instrument("AAPL")


def a_round_trip(number: int) -> RoundTrip:
    return RoundTrip(
        round_trip_id=f"0000e0d5.{number:08d}.01",
        bracket_id=f"{number:026d}",
        signal_id=f"signal-{number:012d}",
        strategy="breakout",
        instrument=AAPL,
        side=PositionSide.LONG,
        quantity=Quantity(Decimal(13)),
        entry_price=Price(Decimal("189.37")),
        exit_price=Price(Decimal("193.02")),
        entry_time=START,
        exit_time=START + timedelta(minutes=number % 300),
        pnl=Usd(Decimal("47.45")),
        pnl_pct=Decimal("1.927443629"),
        commission=Usd(Decimal("2.00")),
        initial_risk=Usd(Decimal("29.90")),
        exit_reason="target",
    )


def a_fill(number: int) -> Fill:
    return Fill(
        exec_id=f"0000e0d5.{number:08d}.01",
        client_order_id=f"apex-{number:026d}-E",
        bracket_id=f"{number:026d}",
        role=OrderRole.ENTRY,
        instrument=AAPL,
        side=OrderSide.BUY,
        quantity=Quantity(Decimal(13)),
        price=Price(Decimal("189.37")),
        commission=Usd(Decimal("1.00")),
        filled_at=START,
    )


def write_history(store: TinyDbStore, events: int) -> None:
    """Fill the journal as that many round trips would have, without a sync for each."""
    folder = store.state_dir / "journal"
    folder.mkdir(parents=True)
    with (folder / f"{START:%Y-%m}.jsonl").open("wb") as file:
        for seq in range(1, events + 1):
            data = msgspec.Raw(msgspec.json.encode(a_round_trip(seq)))
            row = OutboxRow(seq=seq, at=START, kind="round_trip_closed", subject="AAPL", data=data)
            file.write(encode_event(row) + b"\n")
        os.fsync(file.fileno())


def a_usual_day() -> State:
    """Return a played state that has a row of every kind."""
    rig = Rig(limits=manual())
    rig.feed(make_signal("AAPL", now=START), make_signal("MSFT", now=START))
    rig.run(rig.desk.approve(rig.desk.pending()[0]))
    return rig.state


USUAL = {"positions": 10, "orders": 30, "brackets": 30, "signals": 200, "approvals": 20}
"""Rows by table, beside the round trips and the fills."""


def fill_tables(state: State) -> None:
    for table in a_usual_day().tables():
        target = next(each for each in state.tables() if each.name == table.name)
        rows = list(table.values())
        for number in range(USUAL.get(table.name, 0)):
            target[f"{number:026d}"] = rows[number % len(rows)]


def make_store(folder: Path, *, hot_fills: int, history: int = 0, commit_every: int = 1) -> TinyDbStore:
    store = TinyDbStore(folder, clock=FixedClock(), commit_every=commit_every)
    with store.transaction() as state:
        state.last_seq = history
        fill_tables(state)
        for number in range(hot_fills):
            state.fills[str(number)] = a_fill(number)
        for number in range(HOT_ROUND_TRIPS):
            state.round_trips[str(number)] = a_round_trip(number)
    store.flush()
    if history:
        write_history(store, history)
    return store


def closing(store: TinyDbStore, *, has_event: bool) -> Callable[[], None]:
    """One round trip in, the oldest out, and perhaps its event: what a close costs."""
    number = HOT_ROUND_TRIPS

    def close() -> None:
        nonlocal number
        row = a_round_trip(number)
        with store.transaction() as state:
            state.round_trips[str(number)] = row
            del state.round_trips[str(number - HOT_ROUND_TRIPS)]
            if has_event:
                state.emit(RoundTripClosed(at=START, subject="AAPL", data=row))
        number += 1

    return close


def appending(path: Path) -> Callable[[], None]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append() -> None:
        os.write(descriptor, msgspec.json.encode(a_round_trip(1)) + b"\n")
        os.fsync(descriptor)

    return append


def inserting(path: Path) -> Callable[[], None]:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE round_trips (id INTEGER PRIMARY KEY, row BLOB)")

    def insert() -> None:
        database.execute("INSERT INTO round_trips (row) VALUES (?)", (msgspec.json.encode(a_round_trip(1)),))

    return insert


def measure(actions: dict[str, Callable[[], None]]) -> dict[str, tuple[float, float]]:
    """Return median wall and CPU milliseconds of each action.

    Some in a row, as they come, after everything before is on the disk: nobody waits for what another left to write.
    """
    wall: dict[str, list[float]] = {name: [] for name in actions}
    cpu: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS // IN_A_ROW):
        for name, action in actions.items():
            os.sync()
            for _ in range(IN_A_ROW):
                cpu_start, start = time.thread_time(), time.perf_counter()
                action()
                wall[name].append((time.perf_counter() - start) * 1e3)
                cpu[name].append((time.thread_time() - cpu_start) * 1e3)
    return {name: (statistics.median(wall[name]), statistics.median(cpu[name])) for name in actions}


def per_call(action: Callable[[], object], times: int) -> float:
    """Return mean milliseconds of *times* calls in a row."""
    start = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - start) * 1e3 / times


def report(results: dict[str, tuple[float, float]]) -> None:
    append, sqlite = results["append + fsync"][0], results["SQLite WAL FULL"][0]
    print(f"\n{'median of ' + str(ROUNDS):<52} {'wall ms':>8} {'CPU ms':>8} {'/ append':>9} {'/ SQLite':>9}")
    for name, (wall, cpu) in results.items():
        print(f"{name:<52} {wall:>8.3f} {cpu:>8.3f} {wall / append:>9.1f} {wall / sqlite:>9.1f}")


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as temporary:
        folder = Path(temporary)
        actions = {
            "append + fsync": appending(folder / "line.jsonl"),
            "SQLite WAL FULL": inserting(folder / "rows.sqlite"),
        }
        cases = ((60, 0), (60, HISTORY), (LARGE, 0), (LARGE, HISTORY))
        for has_event in (False, True):
            for hot_fills, history in cases:
                store = make_store(folder / f"{has_event}-{hot_fills}-{history}", hot_fills=hot_fills, history=history)
                size = f"{store.path.stat().st_size / 1e3:.0f} kB hot, {history:,} behind"
                actions[f"commit{' + event' * has_event}, {size}"] = closing(store, has_event=has_event)
        report(measure(actions))
        batch = make_store(folder / "batch", hot_fills=LARGE, commit_every=100)
        print(f"\none commit per 100 transactions: {per_call(closing(batch, has_event=True), 3000):.3f} ms each")
        batch.close()
        fresh = per_call(lambda: TinyDbStore(store.state_dir, clock=FixedClock()).view(), 100)
        print(f"opening {size}: {fresh:.2f} ms; looking again: {per_call(store.view, 2000):.4f} ms")
        scan = per_call(lambda: list(store.journal.events(subject="nobody")), 1)
        print(f"looking through {HISTORY:,} events for one subject: {scan:.0f} ms")
        report_small_costs(folder, store)


def report_small_costs(folder: Path, store: TinyDbStore) -> None:
    """Print what a lock and a look for secrets cost, in microseconds."""
    lock = ProcessLock(folder / "lock")

    def take_and_drop() -> None:
        lock.take(0)
        lock.drop()

    print(f"taking and dropping a lock: {per_call(take_and_drop, 3000) * 1e3:.1f} us")
    redactor = Redactor(("correct horse battery", "a-long-api-token"))
    line = encode_event(next(store.journal.events()))
    print(f"looking for secrets in {len(line)} bytes: {per_call(lambda: redactor.lines(line), 20_000) * 1e3:.2f} us")


if __name__ == "__main__":
    main()
