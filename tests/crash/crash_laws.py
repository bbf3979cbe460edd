"""What must hold whatever was killed: apex's state and journal against the broker's own books.

A ``Witness`` looks after every command and remembers everything that was ever in the books.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from crash_world import World

from apex_cli.core.adapters.simulated.book_file import SimulatedBook
from apex_cli.core.adapters.state.journal import encode_event
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.positions.ledger import fold
from apex_cli.core.state.tables import State
from apex_cli.core.venue.book import VenueOrder

V = TypeVar("V")

MANAGED = frozenset(
    {"round_trip_closed", "alarm", "repriced", "trail_started", "stop_replaced", "stop_moved", "time_exit"}
)
"""Kinds of events that are counted."""

OUR_OWN_WORD = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN})


class Event:
    """One line of the journal."""

    __slots__ = ("data", "kind", "seq", "subject")

    def __init__(self, line: str) -> None:
        """Read it; what stands at its default may be left out."""
        try:
            row = json.loads(line)
        except ValueError:
            row = {"seq": -1, "kind": f"unreadable: {line[:80]!r}"}
        self.seq: int = row["seq"]
        self.kind: str = row["kind"]
        self.subject: str = row.get("subject", "")
        self.data: dict[str, Any] = row.get("data") or {}

    def read(self, kind: type[V]) -> V:
        """Return its payload as a value."""
        return msgspec.convert(self.data, kind, strict=False)


def effective_exits(book: SimulatedBook, *, stops_only: bool = False) -> dict[tuple[str, int], Decimal]:
    """Return, by instrument key and sign of the side, what exits on the market may fill; an OCA group counts once."""
    groups = {group.name: group for group in book.venue.groups}
    by_group: dict[tuple[str, int, str], Decimal] = {}
    for row in book.venue.orders:
        terms = row.order
        if row.status is not OrderStatus.WORKING or terms.role is OrderRole.ENTRY or not row.rank:
            continue
        if stops_only and not terms.order_type.is_stop:
            continue
        is_grouped = terms.parent_id is not None or terms.oca_group is not None
        name = terms.oca_group or (f"{terms.parent_id}/{terms.tranche}" if is_grouped else terms.client_order_id)
        left = row.quantity - row.filled_quantity
        group = groups.get(name)
        if group is not None and group.allowed is not None:
            left = min(left, group.allowed - group.filled)
        mark = (terms.instrument.key, terms.side.sign, name)
        by_group[mark] = max(by_group.get(mark, ZERO), left)
    sums: dict[tuple[str, int], Decimal] = {}
    for (key, sign, _), quantity in by_group.items():
        sums[key, sign] = sums.get((key, sign), ZERO) + quantity
    return sums


def holdings(book: SimulatedBook) -> dict[str, Decimal]:
    """Return signed quantities by instrument key."""
    return {row.instrument.key: row.quantity for row in book.venue.positions if row.quantity}


class Witness:
    """Everything that was ever seen, and the violations found."""

    def __init__(self, world: World) -> None:
        """Know nothing yet."""
        self.world = world
        self.fills: dict[str, Fill] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.brackets: dict[str, BracketRecord] = {}
        self.acknowledged: list[tuple[str, str, str]] = []
        """Kind, id and word of what a finished command reported."""

        self.signals: list[str] = []
        self.seq_before = 0
        """Newest event before the running command was first started."""

    def at(self, folder: Path) -> Witness:
        """Return a witness with the same memory for a copy of the world in *folder*."""
        twin = copy(self)
        twin.world = self.world.moved_to(folder)
        twin.fills, twin.orders, twin.brackets = dict(self.fills), dict(self.orders), dict(self.brackets)
        twin.acknowledged, twin.signals = list(self.acknowledged), list(self.signals)
        return twin

    # ------------------------------------------------------------------ looks

    def newest_seq(self) -> int:
        """Return the number of the journal's last event."""
        events = self.journal()
        return events[-1].seq if events else 0

    def journal(self) -> list[Event]:
        """Return every whole line."""
        events: list[Event] = []
        for path in sorted((self.world.state_dir / "journal").glob("*.jsonl")):
            events.extend(Event(line) for line in path.read_text().split("\n")[:-1])
        return events

    def remember(self, state: State, book: SimulatedBook | None) -> None:
        """Keep what may leave the hot tables and the books."""
        self.brackets.update(state.brackets)
        if book is not None:
            self.fills.update({fill.key: fill for fill in book.venue.fills})
            self.orders.update({row.order.client_order_id: row for row in book.venue.orders})

    def after_kill(self) -> list[str]:
        """Look right after a violent end: nothing is unreadable, no entry came twice, no exit is in excess."""
        state, book = self.world.store().view(), self.world.book()
        self.remember(state, book)
        found = list(self._one_entry_a_signal())
        if book is not None:
            found += self._no_excess_exits(book)
        events = self.journal()
        found += self._gapless(events, state)
        return found

    def after_command(self, *, has_traded: bool) -> list[str]:
        """Look after a command that ended by itself; one that *has_traded* has talked to the broker."""
        state, book = self.world.store().view(), self.world.book()
        self.remember(state, book)
        events = self.journal()
        found = [*self._one_entry_a_signal(), *self._gapless(events, state)]
        events += self._waiting(state, events)
        found += self._single(events)
        found += self._still_there(events, state)
        if book is None:
            return found
        found += self._no_excess_exits(book)
        if has_traded:
            found += self._protected(book, events)
            found += self._same_books(state, book, events)
        return found

    def _waiting(self, state: State, events: list[Event]) -> list[Event]:
        """Return the events that are committed and not in the journal yet."""
        last = events[-1].seq if events else 0
        rows = sorted((row for row in state.outbox.values() if row.seq > last), key=lambda row: row.seq)
        return [Event(encode_event(row).decode()) for row in rows]

    # ------------------------------------------------------------------- laws

    def _one_entry_a_signal(self) -> Iterator[str]:
        """Law 1: one decision a signal, and all of its entries together no more than was decided."""
        brackets: dict[str, set[str]] = {}
        entered: dict[str, Decimal] = {}
        for name, row in self.orders.items():
            if row.order.role is not OrderRole.ENTRY or row.status is OrderStatus.REJECTED:
                continue
            plan = self.brackets.get(row.order.bracket_id)
            if plan is None:
                yield f"law 1: the broker has entry {name}, of which the state never knew"
            else:
                brackets.setdefault(plan.signal_id, set()).add(plan.bracket_id)
                most = row.quantity if row.status is OrderStatus.WORKING else row.filled_quantity
                entered[plan.bracket_id] = entered.get(plan.bracket_id, ZERO) + most
        for signal_id, sent in brackets.items():
            if len(sent) > 1:
                yield f"law 1: {signal_id} was entered {len(sent)} times: {sorted(sent)}"
        for bracket_id, quantity in entered.items():
            if quantity > self.brackets[bracket_id].quantity:
                yield f"law 1: {quantity} were entered of {self.brackets[bracket_id].quantity} decided: {bracket_id}"

    def _protected(self, book: SimulatedBook, events: list[Event]) -> Iterator[str]:
        """Law 2."""
        stops = effective_exits(book, stops_only=True)
        alarms = [e.data["message"] for e in events if e.kind == "alarm" and e.seq > self.seq_before]
        for key, held in holdings(book).items():
            sign = -1 if held > 0 else 1
            covered = stops.get((key, sign), ZERO)
            if covered < abs(held) and not any(key in message for message in alarms):
                yield f"law 2: {key}: {held} held, {covered} covered by stops, and no alarm"

    def _no_excess_exits(self, book: SimulatedBook) -> Iterator[str]:
        """Law 3."""
        held = holdings(book)
        for (key, sign), resting in effective_exits(book).items():
            most = max(ZERO, -sign * held.get(key, ZERO))
            if resting > most:
                yield f"law 3: {key}: exits of {resting} rest on side {sign:+d}, {held.get(key, ZERO)} are held"
        closed = {n: r for n, r in self.orders.items() if r.order.role is not OrderRole.ENTRY and r.filled_quantity}
        for name, row in closed.items():
            if row.filled_quantity > row.quantity:
                yield f"law 3: {name} filled {row.filled_quantity} of {row.quantity}"

    def _gapless(self, events: list[Event], state: State) -> Iterator[str]:
        """Law 5: sequence numbers."""
        numbers = [event.seq for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            yield from (f"law 5: the journal holds an {event.kind}" for event in events if event.seq < 0)
            odd = [(a, b) for a, b in pairwise(numbers) if b != a + 1]
            yield f"law 5: journal sequence is broken at {odd[:3] or numbers[:1]}"
        waiting = {row.seq for row in state.outbox.values()}
        known = set(numbers) | waiting
        if known != set(range(1, state.last_seq + 1)):
            missing = sorted(set(range(1, state.last_seq + 1)) - known)[:5]
            yield f"law 5: events {missing} of {state.last_seq} are neither in the journal nor in the outbox"

    def _single(self, events: list[Event]) -> Iterator[str]:
        """Law 5: nothing was reported twice."""
        marks: Counter[tuple[str, str]] = Counter()
        for event in events:
            marks.update(_marks(event))
        yield from (f"law 5: {kind} {name} was reported {n} times" for (kind, name), n in marks.items() if n > 1)
        last: dict[str, Any] = {}
        for event in events:  # an order may come back to earlier terms, but does not say the same twice in a row
            if event.kind == "order_updated":
                name = event.data["order"]["client_order_id"]
                if last.get(name) == event.data:
                    yield f"law 5: order update {name} was reported twice"
                last[name] = event.data

    def _same_books(self, state: State, book: SimulatedBook, events: list[Event]) -> Iterator[str]:
        """Law 5: positions, fills, orders and round trips are the broker's."""
        sign = {"long": 1, "short": -1}
        ours = {key: row.position.quantity * sign[row.position.side] for key, row in state.positions.items()}
        if ours != holdings(book):
            yield f"law 5: positions {ours}, at the broker {holdings(book)}"
        yield from self._same_fills(events)
        yield from self._same_orders(state, book)
        yield from self._same_round_trips(events)

    def _same_fills(self, events: list[Event]) -> Iterator[str]:
        reported = {fill.key: fill for fill in (e.read(Fill) for e in events if e.kind == "fill")}
        if reported.keys() != self.fills.keys():
            missing, extra = self.fills.keys() - reported.keys(), reported.keys() - self.fills.keys()
            yield f"law 5: fills not in the journal: {sorted(missing)}; not at the broker: {sorted(extra)}"
        for key in reported.keys() & self.fills.keys():
            if reported[key] != self.fills[key]:
                yield f"law 5: fill {key} is {self.fills[key]} at the broker and {reported[key]} in the journal"

    def _same_orders(self, state: State, book: SimulatedBook) -> Iterator[str]:
        theirs = {row.order.client_order_id: row for row in book.venue.orders}
        for name, row in state.orders.items():
            there = theirs.get(name)
            if row.status in OUR_OWN_WORD:
                yield f"law 5: order {name} is still {row.status}"
            if there is None:
                if row.is_open:
                    yield f"law 5: order {name} is {row.status}, the broker does not know it"
                continue
            here = (row.status, row.order.quantity, row.filled_quantity)
            if here != (there.status, there.quantity, there.filled_quantity):
                at_broker = (there.status, there.quantity, there.filled_quantity)
                yield f"law 5: order {name} is {here}, at the broker {at_broker}"
        lost = [n for n, row in theirs.items() if row.status is OrderStatus.WORKING and n not in state.orders]
        if lost:
            yield f"law 5: the broker works orders the state does not know: {lost}"

    def _same_round_trips(self, events: list[Event]) -> Iterator[str]:
        reported: dict[str, tuple[Decimal, ...]] = {}
        for event in events:
            if event.kind == "round_trip_closed":
                trip = event.read(RoundTrip)
                reported[trip.round_trip_id] = (trip.quantity, trip.pnl, trip.commission)
            elif event.kind == "round_trip_voided":
                reported.pop(event.data["round_trip_id"], None)
        expected: dict[str, tuple[Decimal, ...]] = {}
        for key in {fill.instrument.key for fill in self.fills.values()}:
            folded = fold(None, (fill for fill in self.fills.values() if fill.instrument.key == key), self.brackets)
            for trip in folded.round_trips:
                expected[trip.round_trip_id] = (trip.quantity, trip.pnl, trip.commission)
        if reported != expected:
            odd = {
                n: (reported.get(n), expected.get(n)) for n in reported | expected if reported.get(n) != expected.get(n)
            }
            yield f"law 5: round trips differ (journal, fold of the broker's fills): {odd}"

    # --------------------------------------------------------- acknowledgement

    def acknowledge(self, command: str, envelope: dict[str, Any]) -> None:
        """Remember what a command said it did."""
        data = envelope.get("data") or {}
        add = self.acknowledged.append
        for row in data.get("signals", ()):
            for name in row["orders"] if row["outcome"] == "executed" else ():
                add(("order", name, row["signal_id"]))
            if row["outcome"] in {"executed", "queued", "refused", "expired"}:
                add(("signal", row["signal_id"], row["outcome"]))
            if row["outcome"] == "queued":
                add(("approval", row["approval_id"], "queued"))
        for row in data.get("approvals", ()) if envelope["exit_code"] == 0 else ():
            if row["status"] in {"executed", "rejected"}:
                add(("approval", row["approval_id"], row["status"]))
        for row in data.get("closed", ()):
            if Decimal(str(row["quantity"] or 0)):
                add(("closed", row["symbol"], f"{Decimal(str(row['quantity'])).normalize():f}"))
        if command in {"halt", "resume", "reduce"} and envelope["exit_code"] == 0:
            self.acknowledged = [fact for fact in self.acknowledged if fact[0] != "mode"]
            add(("mode", data["state"], data["reason"]))

    def _still_there(self, events: list[Event], state: State) -> Iterator[str]:
        """Law 5: what a command acknowledged is not lost."""
        intents = {order["client_order_id"] for e in events if e.kind == "intent" for order in e.data["orders"]}
        reported = {(e.kind, e.data["approval_id"]) for e in events if e.kind.startswith("approval_")}
        subjects = {event.subject for event in events}
        for kind, name, word in self.acknowledged:
            is_there = True
            if kind == "order":
                is_there = name in intents and name in self.orders
            elif kind == "approval":
                is_there = (f"approval_{word}", name) in reported
            elif kind == "signal":
                is_there = name in subjects
            elif kind == "mode":
                is_there = (state.trading.mode, state.trading.reason) == (name, word)
            if not is_there:
                yield f"law 5: acknowledged {kind} {name} ({word}) is gone"
        yield from self._closes_still_there()

    def _closes_still_there(self) -> Iterator[str]:
        said: dict[str, Decimal] = {}
        for kind, symbol, quantity in self.acknowledged:
            if kind == "closed":
                said[symbol] = said.get(symbol, ZERO) + Decimal(quantity)
        for symbol, quantity in said.items():
            done = sum((f.quantity for f in self.fills.values() if _is_close(f, symbol)), ZERO)
            if done < quantity:
                yield f"law 5: {quantity} {symbol} were acknowledged as closed, the broker has {done}"

    def unanswered(self) -> list[str]:
        """Return a sentence for each written signal that has no recorded outcome; for the very end."""
        state, events = self.world.store().view(), self.journal()
        ended = {e.subject for e in events if e.kind in {"decided", "signal_ended"}}
        given_back = {e.subject for e in events if e.kind == "alarm" and e.data["code"] == "never_sent"}
        known = state.signals.keys() | given_back
        lost = set(self.world.invalid) - {e.subject for e in events if e.kind == "signal_invalid"}
        return [
            *(f"signal {name} has no outcome" for name in self.signals if name not in ended & known),
            *(f"invalid row {name} was not reported" for name in sorted(lost)),
        ]

    def litter(self) -> list[str]:
        """Return a sentence for each temporary file that killed processes left for good."""
        found = [p for p in self.world.state_dir.rglob("*") if ".tmp" in p.name]
        return [f"litter: {path.relative_to(self.world.folder)}" for path in found]

    def traded(self) -> Counter[str]:
        """Return how much happened at the broker and in the journal."""
        done: Counter[str] = Counter(worlds=1, signals=len(self.signals), fills=len(self.fills))
        for row in self.orders.values():
            done[f"{row.order.role.lower()} orders"] += 1
            done["orders filled in parts"] += (
                sum(f.client_order_id == row.order.client_order_id for f in self.fills.values()) > 1
            )
        for event in self.journal():
            if event.kind in MANAGED or event.kind.startswith("approval_"):
                done[event.kind] += 1
        return done


def _is_close(fill: Fill, symbol: str) -> bool:
    return fill.role is OrderRole.CLOSE and fill.instrument.key == symbol


def _marks(event: Event) -> Iterable[tuple[str, str]]:
    """Return what this event says that no other may say again."""
    data = event.data
    match event.kind:
        case "fill":
            return [("fill", data["exec_id"])]
        case "intent":
            return [("intent", order["client_order_id"]) for order in data["orders"]]
        case "round_trip_closed":
            return [("round trip", data["round_trip_id"])]
        case kind if kind.startswith("approval_"):
            return [(kind, data["approval_id"])]
        case "session_started" | "signal_ended" | "signal_invalid":
            return [(event.kind, event.subject)]
    return []
