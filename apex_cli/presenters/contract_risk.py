"""The JSON of what is at risk, and of day trades, as types; ``contract`` puts them to their commands."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypedDict


class RiskOfOne(TypedDict):
    """One position, or one entry that may still fill."""

    symbol: str
    side: str
    quantity: float
    working_entry: bool
    notional: Decimal | None
    risk: Decimal | None
    stop_price: Decimal | None
    at_stop: Decimal | None
    strategy: str
    sector: str
    history_days: int
    remarks: list[str]


class RiskOfGroup(TypedDict):
    """Everything of one symbol, strategy or sector; the name is empty where none is known."""

    name: str
    count: int
    notional: Decimal
    risk: Decimal
    share: Decimal | None


class Correlation(TypedDict):
    """How the daily changes of two positions go together; it *adds* where both tend to lose on the same days."""

    first: str
    second: str
    correlation: Decimal
    days: int
    adds: bool


class CostOfMove(TypedDict):
    """What a move brings one position, and whether a price, a model or a bound says so."""

    symbol: str
    pnl: Decimal
    basis: Literal["price", "model", "bound"]


class WorstDay(TypedDict):
    """A session of the past, applied to what is held now."""

    date: str
    sessions: int
    pnl: Decimal
    costs: list[CostOfMove]
    without: list[str]


class Gap(TypedDict):
    """Every price opens a part against its holder."""

    gap: Decimal
    loss: Decimal
    of_equity: Decimal | None
    stops_passed: int
    costs: list[CostOfMove]


class LimitUse(TypedDict):
    """A limit beside what there is; *used* is a fraction, above 1 beyond the limit."""

    code: str
    subject: str
    unit: Literal["money", "count"]
    found: Decimal | None
    limit: Decimal | None
    left: Decimal | None
    used: Decimal | None


class LeftOut(TypedDict):
    """A position that sums do not count."""

    symbol: str
    sums: list[Literal["risk", "gaps", "worst_day", "correlation"]]
    why: str


class Risk(TypedDict):
    """``apex risk``."""

    at: datetime
    priced_at: datetime | None
    equity: Decimal | None
    one_r: Decimal
    risk: Decimal
    notional: Decimal
    at_stops: Decimal
    positions: list[RiskOfOne]
    by_symbol: list[RiskOfGroup]
    by_strategy: list[RiskOfGroup]
    by_sector: list[RiskOfGroup]
    correlations: list[Correlation]
    worst_day: WorstDay | None
    gaps: list[Gap]
    limits: list[LimitUse]
    remarks: list[str]
    left_out: list[LeftOut]


class VerdictReason(TypedDict):
    """Why an order is warned of or blocked."""

    code: str
    message: str


class OrderVerdict(TypedDict):
    """What the day-trade rules say of the order that was asked about."""

    decision: str
    reasons: list[VerdictReason]
    closing_quantity: float
    opening_quantity: float
    offer_quantity: float | None


class IntradayMargin(TypedDict):
    """The intraday margin level around an order; null where it is not known."""

    level_before: Decimal | None
    level_after: Decimal | None
    reducing: bool | None
    deficit: Decimal | None
    de_minimis: bool | None


class SpreadDayTrades(TypedDict):
    """Option day trades of one underlying in one session that a broker may count as one."""

    session_date: str
    underlying: str
    day_trades: int
    as_units: int


class Deficit(TypedDict):
    """An intraday margin deficit that is neither met nor lapsed, and its deadlines."""

    session_date: str
    amount: Decimal
    de_minimis: bool
    ideally_by: date | None
    before_freeze_by: date | None
    lapses_on: date | None


class Deficits(TypedDict):
    """The intraday margin deficits that are kept, and what they may lead to."""

    outstanding: list[Deficit]
    unmet_in_12_months: int
    frozen_until: date | None
