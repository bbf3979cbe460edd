"""Signals: what a strategy proposes, and the opportunity it becomes once scored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import OrderSide


class SignalType(StrEnum):
    """Every signal type we act on; any other value is refused."""

    BUY = "BUY"
    LONG = "LONG"
    LONG_CALL = "LONG_CALL"
    LONG_PUT = "LONG_PUT"
    SELL = "SELL"
    SHORT = "SHORT"
    SHORT_CALL = "SHORT_CALL"
    SHORT_PUT = "SHORT_PUT"


ENTRY_SIDES = {
    SignalType.BUY: OrderSide.BUY,
    SignalType.LONG: OrderSide.BUY,
    SignalType.LONG_CALL: OrderSide.BUY,
    SignalType.LONG_PUT: OrderSide.BUY,
    SignalType.SELL: OrderSide.SELL,
    SignalType.SHORT: OrderSide.SELL,
    SignalType.SHORT_CALL: OrderSide.SELL,
    SignalType.SHORT_PUT: OrderSide.SELL,
}
"""The side table. A bought put is a purchase of the put: prices are those of the option."""


class Signal(Value, frozen=True, kw_only=True):
    """What a strategy proposes: well-formed, not yet judged."""

    signal_id: str
    instrument: Instrument
    signal_type: SignalType
    entry_price: Price
    stop_loss: Price
    target_prices: tuple[Price, ...] = ()
    """Nearest first; the quantity is split evenly over them, unless ``target_fractions`` say otherwise."""

    target_fractions: tuple[Decimal, ...] = ()
    """Part of the quantity for each target, nearest first; what is left has a stop and no target."""

    confidence: Decimal | None = None
    """0..1 as told by the source; None when it did not say."""

    strategy: str = ""
    source: str = ""
    created_at: datetime
    """When the strategy saw it, aware UTC."""

    expires_at: datetime
    """From then on it is never acted on, aware UTC."""

    metadata: dict[str, str | int | float | bool | None] = {}

    @property
    def side(self) -> OrderSide:
        """Side of the entry order."""
        return ENTRY_SIDES[self.signal_type]

    @property
    def symbol(self) -> str:
        """Ticker, pair or underlying."""
        return self.instrument.symbol


def reward_risk(entry: Price, stop: Price, targets: tuple[Price, ...]) -> Decimal | None:
    """Return reward over risk for an even split over *targets*; None without target or risk.

    (mean(target) - entry) / (entry - stop), its sign turned so that a target beyond the entry is positive.

    >>> reward_risk(Price(Decimal(50)), Price(Decimal(48)), (Price(Decimal(54)),))
    Decimal('2')
    """
    risk = entry - stop
    if not targets or not risk:
        return None
    reward = sum(targets, Decimal(0)) / len(targets) - entry
    return reward / risk


class ScoreComponent(Value, frozen=True, kw_only=True):
    """One part of an opportunity's score."""

    name: str
    weight: Decimal
    value: Decimal
    """0..1; the score is the sum of weight times value over all components."""


class Opportunity(Value, frozen=True, kw_only=True):
    """A signal with its score: what the decision looks at."""

    signal: Signal
    opportunity_score: Decimal
    """0..1, higher is better."""

    breakdown: tuple[ScoreComponent, ...] = ()
    """How the score came about."""
