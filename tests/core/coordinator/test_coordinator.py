from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.app.compose import make_execution
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.files.signals.inbox import InboxSource
from apex_cli.core.adapters.process_locks import STATE_LOCK, ProcessLock
from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.coordinator.coordinator import Coordinator
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.errors import BrokerError, BusyError, SecurityError, StateError
from apex_cli.core.market.calendar import session_bounds, session_date
from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.order import Order
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalStatus, RejectedRow, SignalOutcome, SignalReport
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch, StateStore
from apex_cli.core.state.tables import State
from kit import FixedClock, MemoryStore, SequentialIds, an_event
from kit.faults import FailingStore, UnreliableBroker
from kit.rig import ListSource, Prices, Rig, auto, make_signal, manual
from kit.simple_ranker import SimpleRanker

D = Decimal
EXECUTED, QUEUED, REFUSED = SignalOutcome.EXECUTED, SignalOutcome.QUEUED, SignalOutcome.REFUSED
DUPLICATE, EXPIRED, INVALID = SignalOutcome.DUPLICATE, SignalOutcome.EXPIRED, SignalOutcome.INVALID


def signals(rig: Rig, **confidences: str) -> list[Signal]:
    return [make_signal(symbol, now=rig.clock.now(), confidence=reported) for symbol, reported in confidences.items()]


def outcomes(reports: list[SignalReport]) -> dict[str, SignalOutcome]:
    return {report.signal_id: report.outcome for report in reports}


def codes(report: SignalReport) -> set[str]:
    return {reason.code for reason in report.reasons}


def run(rig: Rig, **how: Any) -> int:
    cycles: int = rig.run(rig.coordinator.run(stop=asyncio.Event(), interval_s=0, **how))
    return cycles


class TestOrder:
    def test_the_best_opportunity_goes_first_whatever_came_first(self) -> None:
        rig = Rig()
        reports = rig.feed(*signals(rig, WEAK="0.66", BEST="0.95", GOOD="0.8"))
        assert [report.symbol for report in reports] == ["BEST", "GOOD", "WEAK"]
        assert [report.score for report in reports] == sorted([r.score for r in reports if r.score], reverse=True)

    def test_each_decision_sees_what_the_better_ones_opened(self) -> None:
        rig = Rig(limits=auto(RiskLimits(max_position_pct=D(1), max_open_risk_pct=D("0.02"))))
        reports = rig.feed(*signals(rig, C="0.7", A="0.9", B="0.8"))
        assert [(r.symbol, r.outcome) for r in reports] == [("A", EXECUTED), ("B", EXECUTED), ("C", REFUSED)]
        assert codes(reports[-1]) == {"open_risk"}

    def test_two_for_one_security_are_one(self) -> None:
        rig = Rig()
        now = rig.clock.now()
        reports = rig.feed(
            make_signal(now=now, signal_id="weak", confidence="0.7"),
            make_signal(now=now, signal_id="strong", confidence="0.9"),
        )
        assert outcomes(reports) == {"strong": EXECUTED, "weak": REFUSED}
        assert codes(reports[-1]) == {"duplicate_symbol"}

    def test_the_last_slot_goes_to_the_best(self) -> None:
        rig = Rig(limits=auto(RiskLimits(max_positions=1, max_position_pct=D(1))))
        reports = rig.feed(*signals(rig, A="0.7", B="0.9"))
        assert outcomes(reports) == {"sig-B": EXECUTED, "sig-A": REFUSED}

    def test_below_the_score_for_automatic_execution_a_person_is_asked(self) -> None:
        rig = Rig(
            limits=Limits(execution=ExecutionLimits(auto_execute=True, auto_min_score=D("0.65")), risk=auto().risk)
        )
        reports = rig.feed(*signals(rig, A="0.7", B="0.95"))
        assert outcomes(reports) == {"sig-B": EXECUTED, "sig-A": QUEUED}
        assert [report.approval_id is not None for report in reports] == [False, True]


