"""Hands work to the process that holds the executor.

A request is a row in the state. The holder takes it, does it, and writes what came of it. This
process waits and looks: when the holder dies, the operating system frees the lock at once, and
this process takes the executor and finishes what was begun.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.app.compose import connected, make_parts, make_service
from apex_cli.app.resources import alarms_since, executor_holder, executor_lock, new_id, open_store
from apex_cli.core.adapters import event_loop
from apex_cli.core.errors import BusyError, ExitStatus, OutcomeUnknownError
from apex_cli.core.model.request import Failure, RequestRecord, RequestStatus, Work, WorkDone
from apex_cli.core.state.events.operation_events import RequestMade
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.state.store import TinyDbStore
    from apex_cli.core.ports import StateStore

LOOK_INTERVAL_S = 0.1


def hand_over(out: Output, settings: Settings, work: Work, wait_s: float) -> WorkDone:
    """Write the request and wait for its end, with a spinner at a terminal.

    Raises:
        BusyError: the holder did not begin within *wait_s*; nothing was done.
        OutcomeUnknownError: it began and did not end in time.
    """
    store = open_store(settings)
    newest = store.view().last_seq
    request_id = _ask(store, work, wait_s)
    holder = executor_holder(settings) or "another process"
    out.note(f"{holder} holds the executor; handed over, waiting for its answer.")
    try:
        with out.waiting(f"waiting for {holder}"):
            done = _await(settings, store, request_id, wait_s)
            return replace(done, alarms=tuple(alarm for _, alarm in alarms_since(settings, store.view(), newest)))
    except KeyboardInterrupt:
        _withdraw(store, request_id)
        raise


def _ask(store: TinyDbStore, work: Work, wait_s: float) -> str:
    now = store.clock.now()
    request_id = new_id()
    with store.transaction() as tx:
        tx.requests[request_id] = RequestRecord(
            request_id=request_id,
            work=work,
            asked_by=f"{' '.join(['apex', *sys.argv[1:2]])} (process {os.getpid()})",
            created_at=now,
            valid_until=now + timedelta(seconds=wait_s),
        )
        tx.emit(RequestMade(at=now, subject=request_id, data=tx.requests[request_id]))
    return request_id


def _await(settings: Settings, store: StateStore, request_id: str, wait_s: float) -> WorkDone:
    """Look until the request is done; take the executor as soon as its holder is gone."""
    deadline = time.monotonic() + wait_s
    while True:
        record = store.view().requests.get(request_id)
        if record is None or record.done is not None:
            return _collect(store, request_id)
        if _take_over(settings):
            continue
        if time.monotonic() >= deadline and _withdraw(store, request_id):
            raise not_begun(executor_holder(settings), wait_s)
        if time.monotonic() >= deadline + wait_s:
            raise OutcomeUnknownError(
                "request_unfinished",
                "Another process began, but did not end in time.",
                hint="Look at apex positions and apex orders.",
            )
        time.sleep(LOOK_INTERVAL_S)


def not_begun(holder: str, wait_s: float) -> BusyError:
    """Return the error for a *holder* of the executor, such as ``apex run (pid 7)``, that did not take up the work."""
    process = holder.partition("(pid ")[2].partition(")")[0]
    end = f"or end that process: kill {process}, and once more if it still runs." if process.isdigit() else "or end it."
    who = holder or "Another process"
    return BusyError(
        "executor_busy",
        f"{who[:1].upper()}{who[1:]} holds the executor and did not begin within {wait_s:g} s; nothing was done.",
        hint=f"Wait longer with --wait 60, look what it does with apex doctor, {end}",
    )


def _take_over(settings: Settings) -> bool:
    """Do what waits if nobody holds the executor any more; False where it is to be tried again.

    What was begun when the state could not be had is finished then, and not done twice.
    """
    try:
        with executor_lock(settings):
            event_loop.run(_finish_all(settings))
    except (BusyError, OutcomeUnknownError):
        return False
    return True


async def _finish_all(settings: Settings) -> None:
    """Do all that waits, this process holding the executor."""
    async with connected(make_parts(settings)) as parts:
        await make_service(parts).serve()


def _collect(store: StateStore, request_id: str) -> WorkDone:
    """Return the answer, and take it off the state where that can be had; else it leaves after some sessions."""
    record: RequestRecord | None = store.view().requests.get(request_id)
    with suppress(BusyError), store.transaction() as tx:
        tx.requests.pop(request_id, None)
    if record is not None and record.done is not None:
        return record.done
    lost = Failure(
        status=int(ExitStatus.UNKNOWN_OUTCOME),
        code="request_lost",
        message="The request is gone from the state without an answer.",
        hint="Look at apex positions and apex orders.",
    )
    return WorkDone(failures=(lost,))


def _withdraw(store: StateStore, request_id: str) -> bool:
    """Take the request back; False when somebody has begun it already, or may have."""
    with suppress(BusyError), store.transaction() as tx:
        record: RequestRecord | None = tx.requests.get(request_id)
        if record is None or record.status is not RequestStatus.WAITING:
            return False
        del tx.requests[request_id]
        return True
    return False
