"""Law 5: a process that dies at any commit loses, doubles and unprotects nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import StateError
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.records import ApprovalStatus
from kit import FixedClock
from kit.faults import FailingStore
from kit.rig import Rig, auto, make_signal, manual

D = Decimal
Story = Callable[[Rig], None]


def opening(rig: Rig) -> None:
    rig.feed(
        make_signal("AAPL", now=rig.clock.now(), confidence="0.9"),
        make_signal("MSFT", now=rig.clock.now(), targets=("55", "58", "60")),
    )
    rig.price("51")
    rig.cycle()


def closing(rig: Rig) -> None:
    opening(rig)
    rig.close("AAPL", reason="enough")
    rig.close("MSFT", quantity="7")


def closing_at_a_limit(rig: Rig) -> None:
    opening(rig)
    rig.close("AAPL", limit_price="53")
    rig.close("MSFT", quantity="7", limit_price="53")
    rig.price("53", "MSFT")
    rig.cycle()


def stopping_out(rig: Rig) -> None:
    opening(rig)
    rig.price("47", "AAPL")
    rig.price("47", "MSFT")
    rig.cycle()


def approving(rig: Rig) -> None:
    opening(rig)
    for approval in rig.desk.pending():
        rig.run(rig.desk.approve(approval))


STORIES: dict[str, tuple[Story, Limits]] = {
    "opening": (opening, auto()),
    "closing": (closing, auto()),
    "closing at a limit": (closing_at_a_limit, auto()),
    "stopping out": (stopping_out, auto()),
    "approving": (approving, manual()),
}


class Machine:
    """A state folder, a venue with its own file, and a process that dies."""

    def __init__(self, folder: Path, limits: Limits, die_at: int | None) -> None:
        self.folder = folder
        self.clock = FixedClock()
        self.store = FailingStore(self._open(), fail_at=die_at, for_ever=True)
        self.rig = Rig(store=self.store, path=folder / "venue" / "book.json", limits=limits, clock=self.clock)

    def _open(self) -> TinyDbStore:
        return TinyDbStore(self.folder / "state", clock=self.clock)

    def live(self, story: Story) -> bool:
        """Return whether the process lived to the end of *story*."""
        try:
            story(self.rig)
        except StateError:
            return False
        return True

    def start_again(self) -> None:
        self.rig.restart(store=self._open())

    def sequence_numbers(self) -> list[int]:
        return [event.seq for event in self._open().journal.events()]


def check(machine: Machine) -> None:
    rig = machine.rig
    state = rig.state
    assert rig.at_venue() == {
        key: row.position.quantity * row.position.side.sign for key, row in state.positions.items()
    }
    assert not [r for r in state.orders.values() if r.status in {OrderStatus.INTENT, OrderStatus.UNKNOWN}]
    assert not [a for a in state.approvals.values() if a.status is ApprovalStatus.APPROVED]
    for symbol in ("AAPL", "MSFT"):
        assert rig.unprotected(symbol) == 0
        assert rig.most_that_exits_fill(symbol) <= rig.at_venue().get(symbol, D(0))
    brackets = [name.split("-")[1] for name in rig.entries_at_venue()]
    assert len(set(brackets)) == len({state.brackets[bracket].signal_id for bracket in brackets})
    fills = rig.run(rig.venue.snapshot()).fills
    assert {fill.key for fill in fills} == set(state.fills)
    numbers = machine.sequence_numbers()
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", STORIES)
def test_dying_at_any_commit(name: str, tmp_path: Path) -> None:
    story, limits = STORIES[name]
    for die_at in range(1, 60):
        machine = Machine(tmp_path / str(die_at), limits, die_at)
        lived = machine.live(story)
        machine.start_again()
        check(machine)
        machine.live(opening)
        if name == "approving":
            machine.live(approving)
        check(machine)
        brackets = {name.split("-")[1] for name in machine.rig.entries_at_venue()}
        assert len(brackets) == 2
        if lived:
            assert die_at > 5
            return
    pytest.fail("the story has more commits than were tried")
