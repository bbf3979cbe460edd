"""One process holds the executor, others hand their work to it, and any of them may be killed.

Killed only: a power loss would end all of them at once, and ``crash_disk`` follows the writes of one process.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from child import Plan
from crash_play import Play, Tally
from crash_shell import HANG_S, Ran, Shell
from crash_world import SYMBOLS

from apex_cli.core.adapters.simulated.book_file import SimulatedBook
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.order import OrderRole

CONFIG = """\
execution: {auto_execute: false}
risk: {capital: 20000, max_position_pct: 0.05, max_risk_pct: 0.02, min_confidence: 0, min_reward_risk: 0,
  enforce_market_hours: false, max_open_risk_pct: 1}
approval: {expiry_minutes: 500}
day_trades: {regime: "off"}
signals: {inbox: inbox}
simulation: {buying_power_multiple: 4}
"""


class Duo(Play):
    """A world on the system's clock, whose prices are those of its signals."""

    def __init__(self, folder: Path, seed: int, *, kill_rate: float = 0.35, kills: int = 10**9) -> None:
        """Make the world; at most *kills* processes are killed."""
        super().__init__(folder, seed, kill_rate=kill_rate, kills=kills)
        (folder / "config.yaml").write_text(CONFIG)
        self.world._signal = self._signal  # type: ignore[method-assign]
        self.holder = Shell(folder, "holder")
        self._holder_pid = 0
        self._asked: Counter[str] = Counter()
        """Units of fixed quantity that commands were ever started to close, by symbol."""

    def _signal(self, book: SimulatedBook | None) -> dict[str, object]:
        del book
        self.world.written += 1
        now: datetime = SystemClock().now()
        symbol = self.random.choice(sorted(SYMBOLS))
        entry, sign = Decimal(str(SYMBOLS[symbol])), self.random.choice((1, -1))
        steps = range(2, 2 + self.random.choice((1, 1, 2, 3)))
        return {
            "signal_id": f"sig-{self.world.written:04d}",
            "symbol": symbol,
            "signal_type": "LONG" if sign > 0 else "SHORT",
            "entry_price": f"{entry:.2f}",
            "stop_loss": f"{entry * (1 - sign * Decimal('0.02')):.2f}",
            "target_prices": [f"{entry * (1 + sign * step * Decimal('0.02')):.2f}" for step in steps],
            "timestamp": (now - timedelta(seconds=1)).isoformat(),
        }

    def play(self) -> Tally:
        """Hand over, kill, look; then sell out."""
        for _ in range(10):
            self.witness.signals += self.world.write_signals(self.random.randint(1, 3))
            self.do("run", "--once")
            self._start_holder()
            for _ in range(self.random.randint(1, 3)):
                self._hand_over()
            self._stop_holder()
            self.do("run", "--once")
            self._count_closes()
        self._sell_out()
        return self.tally

    # ------------------------------------------------------------------ holder

    def _start_holder(self) -> None:
        plan = Plan()
        if self.kills_left > 0 and self.random.random() < 0.7:
            point = self.random.choice(
                ("any", "before-submit", "after-submit", "after-cancel", "after-modify", "replace")
            )
            plan = Plan("kill", point, self.random.randint(1, 60) if point == "any" else self.random.randint(1, 3))
        self._holder_started = time.monotonic()
        self._holder_pid = self.holder.start(["run", "--json", "--quiet"], plan)
        self.history.append(f"run in the background  # {plan}")
        mark = self.world.state_dir / "executor.holder"
        while time.monotonic() < self._holder_started + 5 and str(self._holder_pid) not in _text(mark):
            if os.waitid(os.P_PID, self._holder_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.002)

    def _stop_holder(self) -> None:
        """Ask it to end, or kill it at once; what it came to is looked at."""
        is_gone = os.waitid(os.P_PID, self._holder_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not is_gone:
            kills = self.kills_left > 0 and self.random.random() < 0.4
            os.kill(self._holder_pid, signal.SIGKILL if kills else signal.SIGTERM)
        ran = self.holder.wait(self._holder_pid, time.monotonic())
        self.history.append(f"end of the background run -> {ran.status} {ran.label}")
        self.tally.commands["run (holder)"] += 1
        if ran.status is None:
            self._count_kill("run (holder)", ran)
        elif ran.status not in {0, 8}:
            self._violation(f"the holder ended with {ran.status}: {ran.err} {ran.out}")
        if "Traceback" in ran.err:
            self._violation(f"traceback of the holder: {ran.err[-1500:]}")

    def _count_kill(self, name: str, ran: Ran) -> None:
        self.kills_left -= 1
        self.tally.kills[name, ran.label] += 1
        self._wounds.append((name, ran.label))

    # ------------------------------------------------------------- handed over

    def _hand_over(self) -> None:  # noqa: C901 - one draw of the story after the other
        """Start a command that waits for the holder, perhaps kill it, and start it again."""
        state = self.world.store().view()
        held = sorted(state.positions)
        waiting = sorted(a.approval_id for a in state.approvals.values() if a.status == "pending")
        draw = self.random.random()
        words: list[str] = []
        if draw < 0.45 and held:
            words = ["close", self.random.choice(held), "--quantity", "2", "--yes"]
        elif draw < 0.55 and held:
            words = ["close", self.random.choice(held), "--yes"]
        elif waiting:
            words = ["approve", self.random.choice(waiting), "--yes"]
        if not words:
            return
        while True:
            if words[0] == "close":  # one without a quantity may close the last two
                self._asked[words[1]] += 2
            plan, kill_after, _ = self._next_plan(words[0])
            if plan.how == "power":
                plan = plan._replace(how="kill")
            ran = self.shell.type([*words, "--wait", "20", "--json", "--quiet"], plan, kill_after=kill_after)
            self.history.append(
                f"{' '.join(words)} --wait 20  # {plan or kill_after or ''} -> {ran.status} {ran.label}"
            )
            self.tally.commands[f"{words[0]} (handed over)"] += 1
            if ran.status is not None:
                break
            self._count_kill(f"{words[0]} (handed over)", ran)
            if self.random.random() < 0.3:
                return
        if ran.status not in {0, 2, 4, 8} or "Traceback" in ran.err:
            self._violation(f"{words} -> {ran.status} {ran.out[-700:]} {ran.err[-700:]}")
        if ran.seconds > HANG_S / 3:
            self._violation(f"{words} took {ran.seconds:.0f} s")

    def _count_closes(self) -> None:
        """A command that was started sells at most once, however often its work is taken up."""
        for symbol, most in self._asked.items():
            by_order: Counter[str] = Counter()
            for fill in self.witness.fills.values():
                if fill.role is OrderRole.CLOSE and fill.instrument.key == symbol and fill.quantity == 2:
                    by_order[fill.client_order_id] += int(fill.quantity)
            if sum(by_order.values()) > most:
                self._violation(f"{symbol}: {sum(by_order.values())} were closed two by two, {most} were asked for")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