class TestEverySignalEnds:
    def test_an_expired_one(self) -> None:
        rig = Rig()
        (report,) = rig.feed(make_signal(now=rig.clock.now() - timedelta(hours=2)))
        assert (report.outcome, codes(report)) == (EXPIRED, {"signal_expired"})
        assert rig.state.signals["sig-AAPL"].outcome is EXPIRED

    def test_one_that_expires_while_it_is_looked_at(self) -> None:
        rig = Rig()

        class Slow:
            name = "slow"

            async def process(self, signal: Signal) -> Signal:
                rig.clock.advance(minutes=61)
                return signal

        rig.coordinator = rig.make_coordinator(stages=[Slow()])
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert (report.outcome, codes(report)) == (REFUSED, {"signal_expired"})

    def test_one_that_a_stage_stops(self) -> None:
        class Strict:
            name = "strict"

            async def process(self, signal: Signal) -> Signal | Reason:
                if signal.symbol == "BAD":
                    return Reason(code="no_trend", message="There is no trend.")
                return replace(signal, metadata={"adx": 31})

        rig = Rig(stages=[Strict()])
        reports = rig.feed(*signals(rig, BAD="0.9", GOOD="0.7"))
        assert outcomes(reports) == {"sig-BAD": REFUSED, "sig-GOOD": EXECUTED}
        assert codes(reports[0]) == {"no_trend"}
        (event,) = rig.events("signal_ended")
        assert event.subject == "sig-BAD"
        (decided,) = rig.events("decided")
        assert msgspec.json.decode(decided.data)["opportunity"]["signal"]["metadata"] == {"adx": 31}

    def test_a_row_that_is_no_signal(self) -> None:
        rig = Rig()
        bad = RejectedRow(
            where="signals.csv:3", symbol="XX", reason=Reason(code="stop_loss_missing", message="No stop.")
        )
        rig.source.put(make_signal(now=rig.clock.now()), rejected=(bad,))
        rig.cycle()
        invalid, good = rig.coordinator.reports
        assert (invalid.outcome, invalid.where, codes(invalid)) == (INVALID, "signals.csv:3", {"stop_loss_missing"})
        assert good.outcome is EXECUTED
        (event,) = rig.events("signal_invalid")
        assert event.subject == "signals.csv:3"
        ((_, reported),) = rig.source.settled
        assert len(reported) == 2

    @pytest.mark.parametrize("together", [False, True])
    def test_a_row_that_is_no_signal_of_a_file_that_a_kill_left_is_recorded_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
    ) -> None:
        if together:
            monkeypatch.setattr("apex_cli.core.coordinator.coordinator.SMALL_BATCH", 0)

        class Killed(InboxSource):
            def settle(self, batch: SignalBatch, reports: Any) -> None:
                raise KeyboardInterrupt(batch.name, reports)

        rig = Rig()
        path = tmp_path / "a.json"
        path.write_text('{"symbol": "XX"}')
        for kind in (Killed, Killed, InboxSource):
            rig.coordinator = rig.make_coordinator(sources=[kind(tmp_path, is_once=True)])
            with suppress(KeyboardInterrupt):
                rig.cycle()
        assert [report.outcome for report in rig.coordinator.reports] == [INVALID]
        assert len(rig.events("signal_invalid")) == 1
        assert not path.exists()
        path.write_text('{"symbol": "XX"}')
        rig.cycle()
        assert len(rig.events("signal_invalid")) == 2

    def test_more_than_the_bus_holds_drops_the_weakest_and_says_so(self) -> None:
        rig = Rig(bus_capacity=2)
        reports = rig.feed(*signals(rig, A="0.70", B="0.90", C="0.66", D="0.80"))
        assert outcomes(reports) == {"sig-B": EXECUTED, "sig-D": EXECUTED, "sig-A": REFUSED, "sig-C": REFUSED}
        assert all(codes(r) == {"bus_overflow"} for r in reports if r.outcome is REFUSED)
        assert {e.subject for e in rig.events("signal_ended")} == {"sig-A", "sig-C"}
        assert rig.state.signals["sig-A"].outcome is REFUSED

    def test_a_dropped_copy_does_not_take_its_twin_along(self) -> None:
        rig = Rig(bus_capacity=1)
        now = rig.clock.now()
        reports = rig.feed(make_signal(now=now, confidence="0.9"), make_signal(now=now, confidence="0.7"))
        assert [report.outcome for report in reports] == [EXECUTED, DUPLICATE]
        assert rig.state.signals["sig-AAPL"].outcome is EXECUTED

    def test_a_dropped_signal_of_an_earlier_run_keeps_what_it_came_to(self) -> None:
        rig = Rig(bus_capacity=1)
        rig.feed(make_signal(now=rig.clock.now()))
        before = rig.state.signals["sig-AAPL"]
        reports = rig.feed(make_signal("MSFT", now=rig.clock.now(), confidence="0.9"), make_signal(now=rig.clock.now()))
        assert outcomes(reports) == {"sig-MSFT": EXECUTED, "sig-AAPL": DUPLICATE}
        assert rig.state.signals["sig-AAPL"] == before

    def test_every_report_goes_to_its_source(self) -> None:
        rig = Rig()
        rig.feed(*signals(rig, A="0.7", B="0.1"))
        rig.feed(*signals(rig, C="0.7"))
        assert [[r.symbol for r in reported] for _, reported in rig.source.settled] == [["A", "B"], ["C"]]


