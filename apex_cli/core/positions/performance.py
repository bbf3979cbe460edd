"""Statistics of closed trades and of an equity curve; the formula of each number is here alone.

P&L and R are Decimal, before commissions unless a name says *net*, as positions show them while they are open.
Fractions are fractions: 0.6 is 60 %. A number that the trades cannot give is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from math import floor, prod, sqrt
from statistics import fmean, quantiles, stdev

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.position import RoundTrip

SESSIONS_A_YEAR = 252
"""NYSE trading days of a usual year: what daily returns are annualised with."""


class Statistics(Value, frozen=True, kw_only=True):
    """Sums and rates of a list of round trips."""

    round_trips: int
    wins: int
    losses: int
    breakeven: int
    """Trips that neither won nor lost: wins + losses + breakeven is round_trips."""

    win_rate: Decimal | None
    """0..1: wins / (wins + losses); None without any."""

    net_wins: int
    net_losses: int
    net_breakeven: int
    net_win_rate: Decimal | None
    """The same four after commissions."""

    pnl: Usd
    commission: Usd
    net_pnl: Usd
    profit_factor: Decimal | None
    """Gross gains over gross losses; None without losses."""

    expectancy_r: Decimal | None
    """Mean R-multiple over trips whose risk is known."""

    net_expectancy_r: Decimal | None = None
    """The same after commissions."""

    average_win: Usd | None = None
    average_loss: Usd | None = None
    """Mean of the losing trips, negative."""


class Tally:
    """Adds round trips one by one, so that a long history streams."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.count = self._with_r = 0
        self.wins = self.losses = self.net_wins = self.net_losses = 0
        self.gains = self.lost = self.commission = self._r = self._net_r = ZERO

    def add(self, trip: RoundTrip) -> None:
        """Count *trip*."""
        self.count += 1
        self.commission += trip.commission
        if trip.pnl > 0:
            self.wins += 1
            self.gains += trip.pnl
        elif trip.pnl < 0:
            self.losses += 1
            self.lost -= trip.pnl
        self.net_wins += trip.net_pnl > 0
        self.net_losses += trip.net_pnl < 0
        if trip.r_multiple is not None and trip.net_r_multiple is not None:
            self._with_r += 1
            self._r += trip.r_multiple
            self._net_r += trip.net_r_multiple

    def statistics(self) -> Statistics:
        """Return what was counted."""
        pnl = self.gains - self.lost
        return Statistics(
            round_trips=self.count,
            wins=self.wins,
            losses=self.losses,
            breakeven=self.count - self.wins - self.losses,
            win_rate=ratio(self.wins, self.wins + self.losses),
            net_wins=self.net_wins,
            net_losses=self.net_losses,
            net_breakeven=self.count - self.net_wins - self.net_losses,
            net_win_rate=ratio(self.net_wins, self.net_wins + self.net_losses),
            pnl=Usd(pnl),
            commission=Usd(self.commission),
            net_pnl=Usd(pnl - self.commission),
            profit_factor=ratio(self.gains, self.lost),
            expectancy_r=ratio(self._r, self._with_r),
            net_expectancy_r=ratio(self._net_r, self._with_r),
            average_win=_usd(ratio(self.gains, self.wins)),
            average_loss=_usd(ratio(-self.lost, self.losses)),
        )


class Drawdown(Value, frozen=True, kw_only=True):
    """The deepest fall of an equity curve from a high to a later low.

    The deepest in money and the deepest in proportion may be two different falls.
    """

    amount: Usd = Usd(ZERO)
    """max over t of (highest value up to t - value at t), account currency, >= 0."""

    fraction: Decimal = ZERO
    """max over t of (highest value up to t - value at t) / (highest value up to t), >= 0; above 1 below zero equity."""

    peak_at: datetime | None = None
    """When the fall of *fraction* began, where the times are known."""

    low_at: datetime | None = None


