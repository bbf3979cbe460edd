"""What an option is worth by a model: Black and Scholes, from its underlying's price and a volatility.

The model is that of a European option on a stock without dividends. An American call on such a stock is worth the same.
An American put is worth a little more, and never less than its exercise brings: that is the least it is priced at here.
Every price of this module is theoretical, and is called so wherever it is shown.

Source:
    F. Black, M. Scholes, "The Pricing of Options and Corporate Liabilities", Journal of Political Economy 81 (1973);
    R. C. Merton, "Theory of Rational Option Pricing", Bell Journal of Economics 4 (1973), on early exercise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from math import erf, exp, log, sqrt

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.market.expiry import intrinsic_value, settled_at
from apex_cli.core.model.instrument import Instrument, OptionRight
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import LEAST_RETURNS, OptionModel

THEORETICAL = "theoretical"
"""Source of a quote that a model made."""

YEAR_S = 365 * 86_400
SESSIONS_A_YEAR = 252


def historic_volatility(closes: Sequence[Decimal]) -> float | None:
    """Return the volatility a year that daily *closes* had; None where they are few, or never moved.

    sigma = sqrt(252 * sum((r_i - mean)^2) / (n - 1)); r_i = ln(close_i / close_i-1)
    """
    prices = [float(close) for close in closes if close > 0]
    returns = [log(after / before) for before, after in pairwise(prices)]
    if len(returns) < LEAST_RETURNS:
        return None
    mean = sum(returns) / len(returns)
    variance = sum((found - mean) ** 2 for found in returns) / (len(returns) - 1)
    return sqrt(SESSIONS_A_YEAR * variance) or None


def volatility_of_bars(bars: Sequence[Bar], days: int = OptionModel().history_days) -> float | None:
    """Return the volatility a year of the last *days* daily returns in *bars*, oldest first; None as above."""
    closes = {bar.end.astimezone(NEW_YORK).date(): bar.close for bar in bars}
    return historic_volatility(list(closes.values())[-days - 1 :])


def years_left(instrument: Instrument, at: datetime) -> float:
    """Return the part of a year from *at* until *instrument* is settled, never below 0."""
    end = settled_at(instrument)
    return 0.0 if end is None else max((end - at).total_seconds(), 0.0) / YEAR_S


def theoretical_price(
    instrument: Instrument, underlying: Price, at: datetime, *, volatility: float, rate: float = 0.0
) -> Price:
    """Return what *instrument* is worth at *at*, to the tick, and a tick at least while it trades.

    call = S N(d1) - K exp(-rT) N(d2); put = K exp(-rT) N(-d2) - S N(-d1);
    d1 = (ln(S/K) + (r + sigma^2/2) T) / (sigma sqrt(T)); d2 = d1 - sigma sqrt(T).

    Args:
        instrument: a contract with strike, right and expiry.
        underlying: price of its underlying, S.
        at: aware.
        volatility: sigma, a year, above 0.
        rate: r, a year.
    """
    years, least = years_left(instrument, at), intrinsic_value(instrument, underlying)
    if not years:
        return least
    spot, strike = float(underlying), float(instrument.strike or 0)
    discounted = strike * exp(-rate * years)
    d1 = _d1(spot, strike, years, volatility, rate)
    d2 = d1 - volatility * sqrt(years)
    if instrument.right is OptionRight.CALL:
        value = spot * _normal(d1) - discounted * _normal(d2)
    else:
        value = discounted * _normal(-d2) - spot * _normal(-d1)
    worth = max(Decimal(repr(value)), least)
    tick = instrument.tick_at(worth)
    return Price(max((worth / tick).to_integral_value(rounding=ROUND_HALF_EVEN) * tick, tick))


def delta(instrument: Instrument, underlying: Price, at: datetime, *, volatility: float, rate: float = 0.0) -> Decimal:
    """Return how much the price moves for 1 of its underlying, in two decimals: N(d1) of a call, N(d1) - 1 of a put."""
    years = years_left(instrument, at)
    shift = 0 if instrument.right is OptionRight.CALL else -1
    if not years:
        return Decimal(int(intrinsic_value(instrument, underlying) > 0) * (1 if shift == 0 else -1))
    found = _normal(_d1(float(underlying), float(instrument.strike or 0), years, volatility, rate)) + shift
    return round(Decimal(repr(found)), 2)


def theoretical_bar(instrument: Instrument, bar: Bar, *, volatility: float, rate: float = 0.0) -> Bar:
    """Return the bar of *instrument* while its underlying had *bar*: all prices between the extremes that it allows."""

    def price(underlying: Price, at: datetime) -> Price:
        return theoretical_price(instrument, underlying, at, volatility=volatility, rate=rate)

    opened, closed = price(bar.open, bar.start), price(bar.close, bar.end)
    reached = [price(extreme, at) for extreme in (bar.high, bar.low) for at in (bar.start, bar.end)]
    every = (opened, closed, *reached)
    return Bar(
        symbol=instrument.key,
        start=bar.start,
        end=bar.end,
        open=opened,
        high=max(every),
        low=min(every),
        close=closed,
        volume=bar.volume,
    )


def _d1(spot: float, strike: float, years: float, volatility: float, rate: float) -> float:
    return (log(spot / strike) + (rate + volatility * volatility / 2) * years) / (volatility * sqrt(years))


def _normal(x: float) -> float:
    """Return the standard normal distribution function at *x*."""
    return (1 + erf(x / sqrt(2))) / 2
