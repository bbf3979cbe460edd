"""The bounded priority bus between the coordinator's stages.

Lower priority number first, then the highest rank, then first in, first out. When the bus is full
the weakest signal goes, the oldest of equals: it is handed back so that it ends with a record,
never silently.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

import msgspec

from apex_cli.core.model.signal import Opportunity, Signal


class Priority(IntEnum):
    """What goes first."""

    EXECUTE = 1
    ROUTE = 2
    ADAPT = 3


class Incoming(msgspec.Struct, frozen=True):
    """A signal as it came in, and where from."""

    signal: Signal
    where: str = ""


class Ranked(msgspec.Struct, frozen=True):
    """A scored signal, ready for the decision."""

    opportunity: Opportunity
    where: str = ""


class CheckLearning(msgspec.Struct, frozen=True):
    """A reminder to look whether the learners want to adapt."""


Message = Incoming | Ranked | CheckLearning

Strength = tuple[float, float]
"""What an opportunity is ordered by, then its score; a signal's confidence."""

EVEN: Strength = (0.0, 0.0)


class Bus:
    """Messages by priority, at most *capacity* of them."""

    def __init__(self, capacity: int) -> None:
        """Start empty."""
        self.capacity = capacity
        self._messages: dict[int, Message] = {}
        self._order: list[tuple[int, Strength, int]] = []
        self._weakest: list[tuple[Strength, int]] = []
        self._numbers = count()

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def put(self, message: Message, priority: Priority) -> Message | None:
        """Add *message*; return the one dropped for it when the bus is full (perhaps itself)."""
        number = next(self._numbers)
        strength = _strength(message)
        best_first = (-strength[0], -strength[1]) if isinstance(message, Ranked) else EVEN
        self._messages[number] = message
        heappush(self._order, (priority, best_first, number))
        heappush(self._weakest, (strength, number))
        return self._drop_weakest() if len(self._messages) > self.capacity else None

    def get(self) -> Message | None:
        """Take the next message; None from an empty bus."""
        while self._order:
            message = self._messages.pop(heappop(self._order)[2], None)
            if message is not None:
                return message
        self._weakest.clear()
        return None

    def get_best(self, most: int) -> list[Ranked]:
        """Take up to *most* ranked messages, as long as nothing else goes before them."""
        best: list[Ranked] = []
        while len(best) < most and self._order and self._order[0][0] is Priority.EXECUTE:
            message = self._messages.pop(heappop(self._order)[2], None)
            if isinstance(message, Ranked):
                best.append(message)
        return best

    def clear(self) -> None:
        """Forget every message."""
        self._messages.clear()
        self._order.clear()
        self._weakest.clear()

    def _drop_weakest(self) -> Message | None:
        while self._weakest:
            message = self._messages.pop(heappop(self._weakest)[1], None)
            if message is not None:
                return message
        return None


def _strength(message: Message) -> Strength:
    match message:
        case Ranked(opportunity=opportunity):
            first, score = opportunity.rank
            return float(first), float(score)
        case Incoming(signal=signal):
            return float(signal.confidence or 0), 0.0
        case CheckLearning():
            return float("inf"), 0.0
