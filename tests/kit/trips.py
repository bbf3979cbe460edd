"""Closed trades for tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from kit import START

HOUR = timedelta(hours=1)


def a_trip(name: str = "t1", symbol: str = "AAPL", pnl: str = "-30", at: datetime = START, **changes: Any) -> RoundTrip:
    """Return a trade that a stop closed, with 30 USD at risk."""
    values: dict[str, Any] = {
        "round_trip_id": name,
        "strategy": "breakout",
        "instrument": make_instrument(symbol),
        "side": PositionSide.LONG,
        "quantity": Quantity(Decimal(15)),
        "entry_price": Price(Decimal(50)),
        "exit_price": Price(Decimal(48)),
        "entry_time": at - HOUR,
        "exit_time": at,
        "pnl": Usd(Decimal(pnl)),
        "pnl_pct": Decimal(-4),
        "commission": Usd(Decimal(0)),
        "initial_risk": Usd(Decimal(30)),
        "exit_reason": "stop",
    }
    return RoundTrip(**{**values, **changes})
