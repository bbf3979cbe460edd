"""Delivers committed events to one channel: at least once, in order, without delaying the process that emitted them.

The journal is the queue. A channel that is slow or dead falls behind in it and costs nothing but the distance; what
it delivers next is read when it can be delivered. Before each notice its number is written down, and after it the new
place: a process that is killed in between sends that one again, and says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.delivery import Delivery, Place
from apex_cli.core.model.notice import LOW_PRIORITY, Loudness, Notice, NoticeKind, QuietHours
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.ports import Clock, DeliveryError, Notifier

MOST_HELD = 50
"""Notices held over the quiet hours; beyond it the oldest go, with a count."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)

Read = Callable[[OutboxRow], Notice | None]
"""Makes a notice of an event; None where no notice is needed."""


class Tail(Protocol):
    """The journal, from a place on."""

    def end(self) -> Place:
        """Return the place behind everything there is now."""

    def read(self, after: Place) -> Sequence[tuple[OutboxRow, Place]]:
        """Return some of the next events, each with the place behind it; empty when there is nothing new."""


class Ledger(Protocol):
    """Where a channel's place is kept."""

    def exists(self) -> bool:
        """Return whether the channel was ever begun."""

    def load(self) -> Delivery:
        """Return where it stands."""

    def save(self, delivery: Delivery) -> None:
        """Keep where it stands."""


class Policy(Value, frozen=True, kw_only=True):
    """Which notices a channel receives, and when."""

    loudness: dict[NoticeKind, Loudness] = {}
    """Kinds that are not in it are delivered."""

    only: tuple[NoticeKind, ...] = ()
    """The kinds this channel is for; empty: all."""

    quiet: QuietHours | None = None
    time_zone: str = "America/New_York"

    def loudness_of(self, kind: NoticeKind) -> Loudness:
        """Return the loudness of *kind* on this channel."""
        if self.only and kind not in self.only:
            return Loudness.OFF
        return self.loudness.get(kind, Loudness.ON)

    def is_quiet(self, now: datetime) -> bool:
        """Return whether low priority waits at *now*."""
        return self.quiet is not None and now.astimezone(ZoneInfo(self.time_zone)).time() in self.quiet


class Step(Enum):
    """What one step of a courier came to."""

    IDLE = auto()
    """Everything is delivered."""

    MOVED = auto()
    SENT = auto()
    WAITING = auto()
    """The last attempt failed, and the next one is not due yet."""


def begin(ledger: Ledger, tail: Tail) -> None:
    """Let a channel that is new start from now: what happened before it was set up is no news."""
    if not ledger.exists():
        ledger.save(Delivery(place=tail.end()))


