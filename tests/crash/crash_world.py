"""A small market in a folder: prices, a configuration and signals, all drawn from one seed."""

from __future__ import annotations

import json
from copy import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from child import TOGETHER

from apex_cli.core.adapters.simulated.book_file import BookFile, SimulatedBook
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock

NEW_YORK = ZoneInfo("America/New_York")
SYMBOLS = {"AAA": 20.0, "BBB": 47.0, "CCC": 95.0, "DDD": 8.0, "EEE": 33.0}
"""First price by symbol."""

BAR_STARTS = (time(9, 30), time(11, 40), time(13, 50))
"""Three bars a session of 130 minutes each."""

SESSIONS = tuple(date(2004, 3, day) for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12))

INVALID_EVERY = 2
"""Every second file has a row that is no signal, among others."""

REPRICES = ("{}", "{after_s: 60, step_pct: 0.004, max_times: 4, max_pct: 0.02}")
PLANS = (
    "{}",
    "{trailing: {activate_at_r: 0.4, distance_r: 0.5}}",
    "{breakeven_at_r: 0.5, breakeven_after_target: 1, max_holding: {sessions: 2}}",
    "{trailing: {activate_at_r: 0.3, distance_pct: 0.02}, scale_out: {targets_r: [0.5, 1.2], fractions: [0.4, 0.3]}}",
)

CONFIG = """\
execution:
  simulation_mode: true
  auto_execute: {auto}
  auto_min_score: {auto_min_score}
  entry_order: {entry_order}
  reprice: {reprice}
management: {management}
risk:
  capital: 20000
  max_risk_pct: 0.02
  max_position_pct: 0.05
  min_reward_risk: 0.3
  min_confidence: 0.5
  max_drawdown_pct: 1
  max_daily_loss_pct: 1
  max_open_risk_pct: 1
  max_price_deviation_pct: 0.05
approval:
  expiry_minutes: 1500
  max_price_drift_pct: 0.2
day_trades:
  regime: "off"
signals:
  inbox: inbox
prices:
  bars_dir: bars
simulation:
  clock: bars
  start: {start}
  slippage_pct: {slippage}
  commission: {commission}
  max_participation: {participation}
  buying_power_multiple: 4
state:
  dir: state
  backups: {backups}
"""


class World:
    """One folder in which apex trades."""

    def __init__(self, folder: Path, random: Random) -> None:
        """Write bars and configuration into *folder*."""
        self.folder = folder
        self.random = random
        self.written = 0
        """Signals written so far."""

        self.files = 0
        """Files written so far: one that holds no signal must not take the place of one that was not read yet."""

        self.invalid: list[str] = []
        """Ids of rows that are no signals."""

        self.inbox.mkdir(parents=True)
        (folder / "bars").mkdir()
        for symbol, price in SYMBOLS.items():
            (folder / "bars" / f"{symbol}.csv").write_text(self._bars(price))
        (folder / "config.yaml").write_text(self._config())
        self.is_together = random.choice((True, False))
        """Whether also a few requests are written down together."""

        if self.is_together:
            (folder / TOGETHER).touch()

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def moved_to(self, folder: Path) -> World:
        """Return this world as it stands, copied, in *folder*."""
        twin = copy(self)
        twin.folder = folder
        return twin

    def _config(self) -> str:
        choice = self.random.choice
        return CONFIG.format(
            auto=choice(("true", "true", "true", "false")),
            auto_min_score=choice(("0", "0.45", "0.55")),
            entry_order=choice(("market", "limit", "limit")),
            reprice=choice(REPRICES),
            management=choice(PLANS),
            start=SESSIONS[0],
            slippage=choice(("0", "0.001")),
            commission=choice(("none", "ib_fixed", "ib_tiered")),
            participation=choice(("null", "0.2", "0.5")),
            backups=choice((0, 2, 10)),
        )

    def _bars(self, price: float) -> str:
        lines = ["Datetime,Open,High,Low,Close,Volume"]
        for day in SESSIONS:
            for start in BAR_STARTS:
                opening = price * (1 + self.random.gauss(0, 0.012))
                price = opening * (1 + self.random.gauss(0, 0.022))
                high = max(opening, price) * (1 + abs(self.random.gauss(0, 0.01)))
                low = min(opening, price) * (1 - abs(self.random.gauss(0, 0.01)))
                volume = self.random.choice((0, 12, 30, 60, 500))
                cells = (f"{value:.2f}" for value in (opening, high, low, price))
                lines.append(f"{day}T{start:%H:%M:%S},{','.join(cells)},{volume}")
        return "\n".join(lines) + "\n"

    # What apex left on the disk

    def store(self) -> TinyDbStore:
        """Return a fresh look at the state; nothing is remembered of earlier ones."""
        return TinyDbStore(self.state_dir, clock=SystemClock())

    def book(self) -> SimulatedBook | None:
        """Return the broker's own books, None before the first."""
        return BookFile(self.state_dir / "simulated_broker.json", read_only=True).read()

    # Signals

    def write_signals(self, count: int) -> list[str]:
        """Put a file of *count* signals into the inbox, at the latest prices, and return their ids."""
        book = self.book()
        rows = [self._signal(book) for _ in range(count)]
        self.files += 1
        if rows and self.files % INVALID_EVERY == 0:
            self.invalid.append(f"bad-{self.files:04d}")
            rows.insert(len(rows) // 2, {"signal_id": self.invalid[-1], "symbol": "AAA", "signal_type": "LONG"})
        name = f"s{self.files:04d}.json"
        temporary = self.inbox / f"{name}.tmp"
        temporary.write_text(json.dumps({"signals": rows}))
        temporary.rename(self.inbox / name)
        return [str(row["signal_id"]) for row in rows if row["signal_id"] not in self.invalid]

    def _signal(self, book: SimulatedBook | None) -> dict[str, object]:
        self.written += 1
        symbol = self.random.choice(sorted(SYMBOLS))
        first_close = datetime.combine(SESSIONS[0], time(16), tzinfo=NEW_YORK)
        now = (book.as_of if book else first_close) - timedelta(seconds=1)
        price = self._close(symbol, now + timedelta(seconds=1))
        sign = self.random.choice((1, 1, -1))
        entry = price * Decimal(1 + self.random.uniform(-0.012, 0.012))
        risk = entry * Decimal(self.random.uniform(0.012, 0.05))
        steps = sorted(self.random.uniform(0.5, 3) for _ in range(self.random.choice((0, 1, 1, 2, 3))))
        row: dict[str, object] = {
            "signal_id": f"sig-{self.written:04d}",
            "symbol": symbol,
            "signal_type": "LONG" if sign > 0 else "SHORT",
            "entry_price": f"{entry:.2f}",
            "stop_loss": f"{entry - sign * risk:.2f}",
            "target_prices": [f"{entry + sign * risk * Decimal(step):.2f}" for step in steps or (1.5,)],
            "confidence": f"{self.random.uniform(0.45, 1):.2f}",
            "timestamp": now.isoformat(),
        }
        return row

    def _close(self, symbol: str, as_of: datetime) -> Decimal:
        """Return the close of the newest bar that ended by *as_of*."""
        price = Decimal(0)
        for line in (self.folder / "bars" / f"{symbol}.csv").read_text().splitlines()[1:]:
            cells = line.split(",")
            start = datetime.fromisoformat(cells[0]).replace(tzinfo=NEW_YORK)
            if start + timedelta(minutes=130) <= as_of:
                price = Decimal(cells[4])
        return price
