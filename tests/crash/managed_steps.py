"""Kills a run at every single point while it replaces a stop, and while it re-prices an entry; run by hand.

python tests/crash/managed_steps.py --step 1
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

from crash_laws import Witness
from crash_world import World

HERE = Path(__file__).parent
HALF_HOUR = timedelta(minutes=30)
SESSIONS = (date(2026, 11, 23), date(2026, 11, 24))
CONFIG = """\
execution: {{auto_execute: true, entry_order: {entry_order}, reprice: {{after_s: 60, step_pct: 0.002, max_pct: 0.005}}}}
risk: {{max_position_pct: 1, max_open_risk_pct: 1, min_reward_risk: 0, max_price_deviation_pct: 0.2}}
management: {{trailing: {{activate_at_r: 1, distance_r: 0.5}}}}
day_trades: {{regime: "off"}}
prices: {{bars_dir: bars}}
signals: {{inbox: inbox}}
simulation: {{clock: bars, start: 2026-11-23, commission: none, max_participation: {share}}}
"""
STORIES = {
    "trail": ("market", "null", {"24 10:00": 52.5}),
    "reprice": ("limit", "0.04", {"23 15:30": 50.3, "24 10:00": 50.0, "24 10:30": 50.4}),
}
"""Entry order, part of a bar's volume of 100 that one order may take, and prices from which time on."""


def prepared(folder: Path, story: str) -> World:
    """Return a world one step before what is to be killed."""
    entry_order, share, prices = STORIES[story]
    world = World(folder, Random(1))
    shutil.rmtree(folder / "bars")
    (folder / "bars").mkdir()
    price, lines = 50.0, ["Datetime,Open,High,Low,Close,Volume"]
    for at in (datetime.combine(day, time(9, 30)) + n * HALF_HOUR for day in SESSIONS for n in range(13)):
        before, price = price, prices.get(f"{at:%d %H:%M}", price)
        lines.append(f"{at:%Y-%m-%dT%H:%M:%S},{before},{max(before, price)},{min(before, price)},{price},100")
    (folder / "bars" / "AAA.csv").write_text("\n".join(lines) + "\n")
    (folder / "config.yaml").write_text(CONFIG.format(entry_order=entry_order, share=share))
    typed(folder, "run", "--max-cycles", "1")
    row = {"signal_id": "one", "symbol": "AAA", "signal_type": "LONG", "entry_price": "50", "stop_loss": "48"}
    row |= {"target_price": "60", "confidence": "0.9", "expires_at": "2026-12-24T10:00:00-05:00"}
    row |= {"timestamp": "2026-11-23T15:59:00-05:00"}
    (folder / "inbox" / "one.json").write_text(json.dumps([row]))
    typed(folder, "run", "--once")
    if story == "reprice":
        typed(folder, "run", "--max-cycles", "1")
    return world


def typed(folder: Path, *words: str, fault: str = "") -> int:
    """Type a command; return its exit status, negative when it was killed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APEX_")}
    done = subprocess.run(
        [sys.executable, str(HERE / "child.py"), *words, "--json", "--quiet"],
        cwd=folder,
        env={**kept, "CRASH_AT": fault, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode


def killed_everywhere(story: str, step: int) -> Iterator[tuple[int, list[str], str]]:
    """Yield, for each point, its number, the violations found, and how it ended."""
    with tempfile.TemporaryDirectory() as name:
        start = prepared(Path(name) / "start", story)
        for number in range(1, 1000, step):
            folder = Path(name) / "now"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(start.folder, folder)
            world = start.moved_to(folder)
            witness = Witness(world)
            if typed(folder, "run", "--max-cycles", "1", fault=f"kill:any:{number}") != -signal.SIGKILL:
                return
            found = witness.after_kill()
            for _ in range(3):
                status = typed(folder, "run", "--max-cycles", "1")
                found += [] if status == 0 else [f"exit status {status}"]
                found += witness.after_command(has_traded=True)
            yield number, found, ", ".join(sorted(reported(world)))


def reported(world: World) -> set[str]:
    """Return the kinds of management steps in the journal."""
    kinds = {"trail_started", "stop_replaced", "repriced", "entry_ended", "alarm"}
    text = "".join(path.read_text() for path in (world.state_dir / "journal").glob("*.jsonl"))
    return {kind for kind in kinds if f'"kind":"{kind}"' in text}


def main() -> int:
    """Play both stories and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="only every n-th point")
    step = parser.parse_args().step
    violations = 0
    for story in STORIES:
        ends: dict[str, int] = {}
        for number, found, end in killed_everywhere(story, step):
            ends[end] = ends.get(end, 0) + 1
            violations += len(found)
            for sentence in found:
                sys.stdout.write(f"VIOLATION {story}, point {number}: {sentence}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{story}: killed at {sum(ends.values())} points; ended with {ends}\n")
    sys.stdout.write(f"violations: {violations}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
