"""Terminal, two people on the phone and the clock, all at one approval at the same moment."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apex_cli.app.operator import Operator
from apex_cli.app.resources import open_journal, open_store
from apex_cli.core.execution import upkeep
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Answer, Choice
from apex_cli.core.ports import StateStore
from apex_cli.notify.post import Postman
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings
from kit.telegram import ANNA, BEN, BotApi

ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))
"""The default suite plays a few; RACE_ROUNDS=200 is played by hand."""

ENDS = {ApprovalStatus.EXECUTED, ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED}


def expire_approvals(store: StateStore, now: datetime) -> tuple[str, ...]:
    """Expire what waited too long, as every cycle does; return the approval ids."""
    due = upkeep._due(store.view(), now)
    with store.transaction() as tx:
        upkeep._expire(tx, due, now)
    return due


def queue_one(folder: Path, apex: Callable[..., Any], number: int) -> str:
    """Queue one more trade and return its symbol."""
    symbol = f"RACE{number}"
    signal = {"symbol": symbol, "signal_type": "BUY", "entry_price": 20, "stop_loss": 19, "target_price": 24}
    (folder / "bars" / f"{symbol}.csv").write_text("Date,Open,High,Low,Close\n2004-02-26,20,20,20,20\n")
    (folder / "race.json").write_text(json.dumps([signal | {"confidence": 0.9}]))
    status, out, said = apex("run", "--once", "--manual", "--quiet", "--signals", "race.json")
    assert status == 0, said
    assert "queued" in out, out
    return symbol


def find(settings: Settings, symbol: str) -> ApprovalRecord:
    rows = open_store(settings).view().approvals.values()
    return next(row for row in rows if row.opportunity.signal.symbol == symbol)


@pytest.fixture
def at_any_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trades be opened at any hour, as many as there are rounds, on money enough for them."""
    assert folder.is_dir()
    variables = {
        "SIMULATION__CLOCK": "system",
        "RISK__ENFORCE_MARKET_HOURS": "false",
        "RISK__CAPITAL": "1000000",
        "RISK__MAX_POSITION_PCT": "0.0001",
        "RISK__MAX_POSITIONS": "10000",
        "RISK__MAX_ORDERS_PER_DAY": "10000",
        "RISK__MAX_OPEN_RISK_PCT": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"APEX_{name}", value)


@pytest.mark.usefixtures("at_any_time")
def test_there_is_exactly_one_outcome_and_everybody_is_reported_it(
    api: BotApi, folder: Path, apex: Callable[..., Any], settings: Settings
) -> None:
    from apex_cli.app.resources import read_settings

    settings = read_settings(None)
    outcomes: dict[str, int] = {}
    postman = Postman(settings, listens=True, say=lambda _: None)
    for number in range(ROUNDS):
        symbol = queue_one(folder, apex, number)
        if number == 0:
            postman.prepare()
            postman.start()
        winner = play(api, settings, symbol, offset=number)
        outcomes[winner] = outcomes.get(winner, 0) + 1
    assert postman.finish(30)
    entries = [r.order for r in open_store(settings).view().orders.values() if r.order.role == "ENTRY"]
    assert len(entries) == outcomes.get("executed", 0)
    assert len({order.instrument.symbol for order in entries}) == len(entries)


def play(api: BotApi, settings: Settings, symbol: str, *, offset: int) -> str:
    """Let everybody answer at once; check what each was reported; return the outcome."""
    row = find(settings, symbol)
    api.wait_for(lambda: any(f"{symbol}?" in text for text in api.texts()))
    message = next(n for n, m in api.messages.items() if f"{symbol}?" in m["text"])
    keys = list(api.buttons(message).values())
    gate = threading.Barrier(3)
    presses: list[str] = []
    told_terminal: list[str] = []

    def phone() -> None:
        gate.wait()
        presses.extend([api.press(ANNA, keys[0], message_id=message), api.press(BEN, keys[1], message_id=message)])

    def terminal() -> None:
        gate.wait()
        phone = Operator(settings, Output("telegram", quiet=True), wait_s=20)
        choice = Choice.APPROVE if offset % 2 else Choice.REJECT
        done = phone.do(Answer(ids=(row.approval_id,), choice=choice))
        told_terminal.extend([r.approval.status for r in done.results] or [f.message for f in done.failures])  # type: ignore[union-attr]

    def clock() -> None:
        gate.wait()
        if offset % 3 == 0:
            expire_approvals(open_store(settings), row.expires_at + timedelta(seconds=1))

    threads = [threading.Thread(target=work) for work in (phone, terminal, clock)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    api.wait_for(lambda: set(presses) <= set(api.answers))
    api.wait_for(lambda: not api.buttons(message))
    end = find(settings, symbol)
    assert end.status in ENDS
    assert_one_end(settings, row.approval_id)
    assert_truth(end, [api.answers[press] for press in presses], told_terminal, api.messages[message]["text"])
    return end.status.value


def assert_one_end(settings: Settings, approval_id: str) -> None:
    """The journal holds one way from pending to the end."""
    kinds = [
        event.kind
        for event in open_journal(settings).events()
        if event.kind.startswith("approval_")
        and msgspec.json.decode(event.data, type=ApprovalRecord).approval_id == approval_id
    ]
    assert kinds in (
        ["approval_queued", "approval_approved", "approval_executed"],
        ["approval_queued", "approval_rejected"],
        ["approval_queued", "approval_expired"],
    )


def assert_truth(end: ApprovalRecord, phones: list[str], terminal: list[str], message: str) -> None:
    """Whoever was not the one who decided heard who was; nobody heard another end."""
    words = {"executed", "rejected", "expired"}
    for heard in (*phones, *terminal):
        claimed = {word for word in words if word in heard.lower()}
        is_told_it_is_over = "approved by" in heard or "Somebody pressed" in heard
        assert claimed <= {end.status.value}, (end.status, heard)
        assert claimed or is_told_it_is_over, heard
    assert end.decided_by in message
