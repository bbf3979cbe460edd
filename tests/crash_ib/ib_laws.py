"""What must hold against Interactive Brokers whatever was killed, cut or withheld: apex's own state and journal
against the gateway's books.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.state.tables import State
from apex_cli.gateway.control import BooksView
from apex_cli.gateway.rows import INACTIVE, OrderRow

STOPS = frozenset({"STP", "STP LMT", "TRAIL"})
UNSETTLED = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN})


def state_of(folder: Path) -> State:
    """Return a fresh look at the state."""
    return TinyDbStore(folder / "state", clock=SystemClock()).view()


def journal_of(folder: Path) -> list[dict[str, Any]]:
    """Return every whole line of the journal."""
    rows: list[dict[str, Any]] = []
    for path in sorted((folder / "state" / "journal").glob("*.jsonl")):
        rows += [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    return rows


def is_entry(row: OrderRow) -> bool:
    """Report entries from exits by the last part of their orderRef: E, or E1, E2 with several targets."""
    return row.terms.order_ref.rpartition("-")[2].startswith("E")


def working_exits(books: BooksView, *, stops_only: bool = False) -> dict[tuple[str, str], Decimal]:
    """Return what exits may still fill, by symbol and action; legs of one group count once.

    Children together fill no more than their parent has filled.
    """
    by_perm_id = {row.perm_id: row for row in books.orders}
    exits = [row for row in books.orders if not is_entry(row) and not row.is_manual]

    def group(row: OrderRow) -> tuple[str, str, str]:
        name = row.terms.oca_group or (str(row.parent_perm_id) if row.parent_perm_id else f"#{row.perm_id}")
        return row.key, row.terms.action, name

    by_parent: dict[tuple[str, str, int], Decimal] = {}
    for (key, action, _), rows in groupby(sorted(exits, key=group), key=group):
        legs = list(rows)
        open_legs = [leg for leg in legs if leg.is_open and (not stops_only or leg.terms.order_type in STOPS)]
        family = key, action, legs[0].parent_perm_id
        most = max((leg.remaining for leg in open_legs), default=ZERO)
        by_parent[family] = by_parent.get(family, ZERO) + most
    found: dict[tuple[str, str], Decimal] = {}
    for (key, action, parent_id), most in by_parent.items():
        parent = by_perm_id.get(parent_id)
        if parent is not None:
            sold = sum((row.filled for row in exits if row.parent_perm_id == parent_id), ZERO)
            most = min(most, parent.filled - sold)  # noqa: PLW2901 - bounded by what there is to sell
        found[key, action] = found.get((key, action), ZERO) + most
    return found


class Laws:
    """Compares one folder with the gateway."""

    def __init__(self, folder: Path) -> None:
        """Look after the apex in *folder*."""
        self.folder = folder
        self.alarmed: set[str] = set()
        """Symbols that were found without a stop, as an alarm had reported."""

        self.signal_of: dict[str, str] = {}
        """Signal by bracket id: brackets leave the hot tables."""

    def is_settled(self, books: BooksView) -> bool:
        """Return whether apex knows the fate of every order and has every fill."""
        state = state_of(self.folder)
        return not any(row.status in UNSETTLED for row in state.orders.values()) and not list(
            self._positions(state, books)
        )

    def always(self, books: BooksView) -> list[str]:
        """Return what is wrong at any moment: between a kill and the next start, too."""
        state = state_of(self.folder)
        self.signal_of |= {name: plan.signal_id for name, plan in state.brackets.items()}
        return [*self._one_entry(books), *self._excess(books), *self._gapless(state)]

    def settled(self, books: BooksView) -> list[str]:
        """Return what is wrong after a command that ended by itself on a healthy connection."""
        state = state_of(self.folder)
        return [
            *self.always(books),
            *self._protected(books),
            *self._positions(state, books),
            *self._orders(state, books),
            *self._fills(books),
        ]

    def _one_entry(self, books: BooksView) -> Iterator[str]:
        refs = Counter(row.terms.order_ref for row in books.orders if not row.is_manual)
        yield from (f"orderRef {ref} was placed {n} times" for ref, n in refs.items() if n > 1)
        entered: dict[str, set[str]] = {}
        for row in books.orders:
            if not is_entry(row) or (row.status == INACTIVE and not row.filled):
                continue
            bracket = row.terms.order_ref.split("-")[1]
            signal = self.signal_of.get(bracket)
            if signal is None:
                yield f"entry {row.terms.order_ref} is unknown to the state"
            else:
                entered.setdefault(signal, set()).add(bracket)
        yield from (f"{name} was entered {len(sent)} times" for name, sent in entered.items() if len(sent) > 1)

    def _excess(self, books: BooksView) -> Iterator[str]:
        for (key, action), quantity in working_exits(books).items():
            held = books.positions.get(key, ZERO)
            most = max(held if action == "SELL" else -held, ZERO)
            if quantity > most:
                yield f"{key}: exits to {action} {quantity} rest, {held} are held"
        reported = self._alarms()
        for key, held in books.positions.items():
            if held < 0 and not any(message.startswith(f"{key}:") for message in reported):
                yield f"{key}: {held} is short, and nobody was reported"

    def _protected(self, books: BooksView) -> Iterator[str]:
        stops = working_exits(books, stops_only=True)
        reported = self._alarms()
        for key, held in books.positions.items():
            covered = stops.get((key, "SELL"), ZERO) + _closing(books, key)
            if covered >= held:
                continue
            if any(message.startswith(f"{key}: ") and "without a working stop" in message for message in reported):
                self.alarmed.add(key)
            else:
                yield f"{key}: {held} held, {covered} covered by stops, and nobody was reported"

    def _alarms(self) -> list[str]:
        return [row["data"]["message"] for row in journal_of(self.folder) if row["kind"] == "alarm"]

    def _positions(self, state: State, books: BooksView) -> Iterator[str]:
        sign = {"long": 1, "short": -1}
        ours = {key: row.position.quantity * sign[row.position.side] for key, row in state.positions.items()}
        if ours != books.positions:
            yield f"positions {ours}, at the gateway {books.positions}"

    def _orders(self, state: State, books: BooksView) -> Iterator[str]:
        theirs = {row.terms.order_ref: row for row in books.orders}
        for name, order in state.orders.items():
            if order.status in UNSETTLED:
                yield f"order {name} is still {order.status}"
            row = theirs.get(name)
            if order.is_open and (row is None or not row.is_open):
                yield f"order {name} is {order.status}, at the gateway {row.status if row else 'unknown'}"
        for name, row in theirs.items():
            if row.is_open and not row.is_manual and (name not in state.orders or not state.orders[name].is_open):
                yield f"the gateway works {name}, of which the state does not know"

    def _fills(self, books: BooksView) -> Iterator[str]:
        rows = journal_of(self.folder)
        reported = Counter(_base(row["data"]["exec_id"]) for row in rows if row["kind"] == "fill")
        real = {_base(row.exec_id): row for row in books.executions}
        yield from (f"fill {key} was reported {n} times" for key, n in reported.items() if n > 1)
        if reported.keys() != real.keys():
            lost, made_up = sorted(real.keys() - reported.keys()), sorted(reported.keys() - real.keys())
            yield f"fills lost: {lost}; fills made up: {made_up}"
        for row in rows:
            if row["kind"] == "fill" and (there := real.get(_base(row["data"]["exec_id"]))) is not None:
                here = (Decimal(row["data"]["quantity"]), Decimal(row["data"]["price"]))
                if here != (there.shares, there.price):
                    yield f"fill {there.exec_id}: {here} in the journal, {there.shares} at {there.price}"

    def _gapless(self, state: State) -> Iterator[str]:
        numbers = [row["seq"] for row in journal_of(self.folder)]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the journal's numbers have a gap or a double: {_odd(numbers)}"
        known = set(numbers) | {row.seq for row in state.outbox.values()}
        if known != set(range(1, state.last_seq + 1)):
            yield "events are neither in the journal nor in the outbox"


def _closing(books: BooksView, key: str) -> Decimal:
    """Return what closing orders of their own still sell of *key*: a stop for that, too, could sell it twice."""
    return sum(
        (
            row.remaining
            for row in books.orders
            if row.is_open and row.key == key and "-C" in row.terms.order_ref and not row.terms.oca_group
        ),
        ZERO,
    )


def _base(exec_id: str) -> str:
    return exec_id.rpartition(".")[0]


def _odd(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in pairwise(numbers) if b != a + 1][:3]
