"""The hot tables in memory: typed rows, an undo log, and the events of a change.

A store loads a ``State``, lends it to one transaction at a time, and either writes what
changed or rolls it back. Nothing here knows of files.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, MutableMapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from apex_cli.core.model.execution import Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.learning import AuditSums, Experience, LearningState, WeightsVersion
from apex_cli.core.model.lesson import Followed, Lesson
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.reconciliation import Ignored, Lock, Reconciliation
from apex_cli.core.model.records import (
    AccountRecord,
    ApprovalRecord,
    BracketRecord,
    Counters,
    DeficitRecord,
    OutboxRow,
    PositionRecord,
    RejectedFile,
    RestingEntry,
    SignalRecord,
    TradingState,
)
from apex_cli.core.model.request import RequestRecord, RequestStatus

if TYPE_CHECKING:
    from apex_cli.core.model.decision import Snapshot
    from apex_cli.core.state.events.event import Event

R = TypeVar("R")

_encode = msgspec.json.Encoder().encode

MOST_CHANGES = 1_000
"""Changes of a table that are remembered; a reader that came before them reads the whole table again."""

Place = tuple[list[str], int]
"""How far a reader of a table has come: the changes that it knew of, and their number."""


class Table(MutableMapping[str, R], Generic[R]):
    """Rows of one type by key, remembering what changed since ``settle``."""

    __slots__ = (
        "_changes",
        "_rows",
        "_touched",
        "_undo",
        "additions",
        "get",
        "items",
        "name",
        "rewrites",
        "row_type",
        "values",
    )

    get: Any
    """Return the row of a key or a default: the dict's own, as it is called a hundred times a trade."""

    items: Any
    """Return keys and rows."""

    values: Any
    """Return the rows."""

    def __init__(self, name: str, row_type: type[R], rows: dict[str, R] | None = None) -> None:
        """Start with *rows*, unchanged."""
        self.name = name
        self.row_type = row_type
        self._hold({} if rows is None else rows)
        self._undo: dict[str, R | None] = {}
        self._touched: list[Table[Any]] = []
        self._changes: list[str] | None = None
        """Keys of the rows that changed lately; None: nobody asked since rows were loaded, or a change undone."""

        self.additions = 0
        """How many rows were ever added."""

        self.rewrites = 0
        """Raised when a row was replaced or a change undone: what was worked out before does not hold any more."""

    def _hold(self, rows: dict[str, R]) -> None:
        self._rows = rows
        self.get, self.items, self.values = rows.get, rows.items, rows.values

    def __getitem__(self, key: str) -> R:
        """Return the row; KeyError when there is none."""
        return self._rows[key]

    def __setitem__(self, key: str, row: R) -> None:
        """Add or replace the row."""
        old = self.get(key)
        if key not in self._undo:
            if not self._undo:
                self._touched.append(self)
            self._undo[key] = old
        self._rows[key] = row
        if self._changes is not None:
            self._note(key)
        if old is None:
            self.additions += 1
        else:
            self.rewrites += 1

    def __delitem__(self, key: str) -> None:
        """Remove the row; KeyError when there is none."""
        old = self._rows.pop(key)
        if not self._undo:
            self._touched.append(self)
        self._undo.setdefault(key, old)
        if self._changes is not None:
            self._note(key)

    def _note(self, key: str) -> None:
        if self._changes is None or len(self._changes) >= MOST_CHANGES:
            self._changes = []
        self._changes.append(key)

    def __iter__(self) -> Iterator[str]:
        """Yield keys in insertion order."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        """Return whether there is a row."""
        return key in self._rows

    @property
    def mark(self) -> tuple[int, int, int]:
        """What differs whenever a row was added, replaced or removed."""
        return self.additions, self.rewrites, len(self._rows)

    def changed_since(self, place: Place | None) -> tuple[Place, Collection[str] | None]:
        """Return how far the changes have come, and the keys of the rows that were touched since *place*.

        None for the keys: *place* is unknown, of another table or too old, and every row may have changed.
        """
        if self._changes is None:
            self._changes = []
        here = self._changes, len(self._changes)
        if place is None or place[0] is not self._changes:
            return here, None
        return here, dict.fromkeys(self._changes[place[1] :])

    @property
    def changed(self) -> Mapping[str, R | None]:
        """Old rows by key (None: there was none) of everything touched since ``settle``."""
        return self._undo

    def report_to(self, touched: list[Table[Any]]) -> None:
        """Put this table into *touched* with its first change since ``settle``."""
        self._touched = touched

    def newest(self, count: int) -> Sequence[R]:
        """Return the last *count* rows that were added, oldest first."""
        return list(islice(reversed(self._rows.values()), count))[::-1]

    def load(self, rows: dict[str, R]) -> None:
        """Start over with *rows*, unchanged."""
        self._hold(rows)
        self._undo.clear()
        self._changes = None
        self.rewrites += 1

    def committed(self) -> dict[str, R]:
        """Return a copy of the rows as of the last ``settle``."""
        rows = dict(self._rows)
        for key, old in self._undo.items():
            if old is None:
                rows.pop(key, None)
            else:
                rows[key] = old
        return rows

    def rollback(self) -> None:
        """Undo everything since ``settle``."""
        if self._undo:
            self._changes = None
            self.rewrites += 1
        for key, old in self._undo.items():
            if old is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = old
        self._undo.clear()

    def settle(self) -> None:
        """Forget how to undo: what is here is committed."""
        self._undo.clear()


class TableReader(Generic[R]):
    """The rows of a table as they were read last; reading again costs what changed since."""

    __slots__ = ("_place", "_rows")

    def __init__(self) -> None:
        """Start with nothing read."""
        self._place: Place | None = None
        self._rows: dict[str, R] = {}

    def changes(self, table: Table[R]) -> list[tuple[str, R | None, R | None]]:
        """Return the key of each row of *table* that changed since it was read, what it was, and what it is."""
        self._place, touched = table.changed_since(self._place)
        rows, found = self._rows, []
        for key in (*rows, *table) if touched is None else touched:
            old, new = rows.get(key), table.get(key)
            if old is not new:
                found.append((key, old, new))
                if new is None:
                    del rows[key]
                else:
                    rows[key] = new
        return found


class AgedTable(Table[R]):
    """Rows with the oldest ones at hand, and with the number of each kind."""

    __slots__ = ("_age_of", "_ages", "_counts", "_kind_of", "_reader")

    def __init__(
        self, name: str, row_type: type[R], age_of: Callable[[R], Any], kind_of: Callable[[R], Hashable] = type
    ) -> None:
        """Start empty; rows are in the order of what *age_of* gives, and those that it gives the same, of their keys.

        *kind_of* gives what rows are counted by.
        """
        super().__init__(name, row_type)
        self._age_of, self._kind_of = age_of, kind_of
        self._ages: list[tuple[Any, str]] = []
        self._counts: Counter[Hashable] = Counter()
        self._reader: TableReader[R] = TableReader()
        """What the ages and counts were made of: they are brought up to date when somebody asks."""

    def oldest_first(self) -> Iterator[R]:
        """Yield the rows, the oldest first; those that were yielded may be removed meanwhile."""
        return (self._rows[key] for _, key in self._in_order().copy())

    def older_than(self, age: Any, since: Any = None) -> list[R]:  # noqa: ANN401 - what the rows are ordered by
        """Return the rows that are older than *age* and not older than *since*, the oldest first."""
        ages = self._in_order()
        first = 0 if since is None else bisect_left(ages, (since, ""))
        return [self._rows[key] for _, key in ages[first : bisect_left(ages, (age, ""))]]

    @property
    def counts(self) -> Mapping[Any, int]:
        """How many rows of each kind there are."""
        self._in_order()
        return self._counts

    def _in_order(self) -> list[tuple[Any, str]]:
        for key, old, new in self._reader.changes(self):
            if old is not None:
                del self._ages[bisect_left(self._ages, (self._age_of(old), key))]
                self._counts[self._kind_of(old)] -= 1
            if new is not None:
                insort(self._ages, (self._age_of(new), key))
                self._counts[self._kind_of(new)] += 1
        return self._ages


class SecurityTable(Table[R]):
    """Rows that are about one security each, with those of one security at hand."""

    __slots__ = ("_by_security", "_security_of")

    def __init__(self, name: str, row_type: type[R], security_of: Callable[[R], str]) -> None:
        """Start empty; *security_of* gives the ``Instrument.key`` that a row is about."""
        super().__init__(name, row_type)
        self._security_of = security_of
        self._by_security: dict[str, dict[str, R]] | None = None
        """None: nobody has asked for the rows of a security since they changed in another way than by one more."""

    def of(self, security: str) -> Collection[R]:
        """Return every row about *security*, in the order of the table."""
        if self._by_security is None:
            self._by_security = {}
            for key, row in self._rows.items():
                self._by_security.setdefault(self._security_of(row), {})[key] = row
        return self._by_security.get(security, {}).values()

    def __setitem__(self, key: str, row: R) -> None:
        """Add or replace the row."""
        old = self._rows.get(key)
        super().__setitem__(key, row)
        if self._by_security is not None:
            security = self._security_of(row)
            if old is None or self._security_of(old) == security:
                self._by_security.setdefault(security, {})[key] = row
            else:
                self._by_security = None

    def __delitem__(self, key: str) -> None:
        """Remove the row; KeyError when there is none."""
        row = self._rows[key]
        super().__delitem__(key)
        if self._by_security is not None:
            self._by_security[self._security_of(row)].pop(key, None)

    def load(self, rows: dict[str, R]) -> None:
        """Start over with *rows*, unchanged."""
        super().load(rows)
        self._by_security = None

    def rollback(self) -> None:
        """Undo everything since ``settle``."""
        super().rollback()
        self._by_security = None


class OrderTable(SecurityTable[OrderRecord]):
    """Orders, with those that may still fill at hand."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        """Start empty."""
        super().__init__("orders", OrderRecord, lambda row: row.order.instrument.key)
        self._open: dict[str, OrderRecord] = {}

    def open(self) -> Collection[OrderRecord]:
        """Return the orders that may still fill, *unknown* included."""
        return self._open.values()

    def __setitem__(self, key: str, row: OrderRecord) -> None:
        """Add or replace the row."""
        super().__setitem__(key, row)
        if row.is_open:
            self._open[key] = row
        else:
            self._open.pop(key, None)

    def __delitem__(self, key: str) -> None:
        """Remove the row; KeyError when there is none."""
        super().__delitem__(key)
        self._open.pop(key, None)

    def load(self, rows: dict[str, OrderRecord]) -> None:
        """Start over with *rows*, unchanged."""
        super().load(rows)
        self._open = {key: row for key, row in rows.items() if row.is_open}

    def rollback(self) -> None:
        """Undo everything since ``settle``."""
        super().rollback()
        self._open = {key: row for key, row in self._rows.items() if row.is_open}


class State:
    """All hot tables. ``emit`` puts an event into the outbox of the same commit."""

    def __init__(self) -> None:
        """Start empty."""
        self.signals: AgedTable[SignalRecord] = AgedTable("signals", SignalRecord, lambda row: row.seen_at)
        self.rejected_files: AgedTable[RejectedFile] = AgedTable(
            "rejected_files", RejectedFile, lambda row: row.recorded_at
        )
        self.approvals: SecurityTable[ApprovalRecord] = SecurityTable(
            "approvals", ApprovalRecord, lambda row: row.opportunity.signal.instrument.key
        )
        self.brackets: Table[BracketRecord] = Table("brackets", BracketRecord)
        self.orders = OrderTable()
        self.positions: Table[PositionRecord] = Table("positions", PositionRecord)
        self.fills: AgedTable[Fill] = AgedTable("fills", Fill, lambda row: row.filled_at)
        self.history_fills: AgedTable[Execution] = AgedTable("history_fills", Execution, lambda row: row.filled_at)
        """Imported executions of the whole account: counted, never folded into positions."""
        self.round_trips: AgedTable[RoundTrip] = AgedTable(
            "round_trips", RoundTrip, lambda row: row.exit_time, lambda row: row.strategy
        )
        self.lessons: AgedTable[Lesson] = AgedTable(
            "lessons", Lesson, lambda row: (row.closed_at, row.seq), lambda row: (row.market_type, row.is_followed)
        )
        """What learners know of closed trades, by round trip id."""
        self.weights: Table[WeightsVersion] = Table("weights", WeightsVersion)
        """The last versions of the learned weights, by number."""
        self.followed: Table[Followed] = Table("followed", Followed)
        """Signals that were not taken and whose prices are followed, by ``Followed.name``."""
        self.experience: Table[Experience] = Table("experience", Experience)
        """Sums of lessons that left, by market and strategy."""
        self.audits: Table[AuditSums] = Table("audits", AuditSums)
        """What learning added and what came, of lessons that left, by session."""
        self.requests: Table[RequestRecord] = Table("requests", RequestRecord)
        self.deficits: Table[DeficitRecord] = Table("deficits", DeficitRecord)
        """Intraday margin deficits by session date."""
        self.resting: Table[RestingEntry] = Table("resting", RestingEntry)
        """Limit entries whose price may follow the market, by bracket."""
        self.outbox: Table[OutboxRow] = Table("outbox", OutboxRow)
        self.locks: Table[Lock] = Table("locks", Lock)
        """Securities in which nothing is opened, as our books and the broker's differ; by ``Instrument.key``."""
        self.trade_locks: Table[TradeLock] = Table("trade_locks", TradeLock)
        """What nothing is opened in after closed trades, by id; those that are over stay for some sessions."""
        self.ignored: Table[Ignored] = Table("ignored", Ignored)
        """Holdings at the broker that a person said are not ours; by ``Instrument.key``."""
        self._reconciliation: Table[Reconciliation] = Table("reconciliation", Reconciliation)
        self._counters: Table[Counters] = Table("counters", Counters)
        self._trading: Table[TradingState] = Table("trading", TradingState)
        self._account: Table[AccountRecord] = Table("account", AccountRecord)
        self._learning: Table[LearningState] = Table("learning", LearningState)
        self.last_seq = 0
        """Sequence number of the newest event ever emitted."""
        self.last_inputs: tuple[int, Snapshot] | None = None
        """The newest decision of this process whose event holds all its inputs, by number: later ones refer to it."""
        self.fill_reader: TableReader[Fill] = TableReader()
        """What ``prune`` has seen of the fills."""
        self.fills_pruned_before: datetime | None = None
        """Older fills of a security need no look again, unless something changed there."""
        self._all = tuple(each for each in vars(self).values() if isinstance(each, Table))
        self._touched: list[Table[Any]] = []
        for table in self._all:
            table.report_to(self._touched)

    def touched(self) -> Sequence[Table[Any]]:
        """Return the tables that may have changed since the last ``settle``."""
        return self._touched

    def tables(self) -> tuple[Table[Any], ...]:
        """Return every table, in the order they are stored."""
        return self._all

    @property
    def counters(self) -> Counters:
        """What is counted per session."""
        row: Counters | None = self._counters.get("counters")
        return row or Counters()

    @counters.setter
    def counters(self, row: Counters) -> None:
        self._counters["counters"] = row

    @property
    def trading(self) -> TradingState:
        """What apex may do."""
        row: TradingState | None = self._trading.get("trading")
        return row or TradingState()

    @trading.setter
    def trading(self, row: TradingState) -> None:
        self._trading["trading"] = row

    @property
    def reconciliation(self) -> Reconciliation | None:
        """What the last comparison with the broker found; None before the first."""
        return self._reconciliation.get("reconciliation")  # type: ignore[no-any-return] # rows are what they are

    @reconciliation.setter
    def reconciliation(self, row: Reconciliation) -> None:
        self._reconciliation["reconciliation"] = row

    @property
    def account(self) -> AccountRecord | None:
        """What the account was worth when the broker was asked last; None before the first run."""
        row: AccountRecord | None = self._account.get("account")
        return row

    @account.setter
    def account(self, row: AccountRecord) -> None:
        self._account["account"] = row

    @property
    def learning(self) -> LearningState:
        """Where the learners stand."""
        row: LearningState | None = self._learning.get("learning")
        return row or LearningState()

    @learning.setter
    def learning(self, row: LearningState) -> None:
        self._learning["learning"] = row

    def emit(self, event: Event) -> int:
        """Queue *event* for the journal and return its sequence number."""
        self.last_seq += 1
        data = msgspec.Raw(_encode(event.data))
        row = OutboxRow(seq=self.last_seq, at=event.at, kind=event.kind, subject=event.subject, data=data)
        self.outbox[str(self.last_seq)] = row
        return self.last_seq

    def committed(self) -> State:
        """Return a copy as of the last ``settle``; the rows are shared, as they never change."""
        copy = State()
        for target, source in zip(copy.tables(), self.tables(), strict=True):
            target.load(source.committed())
        copy.last_seq = self.last_seq
        return copy

    def rollback(self) -> None:
        """Undo everything since the last ``settle``."""
        self.last_inputs = None
        self.fills_pruned_before = None
        for table in self._touched:
            table.rollback()
        self._touched.clear()

    def settle(self) -> None:
        """Mark everything as committed."""
        for table in self._touched:
            table.settle()
        self._touched.clear()


