"""One seeded world: apex commands against a gateway process, each under one fault, each followed by a recovery."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import child
from child import Plan
from crash_shell import Ran, Shell
from crash_shell import prepare as prepare_shell
from ib_laws import Laws, is_entry, state_of, working_exits

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.model.money import ZERO
from apex_cli.gateway.control import BooksView
from kit.gateway import GatewayProcess

child.SimulatedBroker = IbBroker  # type: ignore[misc,assignment] # kills before and after its submit, cancel and modify
PRICES = {"AAPL": Decimal(100), "MSFT": Decimal(400), "IBM": Decimal(50), "AMD": Decimal(80), "F": Decimal(12)}
RECOVERIES = 6
TYPICAL_S = 0.7
"""How long a command takes here: kills and cuts at any moment are drawn from it."""

CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true, auto_min_score: 0, entry_order: {entry}}}
risk:
  capital: 20000
  max_position_pct: 0.5
  max_open_risk_pct: 1
  max_daily_loss_pct: 1
  max_drawdown_pct: 1
  max_price_deviation_pct: 0.2
  min_reward_risk: 0.3
  enforce_market_hours: false
day_trades: {{regime: "off"}}
broker:
  ib:
    library: {library}
    ib_port: {port}
    quiet_hours: []
    connect_timeout_s: 3
    request_timeout_s: 2
    ack_timeout_s: 2
    never_sent_after_s: {wait}
    quote_timeout_s: 1
"""

POLICIES: dict[str, tuple[Any, ...]] = {
    "executions_of_zero_is_all": (True, False),
    "children": ("at_first_fill", "at_first_fill", "at_full_fill"),
    "oca_partial": ("reduce", "by_type", "cancel"),
    "cancelled_parent_takes_children": (False, True),
    "rejects_as": ("Inactive", "Cancelled", ""),
    "status_before_execution": (False, True),
    "modify_child_needs_parent": (True, False),
    "completed_shape": ("filled_only", "both"),
    "time_zone": ("US/Eastern", ""),
}

FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("swallow", name, {}) for name in ("placeOrder", "cancelOrder", "modifyOrder", "reqExecutions", "reqPositions")),
    *(("swallow", name, {}) for name in ("reqAllOpenOrders", "reqCompletedOrders", "reqAccountUpdates")),
    *(("swallow", name, {}) for name in ("openOrder", "orderStatus", "execDetails", "commissionReport", "reqMktData")),
    *(("cut_before", name, {}) for name in ("placeOrder", "cancelOrder", "modifyOrder", "openOrder", "execDetails")),
    *(("cut_after", name, {}) for name in ("placeOrder", "cancelOrder", "modifyOrder", "orderStatus", "execDetails")),
    *(
        ("reject", name, {"code": 201, "text": "Order rejected - reason:test"})
        for name in ("placeOrder", "modifyOrder")
    ),
    ("reject", "modifyOrder", {"code": 10326, "text": "OCA group revision is not allowed"}),
    *(
        ("reject", "placeOrder", {"order_ref": "-C1", "code": code, "text": text})
        for code, text in ((10326, "OCA group revision is not allowed"), (201, "Order rejected - reason:test"))
    ),
    ("refuse_later", "placeOrder", {"order_ref": "-C1", "seconds": 0.1, "code": 201, "text": "No"}),
    ("swallow", "placeOrder", {"order_ref": "-C1"}),
    *(
        ("refuse_later", "placeOrder", {"order_ref": "-S1", "seconds": s, "code": 201, "text": "No"})
        for s in (0.02, 0.4)
    ),
    ("warn", "placeOrder", {"code": 10349, "text": "Order TIF was set to DAY based on order preset."}),
    ("reject", "cancelOrder", {"code": 161, "text": "Cancel attempted when order is not in a cancellable state."}),
    ("reject", "reqMktData", {"code": 10197, "text": "No market data during competing live session"}),
    *(("duplicate", name, {"times": 0}) for name in ("orderStatus", "execDetails", "commissionReport")),
    *(("hold", name, {"times": 2}) for name in ("orderStatus", "execDetails", "openOrder")),
    *(("delay", name, {"seconds": 0.4}) for name in ("placeOrder", "execDetails", "orderStatus", "cancelOrder")),
)
SETTLING, REPLACING, CLOSING = "kill while settling", "kill in an OCA replacement", "kill inside a close"
KILLS = ("kill", "kill at a write", SETTLING, SETTLING, REPLACING, REPLACING, CLOSING, CLOSING)
SUDDEN = (*KILLS, "cut", "gateway killed", "late fill", "1100", "correction")
ELSEWHERE = (*KILLS, "cut")
"""What can be done to another server without its help."""

