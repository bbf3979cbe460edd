"""From the commit to the phone and back: apex itself, the real library, and a Bot API on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from apex_cli.app import run_loop as running
from apex_cli.app.operator import Operator
from apex_cli.app.resources import open_store, read_settings
from apex_cli.core.adapters.notifiers.buttons import ButtonFile
from apex_cli.core.adapters.notifiers.secrets import read_secrets
from apex_cli.core.adapters.process_locks import ExecutorLock
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Answer, Choice
from apex_cli.core.state.tables import open_requests
from apex_cli.notify import telegram_handler as telegram_desk
from apex_cli.notify.channels import notify_folder
from apex_cli.notify.post import Postman
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings
from kit import START
from kit.telegram import ANNA, BEN, CHAT, CONFLICT, SERVER_ERROR, STRANGER, TOO_MANY, BotApi, Fault

YES, NO, HALF, DETAILS = "✅ Approve", "🚫 Reject", "½ Half size", "🔍 Details"


@contextmanager
def listening(settings: Settings) -> Iterator[list[str]]:
    """Let a post of this process deliver and listen, as ``apex telegram`` does."""
    said: list[str] = []
    postman = Postman(settings, listens=True, say=said.append)
    assert not postman.prepare()
    postman.start()
    try:
        yield said
    finally:
        postman.finish(10)


def until(holds: Callable[[], object]) -> None:
    """Wait for what no call of the bot announces."""
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def approvals(settings: Settings) -> dict[str, ApprovalRecord]:
    """Return what waits or waited, by symbol."""
    rows = open_store(settings).view().approvals.values()
    return {row.opportunity.signal.symbol: row for row in rows}


@pytest.fixture
def asked(apex: Callable[..., Any], settings: Settings) -> Settings:
    """Let a run queue every trade for approval; the phone is asked about IBM and two others."""
    status, _, said = apex("run", "--once", "--manual", "--quiet")
    assert status == 0, said
    return settings


def question(api: BotApi, symbol: str) -> int:
    """Return the newest message that asks about *symbol*."""
    found = [n for n, message in api.messages.items() if f" {symbol}?" in message["text"] and api.buttons(n)]
    assert found, api.texts()
    return found[-1]


def press(api: BotApi, user: int, message_id: int, label: str, **how: Any) -> str:
    """Press a button and return what the person is reported."""
    pressed = api.press(user, api.buttons(message_id)[label], message_id=message_id, **how)
    api.wait_for(lambda: pressed in api.answers)
    return api.answers[pressed]


def test_a_question_has_buttons_and_an_answer_takes_them_away(api: BotApi, asked: Settings) -> None:
    message = question(api, "AAPL")
    assert set(api.buttons(message)) == {YES, NO, HALF, DETAILS}
    with listening(asked):
        assert "approved and executed" in press(api, ANNA, message, YES)
        api.wait_for(lambda: "Price: was " in api.messages[message]["text"])
    assert api.buttons(message) == {}
    row = approvals(asked)["AAPL"]
    assert (row.status, row.decided_by) == (ApprovalStatus.EXECUTED, "anna (Telegram)")
    assert "By anna (Telegram) at" in api.messages[message]["text"]
    assert "Price: was " in api.messages[message]["text"]
    assert any("AAPL long" in text for text in api.texts())


def test_a_question_comes_with_its_chart_and_a_picture_that_fails_holds_up_nothing(
    api: BotApi, apex: Callable[..., Any], settings: Settings
) -> None:
    api.faults["sendPhoto"].append(TOO_MANY)  # the first picture is lost, and its words are not sent again
    apex("run", "--once", "--manual")
    asked = [n for n, message in api.messages.items() if api.buttons(n)]
    assert len(asked) == len(approvals(settings))
    assert {photo["reply_parameters"]["message_id"] for photo in api.photos} == set(asked[1:])
    assert len(api.photos) == len(asked) - 1
    assert all(photo["photo"].startswith(b"\x89PNG") for photo in api.photos)


def test_half_size_is_half_of_what_was_asked_about(api: BotApi, asked: Settings) -> None:
    before = approvals(asked)["AAPL"].decision.sized
    assert before is not None
    with listening(asked):
        press(api, BEN, question(api, "AAPL"), HALF)
    row = approvals(asked)["AAPL"]
    assert (row.status, row.quantity) == (ApprovalStatus.EXECUTED, before.quantity // 2)


def test_what_cannot_be_halved_stays_with_fresh_buttons(api: BotApi, asked: Settings) -> None:
    message = question(api, "IBM")
    old = api.buttons(message)
    with listening(asked):
        assert "less than can be traded" in press(api, BEN, message, HALF)
        api.wait_for(lambda: "Still waiting" in api.messages[message]["text"])
        fresh = api.buttons(message)
        assert set(fresh) == set(old)
        assert not set(fresh.values()) & set(old.values())
        assert "rejected" in press(api, BEN, message, NO)
    assert approvals(asked)["IBM"].status is ApprovalStatus.REJECTED


def test_details_show_was_and_now_and_change_nothing(api: BotApi, asked: Settings) -> None:
    message = question(api, "IBM")
    with listening(asked):
        press(api, ANNA, message, DETAILS)
        press(api, BEN, message, DETAILS)
        api.wait_for(lambda: sum("Quantity: was 1, now 1" in text for text in api.texts()) == 2)
    assert approvals(asked)["IBM"].status is ApprovalStatus.PENDING
    assert len(api.buttons(message)) == 4


@pytest.mark.parametrize(("user", "chat"), [(STRANGER, CHAT), (ANNA, CHAT + 7), (STRANGER, STRANGER)])
def test_the_person_and_the_chat_must_both_be_right(api: BotApi, asked: Settings, user: int, chat: int) -> None:
    message = question(api, "IBM")
    with listening(asked):
        assert "not on the list" in press(api, user, message, YES, chat=chat)
        sent = len(api.messages)
        api.say(user, "/positions", chat=chat)
        api.say(ANNA, "/help")
        api.wait_for(lambda: len(api.messages) > sent)
    assert len(api.messages) == sent + 1
    assert approvals(asked)["IBM"].status is ApprovalStatus.PENDING


def test_stale_repeated_and_invented_presses_are_reported_the_truth(api: BotApi, asked: Settings) -> None:
    message = question(api, "IBM")
    keys = api.buttons(message)
    with listening(asked):
        press(api, ANNA, message, NO)
        for token in (keys[YES], keys[NO]):
            late = api.press(BEN, token, message_id=message)
            api.wait_for(lambda late=late: late in api.answers)
            assert api.answers[late].startswith("It is rejected by anna (Telegram).")
        forged = api.press(BEN, "A" * 24, message_id=message)
        api.wait_for(lambda: forged in api.answers)
        assert "not valid" in api.answers[forged]
    assert approvals(asked)["IBM"].version == 2


def test_duplicated_and_reordered_updates_do_it_once(api: BotApi, asked: Settings) -> None:
    aapl, ibm = question(api, "AAPL"), question(api, "IBM")
    first = api.press(ANNA, api.buttons(aapl)[YES], message_id=aapl, times=3)
    second = api.press(BEN, api.buttons(ibm)[NO], message_id=ibm, times=2)
    api.shuffle()
    with listening(asked):
        api.wait_for(lambda: {first, second} <= set(api.answers))
        api.wait_for(lambda: not api.buttons(aapl) and not api.buttons(ibm))
    rows = approvals(asked)
    assert (rows["AAPL"].status, rows["IBM"].status) == (ApprovalStatus.EXECUTED, ApprovalStatus.REJECTED)
    entries = [r for r in open_store(asked).view().orders.values() if r.order.role == "ENTRY"]
    assert len(entries) == 1


def test_an_answer_at_the_terminal_reaches_the_phone(api: BotApi, asked: Settings, apex: Callable[..., Any]) -> None:
    message = question(api, "IBM")
    name = approvals(asked)["IBM"].approval_id
    assert apex("approve", name, "--reject", "--reason", "earnings", "--quiet")[0] == 0
    assert api.buttons(message) == {}
    assert "By terminal at" in api.messages[message]["text"]
    assert "earnings" in api.messages[message]["text"]
    reply = next(fields for fields in api.made("sendMessage") if "IBM: rejected" in fields["text"])
    assert reply["reply_parameters"]["message_id"] == message


def test_a_restart_between_commit_and_answer_reports_what_was_done_and_does_it_not_again(
    api: BotApi, asked: Settings
) -> None:
    message = question(api, "AAPL")
    token = api.buttons(message)[YES]
    row = approvals(asked)["AAPL"]
    pressed = api.press(ANNA, token, message_id=message)
    # As a process leaves it that was killed after the commit: button spent, decision made, nothing reported.
    ButtonFile(notify_folder(asked)).press(token, pressed, "anna", START)
    phone = Operator(asked, Output("telegram", quiet=True), wait_s=20)
    phone.do(Answer(ids=(row.approval_id,), choice=Choice.APPROVE, by="anna (Telegram)", version=row.version))
    with listening(asked):
        api.wait_for(lambda: pressed in api.answers)
        api.wait_for(lambda: not api.buttons(message))
    assert api.answers[pressed].startswith("It is executed by anna (Telegram).")
    assert len([r for r in open_store(asked).view().orders.values() if r.order.role == "ENTRY"]) == 1


def test_a_restart_between_press_and_commit_finishes_it(api: BotApi, asked: Settings) -> None:
    message = question(api, "IBM")
    token = api.buttons(message)[NO]
    pressed = api.press(ANNA, token, message_id=message)
    ButtonFile(notify_folder(asked)).press(token, pressed, "anna", START)
    with listening(asked):
        api.wait_for(lambda: pressed in api.answers)
    assert approvals(asked)["IBM"].status is ApprovalStatus.REJECTED


def test_when_the_answer_to_a_press_gets_lost_the_message_still_reports_it(api: BotApi, asked: Settings) -> None:
    message = question(api, "IBM")
    api.faults["answerCallbackQuery"].append(SERVER_ERROR)
    api.faults["editMessageText"].append(Fault.NO_ANSWER)
    api.press(ANNA, api.buttons(message)[NO], message_id=message)
    with listening(asked):
        api.wait_for(lambda: not api.buttons(message))
    assert "By anna (Telegram)" in api.messages[message]["text"]


def test_telegram_may_ask_for_patience_and_fail_and_nothing_is_lost(
    api: BotApi, folder: Path, apex: Callable[..., Any]
) -> None:
    api.faults["sendMessage"].extend([TOO_MANY, Fault.LOST_ANSWER])
    assert folder.is_dir()
    assert apex("run", "--once", "--manual", "--quiet")[0] == 0
    assert [sum(f" {symbol}?" in text for text in api.texts()) for symbol in ("AAPL", "MSFT", "IBM")] in (
        [2, 1, 1],
        [1, 2, 1],
        [1, 1, 2],
    )
    again = [text for text in api.texts() if "sent again" in text]
    assert again
    number = again[0].partition("<i>#")[2].split()[0]
    assert sum(f"#{number}" in text for text in api.texts()) == 2


def test_polling_with_somebody_elses_program_ends_with_a_clear_message(
    api: BotApi, asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_desk, "CONFLICT_PAUSE_S", 0.01)
    api.faults["getUpdates"].extend([CONFLICT] * 3)
    with listening(asked) as said:
        until(lambda: said)
    assert any("Another program asks Telegram for news" in line for line in said)


class TestCommands:
    def test_views_are_answered(self, api: BotApi, asked: Settings) -> None:
        with listening(asked):
            for command, expected in (
                ("/status", "Trading ACTIVE"),
                ("/positions", "0 open"),
                ("/orders", "0 working orders"),
                ("/daily", "positions open"),
                ("/weekly", "No closed trades"),
                ("/performance", "No closed trades"),
                ("/explain IBM", "Score"),
                ("/explain", "Of which one?"),
                ("/explain nobody", "knows nothing"),
                ("/pdt@apex_test_bot", "day trades left"),
                ("/summary", "positions open"),
                ("/halp", "/close SYMBOL"),
                ("/close", "Which one?"),
                ("/close TSLA", "TSLA"),
                ("/resume", "ACTIVE already"),
            ):
                sent = len(api.messages)
                api.say(ANNA, command)
                api.wait_for(lambda sent=sent: len(api.messages) > sent)
                assert expected in api.messages[sent + 1]["text"]
            assert [text for text in api.texts() if not text.removeprefix("<b>").startswith("SIM · ")] == []

    def test_an_answer_that_is_to_wait_comes_later_and_whole(self, api: BotApi, asked: Settings) -> None:
        with listening(asked):
            api.faults["sendMessage"].extend((TOO_MANY, TOO_MANY))
            began = time.monotonic()
            api.say(ANNA, "/status")
            api.wait_for(lambda: any("Trading ACTIVE" in text for text in api.texts()))
            assert time.monotonic() - began > 1.5
            for _ in range(20):  # a flood is answered in full
                api.say(BEN, "/orders")
            api.faults["sendMessage"].append(TOO_MANY)
            api.wait_for(lambda: sum("0 working orders" in text for text in api.texts()) == 20)

    def test_what_waits_holds_up_nobody_else(self, api: BotApi, asked: Settings) -> None:
        message = question(api, "IBM")
        with listening(asked):
            with ExecutorLock(asked.state.dir):
                pressed = api.press(ANNA, api.buttons(message)[YES], message_id=message)
                until(lambda: open_requests(open_store(asked).view()))
                api.say(BEN, "/halt news")
                api.wait_for(lambda: any("HALTED, was ACTIVE" in text for text in api.texts()))
                assert pressed not in api.answers
            api.wait_for(lambda: pressed in api.answers)
        assert open_store(asked).view().trading.mode == "HALTED"

    def test_what_could_not_leave_is_answered_once_the_way_is_free(self, api: BotApi, asked: Settings) -> None:
        async def story() -> None:
            postman = Postman(asked, listens=True, say=lambda _: None)
            assert not postman.make()
            talk = postman._desk(read_secrets(None, os.environ))._talk
            with api.unreachable():
                answering = asyncio.create_task(talk.answer("/status", "anna", ANNA))
                await asyncio.sleep(0.2)
            await answering
            assert postman._link is not None
            await postman._link.close()

        before = len(api.messages)
        asyncio.run(story())
        assert len(api.messages) == before + 1
        assert "Trading ACTIVE" in api.messages[before + 1]["text"]

    def test_approvals_come_with_fresh_buttons(self, api: BotApi, asked: Settings) -> None:
        old = question(api, "IBM")
        with listening(asked):
            sent = len(api.messages)
            api.say(ANNA, "/approvals")
            api.wait_for(lambda: len(api.messages) == sent + 3)
            assert "not valid" in press(api, ANNA, old, NO)
            assert "rejected" in press(api, ANNA, question(api, "IBM"), NO)

    def test_halt_works_at_once_and_resume_asks_the_one_who_wants_it(self, api: BotApi, asked: Settings) -> None:
        with listening(asked):
            api.say(ANNA, "/halt news")
            api.wait_for(lambda: any("HALTED, was ACTIVE" in text for text in api.texts()))
            api.say(ANNA, "/resume")
            api.wait_for(lambda: any("Trade again?" in text for text in api.texts()))
            message = next(n for n, m in api.messages.items() if "Trade again?" in m["text"])
            assert "not valid" in press(api, BEN, message, "Yes, do it")
            assert open_store(asked).view().trading.mode == "HALTED"
            assert "ACTIVE, was HALTED" in press(api, ANNA, message, "Yes, do it")
        assert open_store(asked).view().trading.mode == "ACTIVE"

    def test_buttons_under_positions_ask_first(self, api: BotApi, asked: Settings) -> None:
        with listening(asked):
            press(api, ANNA, question(api, "AAPL"), YES)
            before = open_store(asked).view().positions["AAPL"].position.quantity
            api.say(BEN, "/positions")
            api.wait_for(lambda: any("1 open" in text for text in api.texts()))
            message = next(n for n, m in api.messages.items() if "1 open" in m["text"])
            assert set(api.buttons(message)) == {"AAPL ½", "AAPL all", "AAPL break-even"}
            for _ in range(2):  # a button that only asks may be pressed again
                assert press(api, BEN, message, "AAPL ½") == "Asked below."
            api.wait_for(lambda: sum("Close half of AAPL?" in text for text in api.texts()) == 2)
            asks = next(n for n, m in api.messages.items() if "Close half of AAPL?" in m["text"])
            assert "Nothing was done" in press(api, BEN, asks, "No")
            assert open_store(asked).view().positions["AAPL"].position.quantity == before
            again = next(n for n, m in api.messages.items() if "Close half of AAPL?" in m["text"] and n != asks)
            assert "AAPL reduced" in press(api, BEN, again, "Yes, do it")
            assert open_store(asked).view().positions["AAPL"].position.quantity == before / 2
            press(api, BEN, message, "AAPL break-even")
            api.wait_for(lambda: any("to break-even?" in text for text in api.texts()))
            asks = next(n for n, m in api.messages.items() if "to break-even?" in m["text"])
            assert "AAPL" in press(api, BEN, asks, "Yes, do it")
            press(api, BEN, message, "AAPL all")
            api.wait_for(lambda: any("Close all of AAPL?" in text for text in api.texts()))
            asks = next(n for n, m in api.messages.items() if "Close all of AAPL?" in m["text"])
            assert "AAPL closed" in press(api, BEN, asks, "Yes, do it")
            assert "no open position" in press(api, BEN, message, "AAPL all").lower()
        assert "AAPL" not in open_store(asked).view().positions

    def test_reduce_asks_and_a_setting_lets_halt_ask_too(
        self, api: BotApi, asked: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert folder.is_dir()
        monkeypatch.setenv("APEX_NOTIFY__TELEGRAM__HALT_ASKS", "true")
        with listening(read_settings(None)):
            for command, title, mode in (
                ("/halt", "Halt trading?", "HALTED"),
                ("/reduce", "Exits only?", "REDUCING"),
            ):
                api.say(ANNA, command)
                api.wait_for(lambda title=title: any(title in text for text in api.texts()))
                message = next(n for n, m in api.messages.items() if title in m["text"])
                assert f"Trading is {mode}" in press(api, ANNA, message, "Yes, do it")
                assert open_store(asked).view().trading.mode == mode

    def test_a_person_does_no_more_than_the_role_allows(
        self, api: BotApi, asked: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("APEX_TELEGRAM_USER_IDS", f"{ANNA}=anna:look,{BEN}=ben:answer")
        with listening(asked):
            assert "You may look here" in press(api, ANNA, question(api, "AAPL"), YES)
            assert approvals(asked)["AAPL"].status is ApprovalStatus.PENDING
            api.say(ANNA, "/close AAPL")
            api.wait_for(lambda: any("You may not /close" in text for text in api.texts()))
            api.say(BEN, "/halt")
            api.wait_for(lambda: any("You may not /halt" in text for text in api.texts()))
            assert open_store(asked).view().trading.mode == "ACTIVE"
            sent = len(api.messages)
            api.say(ANNA, "/positions")
            api.wait_for(lambda: len(api.messages) > sent)
            assert "approved and executed" in press(api, BEN, question(api, "AAPL"), YES)

    def test_close_asks_first_and_a_second_yes_does_nothing(self, api: BotApi, asked: Settings) -> None:
        with listening(asked):
            press(api, ANNA, question(api, "AAPL"), YES)
            for spelling in ("aapl", "$AAPL", "NASDAQ:AAPL"):
                sent = sum("Close all of AAPL?" in text for text in api.texts())
                api.say(ANNA, f"/close {spelling}")
                api.wait_for(lambda sent=sent: sum("Close all of AAPL?" in text for text in api.texts()) == sent + 1)
            message = next(n for n, m in api.messages.items() if "Close all of AAPL?" in m["text"])
            token = api.buttons(message)["Yes, do it"]
            assert "AAPL closed" in press(api, ANNA, message, "Yes, do it")
            twice = api.press(ANNA, token, message_id=message)
            api.wait_for(lambda: twice in api.answers)
            assert "already" in api.answers[twice]
        assert "AAPL" not in open_store(asked).view().positions


def test_a_run_hears_the_phone_while_it_loops(
    api: BotApi, folder: Path, apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SIMULATION__CLOCK": "system", "RISK__ENFORCE_MARKET_HOURS": "false"}.items():
        monkeypatch.setenv(f"APEX_{name}", value)
    signal = {"symbol": "TSLA", "signal_type": "BUY", "entry_price": 20, "stop_loss": 19, "target_price": 24}
    (folder / "bars" / "TSLA.csv").write_text("Date,Open,High,Low,Close\n2004-02-26,20,20,20,20\n")
    (folder / "now.json").write_text(json.dumps([signal | {"confidence": 0.9}]))
    ended = asyncio.Event()
    monkeypatch.setattr(running, "stop_on_signals", lambda: nullcontext(ended))
    heard: list[str] = []

    def person() -> None:
        try:
            api.wait_for(lambda: any("TSLA?" in text for text in api.texts()))
            message = question(api, "TSLA")
            heard.append(press(api, BEN, message, YES))
            api.wait_for(lambda: any("TSLA long" in text for text in api.texts()))
        finally:
            ended.set()

    thread = threading.Thread(target=person)
    thread.start()
    status, out, said = apex("run", "--manual", "--quiet", "--signals", "now.json")
    thread.join()
    assert status == 0, (out, said)
    row = approvals(read_settings(None))["TSLA"]
    assert (row.status, row.decided_by) == (ApprovalStatus.EXECUTED, "ben (Telegram)")
    assert "approved and executed" in heard[0]


GROUP = -1007770001


def in_group(api: BotApi) -> list[dict[str, Any]]:
    return [message for message in api.messages.values() if str(message["chat_id"]) == str(GROUP)]


def test_a_second_chat_is_asked_and_told_too_and_nobody_does_more_there_than_it_allows(
    api: BotApi, apex: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_TELEGRAM_CHAT_ID", f"{CHAT},{GROUP}:look")
    api.chats.add(str(GROUP))
    assert apex("run", "--once", "--manual", "--quiet")[0] == 0
    settings = read_settings(folder / "config.yaml")
    asked = next(m["message_id"] for m in in_group(api) if " AAPL?" in m["text"])
    mine = next(n for n, m in api.messages.items() if " AAPL?" in m["text"] and str(m["chat_id"]) == str(CHAT))
    with listening(settings):
        assert "may look" in press(api, ANNA, asked, YES, chat=GROUP)
        api.say(ANNA, "/halt", chat=GROUP)
        api.wait_for(lambda: any("You may not /halt here" in m["text"] for m in in_group(api)))
        api.say(ANNA, "/status", chat=GROUP)
        api.wait_for(lambda: any("Trading ACTIVE" in m["text"] for m in in_group(api)))
        assert "approved and executed" in press(api, ANNA, mine, YES)
        api.wait_for(lambda: "By anna (Telegram)" in api.messages[asked]["text"])
    assert api.buttons(asked) == {}
    names = {path.name for path in notify_folder(settings).iterdir()}
    assert not [name for name in names if str(GROUP) in name]
