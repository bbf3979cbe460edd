"""The coordinator's bus: how many signals wait on it at once, and in which order they leave it.

Signals are routed as they came, and all of them before the first is decided on; opportunities leave with the highest
rank first. A signal that the bus has no room for ends with a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apex_cli.core.model.signal import Opportunity, Signal


class Incoming(NamedTuple):
    """A signal as it came in, and where from."""

    signal: Signal
    where: str = ""


class Ranked(NamedTuple):
    """A scored signal, ready for the decision."""

    opportunity: Opportunity
    where: str = ""


def strongest(waiting: Sequence[Incoming], capacity: int) -> tuple[list[Incoming], list[Incoming]]:
    """Return what a bus of *capacity* keeps, and what it drops: the least confidence first, of equals the oldest."""
    by_strength = sorted(range(len(waiting)), key=lambda number: waiting[number].signal.confidence or 0)
    dropped = set(by_strength[: max(0, len(waiting) - capacity)])
    kept = [each for number, each in enumerate(waiting) if number not in dropped]
    return kept, [waiting[number] for number in sorted(dropped)]


def best_first(ranked: Iterable[Ranked]) -> list[Ranked]:
    """Return opportunities by their rank, the highest first; equals stay as they came."""
    return sorted(ranked, key=lambda each: each.opportunity.rank, reverse=True)
