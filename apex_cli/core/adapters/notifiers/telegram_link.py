"""Telegram's Bot API by python-telegram-bot: what we call, and what its failures mean to us.

One chat, one bot. Every failure becomes a ``DeliveryError`` whose words hold neither token nor ids.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from apex_cli.core.adapters.notifiers.quiet_logs import quiet_logs
from apex_cli.core.errors import require_extra
from apex_cli.core.model.base import Value
from apex_cli.core.ports import DeliveryError
from apex_cli.core.redaction import redact

if TYPE_CHECKING:
    from telegram import Bot, CallbackQuery, InlineKeyboardMarkup, Message, ReplyKeyboardMarkup, Update
    from telegram.error import TelegramError

R = TypeVar("R")

NEWS = ["message", "callback_query"]
REQUEST_TIMEOUT_S = 10.0
MOST_CONNECTIONS = 64
"""Requests at once: with one connection, as some versions of the library have it, one that hangs fails all others."""

SETUP_PAUSE_S = 300.0
"""How long to leave a channel alone that only a person can mend."""

UNCHANGED = ("not modified", "message to edit not found", "message can't be edited", "query is too old", "query id is")
"""What Telegram says when there is nothing left to do."""

Keys = Sequence[Sequence[tuple[str, str]]]
"""Rows of buttons: label and token."""


class PollConflictError(Exception):
    """Another program asks for news with the same token."""


class Pressed(Value, frozen=True, kw_only=True):
    """A button was pressed."""

    update_id: int
    press_id: str
    user_id: int
    chat_id: int | None
    message_id: int | None
    token: str


class Said(Value, frozen=True, kw_only=True):
    """Somebody wrote a message."""

    update_id: int
    user_id: int | None
    chat_id: int
    text: str


class TelegramLink:
    """The bot in its chat."""

    def __init__(self, *, token: str, chat_id: int, api: str, poll_s: int) -> None:
        """Import the library; no connection is made before ``open``.

        Raises:
            ConfigError: python-telegram-bot is not installed.
        """
        os.environ["PTB_TIMEDELTA"] = "1"  # the library's own way to say that durations are read as such
        require_extra("telegram", "telegram", who="notify.telegram")
        from telegram import Bot
        from telegram.request import HTTPXRequest

        quiet_logs()
        self._chat_id = chat_id
        self._poll_s = poll_s
        self._secret_words: tuple[str, ...] = (token, str(chat_id))
        self._bot: Bot = Bot(
            token,
            base_url=f"{api.rstrip('/')}/bot",
            request=HTTPXRequest(
                connection_pool_size=MOST_CONNECTIONS,
                read_timeout=REQUEST_TIMEOUT_S,
                connect_timeout=REQUEST_TIMEOUT_S,
                pool_timeout=5.0,
            ),
            get_updates_request=HTTPXRequest(read_timeout=REQUEST_TIMEOUT_S, connect_timeout=REQUEST_TIMEOUT_S),
        )
        self.editing = asyncio.Lock()
        """Held while a question gets its end: of two who bring it, the one who knows more comes last."""

        self._opening = asyncio.Lock()
        self._is_open = False

    def in_chat(self, chat_id: int) -> TelegramLink:
        """Return the same bot in another chat."""
        other = copy(self)
        other._chat_id = chat_id  # noqa: SLF001 - its own class
        other._secret_words = (*self._secret_words, str(chat_id))  # noqa: SLF001 - same
        other.editing = asyncio.Lock()
        return other

    async def open(self) -> str:
        """Connect once and return the bot's name.

        Raises:
            DeliveryError: Telegram cannot be reached, or does not know the token.
        """
        async with self._opening:  # delivering and hearing begin at the same moment
            if not self._is_open:
                await self._call(self._bot.initialize())
                with suppress(RuntimeError):  # the name is not known: some versions begin once, whatever came of it
                    self._is_open = bool(self._bot.username)
            if not self._is_open:
                await self._call(self._bot.get_me())
                self._is_open = True
        return self._bot.username

    async def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        self._is_open = False
        with suppress(Exception):  # whatever fails now, there is nobody left to report
            await self._bot.shutdown()

    async def send(
        self,
        html: str,
        *,
        keys: Keys = (),
        menu: Sequence[Sequence[str]] = (),
        is_silent: bool = False,
        reply_to: int | None = None,
    ) -> int:
        """Send a message and return its id; *menu* are rows of words that the phone shows in place of its keyboard."""
        from telegram import LinkPreviewOptions, ReplyParameters

        await self.open()
        reply = ReplyParameters(reply_to, allow_sending_without_reply=True) if reply_to is not None else None
        message: Message = await self._call(
            self._bot.send_message(
                self._chat_id,
                html,
                parse_mode="HTML",
                disable_notification=is_silent,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=_markup(keys) or _menu(menu),
                reply_parameters=reply,
            )
        )
        return message.message_id

    async def send_picture(self, png: bytes, *, reply_to: int) -> None:
        """Send a picture below a message, without a sound.

        Raises:
            DeliveryError: it did not take the picture.
        """
        from telegram import ReplyParameters

        await self.open()
        reply = ReplyParameters(reply_to, allow_sending_without_reply=True)
        sent = self._bot.send_photo(self._chat_id, png, disable_notification=True, reply_parameters=reply)
        await self._call(sent)

    async def edit(self, message_id: int, html: str, *, keys: Keys = ()) -> None:
        """Replace a message and its buttons; one that is as it should be, or gone, is fine."""
        await self.open()
        edited = self._bot.edit_message_text(
            html, self._chat_id, message_id, parse_mode="HTML", reply_markup=_markup(keys)
        )
        await self._unless_done(edited)

    async def answer(self, press_id: str, text: str, *, is_alert: bool = False) -> None:
        """Answer a press; one that waited too long is fine."""
        await self.open()
        await self._unless_done(self._bot.answer_callback_query(press_id, text=text[:200], show_alert=is_alert))

    async def listen(self, commands: Sequence[tuple[str, str]]) -> None:
        """Get ready to ask for news: no web hook, and the commands in the menu."""
        await self.open()
        await self._call(self._bot.delete_webhook())
        await self._call(self._bot.set_my_commands(commands))

    async def news(self, offset: int | None) -> tuple[int | None, list[Pressed | Said]]:
        """Wait for news and return it with the next offset; asking with that offset says it is dealt with.

        Raises:
            PollConflictError: another program asks with the same token.
            DeliveryError: Telegram cannot be reached.
        """
        from telegram.error import Conflict, TelegramError

        try:
            updates: Sequence[Update] = await self._bot.get_updates(
                offset=offset,
                timeout=timedelta(seconds=self._poll_s),
                read_timeout=self._poll_s + REQUEST_TIMEOUT_S,
                allowed_updates=NEWS,
            )
        except Conflict:
            raise PollConflictError from None
        except TelegramError as error:
            raise self._as_failure(error) from None
        if not updates:
            return offset, []
        found = [news for update in updates if (news := _news_of(update)) is not None]
        return max(update.update_id for update in updates) + 1, found

    async def _call(self, request: Awaitable[R]) -> R:
        from telegram.error import TelegramError

        try:
            return await request
        except TelegramError as error:
            raise self._as_failure(error) from None

    async def _unless_done(self, request: Awaitable[object]) -> None:
        from telegram.error import BadRequest, TelegramError

        try:
            await request
        except TelegramError as error:
            is_done = isinstance(error, BadRequest) and any(words in error.message.lower() for words in UNCHANGED)
            if not is_done:
                raise self._as_failure(error) from None

    def _as_failure(self, error: TelegramError) -> DeliveryError:
        """Return what an error of the library means for the notice that met it."""
        from telegram.error import BadRequest, RetryAfter, TimedOut

        words = self._clean(error.message)
        setup = _setup_problem(error, words)
        if setup:
            return DeliveryError(setup, retry_after_s=SETUP_PAUSE_S)
        match error:
            case RetryAfter():
                asked = error.retry_after
                wait = asked.total_seconds() if isinstance(asked, timedelta) else float(asked)
                return DeliveryError(f"Telegram asks for a pause of {wait:g} s.", retry_after_s=wait)
            case BadRequest():
                return DeliveryError(f"Telegram does not take the message: {words}", is_final=True)
            case TimedOut():
                return DeliveryError("Telegram did not answer in time.", is_unsure=not _never_left(error))
            case _:
                return DeliveryError(f"Telegram cannot be reached: {words}", is_unsure=not _never_left(error))

    def _clean(self, text: str) -> str:
        text = redact(text, os.environ)
        for word in self._secret_words:
            text = text.replace(word, "***")
        return text.rstrip(". ")


def _setup_problem(error: TelegramError, words: str) -> str:
    """Return what only a person can mend; empty when it is nothing of that kind."""
    from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken

    match error:
        case InvalidToken():
            return "Telegram does not know the token; copy it again from @BotFather."
        case ChatMigrated():
            return "The group became a supergroup; set APEX_TELEGRAM_CHAT_ID to its new id."
        case Forbidden():
            return f"Telegram forbids it: {words}. Start a chat with the bot, or add it to the group."
        case BadRequest() if "chat not found" in words.lower():
            return "Telegram does not know the chat: write to the bot once, and look at APEX_TELEGRAM_CHAT_ID."
        case _:
            return ""


def _never_left(error: Exception) -> bool:
    """Return whether the request surely did not get through: there was no connection."""
    import httpx

    cause = error.__cause__
    return isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _markup(keys: Keys) -> InlineKeyboardMarkup | None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup

    rows = [[InlineKeyboardButton(label, callback_data=token) for label, token in row] for row in keys]
    return InlineKeyboardMarkup(rows) if rows else None


def _menu(rows: Sequence[Sequence[str]]) -> ReplyKeyboardMarkup | None:
    from telegram import ReplyKeyboardMarkup

    return ReplyKeyboardMarkup(rows, resize_keyboard=True, is_persistent=True) if rows else None


def _news_of(update: Update) -> Pressed | Said | None:
    query: CallbackQuery | None = update.callback_query
    if query is not None:
        return Pressed(
            update_id=update.update_id,
            press_id=query.id,
            user_id=query.from_user.id,
            chat_id=query.message.chat.id if query.message else None,
            message_id=query.message.message_id if query.message else None,
            token=query.data or "",
        )
    message = update.message
    if message is None or not message.text:
        return None
    return Said(
        update_id=update.update_id,
        user_id=message.from_user.id if message.from_user else None,
        chat_id=message.chat.id,
        text=message.text,
    )