class TestRace:
    def test_two_coordinators_on_one_store_execute_a_signal_once(self) -> None:
        rig = Rig()
        one, other = ListSource(), ListSource()
        for source in (one, other):
            source.put(make_signal(now=rig.clock.now()))
        pair = [rig.make_coordinator(sources=[source]) for source in (one, other)]

        async def both() -> None:
            await asyncio.gather(*(coordinator.cycle() for coordinator in pair))

        rig.run(both())
        assert sorted(c.reports[0].outcome for c in pair) == [DUPLICATE, EXECUTED]
        assert len(rig.entries_at_venue()) == 1

    @pytest.mark.parametrize("verdict", ["refuse", "stage", "queue"])
    def test_a_slower_coordinator_does_not_overwrite_what_a_faster_one_did(self, verdict: str) -> None:
        rig = Rig()
        fast = rig.make_coordinator(sources=[])
        source = ListSource()
        source.put(make_signal(now=rig.clock.now()))
        fast._sources = [source]

        class Slow:
            name = "slow"

            async def process(self, signal: Signal) -> Signal | Reason:
                await fast.cycle()
                if verdict == "stage":
                    return Reason(code="no_trend", message="There is no trend.")
                return replace(signal, confidence=D("0.1")) if verdict == "refuse" else signal

        if verdict == "queue":
            rig.limits = manual()
            rig._build()
        rig.coordinator = rig.make_coordinator(stages=[Slow()])
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert report.outcome is DUPLICATE
        row = rig.state.signals["sig-AAPL"]
        assert (row.outcome, row.bracket_id is not None) == (EXECUTED, True)


