"""Handles: the short names in the ``#`` column of a list, for those who do not type ids.

Orders are ``o1``, ``o2`` ... (``apex orders``), closed trades ``h1``, ``h2`` ... (``apex history``), both counted from
the oldest at hand, so that a later one moves none. Positions are ``p1``, ``p2`` ... by symbol (``apex positions``,
``apex risk``). Signals are plain numbers, the newest first (``apex explain``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.ports import JournalReader
from apex_cli.core.positions.position_views import position_of_handle
from apex_cli.core.reports.story import Story, find_recent, find_subjects, recent_signals, story_of
from apex_cli.core.reports.trade_report import final_bookings
from apex_cli.core.state.events.base_event import kind_of
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.position_events import RoundTripClosed
from apex_cli.core.state.events.signal_events import Decided
from apex_cli.core.state.tables import State, known_name

ORDER, TRADE = "o", "h"
"""First letters of the handles of orders and of closed trades: those of their commands."""


def order_handles(state: State) -> dict[str, str]:
    """Return the handle of each order that is at hand, by its ``client_order_id``."""
    oldest_first = sorted(state.orders.values(), key=lambda each: (each.created_at, each.order.client_order_id))
    return {each.order.client_order_id: f"{ORDER}{number}" for number, each in enumerate(oldest_first, start=1)}


def order_of_handle(state: State, handle: str) -> OrderRecord | None:
    """Return the order that *handle*, such as ``o3``, stands for; None for any other word."""
    if _number_of(handle, ORDER) is None:
        return None
    named = {each: client_order_id for client_order_id, each in order_handles(state).items()}
    found: OrderRecord | None = state.orders.get(named.get(handle.lower(), ""))
    return found


def closed_round_trips(journal: JournalReader) -> Iterator[RoundTrip]:
    """Yield round trips as they were last booked, oldest first.

    A late or corrected fill books a round trip again or voids it; only then is the journal read twice.
    """
    final = final_bookings(journal)
    for row in journal.events(kind=kind_of(RoundTripClosed)):
        event = read_event(row)
        if isinstance(event, RoundTripClosed) and final.get(event.data.round_trip_id, event.seq) == event.seq:
            yield event.data


def with_handles(trips: Iterable[RoundTrip]) -> Iterator[tuple[str, RoundTrip]]:
    """Yield each of all round trips, oldest first, behind its handle."""
    return ((f"{TRADE}{number}", trip) for number, trip in enumerate(trips, start=1))


def trade_of_handle(journal: JournalReader, handle: str) -> RoundTrip | None:
    """Return the closed trade that *handle*, such as ``h3``, stands for; None for any other word."""
    number = _number_of(handle, TRADE)
    return None if number is None else next(islice(closed_round_trips(journal), number - 1, None), None)


def read_story(journal: JournalReader, subject: str) -> Story:
    """Return the story of *subject*, as the journal has it."""

    def find(seq: int) -> OutboxRow | None:
        return next((row for row in journal.events(kind=kind_of(Decided)) if row.seq == seq), None)

    return story_of(subject, journal.events(subject=subject), find)


def subjects_of(journal: JournalReader, state: State, name: str) -> tuple[str, ...]:
    """Return the subjects that *name* stands for: an id, a symbol, a handle, or the beginning of a signal's id.

    A number of the list of recent signals comes before an order's number at the broker; what is somebody's name, such
    as the ticker ``O1``, comes before any other handle.
    """
    recent = recent_signals(journal.events())
    listed = find_recent(recent, name) if name.isdecimal() else None
    subjects = (listed,) if listed else find_subjects(journal.events(), known_name(state, name))
    if subjects:
        return subjects
    held = position_of_handle(state.positions, name)
    if held is not None:
        bracket = state.brackets.get(state.positions[held].position.bracket_id)
        return find_subjects(journal.events(), bracket.signal_id if bracket else held)
    order = order_of_handle(state, name)
    trade = None if order else trade_of_handle(journal, name)
    if order is not None:
        return find_subjects(journal.events(), order.order.client_order_id)
    if trade is not None:
        return find_subjects(journal.events(), trade.signal_id)
    named = find_recent(recent, name)
    return (named,) if named else ()


def _number_of(handle: str, letter: str) -> int | None:
    digits = handle[1:]
    is_one = handle[:1].lower() == letter and digits.isascii() and digits.isdecimal() and int(digits[:9]) > 0
    return int(digits[:9]) if is_one else None
