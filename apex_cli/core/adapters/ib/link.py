"""One connection: made, guarded, bounded in time, and never trusted longer than it lives.

Every failure becomes a sentence that says what to do. A link is used once: after it is lost a new one is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from types import ModuleType
from typing import Any, TypeVar

from apex_cli.core.adapters.ib.callbacks import Trouble, Word
from apex_cli.core.adapters.ib.guards import choose_account, require_account
from apex_cli.core.adapters.ib.ib_config import CLIENT_IDS_TO_TRY, IbConfig
from apex_cli.core.adapters.ib.library import load_library
from apex_cli.core.adapters.ib.refusals import Meaning, meaning_of
from apex_cli.core.adapters.ib.tap import Tap
from apex_cli.core.adapters.ib.time_zones import ReadableTimes
from apex_cli.core.errors import ApexError, BrokerError

Answer = TypeVar("Answer")
QUIET_LOGGERS = ("client", "ib", "wrapper", "Ticker")
EVENTS = "eventkit.event"
"""Logs with its traceback what the library could not read, such as the greeting of another program on the port."""

NO_ANSWER, REFUSED = "ib_no_answer", "ib_request_refused"
"""Codes of the errors of a question that was not answered, and of one that was answered with an error."""


class Link:
    """A socket to TWS with the account behind it."""

    def __init__(self, config: IbConfig, library: ModuleType, client_id: int, *, read_only: bool) -> None:
        """Prepare, without connecting."""
        self.config = config
        self.library = library
        self.client_id = client_id
        self.read_only = read_only
        self.account = ""
        self.tap = Tap()
        self.has_lost_broker = False
        """TWS says that its own line to the broker is down."""

        self.must_renew = False
        """Subscriptions are gone: only a new link brings them back."""

        self.is_read_only_api = False
        self.ib: Any = library.IB()
        self.ib.RequestTimeout = config.request_timeout_s
        self.ib.RaiseRequestErrors = True
        self.ib.TimezoneTWS = "UTC"
        self.times = ReadableTimes()
        self.times.install(self.ib.client.decoder)
        self.tap.install(self.ib.wrapper)
        self.tap.on_word(self._note)
        self.ib.disconnectedEvent += self.tap.news.set
        self._fatal: asyncio.Future[ApexError] = asyncio.get_running_loop().create_future()
        self._time: asyncio.Future[datetime] | None = None

    @property
    def is_up(self) -> bool:
        """True while the socket is open and the login is through."""
        return bool(self.ib.client.isReady())

    def _note(self, word: Word) -> None:
        if not isinstance(word, Trouble):
            return
        match meaning_of(word.code, word.text):
            case Meaning.LINK_LOST:
                self.has_lost_broker = True
            case Meaning.LINK_BACK | Meaning.LINK_BACK_EMPTY:
                self.has_lost_broker = False
                self.must_renew = True
            case Meaning.READ_ONLY:
                self.is_read_only_api = True
                if not self.read_only:
                    self._fail(read_only_api(self.config))
            case Meaning.CLIENT_ID_TAKEN:
                self._fail(client_id_taken(self.config, self.client_id))
            case _:
                pass

    def _fail(self, error: ApexError) -> None:
        if not self._fatal.done():
            self._fatal.set_result(error)

    async def open(self) -> None:
        """Connect and choose the account.

        Raises:
            BrokerError: it cannot be reached, does not answer, or does not take us.
            ConfigError: it is another account.
            RefusedError: it is a live account and none is wanted, or the other way round.
        """
        config = self.config
        work = asyncio.ensure_future(
            self.ib.connectAsync(
                config.host,
                config.port,
                clientId=self.client_id,
                timeout=config.connect_timeout_s,
                readonly=self.read_only,
            )
        )
        try:
            await asyncio.wait({work, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
            if self._fatal.done():
                raise self._fatal.result()
            await work
        except (OSError, TimeoutError) as error:
            raise connect_failure(config, error) from error
        finally:
            await _settled(work)
        managed = self.ib.managedAccounts()
        self.account = choose_account(config, managed)
        if len(managed) > 1:  # with one, the library asked already
            await self.ask("the values of the account", lambda: self.ib.reqAccountUpdatesAsync(self.account))

    async def ask(
        self, what: str, request: Callable[[], Awaitable[Answer]], *, timeout_s: float | None = None
    ) -> Answer:
        """Make a request that only reads, and return its answer.

        Raises:
            BrokerError: no connection, no answer in time, or the broker refused it.
        """
        limit = self.config.request_timeout_s if timeout_s is None else timeout_s
        try:
            return await asyncio.wait_for(request(), limit)
        except TimeoutError as error:
            raise BrokerError(
                NO_ANSWER,
                f"{self.config.place} did not answer within {limit:g} s: {what}.",
                hint="Look whether TWS or IB Gateway shows a dialog; apex doctor reports more.",
            ) from error
        except (ConnectionError, OSError) as error:
            raise lost(self.config) from error
        except self.library.RequestError as error:
            raise BrokerError(
                REFUSED,
                f"The broker refused to report {what}: {error.message} (IB {error.code}).",
                details={"ib_code": error.code, "ib_text": error.message},
            ) from error

    async def server_time(self) -> datetime:
        """Return the time by the broker's clock; asked for once at a time, as the library mixes up two such questions.

        Raises:
            BrokerError: it does not answer.
        """
        if self._time is None or self._time.done():
            self._time = asyncio.ensure_future(self.ask("the time", self.ib.reqCurrentTimeAsync))
        answer: datetime = await asyncio.shield(self._time)
        return answer

    def close(self) -> None:
        """End the connection; safe to call twice."""
        self.ib.disconnectedEvent -= self.tap.news.set
        self.ib.disconnect()


async def open_link(config: IbConfig, *, read_only: bool) -> Link:
    """Return an open link.

    A link that may send uses the one writing client id. A read-only one takes the first free id beside it.
    """
    require_account(config)
    library = load_library(config.library)
    _hush(config.library)
    ids = _client_ids(config, read_only=read_only)
    for number, client_id in enumerate(ids, start=1):
        link = Link(config, library, client_id, read_only=read_only)
        try:
            await link.open()
        except BaseException as error:
            link.close()
            if not (isinstance(error, BrokerError) and error.code == "ib_client_id_taken" and number < len(ids)):
                raise
        else:
            return link
    raise AssertionError("the last attempt returns or raises")


def _client_ids(config: IbConfig, *, read_only: bool) -> Sequence[int]:
    if not read_only:
        return (config.client_id,)
    first = config.client_id + config.read_only_offset
    return range(first, first + CLIENT_IDS_TO_TRY)


def _hush(library: str) -> None:
    """Keep the library's log lines out of the terminal: what matters is reported by apex, without account ids."""
    for name in (library, EVENTS, *(f"{library}.{part}" for part in QUIET_LOGGERS)):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def _settled(work: asyncio.Future[Any]) -> None:
    if not work.done():
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def connect_failure(config: IbConfig, error: OSError | TimeoutError) -> BrokerError:
    """Return what a failed connection means."""
    if isinstance(error, ConnectionRefusedError):
        return BrokerError(
            "ib_port_closed",
            f"Nothing listens on {config.place}.",
            hint="Start TWS or IB Gateway, log in, enable its API (Configuration, API, Settings), and compare ib_port.",
        )
    if isinstance(error, TimeoutError):
        return BrokerError(
            "ib_mute",
            f"{config.place} accepts connections, but did not finish the login of the API within "
            f"{config.connect_timeout_s:g} s.",
            hint="Is it logged in, does it show a dialog, is this computer among its trusted IPs? If executions are "
            "what never ends: set 'Send instrument-specific attributes in' to UTC in its API settings.",
        )
    return BrokerError(
        "ib_unreachable", f"{config.place} cannot be reached: {error}.", hint="Compare ib_host and ib_port."
    )


def client_id_taken(config: IbConfig, client_id: int) -> BrokerError:
    """Return that another program uses our client id."""
    return BrokerError(
        "ib_client_id_taken",
        f"{config.place} says that client id {client_id} is in use.",
        hint="End the other program with that id, set another broker.ib.ib_client_id, or restart the gateway if no "
        "program has it.",
    )


def read_only_api(config: IbConfig) -> BrokerError:
    """Return that TWS takes no orders from the API."""
    return BrokerError(
        "ib_read_only_api",
        f"The API of {config.place} is read-only: it reports orders to nobody and takes none. Nothing was sent.",
        hint="Uncheck 'Read-Only API' in its API settings.",
    )


def lost(config: IbConfig) -> BrokerError:
    """Return that there is no connection now."""
    return BrokerError(
        "ib_not_connected",
        f"There is no connection to {config.place}.",
        hint="A running apex tries again by itself; apex doctor looks what is wrong.",
    )