class TestRunning:
    def test_once_goes_on_until_nothing_is_left(self) -> None:
        rig = Rig()
        for symbol in ("A", "B", "C"):
            rig.source.put(make_signal(symbol, now=rig.clock.now()))
        assert run(rig, once=True) == 2
        assert len(rig.state.positions) == 3

    def test_once_without_anything_is_one_cycle(self) -> None:
        assert run(Rig(), once=True) == 1

    def test_it_ends_after_as_many_cycles_as_reported(self) -> None:
        assert run(Rig(), max_cycles=3) == 3

    def test_it_ends_at_its_time(self) -> None:
        rig = Rig()
        until = rig.clock.now() + timedelta(minutes=2)

        class Ticking:
            def poll(self, now: datetime) -> list[Any]:
                del now
                rig.clock.advance(minutes=1)
                return []

        rig.coordinator = rig.make_coordinator(sources=[Ticking()])
        assert run(rig, until=until) == 2

    def test_a_stop_ends_it_between_two_cycles(self) -> None:
        rig = Rig()
        stop = asyncio.Event()

        class Watcher:
            def signal(self, report: SignalReport) -> None: ...

            def cycle(self, state_store: StateStore, now: datetime) -> None:
                stop.set()

        rig.coordinator = rig.make_coordinator(listener=Watcher())
        rig.source.put(make_signal(now=rig.clock.now()))
        assert rig.run(rig.coordinator.run(stop=stop, interval_s=60)) == 1
        assert rig.state.positions

    def test_a_listener_hears_of_signals_and_cycles(self) -> None:
        heard: list[Any] = []

        class Listener:
            def signal(self, report: SignalReport) -> None:
                heard.append(report.symbol)

            def cycle(self, state_store: StateStore, now: datetime) -> None:
                heard.append(len(state_store.view().positions))

        rig = Rig(listener=Listener())
        rig.feed(make_signal(now=rig.clock.now()))
        assert heard == ["AAPL", 1]


class TestFailures:
    def test_an_unreadable_account_opens_nothing_and_the_signal_is_tried_again(self) -> None:
        rig = Rig()
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        rig.cycle()
        rig.source.put(make_signal(now=rig.clock.now()))
        broker.has_account = False
        with pytest.raises(BrokerError):
            run(rig, once=True)
        assert rig.entries_at_venue() == []
        assert not rig.state.signals
        broker.has_account = True
        assert run(rig, once=True) == 2
        assert outcomes(rig.coordinator.reports) == {"sig-AAPL": EXECUTED}

    def test_an_account_that_fails_in_the_middle_of_a_batch_loses_no_signal(self) -> None:
        rig = Rig()
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        rig.cycle()
        rig.source.put(*signals(rig, A="0.9", B="0.8", C="0.7"))
        reads = 0
        real = broker.account

        async def third_fails() -> Any:
            nonlocal reads
            reads += 1
            if reads == 3:
                raise BrokerError("account_unreadable", "The account could not be read.")
            return await real()

        broker.account = third_fails  # type: ignore[method-assign]
        with pytest.raises(BrokerError):
            rig.cycle()
        assert len(rig.source.batches) == 1
        rig.cycle()
        assert rig.source.batches == []
        assert {row.outcome for row in rig.state.signals.values()} == {EXECUTED}
        assert len(rig.entries_at_venue()) == 3

    def test_a_loop_outlives_an_outage_and_reports_it_once(self) -> None:
        rig = Rig()
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        broker.has_account = False
        rig.source.put(make_signal(now=rig.clock.now()))
        cycles = 0

        class Watcher:
            def poll(self, now: datetime) -> list[Any]:
                del now
                return []

        def back_after_three() -> Iterator[datetime]:
            nonlocal cycles
            cycles += 1
            broker.has_account = cycles > 3
            return iter(())

        rig.coordinator = rig.make_coordinator(play_market=back_after_three, sources=[rig.source, Watcher()])
        assert run(rig, max_cycles=5) == 5
        assert rig.at_venue() == {"AAPL": 15}
        (alarm,) = rig.events("alarm")
        assert (alarm.subject, msgspec.json.decode(alarm.data)["code"]) == ("broker", "broker_unavailable")

    def test_a_loop_that_ends_in_an_outage_says_so(self) -> None:
        rig = Rig()
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        broker.has_account = False
        with pytest.raises(BrokerError):
            run(rig, max_cycles=3)

    @pytest.mark.parametrize("first", [1, 2])
    def test_a_loop_outlives_whoever_holds_the_state_for_a_while(self, tmp_path: Path, first: int) -> None:
        rig = Rig(store=TinyDbStore(tmp_path, clock=FixedClock(), lock_timeout_s=0.05), path=tmp_path / "venue.json")
        theirs, cycles = ProcessLock(tmp_path / STATE_LOCK), count(1)

        def held_for_three_cycles() -> Iterator[datetime]:
            cycle = next(cycles)
            if cycle == first:
                theirs.take_or_refuse(1)
            elif cycle == first + 3:
                theirs.drop()
            return iter(())

        rig.source.put(make_signal(now=rig.clock.now()))
        rig.coordinator = rig.make_coordinator(play_market=held_for_three_cycles)
        assert run(rig, max_cycles=first + 3) == first + 3
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.source.batches == []

    def test_a_loop_that_ends_while_another_process_holds_the_state_says_so(self, tmp_path: Path) -> None:
        rig = Rig(store=TinyDbStore(tmp_path, clock=FixedClock(), lock_timeout_s=0.05))
        theirs = ProcessLock(tmp_path / STATE_LOCK)
        theirs.take_or_refuse(1)
        with pytest.raises(BusyError):
            run(rig, max_cycles=2)
        theirs.drop()

    def test_a_state_that_cannot_be_written_stops_the_loop(self) -> None:
        rig = Rig(store=FailingStore(MemoryStore(), fail_at=2))
        rig.source.put(make_signal(now=rig.clock.now()))
        with pytest.raises(StateError):
            run(rig, max_cycles=5)
        assert len(rig.source.batches) == 1


