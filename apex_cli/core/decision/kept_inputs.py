"""Delta encoding of the inputs of decisions: the journal holds a list of positions once, not with each decision.

The first decision of a process is written with its lists. A later one refers to it and holds the differences; where
these are long, it is written with its lists again. Each record refers to one other record at most.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar
from zlib import crc32

import msgspec
from msgspec.structs import replace

from apex_cli.core.model.decision import Exposure, Snapshot
from apex_cli.core.state.events.signal_events import DecisionRecord, KeptInputs

Run = tuple[int, int]
T = TypeVar("T", bound=Hashable)

_encode = msgspec.json.Encoder().encode


def by_reference(record: DecisionRecord, base: tuple[int, Snapshot]) -> DecisionRecord:
    """Return *record* with its long lists as differences from those of *base*; as it is where that is not shorter.

    Args:
        record: with all its inputs.
        base: number and snapshot of an earlier decision whose event holds its lists.
    """
    snapshot = record.snapshot
    exposures = tuple(_runs(base[1].exposures, snapshot.exposures))
    opened = tuple(_runs(base[1].day_trades.opened_today, snapshot.day_trades.opened_today))
    if (len(exposures) + len(opened)) ** 2 > 2 * _size(snapshot):
        return record
    kept = KeptInputs(base=base[0], exposures=exposures, opened_today=opened, mark=_mark(snapshot))
    return replace(record, snapshot=_with_lists(snapshot, (), ()), kept=kept)


def whole_record(record: DecisionRecord, base: DecisionRecord | None) -> DecisionRecord:
    """Return *record* with all its inputs.

    Args:
        record: as the journal has it.
        base: the record of the event that it refers to; not looked at when it refers to none.

    Raises:
        ValueError: *base* is missing, or not the one that was meant.
    """
    kept = record.kept
    if kept is None:
        return record
    if base is None or base.kept is not None:
        raise ValueError(f"its inputs refer to event {kept.base}, which does not hold them")
    exposures = tuple(_joined(base.snapshot.exposures, kept.exposures))
    opened = tuple(_joined(base.snapshot.day_trades.opened_today, kept.opened_today))
    snapshot = _with_lists(record.snapshot, exposures, opened)
    if _mark(snapshot) != kept.mark:
        raise ValueError(f"its inputs do not follow from event {kept.base}")
    return replace(record, snapshot=snapshot, kept=None)


def _size(snapshot: Snapshot) -> int:
    return len(snapshot.exposures) + len(snapshot.day_trades.opened_today)


def _mark(snapshot: Snapshot) -> int:
    return crc32(_encode((snapshot.exposures, snapshot.day_trades.opened_today)))


def _with_lists(snapshot: Snapshot, exposures: tuple[Exposure, ...], opened: tuple[str, ...]) -> Snapshot:
    day_trades = replace(snapshot.day_trades, opened_today=opened)
    return replace(snapshot, exposures=exposures, day_trades=day_trades)


def _runs(base: Sequence[T], wanted: Sequence[T]) -> Iterator[Run | T]:
    """Yield *wanted* as runs of places in *base* and, one by one, what *base* has not."""
    first, end = 0, _common(base, wanted)
    rest = wanted[end:]
    places = {value: place for place, value in enumerate(base)} if rest else {}
    for value in rest:
        if end > first and end < len(base) and base[end] == value:
            end += 1
            continue
        if end > first:
            yield (first, end)
        place = places.get(value)
        if place is None:
            first = end = 0
            yield value
        else:
            first, end = place, place + 1
    if end > first:
        yield (first, end)


def _common(base: Sequence[T], wanted: Sequence[T]) -> int:
    """Return how many values both begin with."""
    pairs = enumerate(zip(base, wanted, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(base), len(wanted)))


def _joined(base: Sequence[T], runs: Sequence[Run | T]) -> Iterator[T]:
    for run in runs:
        if isinstance(run, tuple):
            yield from base[run[0] : run[1]]
        else:
            yield run
