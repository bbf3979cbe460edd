"""TimeKeeper: closes positions at their longest holding time, and those that are not held overnight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from apex_cli.core.errors import ApexError, BusyError, NothingToDo
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.management.attempts import Attempts
from apex_cli.core.market.calendar import market_status
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import CloseRequest
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.positions.announcements import warn_of_expiries
from apex_cli.core.positions.holding import BEFORE_EXPIRY, END_OF_DAY, TimeClose, close_due, flat_from
from apex_cli.core.positions.protection import orders_of
from apex_cli.core.state.events.management_events import EndOfDayExit, ExpiryExit, TimedClose, TimeExit

if TYPE_CHECKING:
    from apex_cli.core.execution.closer import Closer

EXITS: dict[str, type[TimeExit | ExpiryExit | EndOfDayExit]] = {END_OF_DAY: EndOfDayExit, BEFORE_EXPIRY: ExpiryExit}
"""What reports a close, by its reason; anything else is a time exit."""


class TimeKeeper:
    """A chore of the loop: time exits, and flat before the close."""

    def __init__(
        self,
        *,
        orders: Orders,
        make_closer: Callable[[], Closer],
        store: StateStore,
        clock: Clock,
        management: ManagementLimits,
    ) -> None:
        """Watch the time of what is held and of entries that rest, by the rules of *management*."""
        self._orders = orders
        self._make_closer = make_closer
        self._store = store
        self._management = management
        self._closes = any(plan.closes for plan in (management, *management.strategies.values()))
        self._clock = clock
        self._attempts = Attempts(store, clock)

    async def tend(self, now: datetime) -> bool:
        """Close and cancel what is due; True when something was tried."""
        warn_of_expiries(self._store, self._management, now)
        if not self._closes:
            return False
        tried = [await self._tend_one(key, now) for key in list(self._store.view().positions)]
        return await self._end_late_entries(now) or any(tried)

    async def _tend_one(self, key: str, now: datetime) -> bool:
        """Close one position that has been held long enough; True when it was tried."""
        state = self._store.view()
        row: PositionRecord | None = state.positions.get(key)
        bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id) if row else None
        if row is None or bracket is None or not self._attempts.may(key, now):
            return False
        plan = self._management.plan_for(bracket.strategy)
        market = market_status(row.position.instrument.market_type, now)
        close = close_due(row.position, orders_of(state, key), plan, market, state.trading.mode, now)
        if close is None:
            return False
        try:
            await self._close(key, close, bracket.signal_id)
        except (BusyError, NothingToDo):
            return False
        except ApexError as error:
            message = f"{error.message} {error.hint}"
            self._attempts.failed(key, code=f"{close.reason}_failed", message=message, subject=bracket.signal_id)
        return True

    async def _close(self, key: str, close: TimeClose, subject: str) -> None:
        closed = await self._make_closer().close(CloseRequest(symbol=key, reason=close.reason))
        done = TimedClose(symbol=key, due=close.due, quantity=closed.quantity, exit_price=closed.exit_price)
        event_type = EXITS.get(close.reason, TimeExit)
        self._attempts.note(event_type(at=self._clock.now(), subject=subject, data=done))
        self._attempts.worked(key)

    async def _end_late_entries(self, now: datetime) -> bool:
        """Cancel entries that still rest when everything is to be flat for the day."""
        late = [record.order for record in self._store.view().orders.open() if self._is_late(record, now)]
        for order in late:
            name = order.client_order_id
            self._attempts.put_off(name)
            failure = await self._orders.cancel((name,))
            if failure is not None:
                message = f"{order.instrument.key}: the entry could not be cancelled for the day: {failure.message}"
                subject = self._store.view().brackets[order.bracket_id].signal_id
                self._attempts.failed(name, code="entry_not_cancelled", message=message, subject=subject)
        self._orders.sync()
        return bool(late)

    def _is_late(self, record: OrderRecord, now: datetime) -> bool:
        """Return whether *record* is an entry that would open what has to be closed already."""
        order = record.order
        bracket: BracketRecord | None = self._store.view().brackets.get(order.bracket_id)
        if bracket is None or order.role is not OrderRole.ENTRY or record.status is not OrderStatus.WORKING:
            return False
        plan = self._management.plan_for(bracket.strategy)
        flat_at = flat_from(market_status(order.instrument.market_type, now), plan)
        return flat_at is not None and flat_at <= now and self._attempts.may(order.client_order_id, now)