class TestHouse:
    def test_a_new_session_starts_new_counts_and_keeps_the_peak(self) -> None:
        rig = Rig()
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("54")
        rig.cycle()
        rig.cycle()
        first = rig.state.counters
        assert (first.session_date, first.entries_today, first.peak_equity) == ("2026-03-02", 1, 3060)
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        second = rig.state.counters
        assert (second.session_date, second.entries_today) == ("2026-03-03", 0)
        assert (second.session_start_equity, second.peak_equity) == (3060, 3060)
        assert [event.subject for event in rig.events("session_started")] == ["2026-03-02", "2026-03-03"]

    def test_a_loss_does_not_lower_the_peak(self) -> None:
        rig = Rig()
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("47")
        rig.cycle()
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        counters = rig.state.counters
        assert (counters.session_start_equity, counters.peak_equity) == (2955, 3000)

    def test_what_waits_too_long_expires(self) -> None:
        rig = Rig(limits=manual())
        rig.feed(make_signal(now=rig.clock.now()))
        rig.clock.advance(minutes=30)
        rig.cycle()
        (approval,) = rig.state.approvals.values()
        assert approval.status is ApprovalStatus.EXPIRED
        assert rig.state.signals["sig-AAPL"].outcome is EXPIRED
        assert [event.kind for event in rig.store.events][-1] == "approval_expired"

    def test_prices_of_what_is_held_are_refreshed_never_backwards(self) -> None:
        prices = Prices()
        rig = Rig(prices=prices)
        prices.set("AAPL", "50", rig.clock.now())
        rig.feed(make_signal(now=rig.clock.now()))
        rig.clock.advance(minutes=1)
        prices.set("AAPL", "51.50", rig.clock.now())
        rig.cycle()
        row = rig.state.positions["AAPL"]
        assert (row.current_price, row.priced_at) == (D("51.50"), rig.clock.now())
        prices.set("AAPL", "49", rig.clock.now() - timedelta(minutes=10))
        rig.cycle()
        assert rig.state.positions["AAPL"].current_price == D("51.50")

    def test_learners_are_looked_at_every_five_minutes(self) -> None:
        looked: list[datetime] = []

        class Learners:
            def prepare(self, state: State, now: datetime) -> None:
                del state, now

            def check(self, state: State, now: datetime) -> None:
                state.emit(an_event("learned", at=now))
                looked.append(now)

        rig = Rig(learning=Learners())
        start = rig.clock.now()
        for _ in range(601):
            rig.cycle()
            rig.clock.advance(seconds=1)
        assert looked == [start + timedelta(seconds=s) for s in (0, 300, 600)]
        assert [event.subject for event in rig.events("alarm")] == ["learned"] * 3

    def test_the_pause_of_the_learners_outlives_a_restart(self) -> None:
        looked: list[datetime] = []

        class Learners:
            def prepare(self, state: State, now: datetime) -> None:
                del state, now

            def check(self, state: State, now: datetime) -> None:
                del state
                looked.append(now)

        rig = Rig(learning=Learners())
        rig.cycle()
        rig.clock.advance(seconds=100)
        rig.restart()
        rig.cycle()
        assert len(looked) == 1

    def test_old_rows_leave_with_the_session(self) -> None:
        rig = Rig()
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("54")
        rig.cycle()
        rig.clock.advance(minutes=5 * 24 * 60)
        rig.cycle()
        assert not rig.state.orders
        assert len(rig.state.fills) == 2
        assert len(rig.state.round_trips) == 1


