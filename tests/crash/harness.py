"""Plays seeded worlds under kills and prints what was killed where, what recovered, and what broke.

python tests/crash/harness.py --kills 500 --seed 7
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from crash_duo import Duo
from crash_play import Play, Tally
from crash_shell import prepare

DUO_EVERY = 4
"""Every fourth world is one in which processes hand work over."""


def play_one(seed: int, kills: int, keep: str | None = None) -> Tally:
    """Play the world of *seed*, killing at most *kills* processes."""
    folder = Path(keep) if keep else Path(tempfile.mkdtemp(prefix=f"apex-crash-{seed}-"))
    if keep:
        shutil.rmtree(folder, ignore_errors=True)
    kind = Duo if seed % DUO_EVERY == 0 else Play
    tally = kind(folder, seed, kills=kills).played_out()
    if tally.violations:
        tally.violations.append(f"seed {seed}: its folder is kept: {folder}")
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def play_many(seed: int, kills: int, workers: int, *, step: int = 1) -> Tally:
    """Play every *step*-th world from *seed* on until about *kills* processes were killed."""
    total = Tally.empty()
    with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=prepare) as pool:
        running = {pool.submit(play_one, seed * 1000 + number * step, kills) for number in range(workers)}
        number = workers
        while running:
            done = next(as_completed(running))
            running.discard(done)
            total.add(done.result())
            report(total)
            if sum(total.kills.values()) < kills:
                running.add(pool.submit(play_one, seed * 1000 + number * step, kills))
                number += 1
    return total


def report(tally: Tally) -> None:
    """Write how far the games are to standard error: a long play takes minutes."""
    sys.stderr.write(f"{sum(tally.kills.values())} killed, {len(tally.violations)} violations\n")
    for violation in tally.violations:
        sys.stderr.write(f"VIOLATION {violation}\n")


def table(tally: Tally) -> str:
    """Return kills and recoveries by command and point."""
    rows = [("command", "fault point", "kills", "recovered")]
    rows += [
        (name, label, str(n), str(tally.recoveries[name, label])) for (name, label), n in sorted(tally.kills.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    kills, recovered = sum(tally.kills.values()), sum(tally.recoveries.values())
    lines.append(
        f"{sum(tally.commands.values())} processes, {kills} killed, {recovered} recovered by the next command; "
        f"violations: {len(tally.violations)}"
    )
    lines.append("played: " + ", ".join(f"{n} {what}" for what, n in sorted(tally.traded.items())))
    return "\n".join(lines)


def main() -> int:
    """Parse the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--duo", action="store_true", help="only worlds in which processes hand work over")
    parser.add_argument("--only", type=int, help="play this one world only, and keep its folder in --keep")
    parser.add_argument("--keep", default=str(Path(tempfile.gettempdir()) / "apex-crash-kept"))
    options = parser.parse_args()
    started = time.monotonic()
    if options.only is not None:
        prepare()
        tally = play_one(options.only, options.kills, options.keep)
    else:
        tally = play_many(options.seed, options.kills, options.workers, step=DUO_EVERY if options.duo else 1)
    sys.stdout.write(f"{table(tally)}\n{time.monotonic() - started:.0f} s\n")
    for violation in tally.violations:
        sys.stdout.write(f"VIOLATION {violation}\n")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
