"""Seconds to count the day trades of a year with 200 executions a day, beside sorting them. Run by hand."""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from apex_cli.core.day_trades.count import count_day_trades
from apex_cli.core.market.calendar import next_session
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.side import OrderSide

SESSIONS = 252
A_DAY = 200
SECURITIES = 10
ROUNDS = 5


def a_year() -> list[Execution]:
    """Return a year of executions: purchases and sales by turns in ten securities."""
    rows: list[Execution] = []
    session = date(2025, 1, 2)
    for _ in range(SESSIONS):
        opening = datetime(session.year, session.month, session.day, 15, 0, tzinfo=UTC)
        rows += [
            Execution(
                exec_id=f"{session:%y%m%d}.{number:04}.01",
                security=f"S{number % SECURITIES}",
                side=OrderSide.SELL if number // SECURITIES % 2 else OrderSide.BUY,
                quantity=Quantity(Decimal(number % 7 + 1)),
                filled_at=opening + timedelta(minutes=number),
            )
            for number in range(A_DAY)
        ]
        session = next_session(session)
    return rows


def main() -> None:
    """Print both times and their ratio."""
    rows = a_year()
    counted, sorted_in = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = count_day_trades(rows, {})
        counted.append(time.perf_counter() - start)
        start = time.perf_counter()
        sorted(rows, key=lambda row: (row.filled_at, row.key))
        sorted_in.append(time.perf_counter() - start)
    seconds, sorting = statistics.median(counted), statistics.median(sorted_in)
    print(f"{len(rows)} executions, {sum(found.by_session.values())} day trades: {seconds:.3f} s")
    print(f"sorting them alone: {sorting:.3f} s; counting costs {seconds / sorting:.1f} times that")
    print(f"pandas imported: {'pandas' in sys.modules}")


if __name__ == "__main__":
    main()
