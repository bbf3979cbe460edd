"""Signals without a stop, and the rule that gives them one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apex_cli.app.sources import signal_form
from apex_cli.core.model.side import OrderSide
from apex_cli.settings.input_files import DefaultStop, SignalSettings

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("symbol", "entry", "side", "stop"),
    [
        ("AAPL", "229.87", OrderSide.BUY, "229.41"),
        ("EUR.USD", "1.08665", OrderSide.BUY, "1.08448"),
        ("EUR.USD", "1.09", OrderSide.SELL, "1.09218"),
        ("BTC-USD", "0.00012", OrderSide.BUY, "0.00011976"),
        ("no such thing", "50", OrderSide.BUY, "49.90"),
    ],
)
def test_a_default_stop_has_the_decimals_of_its_security(symbol: str, entry: str, side: OrderSide, stop: str) -> None:
    form = signal_form(SignalSettings(default_stop=DefaultStop(pct=Decimal("0.002"))), None)
    assert form.default_stop is not None
    found = form.default_stop(symbol, side, Decimal(entry), NOW)
    assert found is not None
    assert str(found[0]) == stop