def securities(state: State) -> Iterator[Instrument]:
    """Yield every security that *state* knows, those that are held first; one may come several times."""
    yield from (row.position.instrument for row in state.positions.values())
    yield from (row.order.instrument for row in state.orders.values())
    yield from (fill.instrument for fill in state.fills.values())
    yield from (trip.instrument for trip in state.round_trips.values())


def held_securities(state: State) -> Iterator[Instrument]:
    """Yield every security that *state* holds or has on order; one may come several times."""
    yield from (row.position.instrument for row in state.positions.values())
    yield from (row.order.instrument for row in state.orders.open())


def known_name(state: State, text: str) -> str:
    """Return the key of the security that the broker calls *text* since it was renamed, else *text*."""
    return next((each.key for each in securities(state) if each.called and each.called == text.upper()), text)


OUR_ID = re.compile(r"apex-(?P<bracket>[0-9A-HJKMNP-TV-Z]{26})-(?P<letter>[A-Z])(?P<number>\d*)")
"""What our client order ids look like."""


def is_our_id(client_order_id: str) -> bool:
    """Return whether *client_order_id* has the form of ours."""
    return OUR_ID.fullmatch(client_order_id) is not None


def name_of_order(state: State, number: str) -> str:
    """Return the client order id of the open order that the broker numbers so; empty where there is none."""
    found = (row.order.client_order_id for row in state.orders.open() if row.broker_order_id == number)
    return next(found, "")


def is_ours(state: State, fill: Fill) -> bool:
    """Return whether *fill* belongs to an order of ours, also one that our books do not have any more."""
    name = fill.client_order_id
    if fill.settlement is not None and fill.instrument.key in state.positions:
        return True
    return name in state.orders or is_our_id(name) or fill.bracket_id in state.brackets or fill.key in state.fills


def open_requests(state: State) -> list[str]:
    """Return what other processes handed over and nobody has finished, oldest first."""
    return [row.request_id for row in state.requests.values() if row.status is not RequestStatus.DONE]


def is_asked(state: State) -> bool:
    """Return whether another process waits for something to be begun."""
    return any(row.status is RequestStatus.WAITING for row in state.requests.values())
