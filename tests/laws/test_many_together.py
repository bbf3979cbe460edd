"""Many requests that are written down together come to the same as one after another."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.coordinator import coordinator as coordinating
from apex_cli.core.coordinator import service as serving
from apex_cli.core.coordinator.service import Service
from apex_cli.core.decision.kept_inputs import whole_record
from apex_cli.core.decision.plan import decide
from apex_cli.core.errors import BrokerError, OutcomeUnknownError, StateError
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalStatus, RejectedRow, SignalOutcome
from apex_cli.core.model.request import Answer, Choice, Closed, CloseRequest, CloseStatus, WorkDone
from apex_cli.core.model.signal import Signal
from apex_cli.core.state.events.signal_events import DecisionRecord
from kit import FixedClock
from kit.faults import Fate, UnreliableBroker
from kit.rig import ROOMY, Rig, auto, make_signal, manual

D = Decimal
MANY = 30
WIDE = msgspec.structs.replace(ROOMY, max_daily_loss_pct=D(1), max_drawdown_pct=D(1))


def name_of(number: int) -> str:
    return "".join(chr(65 + number // 26**place % 26) for place in (2, 1, 0))


def signals(rig: Rig, count: int = MANY) -> list[Signal]:
    return [
        make_signal(name_of(number), now=rig.clock.now(), confidence=f"0.{70 + number % 20}") for number in range(count)
    ]


def rig_in(folder: Path, limits: Limits | None = None, **settings: Any) -> Rig:
    clock = FixedClock()
    store = TinyDbStore(folder / "state", clock=clock)
    return Rig(
        store=store,
        clock=clock,
        path=folder / "state" / "books.json",
        limits=limits or auto(WIDE),
        cash=Usd(D(100_000)),
        **settings,
    )


def service_of(rig: Rig) -> Service:
    return Service(
        store=rig.store,
        executor=rig.executor,
        closer=rig.closer,
        mover=rig.mover,
        desk=rig.desk,
        adoption=rig.adoption,
        wall=rig.clock,
        name="process 1",
        closing_warnings=rig.gatherer.closing_warnings,
    )


def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None) -> tuple[Rig, Rig]:
    """Return two rigs fed with the same signals, one by one and together."""
    rigs = []
    for few, name in ((1000, "alone"), (1, "together")):
        monkeypatch.setattr(coordinating, "SMALL_BATCH", few)
        monkeypatch.setattr(serving, "SMALL_BATCH", few)
        rig = rig_in(tmp_path / name, limits)
        rig.feed(*signals(rig))
        rigs.append(rig)
    return rigs[0], rigs[1]


def plain(rig: Rig) -> list[tuple[object, ...]]:
    return [
        (key, row.position.quantity, row.position.entry_price, rig.unprotected(key))
        for key, row in sorted(rig.state.positions.items())
    ]


def close_all(rig: Rig, **terms: Any) -> WorkDone:
    works = [CloseRequest(symbol=key, **terms) for key in rig.state.positions]
    done: WorkDone = rig.run(service_of(rig).perform(*works))
    return done


def generations(rig: Rig) -> int:
    found: int = rig.store.generation
    return found


class TestSignals:
    def test_the_same_is_opened_and_reported_as_one_by_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone, together = both(tmp_path, monkeypatch)
        assert len(together.state.positions) == MANY
        assert plain(together) == plain(alone)
        assert together.at_venue() == alone.at_venue()
        reports = [
            [(r.signal_id, r.outcome, r.quantity, r.orders, r.score) for r in rig.coordinator.reports]
            for rig in (alone, together)
        ]
        assert sorted(r[:3] for r in reports[0]) == sorted(r[:3] for r in reports[1])
        assert [r[0] for r in reports[0]] == [r[0] for r in reports[1]]
        assert generations(together) < 10 < generations(alone)

    @pytest.mark.parametrize(
        "limit", [{"max_positions": 7}, {"max_orders_per_day": 5}, {"max_open_risk_pct": D("0.05")}]
    )
    def test_each_decision_counts_what_was_written_down_before_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any]
    ) -> None:
        alone, together = both(tmp_path, monkeypatch, auto(msgspec.structs.replace(WIDE, **limit)))
        assert 0 < len(together.state.positions) < MANY
        assert sorted(together.state.positions) == sorted(alone.state.positions)
        refused = [
            sorted(r.signal_id for r in rig.coordinator.reports if r.outcome is SignalOutcome.REFUSED)
            for rig in (alone, together)
        ]
        assert refused[0] == refused[1] != []

    def test_no_more_is_bought_than_there_is_buying_power_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path)
        rig._cash = Usd(D(1000))
        rig.venue = rig._open_venue()
        rig.broker = rig.venue
        rig._build()
        rig.feed(*signals(rig))
        spent = sum(row.position.quantity * row.position.entry_price for row in rig.state.positions.values())
        assert 0 < spent <= 4000
        assert any(r.code == "buying_power" for report in rig.coordinator.reports for r in report.reasons)

    def test_every_decision_follows_again_from_the_inputs_that_the_journal_has(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path)
        rig.feed(*signals(rig))
        records = {
            event.seq: msgspec.json.decode(event.data, type=DecisionRecord)
            for event in rig.store.journal.events(kind="decided")
        }
        assert len(records) == MANY
        assert any(record.kept is not None for record in records.values())
        for record in records.values():
            whole = whole_record(record, records[record.kept.base] if record.kept else None)
            assert decide(whole.opportunity, whole.snapshot, whole.limits) == whole.decision

    def test_signals_that_wait_for_an_answer_are_queued_in_one_commit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone, together = both(tmp_path, monkeypatch, manual(WIDE))
        assert len(together.state.approvals) == len(alone.state.approvals) == MANY
        assert generations(together) < 10 < generations(alone)

    def test_a_file_that_comes_twice_opens_nothing_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path)
        rig.feed(*signals(rig))
        again = rig.feed(*signals(rig), *signals(rig))
        assert {report.outcome for report in again} == {SignalOutcome.DUPLICATE}
        assert len(rig.entries_at_venue()) == MANY

    def test_signals_beyond_the_room_on_the_bus_end_in_one_commit(self, tmp_path: Path) -> None:
        rig = rig_in(tmp_path, bus_capacity=3)
        reports = rig.feed(*signals(rig))
        assert len(reports) == MANY
        dropped = [r for r in reports if any(reason.code == "bus_overflow" for reason in r.reasons)]
        assert len(dropped) == MANY - 3
        assert generations(rig) < 15

    def test_books_that_cannot_be_written_leave_every_entry_unknown_and_send_none_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path)
        write = rig.venue._file.write

        def fail(_: object) -> None:
            raise StateError("state_disk_full", "no space left")

        monkeypatch.setattr(rig.venue._file, "write", fail)
        reports = rig.feed(*signals(rig))
        assert {report.outcome for report in reports} == {SignalOutcome.UNKNOWN}
        monkeypatch.setattr(rig.venue._file, "write", write)
        rig.restart()
        assert rig.at_venue() == {}
        assert {r.status for r in rig.state.orders.values()} == {OrderStatus.NEVER_SENT}


class TestFiles:
    def batches(self, rig: Rig) -> None:
        """Put a batch for each signal, one with a bad row, one that is known, one that is over, one without any."""
        row = RejectedRow(where="b.json:1", reason=Reason(code="signal_invalid", message="no price"))
        for number, signal in enumerate(signals(rig)):
            if number == 3:
                rig.source.put(rejected=(row,))
                rig.source.put()
            rig.source.put(signal, rejected=(row,) if number == 5 else ())
        rig.source.put(signals(rig)[2], make_signal("ZZZ", now=rig.clock.now(), minutes=0))
        rig.source.put(make_signal("ZZZ", now=rig.clock.now(), minutes=0))

    def test_many_small_files_come_to_the_same_as_one_after_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rigs = []
        for few, name in ((1000, "alone"), (1, "together")):
            monkeypatch.setattr(coordinating, "SMALL_BATCH", few)
            rig = rig_in(tmp_path / name)
            self.batches(rig)
            rig.cycle()
            rigs.append(rig)
        alone, together = rigs
        assert plain(together) == plain(alone)
        assert len(together.state.positions) == MANY
        assert together.source.batches == []
        told = [[(r.signal_id, r.outcome, r.where, r.quantity) for r in rig.coordinator.reports] for rig in rigs]
        assert told[0] == told[1]
        settled = [[[r.outcome for r in reports] for _, reports in rig.source.settled] for rig in rigs]
        assert settled[0] == settled[1]
        assert generations(together) < 12 < generations(alone)

    def test_files_of_which_one_decision_cannot_be_made_all_come_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path)
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.has_account = False
        rig.use(broker)
        self.batches(rig)
        waiting = len(rig.source.batches)
        with pytest.raises(BrokerError):
            rig.cycle()
        assert len(rig.source.batches) == waiting
        assert (rig.state.signals, rig.state.orders) == ({}, {})

    def test_more_than_may_be_written_down_at_once_go_in_groups(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(coordinating, "SMALL_BATCH", 1)
        monkeypatch.setattr(SimulatedBroker, "most_together", 7)
        rig = rig_in(tmp_path)
        self.batches(rig)
        rig.source.put(*[make_signal(f"Q{name_of(number)}", now=rig.clock.now()) for number in range(9)])
        rig.cycle()
        assert len(rig.state.positions) == MANY + 9
        assert rig.source.batches == []


class TestCloses:
    def test_all_are_closed_and_nothing_rests(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        alone, together = both(tmp_path, monkeypatch)
        done = []
        for few, rig in ((1000, alone), (1, together)):
            monkeypatch.setattr(serving, "SMALL_BATCH", few)
            before = generations(rig)
            done.append(close_all(rig))
            assert (rig.state.positions, rig.at_venue(), rig.resting_at_venue()) == ({}, {}, {})
            assert (generations(rig) - before < 8) == (rig is together)
        assert [replaced(result) for result in done[0].results] == [replaced(result) for result in done[1].results]
        assert done[1].failures == ()

    def test_a_fraction_leaves_the_rest_with_its_stop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        alone, together = both(tmp_path, monkeypatch)
        for few, rig in ((1000, alone), (1, together)):
            monkeypatch.setattr(serving, "SMALL_BATCH", few)
            close_all(rig, fraction=D("0.5"))
        assert plain(together) == plain(alone)
        assert together.resting_at_venue() == alone.resting_at_venue()
        assert {row[3] for row in plain(together)} == {D(0)}

    def test_one_that_cannot_be_closed_stops_no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _, rig = both(tmp_path, monkeypatch)
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.instrument.symbol == name_of(4)
        rig.use(broker)
        works = [CloseRequest(symbol=key) for key in rig.state.positions]
        works[7] = CloseRequest(symbol="ZZZZ")
        works[8] = CloseRequest(symbol=works[9].symbol)
        done: WorkDone = rig.run(service_of(rig).perform(*works))
        assert sorted(failure.code for failure in done.failures) == ["close_rejected", "close_under_way", "no_position"]
        assert len(done.results) == MANY - 3
        assert rig.unprotected(name_of(4)) == 0
        assert all(rig.unprotected(key) == 0 for key in rig.state.positions)

    def test_cancels_that_are_lost_do_no_harm_where_the_fill_ends_the_exits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, rig = both(tmp_path, monkeypatch)
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.loses_cancels = True
        rig.use(broker)
        done = close_all(rig)
        assert (done.failures, len(done.results)) == ((), MANY)
        assert (rig.at_venue(), rig.resting_at_venue()) == ({}, {})

    def test_exits_that_the_broker_does_not_release_are_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, rig = both(tmp_path, monkeypatch)
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.loses_cancels = True
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.oca_group is not None
        broker.why = "OCA group is not supported"
        rig.use(broker)
        done = close_all(rig)
        assert {failure.code for failure in done.failures} == {"exits_left"}
        assert len(done.failures) == MANY
        assert all("-S1" in failure.message and failure.status == 6 for failure in done.failures)

    def test_entries_that_are_not_ended_are_not_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _, rig = both(tmp_path, monkeypatch)
        key = name_of(2)
        entry = next(r for r in rig.orders(key) if r.order.role is OrderRole.ENTRY)
        with rig.store.transaction() as tx:
            tx.orders[entry.order.client_order_id] = msgspec.structs.replace(
                entry, status=OrderStatus.WORKING, filled_quantity=entry.filled_quantity - 1
            )
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.loses_cancels = True
        rig.use(broker)
        outcome = rig.run(rig.closer.close_together([CloseRequest(symbol=key)]))
        assert [(type(each), each.code) for each in outcome] == [(OutcomeUnknownError, "entry_unconfirmed")]

    def test_a_broker_out_of_reach_leaves_everything_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, rig = both(tmp_path, monkeypatch)
        resting = rig.resting_at_venue()

        async def refuse(_: object = ()) -> None:
            raise BrokerError("broker_unavailable", "out of reach")

        monkeypatch.setattr(rig.broker, "require_ready", refuse)
        done = close_all(rig)
        assert {failure.code for failure in done.failures} == {"broker_unavailable"}
        assert rig.resting_at_venue() == resting

    def test_what_fills_meanwhile_is_not_closed_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _, rig = both(tmp_path, monkeypatch)
        key = name_of(3)
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)

        def fill(name: str) -> None:
            if name in {r.order.client_order_id for r in rig.orders(key)}:
                rig.price("47", key)

        broker.before_exchange = fill
        done = close_all(rig)
        assert done.failures == ()
        assert rig.at_venue() == {}
        (met,) = [r for r in done.results if isinstance(r, Closed) and r.symbol == key]
        assert (met.status, met.quantity) == (CloseStatus.CLOSED, 0)


class TestApprovals:
    def test_all_that_stand_are_executed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        alone, together = both(tmp_path, monkeypatch, manual(WIDE))
        for few, rig in ((1000, alone), (1, together)):
            monkeypatch.setattr(serving, "SMALL_BATCH", few)
            before = generations(rig)
            done = rig.run(service_of(rig).perform(Answer(choice=Choice.APPROVE)))
            assert len(done.results) == MANY
            assert (generations(rig) - before < 10) == (rig is together)
        assert plain(together) == plain(alone)
        assert {row.status for row in together.state.approvals.values()} == {ApprovalStatus.EXECUTED}

    def test_one_that_stands_no_more_stops_no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _, rig = both(tmp_path, monkeypatch, manual(msgspec.structs.replace(WIDE, max_positions=10)))
        broker = UnreliableBroker(rig.venue, rig.clock)
        chosen = rig.desk.pending()
        first = chosen[0].opportunity.signal.symbol
        broker.rejects = lambda order: order.instrument.symbol == first
        rig.use(broker)
        rig.desk.reject(chosen[1])
        answer = Answer(choice=Choice.APPROVE, ids=tuple(each.approval_id for each in chosen))
        done: WorkDone = rig.run(service_of(rig).perform(answer))
        codes = [failure.code for failure in done.failures]
        assert codes[:2] == ["order_rejected", "already_answered"]
        assert set(codes[2:]) == {"max_positions"}
        assert len(done.results) == len(rig.state.positions) == 9

    def test_a_broker_that_takes_one_at_a_time_gets_one_at_a_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serving, "SMALL_BATCH", 1)
        rig = rig_in(tmp_path, manual(WIDE))
        rig.feed(*signals(rig))
        broker = UnreliableBroker(rig.venue, rig.clock)
        monkeypatch.setattr(UnreliableBroker, "most_together", 1)
        rig.use(broker)
        rig.run(service_of(rig).perform(Answer(choice=Choice.APPROVE)))
        assert generations(rig) > MANY
        assert len(rig.state.positions) == MANY

    def test_one_that_is_lost_on_its_way_is_unknown_and_the_others_stand(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, rig = both(tmp_path, monkeypatch, manual(WIDE))
        broker = UnreliableBroker(rig.venue, rig.clock)
        broker.fates.extend([Fate.TAKEN, Fate.LOST_AFTER, Fate.LOST_BEFORE])
        rig.use(broker)
        rig.run(service_of(rig).perform(Answer(choice=Choice.APPROVE)))
        assert len(rig.at_venue()) == MANY - 1
        unknown = {r.order.instrument.key for r in rig.state.orders.open() if r.status is OrderStatus.UNKNOWN}
        assert len(unknown) == 1
        assert len(rig.state.positions) == MANY - 1


def replaced(result: Any) -> Any:
    """Return a result without its order's name, which counts up with the ids before it."""
    return msgspec.structs.replace(result, client_order_id="")
