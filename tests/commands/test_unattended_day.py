"""A day that nobody watches, in fast motion: cron, a refusal, a cut line, an outage, a hand in TWS, a nightly restart.

``UNATTENDED_STEP_MINUTES=5`` runs every five minutes, as cron would; the suite takes longer steps.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from kit.gateway import GatewayThread

STEP = timedelta(minutes=int(os.environ.get("UNATTENDED_STEP_MINUTES", "60")))
OPEN, CLOSE = datetime(2026, 3, 2, 14, 30, tzinfo=UTC), datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
RESTART = datetime(2026, 3, 3, 4, 50, tzinfo=UTC)
"""23:50 in New York, within the quiet hours."""

NEXT_OPEN = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true}}
risk: {{capital: 20000, max_position_pct: 0.3, max_open_risk_pct: 1, min_reward_risk: 1}}
day_trades: {{regime: "off"}}
learning: {{mode: "off"}}
notify: {{log_file: notices.jsonl}}
broker: {{ib: {{library: {library}, ib_port: {port}, settle_s: 0.2, never_sent_after_s: 0}}}}
"""
PRICES = {"AAPL": "100", "MSFT": "400", "IBM": "50"}
Apex = Callable[..., Any]


class Day:
    """The clock of everybody, and what cron does at each step."""

    def __init__(self) -> None:
        self.time = OPEN

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    made = Day()
    for name in ("now", "wall"):
        monkeypatch.setattr(SystemClock, name, lambda _: made.time)
    return made


@pytest.fixture
def gateway(day: Day, tmp_path: Path) -> Iterator[GatewayThread]:
    made = GatewayThread(prices=PRICES, now=day.now, state=tmp_path / "gateway.json")
    made.start()
    yield made
    made.close()


def signal(symbol: str, at: datetime) -> str:
    price = int(PRICES[symbol])
    row = {
        "signal_id": f"s-{symbol}",
        "symbol": symbol,
        "signal_type": "BUY",
        "entry_price": price,
        "stop_loss": price * 0.98,
        "target_prices": [price * 1.04, price * 1.06],
        "confidence": 0.9,
        "timestamp": at.isoformat(),
        "expires_at": (at + timedelta(minutes=5)).isoformat(),
    }
    return json.dumps(row) + "\n"


def notices(here: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (here / "notices.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("library", ["ib_insync", "ib_async"])
def test_after_a_day_alone_the_books_are_equal_and_everything_was_reported_once(
    here: Path, day: Day, gateway: GatewayThread, apex_json: Apex, library: str
) -> None:
    (here / "config.yaml").write_text(CONFIG.format(library=library, port=gateway.port))

    def cron(until: datetime, *, signals: str = "") -> list[int]:
        """Run at every step up to *until*, the first time with *signals*."""
        statuses = []
        while day.time < until:
            done = apex_json("run", "--once", "--signals", "-", stdin=signals.encode())
            statuses.append(int(done.status))
            signals = ""
            day.time = min(until, day.time + STEP)
        return statuses

    gateway.fault(
        "refuse_later", "placeOrder", order_ref="-S1", seconds=0.05, code=201, text="Order rejected - reason:x"
    )
    assert cron(OPEN + STEP, signals="".join(signal(symbol, OPEN) for symbol in ("AAPL", "MSFT"))) == [0]
    gateway.fault("cut_after", "placeOrder", after=2)
    cron(OPEN + 2 * STEP, signals=signal("IBM", day.time))
    gateway.kill()
    assert set(cron(OPEN + 3 * STEP)) == {5}, "one outage"
    assert set(cron(OPEN + 4 * STEP)) == {5}, "of several runs"
    gateway.start()
    for symbol, price in PRICES.items():
        gateway.set_price(symbol, price)
    cron(OPEN + 5 * STEP)
    gateway.trade_by_hand("AAPL", "SELL", 10)
    gateway.set_price("MSFT", "416")
    cron(CLOSE)
    gateway.end_session()
    day.time = RESTART
    gateway.restart()
    cron(RESTART + STEP)
    day.time = NEXT_OPEN
    cron(NEXT_OPEN + STEP)

    found = notices(here)
    assert max(Counter(notice["event_id"] for notice in found).values()) == 1
    alarms = Counter(notice["payload"].get("code") for notice in found if notice["kind"] == "alarm")
    assert alarms["broker_unavailable"] == 1
    assert alarms["protection_restored"] >= 1
    said = Counter((notice["kind"], notice["subject"], notice["title"], *notice["lines"][:1]) for notice in found)
    assert {what: n for what, n in said.items() if n > 1} == {}

    apex_json("reconcile", "--adopt", "AAPL")
    assert apex_json("reconcile").status == 0
    books = gateway.books()
    rows = {row["symbol"]: row for row in apex_json("positions").data["positions"]}
    assert {symbol: row["quantity"] for symbol, row in rows.items()} == books.positions
    assert all(row["protected_quantity"] == row["quantity"] for row in rows.values())
    assert Counter(row.terms.order_ref for row in books.orders if row.terms.order_ref).most_common(1)[0][1] == 1
