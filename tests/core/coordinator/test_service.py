from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import msgspec
import pytest

from apex_cli.core.adapters.process_locks import STATE_LOCK, ProcessLock
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.coordinator import service
from apex_cli.core.coordinator.service import Service
from apex_cli.core.errors import ExitStatus
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.records import ApprovalStatus
from apex_cli.core.model.request import (
    Answer,
    Answered,
    Choice,
    Closed,
    CloseRequest,
    RequestRecord,
    RequestStatus,
    Work,
)
from apex_cli.core.state.tables import is_asked
from kit import FixedClock
from kit.rig import Rig, auto, make_signal, manual


class Counter:
    """A rig with a service, and requests as another process writes them."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.wall = FixedClock()
        self.serve_as("process 1")

    def serve_as(self, name: str) -> None:
        self.service = Service(
            store=self.rig.store,
            executor=self.rig.executor,
            closer=self.rig.closer,
            mover=self.rig.mover,
            desk=self.rig.desk,
            adoption=self.rig.adoption,
            wall=self.wall,
            name=name,
        )

    def ask(self, work: Work, *, seconds: int = 30, status: RequestStatus = RequestStatus.WAITING) -> str:
        request_id = f"request-{len(self.rig.state.requests) + 1}"
        now = self.wall.now()
        with self.rig.store.transaction() as tx:
            tx.requests[request_id] = RequestRecord(
                request_id=request_id,
                work=work,
                asked_by="apex close (process 2)",
                created_at=now,
                valid_until=now + timedelta(seconds=seconds),
                status=status,
            )
        return request_id

    def serve(self) -> None:
        self.rig.run(self.service.serve())

    def answer_to(self, request_id: str) -> RequestRecord:
        record: RequestRecord = self.rig.state.requests[request_id]
        assert record.status is RequestStatus.DONE
        return record

    def results(self, request_id: str) -> tuple[Closed | Answered, ...]:
        done = self.answer_to(request_id).done
        assert done is not None
        return done.results

    def codes(self, request_id: str) -> list[str]:
        done = self.answer_to(request_id).done
        assert done is not None
        return [failure.code for failure in done.failures]


@pytest.fixture
def holding() -> Counter:
    """Three shares of AAPL are held."""
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    return Counter(rig)


@pytest.fixture
def waiting() -> Counter:
    """One approval waits."""
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now()))
    return Counter(rig)


def test_a_close_that_was_asked_for_is_done_and_reported(holding: Counter) -> None:
    held = holding.rig.state.positions["AAPL"].position.quantity
    asked = holding.ask(CloseRequest(symbol="AAPL"))
    assert is_asked(holding.rig.state)
    holding.serve()
    (closed,) = holding.results(asked)
    assert isinstance(closed, Closed)
    assert (closed.status, closed.quantity) == ("closed", held)
    assert not holding.rig.state.positions
    assert not is_asked(holding.rig.state)
    assert holding.answer_to(asked).taken_by == "process 1"


def test_what_is_done_is_not_done_again(holding: Counter) -> None:
    held = holding.rig.state.positions["AAPL"].position.quantity
    holding.ask(CloseRequest(symbol="AAPL", quantity=Quantity(Decimal(1))))
    holding.serve()
    holding.serve()
    assert holding.rig.state.positions["AAPL"].position.quantity == held - 1


def test_a_failure_travels_with_its_status_and_hint(holding: Counter) -> None:
    asked = holding.ask(CloseRequest(symbol="TSLA"))
    holding.serve()
    done = holding.answer_to(asked).done
    assert done is not None
    (failure,) = done.failures
    assert (failure.code, failure.status) == ("no_position", ExitStatus.NOTHING_DONE)
    assert "AAPL" in failure.hint


def test_a_close_that_is_done_is_not_called_busy_when_the_state_is_held_afterwards(tmp_path: Path) -> None:
    """Who hears that nothing was done closes again: half of a position, and then half of the rest."""
    rig = Rig(store=TinyDbStore(tmp_path, clock=FixedClock(), lock_timeout_s=0.05))
    rig.feed(make_signal(now=rig.clock.now()))
    orders, theirs = rig.execution.orders, ProcessLock(tmp_path / STATE_LOCK)
    orders._patience = msgspec.structs.replace(orders._patience, settle_s=0.01)
    orders.listen(lambda _: theirs.take_or_refuse(1))
    done = rig.run(Counter(rig).service.perform(CloseRequest(symbol="AAPL")))
    theirs.drop()
    assert [type(result) for result in done.results] == [Closed]
    assert [(failure.code, failure.status) for failure in done.failures] == [
        ("orders_unsettled", ExitStatus.UNKNOWN_OUTCOME)
    ]
    assert str(tmp_path / STATE_LOCK) in done.failures[0].message
    assert not rig.state.positions


@pytest.mark.parametrize(
    ("symbols", "work"),
    [
        (("AAPL",), CloseRequest(symbol="AAPL", fraction=Decimal("0.5"))),
        (("AAPL",), CloseRequest(symbol="AAPL", limit_price=Price(Decimal(60)))),
        (("AAPL",), Answer(choice=Choice.APPROVE, by="me")),
        (tuple(f"S{number:02d}" for number in range(22)), None),
    ],
    ids=["half", "at a limit", "yes", "many together"],
)
def test_what_has_left_for_the_broker_is_not_called_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbols: tuple[str, ...], work: Work | None
) -> None:
    """Another process holds the state between the sending and the booking: the outcome is unknown, and is found out."""
    store = TinyDbStore(tmp_path, clock=FixedClock(), lock_timeout_s=0.05)
    rig = Rig(path=tmp_path / "venue.json", store=store, limits=manual() if isinstance(work, Answer) else auto())
    rig.feed(*[make_signal(symbol, now=rig.clock.now()) for symbol in symbols])
    theirs, is_held = ProcessLock(tmp_path / STATE_LOCK), count()
    rig.execution.orders._patience = msgspec.structs.replace(rig.execution.orders._patience, settle_s=0.01)
    for name in ("submit", "exchange"):
        send = getattr(rig.broker, name)
        monkeypatch.setattr(rig.broker, name, _then(send, lambda: next(is_held) or theirs.take_or_refuse(1)))
    works = (work,) if work is not None else tuple(CloseRequest(symbol=symbol) for symbol in symbols)
    done = rig.run(Counter(rig).service.perform(*works))
    assert {(failure.code, failure.status) for failure in done.failures} == {
        ("orders_unsettled", ExitStatus.UNKNOWN_OUTCOME)
    }
    theirs.drop()
    sent = len(rig.state.orders)
    rig.execution.orders.sync()
    assert len(rig.state.orders) == sent
    assert all(record.status is not OrderStatus.INTENT for record in rig.state.orders.values())


def _then(do: Callable[..., Awaitable[None]], act: Callable[[], object]) -> Callable[..., Awaitable[None]]:
    async def both(*arguments: object) -> None:
        await do(*arguments)
        act()

    return both


def test_a_state_that_is_held_from_the_start_is_busy_and_nothing_is_sent(tmp_path: Path) -> None:
    rig = Rig(store=TinyDbStore(tmp_path, clock=FixedClock(), lock_timeout_s=0.05))
    rig.feed(make_signal(now=rig.clock.now()))
    theirs, held = ProcessLock(tmp_path / STATE_LOCK), rig.at_venue()
    theirs.take_or_refuse(1)
    done = rig.run(Counter(rig).service.perform(CloseRequest(symbol="AAPL")))
    theirs.drop()
    assert [failure.status for failure in done.failures] == [ExitStatus.BUSY]
    assert rig.at_venue() == held


def test_nobody_waits_any_more_so_it_is_not_begun(holding: Counter) -> None:
    asked = holding.ask(CloseRequest(symbol="AAPL"), seconds=30)
    holding.wall.advance(timedelta(seconds=31))
    holding.serve()
    assert holding.codes(asked) == ["request_expired"]
    assert "AAPL" in holding.rig.state.positions


@pytest.mark.parametrize("few", [service.SMALL_BATCH, 0])
def test_a_close_that_a_dead_process_sent_is_reported_and_not_sent_again(
    holding: Counter, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(service, "SMALL_BATCH", few)
    held = holding.rig.state.positions["AAPL"].position.quantity
    work = CloseRequest(symbol="AAPL", quantity=Quantity(Decimal(1)))
    asked = holding.ask(work, status=RequestStatus.TAKEN)
    holding.rig.run(holding.service.perform(work, request_id=asked))
    holding.serve_as("process 3")
    holding.serve()
    (closed,) = holding.results(asked)
    assert isinstance(closed, Closed)
    assert (closed.status, closed.quantity, closed.remaining) == ("reduced", 1, held - 1)
    assert holding.rig.state.positions["AAPL"].position.quantity == held - 1
    assert len([r for r in holding.rig.orders() if r.order.role is OrderRole.CLOSE]) == 1


def test_a_close_that_a_dead_process_sent_whole_reports_the_profit_of_the_round_trip(holding: Counter) -> None:
    work = CloseRequest(symbol="AAPL")
    asked = holding.ask(work, status=RequestStatus.TAKEN)
    (first,) = holding.rig.run(holding.service.perform(work, request_id=asked)).results
    holding.serve_as("process 3")
    holding.serve()
    assert holding.results(asked) == (first,)


def test_a_close_that_a_dead_process_only_took_is_done_now(holding: Counter) -> None:
    asked = holding.ask(CloseRequest(symbol="AAPL"), status=RequestStatus.TAKEN)
    holding.serve_as("process 3")
    holding.serve()
    (closed,) = holding.results(asked)
    assert isinstance(closed, Closed)
    assert closed.status == "closed"


def test_a_yes_that_was_asked_for_is_carried_out(waiting: Counter) -> None:
    (approval,) = waiting.rig.desk.pending()
    asked = waiting.ask(Answer(ids=(approval.approval_id,), choice=Choice.APPROVE, by="phone"))
    waiting.serve()
    (answered,) = waiting.results(asked)
    assert isinstance(answered, Answered)
    assert answered.approval.status is ApprovalStatus.EXECUTED
    assert answered.approval.decided_by == "phone"
    assert answered.orders


def test_a_no_to_all_that_waits(waiting: Counter) -> None:
    asked = waiting.ask(Answer(choice=Choice.REJECT, reason="earnings"))
    waiting.serve()
    (answered,) = waiting.results(asked)
    assert isinstance(answered, Answered)
    assert (answered.approval.status, answered.approval.reason) == (ApprovalStatus.REJECTED, "earnings")


def test_an_answer_when_nothing_waits_and_one_to_an_unknown_id(holding: Counter) -> None:
    nothing = holding.ask(Answer(choice=Choice.APPROVE))
    unknown = holding.ask(Answer(ids=("01ABCDEFG",), choice=Choice.APPROVE))
    holding.serve()
    assert holding.codes(nothing) == ["nothing_pending"]
    assert holding.codes(unknown) == ["approval_unknown"]


def test_a_yes_that_a_dead_process_carried_out_is_reported_and_not_given_twice(waiting: Counter) -> None:
    (approval,) = waiting.rig.desk.pending()
    work = Answer(ids=(approval.approval_id,), choice=Choice.APPROVE)
    asked = waiting.ask(work, status=RequestStatus.TAKEN)
    waiting.rig.run(waiting.service.perform(work))
    waiting.serve_as("process 3")
    waiting.serve()
    (answered,) = waiting.results(asked)
    assert isinstance(answered, Answered)
    assert answered.approval.status is ApprovalStatus.EXECUTED
    assert len(waiting.rig.entries_at_venue()) == 1


def test_a_yes_that_a_dead_process_only_took_is_carried_out_now(waiting: Counter) -> None:
    (approval,) = waiting.rig.desk.pending()
    asked = waiting.ask(Answer(ids=(approval.approval_id,), choice=Choice.APPROVE), status=RequestStatus.TAKEN)
    waiting.serve_as("process 3")
    waiting.serve()
    (answered,) = waiting.results(asked)
    assert isinstance(answered, Answered)
    assert answered.approval.status is ApprovalStatus.EXECUTED


def test_requests_and_answers_keep_their_kind_on_disk(holding: Counter) -> None:
    asked = holding.ask(CloseRequest(symbol="AAPL"))
    holding.serve()
    record = holding.answer_to(asked)
    assert msgspec.json.decode(msgspec.json.encode(record), type=RequestRecord) == record