class DrawdownMeter:
    """Follows an equity curve point by point."""

    def __init__(self) -> None:
        """Start before the first point."""
        self._peak: tuple[Decimal, datetime | None] | None = None
        self._deepest = Drawdown()

    def add(self, equity: Decimal, at: datetime | None = None) -> Decimal:
        """Take the next point and return which part of the highest so far is lost; 0 where that is not positive."""
        if self._peak is None or equity > self._peak[0]:
            self._peak = (equity, at)
        peak, peak_at = self._peak
        amount, fraction = peak - equity, (peak - equity) / peak if peak > 0 else ZERO
        if amount > self._deepest.amount:
            self._deepest = replace(self._deepest, amount=Usd(amount))
        if fraction > self._deepest.fraction:
            self._deepest = replace(self._deepest, fraction=fraction, peak_at=peak_at, low_at=at)
        return fraction

    def drawdown(self) -> Drawdown:
        """Return the deepest fall so far."""
        return self._deepest


def max_drawdown(equity: Iterable[Decimal]) -> Drawdown:
    """Return the deepest fall of *equity*, oldest point first; nothing falls without points.

    >>> max_drawdown([Decimal(100), Decimal(120), Decimal(90), Decimal(130)])
    Drawdown(amount=Decimal('30'), fraction=Decimal('0.25'), peak_at=None, low_at=None)
    """
    meter = DrawdownMeter()
    for point in equity:
        meter.add(point)
    return meter.drawdown()


def returns_of(equity: Sequence[Decimal]) -> list[float]:
    """Return the simple returns from point to point; a step from a value that is not positive is left out.

    >>> returns_of([Decimal(100), Decimal(110), Decimal(99)])
    [0.1, -0.1]
    """
    return [float((after - before) / before) for before, after in pairwise(equity) if before > 0]


def sharpe(
    returns: Sequence[float], *, periods_per_year: float = SESSIONS_A_YEAR, risk_free: float = 0.0
) -> float | None:
    """Return the annualised Sharpe ratio; None with fewer than two returns, or when they do not vary.

    mean(r - rf) / sample standard deviation(r - rf) * sqrt(periods per year)

    Args:
        returns: one a period, as fractions.
        periods_per_year: how many such periods a year has: 252 for sessions, 12 for months.
        risk_free: the riskless return of one period, as a fraction.

    Source:
        William F. Sharpe, "The Sharpe Ratio", The Journal of Portfolio Management 21 (1994).
    """
    if len(returns) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    excess = [value - risk_free for value in returns]
    spread = stdev(excess)
    return fmean(excess) / spread * sqrt(periods_per_year) if spread > _NO_SPREAD else None


_NO_SPREAD = 1e-12
"""Below this the returns differ by no more than float noise."""

FEWEST_SESSIONS = FEWEST_TRADES = 20
"""Observations below which a ratio says nothing, and none is reported."""


def sortino(returns: Sequence[float], *, periods_per_year: float = SESSIONS_A_YEAR) -> float | None:
    """Return the annualised Sortino ratio against a return of zero; None where nothing was ever lost.

    mean(r) / sqrt(sum(min(r, 0)^2) / n) * sqrt(periods per year)

    Source:
        Frank Sortino and Lee Price, "Performance Measurement in a Downside Risk Framework", The Journal of Investing 3
        (1994).
    """
    downside = sqrt(fmean(min(value, 0.0) ** 2 for value in returns)) if returns else 0.0
    return fmean(returns) / downside * sqrt(periods_per_year) if downside > _NO_SPREAD else None


def yearly_growth(returns: Sequence[float], *, periods_per_year: float = SESSIONS_A_YEAR) -> float | None:
    """Return the compound annual growth rate as a fraction; None without returns, or once everything is lost.

    prod(1 + r)^(periods per year / n) - 1
    """
    grown = prod(1 + value for value in returns)
    return float(grown ** (periods_per_year / len(returns))) - 1 if returns and grown > 0 else None


def tail_ratio(returns: Sequence[float]) -> float | None:
    """Return how large good periods are beside bad ones; None with fewer than two, or where the bad tail is zero.

    |95th percentile| / |5th percentile|, each between its neighbours in proportion.
    """
    if len(returns) < 2:  # noqa: PLR2004 - a percentile needs two
        return None
    cuts = quantiles(returns, n=20, method="inclusive")
    return abs(cuts[-1] / cuts[0]) if abs(cuts[0]) > _NO_SPREAD else None


