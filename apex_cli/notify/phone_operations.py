"""What a person on the phone may look at and ask for: the same doors that the commands use."""

from __future__ import annotations

import asyncio
from decimal import ROUND_FLOOR, Decimal

from apex_cli.app.compose import make_desk, make_parts
from apex_cli.app.handover import get_done
from apex_cli.app.resources import open_store
from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.errors import NothingToDo
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus, TradingMode
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import CloseRequest, Preview, Work, WorkDone
from apex_cli.core.state.tables import State
from apex_cli.presenters.output import Output
from apex_cli.settings.sections import Settings

WAIT_S = 20.0
"""How long the holder of the executor may take to begin."""


class House:
    """Looks and acts, one call at a time; every call may block, and belongs on a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        """Touch nothing yet."""
        self._settings = settings
        self._store = open_store(settings)

    def view(self) -> State:
        """Return the committed state; only for the thread that made this object."""
        return self._store.view()

    def do(self, work: Work) -> WorkDone:
        """Have *work* done by whoever holds the executor, or take it: as the commands do.

        Raises:
            ApexError: nobody did it, or nobody knows.
        """
        return get_done(Output("telegram", quiet=True), self._settings, (work,), WAIT_S)

    def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Look at *approval* as it is now.

        Raises:
            BrokerError: the account cannot be read.
        """
        desk = make_desk(make_parts(self._settings, read_only=True))
        return asyncio.run(desk.preview(approval, quantity))

    def pending(self) -> tuple[ApprovalRecord, ...]:
        """Return what waits for an answer, best score first."""
        return make_desk(make_parts(self._settings, read_only=True)).pending()

    def account(self) -> tuple[State, AccountSnapshot, DayTradeStatus]:
        """Return state, account and day trades as they are now.

        Raises:
            BrokerError: the account cannot be read.
        """
        parts = make_parts(self._settings, read_only=True)
        state, now = parts.store.view(), parts.clock.now()
        account = asyncio.run(parts.broker.account())
        return state, account, parts.gatherer.day_trades(state, account, now)

    def set_mode(self, mode: TradingMode, reason: str) -> TradingMode:
        """Change what apex may do and return what it could before."""
        store = open_store(self._settings)
        return change_trading_mode(store, mode, reason, store.clock.now()).mode

    def close_request(self, symbol: str) -> CloseRequest:
        """Return the request to close all of *symbol*.

        Raises:
            InputError: it is not held.
        """
        from apex_cli.core.execution.closer import find_position

        row = find_position(open_store(self._settings).view(), symbol)
        return CloseRequest(symbol=row.position.instrument.key, reason="telegram")


def half_of(approval: ApprovalRecord) -> Quantity:
    """Return half of the quantity that was asked about, on the instrument's grid, rounded down.

    Raises:
        NothingToDo: half of it is less than can be traded.
    """
    sized = approval.decision.sized
    step = approval.opportunity.signal.instrument.quantity_step
    half = Decimal(0) if sized is None else (sized.quantity / 2 / step).to_integral_value(ROUND_FLOOR) * step
    if half <= 0:
        raise NothingToDo("too_small_to_halve", "Half of it is less than can be traded. Nothing was changed.")
    return Quantity(half)
