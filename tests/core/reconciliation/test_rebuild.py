"""A state rebuilt from an older one and the journal is the state as it was: played days, every commit as the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.day_trades.imports import Report, import_executions
from apex_cli.core.errors import ApexError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.execution_limits import ExecutionLimits, RepriceLimits
from apex_cli.core.model.management import ManagementLimits, TrailingStop
from apex_cli.core.model.money import Quantity, Usd
from apex_cli.core.model.order import EntryOrder, Order, OrderStatus
from apex_cli.core.model.protections import CooldownLimits, Protections
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import (
    ApprovalStatus,
    DeficitRecord,
    OutboxRow,
    RejectedRow,
    SignalOutcome,
    SignalRecord,
    TradingState,
)
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import SignalType
from apex_cli.core.ports import SignalBatch
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.events.account_events import MarginDeficit, MarginDeficitMet
from apex_cli.core.state.events.operation_events import TradingStateChanged
from apex_cli.core.state.tables import State
from kit import START, MemoryStore
from kit.faults import Fate, UnreliableBroker
from kit.rig import Prices, Rig, auto, make_signal, manual

NOT_TOLD = {"account", "outbox", "requests", "resting"}
"""Tables of what only a running process may act on."""

SYMBOLS = ("AAPL", "MSFT", "IBM", "TSLA")


class FilmedStore(MemoryStore):
    """Keeps every committed state, with the number of its newest event."""

    def __init__(self) -> None:
        super().__init__()
        self.film: list[tuple[int, dict[str, dict[str, Any]]]] = []
        self.take()

    def take(self) -> None:
        state = self.view()
        self.film.append((state.last_seq, {table.name: dict(table) for table in state.tables()}))

    @contextmanager
    def transaction(self) -> Iterator[State]:
        before = self.generation
        with super().transaction() as state:
            yield state
        if self.generation > before:
            self.take()


def rebuilt(tables: dict[str, dict[str, Any]], events: list[OutboxRow]) -> State:
    state = SilentState()
    for table in state.tables():
        table.load(dict(tables[table.name]))
    assert rebuild(state, events) == ()
    return state


def is_all_rejected(state: State, row: SignalRecord) -> bool:
    """Return whether the broker rejected every entry: no event says what that makes of the signal."""
    entries = [r for r in state.orders.values() if r.order.bracket_id == row.bracket_id and r.order.parent_id is None]
    return bool(entries) and all(r.status is OrderStatus.REJECTED for r in entries)


def known(state: State) -> dict[str, dict[str, Any]]:
    """Return all tables without what the journal does not report."""
    tables = {table.name: dict(table) for table in state.tables() if table.name not in NOT_TOLD}
    tables["signals"] = {
        key: replace(row, outcome=SignalOutcome.REFUSED) if is_all_rejected(state, row) else row
        for key, row in tables["signals"].items()
    }
    tables["positions"] = {
        key: replace(row, current_price=row.position.entry_price, priced_at=START)
        for key, row in tables["positions"].items()
    }
    tables["counters"] = {
        "counters": replace(state.counters, peak_equity=0, last_learning_check=None, last_run_at=None)
    }
    tables["trading"] = {"trading": replace(state.trading, changed_at=None)}
    return tables


def assert_every_start_leads_to_the_end(store: FilmedStore) -> None:
    expected = known(store.view())
    assert [event.seq for event in store.events] == list(range(1, len(store.events) + 1))
    for last_seq, tables in store.film:
        found = rebuilt(tables, store.events[last_seq:])
        for name, rows in known(found).items():
            assert rows == expected[name], f"{name}, from event {last_seq}"


def make_rig(limits: Any = None) -> tuple[Rig, UnreliableBroker, FilmedStore]:
    store = FilmedStore()
    rig = Rig(limits=limits or auto(), store=store, prices=Prices())
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    return rig, broker, store


def everything(order: Order) -> bool:
    return bool(order)


def nothing(order: Order) -> bool:
    return not order


def test_a_day_of_brackets_stops_targets_and_closes() -> None:
    rig, _, store = make_rig()
    rig.feed(make_signal("AAPL", now=rig.clock.now()), make_signal("MSFT", now=rig.clock.now()))
    rig.clock.advance(minutes=5)
    rig.price("54.5", "AAPL")
    rig.cycle()
    rig.close("MSFT", fraction="0.5", reason="half")
    rig.clock.advance(minutes=5)
    rig.close("MSFT", reason="news")
    assert len(store.view().round_trips) == 2
    assert_every_start_leads_to_the_end(store)


def test_approvals_with_every_end() -> None:
    rig, _, store = make_rig(manual())
    rig.feed(*(make_signal(symbol, now=rig.clock.now()) for symbol in SYMBOLS))
    approvals = {a.opportunity.signal.symbol: a for a in store.view().approvals.values()}
    rig.run(rig.desk.approve(approvals["AAPL"]))
    rig.desk.reject(approvals["MSFT"], reason="no")
    rig.feed(make_signal("IBM", now=rig.clock.now(), signal_id="newer"))
    rig.clock.advance(minutes=90)
    rig.cycle()
    statuses = {row.status for row in store.view().approvals.values()}
    assert statuses == {
        ApprovalStatus.EXECUTED,
        ApprovalStatus.REJECTED,
        ApprovalStatus.SUPERSEDED,
        ApprovalStatus.EXPIRED,
    }
    assert_every_start_leads_to_the_end(store)


def test_entries_that_were_lost_refused_or_rejected() -> None:
    rig, broker, store = make_rig()
    for number, fate in enumerate((Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.REFUSED, Fate.TAKEN)):
        broker.fates.append(fate)
        rig.feed(make_signal(SYMBOLS[number], now=rig.clock.now()))
        rig.clock.advance(minutes=1)
    rig.run(rig.executor.recover())
    broker.rejects = everything
    rig.feed(make_signal("AAPL", now=rig.clock.now(), signal_id="rejected"))
    assert "sig-TSLA" in store.view().signals
    assert store.view().signals["rejected"].outcome is SignalOutcome.REFUSED
    assert_every_start_leads_to_the_end(store)


def test_sessions_that_pass_and_rows_that_leave() -> None:
    rig, _, store = make_rig()
    for day in range(16):
        rig.feed(make_signal("AAPL", now=rig.clock.now(), signal_id=f"day-{day}"))
        rig.clock.advance(minutes=30)
        rig.price("54.5" if day % 3 else "47", "AAPL")
        rig.cycle()
        rig.clock.advance(timedelta(days=1, minutes=-30))
        rig.cycle()
    assert "day-0" not in store.view().signals
    assert_every_start_leads_to_the_end(store)


def test_files_with_rows_that_are_no_signals() -> None:
    rig, _, store = make_rig()
    row = RejectedRow(where="a.csv:3", reason=Reason(code="x", message="entry_price is missing."))
    for version in ("1/a.csv", "", "2/a.csv"):
        rig.source.batches.append(SignalBatch(name="a.csv", rejected=(row, row), file_version=version))
        rig.cycle()
    assert list(store.view().rejected_files) == ["1/a.csv", "2/a.csv"]
    assert_every_start_leads_to_the_end(store)


def test_halting_and_resuming() -> None:
    rig, _, store = make_rig()
    for mode in (TradingMode.HALTED, TradingMode.REDUCING, TradingMode.ACTIVE):
        with store.transaction() as tx:
            tx.trading = TradingState(mode=mode, reason="why", changed_at=rig.clock.now())
            tx.emit(TradingStateChanged(at=rig.clock.now(), subject=mode, data=tx.trading))
        rig.feed(make_signal("AAPL", now=rig.clock.now(), signal_id=f"sig-{mode}"))
    assert_every_start_leads_to_the_end(store)


def test_managed_positions_and_repriced_entries() -> None:
    trailing = TrailingStop(activate_at_r=Decimal(1), distance_r=Decimal("0.5"))
    reprice = RepriceLimits(after_s=60, step_pct=Decimal("0.002"), max_pct=Decimal("0.005"))
    execution = ExecutionLimits(auto_execute=True, entry_order=EntryOrder.LIMIT, reprice=reprice)
    limits = replace(auto(management=ManagementLimits(trailing=trailing)), execution=execution)
    rig, _, store = make_rig(limits)

    def meet(price: str, size: str | None = None) -> None:
        rig.clock.advance(minutes=0.5 if price == "50.10" else 2)
        rig.price(price, size=size)
        rig.prices.set("AAPL", price, rig.clock.now())
        rig.cycle()

    meet("50.60")
    rig.feed(make_signal("AAPL", now=rig.clock.now(), targets=("60",)))
    for price, size in (("50", "4"), ("50.60", None), ("50.10", "3"), ("53", None), ("54", None), ("52", None)):
        meet(price, size)
    kinds = {event.kind for event in store.events}
    assert {"repriced", "entry_ended", "trail_started", "stop_replaced", "round_trip_closed"} <= kinds
    assert not rebuilt(store.film[5][1], store.events[store.film[5][0] :]).resting
    assert_every_start_leads_to_the_end(store)


def test_imported_history_and_margin_deficits() -> None:
    rig, _, store = make_rig()
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    rows = [
        Execution(
            exec_id=f"X{number}.01",
            security="MSFT",
            side=side,
            quantity=Quantity(Decimal(5)),
            filled_at=rig.clock.now() - timedelta(days=3 - number),
        )
        for number, side in enumerate(OrderSide)
    ]
    with store.transaction() as tx:
        import_executions(tx, Report(executions=tuple(rows)), rig.clock.now())
    deficit = DeficitRecord(session_date="2026-03-02", amount=Usd(Decimal(9)), is_de_minimis=True)
    for row, event_type in ((deficit, MarginDeficit), (replace(deficit, met_on="2026-03-03"), MarginDeficitMet)):
        with store.transaction() as tx:
            tx.deficits[row.session_date] = row
            tx.emit(event_type(at=rig.clock.now(), subject=row.session_date, data=row))
    assert len(store.view().history_fills) == 2
    assert_every_start_leads_to_the_end(store)


@pytest.mark.parametrize("seed", range(8))
def test_days_of_chance(seed: int) -> None:
    chance = Random(seed)
    protections = Protections(cooldown=CooldownLimits(after_stop="1 hour"))
    rig, broker, store = make_rig(chance.choice((auto(protections=protections), manual(protections=protections))))
    broker.repeats, broker.shuffle = chance.choice((1, 2)), Random(seed)
    for number in range(40):
        a_step(rig, broker, chance, number)
        rig.clock.advance(minutes=chance.choice((1, 7, 300, 1500)))
    assert len(store.film) > 20
    assert_every_start_leads_to_the_end(store)


def a_step(rig: Rig, broker: UnreliableBroker, chance: Random, number: int) -> None:
    symbol = chance.choice(SYMBOLS)
    side = chance.choice((SignalType.BUY, SignalType.SELL))
    stop, target = ("48", "54") if side is SignalType.BUY else ("52", "46")
    what = chance.randrange(7)
    try:
        if what <= 2:
            broker.fates.append(chance.choice((Fate.TAKEN, Fate.TAKEN, *Fate)))
            broker.rejects = everything if chance.random() < 0.1 else nothing
            signal = make_signal(
                symbol, now=rig.clock.now(), signal_id=f"s{number}", side=side, stop=stop, targets=(target,)
            )
            rig.feed(signal)
            for approval in rig.desk.pending():
                if chance.random() < 0.6:
                    rig.run(rig.desk.approve(approval))
        elif what == 3:
            rig.price(str(chance.randint(45, 55)), symbol)
        elif what == 4:
            rig.close(symbol, fraction=chance.choice(("0.5", "1")))
        elif what == 5:
            rig.run(rig.executor.recover())
        rig.cycle()
    except ApexError:
        pass


def test_nothing_is_reported_again() -> None:
    rig, _, store = make_rig()
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    state = rebuilt(store.film[0][1], store.events)
    assert not state.outbox
    assert state.last_seq == len(store.events)


def test_an_intent_that_got_lost_still_keeps_its_signal_from_being_acted_on_twice() -> None:
    rig, _, store = make_rig()
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    for lost in ("intent", "decided"):
        state = rebuilt(store.film[0][1], [event for event in store.events if event.kind != lost])
        assert state.signals["sig-AAPL"].outcome is SignalOutcome.EXECUTED
        assert state.fills == store.view().fills


def test_an_event_that_cannot_be_read_is_named_and_the_others_are_applied() -> None:
    rig, _, store = make_rig()
    rig.feed(make_signal("AAPL", now=rig.clock.now()), make_signal("MSFT", now=rig.clock.now()))
    (bad, *_) = [event.seq for event in store.events if event.kind == "fill"]
    events = [replace(e, data=msgspec.Raw(b'{"exec_id":5}')) if e.seq == bad else e for e in store.events]
    state = SilentState()
    assert rebuild(state, events) == (bad,)
    assert len(state.fills) == len(store.view().fills) - 1
    assert state.signals == store.view().signals


def test_work_handed_over_before_the_backup_is_not_done_again() -> None:
    from apex_cli.core.model.request import CloseRequest, RequestRecord

    request = RequestRecord(
        request_id="1",
        work=CloseRequest(symbol="AAPL"),
        asked_by="apex close",
        created_at=START,
        valid_until=START + timedelta(days=1),
    )
    state = SilentState()
    state.requests["1"] = request
    rebuild(state, ())
    assert not state.requests
