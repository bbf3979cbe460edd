"""Microseconds of the matching engine for one bracket round trip of four bars. Run by hand."""

from __future__ import annotations

import gc
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRole, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
INSTRUMENT = Instrument(symbol="AAPL")


def bracket(name: str, entry_type: OrderType) -> tuple[Order, ...]:
    """Return an entry of 10 with stop 98 and target 104."""
    common = {"bracket_id": name, "instrument": INSTRUMENT, "quantity": Quantity(Decimal(10))}
    exits = {**common, "side": OrderSide.SELL, "parent_id": f"{name}-E", "oca_group": f"{name}-1"}
    return (
        Order(
            client_order_id=f"{name}-E",
            role=OrderRole.ENTRY,
            side=OrderSide.BUY,
            order_type=entry_type,
            limit_price=Price(Decimal(101)),
            **common,
        ),
        Order(
            client_order_id=f"{name}-S1",
            role=OrderRole.STOP,
            order_type=OrderType.STOP,
            stop_price=Price(Decimal(98)),
            time_in_force=TimeInForce.GTC,
            **exits,
        ),
        Order(
            client_order_id=f"{name}-T1",
            role=OrderRole.TARGET,
            order_type=OrderType.LIMIT,
            limit_price=Price(Decimal(104)),
            time_in_force=TimeInForce.GTC,
            **exits,
        ),
    )


def four_bars(index: int) -> list[Bar]:
    """Return a bar for the entry, two quiet ones, and one that reaches the target."""
    rows = (("100", "101", "99"), ("101", "102", "100"), ("102", "103", "101"), ("103", "105", "102"))
    start = START + timedelta(minutes=4 * index)
    return [
        Bar(
            symbol="AAPL",
            start=start + timedelta(minutes=number),
            end=start + timedelta(minutes=number + 1),
            open=Price(Decimal(open_)),
            high=Price(Decimal(high)),
            low=Price(Decimal(low)),
            close=Price(Decimal(open_)),
        )
        for number, (open_, high, low) in enumerate(rows)
    ]


def measure(rounds: int, costs: CostModel, entry_type: OrderType) -> float:
    """Return microseconds a round trip; inputs are built beforehand."""
    engine = MatchingEngine(cash=Usd(Decimal(3000)), costs=costs)
    work = [(bracket(f"b{index}", entry_type), four_bars(index)) for index in range(rounds)]
    gc.collect()
    gc.freeze()  # the prepared orders and bars are not the engine's garbage
    began = time.perf_counter()
    for orders, bars in work:
        engine.submit(orders, bars[0].start)
        for bar in bars:
            engine.on_bar("AAPL", bar)
    taken = time.perf_counter() - began
    gc.unfreeze()
    if len(engine.ledger.fills) != 2 * rounds or engine.ledger.positions:
        raise SystemExit("not every round trip was completed")
    return taken / rounds * 1e6


def main() -> None:
    """Print the best of five runs a setting."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for plan in CommissionPlan:
        for entry_type in (OrderType.MARKET, OrderType.LIMIT):
            best = min(measure(rounds, CostModel(plan=plan), entry_type) for _ in range(5))
            sys.stdout.write(f"{plan:10} {entry_type:8} {best:6.1f} us a round trip\n")


if __name__ == "__main__":
    main()
