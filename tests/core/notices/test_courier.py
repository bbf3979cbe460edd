from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.notifiers.delivery_file import DeliveryFile
from apex_cli.core.adapters.state.journal import Journal
from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.model.delivery import Delivery, Place
from apex_cli.core.model.notice import Loudness, Notice, NoticeKind, QuietHours
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.notices.courier import MOST_HELD, Courier, Policy, Step, begin, pause_after
from apex_cli.core.ports import DeliveryError
from kit import START, FixedClock

KINDS = {"alarm": (NoticeKind.ALARM, 1), "weights": (NoticeKind.ADAPTATION, 3), "entry": (NoticeKind.ENTRY, 1)}


def read(event: OutboxRow) -> Notice | None:
    """Make a notice of the kinds that this test knows."""
    if event.kind not in KINDS:
        return None
    kind, priority = KINDS[event.kind]
    return Notice(event_id=event.seq, kind=kind, priority=priority, at=event.at, title=event.kind)


class Friend:
    """A notifier that remembers, and fails as it is reported to."""

    min_interval_s = 0.0

    def __init__(self) -> None:
        self.heard: list[tuple[int, bool, bool]] = []
        self.notices: list[Notice] = []
        self.fails: list[DeliveryError | BaseException | None] = []

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        trouble = self.fails.pop(0) if self.fails else None
        if trouble is not None:
            raise trouble
        self.heard.append((notice.event_id, is_silent, is_repeat))
        self.notices.append(notice)

    async def close(self) -> None:
        """Do nothing."""

    @property
    def ids(self) -> list[int]:
        return [number for number, _, _ in self.heard]


