"""Scanners at a real account: bars are asked for over TCP, a pattern is found, and it is traded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.market.calendar import previous_sessions, session_bounds, session_date
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from kit.gateway import GatewayThread

COUNT = 130


def breakout_bars(symbol: str, now: datetime) -> tuple[Bar, ...]:
    """Return daily bars up to the last close before *now*: quiet ones, then a close above them all on high volume."""
    days = (*previous_sessions(session_date(now), COUNT), session_date(now))
    bounds = [found for day in days if (found := session_bounds(day)) is not None and found[1] <= now]
    return tuple(
        _bar(symbol, start, end, is_last=(start, end) == bounds[-1], number=number)
        for number, (start, end) in enumerate(bounds)
    )


def _bar(symbol: str, start: datetime, end: datetime, *, is_last: bool, number: int) -> Bar:
    middle = Decimal(99) + Decimal(number % 5) / 10
    prices = (middle, middle + 1, middle - 1, Decimal(102) if is_last else middle)
    first, high, low, last = (Price(price) for price in (prices[0], max(prices), min(prices), prices[3]))
    volume = Decimal(3_000_000 if is_last else 1_000_000)
    return Bar(symbol=symbol, start=start, end=end, open=first, high=high, low=low, close=last, volume=volume)


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    now = datetime.now(UTC)  # noqa: TID251 - these processes live by the machine's clock
    made = GatewayThread(prices={"AAPL": "102"}, bars={"AAPL": breakout_bars("AAPL", now - timedelta(minutes=1))})
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_scanner_finds_and_trades_what_the_broker_has_bars_of(
    here: Path, apex_json: Callable[..., Any], gateway: GatewayThread, dry_run: bool
) -> None:
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}\n"
        "scanners: {watch_list: [AAPL, NOPE], target_atr: 6}\n"
        "pipeline: {stages: [technical]}\n"
        "technical: {min_composite: 0, min_trend: 0}\n"
        f"broker:\n  ib: {{ib_port: {gateway.port}, quiet_hours: []}}\n"
    )
    run = apex_json("run", "--dry-run" if dry_run else "--once")
    (signal,) = run.data["signals"]
    assert (signal["symbol"], signal["outcome"]) == ("AAPL", "executed")
    assert signal["signal_id"].startswith("momentum_breakout-AAPL-")
    assert bool(gateway.books().orders) is not dry_run
    reported = [warning["message"] for warning in run.envelope["warnings"] if "NOPE" in warning["message"]]
    assert len(reported) == 1
    assert "asked for again" in reported[0]
