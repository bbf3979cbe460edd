"""Another process holds the state for too long, at any moment: who does it again when it was busy gets it done once."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli import api
from apex_cli.app.handover import hand_over
from apex_cli.app.operator import Operator
from apex_cli.app.resources import open_store, read_settings
from apex_cli.core.adapters.process_locks import STATE_LOCK, ExecutorLock, ProcessLock
from apex_cli.core.adapters.simulated.book_file import BookFile
from apex_cli.core.errors import BusyError, ExitStatus
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.request import Closed, CloseRequest, CloseStatus, RequestStatus, WorkDone
from apex_cli.core.state.tables import open_requests
from apex_cli.presenters.screen.output import Output

FOR_GOOD = sys.maxsize
BUSY, UNKNOWN, DONE = ExitStatus.BUSY, ExitStatus.UNKNOWN_OUTCOME, ExitStatus.OK


class Holder:
    """Somebody who has the state while we want it for the n-th time, and so many times more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_away = True
        self.first = self.last = self.wanted = 0
        take = ProcessLock.take

        def taken(lock: ProcessLock, wait_s: float) -> bool:
            if self.is_away or lock.path.name != STATE_LOCK or lock.is_held:
                return take(lock, wait_s)
            self.wanted += 1
            return not self.first <= self.wanted < self.last and take(lock, wait_s)

        monkeypatch.setattr(ProcessLock, "take", taken)

    def come(self, first: int, times: int) -> None:
        self.first, self.last, self.wanted = first, first + times, 0
        self.is_away = False

    def leave(self) -> None:
        self.is_away = True


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Holder:
    return Holder(monkeypatch)


def at_broker() -> tuple[int, dict[str, Decimal]]:
    """Return how many orders the broker ever had, and what it holds."""
    book = BookFile(Path("state") / "simulated_broker.json", read_only=True).read()
    if book is None:
        return 0, {}
    return len(book.venue.orders), {row.instrument.symbol: row.quantity for row in book.venue.positions}


def everywhere(holder: Holder, times: int, do: Callable[[], Any]) -> list[Any]:
    """Do it in a fresh copy of this folder for each moment at which the state may be held; return what came of it."""
    found = []
    folder = Path.cwd()
    kept = shutil.copytree(folder, folder.with_name("kept"))
    for first in range(1, 100):
        shutil.rmtree(folder / "state", ignore_errors=True)
        if (kept / "state").exists():
            shutil.copytree(kept / "state", folder / "state")
        holder.come(first, times)
        found.append(do())
        if holder.wanted < first:
            return found
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("line", "end"),
    [
        (("close", "AAPL", "--quantity", "1", "--yes", "--wait", "0"), {"AAPL": 5, "MSFT": 5}),
        (("close", "AAPL", "--quantity", "1", "--yes", "--wait", "0.5"), {"AAPL": 5, "MSFT": 5}),
        (("approve", "--all", "--yes", "--wait", "0"), {"AAPL": 6, "MSFT": 5, "IBM": -1}),
    ],
    ids=["close", "close or hand over", "approve"],
)
@pytest.mark.parametrize("times", [1, FOR_GOOD])
@pytest.mark.usefixtures("traded")
def test_what_is_asked_again_after_busy_alone_is_done_once(
    apex_json: Callable[..., Any], holder: Holder, line: tuple[str, ...], end: dict[str, int], times: int
) -> None:
    def asked() -> ExitStatus:
        before = at_broker()
        status = apex_json(*line).status
        holder.leave()
        if status == BUSY:
            assert at_broker() == before
            assert apex_json(*line).status == DONE
        assert apex_json("run", "--once").status == DONE
        assert at_broker()[1] == end or (status == UNKNOWN and at_broker()[1] == before[1])
        return ExitStatus(status)

    statuses = everywhere(holder, times, asked)
    assert set(statuses) <= {BUSY, UNKNOWN, DONE}
    assert UNKNOWN in statuses
    assert statuses[-1] is DONE


