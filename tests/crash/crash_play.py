"""Types commands into a world, kills some of them, types them again, and has a witness look each time."""

from __future__ import annotations

import json
import shutil
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from child import Plan
from crash_laws import Witness, effective_exits
from crash_shell import Ran, Shell
from crash_world import SESSIONS, World

TRADING = frozenset({"run", "approve", "close"})
"""Commands that talk to the broker."""

ALLOWED = {"run": {0, 8}, "approve": {0, 4, 8}, "close": {0, 4, 8}, "state": {0, 8}}
"""Exit statuses that a command may end with here; all others may only end with 0."""

RARE_POINTS = (
    "before-submit",
    "after-submit",
    "before-cancel",
    "after-cancel",
    "before-modify",
    "after-modify",
    "half",
    "replace",
    "sync_folder",
    "truncate",
    "link",
    "move",
    "lock",
)
DAMAGED = 9
GIVES_UP = 0.15
"""How often a killed command is not typed again; the next one is another."""


class Tally(NamedTuple):
    """Counts of many plays."""

    kills: Counter[tuple[str, str]]
    recoveries: Counter[tuple[str, str]]
    commands: Counter[str]
    traded: Counter[str]
    violations: list[str]

    @classmethod
    def empty(cls) -> Tally:
        """Return zeros."""
        return cls(Counter(), Counter(), Counter(), Counter(), [])

    def add(self, other: Tally) -> None:
        """Take in what another one counted."""
        self.kills.update(other.kills)
        self.recoveries.update(other.recoveries)
        self.commands.update(other.commands)
        self.traded.update(other.traded)
        self.violations.extend(other.violations)


