"""SplitKeeper: ends signals, orders and plans with prices from before a split that bars show and no file names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from apex_cli.core.analysis.unknown_splits import UnknownSplit
from apex_cli.core.errors import ApexError
from apex_cli.core.execution.closer import Closer
from apex_cli.core.model.instrument import Instrument, MarketType, underlying_of
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.request import CloseRequest
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import Clock, StateStore
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised

UNKNOWN_SPLIT = "unknown_split"
"""Exit reason of a position that was closed out, and the code of a signal that is refused."""

SplitOf = Callable[[str], UnknownSplit | None]
"""Returns the unknown split in the bars of a name; None where there is none."""


def split_of(splits: SplitOf, instrument: Instrument, now: datetime) -> UnknownSplit | None:
    """Return the unknown split of *instrument*, or of what it is an option on, that has happened by *now*."""
    is_option = instrument.market_type is MarketType.OPTIONS
    split = splits((underlying_of(instrument) if is_option else instrument).bars_name)
    return split if split is not None and split.start <= now else None


class SplitKeeper:
    """A chore, and the first step of signals: nothing is held, entered or managed beyond an unknown split."""

    name = UNKNOWN_SPLIT

    def __init__(self, splits: SplitOf, *, closer: Closer, store: StateStore, clock: Clock) -> None:
        """Look at *splits*; close with *closer*, at the last price before: there are no later ones."""
        self._splits = splits
        self._closer = closer
        self._store = store
        self._clock = clock

    async def tend(self, now: datetime) -> bool:
        """Close out positions and cancel entries of what has split; True when something was tried."""
        splits = self._splits
        state = self._store.view()
        found = ((key, split_of(splits, row.position.instrument, now)) for key, row in state.positions.items())
        held = {key: split for key, split in found if split is not None}
        entering = {
            record.order.instrument.key: None
            for record in state.orders.open()
            if record.order.role is OrderRole.ENTRY and split_of(splits, record.order.instrument, now)
        }
        for key in entering:
            if key not in held:
                await self._closer.cancel_entries(key)
        for key, split in held.items():
            await self._close(key, split)
        return bool(held or entering)

    async def _close(self, key: str, split: UnknownSplit) -> None:
        try:
            await self._closer.close(CloseRequest(symbol=key, reason=UNKNOWN_SPLIT))
            with self._store.transaction() as tx:
                alarm = Alarm(code=UNKNOWN_SPLIT, message=f"{key} is closed out: {split.sentence}")
                tx.emit(AlarmRaised(at=self._clock.now(), subject=key, data=alarm))
        except ApexError as error:
            if error.code not in {"market_closed", "no_position"}:
                raise

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return *signal*, or that its prices do not mean what they did."""
        split = split_of(self._splits, signal.instrument, self._clock.now())
        if split is None:
            return signal
        return Reason(code=UNKNOWN_SPLIT, message=f"{signal.instrument.key}: {split.sentence}")
