"""Fills the disk at every single operation of a command, one after the other, and looks what the next run makes of it.

python tests/crash/disk_full.py --seed 3
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from child import Plan
from crash_laws import Witness
from crash_play import TRADING, Play
from crash_shell import Ran, Shell, prepare

from apex_cli.core.adapters.state.check import check

ENDS = {0, 4, 6, 8, 9}
"""Exit statuses that a full disk may lead to; 0 where only a copy or a note could not be written."""


class Scene(NamedTuple):
    """A world at the moment before one command."""

    name: str
    folder: Path
    witness: Witness
    words: tuple[str, ...]


class Outcome(NamedTuple):
    """What filling the disk in every operation of the scenes came to."""

    strikes: Counter[str]
    statuses: Counter[int | None]
    violations: list[str]


def scenes(folder: Path, seed: int) -> Iterator[Scene]:
    """Yield a world before its first run, before an approval, before closes and before a session passes."""
    play = Play(folder / "world", seed, kill_rate=0)
    world = play.world
    text = (world.folder / "config.yaml").read_text().replace("auto_execute: false", "auto_execute: true")
    (world.folder / "config.yaml").write_text(text)
    play.witness.signals += world.write_signals(6)
    yield Scene("first run", world.folder, play.witness, ("run", "--once"))
    play.do("run", "--once")
    play.witness.signals += world.write_signals(4)
    yield Scene("run", world.folder, play.witness, ("run", "--once"))
    manual = text.replace("auto_execute: true", "auto_execute: false")
    (world.folder / "config.yaml").write_text(manual)
    while not any(a.status == "pending" for a in world.store().view().approvals.values()):
        play.witness.signals += world.write_signals(3)
        play.do("run", "--once")
    yield Scene("approve", world.folder, play.witness, ("approve", "--all", "--yes"))
    play.do("approve", "--all", "--yes")
    held = max(world.store().view().positions.items(), key=lambda item: item[1].position.quantity)[0]
    yield Scene("close part", world.folder, play.witness, ("close", held, "--fraction", "0.5", "--yes"))
    price = world.store().view().positions[held].current_price
    yield Scene("close limit", world.folder, play.witness, ("close", held, "--limit", f"{price:.2f}", "--yes"))
    yield Scene("close all", world.folder, play.witness, ("close", "--all", "--yes"))
    yield Scene("halt", world.folder, play.witness, ("halt", "--reason", "news"))
    yield Scene("two sessions", world.folder, play.witness, ("run", "--once", "--bars-until", "2004-03-03"))
    for sentence in play.tally.violations:
        raise AssertionError(sentence)


def strike(scene: Scene, plan: Plan, outcome: Outcome, copy: Path) -> bool:
    """Run the scene's command in a copy under *plan*, then again without; False when *plan* was never reached."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(scene.folder, copy)
    shell, witness = Shell(copy), scene.witness.at(copy)
    is_trading = scene.words[0] in TRADING
    witness.seq_before = witness.newest_seq()
    ran = shell.type([*scene.words, "--quiet"], plan)
    if ran.label.startswith("passed"):
        return False
    outcome.strikes[ran.label] += 1
    outcome.statuses[ran.status] += 1
    where = f"{scene.name}, {plan} ({ran.label}) -> {ran.status}"
    outcome.violations.extend(f"{where}: {fault}" for fault in _faults_of(ran))
    try:
        outcome.violations.extend(f"{where}: right after: {s}" for s in witness.after_kill())
        for words in (list(scene.words), ["run", "--once"]):
            again = shell.type([*words, "--quiet"], Plan())
            if again.status not in {0, 4, 8}:
                outcome.violations.append(f"{where}: then {words} -> {again.status} {again.err}{again.out}")
            found = witness.after_command(has_traded=words[0] in TRADING and (is_trading or words[0] == "run"))
            outcome.violations.extend(f"{where}: after {words}: {sentence}" for sentence in found)
        unsound = [finding for finding in check(witness.world.store()) if finding.level != "ok"]
        outcome.violations.extend(f"{where}: state check: {finding.message}" for finding in unsound)
    except Exception as error:  # noqa: BLE001 - an unreadable file is a finding, too
        outcome.violations.append(f"{where}: cannot look: {error!r}")
    return True


def _faults_of(ran: Ran) -> Iterator[str]:
    """Return what is wrong with the words and the status of a command that ran out of space."""
    if ran.status not in ENDS:
        yield f"undocumented end: {ran.err[-400:]}"
    if "Traceback" in ran.err + ran.out:
        yield f"traceback: {ran.err[-800:]}"
    if ran.status in {6, 9}:
        lines = [line for line in ran.err.splitlines() if line.strip()]
        if not any("No space left" in line or "unknown" in line.lower() for line in lines):
            yield f"does not say why: {ran.err[-400:]!r}"


def fill_everywhere(seed: int, *, step: int = 1) -> Iterator[tuple[str, Outcome]]:
    """Fill the disk at every *step*-th operation of every scene, once and for good; yield what each scene came to."""
    with tempfile.TemporaryDirectory(prefix="apex-full-") as name:
        random = Random(seed)
        for scene in scenes(Path(name), seed):
            outcome = Outcome(Counter(), Counter(), [])
            for how in ("full", "fullest"):
                number = 1 + random.randrange(step)
                while strike(scene, Plan(how, "any", number), outcome, Path(name) / "copy"):
                    number += step
            yield scene.name, outcome


def main() -> int:
    """Parse the command line, strike, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    prepare()
    strikes, violations = 0, list[str]()
    for name, outcome in fill_everywhere(options.seed, step=options.step):
        count = sum(outcome.strikes.values())
        reported = ", ".join(f"{n} x status {status}" for status, n in sorted(outcome.statuses.items(), key=str))
        sys.stdout.write(f"{name:14} {count:4} operations without space: {reported}\n")
        for violation in outcome.violations:
            sys.stdout.write(f"VIOLATION {violation}\n")
        sys.stdout.flush()
        strikes += count
        violations += outcome.violations
    seconds = time.monotonic() - started
    sys.stdout.write(f"{strikes} strikes, violations: {len(violations)}, {seconds:.0f} s\n")
    return 1 if violations else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