class TestDryRun:
    def test_it_touches_nothing_and_reports_everything(self) -> None:
        rig = Rig()
        before = (rig.store.generation, len(rig.store.events))
        rig.source.put(*signals(rig, A="0.9", B="0.1"))
        rig.coordinator = rig.make_coordinator(dry_run=True)
        rig.cycle()
        assert outcomes(rig.coordinator.reports) == {"sig-A": EXECUTED, "sig-B": REFUSED}
        assert (rig.store.generation, len(rig.store.events)) == before
        assert rig.entries_at_venue() == []
        assert len(rig.source.batches) == 1

    def test_its_decisions_see_one_another(self) -> None:
        rig = Rig(limits=auto(RiskLimits(max_positions=1, max_position_pct=D(1))))
        rig.source.put(*signals(rig, A="0.7", B="0.9"))
        rig.coordinator = rig.make_coordinator(dry_run=True)
        rig.cycle()
        assert outcomes(rig.coordinator.reports) == {"sig-B": EXECUTED, "sig-A": REFUSED}

    def test_a_signal_in_two_files_is_reported_once(self) -> None:
        rig = Rig()
        for _ in range(2):
            rig.source.put(make_signal(now=rig.clock.now()))
        rig.coordinator = rig.make_coordinator(dry_run=True)
        rig.cycle()
        assert [r.outcome for r in rig.coordinator.reports] == [EXECUTED, DUPLICATE]

    def test_a_security_that_is_refused_late_ends_as_in_a_real_run(self) -> None:
        class PickyBroker(UnreliableBroker):
            async def account(self) -> AccountSnapshot:
                return replace(await super().account(), is_simulated=False)

            async def preview(self, order: Order) -> MarginPreview | None:
                raise SecurityError("no_such_security", f"{order.instrument.symbol} is not traded any more.")

        def reports(*, dry_run: bool) -> list[SignalReport]:
            rig = Rig(prices=Prices())
            rig.use(PickyBroker(rig.venue, rig.clock))
            rig.source.put(make_signal(now=rig.clock.now()))
            rig.coordinator = rig.make_coordinator(dry_run=dry_run)
            rig.cycle()
            return list(rig.coordinator.reports)

        planned, real = reports(dry_run=True), reports(dry_run=False)
        assert [(report.outcome, codes(report)) for report in real] == [(REFUSED, {"no_such_security"})]
        assert planned == real

    def test_counts_of_an_earlier_session_do_not_count(self) -> None:
        rig = Rig()
        with rig.store.transaction() as tx:
            tx.counters = replace(
                tx.counters, session_date="2026-02-27", entries_today=50, session_start_equity=D(9000)
            )
        rig.source.put(make_signal(now=rig.clock.now()))
        rig.coordinator = rig.make_coordinator(dry_run=True)
        rig.cycle()
        assert outcomes(rig.coordinator.reports) == {"sig-AAPL": EXECUTED}