class Courier:
    """Delivers to one channel; whoever runs it holds the channel's lock."""

    def __init__(
        self, *, notifier: Notifier, tail: Tail, ledger: Ledger, read: Read, policy: Policy, clock: Clock
    ) -> None:
        """Go on where the channel stands; *clock* is the machine's."""
        self._notifier = notifier
        self._tail = tail
        self._ledger = ledger
        self._read = read
        self._policy = policy
        self._clock = clock
        self._ahead: deque[tuple[OutboxRow, Place]] = deque()
        self._now = ledger.load()
        self._is_saved = True

    @property
    def standing(self) -> Delivery:
        """Where the channel stands."""
        return self._now

    def pause_s(self) -> float:
        """Return the seconds until the next attempt is due; 0 when it is."""
        due = self._now.next_try_at
        return max(0.0, (due - self._clock.now()).total_seconds()) if due else 0.0

    def save(self) -> None:
        """Save the position if it moved over events without a notice."""
        if not self._is_saved:
            self._keep(self._now)

    async def step(self, *, is_last_chance: bool = False) -> Step:
        """Send the next notice, or pass over one event; *is_last_chance* tries at once what waits to be tried again."""
        if self.pause_s() and not is_last_chance:
            return Step.WAITING
        if self._now.held and not self._policy.is_quiet(self._clock.now()):
            return await self._release()
        if not self._ahead:
            self._ahead.extend(self._tail.read(self._now.place))
        if not self._ahead:
            self.save()
            return Step.IDLE
        return await self._pass_on(*self._ahead[0])

    async def _pass_on(self, event: OutboxRow, place: Place) -> Step:
        """Report one event, hold it back, or pass over it."""
        notice = self._read(event)
        loudness = self._policy.loudness_of(notice.kind) if notice else Loudness.OFF
        if notice is None or loudness is Loudness.OFF:
            self._move(replace(self._now, place=place))
            return Step.MOVED
        if notice.priority >= LOW_PRIORITY and self._policy.is_quiet(self._clock.now()):
            self._keep(_held(replace(self._now, place=place), notice))
            self._ahead.popleft()
            return Step.MOVED
        if not await self._send(notice, is_silent=loudness is Loudness.SILENT):
            return Step.WAITING
        self._keep(replace(self._now, place=place, sending=0))
        self._ahead.popleft()
        return Step.SENT

    async def _release(self) -> Step:
        """Report the first of what was held back; it is gone from the file only when it arrived."""
        first, *rest = self._now.held
        if over := self._now.held_over:
            dropped = f"Dropped before this one, as more than {MOST_HELD} came in the quiet hours: {over}"
            first = replace(first, lines=(*first.lines, dropped))
        if not await self._send(first, is_silent=self._policy.loudness_of(first.kind) is Loudness.SILENT):
            return Step.WAITING
        self._keep(replace(self._now, held=tuple(rest), held_over=0, sending=0))
        return Step.SENT

    async def _send(self, notice: Notice, *, is_silent: bool) -> bool:
        """Send one notice; True when it is done with, delivered or never to be taken."""
        is_repeat = self._now.sending == notice.event_id
        self._keep(replace(self._now, sending=notice.event_id))
        try:
            await self._notifier.notify(notice, is_silent=is_silent, is_repeat=is_repeat)
        except DeliveryError as error:
            return self._failed(error, is_repeat=is_repeat)
        now = self._clock.now()
        self._now = replace(
            self._now, delivered=self._now.delivered + 1, attempts=0, last_success_at=now, next_try_at=None
        )
        return True

    def _failed(self, error: DeliveryError, *, is_repeat: bool) -> bool:
        now = self._clock.now()
        self._now = replace(
            self._now,
            failures=self._now.failures + 1,
            attempts=self._now.attempts + 1,
            last_error=error.reason,
            last_error_at=now,
        )
        if error.is_final:
            self._now = replace(self._now, given_up=self._now.given_up + 1, attempts=0, next_try_at=None)
            return True
        pause = pause_after(self._now.attempts, error.retry_after_s)
        sending = self._now.sending if error.is_unsure or is_repeat else 0
        self._keep(replace(self._now, sending=sending, next_try_at=now + pause))
        return False

    def _move(self, standing: Delivery) -> None:
        """Pass over an event without writing: reading it again costs nothing."""
        self._now = standing
        self._is_saved = False
        self._ahead.popleft()

    def _keep(self, standing: Delivery) -> None:
        self._ledger.save(standing)
        self._now = standing
        self._is_saved = True


def pause_after(attempts: int, retry_after_s: float | None = None) -> timedelta:
    """Return how long to wait after so many failed *attempts*: twice as long each time, up to five minutes.

    What the other side asks for (``retry_after``) is the least.

    >>> pause_after(1), pause_after(4), pause_after(99).seconds
    (datetime.timedelta(seconds=1), datetime.timedelta(seconds=8), 300)
    """
    doubled: int = 2 ** min(attempts - 1, 20)
    pause = min(FIRST_PAUSE * doubled, LONGEST_PAUSE)
    return max(pause, timedelta(seconds=retry_after_s or 0))


def _held(standing: Delivery, notice: Notice) -> Delivery:
    """Hold *notice* back; the oldest goes when there are too many."""
    held = (*standing.held, notice)
    over = max(0, len(held) - MOST_HELD)
    return replace(standing, held=held[over:], held_over=standing.held_over + over)
