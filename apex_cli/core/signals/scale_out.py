"""Scale-out: targets in R for signals that bring none, or in place of their own."""

from __future__ import annotations

from msgspec.structs import replace

from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import Price
from apex_cli.core.model.signal import Signal


class ScaleOutStage:
    """The last stage before ranking: a signal leaves it with the targets it will be traded with."""

    name = "scale_out"

    def __init__(self, management: ManagementLimits) -> None:
        """Take the targets from the plan of each signal's strategy."""
        self._management = management

    async def process(self, signal: Signal) -> Signal:
        """Return *signal* with targets at entry + r * (entry - stop), and what to close at each."""
        wanted = self._management.plan_for(signal.strategy).scale_out
        if not wanted.targets_r or (signal.target_prices and not wanted.override):
            return signal
        entry, unit = signal.entry_price, signal.entry_price - signal.stop_loss
        targets = tuple(Price(entry + r * unit) for r in wanted.targets_r)
        return replace(signal, target_prices=targets, target_fractions=wanted.fractions)
