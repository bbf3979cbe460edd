"""Lessons: features of a closed trade at its entry, and its result."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.money import Price
from apex_cli.core.model.side import OrderSide, PositionSide


class EntryConditions(Value, frozen=True, kw_only=True):
    """What the decision saw, as far as learners need it: small enough to travel with the bracket."""

    score: Decimal
    weights_version: int = 0
    parts: dict[str, Decimal] = {}
    """Score components by name, 0..1."""

    traits: dict[str, Decimal] = {}
    """What the stages found, 0..1: ``technical_composite``, ``technical_trend`` and their like."""

    predictor_direction: int | None = None
    """1 up, -1 down; None when nothing was predicted."""

    predictor_probability: Decimal | None = None
    """What the predictor gave its direction, 0..1."""

    predictor_target_first: Decimal | None = None
    """What it gave the target to come before the stop, 0..1; None where the next bar was predicted."""

    market_view: int | None = None
    """1 for a bet on a rising underlying, -1 on a falling one; None in lessons of older versions: the side's sign."""

    plain_score: Decimal | None = None
    """The score with nothing learned; None in lessons of older versions: the score."""

    expected_r: Decimal | None = None
    """What was expected of the trade, R after costs; None: nothing was learned yet."""

    default_r: Decimal | None = None
    """What the default weights alone made of it."""

    seen_at: datetime | None = None
    """When the signal was made: it competed with those of its session; None in lessons of older versions."""


class Lesson(Value, frozen=True, kw_only=True):
    """One closed round trip, as the learners see it. There is one a trade, whatever happens to it later."""

    round_trip_id: str
    seq: int
    """Number of the first event of the trade; numbers above the last look are new."""

    strategy: str = ""
    market_type: MarketType = MarketType.EQUITY
    side: PositionSide
    closed_at: datetime
    r: Decimal
    """P&L after commissions over the loss at the first stop."""

    conditions: EntryConditions
    is_followed: bool = False
    """True for a signal that was not taken: its prices were followed to stop or target, and no money was in it."""

    @property
    def is_win(self) -> bool:
        """Return whether it brought money after costs."""
        return self.r > 0


class Followed(Value, frozen=True, kw_only=True):
    """A signal that was not taken, and whose prices are followed to see what it would have brought."""

    signal_id: str
    instrument: Instrument
    side: OrderSide
    strategy: str = ""
    entry_price: Price
    stop_loss: Price
    target_prices: tuple[Price, ...] = ()
    since: datetime
    """Prices count from here on."""

    until: datetime
    """What is still open then ends at the last price."""

    cost_r: Decimal = Decimal(0)
    """What commissions of entry and exit would have cost, R."""

    conditions: EntryConditions

    @property
    def name(self) -> str:
        """What it is kept under: one of a strategy, side and security at a time."""
        return followed_name(self.strategy, self.side, self.instrument)


def followed_name(strategy: str, side: OrderSide, instrument: Instrument) -> str:
    """Return the name of what is followed."""
    return f"{strategy} {side} {instrument.key}"


class FollowedEnd(Value, frozen=True, kw_only=True):
    """What a followed signal came to; *lesson* is None where no price said it, or where it was traded after all."""

    name: str
    """``Followed.name``."""

    lesson: Lesson | None = None
