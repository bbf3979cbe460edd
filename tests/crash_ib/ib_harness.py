"""Kills, cuts, swallows and delays against the gateway at random moments; prints what recovered and what broke.

python tests/crash_ib/ib_harness.py --runs 300 --seed 7

--server "COMMAND" plays against another TWS-compatible server: see ``GatewayProcess`` in tests/kit/gateway.py.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from ib_play import IbPlay, Tally, prepare

RUNS_A_WORLD = 8


def play_one(seed: int, runs: int, server: str = "", keep: str | None = None) -> Tally:
    """Play the world of *seed*; its folder is kept when a law broke."""
    folder = Path(keep) if keep else Path(tempfile.mkdtemp(prefix=f"apex-ib-{seed}-"))
    if keep:
        shutil.rmtree(folder, ignore_errors=True)
    tally = IbPlay(folder, seed, server=shlex.split(server)).played(runs)
    if tally.violations:
        tally.violations.append(f"seed {seed}: its folder is kept: {folder}")
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def play_many(seed: int, runs: int, workers: int, a_world: int = RUNS_A_WORLD, server: str = "") -> Tally:
    """Play worlds until *runs* commands ran under faults."""
    total = Tally()
    worlds = -(-runs // a_world)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=prepare) as pool:
        seeds = [seed * 1000 + number for number in range(worlds)]
        for done in pool.map(play_one, seeds, [a_world] * worlds, [server] * worlds):
            total.add(done)
            report(total)
    return total


def report(tally: Tally) -> None:
    """Write how far the games are to standard error: a long play takes minutes."""
    sys.stderr.write(f"{sum(tally.faults.values())} runs, {len(tally.violations)} violations\n")
    for violation in tally.violations:
        sys.stderr.write(f"VIOLATION {violation}\n")


def table(tally: Tally) -> str:
    """Return runs and recoveries by fault."""
    rows = [("fault", "runs", "recovered")]
    rows += [(name, str(n), str(tally.recoveries[name])) for name, n in sorted(tally.faults.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    recovered = sum(n for name, n in tally.recoveries.items() if name in tally.faults)
    lines.append(
        f"{sum(tally.faults.values())} runs under faults, {recovered} recovered; violations: {len(tally.violations)}"
    )
    for title, counted in (("commands", tally.commands), ("played", tally.traded)):
        lines.append(f"{title}: " + ", ".join(f"{n} {what}" for what, n in sorted(counted.items())))
    return "\n".join(lines)


def main() -> int:
    """Parse the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--a-world", type=int, default=RUNS_A_WORLD)
    parser.add_argument("--only", type=int, help="play this one world only, and keep its folder in --keep")
    parser.add_argument("--server", default="", help="command line of another TWS-compatible server")
    parser.add_argument("--keep", default=str(Path(tempfile.gettempdir()) / "apex-ib-kept"))
    options = parser.parse_args()
    started = time.monotonic()
    if options.only is not None:
        prepare()
        tally = play_one(options.only, options.a_world, options.server, options.keep)
    else:
        tally = play_many(options.seed, options.runs, options.workers, options.a_world, options.server)
    sys.stdout.write(f"{table(tally)}\n{time.monotonic() - started:.0f} s\n")
    for violation in tally.violations:
        sys.stdout.write(f"VIOLATION {violation}\n")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
