"""Arguments of the tools: names, types and bounds. The schemas of the tools are made from them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from apex_cli.agents.tool import Arguments
from apex_cli.core.model.agent import MOST_REASON
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import SignalType

Price = Annotated[Decimal, Meta(description="A price.")]
Part = Annotated[Decimal, Meta(description="From 0 to 1.")]
Prices = Annotated[tuple[Price, ...], Meta(max_length=10, description="Prices to take profit at.")]
Symbol = Annotated[
    str, Meta(min_length=1, max_length=64, description="Ticker, pair or option contract, such as AAPL or EUR.USD.")
]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, YYYY-MM-DD.")]
Words = Annotated[
    str, Meta(min_length=1, max_length=4_000, description=f"Why, for the person; {MOST_REASON} letters are kept.")
]


class Nothing(Arguments, frozen=True, kw_only=True):
    """No arguments."""


class OneId(Arguments, frozen=True, kw_only=True):
    """What to explain: a signal, approval, bracket or order id, or a symbol; without it the recent signals."""

    identity: Name | None = None


class SizeArguments(Arguments, frozen=True, kw_only=True):
    """Levels of a trade."""

    symbol: Symbol
    entry: Price
    stop: Price
    target: Prices = ()
    side: OrderSide | None = None
    market_type: MarketType | None = None


class HistoryArguments(Arguments, frozen=True, kw_only=True):
    """Which round trips: of a symbol, of a strategy, closed since a day; how many to list, while the sums count all."""

    symbol: Name | None = None
    strategy: Name | None = None
    since: Day | None = None
    last: Annotated[int, Meta(ge=1, le=1000)] = 50


class TradeArguments(Arguments, frozen=True, kw_only=True):
    """A trade, and how sure the agent is."""

    symbol: Symbol
    signal_type: SignalType
    entry_price: Price
    stop_loss: Price
    confidence: Part
    target_prices: Prices = ()
    market_type: MarketType | UnsetType = UNSET
    expiry: Day | UnsetType = UNSET
    strike: Price | UnsetType = UNSET
    right: Literal["C", "P"] | UnsetType = UNSET
    currency: Name | UnsetType = UNSET
    primary_exchange: Name | UnsetType = UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


class ProposeArguments(TradeArguments, frozen=True, kw_only=True):
    """A trade, why, and how sure the agent is."""

    reason: Words


Value = bool | int | float | str
"""A value of the configuration, as in its file."""


class ReplayArguments(Arguments, frozen=True, kw_only=True):
    """What to replay: keys of the configuration with other values, a rule instead of scanners, first and last day."""

    settings: Annotated[dict[Name, Value], Meta(max_length=20)] = {}
    rule: Literal["breakout"] | None = None
    first: Day | None = None
    last: Day | None = None


class AnswerArguments(Arguments, frozen=True, kw_only=True):
    """Which approval, and why."""

    approval_id: Name
    reason: Words


class CloseArguments(Arguments, frozen=True, kw_only=True):
    """Which position, which part of it, and why."""

    symbol: Symbol
    reason: Words
    fraction: Part | None = None


class ReasonArguments(Arguments, frozen=True, kw_only=True):
    """Why."""

    reason: Words


class ConfigureArguments(Arguments, frozen=True, kw_only=True):
    """Which key of the configuration, its value as in the file, and why."""

    key: Name
    value: Annotated[str, Meta(max_length=500)]
    reason: Words