@pytest.mark.parametrize("times", [1, FOR_GOOD])
@pytest.mark.usefixtures("demo")
def test_a_run_that_has_sent_something_is_not_called_busy_and_says_what(
    apex_json: Callable[..., Any], holder: Holder, times: int
) -> None:
    def ran() -> ExitStatus:
        answer = apex_json("run", "--once")
        holder.leave()
        orders, held = at_broker()
        assert (answer.status == BUSY) <= (orders == 0)
        if answer.status != BUSY:
            assert {row["symbol"] for row in answer.data["signals"] if row["orders"]} == set(held)
        return ExitStatus(answer.status)

    statuses = everywhere(holder, times, ran)
    assert set(statuses) == ({BUSY, DONE} if times == 1 else {BUSY, UNKNOWN, DONE})
    assert statuses[-1] is DONE


@pytest.mark.usefixtures("traded")
def test_work_of_a_holder_that_is_gone_is_done_once(holder: Holder) -> None:
    work = CloseRequest(symbol="AAPL", quantity=Quantity(Decimal(1)))

    def handed_over() -> str:
        before = at_broker()
        try:
            done = hand_over(Output("close", quiet=True), read_settings(Path("config.yaml")), work, 30)
        except BusyError:
            assert at_broker() == before
            return "busy"
        if done.failures:
            assert {failure.code for failure in done.failures} == {"orders_unsettled"}
            return "unknown"
        assert at_broker()[1] == {"AAPL": 5, "MSFT": 5}
        return done.the(Closed).status

    outcomes = everywhere(holder, 1, handed_over)
    assert outcomes[0] == "busy"
    assert set(outcomes[1:]) == {"reduced", "unknown"}
    assert outcomes.count("unknown") < len(outcomes) / 2


@pytest.mark.usefixtures("traded")
def test_a_holder_that_stops_after_the_first_of_two_leaves_no_busy_answer() -> None:
    """What is done is in the answer: who hears that all was busy closes the first one again."""
    settings, works = read_settings(Path("config.yaml")), [CloseRequest(symbol=symbol) for symbol in ("AAPL", "MSFT")]
    store, closed = (
        open_store(settings),
        Closed(symbol="AAPL", status=CloseStatus.CLOSED, quantity=Quantity(Decimal(6))),
    )

    def do_one() -> None:
        while not open_requests(store.view()):
            time.sleep(0.01)
        with store.transaction() as tx:
            (row,) = tx.requests.values()
            done = WorkDone(results=(closed,))
            tx.requests[row.request_id] = replace(row, status=RequestStatus.DONE, done=done)

    holder = threading.Thread(target=do_one)
    with ExecutorLock(settings.state.dir):
        holder.start()
        done = Operator(settings, Output("close", quiet=True), wait_s=5).do(*works)
        holder.join()
    assert done.results == (closed,)
    assert [(failure.code, failure.status) for failure in done.failures] == [("work_left", UNKNOWN)]
    assert done.failures[0].message.startswith("Of 2 pieces of work 1 were done.")
    assert "did not begin within 5 s" in done.failures[0].message


@pytest.mark.parametrize("wait_s", [0, 0.5])
def test_a_program_whose_signal_has_left_is_not_called_busy(traded: Path, holder: Holder, wait_s: float) -> None:
    def submitted() -> str:
        before = at_broker()
        ibm = api.Signal(
            symbol="IBM", signal_type="LONG", entry_price="97", stop_loss="95", target_prices=("103",), confidence="0.9"
        )
        try:
            outcome = str(api.Apex(traded / "config.yaml", wait_s=wait_s).submit(ibm).outcome)
        except api.ApexError as error:
            outcome = error.code
        holder.leave()
        assert (at_broker() == before) == (outcome in {"state_busy", "received"})
        return outcome

    outcomes = everywhere(holder, FOR_GOOD, submitted)
    assert set(outcomes) == {"received" if wait_s else "state_busy", "orders_unsettled", "executed"}
