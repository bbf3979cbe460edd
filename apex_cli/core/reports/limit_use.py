"""Every limit of exposure beside its current use, counted as the pre-trade checks count it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.decision.book_checks import beta_of_book
from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.decision.protection_inputs import loss_marks
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Exposure
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.protections import Protections
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.state.tables import State

Correlate = Callable[[str, str], Decimal | None]
"""Returns the correlation of two securities by their keys, over the bars of ``protections.correlation``."""


class Unit(StrEnum):
    """What a limit counts."""

    MONEY = "money"
    COUNT = "count"


class LimitUse(Value, frozen=True, kw_only=True):
    """A limit beside what there is."""

    code: str
    """As the check of it is called."""

    subject: str = ""
    """The security, strategy or sector that it is of, where it is one for each."""

    unit: Unit = Unit.MONEY
    limit: Decimal | None
    found: Decimal | None
    """None where it is not known."""

    @property
    def left(self) -> Decimal | None:
        """What may be added; below 0 beyond the limit."""
        return None if self.limit is None or self.found is None else self.limit - self.found

    @property
    def fraction(self) -> Decimal | None:
        """Part of the limit that is used; above 1 beyond it."""
        return None if not self.limit or self.found is None else self.found / self.limit


def limit_uses(
    state: State,
    limits: Limits,
    exposures: Sequence[Exposure],
    now: datetime,
    *,
    day_trades: DayTradeStatus | None,
    correlate: Correlate,
) -> tuple[LimitUse, ...]:
    """Return every limit that is configured; of one for each security the one that is nearest to it.

    Args:
        state: the latest committed one.
        limits: the user's, with the capital that counts now.
        exposures: positions and working entries, with sector and beta where those are limited.
        now: aware.
        day_trades: the count for an order sent now; None when it is not known.
        correlate: says how two securities go together.
    """
    return (
        *_of_the_book(limits.risk, exposures),
        *_losses(state, limits.risk, now),
        *_counts(state, limits.risk, exposures, now, day_trades),
        *_of_protections(state, limits, exposures, now, correlate),
    )


def _of_the_book(limits: RiskLimits, exposures: Sequence[Exposure]) -> Iterable[LimitUse]:
    largest = max(exposures, key=lambda each: each.notional, default=None)
    riskiest = max(exposures, key=lambda each: each.risk, default=None)
    yield LimitUse(code="open_risk", limit=limits.max_open_risk_pct * limits.capital, found=_risk(exposures))
    yield LimitUse(
        code="risk_of_one",
        subject="" if riskiest is None else riskiest.key,
        limit=limits.max_risk_pct * limits.capital,
        found=ZERO if riskiest is None else riskiest.risk,
    )
    value = (("value_of_one", limits.max_position_pct * limits.capital), ("max_notional", limits.max_notional))
    for code, most in value:
        if most is not None:
            yield LimitUse(
                code=code,
                subject="" if largest is None else largest.key,
                limit=most,
                found=ZERO if largest is None else largest.notional,
            )


def _counts(
    state: State, limits: RiskLimits, exposures: Sequence[Exposure], now: datetime, day_trades: DayTradeStatus | None
) -> Iterable[LimitUse]:
    is_today = state.counters.session_date == session_date(now).isoformat()
    yield _count("max_positions", limits.max_positions, _securities(exposures))
    yield _count("orders_per_day", limits.max_orders_per_day, state.counters.entries_today if is_today else 0)
    if day_trades is not None and day_trades.remaining is not None and day_trades.remaining >= 0:
        yield _count("day_trades", day_trades.limit, day_trades.limit - day_trades.remaining)


def _losses(state: State, limits: RiskLimits, now: datetime) -> Iterable[LimitUse]:
    """Yield the loss of the day and the fall from the highest equity beside their limits."""
    if state.account is None:
        for code in ("daily_loss", "drawdown"):
            yield LimitUse(code=code, limit=None, found=None)
        return
    account = state.account.account
    counters = session_counters(state.counters, account, session_date(now))
    start, peak = counters.session_start_equity or account.equity, counters.raised(account.equity).peak_equity
    yield _loss("daily_loss", limits.max_daily_loss_pct, start, account.equity)
    yield _loss("drawdown", limits.max_drawdown_pct, peak, account.equity)


def _of_protections(
    state: State, limits: Limits, exposures: Sequence[Exposure], now: datetime, correlate: Correlate
) -> Iterable[LimitUse]:
    """Yield the limits of section ``protections`` that are set."""
    protections, capital = limits.protections, limits.risk.capital
    yield from _periods(state, protections, now)
    for strategy in sorted({each.strategy for each in exposures}):
        budget = protections.budget.budget_for(strategy)
        mine = [each for each in exposures if each.strategy == strategy]
        yield from _group("strategy", strategy, mine, budget.max_open_risk_pct, budget.max_positions, capital)
    sectors = protections.sectors
    if sectors.is_on:
        for sector in sorted({each.sector for each in exposures}):
            mine = [each for each in exposures if each.sector == sector]
            yield from _group("sector", sector, mine, sectors.max_open_risk_pct, sectors.max_positions, capital)
    if protections.correlation.max_open_risk_pct is not None and exposures:
        most = protections.correlation.max_open_risk_pct * capital
        yield _correlated(exposures, most, protections.correlation.min_correlation, correlate)
    beta = protections.beta
    if beta.max_exposure is not None:
        found = abs(beta_of_book(exposures)) if all(each.beta is not None for each in exposures) else None
        yield LimitUse(code="beta_exposure", subject=beta.benchmark, limit=beta.max_exposure * capital, found=found)


def _periods(state: State, protections: Protections, now: datetime) -> Iterable[LimitUse]:
    parts = (protections.max_weekly_loss_pct, protections.max_monthly_loss_pct)
    marks = (None, None) if state.account is None else loss_marks(state, state.account.account, now)
    for code, part, mark in zip(("weekly_loss", "monthly_loss"), parts, marks, strict=True):
        if part is not None:
            equity = state.account.account.equity if state.account else ZERO
            unknown = LimitUse(code=code, limit=None, found=None)
            yield unknown if mark is None else _loss(code, part, mark.equity, equity)


def _group(  # noqa: PLR0917 - one group beside its two limits
    kind: str, name: str, members: Sequence[Exposure], part: Decimal | None, most: int | None, capital: Decimal
) -> Iterable[LimitUse]:
    subject = name or f"no {kind}"
    if part is not None:
        yield LimitUse(code=f"{kind}_risk", subject=subject, limit=part * capital, found=_risk(members))
    if most is not None:
        yield _count(f"{kind}_positions", most, _securities(members), subject)


def _correlated(exposures: Sequence[Exposure], most: Decimal, least: Decimal, correlate: Correlate) -> LimitUse:
    """Return the largest risk of a security and what moves with it; not known where one pair is not."""
    found: list[tuple[Decimal, str]] = []
    for each in exposures:
        pairs = [(other, correlate(each.key, other.key)) for other in exposures if other.key != each.key and other.risk]
        if any(value is None for _, value in pairs):
            return LimitUse(code="correlated_risk", limit=most, found=None)
        sides = ((other, value * each.market_view * other.market_view) for other, value in pairs if value is not None)
        alike = [other for other, value in sides if value >= least]
        found.append((_risk([each, *alike]), each.key))
    risk, key = max(found)
    return LimitUse(code="correlated_risk", subject=key, limit=most, found=risk)


def _count(code: str, limit: int, found: int, subject: str = "") -> LimitUse:
    return LimitUse(code=code, subject=subject, unit=Unit.COUNT, limit=Decimal(limit), found=Decimal(found))


def _loss(code: str, part: Decimal, start: Decimal, equity: Decimal) -> LimitUse:
    return LimitUse(code=code, limit=part * start, found=max(start - equity, ZERO))


def _risk(exposures: Iterable[Exposure]) -> Usd:
    return Usd(sum((each.risk for each in exposures), ZERO))


def _securities(exposures: Iterable[Exposure]) -> int:
    return len({each.key for each in exposures})
