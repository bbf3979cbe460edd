"""The real python-telegram-bot against a Bot API on loopback, with its faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from apex_cli.core.adapters.notifiers.telegram_link import PollConflictError, Pressed, Said, TelegramLink
from apex_cli.core.ports import DeliveryError
from kit.telegram import ANNA, BLOCKED, CHAT, CONFLICT, SERVER_ERROR, TOKEN, TOO_MANY, BotApi, ErrorAnswer, Fault

KEY = "t1"
UNKNOWN_BOT = "987654321:AAAnotherTokenThatNobodyKnows-0123456789"


def use(api: BotApi, work: Callable[[TelegramLink], Awaitable[Any]], *, token: str = TOKEN, chat: int = CHAT) -> Any:
    """Do *work* with a fresh link and return what it returns."""

    async def run() -> Any:
        link = TelegramLink(token=token, chat_id=chat, api=api.url, poll_s=1)
        try:
            return await work(link)
        finally:
            await link.close()

    return asyncio.run(run())


def failure(api: BotApi, work: Callable[[TelegramLink], Awaitable[Any]], **who: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        use(api, work, **who)
    assert TOKEN not in caught.value.reason
    assert str(CHAT) not in caught.value.reason
    return caught.value


def test_a_message_has_buttons_and_can_be_edited_and_answered(api: BotApi) -> None:
    async def work(link: TelegramLink) -> int:
        message_id = await link.send("<b>A</b>", keys=((("Yes", "t1"), ("No", "t2")),), is_silent=True)
        await link.edit(message_id, "<b>B</b>")
        await link.edit(message_id, "<b>B</b>")  # not modified: as it should be
        await link.edit(77, "gone")
        await link.answer("press-1", "done")
        return message_id

    message_id = use(api, work)
    assert api.messages[message_id]["text"] == "<b>B</b>"
    assert api.made("sendMessage")[0]["disable_notification"] == "true"
    assert api.made("sendMessage")[0]["reply_markup"]["inline_keyboard"][0][1] == {"text": "No", "callback_data": "t2"}
    assert api.buttons(message_id) == {}
    assert api.answers == {"press-1": "done"}


def test_a_bot_that_could_not_be_reached_at_first_is_reached_later(api: BotApi) -> None:
    async def work(link: TelegramLink) -> int:
        with api.unreachable():
            for _ in range(2):
                with pytest.raises(DeliveryError, match="cannot be reached"):
                    await link.send("early")
        assert await link.open() == "apex_test_bot"
        return await link.send("later")

    assert api.messages[use(api, work)]["text"] == "later"


def test_news_is_presses_and_words_until_it_is_acknowledged(api: BotApi) -> None:
    api.say(ANNA, "/positions")
    press = api.press(ANNA, KEY, message_id=4)
    api.deliver({"message": {"message_id": 1, "date": 1, "chat": {"id": CHAT, "type": "private"}}})

    async def work(link: TelegramLink) -> Any:
        await link.listen([("help", "What you can say")])
        offset, news = await link.news(None)
        _, again = await link.news(None)
        _, then = await link.news(offset)
        return offset, news, again, then

    offset, news, again, then = use(api, work)
    assert (offset, then) == (4, [])
    assert news == again
    assert news == [
        Said(update_id=1, user_id=ANNA, chat_id=CHAT, text="/positions"),
        Pressed(update_id=2, press_id=press, user_id=ANNA, chat_id=CHAT, message_id=4, token=KEY),
    ]


def test_many_may_begin_at_once(api: BotApi) -> None:
    async def work(link: TelegramLink) -> Any:
        return await asyncio.gather(link.listen([("help", "?")]), link.send("a"), link.send("b"), link.open())

    assert use(api, work)[3] == "apex_test_bot"
    assert len(api.made("getMe")) == 1


def send(link: TelegramLink) -> Awaitable[int]:
    return link.send("hello")


def test_429_says_how_long_to_wait(api: BotApi) -> None:
    api.faults["sendMessage"].append(TOO_MANY)
    error = failure(api, send)
    assert (error.retry_after_s, error.is_unsure, error.is_final) == (1, False, False)


@pytest.mark.parametrize("fault", [SERVER_ERROR, Fault.LOST_ANSWER, Fault.NO_ANSWER])
def test_after_500_or_a_lost_connection_nobody_knows_whether_it_arrived(api: BotApi, fault: Any) -> None:
    api.faults["sendMessage"].append(fault)
    error = failure(api, send)
    assert (error.is_unsure, error.is_final) == (True, False)


def test_a_server_that_is_not_there_got_nothing() -> None:
    with BotApi() as api:
        pass
    error = failure(api, send)
    assert not error.is_unsure


def test_an_answer_that_does_not_come_in_time_leaves_it_open(api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from apex_cli.core.adapters.notifiers import telegram_link

    monkeypatch.setattr(telegram_link, "REQUEST_TIMEOUT_S", 0.3)
    release = threading.Event()
    api.on_call = lambda method, _: release.wait(20) if method == "sendMessage" else None  # type: ignore[func-returns-value]
    error = failure(api, send)
    release.set()
    assert error.reason == "Telegram did not answer in time."
    assert error.is_unsure


def test_a_malformed_message_is_given_up_and_a_wrong_setup_is_not(api: BotApi) -> None:
    api.faults["sendMessage"].append(ErrorAnswer(400, "Bad Request: can't parse entities"))
    assert failure(api, send).is_final
    api.faults["sendMessage"].append(BLOCKED)
    assert "forbids" in failure(api, send).reason
    error = failure(api, send, chat=424242424242)
    assert (error.is_final, error.retry_after_s) == (False, 300)
    assert "424242424242" not in error.reason
    error = failure(api, send, token=UNKNOWN_BOT)
    assert "does not know the token" in error.reason
    assert "AnotherToken" not in error.reason
    migrated = ErrorAnswer(400, "Bad Request: group chat was upgraded", {"migrate_to_chat_id": -100})
    api.faults["sendMessage"].append(migrated)
    assert "supergroup" in failure(api, send).reason


def test_a_second_poller_is_a_conflict(api: BotApi) -> None:
    api.faults["getUpdates"].append(CONFLICT)

    async def work(link: TelegramLink) -> None:
        await link.open()
        await link.news(None)

    with pytest.raises(PollConflictError):
        use(api, work)


def test_no_library_logs_a_token_or_a_chat(
    api: BotApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_TELEGRAM_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)

    async def work(link: TelegramLink) -> None:
        for name in ("httpx", "httpcore", "telegram"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        await link.send("hello")

    use(api, work)
    assert any(record.name == "httpx" for record in caplog.records)
    assert "/bot***/sendMessage" in caplog.text or "***" in caplog.text
    assert TOKEN not in caplog.text