REPLACEMENT_POINTS = ("before-submit", "after-submit", "before-cancel", "after-cancel", "before-modify", "after-modify")
CLOSING_POINTS = ("before-exchange", "after-exchange", "before-modify", "after-modify", "after-submit", "write", "sync")
SETTLE_S = 1.0
"""How long a command follows its orders, by default."""


@dataclass
class Tally:
    """What was played and what broke."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    traded: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another world in."""
        for mine, theirs in (
            (self.faults, other.faults),
            (self.recoveries, other.recoveries),
            (self.commands, other.commands),
            (self.traded, other.traded),
        ):
            mine.update(theirs)
        self.violations += other.violations


class IbPlay:
    """One folder, one gateway, one seed."""

    def __init__(self, folder: Path, seed: int, *, server: Sequence[str] = ()) -> None:
        """Draw the world of *seed*; *server* is the command line of another server than our own."""
        self.is_own_server = not server
        self.folder = folder
        self.seed = seed
        self.random = Random(seed)
        self.tally = Tally()
        folder.mkdir(parents=True, exist_ok=True)
        self.gateway = GatewayProcess(state=folder / "gateway.json", server=server)
        self.shell = Shell(folder)
        self.laws = Laws(folder)
        self.signals = 0
        self.prices = dict(PRICES)
        self.policy: dict[str, Any] = {}
        self.wait_s = 0
        """How long an order that nobody knows may still turn up."""

        self.aimed_at = ""
        """Ending of the orders that the running fault means; empty: any."""

        self.story: list[str] = []

    def played(self, runs: int) -> Tally:
        """Play *runs* commands under faults, then close everything and look once more."""
        self.gateway.start()
        try:
            self._open_market()
            for _ in range(runs):
                self._one_run()
                if self.tally.violations:
                    break
            else:
                self._finish()
        finally:
            self._count()
            self.gateway.kill()
        return self.tally

    def _open_market(self) -> None:
        choice = self.random.choice
        self.policy = {name: choice(values) for name, values in POLICIES.items()}
        if self.is_own_server:
            self.gateway.set_policy(**self.policy)
        for symbol, price in PRICES.items():
            self.gateway.set_price(symbol, price)
        library, entry = choice(("ib_insync", "ib_async")), choice(("market", "limit"))
        self.wait_s = choice((0, 0, 3))
        text = CONFIG.format(port=self.gateway.port, library=library, entry=entry, wait=self.wait_s)
        (self.folder / "config.yaml").write_text(text)
        self.story.append(f"{library}, {entry}, {self.policy}")

    # ------------------------------------------------------------------- runs

    def _one_run(self) -> None:
        """Type one command under one fault, recover, and compare everything."""
        self._move_market()
        fault = self._strike()
        words = self._command(is_part=fault == REPLACING, is_close=fault == CLOSING or "-C1" in self.aimed_at)
        ran = self._typed(words, fault)
        self.story.append(f"{' '.join(words)} under {fault}: {ran.status} {ran.label}")
        if fault in KILLS and fault != "kill at a write" and ran.status is not None:
            fault = f"{fault}, too late"
        self.tally.faults[fault] += 1
        self.tally.commands[words[0]] += 1
        if ran.status in {1, 99}:
            self._violate(f"internal error: {ran.out[-600:]} {ran.err[-1500:]}")
            return
        self.gateway.clear_faults()
        self._look(self.laws.always)
        self._recover(fault)

    def _recover(self, fault: str) -> None:
        """Let clean runs find out what happened, then everything must agree."""
        for _ in range(RECOVERIES):
            ran = self._run(["run", "--once"])
            if ran.status in {1, 99, None}:
                self._violate(f"recovery failed: {ran.status} {ran.out[-600:]} {ran.err[-1500:]}")
                return
            if self.laws.is_settled(self.gateway.books()):
                break
            time.sleep(self.wait_s / 2)
        if self._look(self.laws.settled):
            self.tally.recoveries[fault] += 1

    def _look(self, law: Callable[[BooksView], list[str]]) -> bool:
        found = law(self.gateway.books())
        for sentence in found:
            self._violate(sentence)
        return not found

    def _violate(self, sentence: str) -> None:
        story = "" if self.tally.violations else "".join(f"\n    {line}" for line in self.story)
        self.tally.violations.append(f"seed {self.seed}: {sentence}{story}")

    # --------------------------------------------------------------- commands

    def _command(self, *, is_part: bool, is_close: bool) -> list[str]:
        """Return a command line: mostly a new signal, else a close, else a look; *is_part*: close a part."""
        held = sorted(state_of(self.folder).positions) if (self.folder / "state").exists() else []
        dice = self.random.random()
        if held and (dice < 0.35 or is_part or is_close):
            parts = (["--fraction", "0.5"], ["--quantity", "1"])
            part = self.random.choice(parts if is_part else ([], *parts))
            return ["close", self.random.choice(held), "--yes", *part]
        if dice < 0.75:
            return ["run", "--once", "--signals", self._signal()]
        if dice < 0.9:
            return ["run", "--max-cycles", "2", "--signals", self._signal()]
        return ["run", "--once"]

    def _signal(self) -> str:
        """Write a signal at the market and return its file."""
        self.signals += 1
        symbol = self.random.choice(sorted(PRICES))
        price = self.prices[symbol]
        targets = self.random.choice((1, 1, 2))
        row = {
            "signal_id": f"s{self.signals:03d}",
            "symbol": symbol,
            "signal_type": "BUY",
            "entry_price": str(price),
            "stop_loss": str(price * Decimal("0.97")),
            "target_prices": [str(price * (1 + Decimal("0.04") * n)) for n in range(1, targets + 1)],
            "confidence": 0.9,
            "timestamp": datetime.now(UTC).isoformat(),  # noqa: TID251 - these processes live by the machine's clock
        }
        name = f"signal-{self.signals:03d}.json"
        (self.folder / name).write_text(json.dumps([row]))
        return name

    def _move_market(self) -> None:
        """Move one price: a little, to a stop or target, or with few shares on offer."""
        symbol = self.random.choice(sorted(PRICES))
        change = Decimal(str(round(self.random.choice((0, 0.5, -0.5, 2, -2, 4.5, -4.5)) / 100, 4)))
        self._tick(symbol, change)

    def _tick(self, symbol: str, change: Decimal) -> None:
        price = (self.prices[symbol] * (1 + change)).quantize(Decimal("0.01"))
        self.prices[symbol] = price
        size = self.random.choice((None, None, 1, 7, 20))
        self.gateway.set_price(symbol, price, size=size)

    # ----------------------------------------------------------------- faults

    def _strike(self) -> str:
        """Choose a fault; one at the gateway waits there from now on."""
        self.aimed_at = ""
        if self.random.random() < 0.5:
            fault = self.random.choice(SUDDEN if self.is_own_server else ELSEWHERE)
            if fault == REPLACING:
                self.gateway.fault(
                    "reject", "modifyOrder", times=0, code=10326, text="OCA group revision is not allowed"
                )
            return fault
        action, message, how = self.random.choice(FAULTS)
        self.aimed_at = str(how.get("order_ref", ""))
        after = 0 if self.aimed_at else self.random.choice((0, 0, 0, 1, 2))
        try:
            self.gateway.fault(action, message, after=after, **how)
        except ValueError:  # another server, which does not know it
            return self.random.choice(KILLS[:4])
        return f"{action} {message}"

    def _typed(self, words: list[str], fault: str) -> Ran:
        """Run *words* and let the fault strike while it runs."""
        plan = Plan()
        if fault == "kill at a write":
            plan = Plan("kill", "any", self.random.randint(1, 70))
        if fault == REPLACING:
            plan = Plan("kill", self.random.choice(REPLACEMENT_POINTS), self.random.choice((1, 1, 2)))
        if fault == CLOSING:
            plan = Plan("kill", self.random.choice(CLOSING_POINTS), self.random.choice((1, 1, 2, 3)))
        if fault == "late fill":
            self._arm_late_fill()
        started = time.monotonic()
        pid = self.shell.start([*words, "--json", "--quiet"], plan)
        kill_after = self.random.uniform(0, TYPICAL_S) if fault == "kill" else None
        if fault == SETTLING:
            kill_after = self.random.uniform(TYPICAL_S / 2, TYPICAL_S + SETTLE_S)
        if fault in {"cut", "gateway killed", "1100", "correction"}:
            time.sleep(self.random.uniform(0, TYPICAL_S))
            self._happen(fault)
        elif kill_after is None and self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, TYPICAL_S))
            self._tick(self.random.choice(sorted(PRICES)), Decimal(self.random.choice((1, -1, 3, -3))) / 100)
        return self.shell.wait(pid, started, kill_after)

    def _happen(self, fault: str) -> None:
        if fault == "cut":
            self.gateway.cut()
        elif fault == "gateway killed":
            self.gateway.restart()
        elif fault == "1100":
            self.gateway.system(1100)
            self.gateway.system(self.random.choice((1101, 1102)))
        else:
            executions = self.gateway.books().executions
            if executions:
                self.gateway.repeat(self.random.choice(executions).exec_id)

    def _arm_late_fill(self) -> None:
        waiting = [row for row in self.gateway.books().open_orders() if row.terms.order_ref]
        if waiting:
            row = self.random.choice(waiting)
            self.gateway.late_fill(row.terms.order_ref, min(row.remaining, Decimal(self.random.choice((1, 5)))))

    def _run(self, words: list[str]) -> Ran:
        return self.shell.type([*words, "--json", "--quiet"], Plan())

    # -------------------------------------------------------------------- end

    def _finish(self) -> None:
        """Close what is held: nothing may be left working for a flat symbol."""
        for _ in range(3):
            for symbol in sorted(state_of(self.folder).positions):
                self.gateway.set_price(symbol, self.prices[symbol])
                ran = self._run(["close", symbol, "--yes"])
                self.story.append(f"close {symbol}: {ran.status}")
            self._recover("at the end")
        books = self.gateway.books()
        resting = {mark: quantity for mark, quantity in working_exits(books).items() if quantity}
        if books.positions or resting:
            self._violate(f"not flat at the end: {books.positions}, exits {resting}")

    def _count(self) -> None:
        try:
            books = self.gateway.books()
        except RuntimeError:
            return
        entries = [row for row in books.orders if is_entry(row)]
        self.tally.traded.update(
            worlds=1,
            unprotected_and_told=len(self.laws.alarmed),
            signals=self.signals,
            entries=len(entries),
            orders=len(books.orders),
            fills=len(books.executions),
            partly=sum(ZERO < row.filled < row.terms.quantity for row in books.orders),
        )


def prepare() -> None:
    """Import everything once: a forked command starts at once. ib_insync needs an event loop before its import."""
    import asyncio
    from importlib import import_module

    prepare_shell()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    for name in ("ib_insync", "ib_async"):
        import_module(name)
    asyncio.set_event_loop(None)
    loop.close()