def system_quality(results: Sequence[float]) -> float | None:
    """Return the system quality number of R-multiples; None with fewer than two, or when they do not vary.

    sqrt(n) * mean(R) / sample standard deviation(R)

    Source:
        Van K. Tharp, "Definitive Guide to Position Sizing Strategies" (2008).
    """
    return sharpe(results, periods_per_year=len(results))


def longest_fall(equity: Iterable[Decimal]) -> int:
    """Return for how many points in a row, at the longest, *equity* stood below an earlier one.

    >>> longest_fall([Decimal(5), Decimal(4), Decimal(5), Decimal(3), Decimal(2)])
    2
    """
    peak: Decimal | None = None
    longest = run = 0
    for value in equity:
        is_below = peak is not None and value < peak
        run = run + 1 if is_below else 0
        longest = max(longest, run)
        peak = value if peak is None or not is_below else peak
    return longest


class Ratios(Value, frozen=True, kw_only=True):
    """What an equity curve and its trades come to in the numbers of the field; None where there are too few."""

    sessions: int
    """Returns that the first six are made of."""

    sharpe: float | None = None
    sortino: float | None = None
    cagr: float | None = None
    """Compound annual growth rate, as a fraction."""

    volatility: float | None = None
    """Sample standard deviation of the returns, annualised, as a fraction."""

    calmar: float | None = None
    """*cagr* over the deepest fall from session to session; None where nothing fell."""

    tail_ratio: float | None = None
    longest_fall: int
    """Sessions."""

    trades: int
    """Trades whose risk is known, which *sqn* is made of."""

    sqn: float | None = None


def ratios_of(equity: Sequence[Decimal], results: Sequence[Decimal]) -> Ratios:
    """Return the ratios of a curve and of its trades; those of fewer than twenty observations are None.

    Args:
        equity: what the account was worth: at the start, then at the end of every session.
        results: R-multiples of the closed trades, after costs.
    """
    returns = returns_of(equity)
    multiples = [float(result) for result in results]
    few = Ratios(
        sessions=len(returns),
        longest_fall=longest_fall(equity),
        trades=len(multiples),
        sqn=system_quality(multiples) if len(multiples) >= FEWEST_TRADES else None,
    )
    if len(returns) < FEWEST_SESSIONS:
        return few
    growth, fall = yearly_growth(returns), float(max_drawdown(equity).fraction)
    return replace(
        few,
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        cagr=growth,
        volatility=stdev(returns) * sqrt(SESSIONS_A_YEAR),
        calmar=growth / fall if growth is not None and fall else None,
        tail_ratio=tail_ratio(returns),
    )


class Distribution(Value, frozen=True, kw_only=True):
    """How many values fall into each bin; the outer bins take what lies beyond them."""

    lows: tuple[Decimal, ...]
    """Lower bound of each bin, rising; a bin reaches to the next one's, without it."""

    counts: tuple[int, ...]


class RDistribution:
    """Counts R-multiples into bins one by one: half an R wide, from -3 R to +5 R."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts = [0] * _BINS

    def add(self, multiple: Decimal) -> None:
        """Count *multiple*."""
        place = floor((multiple - _LOWEST_R) / _R_STEP)
        self._counts[min(max(place, 0), _BINS - 1)] += 1

    def distribution(self) -> Distribution:
        """Return the counts so far."""
        return Distribution(lows=tuple(_LOWEST_R + _R_STEP * n for n in range(_BINS)), counts=tuple(self._counts))


_LOWEST_R, _R_STEP, _BINS = Decimal(-3), Decimal("0.5"), 17


def r_distribution(multiples: Iterable[Decimal]) -> Distribution:
    """Return how *multiples* are spread over bins of half an R; beyond -3 and +5 the outer bins take them.

    >>> found = r_distribution([Decimal(-1), Decimal("-0.6"), Decimal(9)])
    >>> [(str(low), count) for low, count in zip(found.lows, found.counts) if count]
    [('-1.0', 2), ('5.0', 1)]
    """
    bins = RDistribution()
    for multiple in multiples:
        bins.add(multiple)
    return bins.distribution()


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Return *part* / *whole*; None when there is nothing to divide by.

    >>> ratio(3, 4), ratio(3, 0)
    (Decimal('0.75'), None)
    """
    return Decimal(part) / whole if whole else None


def _usd(value: Decimal | None) -> Usd | None:
    return None if value is None else Usd(value)
