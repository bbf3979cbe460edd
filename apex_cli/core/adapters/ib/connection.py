"""One connection at a time, kept alive: taken in, synchronised, and made again after each loss.

A task of its own takes in what is heard, settles doubts by asking again, and asks for the time when it is silent.
After a loss it connects with growing pauses, asks for everything, and only then lets orders leave. Reads may be
repeated; nothing here sends an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from apex_cli.core.adapters.ib.catalog import Catalog
from apex_cli.core.adapters.ib.ib_config import IbConfig
from apex_cli.core.adapters.ib.link import Link, lost, open_link
from apex_cli.core.adapters.ib.security_register import SecurityRegister
from apex_cli.core.adapters.ib.survey import Survey, survey
from apex_cli.core.adapters.ib.tracker import Tracker, no_name
from apex_cli.core.errors import ApexError, BrokerError, StateError
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.ports import Clock

log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.5
LOOK_PAUSES_S = (0.0, 0.1, 0.3, 1.0, 3.0)
"""How long to wait before each next look at a doubt that the last one did not settle."""


class IbConnection:
    """The link that is up, what is known over it, and the task that keeps both."""

    def __init__(
        self,
        config: IbConfig,
        clock: Clock,
        *,
        read_only: bool,
        is_ours: Callable[[str], bool] | None = None,
        known: Callable[[], Iterable[Instrument]] = tuple,
        held: Callable[[], Iterable[Instrument]] | None = None,
        name_of: Callable[[str], str] = no_name,
        is_own_account: Callable[[str], bool] = bool,
    ) -> None:
        """Keep what is needed to connect.

        Args:
            config: where, which account, and how long to wait.
            clock: the time of decisions.
            read_only: nothing can ever be sent.
            is_ours: says by its client order id whether this apex has asked for an order; by default every name
                that apex gives counts.
            known: returns the securities of our books, which stay what they are under any new name.
            held: returns those of them that are held or on order, where that is not all.
            name_of: returns our name of an order by the broker's permanent number, for one that comes without it.
            is_own_account: says whether our books are of an account: nothing is sent to another one.
        """
        self.is_own_account = is_own_account
        self.config = config
        self.clock = clock
        self.read_only = read_only
        self.register = SecurityRegister(known, held)
        self.tracker = Tracker(clock.now, is_ours, self.register, name_of)
        self.connections = 0
        """How often a connection was made."""

        self._link: Link | None = None
        self._catalog: Catalog | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._failure: ApexError | None = None
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        """True while a connection is up."""
        return self._link is not None and self._link.is_up

    @property
    def has_given_up(self) -> bool:
        """True when trying to connect again cannot help: what came back is not our account."""
        return self._failure is not None

    @property
    def link(self) -> Link:
        """The connection that is up.

        Raises:
            BrokerError: there is none now.
        """
        if self._failure is not None:
            raise self._failure
        if self._link is None or not self._link.is_up:
            raise lost(self.config)
        return self._link

    @property
    def catalog(self) -> Catalog:
        """What is known of securities over the connection that is up.

        Raises:
            BrokerError: there is none now.
        """
        link = self.link
        if self._catalog is None:
            self._catalog = Catalog(link, self.register)
        return self._catalog

    async def connect(self) -> None:
        """Connect, check the account, ask for everything, and keep the connection from now on.

        Raises:
            BrokerError: it cannot be reached, or did not answer everything: an unknown state is no state to trade on.
            ConfigError: the library is missing, or it is another account.
            RefusedError: a live account without the word for it.
        """
        await self._make_link()
        self._keeper = asyncio.create_task(self._keep())

    async def _make_link(self) -> None:
        link = await open_link(self.config, read_only=self.read_only)
        try:
            self.tracker.client_id, self.tracker.account = link.client_id, link.account
            if self.connections:
                self.tracker.doubt_all_open()
            found = await self._survey(link)
            if not self.read_only:
                found.require_complete(self.config)
        except BaseException:
            link.close()
            raise
        self._link, self._catalog = link, None  # only now orders may leave
        self.connections += 1

    async def close(self) -> None:
        """End the task and the connection; safe to call twice."""
        self._is_closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            self.take_in(link)
            link.close()

    async def _keep(self) -> None:
        """Take in, settle doubts, notice a dead connection, and make a new one."""
        while not self._is_closed:
            link = self._link
            if link is None or not link.is_up or link.must_renew:
                await self._reconnect()
                continue
            try:
                await asyncio.wait_for(link.tap.news.wait(), self.config.heartbeat_s)
                link.tap.news.clear()
                self.take_in(link)
                await self._settle_doubts()
            except TimeoutError:
                await self._beat(link)
            except BrokerError:
                await asyncio.sleep(FIRST_PAUSE_S)
            except Exception:  # who keeps the connection must outlive its own mistakes
                log.exception("an answer of the broker could not be worked with")
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _beat(self, link: Link) -> None:
        """Ask for the time; who does not answer is not there."""
        try:
            await link.server_time()
        except BrokerError:
            link.close()

    async def _reconnect(self) -> None:
        """Connect again, with growing pauses; give up only where trying cannot help."""
        if self._link is not None:
            self.take_in(self._link)
            self._link.close()
            self._link = None
        pause = FIRST_PAUSE_S
        while not self._is_closed:
            try:
                await self._make_link()
            except BrokerError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.config.reconnect_max_s)
            except ApexError as error:
                self._failure = error
                self._is_closed = True
            else:
                return

    @property
    def is_in_doubt(self) -> bool:
        """True while the fate of an order is being asked for."""
        return bool(self.tracker.doubts) or (self._link is not None and bool(self._link.tap.heard))

    def take_in(self, link: Link) -> None:
        """Take in what *link* has heard."""
        heard = link.tap.heard
        while heard:
            word = heard.popleft()
            try:
                self.tracker.hear(word)
            except StateError:  # whose order it is cannot be known now: that is no reason to forget the word
                heard.appendleft(word)
                raise

    async def _settle_doubts(self) -> None:
        """Look until no doubt is left, or looking does not help for now."""
        for pause in LOOK_PAUSES_S:
            if not self.tracker.doubts:
                return
            await asyncio.sleep(pause)
            if (await self.survey(is_partial=True)).unanswered:
                await self._beat(self.link)
        if self.tracker.doubts and self._link is not None:
            self._link.tap.news.set()

    async def survey(self, *, is_partial: bool = False) -> Survey:
        """Ask the broker for everything, take it in, and settle doubts by it.

        With *is_partial* for open orders, and for ended ones only where a doubt is left.

        Raises:
            BrokerError: there is no connection now.
        """
        return await self._survey(self.link, is_partial=is_partial)

    async def _survey(self, link: Link, *, is_partial: bool = False) -> Survey:
        async with self._looking:
            self.take_in(link)
            found = await survey(link, self.tracker, is_partial=is_partial)
            self.take_in(link)
            if found.is_conclusive and not link.has_lost_broker:
                self.tracker.confirm(found.live)
            for known in self.tracker.revenants(found.live):
                link.ib.client.cancelOrder(known.order_id, "")
            return found
