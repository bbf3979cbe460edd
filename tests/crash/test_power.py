"""The power fails at any step of any commit: nothing that was done is lost, no event is doubled or missing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from crash_disk import Disk, WatchedOs

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state import storage, write_ahead_log
from apex_cli.core.adapters.state.check import check
from apex_cli.core.adapters.state.restoration import Replay, restore
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.model.health import Level
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from kit import FixedClock, an_event

pytestmark = [
    pytest.mark.skipif(not write_ahead_log.boot_id(), reason="a log needs a system that tells its boots apart"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COMMITS = 9
STRIDE = 1 if "CRASH_KILLS" in os.environ else 7
"""Every so many steps the power fails."""


class Habit(NamedTuple):
    """How commits are made."""

    shift: int
    """So many by one process, then as many by another."""

    whole_first: int
    room: int
    """Bytes in a log."""

    has_upkeep: bool = False
    """Whether a third process makes backups, restores or begins anew between them."""


HABITS = (
    Habit(COMMITS, 1, 2500),
    Habit(COMMITS, 2, 1 << 16),
    Habit(2, 1, 1 << 16),
    Habit(4, 1, 2500),
    Habit(2, 1, 1 << 16, has_upkeep=True),
    Habit(COMMITS, 1, 1 << 16, has_upkeep=True),
)


def count(store: TinyDbStore, clock: FixedClock) -> int:
    """Commit one change with its event; every third has none."""
    with store.transaction() as state:
        number = state.counters.entries_today + 1
        state.counters = msgspec.structs.replace(state.counters, entries_today=number)
        if number % 3:
            state.emit(an_event(str(number), at=clock.now()))
    return number


def journalled(store: TinyDbStore) -> list[int]:
    return [int(row.subject) for row in store.journal.events()]


def with_events(last: int) -> list[int]:
    return [number for number in range(1, last + 1) if number % 3]


def boot(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take this for another boot of the machine from here on."""
    for module in (storage, write_ahead_log):
        monkeypatch.setattr(module, "boot_id", lambda: name)


def back_up(stores: list[TinyDbStore]) -> None:
    stores[2].backup_now()


def mend(stores: list[TinyDbStore]) -> None:
    restore(stores[2], replay=Replay(SilentState, rebuild))


def begin_anew(stores: list[TinyDbStore]) -> None:
    stores[0] = TinyDbStore(stores[0].state_dir, clock=stores[0].clock)


def change_places(stores: list[TinyDbStore]) -> None:
    stores.append(stores.pop(0))


UPKEEP = (back_up, mend, begin_anew, change_places)


def strike(disk: Disk, step: int) -> None:
    """Let the power of this process fail at the n-th step of its work on files."""
    passed = 0

    def fault(_point: str, _path: Path) -> None:
        nonlocal passed
        passed += 1
        if passed > step:
            lose_power(disk)

    atomic_file.os = WatchedOs(disk, lambda *_: None)  # type: ignore[attr-defined, assignment]
    atomic_file._fault = fault


def work_until_power_fails(folder: Path, step: int, random: Random, habit: Habit, acknowledged: int) -> None:
    """Commit, by one process or by two in turn, until the power fails at the n-th step; report each commit."""
    clock = FixedClock()
    stores = [TinyDbStore(folder, clock=clock) for _ in range(3)]
    storage.WHOLE_FIRST, write_ahead_log.ROOM = habit.whole_first, habit.room
    strike(Disk(random), step)
    for number in range(COMMITS):
        clock.advance(minutes=random.choice((0, 0, 0, 0, 20, 20 * 24 * 60)))
        os.write(acknowledged, bytes([count(stores[number // habit.shift % 2], clock)]))
        if habit.has_upkeep:
            random.choice(UPKEEP)(stores)


def acknowledged_before_power_failed(folder: Path, step: int, random: Random, habit: Habit) -> tuple[int, bool]:
    """Return the last commit that was reported, and whether all were."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work_until_power_fails(folder, step, random, habit, writing)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        reported = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}
    return (reported[-1] if reported else 0), status == 0


def lose_power(disk: Disk) -> None:
    disk.lose_power()
    os.kill(os.getpid(), signal.SIGKILL)


def recover_until_power_fails(folder: Path, step: int, random: Random) -> bool:
    """Look at the state in a boot in which the power fails again at the n-th step; return whether it did not."""
    child = os.fork()
    if child == 0:
        try:
            disk = Disk(random)
            strike(disk, step)
            TinyDbStore(folder, clock=FixedClock()).view()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("habit", HABITS)
def test_a_power_failure_at_any_step_loses_no_commit_and_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, habit: Habit
) -> None:
    for step in range(HABITS.index(habit), 400, STRIDE):
        folder, random = tmp_path / str(step), Random(HABITS.index(habit) * 1000 + step)
        boot(monkeypatch, "first")
        last, is_over = acknowledged_before_power_failed(folder, step, random, habit)
        for number in range(random.choice((0, 0, 3))):
            boot(monkeypatch, f"boot-{number}")
            recover_until_power_fails(folder, random.randrange(12), random)
        boot(monkeypatch, "last")
        store = TinyDbStore(folder, clock=FixedClock())
        seen = store.view().counters.entries_today
        assert last <= seen <= last + 1, step
        assert not store.storage.has_log() or is_over or last == 0, step
        assert count(store, FixedClock()) == seen + 1
        assert journalled(store) == with_events(seen + 1), step
        assert {found.level for found in check(store)} <= {Level.OK}, step
        if is_over:
            break
    assert step > 40
