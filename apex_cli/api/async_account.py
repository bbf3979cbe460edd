"""The account for programs with an event loop: every call is done in a thread, so that the loop continues."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from apex_cli.api.apex import LONGEST_S, Apex
from apex_cli.api.record_lists import Account, Approval, Event, Order, event_of
from apex_cli.api.reports import Trade
from apex_cli.api.settings import Settings
from apex_cli.core.model.records import SignalReport
from apex_cli.core.model.request import Closed
from apex_cli.core.model.row_table import Records
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.signals.strategy import Number, Signal, Strategy

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class AsyncApex:
    """One account. Each method does what the method of ``Apex`` with its name does, and raises what that raises.

    What acts is done one after another. To cancel a call ends the wait for it, not what it has begun.
    """

    def __init__(
        self,
        config: Path | str | Settings | None = None,
        *,
        profile: str = "",
        changes: Mapping[str, Any] | None = None,
        live: bool = False,
        wait_s: float = LONGEST_S,
    ) -> None:
        """Read the configuration, as ``Apex`` does.

        Raises:
            ConfigError: there is none, or a value is wrong.
        """
        self._apex = Apex(config, profile=profile, changes=changes, live=live, wait_s=wait_s)
        self._acting: asyncio.Lock | None = None

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self._apex.settings

    async def account(self) -> Account:
        """Return what the account is worth now, by the broker."""
        return await self._look(self._apex.account)

    async def positions(self) -> Records[PositionView]:
        """Return what is held."""
        return await self._look(self._apex.positions)

    async def orders(self) -> Records[Order]:
        """Return the working orders."""
        return await self._look(self._apex.orders)

    async def approvals(self) -> Records[Approval]:
        """Return what waits for an answer."""
        return await self._look(self._apex.approvals)

    async def trades(self, since: date | None = None) -> Records[Trade]:
        """Return closed trades."""
        return await self._look(lambda: self._apex.trades(since))

    async def events(self, after: int | None = None, *, follow: bool = True) -> AsyncIterator[Event]:
        """Yield what happens, each event once and in order."""
        import asyncio

        from apex_cli.app.journal_feed import LOOK_INTERVAL_S, feed_after

        feed = await self._look(lambda: feed_after(self.settings, after))
        while True:
            rows = await self._look(feed.read)
            for row in rows:
                yield event_of(row)
            if rows:
                continue
            if not follow:
                return
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def propose(self, strategy: Strategy) -> list[Signal]:
        """Return what *strategy* would propose at the newest bars; its time limit does not hold in a thread."""
        return await self._look(lambda: self._apex.propose(strategy))

    async def decide(self, signal: Signal) -> SignalReport:
        """Return what would become of *signal* now."""
        return await self._look(lambda: self._apex.decide(signal))

    async def submit(self, signal: Signal) -> SignalReport:
        """Decide on *signal*, and do what is decided."""
        return await self._act(lambda: self._apex.submit(signal))

    async def submit_all(self, signals: Iterable[Signal]) -> list[SignalReport]:
        """Decide on several, best first."""
        return await self._act(lambda: self._apex.submit_all(signals))

    async def approve(self, approval: str, *, quantity: Number | None = None) -> Approval:
        """Approve what waits."""
        return await self._act(lambda: self._apex.approve(approval, quantity=quantity))

    async def reject(self, approval: str, reason: str = "") -> Approval:
        """Reject what waits."""
        return await self._act(lambda: self._apex.reject(approval, reason))

    async def close(
        self,
        symbol: str,
        *,
        fraction: Number | None = None,
        quantity: Number | None = None,
        limit: Number | None = None,
        reason: str = "manual",
    ) -> Closed:
        """Close a position, whole or in part."""
        return await self._act(
            lambda: self._apex.close(symbol, fraction=fraction, quantity=quantity, limit=limit, reason=reason)
        )

    async def close_all(self, *, reason: str = "manual") -> Records[Closed]:
        """Close every position."""
        return await self._act(lambda: self._apex.close_all(reason=reason))

    async def advance(self, until: date | None = None) -> datetime | None:
        """Let time pass in a simulated market that follows bars."""
        return await self._act(lambda: self._apex.advance(until))

    @staticmethod
    async def _look(work: Callable[[], T]) -> T:
        import asyncio

        return await asyncio.to_thread(work)

    async def _act(self, work: Callable[[], T]) -> T:
        import asyncio

        if self._acting is None:
            self._acting = asyncio.Lock()
        async with self._acting:
            return await asyncio.to_thread(work)
