"""The thread that delivers notices and, in a run, receives answers from the phone; it has an event loop of its own.

It shares nothing with the trading but files: the journal it reads, the places it keeps, and the requests that it
hands over like any other process. So a slow channel costs the trading nothing, and a run that dies loses nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from apex_cli.app.resources import badge_in, badge_of, make_system_clock, open_store
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.notifiers.secrets import Secrets
from apex_cli.core.adapters.process_locks import ProcessLock
from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.errors import ApexError, BusyError, StateError
from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.notices.courier import Courier, Step, begin
from apex_cli.core.ports import Notifier
from apex_cli.notify.channels import TELEGRAM, Channel, make_channels, notify_folder, telegram_name
from apex_cli.presenters.messages.notices import notice_of
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.notifiers.buttons import ButtonFile
    from apex_cli.core.adapters.notifiers.telegram_link import TelegramLink
    from apex_cli.notify.telegram_handler import TelegramDesk

LOOK_S = 0.3
"""How often a channel that is up to date looks for news."""

TAKE_OVER_S = 2.0
"""How often a channel that another process serves is asked for."""

TROUBLE_S = 5.0

WAIT_S = 20.0
"""How long the process that holds the executor may take to begin what was asked on the phone, in seconds."""


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ApexError) else f"{type(error).__name__}: {error}"


class Postman:
    """Delivers on every channel until it is finished."""

    def __init__(self, settings: Settings, *, listens: bool, say: Callable[[str], None]) -> None:
        """Touch nothing yet; with *listens* presses and commands are answered, too."""
        self._settings = settings
        self._listens = listens
        self._say = say
        self._badge = badge_of(settings)
        self._tail = JournalPlaces(settings.state.dir / "journal")
        self._clock = make_system_clock(settings)
        self._channels: tuple[Channel, ...] = ()
        self._making = threading.Lock()
        self._link: TelegramLink | None = None
        self._links: dict[int, TelegramLink] = {}
        """The same bot in each of its chats."""

        self._secrets: Secrets | None = None
        self._is_ending = threading.Event()
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None
        self._notifiers: list[Notifier] = []
        self._behind: set[str] = set()
        """Channels with undelivered notices."""

        self.failure: ApexError | None = None
        """What ended the hearing, when it ended by itself."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that could be made."""
        return self._channels

    def make(self) -> Sequence[ApexError]:
        """Make the channels and return what is wrong with others."""
        parts = make_channels(self._settings, say=self._say, telegram=self._telegram)
        self._channels, self._secrets = parts.channels, parts.secrets
        return parts.problems

    def prepare(self) -> Sequence[ApexError]:
        """Make the channels, let new ones start from now, and return what is wrong with others.

        Raises:
            StateError: the folder of the channels' places, or the journal, cannot be used.
        """
        problems = self.make()
        for channel in self._channels:
            begin(channel.ledger, self._tail)
        return problems

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = threading.Thread(target=self._work, name="apex-post", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Announce the end to ``work``, which delivers what is left within the configured time; from any thread."""
        self._deadline = time.monotonic() + self._settings.notify.deliver_s
        self._is_ending.set()

    def finish(self, within_s: float) -> bool:
        """Deliver what is left, at most for *within_s* seconds; True when nothing is left for others to do."""
        self._deadline = time.monotonic() + within_s
        self._is_ending.set()
        if self._thread is None:
            return True
        self._thread.join(within_s + 1)
        return not self._thread.is_alive() and not self._behind

    def work(self) -> None:
        """Deliver and hear in this thread until ``finish`` is called in another one, or the hearing ends by itself.

        Raises:
            BusyError: another program polls with the same token.
        """
        event_loop.run(self._main(ends_with_hearing=True))
        if self.failure is not None:
            raise self.failure

    def _work(self) -> None:
        try:
            event_loop.run(self._main())
        except Exception as error:  # noqa: BLE001 - the post may fail in any way, the trading may not
            self._say(f"Notifications ended: {_words(error)}")

    async def _main(self, *, ends_with_hearing: bool = False) -> None:
        carriers = [asyncio.create_task(self._carry(channel)) for channel in self._channels]
        hearing = self._start_hearing()
        if hearing is not None and ends_with_hearing:
            hearing.add_done_callback(lambda _: self._is_ending.set())
        try:
            await asyncio.gather(*carriers)
        finally:
            if hearing is not None:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
            for notifier in self._notifiers:
                await notifier.close()
            if self._link is not None:
                await self._link.close()

    def _start_hearing(self) -> asyncio.Task[None] | None:
        is_there = any(channel.name == TELEGRAM for channel in self._channels)
        if not self._listens or not is_there or self._secrets is None:
            return None
        return asyncio.create_task(self._hear(self._secrets))

    def badge(self) -> AccountBadge:
        """Return which account it is, by the name that the broker gave it once it is known; from the post's thread."""
        if self._badge.kind is not AccountKind.SIMULATED and not self._badge.name:
            with suppress(ApexError):
                self._badge = badge_in(self._settings, open_store(self._settings).view())
        return self._badge

    # Delivering

    async def _carry(self, channel: Channel) -> None:
        """Serve one channel whenever no other process does, until the end."""
        while not await self._take(channel):
            if self._is_ending.is_set():
                return
            await self._nap(TAKE_OVER_S)
        self._behind.add(channel.name)
        try:
            notifier = await asyncio.to_thread(channel.make)  # a library that loads holds up no other channel
            self._notifiers.append(notifier)
            courier = self._courier(channel, notifier)
            while await self._serve(courier, notifier, channel.name):
                pass
            courier.save()
        except Exception as error:  # noqa: BLE001 - what is wrong with one channel is not the end of the others
            self._say(f"Notifications by {channel.name} ended: {_words(error)}")
        finally:
            channel.ledger.drop()

    async def _take(self, channel: Channel) -> bool:
        try:
            return channel.ledger.take()
        except StateError as error:
            self._say(f"Notifications by {channel.name}: {error.message}")
            await self._nap(TROUBLE_S)
            return False

    def _courier(self, channel: Channel, notifier: Notifier) -> Courier:
        return Courier(
            notifier=notifier,
            tail=self._tail,
            ledger=channel.ledger,
            read=lambda row: notice_of(row, badge=self.badge()),
            policy=channel.policy,
            clock=self._clock,
        )

    async def _serve(self, courier: Courier, notifier: Notifier, name: str) -> bool:
        """Take one step and rest as long as it asks for; False at the end."""
        is_ending = self._is_ending.is_set()
        try:
            step = await asyncio.wait_for(courier.step(), self._time_left())
        except TimeoutError:
            return False
        except StateError as error:
            self._say(f"Notifications wait: {error.message}")
            await self._nap(TROUBLE_S)
            return not is_ending
        except Exception as error:  # noqa: BLE001 - what is wrong with one channel is not the end of the others
            self._say(f"Notifications by {name}: {_words(error)}")
            await self._nap(TROUBLE_S)
            return not is_ending
        (self._behind.discard if step is Step.IDLE else self._behind.add)(name)
        match step:
            case Step.SENT:
                await self._nap(notifier.min_interval_s, through_end=True)
            case Step.MOVED:
                await asyncio.sleep(0)
            case Step.IDLE:
                await self._nap(LOOK_S)
            case Step.WAITING:
                await self._nap(min(courier.pause_s(), 1.0))
        is_done = step is Step.IDLE or (step is Step.WAITING and courier.pause_s() > (self._time_left() or 0))
        return self._time_left() != 0 and not (is_ending and is_done)

    def _time_left(self) -> float | None:
        """Return the seconds until the end; None before it was announced."""
        return max(0.0, self._deadline - time.monotonic()) if self._is_ending.is_set() else None

    async def _nap(self, seconds: float, *, through_end: bool = False) -> None:
        """Sleep; the announced end wakes up, unless *through_end*, and then its last moment does."""
        until = time.monotonic() + seconds
        while (left := min(until, self._deadline) - time.monotonic()) > 0:
            if self._is_ending.is_set() and not through_end:
                return
            await asyncio.sleep(min(left, 0.05))

    # Hearing

    def _telegram(self, secrets: Secrets) -> Notifier:
        from apex_cli.notify.pictures import Pictures
        from apex_cli.notify.telegram_notifier import TelegramNotifier

        view, picture = open_store(self._settings).view, Pictures(self._settings).of
        return TelegramNotifier(self._bot(secrets), self._buttons(secrets), view, self.badge, picture)

    def _bot(self, secrets: Secrets) -> TelegramLink:
        """Return the one bot of this thread, in the chat of *secrets*."""
        from apex_cli.core.adapters.notifiers.telegram_link import TelegramLink

        with self._making:
            if self._link is None:
                telegram = self._settings.notify.telegram
                self._link = TelegramLink(
                    token=secrets.token, chat_id=secrets.chat_id or 0, api=telegram.api, poll_s=telegram.poll_s
                )
            chat = secrets.chat_id or 0
            if chat not in self._links:
                self._links[chat] = self._link.in_chat(chat)
            return self._links[chat]

    def _buttons(self, secrets: Secrets) -> ButtonFile:
        from apex_cli.core.adapters.notifiers.buttons import ButtonFile

        return ButtonFile(notify_folder(self._settings), telegram_name(secrets, secrets.chat_id or 0))

    async def _hear(self, secrets: Secrets) -> None:
        """Answer presses and commands; one process of this state at a time."""
        lock = ProcessLock(notify_folder(self._settings) / "telegram_hearing.lock")
        if not lock.take(0):
            self._say("Another apex process hears the phone; this one takes over when that ends.")
        while not lock.take(0):
            if self._is_ending.is_set():
                return
            await self._nap(TAKE_OVER_S)
        try:
            await asyncio.to_thread(self._bot, secrets)
            desks = {chat: self._desk(secrets.in_chat(chat)) for chat in secrets.chats}
            await desks[secrets.chat_id or 0].serve(desks)
        except BusyError as error:
            self.failure = error
            self._say(f"Telegram: {error.message}")
        finally:
            lock.drop()

    def _desk(self, secrets: Secrets) -> TelegramDesk:
        from apex_cli.app.operator import Operator
        from apex_cli.notify.telegram_commands import Talk
        from apex_cli.notify.telegram_handler import TelegramDesk

        link, buttons = self._bot(secrets), self._buttons(secrets)
        operator = Operator(self._settings, Output("telegram", quiet=True), wait_s=WAIT_S)
        talk = Talk(
            link=link,
            buttons=buttons,
            operator=operator,
            secrets=secrets,
            clock=self._clock,
            halt_asks=self._settings.notify.telegram.halt_asks,
        )
        return TelegramDesk(link=link, buttons=buttons, operator=operator, talk=talk, clock=self._clock, note=self._say)