class World:
    """A journal, one channel, and a clock."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.journal = Journal(folder / "journal")
        self.tail = JournalPlaces(folder / "journal")
        self.ledger = DeliveryFile(folder / "notify", "friend")
        self.friend = Friend()
        self.clock = FixedClock()
        self.policy = policy or Policy()
        self.seq = 0
        begin(self.ledger, self.tail)
        self.restart()

    def restart(self) -> None:
        """Start the courier anew on what the disk has."""
        self.courier = Courier(
            notifier=self.friend,
            tail=self.tail,
            ledger=self.ledger,
            read=read,
            policy=self.policy,
            clock=self.clock,
        )

    def happen(self, *kinds: str) -> None:
        """Write events."""
        rows = [OutboxRow(seq=self.seq + n, at=START, kind=kind) for n, kind in enumerate(kinds, 1)]
        self.seq += len(kinds)
        self.journal.append(rows)

    def deliver(self) -> Sequence[int]:
        """Step until there is nothing to do now, and return the ids reported so far."""
        while asyncio.run(self.courier.step()) in {Step.SENT, Step.MOVED}:
            pass
        return self.friend.ids


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_events_are_reported_in_their_order_and_once(world: World) -> None:
    world.happen("alarm", "order_updated", "entry")
    assert world.deliver() == [1, 3]
    world.happen("fill", "alarm")
    assert world.deliver() == [1, 3, 5]
    world.restart()
    assert world.deliver() == [1, 3, 5]
    assert not any(repeat for _, _, repeat in world.friend.heard)


def test_a_new_channel_starts_from_now(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.happen("alarm", "alarm")
    late = DeliveryFile(tmp_path / "notify", "late")
    begin(late, world.tail)
    assert late.load().place.seq == 2


def test_what_follows_a_failure_waits_so_that_the_order_stays(world: World) -> None:
    world.happen("alarm", "entry")
    world.friend.fails = [DeliveryError("down")]
    assert world.deliver() == []
    assert world.courier.standing.last_error == "down"
    assert world.courier.pause_s() == 1
    world.clock.advance(seconds=1)
    assert world.deliver() == [1, 2]
    assert (world.courier.standing.failures, world.courier.standing.attempts) == (1, 0)


def test_a_notice_that_was_surely_not_sent_is_no_repetition(world: World) -> None:
    world.happen("alarm")
    world.friend.fails = [DeliveryError("no connection")]
    world.deliver()
    world.clock.advance(seconds=1)
    world.deliver()
    assert world.friend.heard == [(1, False, False)]


def test_a_notice_that_may_have_arrived_is_sent_again_and_says_so(world: World) -> None:
    world.happen("alarm", "alarm")
    world.friend.fails = [DeliveryError("timed out", is_unsure=True), DeliveryError("no connection")]
    world.deliver()
    for _ in range(2):
        world.clock.advance(seconds=3)
        world.deliver()
    assert world.friend.heard == [(1, False, True), (2, False, False)]


def test_a_process_that_dies_while_it_sends_repeats_that_one_after_its_restart(world: World) -> None:
    world.happen("alarm", "alarm")
    world.friend.fails = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.restart()
    assert world.deliver() == [1, 2]
    assert world.friend.heard == [(1, False, True), (2, False, False)]


def test_a_notice_that_is_never_taken_is_given_up_and_counted(world: World) -> None:
    world.happen("alarm", "entry")
    world.friend.fails = [DeliveryError("too strange", is_final=True)]
    assert world.deliver() == [2]
    standing = world.courier.standing
    assert (standing.given_up, standing.delivered, standing.failures) == (1, 1, 1)


def test_the_other_side_may_ask_for_a_longer_pause(world: World) -> None:
    world.happen("alarm")
    world.friend.fails = [DeliveryError("slow down", retry_after_s=40)]
    world.deliver()
    world.clock.advance(seconds=39)
    assert world.deliver() == []
    world.clock.advance(seconds=1)
    assert world.deliver() == [1]


@given(st.integers(1, 200), st.none() | st.floats(0, 10_000))
def test_pauses_grow_up_to_five_minutes_and_never_undercut_what_was_asked(attempts: int, asked: float | None) -> None:
    pause = pause_after(attempts, asked)
    assert pause >= pause_after(max(1, attempts - 1))
    assert timedelta(seconds=asked or 0) <= pause <= max(timedelta(minutes=5), timedelta(seconds=asked or 0))


def test_kinds_can_be_silent_off_or_not_for_this_channel(tmp_path: Path) -> None:
    loudness = {NoticeKind.ALARM: Loudness.SILENT, NoticeKind.ENTRY: Loudness.OFF}
    world = World(tmp_path / "a", Policy(loudness=loudness))
    world.happen("alarm", "entry", "weights")
    world.deliver()
    assert world.friend.heard == [(1, True, False), (3, False, False)]
    only = World(tmp_path / "b", Policy(only=(NoticeKind.ENTRY,)))
    only.happen("alarm", "entry")
    assert only.deliver() == [2]


class TestQuietHours:
    NIGHT = Policy(quiet=QuietHours(start=time(22), end=time(12)), time_zone="UTC")

    def test_low_priority_waits_for_their_end_and_high_priority_does_not(self, tmp_path: Path) -> None:
        world = World(tmp_path, self.NIGHT)
        world.clock.set(START.replace(hour=23))
        world.happen("weights", "alarm")
        assert world.deliver() == [2]
        world.restart()
        world.clock.set(START.replace(hour=12) + timedelta(days=1))
        assert world.deliver() == [2, 1]
        assert world.ledger.load().held == ()

    def test_what_is_held_is_bounded_and_what_did_not_fit_is_counted(self, tmp_path: Path) -> None:
        world = World(tmp_path, self.NIGHT)
        world.clock.set(START.replace(hour=23))
        world.happen(*["weights"] * (MOST_HELD + 7))
        world.deliver()
        standing = world.ledger.load()
        assert (len(standing.held), standing.held_over, standing.held[0].event_id) == (MOST_HELD, 7, 8)
        world.clock.set(START.replace(hour=12) + timedelta(days=1))
        assert len(world.deliver()) == MOST_HELD
        assert [line for notice in world.friend.notices for line in notice.lines if line.startswith("Dropped")] == [
            f"Dropped before this one, as more than {MOST_HELD} came in the quiet hours: 7"
        ]
        assert world.ledger.load().held_over == 0

    @given(st.times(), st.times(), st.times())
    def test_an_hour_is_quiet_or_in_the_complement(self, start: time, end: time, clock: time) -> None:
        inside = clock in QuietHours(start=start, end=end)
        outside = clock in QuietHours(start=end, end=start)
        assert inside != outside or start == end


def test_a_dead_channel_holds_no_more_than_a_chunk_of_the_journal(world: World) -> None:
    from apex_cli.core.adapters.state import journal_cursor as journal_places

    world.happen(*["alarm"] * 20_000)
    world.friend.fails = [DeliveryError("down")]
    world.deliver()
    assert len(world.courier._ahead) * 60 <= journal_places.CHUNK
    assert world.ledger.path.stat().st_size < 1000


def test_a_damaged_place_is_no_reason_to_stop(world: World) -> None:
    world.happen("alarm")
    world.deliver()
    world.ledger.path.write_bytes(b"{nonsense")
    assert world.ledger.load() == Delivery()


def test_one_process_delivers_at_a_time(tmp_path: Path) -> None:
    mine, theirs = (DeliveryFile(tmp_path / "notify", "friend") for _ in range(2))
    assert mine.take()
    assert not theirs.take()
    mine.drop()
    assert theirs.take()
    theirs.drop()


def test_places_are_private(world: World) -> None:
    world.ledger.save(Delivery(place=Place(seq=1)))
    assert world.ledger.path.stat().st_mode & 0o777 == 0o600
    assert world.ledger.path.parent.stat().st_mode & 0o777 == 0o700