class Play:
    """One seeded world, played out under kills."""

    def __init__(self, folder: Path, seed: int, *, kill_rate: float = 0.45, kills: int = 10**9) -> None:
        """Make the world; at most *kills* processes are killed."""
        self.seed = seed
        self.random = Random(seed)
        self.world = World(folder, self.random)
        self.shell = Shell(folder)
        self.witness = Witness(self.world)
        self.tally = Tally.empty()
        self.kill_rate = kill_rate
        self.kills_left = kills
        self.history: list[str] = []
        self._wounds: list[tuple[str, str]] = []
        """Kills that no command has ended well after yet."""

        self._is_kept = False
        self._is_damaged = False
        """True until a restore has come to its end."""

        self._passages: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    # ------------------------------------------------------------- one command

    def do(self, *arguments: str, persistent: bool = False) -> dict[str, Any]:
        """Type a command until it ends by itself, or, unless *persistent*, until a kill; return its envelope."""
        words = [*arguments, "--json", "--quiet"]
        name = arguments[0]
        self.witness.seq_before = self.witness.newest_seq()
        while True:
            ran = self._type_once(name, words)
            if ran.status is not None:
                break
            self._wounds.append((name, ran.label))
            if not persistent and self.random.random() < GIVES_UP:
                return {}
        self._passages[name] = int(ran.label.removeprefix("passed ") or 0) if "passed" in ran.label else 40
        self._seconds[name] = ran.seconds
        self._judge(name, ran)
        found = self._look(after_kill=False, has_traded=name in TRADING and ran.status in {0, 4, 8})
        if not found:
            self.tally.recoveries.update(self._wounds)
        self._wounds.clear()
        envelope = _envelope(ran.out)
        if envelope:
            self.witness.acknowledge(name, envelope)
        return envelope

    def _type_once(self, name: str, words: list[str]) -> Ran:
        plan, kill_after, cold = self._next_plan(name)
        ran = self.shell.type(words, plan, kill_after=kill_after, cold=cold)
        self.history.append(f"{' '.join(words)}  # {plan or kill_after or ''} -> {ran.status} {ran.label}")
        self.tally.commands[name] += 1
        if ran.status is None:
            self.kills_left -= 1
            self.tally.kills[name, ran.label] += 1
            if "HANGS" in ran.err:
                self._violation("it hung for a minute")
            self._look(after_kill=True, has_traded=False)
            envelope = _envelope(ran.out)
            if envelope:
                self.witness.acknowledge(name, envelope)
        return ran

    def _next_plan(self, name: str) -> tuple[Plan, float | None, bool]:
        """Draw whether, when and how the next process ends."""
        draw = self.random.random
        cold = draw() < 0.03
        if self.kills_left <= 0 or draw() >= self.kill_rate:
            return Plan(), None, cold
        kind = draw()
        if kind < 0.15:
            longest = self._seconds.get(name, 0.1)
            return Plan(), self.random.uniform(0.002, longest * (4 if cold else 1.1)), cold
        how = "power" if draw() < 0.3 else "kill"
        if kind < 0.55:
            return Plan(how, self.random.choice(RARE_POINTS), self.random.choice((1, 1, 1, 2, 2, 3, 4, 6))), None, cold
        return Plan(how, "any", self.random.randint(1, max(5, self._passages.get(name, 40)))), None, cold

    def _judge(self, name: str, ran: Ran) -> None:
        """Check exit status and words of a command that ended by itself."""
        if "Traceback" in ran.err + ran.out:
            self._violation(f"traceback: {ran.err[-1500:]}")
        if ran.status not in ALLOWED.get(name, {0}):
            self._violation(f"exit status {ran.status}: {ran.out[-600:]} {ran.err[-600:]}")
        if not _envelope(ran.out):
            self._violation(f"no envelope: {ran.out[:200]} {ran.err[-800:]}")

    def _look(self, *, after_kill: bool, has_traded: bool) -> list[str]:
        if after_kill and self._is_damaged:
            return []
        self._is_damaged = False
        try:
            found = self.witness.after_kill() if after_kill else self.witness.after_command(has_traded=has_traded)
        except Exception:  # noqa: BLE001 - an unreadable file is a finding, too
            found = [f"cannot look: {traceback.format_exc()[-1200:]}"]
        for sentence in found:
            self._violation(sentence)
        if found and not self._is_kept:
            self._is_kept = True
            shutil.copytree(self.world.state_dir, self.world.folder / "state-at-first-violation")
        return found

    def _violation(self, sentence: str) -> None:
        recent = "\n      ".join(self.history[-6:])
        text = f"seed {self.seed}, command {len(self.history)}: {sentence}\n      {recent}"
        if not any(sentence in known for known in self.tally.violations):
            self.tally.violations.append(text)

    # ---------------------------------------------------------------- the days

    def played_out(self) -> Tally:
        """Play to the end; what stops the play itself is a violation, too."""
        try:
            return self.play()
        except Exception:  # noqa: BLE001 - a state that cannot be read any more, for one
            self._violation(f"cannot go on: {traceback.format_exc()[-1500:]}")
            return self.tally

    def play(self) -> Tally:
        """Play every session, then sell out and check everything."""
        for day in SESSIONS[1:]:
            self._morning()
            self._noise()
            self._advance(day.isoformat())
            if self.random.random() < 0.6:
                self._noise()
        self._sell_out()
        return self.tally

    def _morning(self) -> None:
        self.witness.signals += self.world.write_signals(self.random.randint(0, 5))
        envelope = self.do("run", "--once")
        queued = [row["approval_id"] for row in (envelope.get("data") or {}).get("signals", ()) if row["approval_id"]]
        for approval_id in queued:
            draw = self.random.random()
            if draw < 0.55:
                self.do("approve", approval_id, "--yes")
            elif draw < 0.75:
                self.do("approve", approval_id, "--reject", "--reason", "no")
        if self.random.random() < 0.2:
            self.do("approve", "--all", "--yes")

    def _noise(self) -> None:
        """Do what a person might."""
        for _ in range(self.random.randint(0, 3)):
            draw = self.random.random()
            held = sorted(self.world.store().view().positions)
            if draw < 0.55 and held:
                self._close(self.random.choice(held))
            elif draw < 0.75:
                self.do(self.random.choice(("halt", "reduce")), "--reason", f"r{self.random.randint(1, 99)}")
                if self.random.random() < 0.5:
                    self.do("run", "--once")
                self.do("resume", "--reason", f"r{self.random.randint(1, 99)}")
            elif draw < 0.80:
                self.do("state", "backup")
            elif draw < 0.88:
                self._ruin()
            else:
                self.do("run", "--once")

    def _ruin(self) -> None:
        """Damage the state file as a bad disk might: every command stops, and a restore brings everything back.

        Events that a killed process left in the outbox are in this file alone, so then it stays as it is.
        """
        path = self.world.state_dir / "state.json"
        if not path.exists() or self.world.store().view().outbox:
            return
        content = bytearray(path.read_bytes())
        match self.random.randrange(3):
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(content[: self.random.randrange(len(content))])
            case _:
                content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(7)
                path.write_bytes(content)
        self.history.append("the state file is damaged")
        ran = self.shell.type(["run", "--once", "--json"], Plan())
        if ran.status != DAMAGED or "apex state" not in ran.out or "Traceback" in ran.err:
            self._violation(f"a damaged state was met with {ran.status}: {ran.out[-500:]} {ran.err[-500:]}")
        self._is_damaged = True
        self.do("state", "restore", "--yes", persistent=True)
        self.do("resume", "--reason", "restored")
        self.do("run", "--once")

    def _close(self, key: str) -> None:
        draw = self.random.uniform(0.3, 1.2) if self.world.is_together else self.random.random()
        if draw < 0.4:
            self.do("close", key, "--yes")
        elif draw < 0.75:
            self.do("close", key, "--fraction", self.random.choice(("0.5", "0.3", "0.9")), "--yes")
        elif draw < 0.9:
            price = self.world.store().view().positions[key].current_price
            factor = self.random.choice((98, 99, 101, 102))
            self.do("close", key, "--limit", f"{price * factor / 100:.2f}", "--yes")
        else:
            self.do("close", "--all", "--yes")

    def _advance(self, day: str) -> None:
        """Let a session pass, as a whole or bar by bar."""
        if self.random.random() < 0.5:
            for _ in range(self.random.randint(1, 3)):
                self.do("run", "--max-cycles", "1")
                if self.random.random() < 0.3:
                    self.witness.signals += self.world.write_signals(self.random.randint(1, 3))
                    self.do("run", "--once")
                if self.random.random() < 0.2:
                    self._noise()
        self.do("run", "--once", "--bars-until", day)

    def _sell_out(self) -> None:
        """End everything, unkilled, and look at it all."""
        self.kills_left = 0
        self.do("resume", "--reason", "end")
        self.do("state", "backup")
        self.witness.signals += self.world.write_signals(2)
        self.do("run", "--once")
        self.do("approve", "--all", "--reject")
        self.do("close", "--all", "--yes")
        self.do("run", "--once")
        book = self.world.book()
        if book is not None:
            if book.venue.positions:
                self._violation(f"still held after everything was closed: {book.venue.positions}")
            exits = {key: could for key, could in effective_exits(book).items() if could}
            if exits:  # those of an entry that works on may fill nothing before it does
                self._violation(f"flat, but exits still work: {exits}")
        for sentence in (*self.witness.unanswered(), *self.witness.litter()):
            self._violation(sentence)
        self.tally.traded.update(self.witness.traded())
        envelope = self.do("state", "check")
        for finding in (envelope.get("data") or {}).get("findings", ()):
            if finding["level"] != "ok":
                self._violation(f"state check: {finding}")


def _envelope(text: str) -> dict[str, Any]:
    """Return the envelope: all of *text*, or what follows the events of a loop on its last line."""
    try:
        found: dict[str, Any] = json.loads(text if text.startswith("{\n") else text.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return found
