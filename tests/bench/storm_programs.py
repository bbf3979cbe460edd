"""Programs that submit signals at once while a run comes and goes, all of them killed at random moments.

By hand, from the top folder: ``python tests/bench/storm_programs.py [SECONDS]``. At the end every signal that a program
got an answer for has one decision and one entry, and nothing that was kept waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from apex_cli import api
from apex_cli.core.adapters.state.intake_files import names_in

CONFIG = """
execution: {auto_execute: true}
risk:
  {enforce_market_hours: false, capital: 1000000, max_positions: 1000, max_orders_per_day: 10000, max_open_risk_pct: 1}
approval: {expiry_minutes: 600}
day_trades: {regime: "off"}
"""
PROGRAM = """
import sys
from random import Random
from apex_cli import api

name, seed = sys.argv[1], int(sys.argv[2])
apex, dice = api.Apex("config.yaml", wait_s=20), Random(seed)
while True:
    number = dice.randrange(400)
    symbol = f"{chr(65 + number % 26)}{chr(65 + number // 26)}Q"
    levels = {"entry_price": 50, "stop_loss": 48, "target_prices": (56,), "confidence": 0.9}
    try:
        report = apex.submit(api.Signal(symbol=symbol, signal_id=f"{name}-{number}", **levels))
    except api.ApexError as error:
        print(f"{name}-{number} error {error.code}", flush=True)
    else:
        print(f"{name}-{number} {report.outcome}", flush=True)
"""
PROGRAMS = 3
QUANTITY = 1000
"""5 % of the capital at 50: what every entry buys."""


def storm(folder: Path, seconds: float) -> None:
    """Let programs and runs live and die for so many seconds, then look at the books."""
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    dice, kills = Random(7), Counter[str]()
    logs = {f"p{number}": folder / f"p{number}.txt" for number in range(PROGRAMS)}
    alive: dict[str, subprocess.Popen[bytes]] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in ("run", *logs):
            if name not in alive or alive[name].poll() is not None:
                words = (
                    ["-m", "apex_cli", "run", "--quiet"] if name == "run" else ["program.py", name, str(kills[name])]
                )
                with (logs.get(name) or folder / "run.txt").open("ab") as log:
                    alive[name] = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=log, stderr=log)
        time.sleep(dice.uniform(0.5, 2.5))
        name = dice.choice(list(alive))
        os.kill(alive[name].pid, signal.SIGKILL)
        alive[name].wait()
        kills[name] += 1
    for process in alive.values():
        process.kill()
        process.wait()
    subprocess.run([sys.executable, "-m", "apex_cli", "run", "--once", "--quiet"], cwd=folder, check=False)
    judge(folder, logs, kills)


def judge(folder: Path, logs: dict[str, Path], kills: Counter[str]) -> None:
    """Hold what programs were answered against the books.

    Raises:
        AssertionError: they disagree.
    """
    apex = api.Apex(folder / "config.yaml")
    decided: Counter[str] = Counter()
    for event in apex.events(0, follow=False):
        decided[event.subject] += event.kind == "decided"
    words = [line.split() for log in logs.values() for line in log.read_text(errors="replace").splitlines()]
    answers = [(each[0], each[1]) for each in words if len(each) >= 2 and each[0][:1] == "p" and "-" in each[0]]
    outcomes = Counter(outcome for _, outcome in answers)
    answered = {name for name, outcome in answers if outcome != "error"}
    lost = sorted(name for name in answered if not decided[name])
    twice = sorted(name for name, count in decided.items() if count > 1 and name[:1] == "p")
    waiting = names_in(folder / "state" / "intake")
    held = {held.symbol: held.quantity for held in apex.positions()}
    unprotected = [held.symbol for held in apex.positions() if held.protected_quantity < held.quantity]
    print(json.dumps({"kills": kills, "answers": outcomes, "answered": len(answered), "positions": len(held)}))
    doubled = sorted(symbol for symbol, quantity in held.items() if quantity != QUANTITY)
    wrong = {"lost": lost, "twice": twice, "waiting": waiting, "unprotected": unprotected, "doubled": doubled}
    print(json.dumps(wrong))
    assert not any(wrong.values())


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        storm(Path(place), float(sys.argv[1]) if len(sys.argv) > 1 else 60)
