"""The account for programs with an event loop: every call is done in a thread, so that the loop continues."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from apex_cli.api.apex import LONGEST_S, Apex
from apex_cli.api.record_lists import Event, event_of
from apex_cli.api.settings import Settings

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
T = TypeVar("T")


def _looks(method: Callable[Concatenate[Apex, P], T]) -> Callable[Concatenate[AsyncApex, P], Coroutine[Any, Any, T]]:
    """Return *method* as one that is awaited, done in a thread."""

    @wraps(method)
    async def looked(self: AsyncApex, /, *given: P.args, **named: P.kwargs) -> T:
        import asyncio

        return await asyncio.to_thread(method, self._apex, *given, **named)

    return looked


def _acts(method: Callable[Concatenate[Apex, P], T]) -> Callable[Concatenate[AsyncApex, P], Coroutine[Any, Any, T]]:
    """Return *method* as one that is awaited, done in a thread after what acts already."""
    look = _looks(method)

    @wraps(method)
    async def acted(self: AsyncApex, /, *given: P.args, **named: P.kwargs) -> T:
        import asyncio

        if self._acting is None:
            self._acting = asyncio.Lock()
        async with self._acting:
            return await look(self, *given, **named)

    return acted


class AsyncApex:
    """One account. Each method does what the method of ``Apex`` with its name does, and raises what that raises.

    What acts is done one after another. To cancel a call ends the wait for it, not what it has begun. The time limit
    of a strategy that is asked to propose does not hold in a thread.
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

    account = _looks(Apex.account)
    positions = _looks(Apex.positions)
    orders = _looks(Apex.orders)
    approvals = _looks(Apex.approvals)
    trades = _looks(Apex.trades)
    propose = _looks(Apex.propose)
    decide = _looks(Apex.decide)
    submit = _acts(Apex.submit)
    submit_all = _acts(Apex.submit_all)
    approve = _acts(Apex.approve)
    reject = _acts(Apex.reject)
    close = _acts(Apex.close)
    close_all = _acts(Apex.close_all)
    advance = _acts(Apex.advance)

    async def events(self, after: int | None = None, *, follow: bool = True) -> AsyncIterator[Event]:
        """Yield what happens, each event once and in order."""
        import asyncio

        from apex_cli.app.journal_feed import LOOK_INTERVAL_S, feed_after

        feed = await asyncio.to_thread(feed_after, self.settings, after)
        while True:
            rows = await asyncio.to_thread(feed.read)
            for row in rows:
                yield event_of(row)
            if rows:
                continue
            if not follow:
                return
            await asyncio.sleep(LOOK_INTERVAL_S)
