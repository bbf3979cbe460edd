"""Changes what apex may do: the one way to halt, reduce and resume."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import TradingState
from apex_cli.core.ports import StateStore
from apex_cli.core.state.events.operation_events import TradingStateChanged


def change_trading_mode(store: StateStore, mode: TradingMode, reason: str, now: datetime) -> TradingState:
    """Set *mode* until someone says otherwise, and return what held before; the same again is no event.

    Raises:
        StateError: it could not be written.
        BusyError: the lock of the state was not free in time.
    """
    with store.transaction() as tx:
        before = tx.trading
        tx.trading = TradingState(mode=mode, reason=reason, changed_at=now)
        if before.mode is not mode or before.reason != reason:
            tx.emit(TradingStateChanged(at=now, subject=mode, data=tx.trading))
    return before