class TestMissingData:
    def test_nothing_is_opened_without_a_price(self) -> None:
        rig = Rig(prices=Prices(follows_signals=False))
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        real = broker.account

        async def live() -> Any:
            return replace(await real(), is_simulated=False)

        broker.account = live  # type: ignore[method-assign]
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert report.outcome is REFUSED
        assert "price_collar" in codes(report)
        assert rig.entries_at_venue() == []

    def test_a_price_that_is_too_old_is_none(self) -> None:
        prices = Prices()
        rig = Rig(prices=prices)
        prices.set("AAPL", "50", rig.clock.now())
        rig.gatherer._max_price_age = timedelta(minutes=5)
        rig.clock.advance(minutes=6)
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert (report.outcome, codes(report)) == (REFUSED, {"price_collar"})

    def test_nothing_is_opened_in_a_closed_market(self) -> None:
        rig = Rig()
        rig.clock.advance(minutes=8 * 60)
        (report,) = rig.feed(make_signal(now=rig.clock.now()))
        assert codes(report) == {"market_hours"}


DAYS = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
BARS = {
    "AAPL": ("50,50.5,49.5,50", "50.2,52,50,51.8", "52,54.5,51.5,54", "54,55,53,54"),
    "MSFT": ("100,101,99,100", "99.5,100,95,96", "96,97,95,96", "96,97,95,96"),
}


class Market:
    """A run over daily bars from real CSV files."""

    def __init__(self, folder: Path, **coordinator: Any) -> None:
        for symbol, rows in BARS.items():
            lines = [f"{day},{row},1000" for day, row in zip(DAYS, rows, strict=True)]
            (folder / f"{symbol}.csv").write_text("\n".join(["Date,Open,High,Low,Close,Volume", *lines]))
        self.bars = CsvBars(folder)
        bounds = session_bounds(datetime.fromisoformat(DAYS[0]).date())
        assert bounds
        self.clock = BarClock(bounds[1])
        self.store = MemoryStore()
        self.venue = SimulatedBroker(
            clock=self.clock,
            prices=self.bars,
            bars=self.bars,
            buying_power_multiple=D(4),
            session_of=lambda at: session_date(at).isoformat(),
        )
        limits = auto()
        self.source = ListSource()
        ids = SequentialIds()
        execution = make_execution(store=self.store, broker=self.venue, clock=self.clock, ids=ids, limits=limits)
        self.coordinator = Coordinator(
            store=self.store,
            clock=self.clock,
            ids=ids,
            limits=limits,
            orders=execution.orders,
            executor=execution.executor,
            gatherer=Gatherer(
                broker=self.venue,
                clock=self.clock,
                prices=self.bars,
                limits=limits,
                day_trades=DayTradeCounter(limits.day_trades),
            ),
            make_ranker=lambda: SimpleRanker(limits.risk),
            sources=[self.source],
            play_market=self.play,
            **coordinator,
        )
        self.plays = False

    def play(self) -> Iterator[datetime]:
        if self.plays:
            yield from self.venue.steps(datetime.fromisoformat("2027-01-01T00:00:00+00:00"))


def test_a_run_over_bars_ends_in_the_history(tmp_path: Path) -> None:
    market = Market(tmp_path)
    now = market.clock.now()
    market.source.put(
        make_signal("AAPL", now=now, entry="50", stop="48", targets=("54",)),
        make_signal("MSFT", now=now, entry="100", stop="98", targets=("104",)),
    )
    asyncio.run(market.coordinator.cycle())
    assert {key: row.position.quantity for key, row in market.store.view().positions.items()} == {
        "AAPL": 15,
        "MSFT": 15,
    }
    market.plays = True
    asyncio.run(market.coordinator.cycle())
    state = market.store.view()
    assert not state.positions
    trips = {trip.instrument.key: (trip.exit_reason, trip.exit_price, trip.pnl) for trip in state.round_trips.values()}
    assert trips == {"AAPL": ("target", 54, 60), "MSFT": ("stop", 98, -30)}
    assert state.counters.session_date == DAYS[-1]
    assert [e.subject for e in market.store.events if e.kind == "session_started"] == list(DAYS)
    assert not [r for r in state.orders.values() if r.is_open]
    assert market.venue._engine.ledger.positions == {}
